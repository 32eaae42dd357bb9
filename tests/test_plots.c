/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/figures/data.h"
#include "../src/figures/gnuplot.h"
#include "../src/figures/legend.h"
#include "../src/figures/plot_rows.h"
#include "../src/figures/script.h"
#include "../src/figures/templates.h"
#include "harness.h"
#include "moegps/mem.h"

/* ---- text that is kept ---- */

typedef struct text {
    FILE *out;
    char *text;
    size_t size;
} text;

static void begin(text *t)
{
    t->out = open_memstream(&t->text, &t->size);
}

/* Check what was written. */
static void expect(text *t, const char *expected)
{
    fclose(t->out);
    ck_assert_str_eq(t->text, expected);
    free(t->text);
}

/* Check an array `a` of one item. */
static void expect_item(text *t, const char *item)
{
    char expected[128];
    snprintf(expected, sizeof expected, "array a[1] = [%s]\n", item);
    expect(t, expected);
}

/* ---- axes ---- */

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
    static const struct {
        moe_axis axis;
        const char *expected;
    } cases[] = {
        {{3, 3},
         "x_low = 1.5\nx_high = 6\nn_x_ticks = 2\n"
         "array x_tick[2] = [2, 5]\n"},
        {{1, 5000},
         "x_low = 0.5\nx_high = 10000\nn_x_ticks = 5\n"
         "array x_tick[5] = [1, 10, 100, 1000, 10000]\n"},
        {{INFINITY, -INFINITY},
         "x_low = 1\nx_high = 10\nn_x_ticks = 4\n"
         "array x_tick[4] = [1, 2, 5, 10]\n"},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(cases); i++) {
        text t;
        begin(&t);
        moe_axis_put_log(&cases[i].axis, t.out);
        expect(&t, cases[i].expected);
    }
}
END_TEST

/* A file may say anything: what has too many decades has fewer ticks. */
START_TEST(logarithmic_axis_of_many_decades_has_room)
{
    const moe_axis ends = {1e-300, 1e300};
    double tick[MOE_LOG_TICKS + 1];
    tick[MOE_LOG_TICKS] = -1;
    ck_assert_int_eq(moe_axis_log_ticks(&ends, tick), MOE_LOG_TICKS);
    ck_assert_double_eq(tick[MOE_LOG_TICKS], -1);
}
END_TEST

/* ---- names in gnuplot's language, and in data ---- */

static const struct {
    const char *name, *quoted, *tick, *field;
} names[] = {
    {"baseline", "'baseline'", "'baseline'", "baseline"},
    {"acc 90%", "'acc 90%'", "'acc 90%%'", "acc 90%"},
    {"%s%%d", "'%s%%d'", "'%%s%%%%d'", "%s%%d"},
    {"a_b^c {x}@m", "'a_b^c {x}@m'", "'a_b^c {x}@m'", "a_b^c {x}@m"},
    {"it's", "'it''s'", "'it''s'", "it's"},
    {"'' a'b", "''.\"\\047\".''.\"\\047\".' a''b'",
     "''.\"\\047\".''.\"\\047\".' a''b'", "'' a'b"},
    {"`date` $x \\n", "'`date` $x \\n'", "'`date` $x \\n'", "`date` $x \\n"},
    {"say \"hi\", you", "'say \"hi\", you'", "'say \"hi\", you'",
     "\"say 'hi', you\""},
    {"\"", "'\"'", "'\"'", "'"},
    {"two\nlines\t", "'two lines '", "'two'.\"\\n\".'lines '", "two?lines?"},
    {" \u20ac", "' \u20ac'", "' \u20ac'", "\" \u20ac\""},
    {"", "''", "''", ""},
};

START_TEST(names_are_escaped_as_their_reader_needs)
{
    text t;
    begin(&t);
    moe_script_texts(t.out, "a", &names[_i].name, 1);
    expect_item(&t, names[_i].quoted);

    begin(&t);
    moe_script_ticks(t.out, "a", &names[_i].name, 1, 80);
    expect_item(&t, names[_i].tick);

    begin(&t);
    moe_plot_data data = {.out = t.out};
    char expected[80];
    snprintf(expected, sizeof expected, "a,%s\n1,%s", names[_i].field,
             names[_i].field);
    moe_data_columns(&data, "a");
    moe_data_column(&data, names[_i].name);
    moe_data_number(&data, 1);
    moe_data_text(&data, names[_i].name);
    expect(&t, expected);
}
END_TEST

