/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/bulk.h"

enum { SMALL = 1000, LARGE = 5 << 20 }; /* elements of 8 bytes: 40 MiB */

/* @return bytes of this process that are in memory. */
static size_t resident(void)
{
    size_t all = 0, in_memory = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%zu %zu", &all, &in_memory), 2);
    fclose(f);
    return in_memory * (size_t)sysconf(_SC_PAGESIZE);
}

START_TEST(is_zeroed_and_keeps_what_is_written)
{
    const size_t n = _i == 0 ? SMALL : LARGE;
    size_t wrong = 0;
    moe_error err = {0};
    uint64_t *x = moe_bulk_new(n, sizeof *x, &err);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++) {
        wrong += x[i] != 0;
        x[i] = 3 * i;
        moe_bulk_passed(&x[i], sizeof x[i]);
    }
    for (size_t i = 0; i < n; i++)
        wrong += x[i] != 3 * i;
    ck_assert_uint_eq(wrong, 0);
    moe_bulk_free(x);
}
END_TEST

START_TEST(a_sweep_takes_little_memory)
{
    moe_error err = {0};
    const size_t before = resident();
    uint64_t *x = moe_bulk_new(LARGE, sizeof *x, &err);
    size_t most = 0;
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < LARGE; i++) {
        x[i] = i;
        moe_bulk_passed(&x[i], sizeof x[i]);
        if (i % (1 << 18) == 0 && resident() > most)
            most = resident();
    }
    ck_assert_uint_lt(most, before + (20 << 20));
    moe_bulk_free(x);
}
END_TEST

START_TEST(grows_from_the_heap_into_a_file)
{
    moe_error err = {0};
    size_t bytes = 0;
    unsigned char *x = NULL;
    for (size_t next = 1 << 16; next <= (size_t)32 << 20; next *= 2) {
        x = moe_bulk_grow(x, bytes, next, &err);
        ck_assert_ptr_nonnull(x);
        memset(x + bytes, (int)(next >> 16 & 255), next - bytes);
        bytes = next;
    }
    ck_assert_uint_eq(x[0], 1);
    ck_assert_uint_eq(x[1 << 16], 2);
    ck_assert_uint_eq(x[(1 << 22) - 1], 64);
    moe_bulk_free(x);
}
END_TEST

START_TEST(without_a_folder_all_is_on_the_heap)
{
    moe_error err = {0};
    setenv("TMPDIR", "/nowhere", 1);
    char *x = moe_bulk_new(LARGE, 8, &err);
    unsetenv("TMPDIR");
    ck_assert_ptr_nonnull(x);
    x[0] = 1;
    free(x);
}
END_TEST

START_TEST(copies_between_large_ones)
{
    moe_error err = {0};
    uint64_t *a = moe_bulk_new(LARGE, sizeof *a, &err);
    uint64_t *b = moe_bulk_new(LARGE, sizeof *b, &err);
    ck_assert(a != NULL && b != NULL);
    a[0] = 7;
    a[LARGE - 1] = 9;
    moe_bulk_copy(b, a, LARGE * sizeof *a);
    moe_bulk_free(a);
    ck_assert_uint_eq(b[0], 7);
    ck_assert_uint_eq(b[LARGE - 1], 9);
    moe_bulk_free(b);
}
END_TEST

START_TEST(refuses_what_overflows)
{
    moe_error err = {0};
    ck_assert_ptr_null(moe_bulk_new(SIZE_MAX / 2, 8, &err));
    ck_assert_int_eq(err.status, MOE_NOMEM);
}
END_TEST

/* Files of this process may have a GiB: who tries to make a larger one is killed.
 * Of a PiB the disk's space says that it will not do. */
START_TEST(does_not_fill_a_disk_to_see_whether_it_fits)
{
    const struct rlimit most = {(rlim_t)1 << 30, RLIM_INFINITY};
    moe_error err = {0};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &most), 0);
    ck_assert_ptr_null(moe_bulk_new((size_t)1 << 47, 8, &err));
    ck_assert_int_eq(err.status, MOE_NOMEM);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("bulk");
    MOE_TEST_LOOP(suite, is_zeroed_and_keeps_what_is_written, 2);
    MOE_TEST(suite, a_sweep_takes_little_memory);
    MOE_TEST(suite, grows_from_the_heap_into_a_file);
    MOE_TEST(suite, without_a_folder_all_is_on_the_heap);
    MOE_TEST(suite, copies_between_large_ones);
    MOE_TEST(suite, refuses_what_overflows);
    MOE_TEST(suite, does_not_fill_a_disk_to_see_whether_it_fits);
    return suite;
}
