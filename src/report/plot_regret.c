/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>

#include "cells.h"
#include "plot_frame.h"

/* Imbalance beyond a perfect balance, by the stage that loses it. Means add
 * up; a stage that by chance did better than what it is held against is left
 * of 1. */

enum { STAGES = 5, GREY = 8 /* of the colours */ };

static const struct {
    const char *name;
    size_t offset; /* of a moe_summary in moe_strategy_view */
} stages[STAGES] = {
    {"bound", offsetof(moe_strategy_view, bound)},
    {"room", offsetof(moe_strategy_view, regret_room)},
    {"planner", offsetof(moe_strategy_view, regret_planner)},
    {"prediction", offsetof(moe_strategy_view, regret_prediction)},
    {"split", offsetof(moe_strategy_view, regret_split)},
};

static const moe_strategy_view *strategy(const moe_plot_scene *scene, int s)
{
    return &scene->run->view->strategy[s];
}

/* @return what a stage adds to the imbalance. */
static double lost(const moe_strategy_view *y, int stage)
{
    const moe_summary *m =
        (const moe_summary *)((const char *)y + stages[stage].offset);
    return stage == 0 ? m->mean - 1 : m->mean;
}

static bool present(const moe_plot_scene *scene)
{
    for (int s = 0; s < scene->run->view->dims.strategies; s++)
        if (strategy(scene, s)->bound.n > 0)
            return true;
    return false;
}

static void csv(const moe_plot_scene *scene, FILE *out)
{
    fputs("row,strategy,stage_number,stage,from,to\n", out);
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_strategy_view *y = strategy(scene, s);
        double end[2] = {1, 1}; /* of what is lost, and won */
        for (int k = 0; k < STAGES; k++) {
            const double x = lost(y, k);
            double *at = &end[x < 0];
            if (isnan(x) || x == 0)
                continue;
            fprintf(out, "%d,%s,%d,%s,%.9g,%.9g\n", s,
                    moe_plot_label_of(y->name).text, k, stages[k].name, *at,
                    *at + x);
            *at += x;
        }
    }
}

static int colour_of(int stage)
{
    return stage == 0 ? GREY : stage;
}

static void head_of(const moe_plot_scene *scene, moe_plot_head *head)
{
    (void)scene;
    for (int k = 0; k < STAGES; k++)
        moe_plot_head_add(head, stages[k].name, MOE_LOOK_BOX, colour_of(k), 0);
}

/* From the least end of what is won to the largest of what is lost. */
static moe_axis axis_of(const moe_plot_scene *scene)
{
    moe_axis axis = {1, 1};
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        double end[2] = {1, 1};
        for (int k = 0; k < STAGES; k++) {
            const double x = lost(strategy(scene, s), k);
            if (!isnan(x))
                end[x < 0] += x;
        }
        moe_axis_take(&axis, end[0]);
        moe_axis_take(&axis, end[1]);
    }
    return axis;
}

static void script(const moe_plot_scene *scene, FILE *out)
{
    const moe_axis axis = axis_of(scene);
    moe_plot_rows(scene, out);
    moe_axis_put(&axis, "x", moe_plot_rows_ticks(scene), out);
    fputs("set xlabel 'pairs of the busiest GPU over the mean'\n"
          "set arrow from 1, graph 0 to 1, graph 1 nohead dashtype 2 "
          "linecolor rgb '#888888'\nplot ",
          out);
    for (int k = 0; k < STAGES; k++)
        fprintf(out,
                "%s\\\n  data every ::1 using ($3 == %d ? ($5 + $6) / 2 : "
                "NaN):1:5:6:($1 - 0.35):($1 + 0.35) with boxxyerror linecolor "
                "rgb colour[%d]",
                k > 0 ? ", " : "", k, colour_of(k));
    fputc('\n', out);
}

static void say(const moe_plot_scene *scene, FILE *out)
{
    fputs("Imbalance by the stage that loses it, means over iterations.", out);
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_strategy_view *y = strategy(scene, s);
        int most = 1;
        for (int k = 2; k < STAGES; k++)
            if (lost(y, k) > lost(y, most))
                most = k;
        if (y->bound.n > 0)
            fprintf(out, " %s: %s, most of it beyond the bound in %s (%s).",
                    y->name, moe_number_cell(y->imbalance.mean).text,
                    stages[most].name, moe_fixed_cell(lost(y, most)).text);
    }
}

const moe_plot moe_plot_regret = {
    .name = "regret",
    .title = "Regret by stage",
    .present = present,
    .csv = csv,
    .head = head_of,
    .script = script,
    .say = say,
    .height = moe_plot_rows_height,
};
