/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/document/ink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const moe_ink plain = {.utf8 = false}, blocks = {.utf8 = true},
                     painted = {.colour = true, .utf8 = true};

static const struct {
    const moe_ink *ink;
    double share;
    int length;
    const char *bar;
} bars[] = {
    {&plain, 1, 4, "####"},
    {&plain, 0.5, 4, "##"},
    {&plain, 2, 4, "####"},
    {&plain, 0, 4, ""},
    {&plain, -1, 4, ""},
    {&plain, NAN, 4, ""},
    {&blocks, 1, 2, "\u2588\u2588"},
    {&blocks, 0.5625, 2, "\u2588\u258f"}, /* 9 of 16 */
    {&blocks, 0.4375, 2, "\u2589"},       /* 7 of 16 */
    {&blocks, 0.01, 2, ""},
};

START_TEST(bar_is_as_long_as_its_share)
{
    ck_assert_str_eq(
        moe_ink_bar(bars[_i].ink, bars[_i].share, bars[_i].length).text,
        bars[_i].bar);
}
END_TEST

static const double rising[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const double gap[4] = {1, NAN, 8, 8}, same[3] = {5, 5, 5};

static const struct {
    const moe_ink *ink;
    const double *x;
    size_t n;
    int length;
    const char *line;
} lines[] = {
    {&plain, rising, 8, 48, "_.:-=+*#"},
    {&blocks, rising, 8, 48,
     "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"},
    {&plain, rising, 8, 2, "_#"}, /* means of four */
    {&plain, gap, 4, 48, "_ ##"},
    {&plain, same, 3, 48, "==="}, /* between nothing and nothing: amid */
    {&plain, gap, 0, 48, ""},
};

START_TEST(sparkline_has_a_character_per_sample)
{
    ck_assert_str_eq(
        moe_ink_spark(lines[_i].ink, lines[_i].x, lines[_i].n, lines[_i].length)
            .text,
        lines[_i].line);
}
END_TEST

START_TEST(strokes_have_an_end)
{
    double x[1000];
    for (int i = 0; i < 1000; i++)
        x[i] = i;
    ck_assert_uint_eq(strlen(moe_ink_bar(&blocks, 1, 1000).text),
                      3 * MOE_INK_LEN);
    ck_assert_uint_eq(strlen(moe_ink_spark(&blocks, x, 1000, 1000).text),
                      3 * MOE_INK_LEN);
}
END_TEST

/* Memory is no terminal, whatever the environment says. */
START_TEST(only_terminals_have_colour)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    setenv("LC_ALL", "C", 1);
    moe_ink ink = moe_ink_of(out);
    ck_assert(!ink.colour && !ink.utf8);
    ck_assert_str_eq(moe_ink_on(&ink, MOE_HUE_GOOD), "");
    ck_assert_str_eq(moe_ink_off(&ink, MOE_HUE_GOOD), "");
    setenv("LC_ALL", "C.UTF-8", 1);
    ink = moe_ink_of(out);
    ck_assert(!ink.colour && ink.utf8);
    ck_assert_str_eq(moe_ink_on(&painted, MOE_HUE_GOOD), "\033[32m");
    ck_assert_str_eq(moe_ink_off(&painted, MOE_HUE_GOOD), "\033[0m");
    ck_assert_str_eq(moe_ink_off(&painted, MOE_HUE_NONE), "");
    fclose(out);
    free(text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ink");
    MOE_TEST_LOOP(suite, bar_is_as_long_as_its_share, MOE_ARRAY_LEN(bars));
    MOE_TEST_LOOP(suite, sparkline_has_a_character_per_sample,
                  MOE_ARRAY_LEN(lines));
    MOE_TEST(suite, strokes_have_an_end);
    MOE_TEST(suite, only_terminals_have_colour);
    return suite;
}
