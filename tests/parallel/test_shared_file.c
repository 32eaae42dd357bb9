/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/shared_file.h"

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
    moe_shared_bytes file = {0};
    const moe_status s = moe_shared_file(&test_ctx, path, &file);
    bool ok = s == MOE_OK && file.data != NULL && file.bytes == n;
    for (size_t i = 0; ok && i < n; i++)
        ok = file.data[i] == byte_of(i);
    ok = all_true(ok);
    moe_shared_file_free(&file);
    moe_shared_file_free(&file); /* again is fine */
    ck_assert(ok);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_known_to_all_ranks)
{
    moe_shared_bytes file = {0};
    const moe_status s = moe_shared_file(&test_ctx, "/no/such/file", &file);
    const char *says = strstr(test_ctx.err.text, "/no/such/file: cannot open");
    const bool ok =
        all_true(s == MOE_USAGE && file.data == NULL && says != NULL);
    test_ctx.err = (moe_error){0};
    ck_assert(ok);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("shared_file");
    MOE_TEST_LOOP(suite, a_file_reaches_all_ranks_whole, MOE_ARRAY_LEN(sizes));
    MOE_TEST(suite, a_file_that_is_not_there_is_known_to_all_ranks);
    return suite;
}
