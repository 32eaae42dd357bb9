/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const struct {
    size_t n, size;
} sizes[] = {{0, 0},  {0, 8},  {8, 0},  {1, 1},      {1, 63},
             {1, 64}, {5, 13}, {3, 64}, {1000, 4096}};

START_TEST(array_is_aligned_and_zero)
{
    moe_error err = {0};
    unsigned char *p = moe_array_new(sizes[_i].n, sizes[_i].size, &err);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(err.status, MOE_OK);
    ck_assert_uint_eq((uintptr_t)p % MOE_ALIGNMENT, 0);
    size_t set = 0; /* bytes: an assertion for each takes long */
    for (size_t i = 0; i < sizes[_i].n * sizes[_i].size; i++)
        set += p[i] != 0;
    ck_assert_uint_eq(set, 0);
    free(p);
}
END_TEST

static const struct {
    size_t n, size;
    const char *says;
} huge[] = {
    {SIZE_MAX, 2, "overflow"},
    {SIZE_MAX / 8 + 2, 8, "overflow"}, /* wraps to 8 bytes */
    {SIZE_MAX, 1, "overflow"},         /* fits, but not with its alignment */
    {SIZE_MAX / 2 + 1, 1, "overflow"},
    {SIZE_MAX / 4, 1, "needed 4398046511104.0 MiB"},
};

START_TEST(array_beyond_memory_is_refused_with_its_size)
{
    moe_error err = {0};
    ck_assert_ptr_null(moe_array_new(huge[_i].n, huge[_i].size, &err));
    ck_assert_int_eq(err.status, MOE_NOMEM);
    ck_assert_msg(strstr(err.text, huge[_i].says) != NULL, "%s", err.text);
    ck_assert_ptr_null(moe_array_new(huge[_i].n, huge[_i].size, NULL));
}
END_TEST

START_TEST(strings_are_copied)
{
    moe_error err = {0};
    const char *texts[] = {"", "a", "naïve"};
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++) {
        char *copy = moe_strdup(texts[i], &err);
        ck_assert_str_eq(copy, texts[i]);
        ck_assert_ptr_ne(copy, texts[i]);
        free(copy);
    }
    ck_assert_ptr_null(moe_strdup(NULL, &err));
    ck_assert_int_eq(err.status, MOE_OK);
}
END_TEST

START_TEST(counts_narrow_only_where_they_fit)
{
    moe_error err = {0};
    ck_assert_int_eq(moe_to_int(0, "rows", &err), 0);
    ck_assert_int_eq(moe_to_int(INT_MAX, "rows", &err), INT_MAX);
    ck_assert_int_eq(err.status, MOE_OK);
    ck_assert_int_eq(moe_to_int((uint64_t)INT_MAX + 1, "rows", &err), 0);
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_str_eq(err.text,
                     "rows: 2147483648 exceeds 2147483647, MPI's limit");
    ck_assert_int_eq(moe_to_int(UINT64_MAX, "rows", NULL), 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("mem");
    MOE_TEST_LOOP(suite, array_is_aligned_and_zero, MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, array_beyond_memory_is_refused_with_its_size,
                  MOE_ARRAY_LEN(huge));
    MOE_TEST(suite, strings_are_copied);
    MOE_TEST(suite, counts_narrow_only_where_they_fit);
    return suite;
}
