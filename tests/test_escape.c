/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/escape.h"
#include "moegps/plain.h"

#include <stdlib.h>

#include "harness.h"
#include "moegps/mem.h"

/* What is written of a text. */
static void says(void (*write)(const char *text, FILE *out), const char *text,
                 const char *expected)
{
    char *got = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&got, &size);
    write(text, out);
    fclose(out);
    ck_assert_str_eq(got, expected);
    free(got);
}

#define LOST "\xef\xbf\xbd" /* U+FFFD */

static const struct {
    const char *text, *html;
} pages[] = {
    {"<script>alert('1')</script>",
     "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"},
    {"\" onload=\"x&y", "&quot; onload=&quot;x&amp;y"},
    {"two\nlines\tand \x1b[31mred", "two\nlines\tand " LOST "[31mred"},
    {"f\xc3\xbcnf \xe2\x82\xac \xf0\x9f\x98\x80",
     "f\xc3\xbcnf \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"cut: \xe2\x82", "cut: " LOST LOST},
    {"overlong: \xc0\xbc", "overlong: " LOST LOST},
    {"surrogate: \xed\xa0\x80", "surrogate: " LOST LOST LOST},
    {"too far: \xf4\x90\x80\x80", "too far: " LOST LOST LOST LOST},
    {"", ""},
    {NULL, ""},
};

START_TEST(html_stays_text)
{
    says(moe_html_text, pages[_i].text, pages[_i].html);
}
END_TEST

static const struct {
    const char *text, *shown;
} terminals[] = {
    {"plain <b>&\"text\"</b>", "plain <b>&\"text\"</b>"},
    {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
    {"\x1b]0;title\a", "\\x1b]0;title\\x07"},
    {"a\nRESULT: VALID\rb\tc\x7f", "a\\x0aRESULT: VALID\\x0db\\x09c\\x7f"},
    {"C1: \xc2\x9b"
     "31m",
     "C1: \\xc2\\x9b31m"},
    {"f\xc3\xbcnf \xe2\x82\xac", "f\xc3\xbcnf \xe2\x82\xac"},
    {"cut: \xe2\x82", "cut: \\xe2\\x82"},
    {"bare: \x9b"
     "31m",
     "bare: \\x9b31m"},
    {"", ""},
    {NULL, ""},
};

START_TEST(terminals_get_no_control_characters)
{
    says(moe_terminal_text, terminals[_i].text, terminals[_i].shown);
}
END_TEST

static const struct {
    const char *text, *field;
} fields[] = {
    {"plain text", "plain text"},
    {"a,b", "\"a,b\""},
    {"the \"best\"", "\"the \"\"best\"\"\""},
    {"two\nlines", "\"two\nlines\""},
    {"\r", "\"'\r\""},
    {"", ""},
};

START_TEST(fields_are_quoted_where_needed)
{
    says(moe_plain_csv, fields[_i].text, fields[_i].field);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("escape");
    MOE_TEST_LOOP(suite, html_stays_text, MOE_ARRAY_LEN(pages));
    MOE_TEST_LOOP(suite, terminals_get_no_control_characters,
                  MOE_ARRAY_LEN(terminals));
    MOE_TEST_LOOP(suite, fields_are_quoted_where_needed, MOE_ARRAY_LEN(fields));
    return suite;
}
