/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/figures/plot_frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* What an axis is given, where it ends, and how far ticks are apart. */
static const struct {
    double x[3], low, high, step;
    int ticks;
} axes[] = {
    {{0.98, 1.19, 1.0}, 0.9716, 1.1984, 0.05, 5},
    {{0, 7, 3}, 0, 7.28, 1, 8}, /* 0 has no air */
    {{-0.2, 0.8, 0}, -0.24, 0.84, 0.2, 6},
    {{0.01, 1, 0.5}, 0, 1.0396, 0.2, 6}, /* nor is there any beyond it */
    {{1, 1, 1}, 0.95, 1.05, 0.02, 5},    /* one value */
    {{0, 0, 0}, -0.5, 0.5, 0.2, 5},
    {{NAN, NAN, INFINITY}, 0, 1, 0.2, 5}, /* none */
    {{NAN, 2, 4}, 1.92, 4.08, 0.5, 5},
};

START_TEST(axis_shows_its_numbers_with_round_ticks)
{
    moe_axis axis = moe_axis_empty;
    for (int i = 0; i < 3; i++)
        moe_axis_take(&axis, axes[_i].x[i]);
    const moe_axis ends = moe_axis_ends(&axis);
    const double step = moe_axis_step(&ends, axes[_i].ticks);
    ck_assert_double_eq_tol(ends.low, axes[_i].low, 1e-12);
    ck_assert_double_eq_tol(ends.high, axes[_i].high, 1e-12);
    ck_assert_double_eq_tol(step, axes[_i].step, 1e-12);
    ck_assert_double_le((ends.high - ends.low) / step, axes[_i].ticks + 1e-6);
}
END_TEST

START_TEST(logarithmic_axis_is_labelled_at_1_2_5)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const moe_axis one = {3, 3}, wide = {1, 5000};
    moe_axis_put_log(&one, "x", out);
    moe_axis_put_log(&wide, "x", out);
    moe_axis_put_log(&moe_axis_empty, "x", out);
    fclose(out);
    ck_assert_str_eq(text, "set logscale x\nset xrange [1.5:6]\n"
                           "set xtics (2, 5)\n"
                           "set logscale x\nset xrange [0.5:10000]\n"
                           "set xtics (1, 10, 100, 1000, 10000)\n"
                           "set logscale x\nset xrange [1:10]\n"
                           "set xtics (1, 2, 5, 10)\n");
    free(text);
}
END_TEST

/* Every entry is within the figure, and none is upon another. */
START_TEST(legend_flows_in_lines)
{
    moe_plot_head head = {0};
    const int empty = moe_plot_head_height(&head);
    moe_plot_head_add(&head, "short", MOE_LOOK_BOX, 1, 0);
    const int one = moe_plot_head_height(&head);
    moe_plot_head_add(&head, "short, too", MOE_LOOK_LINE, 2, 1);
    ck_assert_int_eq(moe_plot_head_height(&head), one);
    for (int i = 0; i < 2 * MOE_PLOT_ENTRIES; i++)
        moe_plot_head_add(&head,
                          "a-strategy-with-quite-a-long-name-of-63-"
                          "bytes-which-is-the-most-of-al",
                          MOE_LOOK_POINT, 3, 7);
    ck_assert_int_eq(head.n, MOE_PLOT_ENTRIES);
    ck_assert_int_gt(one, empty);
    const int line = moe_plot_head_height(&head) - one;
    ck_assert_int_eq(line % (MOE_PLOT_ENTRIES - 2), 0);
    ck_assert_int_ge(line / (MOE_PLOT_ENTRIES - 2), 15);
}
END_TEST

/* Names of rows are broken where words end, and cut after two lines. */
static const struct {
    const char *name, *shown;
} rows[] = {
    {"baseline", "\"baseline\" 0"},
    {"distribution-only-duplicate-quota",
     "\"distribution-only-\\nduplicate-quota\" 0"},
    {"a'name\"with`all\\of,it", "\"a name with all of;it\" 0"},
    {"wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
     "\"wwwwwwwwwwwwwwwwwwwwww\\nwwwwwwwwwwwwwwwwwwwwww~\" 0"},
    {"\u20ac\u20ac\u20ac", "\"\u20ac\u20ac\u20ac\" 0"},
    {"", "\"\" 0"},
};

START_TEST(names_of_rows_fit)
{
    moe_strategy_view strategy = {0};
    moe_view view = {.dims = {.strategies = 1}, .strategy = &strategy};
    moe_run_analysis run = {.view = &view};
    const moe_plot_scene scene = {.run = &run};
    snprintf(strategy.name, sizeof strategy.name, "%s", rows[_i].name);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_plot_rows(&scene, out);
    fclose(out);
    ck_assert_msg(strstr(text, rows[_i].shown) != NULL, "%s", text);
    ck_assert_int_ge(moe_plot_rows_ticks(&scene), 5);
    free(text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("plot");
    MOE_TEST_LOOP(suite, axis_shows_its_numbers_with_round_ticks,
                  MOE_ARRAY_LEN(axes));
    MOE_TEST(suite, logarithmic_axis_is_labelled_at_1_2_5);
    MOE_TEST(suite, legend_flows_in_lines);
    MOE_TEST_LOOP(suite, names_of_rows_fit, MOE_ARRAY_LEN(rows));
    return suite;
}