/* gnuplot cuts labels that it formats after 49 bytes, which may be within a
 * character. */
START_TEST(labels_with_a_per_cent_sign_are_cut_between_characters)
{
    static const char percent[] =
        "%\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
        "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac";
    static const char *const labels[] = {percent, percent + 1};
    static const char *const clusters[] = {"a-name-of-a-cluster"};
    text t;
    begin(&t);
    moe_script_ticks(t.out, "a", labels, 2, 80);
    moe_script_ticks(t.out, "b", clusters, 1, 8);
    expect(&t, "array a[2] = ['%%\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
               "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac~', "
               "'\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
               "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac']\n"
               "array b[1] = ['a-name-~']\n");
}
END_TEST

START_TEST(variables_are_in_gnuplots_language)
{
    static const int numbers[] = {1, -2};
    text t;
    begin(&t);
    moe_script_number(t.out, "x", 0.1);
    moe_script_number(t.out, "y", NAN);
    moe_script_text(t.out, "z", "%d %%", 5);
    moe_script_integers(t.out, "a", numbers, 2);
    moe_script_integers(t.out, "none", numbers, 0);
    expect(&t, "x = 0.1\ny = NaN\nz = '5 %'\narray a[2] = [1, -2]\n"
               "array none[1] = [0]\n");
}
END_TEST

START_TEST(data_keeps_what_columns_span)
{
    text t;
    begin(&t);
    moe_plot_data data = {.out = t.out};
    moe_data_columns(&data, "a,b,c");
    for (int i = 0; i < 2; i++) {
        const double row[] = {i, i == 0 ? NAN : 7, 5 - i};
        moe_data_numbers(&data, row, 3);
    }
    const moe_axis all = moe_data_span(&data, 1, 3);
    const moe_axis b = moe_data_span(&data, 2, 2);
    ck_assert_double_eq(all.low, 0);
    ck_assert_double_eq(all.high, 7);
    ck_assert_double_eq(b.low, 7);
    expect(&t, "a,b,c\n0,,5\n1,7,4");
}
END_TEST

/* ---- legends and rows ---- */

/* @return a variable of a script. */
static double value_of(const char *script, const char *name)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%s = ", name);
    const char *found = strstr(script, wanted);
    ck_assert_ptr_nonnull(found);
    return atof(found + strlen(wanted));
}

/* @return pixels above the axes. */
static double top_of(const moe_legend *legend, const char *y_title)
{
    text t;
    begin(&t);
    moe_legend_put(legend, y_title, 100, t.out);
    fclose(t.out);
    const double top = value_of(t.text, "top");
    ck_assert_double_eq(value_of(t.text, "height"), top + 100);
    free(t.text);
    return top;
}

/* Every entry is within the figure, and none is upon another. */
START_TEST(legend_flows_in_lines)
{
    enum { MANY = 30 };
    moe_legend legend = {0};
    const double empty = top_of(&legend, "");
    moe_legend_add(&legend, "short", MOE_LEGEND_BOX, 1, 0);
    const double one = top_of(&legend, "");
    const double line = top_of(&legend, "y") - one;
    ck_assert_double_gt(one, empty);
    moe_legend_add(&legend, "short, too", MOE_LEGEND_LINE, 2, 1);
    ck_assert_double_eq(top_of(&legend, ""), one);
    for (int i = 0; i < MANY; i++)
        moe_legend_add(&legend,
                       "a-strategy-with-quite-a-long-name-of-63-"
                       "bytes-which-is-the-most-of-al",
                       MOE_LEGEND_POINT, 3, 7);
    ck_assert_double_eq(top_of(&legend, ""), one + MANY * line);
    moe_legend_add(&legend, "", MOE_LEGEND_POINT, 0, 1); /* not named */
    ck_assert_double_eq(top_of(&legend, ""), one + MANY * line);
}
END_TEST

/* Rows go by time, the fastest first and those without one last; long names are
 * cut. */
