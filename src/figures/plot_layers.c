/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "legend.h"
#include "moegps/cells.h"
#include "plot.h"
#include "plot_rows.h"
#include "script.h"

/* Time of every layer: a small figure per strategy, all to one scale. */

static const double *times_of(const moe_run_analysis *run, int s)
{
    return run->detail.layer_time + s * run->view->dims.layers;
}

static bool present(const moe_plot_subject *x)
{
    return x->run->verdict.best >= 0 && x->run->view->dims.layers > 1;
}

static void put_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_view *v = x->run->view;
    moe_data_columns(out, "row,strategy,place,layer,time_s,reference_s");
    for (int s = 0; s < v->dims.strategies; s++)
        for (int l = 0; l < v->dims.layers; l++) {
            const double t = times_of(x->run, s)[l];
            moe_data_number(out, s);
            moe_data_text(out, v->strategy[s].name);
            moe_data_number(out, l);
            moe_data_number(out, x->run->detail.layers[l]);
            moe_data_number(out, t);
            moe_data_number(out, times_of(x->run, v->reference_index)[l]);
            if (!isnan(t))
                moe_data_tip(out, "%s, layer %d: %s", v->strategy[s].name,
                             x->run->detail.layers[l], moe_time_cell(t).text);
        }
}

/* From the fastest layer to the slowest. */
static moe_cell range_of(const moe_run_analysis *run, int s)
{
    moe_axis axis = moe_axis_empty;
    for (int l = 0; l < run->view->dims.layers; l++)
        moe_axis_take(&axis, times_of(run, s)[l]);
    return axis.low > axis.high ? moe_time_cell(NAN)
                                : moe_interval_cell(moe_time_cell(axis.low),
                                                    moe_time_cell(axis.high));
}

static void put_script(const moe_plot_subject *x, const moe_plot_data *data,
                       FILE *out)
{
    enum { LABELS = 8 };
    const moe_view *v = x->run->view;
    const moe_clock clock = x->run->verdict.clock;
    const int n = v->dims.layers, step = (n + LABELS - 1) / LABELS;
    double tick[LABELS];
    int at[LABELS], ticks = 0;
    const moe_legend none = {0};
    for (int l = 0; l < n; l += step, ticks++) {
        at[ticks] = l;
        tick[ticks] = x->run->detail.layers[l];
    }
    moe_legend_put(&none, "", moe_plot_rows_height(x->run, MOE_TALL_ROW), out);
    moe_plot_rows_put(x->run, MOE_TALL_ROW, range_of, out);
    moe_script_number(out, "n_layers", n);
    moe_script_number(out, "most", moe_data_span(data, 5, 5).high);
    moe_script_number(out, "n_x_ticks", ticks);
    moe_script_integers(out, "x_at", at, ticks);
    moe_script_numbers(out, "x_tick", tick, ticks);
    moe_script_number(out, "reference", v->reference_index);
    moe_script_text(out, "x_title", "layer (time from 0; %s clock, %s)",
                    moe_clock_name(clock), moe_clock_origin(clock));
}

const moe_plot_type moe_plot_layers = {
    .name = "layers",
    .title = "Time of every layer",
    .of = MOE_PLOT_OF_RUN,
    .detail = true,
    .template = {"rows", "layers"},
    .present = present,
    .data = put_data,
    .script = put_script,
};
