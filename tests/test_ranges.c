/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ranges.h"

#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const struct {
    const char *text, *again, *refused;
} cases[] = {
    {"0", "0", NULL},
    {"3-5,7", "3..5, 7", NULL},
    {"0,1,2,4,5", "0..2, 4..5", NULL},
    {"", NULL, "is not a list"},
    {"1,", NULL, "is not a list"},
    {"1;2", NULL, "is not a list"},
    {"-1", NULL, "is not a list"},
    {"1-2-3", NULL, "is not a list"},
    {"5-3", NULL, "not all are in 0..60"},
    {"3-61", NULL, "not all are in 0..60"},
    {"99999999999999999999", NULL, "not all are in 0..60"},
    {"1-3,2", NULL, "has 2 twice"},
};

START_TEST(list_is_read_and_written)
{
    moe_ranges r = {0};
    moe_error err = {0};
    char text[64];
    const moe_status status = moe_ranges_parse(cases[_i].text, 60, &r, &err);
    if (cases[_i].refused != NULL) {
        ck_assert_int_eq(status, MOE_USAGE);
        ck_assert_msg(strstr(err.text, cases[_i].refused) != NULL, "%s",
                      err.text);
        return;
    }
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    moe_ranges_text(r.number, r.n, text, sizeof text);
    ck_assert_str_eq(text, cases[_i].again);
    moe_ranges_fini(&r);
}
END_TEST

START_TEST(long_text_is_cut)
{
    int32_t odd[100];
    char text[64];
    for (int i = 0; i < 100; i++)
        odd[i] = 2 * i + 1;
    moe_ranges_text(odd, 100, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, ", ..."));
    ck_assert_uint_lt(strlen(text), sizeof text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ranges");
    MOE_TEST_LOOP(suite, list_is_read_and_written, MOE_ARRAY_LEN(cases));
    MOE_TEST(suite, long_text_is_cut);
    return suite;
}
