/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/text.h"

#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const struct {
    size_t size; /* of the buffer */
    const char *text;
} cuts[] = {
    {1, ""},
    {2, "o"},
    {4, "one"},
    {5, "one,"},
    {6, "one, "},
    {7, "one, 2"},
    {8, "one, 2,"},
    {9, "one, 2, "},
    {10, "one, 2, t"},
    {14, "one, 2, three"},
    {64, "one, 2, three"},
};

START_TEST(text_is_cut_where_its_buffer_ends)
{
    char text[66];
    memset(text, '#', sizeof text);
    text[0] = '\0';
    const size_t size = cuts[_i].size;
    moe_text_add(text, size, ", ", "%s", "one");
    moe_text_add(text, size, ", ", "%d", 2);
    moe_text_add(text, size, ", ", "%s", "three");
    ck_assert_str_eq(text, cuts[_i].text);
    ck_assert_int_eq(text[size], '#');
}
END_TEST

static const struct {
    const char *word, *name; /* NULL: none is near */
} typed[] = {
    {"report", "report"},
    {"reprot", "report"},
    {"repor", "report"},
    {"rreport", "report"},
    {"rapart", "report"},
    {"rapurd", NULL},
    {"tran", "train"},
    {"trani", "train"},
    {"maps", "map"},
    {"mp", NULL},
    {"x", NULL},
    {"", NULL},
    {"reportreportreportreportreportreportreport", NULL},
};

START_TEST(the_word_that_was_meant_is_near)
{
    static const char *const names[] = {"run", "train", "report", NULL, "map"};
    moe_nearest meant = {.word = typed[_i].word};
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++)
        moe_nearest_try(&meant, names[i]);
    ck_assert_pstr_eq(meant.name, typed[_i].name);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("text");
    MOE_TEST_LOOP(suite, text_is_cut_where_its_buffer_ends,
                  MOE_ARRAY_LEN(cuts));
    MOE_TEST_LOOP(suite, the_word_that_was_meant_is_near, MOE_ARRAY_LEN(typed));
    return suite;
}
