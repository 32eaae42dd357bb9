/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "legend.h"
#include "plot.h"
#include "script.h"

/* What is left of what was known: of loads, and of a plan made of them. */

static bool present(const moe_plot_subject *x)
{
    return x->loads != NULL && x->loads->lags > 0;
}

static void put_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_plot_loads *l = x->loads;
    moe_data_columns(out, "steps_later,distance,balancedness");
    for (int lag = 0; lag < l->lags; lag++) {
        moe_data_number(out, lag + 1);
        moe_data_number(out, l->drift[lag]);
        moe_data_number(out, l->good != NULL ? l->good[lag] : NAN);
    }
}

static void put_script(const moe_plot_subject *x, const moe_plot_data *data,
                       FILE *out)
{
    const moe_axis axis = moe_data_span(data, 1, 1);
    moe_legend legend = {0};
    moe_legend_add(&legend, "distance of shares", MOE_LEGEND_LINE, 2, 2);
    if (x->loads->good != NULL)
        moe_legend_add(&legend, "mean / max load under the plan",
                       MOE_LEGEND_LINE, 1, 1);
    moe_legend_put(&legend, "", MOE_PLOT_PLAIN_HEIGHT, out);
    moe_axis_put(&axis, "x", 8, out);
}

const moe_plot_type moe_plot_drift = {
    .name = "drift",
    .title = "How loads drift, and how long a plan stays good",
    .of = MOE_PLOT_OF_LOADS,
    .template = {"drift"},
    .present = present,
    .data = put_data,
    .script = put_script,
};
