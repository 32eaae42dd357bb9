/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>

#include "../report/cells.h"
#include "plot_frame.h"

/* What accuracy is worth and what it costs: strategies that foretell tokens.
 * Oracles of less than full accuracy are what a predictor would reach if it
 * cost nothing: the curve. Predictors that exist are points. */

enum { MIN_POINTS = 3, MARKED = 12 /* with an own mark */ };

static const moe_strategy_view *strategy(const moe_plot_scene *scene, int s)
{
    return &scene->run->view->strategy[s];
}

/* @return strategies of a kind with a recall, by rising recall. */
static int collect(const moe_plot_scene *scene, bool oracle, int *all)
{
    const moe_view *v = scene->run->view;
    int n = 0;
    for (int s = 0; s < v->dims.strategies; s++) {
        const double recall = v->strategy[s].recall.median;
        if (!moe_contends(v, s,
                          oracle ? MOE_ORACLES_TOKENS : MOE_BUILDABLE_TOKENS))
            continue;
        int at = n++;
        while (at > 0 && v->strategy[all[at - 1]].recall.median > recall) {
            all[at] = all[at - 1];
            at--;
        }
        all[at] = s;
    }
    return n;
}

static bool accuracy_present(const moe_plot_scene *scene)
{
    int all[MOE_MAX_STRATEGIES];
    return collect(scene, true, all) + collect(scene, false, all) >= MIN_POINTS;
}

static void put_points(const moe_plot_scene *scene, bool oracle, FILE *out)
{
    int all[MOE_MAX_STRATEGIES];
    const int n = collect(scene, oracle, all);
    for (int i = 0; i < n; i++) {
        const moe_strategy_view *y = strategy(scene, all[i]);
        const moe_summary *t = &y->summary[MOE_CLOCK_GPU];
        fprintf(out, "%d,%s", oracle, moe_plot_label_of(y->name).text);
        moe_plot_number(y->recall.median, out);
        moe_plot_number(y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT], out);
        moe_plot_number(t->median, out);
        moe_plot_number(t->ci_low, out);
        moe_plot_number(t->ci_high, out);
        fputc('\n', out);
    }
}

static void accuracy_csv(const moe_plot_scene *scene, FILE *out)
{
    fputs("oracle,strategy,recall,predict_s,time_s,ci_low_s,ci_high_s\n", out);
    put_points(scene, true, out);
    put_points(scene, false, out);
}

/* Points that are close would have their names one upon the other: each has
 * a mark, and the legend its name. */
static void mark_predictors(const moe_plot_scene *scene, moe_plot_head *head)
{
    int all[MOE_MAX_STRATEGIES];
    const int n = collect(scene, false, all);
    for (int i = 0; i < n && i < MARKED; i++)
        moe_plot_head_add(head, strategy(scene, all[i])->name, MOE_LOOK_POINT,
                          i % 9 + 2, moe_plot_mark(i + 5));
}

/* A plot element per predictor. @param first  its row in the CSV file. */
static void put_marks(const moe_plot_scene *scene, int first, const char *using,
                      const char *comma, FILE *out)
{
    int all[MOE_MAX_STRATEGIES];
    const int n = collect(scene, false, all);
    for (int i = 0; i < n; i++) {
        fprintf(out,
                "%s\\\n  data every ::%d::%d using %s with points pointsize "
                "1.1 linewidth 2 ",
                comma, first + i, first + i, using);
        if (i < MARKED)
            fprintf(out, "pointtype %d linecolor rgb colour[%d]",
                    moe_plot_mark(i + 5), i % 9 + 2);
        else
            fputs("pointtype 1 linecolor rgb '#888888'", out);
        comma = ", ";
    }
    fputc('\n', out);
}

static void accuracy_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    const moe_view *v = scene->run->view;
    int all[MOE_MAX_STRATEGIES];
    if (collect(scene, true, all) > 0)
        moe_plot_head_add(head, "free oracles of that accuracy", MOE_LOOK_LINE,
                          1, 1);
    moe_plot_head_add(head, v->strategy[v->reference_index].name, MOE_LOOK_LINE,
                      MOE_PLOT_GREY, 2);
    mark_predictors(scene, head);
    head->y_name = "time of a layer (gpu clock, modelled)";
}

/* What the axes must show: x in parts of 1, y in s. */
static void find_axes(const moe_plot_scene *scene, moe_axis *x, moe_axis *y)
{
    const moe_view *v = scene->run->view;
    moe_axis_take(
        y, v->strategy[v->reference_index].summary[MOE_CLOCK_GPU].median);
    for (int oracle = 0; oracle < 2; oracle++) {
        int all[MOE_MAX_STRATEGIES];
        const int n = collect(scene, oracle, all);
        for (int i = 0; i < n; i++) {
            const moe_summary *t =
                &strategy(scene, all[i])->summary[MOE_CLOCK_GPU];
            moe_axis_take(x, 100 * strategy(scene, all[i])->recall.median);
            moe_axis_take(y, t->median);
            moe_axis_take(y, t->ci_low);
            moe_axis_take(y, t->ci_high);
        }
    }
}

