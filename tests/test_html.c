/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/html.h"

#include <stdlib.h>

#include "harness.h"
#include "moegps/mem.h"

#define LOST "\xef\xbf\xbd" /* U+FFFD */

static const struct {
    const char *text, *html;
} cases[] = {
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

START_TEST(text_stays_text)
{
    char *html = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&html, &size);
    moe_html_text(cases[_i].text, out);
    fclose(out);
    ck_assert_str_eq(html, cases[_i].html);
    free(html);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("html");
    MOE_TEST_LOOP(suite, text_stays_text, MOE_ARRAY_LEN(cases));
    return suite;
}
