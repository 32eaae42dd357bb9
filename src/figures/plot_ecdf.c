/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <stdlib.h>

#include "../report/cells.h"
#include "moegps/mem.h"
#include "plot_frame.h"

/* How times scatter over samples. */

static const moe_strategy_view *strategy(const moe_plot_scene *scene, int s)
{
    return &scene->run->view->strategy[s];
}

static bool present(const moe_plot_scene *scene)
{
    return scene->run->verdict.best >= 0;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void csv(const moe_plot_scene *scene, FILE *out)
{
    enum { POINTS = 500 }; /* of a curve: more cannot be seen */
    const moe_view *v = scene->run->view;
    double *x = moe_array_new((size_t)v->dims.iterations, sizeof *x, NULL);
    fputs("series,strategy,time_s,share\n", out);
    for (int s = 0; x != NULL && s < moe_plot_strategies(scene); s++) {
        const size_t n = moe_view_measured(v, s, scene->run->verdict.clock, x);
        const size_t step = n / POINTS + 1;
        qsort(x, n, sizeof *x, rising);
        for (size_t i = 0; i < n; i++)
            if (i % step == 0 || i + 1 == n)
                fprintf(out, "%d,%s,%.9g,%.9g\n", s,
                        moe_plot_label_of(v->strategy[s].name).text, x[i],
                        (double)(i + 1) / (double)n);
    }
    free(x);
}

static void head_of(const moe_plot_scene *scene, moe_plot_head *head)
{
    moe_plot_head_series(head, scene);
    head->y_name = "share of samples";
}

/* A curve rises at every sample, from 0 at the least: which is its first
 * row, where `last` is that of another. */
static void script(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    moe_axis axis = moe_axis_empty;
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        moe_axis_take(&axis, strategy(scene, s)->summary[clock].min);
        moe_axis_take(&axis, strategy(scene, s)->summary[clock].max);
    }
    const moe_plot_unit unit = moe_plot_time_unit(axis.high);
    axis.low *= unit.per_s;
    axis.high *= unit.per_s;
    moe_axis_put(&axis, "x", 8, out);
    fprintf(out,
            "set xlabel 'time of a layer, %s (%s clock, %s)'\n"
            "set yrange [0:1]\nset ytics 0.25\nunit = %g\nplot ",
            unit.name, moe_clock_name(clock), moe_clock_origin(clock),
            unit.per_s);
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        fprintf(out,
                "%s\\\n  last = -1, data every ::1 using (first = $1 != last, "
                "last = $1, first && $1 == %d ? $3 * unit : NaN):4 with "
                "impulses ",
                s > 0 ? ", " : "", s);
        moe_plot_series(s, out);
        fprintf(out,
                ", \\\n  data every ::1 using ($1 == %d ? $3 * unit : NaN):4 "
                "with steps ",
                s);
        moe_plot_series(s, out);
    }
    fputc('\n', out);
}

static void say(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out,
            "Cumulative distribution of layer times, %s clock (%s). Least to "
            "largest sample:",
            moe_clock_name(clock), moe_clock_origin(clock));
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        const moe_summary *t = &strategy(scene, s)->summary[clock];
        fprintf(out, "%s %s %s (n = %zu)", s > 0 ? "," : "",
                strategy(scene, s)->name,
                moe_interval_cell(moe_time_cell(t->min), moe_time_cell(t->max))
                    .text,
                t->n);
    }
    fputc('.', out);
}

const moe_plot moe_plot_ecdf = {
    .name = "ecdf",
    .title = "How times scatter over iterations",
    .present = present,
    .csv = csv,
    .head = head_of,
    .script = script,
    .say = say,
    .height = moe_plot_plain_height,
};
