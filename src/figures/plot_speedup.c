/* SPDX-License-Identifier: Apache-2.0 */
#include "legend.h"
#include "plot.h"
#include "plot_rows.h"
#include "script.h"

/* What strategies win, and how sure that is. */

static bool present(const moe_plot_subject *x)
{
    return x->run->verdict.best >= 0 && x->run->view->dims.strategies > 1;
}

static void put_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_view *v = x->run->view;
    moe_data_columns(out, "row,strategy,n,speedup,ci_low,ci_high");
    for (int s = 0; s < v->dims.strategies; s++) {
        const moe_ratio *r = &v->strategy[s].speedup[x->run->verdict.clock];
        moe_data_number(out, s);
        moe_data_text(out, v->strategy[s].name);
        moe_data_number(out, (double)r->n);
        moe_data_number(out, r->ratio);
        moe_data_number(out, r->ci_low);
        moe_data_number(out, r->ci_high);
    }
}

static void put_script(const moe_plot_subject *x, const moe_plot_data *data,
                       FILE *out)
{
    const moe_view *v = x->run->view;
    const moe_clock clock = x->run->verdict.clock;
    moe_axis axis = {1, 1};
    moe_legend legend = {0};
    moe_legend_add(&legend, "interval without 1", MOE_LEGEND_POINT, 1, 7);
    moe_legend_add(&legend, "with 1 or none", MOE_LEGEND_POINT, 1, 6);
    moe_legend_put(&legend, "", moe_plot_rows_height(v), out);
    moe_plot_rows_put(v, out);
    moe_axis_join(&axis, moe_data_span(data, 4, 6));
    moe_axis_put(&axis, "x", moe_plot_rows_ticks(v), out);
    moe_script_text(out, "x_title", "speed-up, 95 %% interval (%s clock, %s)",
                    moe_clock_name(clock), moe_clock_origin(clock));
}

const moe_plot_type moe_plot_speedup = {
    .name = "speedup",
    .title = "Speed-up with its confidence",
    .of = MOE_PLOT_OF_RUN,
    .template = {"rows", "speedup"},
    .present = present,
    .data = put_data,
    .script = put_script,
};