START_TEST(rows_are_in_the_order_of_time)
{
    moe_strategy_view strategy[4] = {0};
    moe_view view = {.dims = {.strategies = 4}, .strategy = strategy};
    const moe_run_analysis run = {.view = &view,
                                  .verdict = {.clock = MOE_CLOCK_GPU}};
    const double time_s[] = {2e-3, NAN, 1e-3, 2e-3};
    for (int s = 0; s < 4; s++) {
        strategy[s].summary[MOE_CLOCK_GPU].median = time_s[s];
        snprintf(strategy[s].name, sizeof strategy[s].name, "%s",
                 s == 0 ? "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
                        : names[s].name);
    }
    text t;
    begin(&t);
    moe_plot_rows_put(&run, MOE_ROW, moe_plot_row_time, t.out);
    expect(&t, "n_rows = 4\nrow_px = 40\narray place[4] = [1, 3, 0, 2]\n"
               "array row_colour[4] = [1, 2, 5, 6]\n"
               "array row[4] = ['wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww~', "
               "'acc 90%', '%s%%d', 'a_b^c {x}@m']\n"
               "array value[4] = ['2.00 ms', 'n/a', '1.00 ms', '2.00 ms']\n");
}
END_TEST

/* The reference, a forecast, a predictor of tokens, an oracle, then others, as
 * long as there are colours. */
START_TEST(strategies_keep_their_colours)
{
    enum { N = 14 };
    moe_strategy_view strategy[N] = {0};
    const moe_view view = {
        .dims = {.strategies = N}, .strategy = strategy, .reference_index = 2};
    static const int expected[N] = {4, 3, 1, 5, 2, 6, 7, 8, 9, 10, 5, 6, 7, 8};
    int colour[N];
    strategy[0].facts.knows_future = true;
    strategy[1].facts.foretells_tokens = true;
    strategy[3].facts.knows_future = true;
    strategy[5].facts.foretells_tokens = true;
    moe_strategy_colours(&view, colour);
    for (int s = 0; s < N; s++)
        ck_assert_int_eq(colour[s], expected[s]);
}
END_TEST

/* Ticks of ratios: as many as fit, of the digits that people would choose. */
START_TEST(ratios_have_ticks_that_people_would_choose)
{
    static const struct {
        moe_axis axis;
        const char *ticks;
    } cases[] = {
        {{0.42, 1}, "[0.5, 0.6, 0.8, 1]"},
        {{0.98, 1.12}, "[1, 1.05, 1.1, 1.15]"},
        {{1, 9}, "[1, 1.5, 2, 3, 5, 7]"},
        {{0.01, 3}, "[0.01, 0.03, 0.1, 0.3, 1, 3]"},
        {{INFINITY, -INFINITY}, "[0.98, 0.99, 1, 1.01, 1.02, 1.03]"},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(cases); i++) {
        char *script = NULL;
        size_t size;
        FILE *out = open_memstream(&script, &size);
        moe_axis_put_ratios(&cases[i].axis, 7, out);
        fclose(out);
        ck_assert_msg(strstr(script, cases[i].ticks) != NULL, "%s", script);
        free(script);
    }
}
END_TEST

/* ---- figures ---- */

enum { ITERATIONS = 3 };

/* A run whose strategies are all different; names[] are among theirs. */
static moe_view view_of(int strategies)
{
    moe_view v = {.dims = {.strategies = strategies,
                           .iterations = ITERATIONS,
                           .gpus = 2,
                           .experts = 4},
                  .measured = ITERATIONS,
                  .period = 1};
    v.config = moe_strdup("", NULL);
    v.strategy = moe_array_new((size_t)strategies, sizeof *v.strategy, NULL);
    for (int s = 0; s < strategies; s++) {
        moe_strategy_view *y = &v.strategy[s];
        const moe_summary time = {.n = ITERATIONS,
                                  .median = 1e-3 * (s + 1),
                                  .ci_low = NAN,
                                  .ci_high = NAN};
        snprintf(y->name, sizeof y->name, "%s",
                 s < (int)MOE_ARRAY_LEN(names) ? names[s].name : "more");
        for (int c = 0; c < MOE_N_CLOCKS; c++) {
            y->layer_time[c] =
                moe_array_new(ITERATIONS, sizeof *y->layer_time[c], NULL);
            for (int i = 0; i < ITERATIONS; i++)
                y->layer_time[c][i] = 1e-3 * (s + i + 1);
            y->summary[c] = time;
            y->speedup[c] = (moe_ratio){ITERATIONS, 1.0 / (s + 1), NAN, NAN};
            y->phase[c][MOE_PHASE_PREDICT] = 1e-6 * (s + 1);
            y->phase[c][MOE_PHASE_FFN] = 1e-3 * (s + 1);
        }
        y->recall.median = 0.01 * (s + 1);
        y->bound = (moe_summary){.n = ITERATIONS, .mean = 1.1};
    }
    return v;
}

