/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "legend.h"
#include "moegps/cells.h"
#include "moegps/mem.h"
#include "plot.h"
#include "plot_rows.h"
#include "script.h"

/* How times scatter over samples: each is a dot where there are few, else they
 * are a distribution. */

enum { FEW = 20 };

static size_t most_samples(const moe_plot_subject *x)
{
    size_t most = 0;
    for (int s = 0; s < x->run->view->dims.strategies; s++) {
        const size_t n =
            x->run->view->strategy[s].summary[x->run->verdict.clock].n;
        most = n > most ? n : most;
    }
    return most;
}

static bool many(const moe_plot_subject *x)
{
    return x->run->verdict.best >= 0 && most_samples(x) >= FEW;
}

static bool few(const moe_plot_subject *x)
{
    return x->run->verdict.best >= 0 && most_samples(x) < FEW;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put_data(const moe_plot_subject *x, moe_plot_data *out)
{
    enum { POINTS = 500 }; /* of a curve: more cannot be seen */
    const moe_view *v = x->run->view;
    double *t = moe_array_new((size_t)v->dims.iterations, sizeof *t, NULL);
    moe_data_columns(out, "row,strategy,time_s,share");
    for (int s = 0; t != NULL && s < v->dims.strategies; s++) {
        const size_t n = moe_view_measured(v, s, x->run->verdict.clock, t);
        const size_t step = n / POINTS + 1;
        qsort(t, n, sizeof *t, rising);
        for (size_t i = 0; i < n; i++) {
            if (i % step != 0 && i + 1 < n)
                continue;
            moe_data_number(out, s);
            moe_data_text(out, v->strategy[s].name);
            moe_data_number(out, t[i]);
            moe_data_number(out, (double)(i + 1) / (double)n);
        }
    }
    free(t);
}

/* A row per strategy, its median beside its name, and one axis of times. */
static void put_rows(const moe_plot_subject *x, const moe_plot_data *data,
                     int row_px, FILE *out)
{
    const moe_clock clock = x->run->verdict.clock;
    const moe_axis span = moe_data_span(data, 3, 3);
    const moe_plot_unit unit = moe_plot_time_unit(span.high);
    const moe_axis axis = moe_axis_scaled(span, unit.factor);
    const moe_legend none = {0};
    double median[MOE_MAX_STRATEGIES];
    for (int s = 0; s < x->run->view->dims.strategies; s++)
        median[s] = x->run->view->strategy[s].summary[clock].median;
    moe_legend_put(&none, "", moe_plot_rows_height(x->run, row_px), out);
    moe_plot_rows_put(x->run, row_px, moe_plot_row_time, out);
    moe_script_numbers(out, "median", median, x->run->view->dims.strategies);
    moe_axis_put(&axis, "x", MOE_ROW_TICKS, out);
    moe_script_number(out, "unit", unit.factor);
    moe_script_text(out, "x_title", "time of a layer, %s (%s clock, %s)",
                    unit.name, moe_clock_name(clock), moe_clock_origin(clock));
}

static void put_script(const moe_plot_subject *x, const moe_plot_data *data,
                       FILE *out)
{
    put_rows(x, data, MOE_TALL_ROW, out);
}

const moe_plot_type moe_plot_ecdf = {
    .name = "ecdf",
    .title = "How times scatter over iterations",
    .of = MOE_PLOT_OF_RUN,
    .template = {"rows", "ecdf"},
    .present = many,
    .data = put_data,
    .script = put_script,
};

/* ---- few samples ---- */

static void dots_data(const moe_plot_subject *x, moe_plot_data *out)
{
    const moe_view *v = x->run->view;
    double *t = moe_array_new((size_t)v->dims.iterations, sizeof *t, NULL);
    moe_data_columns(out, "row,strategy,time_s");
    for (int s = 0; t != NULL && s < v->dims.strategies; s++) {
        const size_t n = moe_view_measured(v, s, x->run->verdict.clock, t);
        for (size_t i = 0; i < n; i++) {
            moe_data_number(out, s);
            moe_data_text(out, v->strategy[s].name);
            moe_data_number(out, t[i]);
            moe_data_tip(out, "%s, sample %zu of %zu: %s", v->strategy[s].name,
                         i + 1, n, moe_time_cell(t[i]).text);
        }
    }
    free(t);
}

static void dots_script(const moe_plot_subject *x, const moe_plot_data *data,
                        FILE *out)
{
    put_rows(x, data, MOE_ROW, out);
}

const moe_plot_type moe_plot_samples = {
    .name = "samples",
    .title = "How times scatter over iterations",
    .of = MOE_PLOT_OF_RUN,
    .template = {"rows", "samples"},
    .present = few,
    .data = dots_data,
    .script = dots_script,
};
