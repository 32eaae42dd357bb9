/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/date.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"

START_TEST(date_is_the_present_in_utc)
{
    char text[MOE_DATE_LEN];
    struct tm read = {0};
    setenv("TZ", "Asia/Tokyo", 1); /* that must not show */
    tzset();
    const time_t before = time(NULL);
    moe_date_now(text);
    const time_t after = time(NULL);
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &read);
    ck_assert_ptr_nonnull(end);
    ck_assert_str_eq(end, "");
    ck_assert_uint_eq(strlen(text), 20);
    const time_t said = timegm(&read);
    ck_assert(said >= before && said <= after);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("date");
    MOE_TEST(suite, date_is_the_present_in_utc);
    return suite;
}
