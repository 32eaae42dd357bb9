/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"

/* What accuracy is worth and what it costs: strategies that foretell tokens.
 * Oracles of less than full accuracy are what a predictor would reach if it
 * cost nothing: the curve. Predictors that exist are points. */

enum { MIN_POINTS = 3 };

static const moe_strategy_view *strategy(const moe_plot_scene *scene, int s)
{
    return &scene->run->view->strategy[s];
}

/* @return strategies of a kind with a recall, by rising recall. */
static int collect(const moe_plot_scene *scene, bool oracle, int *all, int room)
{
    const moe_view *v = scene->run->view;
    int n = 0;
    for (int s = 0; s < v->dims.strategies && n < room; s++) {
        const double recall = v->strategy[s].recall.median;
        if (isnan(recall) || moe_verdict_is_oracle(v, s) != oracle)
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
    int all[64];
    return collect(scene, true, all, 64) + collect(scene, false, all, 64) >=
           MIN_POINTS;
}

static void put_points(const moe_plot_scene *scene, bool oracle, FILE *out)
{
    int all[64];
    const int n = collect(scene, oracle, all, 64);
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

static void accuracy_script(const moe_plot_scene *scene, FILE *out)
{
    const moe_view *v = scene->run->view;
    const moe_strategy_view *r = &v->strategy[v->reference_index];
    fprintf(out,
            "set xlabel 'accuracy: share of a token''s experts that were "
            "predicted, %%'\n"
            "set ylabel 'time of a layer, ms (gpu clock, modelled)'\n"
            "set xrange [*:105]\nset offsets 3, 0, 0.05, 0.05\n"
            "reference = %.9g\n"
            "plot reference * 1e3 with lines dashtype 2 linecolor rgb '#888888'"
            " title '%s', \\\n"
            "  data every ::1 using ($1 == 1 ? $3 * 100 : NaN):($5 * 1e3):"
            "($6 * 1e3):($7 * 1e3) with yerrorlines pointtype 7 pointsize 0.6 "
            "linewidth 2 linecolor rgb colour[1] title 'oracles of that "
            "accuracy, free', \\\n"
            "  data every ::1 using ($1 == 0 ? $3 * 100 : NaN):($5 * 1e3) "
            "with points pointtype 9 pointsize 1.2 linecolor rgb colour[6] "
            "title 'predictors', \\\n"
            "  data every ::1 using ($1 == 0 ? $3 * 100 : NaN):($5 * 1e3):2 "
            "with labels offset 0, 0.9 noenhanced notitle\n",
            r->summary[MOE_CLOCK_GPU].median, moe_plot_label_of(r->name).text);
}

static void accuracy_say(const moe_plot_scene *scene, FILE *out)
{
    int all[64];
    fputs("Time of a layer against the accuracy of predicted tokens, gpu clock "
          "(modelled):",
          out);
    const char *comma = "";
    for (int oracle = 1; oracle >= 0; oracle--) {
        const int n = collect(scene, oracle, all, 64);
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
    .script = accuracy_script,
    .say = accuracy_say,
    .height = moe_plot_plain_height,
};

/* ---- accuracy against overhead ---- */

static bool overhead_present(const moe_plot_scene *scene)
{
    int all[64], n = collect(scene, false, all, 64), priced = 0;
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

static void overhead_script(const moe_plot_scene *scene, FILE *out)
{
    (void)scene;
    fputs("set xlabel 'time of prediction per layer, us (gpu clock, "
          "modelled)'\n"
          "set ylabel 'share of a token''s experts, %'\nunset key\n"
          "set logscale x\nset xrange [*:*]\nset offsets graph 0.1, graph 0.1, "
          "2, 2\n"
          "plot data every ::1 using ($4 > 0 ? $4 * 1e6 : NaN):($3 * 100) with "
          "points pointtype 9 pointsize 1.2 linecolor rgb colour[6], \\\n"
          "  data every ::1 using ($4 > 0 ? $4 * 1e6 : NaN):($3 * 100):2 with "
          "labels offset 0, 0.9 noenhanced\n",
          out);
}

static void overhead_say(const moe_plot_scene *scene, FILE *out)
{
    int all[64];
    const int n = collect(scene, false, all, 64);
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
    .script = overhead_script,
    .say = overhead_say,
    .height = moe_plot_plain_height,
};
