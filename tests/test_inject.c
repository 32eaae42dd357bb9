/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/inject.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const struct {
    const char *text;
    moe_site site;
    int rank;
} injections[] = {
    {"config:0", MOE_SITE_CONFIG, 0},
    {"plan:3", MOE_SITE_PLAN, 3},
    {"finish:2147483647", MOE_SITE_FINISH, 2147483647},
    {"ffn:007", MOE_SITE_FFN, 7},
};

START_TEST(injection_is_read)
{
    moe_injection in = {0};
    moe_error err = {0};
    moe_status s = moe_injection_parse(injections[_i].text, &in, &err);
    ck_assert_msg(s == MOE_OK, "%s", err.text);
    ck_assert(in.armed && in.site == injections[_i].site);
    ck_assert_int_eq(in.rank, injections[_i].rank);
}
END_TEST

static const struct {
    const char *text, *says;
} bad_injections[] = {
    {"", "is not SITE:RANK"},
    {":", "is not SITE:RANK"},
    {"plan", "is not SITE:RANK"},
    {"plan:", "is not SITE:RANK"},
    {"plan:x", "is not SITE:RANK"},
    {"plan:1x", "is not SITE:RANK"},
    {"plan:1 ", "is not SITE:RANK"},
    {"plan: 1", "is not SITE:RANK"},
    {"plan:+1", "is not SITE:RANK"},
    {"plan:-1", "is not SITE:RANK"},
    {"plan:2147483648", "is not SITE:RANK"},
    {"plan:99999999999999999999", "is not SITE:RANK"},
    {"plan:1:2", "is not SITE:RANK"},
    {":1", "sites: config, trace"},
    {"plane:1", "write, finish)"},
    {"pla:1", "'pla:1': no such site"},
    {"PLAN:1", "no such site"},
};

START_TEST(bad_injection_is_refused)
{
    moe_injection in = {false, MOE_SITE_FFN, 42};
    moe_error err = {0};
    ck_assert_int_eq(moe_injection_parse(bad_injections[_i].text, &in, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, bad_injections[_i].says) != NULL, "%s",
                  err.text);
    ck_assert(!in.armed && in.site == MOE_SITE_FFN && in.rank == 42);
}
END_TEST

START_TEST(overlong_injection_still_lists_the_sites)
{
    char text[1000];
    moe_injection in;
    moe_error err = {0};
    memset(text, 'x', sizeof text);
    snprintf(text + 990, 10, ":1");
    moe_injection_parse(text, &in, &err);
    ck_assert_msg(strstr(err.text, "write, finish)") != NULL, "%s", err.text);
}
END_TEST

START_TEST(every_site_has_a_name_that_reads_back_and_a_help)
{
    char text[64];
    moe_injection in;
    moe_error err = {0};
    const moe_site site = (moe_site)_i;
    snprintf(text, sizeof text, "%s:5", moe_site_name(site));
    ck_assert_int_eq(moe_injection_parse(text, &in, &err), MOE_OK);
    ck_assert(in.site == site && in.rank == 5);
    ck_assert_uint_gt(strlen(moe_site_help(site)), 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("inject");
    MOE_TEST_LOOP(suite, injection_is_read, MOE_ARRAY_LEN(injections));
    MOE_TEST_LOOP(suite, bad_injection_is_refused,
                  MOE_ARRAY_LEN(bad_injections));
    MOE_TEST(suite, overlong_injection_still_lists_the_sites);
    MOE_TEST_LOOP(suite, every_site_has_a_name_that_reads_back_and_a_help,
                  MOE_N_SITES);
    return suite;
}
