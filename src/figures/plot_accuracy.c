/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "legend.h"
#include "moegps/cells.h"
#include "moegps/mem.h"
#include "plot.h"
#include "script.h"

/* What accuracy is worth and what it costs: strategies that foretell tokens.
 * Oracles of less than full accuracy are what a predictor would reach if it
 * cost nothing: the curve. Predictors that exist are points. */

enum {
    MIN_POINTS = 3,
    MARKED = 12,   /* predictors that have a mark and a name of their own */
    FIRST_MARK = 5 /* of the types of points: others than curves have */
};

static void put_points(const moe_plot_subject *x, moe_contenders who,
                       moe_plot_data *out)
{
    const moe_view *v = x->run->view;
    const moe_strategies all = moe_by_recall(v, who);
    for (int i = 0; i < all.n; i++) {
        const moe_strategy_view *y = &v->strategy[all.at[i]];
        const moe_summary *t = &y->summary[MOE_CLOCK_GPU];
        const double values[] = {y->recall.median,
                                 y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT],
                                 t->median, t->ci_low, t->ci_high};
        moe_data_tip(out, "%s: %s right, %s", y->name,
                     moe_percent_cell(y->recall.median).text,
                     moe_time_cell(t->median).text);
        moe_data_number(out, who == MOE_ORACLES_TOKENS);
        moe_data_text(out, y->name);
        moe_data_numbers(out, values, MOE_ARRAY_LEN(values));
    }
}

/* Points that are close would have their names one upon the other: each has
 * a mark, and the legend its name. Those that are too many are grey. */
static void add_marks(const moe_view *v, moe_legend *legend)
{
    const moe_strategies all = moe_by_recall(v, MOE_BUILDABLE_TOKENS);
    int colour[MOE_MAX_STRATEGIES];
    moe_strategy_colours(v, colour);
    for (int i = 0; i < all.n; i++)
        if (i < MARKED)
            moe_legend_add(legend, v->strategy[all.at[i]].name,
                           MOE_LEGEND_POINT, colour[all.at[i]],
                           moe_point_type(FIRST_MARK + i));
        else
            moe_legend_add(legend, i == MARKED ? "others" : "",
                           MOE_LEGEND_POINT, MOE_PLOT_GREY, 1);
}

static const char columns[] =
    "oracle,strategy,recall,predict_s,time_s,ci_low_s,ci_high_s";

/* ---- accuracy ---- */

static bool accuracy_present(const moe_plot_subject *x)
{
    return moe_by_recall(x->run->view, MOE_ORACLES_TOKENS).n +
               moe_by_recall(x->run->view, MOE_BUILDABLE_TOKENS).n >=
           MIN_POINTS;
}

static void accuracy_data(const moe_plot_subject *x, moe_plot_data *out)
{
    moe_data_columns(out, columns);
    put_points(x, MOE_ORACLES_TOKENS, out);
    put_points(x, MOE_BUILDABLE_TOKENS, out);
}

static void accuracy_script(const moe_plot_subject *x,
                            const moe_plot_data *data, FILE *out)
{
    const moe_view *v = x->run->view;
    const moe_strategy_view *reference = &v->strategy[v->reference_index];
    const double time_s = reference->summary[MOE_CLOCK_GPU].median;
    const int oracles = moe_by_recall(v, MOE_ORACLES_TOKENS).n;
    moe_legend legend = {0};
    int colour[MOE_MAX_STRATEGIES];
    moe_strategy_colours(v, colour);
    if (oracles > 0)
        moe_legend_add(&legend, "free oracles of that accuracy",
                       MOE_LEGEND_LINE, MOE_PLOT_GREY, 1);
    moe_legend_add(&legend, reference->name, MOE_LEGEND_LINE,
                   colour[v->reference_index], 2);
    moe_script_number(out, "n_others", legend.n);
    moe_script_number(out, "n_oracles", oracles);
    add_marks(v, &legend);
    moe_legend_put(&legend, "time of a layer (gpu clock, modelled)",
                   MOE_PLOT_PLAIN_HEIGHT, out);
    moe_script_number(out, "reference", time_s);

    const moe_axis recall = moe_axis_scaled(moe_data_span(data, 3, 3), 100);
    const moe_axis ends = moe_axis_ends(&recall);
    moe_script_text(out, "x_title",
                    "share of a token's experts that were predicted, %%");
    moe_script_number(out, "x_low", fmin(ends.low, recall.low - 1.5));
    moe_script_number(out, "x_high", fmax(ends.high, recall.high + 1.5));
    moe_script_number(out, "x_step", moe_axis_step(&ends, 7));

    moe_axis y = moe_data_span(data, 5, 7);
    moe_axis_take(&y, time_s);
    const moe_plot_unit unit = moe_plot_time_unit(y.high);
    y = moe_axis_scaled(y, unit.factor);
    moe_axis_put(&y, "y", 6, out);
    moe_script_text(out, "y_format", "%%h %s", unit.name);
    moe_script_number(out, "unit", unit.factor);
}

const moe_plot_type moe_plot_accuracy = {
    .name = "accuracy",
    .title = "Layer time against prediction accuracy",
    .of = MOE_PLOT_OF_RUN,
    .template = {"accuracy"},
    .present = accuracy_present,
    .data = accuracy_data,
    .script = accuracy_script,
};

/* ---- accuracy against overhead ---- */

static double predict_s(const moe_view *v, int s)
{
    return v->strategy[s].phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT];
}

static bool overhead_present(const moe_plot_subject *x)
{
    const moe_strategies all =
        moe_by_recall(x->run->view, MOE_BUILDABLE_TOKENS);
    int priced = 0;
    for (int i = 0; i < all.n; i++)
        priced += predict_s(x->run->view, all.at[i]) > 0;
    return priced >= 2;
}

static void overhead_data(const moe_plot_subject *x, moe_plot_data *out)
{
    moe_data_columns(out, columns);
    put_points(x, MOE_BUILDABLE_TOKENS, out);
}

static void overhead_script(const moe_plot_subject *x,
                            const moe_plot_data *data, FILE *out)
{
    const moe_view *v = x->run->view;
    const moe_strategies all = moe_by_recall(v, MOE_BUILDABLE_TOKENS);
    const moe_axis y = moe_axis_scaled(moe_data_span(data, 3, 3), 100);
    moe_axis us = moe_axis_empty;
    moe_legend legend = {0};
    add_marks(v, &legend);
    moe_legend_put(&legend, "share of a token's experts, %",
                   MOE_PLOT_PLAIN_HEIGHT, out);
    for (int i = 0; i < all.n; i++)
        if (predict_s(v, all.at[i]) > 0)
            moe_axis_take(&us, 1e6 * predict_s(v, all.at[i]));
    moe_axis_put_log(&us, out);
    moe_axis_put(&y, "y", 6, out);
    moe_script_text(out, "x_title",
                    "time of prediction per layer, us (gpu clock, modelled)");
}

const moe_plot_type moe_plot_overhead = {
    .name = "overhead",
    .title = "Accuracy against overhead",
    .of = MOE_PLOT_OF_RUN,
    .template = {"overhead"},
    .present = overhead_present,
    .data = overhead_data,
    .script = overhead_script,
};
