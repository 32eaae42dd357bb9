/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/h5_try.h"

#include <stdio.h>

#include "harness.h"
#include "moegps/mem.h"

/* SHA-256 of "abc".   Source: FIPS 180-2, appendix B.1. */
static const char ABC[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/* Who tries files refuses all of them: what passes was not tried. */
static const char REFUSES[] = "/bin/false";

static const struct {
    const char *content, *known;
    moe_status status;
} cases[] = {{"abc", NULL, MOE_FORMAT},
             {"abc", ABC, MOE_OK},
             {"abd", ABC, MOE_FORMAT},
             {"abcabc", ABC, MOE_FORMAT},
             {"", ABC, MOE_FORMAT}};

START_TEST(only_the_known_file_is_not_tried)
{
    char path[300];
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/try-%d", test_dir, _i);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(cases[_i].content, f);
    fclose(f);
    moe_h5_try_with(REFUSES, cases[_i].known);
    ck_assert_int_eq(moe_h5_try(path, &err), cases[_i].status);
    remove(path);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("h5_try");
    MOE_TEST_LOOP(suite, only_the_known_file_is_not_tried,
                  MOE_ARRAY_LEN(cases));
    return suite;
}
