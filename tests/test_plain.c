/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plain.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const struct {
    const char *text, *line, *lines; /* as one line; with lines */
} cleaned[] = {
    {"", "", ""},
    {"plain gr\xc3\xb6\xc3\x9f"
     "e \xe2\x82\xac \xf0\x9f\x98\x80",
     "plain gr\xc3\xb6\xc3\x9f"
     "e \xe2\x82\xac \xf0\x9f\x98\x80",
     "plain gr\xc3\xb6\xc3\x9f"
     "e \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"t\n\x1b]0;x\x07RESULT: VALID", "t??]0;x?RESULT: VALID",
     "t\n?]0;x?RESULT: VALID"},
    {"a\tb\rc\x7f", "a?b?c?", "a\tb?c?"},
    {"csi \xc2\x9b"
     "31m",
     "csi ??31m", "csi ??31m"},
    {"\xff\xc3", "??", "??"},
    {"\xc0\x80 \xed\xa0\x80", "?? ???", "?? ???"},
    {"\xe2\x80\xae"
     "dekcah",
     "???dekcah", "???dekcah"},
};

START_TEST(what_is_no_plain_character_is_replaced)
{
    char text[64];
    snprintf(text, sizeof text, "%s", cleaned[_i].text);
    moe_plain_clean(text, false);
    ck_assert_str_eq(text, cleaned[_i].line);
    snprintf(text, sizeof text, "%s", cleaned[_i].text);
    moe_plain_clean(text, true);
    ck_assert_str_eq(text, cleaned[_i].lines);
    moe_plain_clean(NULL, true);
}
END_TEST

static const struct {
    const char *text, *field;
} fields[] = {
    {"plain", "plain"},
    {"", ""},
    {"a,b", "\"a,b\""},
    {"say \"x\"", "\"say \"\"x\"\"\""},
    {"two\nlines", "\"two\nlines\""},
    {" x", "\" x\""},
    {"-1.5e-3", "-1.5e-3"},
    {"+4", "+4"},
    {"-", "-"},
    {"-18.6 us", "-18.6 us"},
    {"-3 %", "-3 %"},
    {"-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"},
    {"-sum(1)", "'-sum(1)"},
    {"=1+1", "'=1+1"},
    {"@SUM(A1)", "'@SUM(A1)"},
    {"-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"},
    {"+1,2", "\"'+1,2\""},
};

START_TEST(csv_fields_are_texts_and_numbers)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_plain_csv(fields[_i].text, out);
    fclose(out);
    ck_assert_str_eq(text, fields[_i].field);
    free(text);
}
END_TEST

START_TEST(errors_are_one_line)
{
    moe_error err = {0};
    moe_fail(&err, MOE_USAGE, "'%s' is not a number", "1\nRESULT: VALID\x1b[m");
    moe_error_prefix(&err, "%s", "a\r.csv");
    ck_assert_str_eq(err.text, "a?.csv: '1?RESULT: VALID?[m' is not a number");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("plain");
    MOE_TEST_LOOP(suite, what_is_no_plain_character_is_replaced,
                  MOE_ARRAY_LEN(cleaned));
    MOE_TEST_LOOP(suite, csv_fields_are_texts_and_numbers,
                  MOE_ARRAY_LEN(fields));
    MOE_TEST(suite, errors_are_one_line);
    return suite;
}
