/* SPDX-License-Identifier: Apache-2.0 */
#include "legend.h"
#include "moegps/cells.h"
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
        moe_data_tip(out, "%s: %s times as fast (%s, n = %zu)",
                     v->strategy[s].name, moe_number_cell(r->ratio).text,
                     moe_interval_cell(moe_number_cell(r->ci_low),
                                       moe_number_cell(r->ci_high))
                         .text,
                     r->n);
    }
}

static moe_cell ratio_of(const moe_run_analysis *run, int s)
{
    return moe_number_cell(
        run->view->strategy[s].speedup[run->verdict.clock].ratio);
}

static void put_script(const moe_plot_subject *x, const moe_plot_data *data,
                       FILE *out)
{
    const moe_view *v = x->run->view;
    const moe_clock clock = x->run->verdict.clock;
    const moe_axis axis = moe_data_span(data, 4, 6);
    const moe_legend none = {0};
    moe_legend_put(&none, "", moe_plot_rows_height(x->run, MOE_ROW), out);
    moe_plot_rows_put(x->run, MOE_ROW, ratio_of, out);
    moe_script_number(out, "mark", 1);
    moe_axis_put_ratios(&axis, MOE_ROW_TICKS, out);
    moe_script_text(
        out, "x_title", "times as fast as %s (%s clock, %s)",
        moe_name_cell(v->strategy[v->reference_index].name, 24).text,
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
