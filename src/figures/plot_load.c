/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "legend.h"
#include "moegps/mem.h"
#include "plot.h"
#include "plot_rows.h"
#include "script.h"

/* Loads of experts and GPUs: from a run's details. */

enum {
    LABELS = 16,        /* along an axis: more would touch */
    MARKS = 80,         /* in a figure: more would be a cloud */
    DOTTED = 32,        /* GPUs that have a point on their curve */
    FIRST_PREDICTED = 4 /* column of the experts' data */
};

static void put_columns(const moe_view *v, const char *first,
                        moe_plot_data *out)
{
    moe_data_columns(out, first);
    for (int s = 0; s < moe_plot_series(v); s++)
        moe_data_column(out, v->strategy[s].name);
}

/* ---- experts ---- */

static double predicted(const moe_plot_subject *x, int s, int e)
{
    return x->run->detail.predicted[s * x->run->view->dims.experts + e];
}

static bool experts_present(const moe_plot_subject *x)
{
    return !isnan(x->run->detail.true_share[0]);
}

typedef struct ranked {
    double share;
    int expert;
} ranked;

static int by_share(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->share != y->share)
        return x->share < y->share ? 1 : -1;
    return x->expert - y->expert;
}

static void experts_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_view *v = x->run->view;
    const int n = v->dims.experts;
    ranked *order = moe_array_new((size_t)n, sizeof *order, NULL);
    put_columns(v, "position,expert,true", out);
    if (order == NULL)
        return;
    for (int e = 0; e < n; e++)
        order[e] = (ranked){x->run->detail.true_share[e], e};
    qsort(order, (size_t)n, sizeof *order, by_share);
    for (int k = 0; k < n; k++) {
        moe_data_number(out, k);
        moe_data_number(out, order[k].expert);
        moe_data_number(out, order[k].share);
        for (int s = 0; s < moe_plot_series(v); s++)
            moe_data_number(out, predicted(x, s, order[k].expert));
    }
    free(order);
}

/* Few predictions are marks side by side, many are lines. */
static void put_predicted(const moe_plot_subject *x, moe_legend *legend,
                          FILE *out)
{
    const moe_view *v = x->run->view;
    int column[MOE_PLOT_SERIES], colour[MOE_MAX_STRATEGIES], n = 0;
    moe_strategy_colours(v, colour);
    for (int s = 0; s < moe_plot_series(v); s++)
        if (!isnan(predicted(x, s, 0)))
            column[n++] = FIRST_PREDICTED + s;
    const int experts = v->dims.experts;
    const bool marked = experts <= LABELS && experts * n <= MARKS;
    for (int i = 0; i < n; i++) {
        const int s = column[i] - FIRST_PREDICTED;
        moe_legend_add(legend, v->strategy[s].name,
                       marked ? MOE_LEGEND_POINT : MOE_LEGEND_LINE, colour[s],
                       marked ? moe_point_type(i) : moe_series_dash(s));
    }
    moe_script_number(out, "marked", marked);
    moe_script_integers(out, "predicted", column, n);
}

/* @return what predictions are off by, of a mean expert's share. */
static moe_axis difference_of(const moe_plot_subject *x)
{
    const moe_ledger_dims *d = &x->run->view->dims;
    moe_axis axis = moe_axis_empty;
    for (int s = 0; s < moe_plot_series(x->run->view); s++)
        for (int e = 0; e < d->experts; e++)
            moe_axis_take(&axis,
                          (predicted(x, s, e) - x->run->detail.true_share[e]) *
                              d->experts);
    return axis;
}

static void experts_script(const moe_plot_subject *x, const moe_plot_data *data,
                           FILE *out)
{
    const int n = x->run->view->dims.experts;
    const bool few = n <= LABELS;
    const moe_axis along = {1, n > 1 ? n : 2};
    moe_axis y = {0, 0};
    moe_legend legend = {0};
    if (few)
        moe_legend_add(&legend, "true", MOE_LEGEND_BOX, MOE_PLOT_GREY, 0);
    put_predicted(x, &legend, out);
    moe_legend_put(&legend,
                   few ? "share of pairs, %"
                       : "predicted minus true share, of the mean expert's",
                   MOE_PLOT_PLAIN_HEIGHT, out);
    moe_script_number(out, "n_experts", n);
    moe_script_number(out, "few", few);
    moe_script_text(out, "x_title", "expert%s of layer %d, busiest first",
                    few ? "" : "s", x->run->detail.layer_number);
    moe_script_number(out, "x_step", moe_axis_step(&along, MOE_ROW_TICKS));
    moe_axis_join(&y,
                  few ? moe_axis_scaled(moe_data_span(data, 3, data->n), 100)
                      : difference_of(x));
    moe_axis_put(&y, "y", 5, out);
}

const moe_plot_type moe_plot_experts = {
    .name = "experts",
    .title = "Predicted against true load per expert",
    .of = MOE_PLOT_OF_RUN,
    .detail = true,
    .template = {"experts"},
    .present = experts_present,
    .data = experts_data,
    .script = experts_script,
};

/* ---- GPUs ---- */

static bool gpus_present(const moe_plot_subject *x)
{
    return x->run->view->dims.gpus > 1 && !isnan(x->run->detail.home[0]);
}

static void gpus_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_view *v = x->run->view;
    const int n = v->dims.gpus;
    put_columns(v, "position,home", out);
    for (int g = 0; g < n; g++) {
        moe_data_number(out, g + 1);
        moe_data_number(out, x->run->detail.home[g]);
        for (int s = 0; s < moe_plot_series(v); s++)
            moe_data_number(out, x->run->detail.load[s * n + g]);
    }
}

static void gpus_script(const moe_plot_subject *x, const moe_plot_data *data,
                        FILE *out)
{
    const moe_view *v = x->run->view;
    const int n = v->dims.gpus;
    const moe_axis along = {1, n};
    moe_axis y = {1, 1};
    moe_legend legend = {0};
    moe_legend_add(&legend, "before: experts at home", MOE_LEGEND_LINE,
                   MOE_PLOT_GREY, 1);
    moe_legend_series(&legend, v);
    moe_legend_put(&legend, "pairs over the mean of all GPUs",
                   MOE_PLOT_PLAIN_HEIGHT, out);
    moe_script_number(out, "marked", n <= DOTTED);
    moe_script_text(out, "x_title", "GPU of a layer, busiest first");
    moe_script_number(out, "x_low", 1 - 0.02 * (n - 1));
    moe_script_number(out, "x_high", n + 0.02 * (n - 1));
    moe_script_number(out, "x_step",
                      n <= LABELS ? 1 : moe_axis_step(&along, MOE_ROW_TICKS));
    moe_axis_join(&y, moe_data_span(data, 2, data->n));
    moe_axis_put(&y, "y", 5, out);
}

const moe_plot_type moe_plot_gpus = {
    .name = "gpus",
    .title = "Load of GPUs before and after duplication",
    .of = MOE_PLOT_OF_RUN,
    .detail = true,
    .template = {"gpus"},
    .present = gpus_present,
    .data = gpus_data,
    .script = gpus_script,
};
