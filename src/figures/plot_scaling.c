/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "legend.h"
#include "moegps/cells.h"
#include "moegps/mem.h"
#include "plot.h"
#include "script.h"

/* Runs of several numbers of GPUs. */

static bool present(const moe_plot_subject *x)
{
    return x->analysis->scaling.strategies > 0;
}

static void put_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_scaling *scaling = &x->analysis->scaling;
    const moe_scaling_curve *curve = scaling->curve[scaling->clock];
    moe_data_columns(out, "series,strategy,gpus,nodes,runs,n,time_s,ci_low_s,"
                          "ci_high_s,efficiency,efficiency_ci_low,"
                          "efficiency_ci_high");
    for (int s = 0; s < moe_plot_series(x->run->view); s++)
        for (size_t i = 0; i < curve[s].n_points; i++) {
            const moe_scaling_point *p = &curve[s].point[i];
            const double counts[] = {p->gpus, p->nodes, p->runs,
                                     (double)p->time.n};
            const double times[] = {
                p->time.median,       p->time.ci_low,
                p->time.ci_high,      p->efficiency.ratio,
                p->efficiency.ci_low, p->efficiency.ci_high};
            moe_data_tip(out, "%s on %d GPUs: %s a layer, efficiency %s",
                         x->run->view->strategy[s].name, p->gpus,
                         moe_time_cell(p->time.median).text,
                         moe_percent_cell(p->efficiency.ratio).text);
            moe_data_number(out, s);
            moe_data_text(out, x->run->view->strategy[s].name);
            moe_data_numbers(out, counts, MOE_ARRAY_LEN(counts));
            moe_data_numbers(out, times, MOE_ARRAY_LEN(times));
        }
}

/* Write gpus[n_runs] and nodes: where ticks are, and what is below them. */
static void put_gpus(const moe_analysis *a, FILE *out)
{
    const int n = (int)a->n;
    int *gpus = moe_array_new(2 * a->n, sizeof *gpus, NULL);
    bool on_nodes = false;
    moe_axis axis = moe_axis_empty;
    for (int i = 0; gpus != NULL && i < n; i++) {
        gpus[i] = a->run[i].view->dims.gpus;
        gpus[n + i] = a->run[i].view->nodes;
        on_nodes = on_nodes || gpus[n + i] > 1;
        moe_axis_take(&axis, gpus[i]);
    }
    moe_script_text(out, "x_title", on_nodes ? "GPUs, on nodes" : "GPUs");
    moe_script_number(out, "x_low", axis.low / 1.1);
    moe_script_number(out, "x_high", axis.high * 1.1);
    moe_script_number(out, "on_nodes", on_nodes);
    moe_script_number(out, "n_runs", gpus != NULL ? n : 0);
    if (gpus != NULL) {
        moe_script_integers(out, "gpus", gpus, n);
        moe_script_integers(out, "nodes", gpus + n, n);
    }
    free(gpus);
}

/* A curve per strategy, of a column that has its interval in the next two. */
static void put_script(const moe_plot_subject *x, const char *y_title,
                       const moe_axis *y, int column, double unit, FILE *out)
{
    moe_legend legend = {0};
    moe_legend_series(&legend, x->run->view);
    moe_legend_put(&legend, y_title, MOE_PLOT_PLAIN_HEIGHT, out);
    put_gpus(x->analysis, out);
    moe_axis_put(y, "y", 6, out);
    moe_script_number(out, "number", column);
    moe_script_number(out, "unit", unit);
}

static void time_script(const moe_plot_subject *x, const moe_plot_data *data,
                        FILE *out)
{
    moe_axis axis = {0, 0};
    char title[80];
    const moe_clock clock = x->analysis->scaling.clock;
    moe_axis_join(&axis, moe_data_span(data, 7, 9));
    const moe_plot_unit unit = moe_plot_time_unit(axis.high);
    axis = moe_axis_scaled(axis, unit.factor);
    snprintf(title, sizeof title, "time of a layer (%s clock, %s)",
             moe_clock_name(clock), moe_clock_origin(clock));
    moe_script_text(out, "y_format", "%%h %s", unit.name);
    put_script(x, title, &axis, 7, unit.factor, out);
}

static void efficiency_script(const moe_plot_subject *x,
                              const moe_plot_data *data, FILE *out)
{
    moe_axis axis = {0, 0};
    moe_axis_join(&axis, moe_axis_scaled(moe_data_span(data, 10, 12), 100));
    moe_script_text(out, "y_format", "%% h");
    put_script(x, "efficiency, %", &axis, 10, 100, out);
}

const moe_plot_type moe_plot_scaling = {
    .name = "scaling",
    .title = "Time against the number of GPUs",
    .of = MOE_PLOT_OF_ALL,
    .template = {"scaling"},
    .present = present,
    .data = put_data,
    .script = time_script,
};

const moe_plot_type moe_plot_efficiency = {
    .name = "efficiency",
    .title = "Efficiency against the number of GPUs",
    .of = MOE_PLOT_OF_ALL,
    .template = {"scaling"},
    .present = present,
    .data = put_data,
    .script = efficiency_script,
};
