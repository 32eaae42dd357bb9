/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/shared.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Assert after all ranks know: an assert on one would hang the others. */
static bool all_true(bool mine)
{
    int ok = mine;
    MOE_MPI(
        MPI_Allreduce(MPI_IN_PLACE, &ok, 1, MPI_INT, MPI_MIN, test_ctx.comm));
    return ok != 0;
}

static char byte_of(size_t i)
{
    return (char)(i * 7 + i / 251);
}

static const size_t sizes[] = {0, 1, 63, 64, 4097, 3000001};

START_TEST(ranks_see_what_rank_0_wrote)
{
    const size_t n = sizes[_i];
    moe_shared shared = {0};
    moe_status s = moe_shared_new(&test_ctx, n, "test", &shared);
    bool ok = s == MOE_OK && shared.bytes == n &&
              (uintptr_t)shared.data % MOE_ALIGNMENT == 0;
    for (size_t i = 0; ok && test_ctx.rank == 0 && i < n; i++)
        shared.data[i] = byte_of(i);
    if (s == MOE_OK) { /* in two parts */
        moe_shared_spread(&test_ctx, &shared, 0, n / 2);
        moe_shared_spread(&test_ctx, &shared, n / 2, n - n / 2);
        moe_shared_ready(&shared);
    }
    for (size_t i = 0; ok && i < n; i++)
        ok = shared.data[i] == byte_of(i);
    ok = all_true(ok);
    moe_shared_free(&shared);
    moe_shared_free(&shared); /* again is fine */
    ck_assert(ok);
}
END_TEST

START_TEST(a_file_reaches_all_ranks_whole)
{
    const size_t n = sizes[_i];
    char path[300];
    snprintf(path, sizeof path, "%s/bytes", test_dir);
    if (test_ctx.rank == 0) {
        FILE *f = fopen(path, "wb");
        for (size_t i = 0; i < n; i++)
            fputc(byte_of(i), f);
        fclose(f);
    }
    moe_shared shared = {0};
    const moe_status s = moe_shared_file(&test_ctx, path, &shared);
    bool ok = s == MOE_OK && shared.bytes == n;
    for (size_t i = 0; ok && i < n; i++)
        ok = shared.data[i] == byte_of(i);
    ok = all_true(ok);
    moe_shared_free(&shared);
    ck_assert(ok);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_known_to_all_ranks)
{
    moe_shared shared = {0};
    const moe_status s = moe_shared_file(&test_ctx, "/no/such/file", &shared);
    const bool ok = all_true(s == MOE_USAGE && shared.data == NULL &&
                             strstr(test_ctx.err.text, "/no/such/file: cannot "
                                                       "open") != NULL);
    test_ctx.err = (moe_error){0};
    ck_assert(ok);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("shared");
    MOE_TEST_LOOP(suite, ranks_see_what_rank_0_wrote, MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, a_file_reaches_all_ranks_whole, MOE_ARRAY_LEN(sizes));
    MOE_TEST(suite, a_file_that_is_not_there_is_known_to_all_ranks);
    return suite;
}