static void accuracy_script(const moe_plot_scene *scene, FILE *out)
{
    const moe_view *v = scene->run->view;
    int all[MOE_MAX_STRATEGIES];
    moe_axis x = moe_axis_empty, y = moe_axis_empty;
    find_axes(scene, &x, &y);
    const moe_plot_unit unit = moe_plot_time_unit(y.high);
    y.low *= unit.per_s;
    y.high *= unit.per_s;
    const moe_axis x_ends = moe_axis_ends(&x);
    moe_axis_put(&y, "y", 6, out);
    fprintf(out,
            "set xrange [%.9g:%.9g]\nset xtics %.9g\n"
            "set format y '%%h %s'\n"
            "set xlabel 'accuracy: share of a token''s experts that were "
            "predicted, %%'\n"
            "unit = %g\nreference = %.9g\n"
            "plot reference * unit with lines linewidth 2 dashtype 2 linecolor "
            "rgb '#bbbbbb', \\\n"
            "  data every ::1 using ($1 == 1 ? $3 * 100 : NaN):($5 * unit) "
            "with linespoints pointtype 7 pointsize 0.6 linewidth 2 linecolor "
            "rgb colour[1], \\\n"
            "  data every ::1 using ($1 == 1 ? $3 * 100 : NaN):($6 * unit):(0):"
            "(($7 - $6) * unit) with vectors heads size screen 0.008,90 "
            "linewidth 2 linecolor rgb colour[1]",
            fmin(x_ends.low, x.low - 1.5), fmax(x_ends.high, x.high + 1.5),
            moe_axis_step(&x_ends, 8), unit.name, unit.per_s,
            v->strategy[v->reference_index].summary[MOE_CLOCK_GPU].median);
    put_marks(scene, 1 + collect(scene, true, all), "($3 * 100):($5 * unit)",
              ", ", out);
}

static void accuracy_say(const moe_plot_scene *scene, FILE *out)
{
    int all[MOE_MAX_STRATEGIES];
    fputs("Time of a layer against the accuracy of predicted tokens, gpu clock "
          "(modelled):",
          out);
    const char *comma = "";
    for (int oracle = 1; oracle >= 0; oracle--) {
        const int n = collect(scene, oracle, all);
        for (int i = 0; i < n; i++) {
            const moe_strategy_view *y = strategy(scene, all[i]);
            fprintf(out, "%s %s at %s takes %s", comma, y->name,
                    moe_percent_cell(y->recall.median).text,
                    moe_time_cell(y->summary[MOE_CLOCK_GPU].median).text);
            comma = ",";
        }
    }
    fputc('.', out);
}

const moe_plot moe_plot_accuracy = {
    .name = "accuracy",
    .title = "Layer time against prediction accuracy",
    .present = accuracy_present,
    .csv = accuracy_csv,
    .head = accuracy_head,
    .script = accuracy_script,
    .say = accuracy_say,
    .height = moe_plot_plain_height,
};

/* ---- accuracy against overhead ---- */

static bool overhead_present(const moe_plot_scene *scene)
{
    int all[MOE_MAX_STRATEGIES], n = collect(scene, false, all), priced = 0;
    for (int i = 0; i < n; i++)
        priced +=
            strategy(scene, all[i])->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT] >
            0;
    return priced >= 2;
}

static void overhead_csv(const moe_plot_scene *scene, FILE *out)
{
    fputs("oracle,strategy,recall,predict_s,time_s,ci_low_s,ci_high_s\n", out);
    put_points(scene, false, out);
}

static void overhead_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    mark_predictors(scene, head);
    head->y_name = "share of a token''s experts, %";
}

static void overhead_script(const moe_plot_scene *scene, FILE *out)
{
    int all[MOE_MAX_STRATEGIES];
    const int n = collect(scene, false, all);
    moe_axis x = moe_axis_empty, y = moe_axis_empty;
    for (int i = 0; i < n; i++) {
        const moe_strategy_view *p = strategy(scene, all[i]);
        const double predict_s = p->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT];
        moe_axis_take(&x, predict_s > 0 ? 1e6 * predict_s : NAN);
        moe_axis_take(&y, 100 * p->recall.median);
    }
    moe_axis_put_log(&x, "x", out);
    moe_axis_put(&y, "y", 6, out);
    fputs("set xlabel 'time of prediction per layer, us (gpu clock, "
          "modelled)'\nplot ",
          out);
    put_marks(scene, 1, "($4 > 0 ? $4 * 1e6 : NaN):($3 * 100)", "", out);
}

static void overhead_say(const moe_plot_scene *scene, FILE *out)
{
    int all[MOE_MAX_STRATEGIES];
    const int n = collect(scene, false, all);
    fputs("Accuracy of predictors against the time that they take, gpu clock "
          "(modelled), on a logarithmic axis:",
          out);
    for (int i = 0; i < n; i++) {
        const moe_strategy_view *y = strategy(scene, all[i]);
        fprintf(out, "%s %s predicts %s in %s", i > 0 ? "," : "", y->name,
                moe_percent_cell(y->recall.median).text,
                moe_time_cell(y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT]).text);
    }
    fputc('.', out);
}

const moe_plot moe_plot_overhead = {
    .name = "overhead",
    .title = "Accuracy against overhead",
    .present = overhead_present,
    .csv = overhead_csv,
    .head = overhead_head,
    .script = overhead_script,
    .say = overhead_say,
    .height = moe_plot_plain_height,
};