/* More strategies than curves, marks and colours; names that are syntax
 * elsewhere. */
START_TEST(figures_of_many_strategies_are_drawn)
{
    static const int counts[] = {1, 5, 14, MOE_MAX_STRATEGIES};
    moe_view view = view_of(counts[_i]);
    moe_run_analysis run = {.view = &view, .verdict = {.clock = MOE_CLOCK_GPU}};
    const moe_analysis analysis = {.run = &run, .n = 1};
    moe_plots plots = {0};
    ck_assert_int_eq(moe_plots_draw(&analysis, test_dir, &plots, NULL), MOE_OK);
    ck_assert_uint_ge(plots.n, 3);
    for (size_t i = 0; i < plots.n; i++) {
        ck_assert_msg(plots.item[i].failure == NULL, "%s: %s",
                      plots.item[i].name, plots.item[i].failure);
        ck_assert_int_eq(plots.item[i].svg != NULL, plots.gnuplot);
        if (!plots.gnuplot || counts[_i] < 5)
            continue;
        ck_assert_msg(strstr(plots.item[i].svg, "a_b^c {x}@m<") != NULL, "%s",
                      plots.item[i].name);
        ck_assert_ptr_nonnull(strstr(plots.item[i].svg, ">acc 90%<"));
        /* What points tell, one for each. */
        size_t points = 0;
        for (const char *at = plots.item[i].svg;
             (at = strstr(at, " opacity='0.00'")) != NULL; at++)
            points++;
        ck_assert_uint_eq(points, plots.item[i].n_tips);
    }
    moe_plots_fini(&plots);
    moe_view_free(&view);
}
END_TEST

START_TEST(templates_are_part_of_the_program)
{
    ck_assert_ptr_nonnull(strstr(moe_template("frame"), "set encoding utf8\n"));
    ck_assert_ptr_nonnull(strstr(moe_template("map"), "letters[s:s].'  '."));
    ck_assert_ptr_null(moe_template("fram"));
}
END_TEST

START_TEST(gnuplots_last_line_says_why_it_failed)
{
    char path[300], reason[64];
    if (!moe_gnuplot_run(test_dir, "--version", reason, sizeof reason))
        return;
    snprintf(path, sizeof path, "%s/bad.gp", test_dir);
    FILE *out = fopen(path, "w");
    fputs("set output\nplot nothing\n", out);
    fclose(out);
    ck_assert(!moe_gnuplot_run(test_dir, "bad.gp", reason, sizeof reason));
    ck_assert_str_eq(reason, "\"bad.gp\" line 2: undefined variable: nothing");
    ck_assert(!moe_gnuplot_run(test_dir, "none.gp", reason, sizeof reason));
    ck_assert(!moe_gnuplot_run("/nowhere", "bad.gp", reason, sizeof reason));
    ck_assert_str_eq(reason, "gnuplot cannot be run");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("plots");
    MOE_TEST_LOOP(suite, axis_shows_its_numbers_with_round_ticks,
                  MOE_ARRAY_LEN(axes));
    MOE_TEST(suite, logarithmic_axis_is_labelled_at_1_2_5);
    MOE_TEST(suite, logarithmic_axis_of_many_decades_has_room);
    MOE_TEST_LOOP(suite, names_are_escaped_as_their_reader_needs,
                  MOE_ARRAY_LEN(names));
    MOE_TEST(suite, labels_with_a_per_cent_sign_are_cut_between_characters);
    MOE_TEST(suite, variables_are_in_gnuplots_language);
    MOE_TEST(suite, data_keeps_what_columns_span);
    MOE_TEST(suite, legend_flows_in_lines);
    MOE_TEST(suite, rows_are_in_the_order_of_time);
    MOE_TEST(suite, strategies_keep_their_colours);
    MOE_TEST(suite, ratios_have_ticks_that_people_would_choose);
    MOE_TEST_LOOP(suite, figures_of_many_strategies_are_drawn, 4);
    MOE_TEST(suite, templates_are_part_of_the_program);
    MOE_TEST(suite, gnuplots_last_line_says_why_it_failed);
    return suite;
}
