/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* How late the paced phases of a run were, and what ran beside its layers. */

/* Where samples of an iteration go: [strategy][iteration] each. */
typedef struct {
    double *late;                     /* s, slowest rank, mean over layers */
    double *quantile[MOE_N_PACES][2]; /* s: median, 99th percentile */
    double *sorted;                   /* [layers][ranks] scratch */
    size_t *over, *all;               /* [strategy] phases: too late; any */
} late_samples;

static void visit_layers_late(const moe_reader *rd, int s, int i,
                              const double *x, late_samples *to)
{
    const moe_ledger_dims *d = &rd->view->dims;
    const double layer_s = rd->view->strategy[s].layer_time[MOE_CLOCK_WALL][i];
    const size_t ranks = (size_t)d->ranks;
    double sum = 0;
    for (int l = 0; l < d->layers; l++, x += MOE_N_PACES * ranks) {
        double most = 0;
        for (size_t r = 0; r < (size_t)d->gpus; r++) {
            const double both = x[r] + x[ranks + r];
            most = fmax(most, both);
            for (size_t k = 0; k < MOE_N_PACES; k++)
                to->over[s] += x[k * ranks + r] > MOE_MOST_LATE * layer_s;
            to->all[s] += MOE_N_PACES;
        }
        sum += most;
    }
    to->late[s * d->iterations + i] = sum / d->layers / layer_s;
}

static void visit_late(const moe_reader *rd, int s, int i, const double *x,
                       void *arg)
{
    late_samples *to = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    const size_t ranks = (size_t)d->ranks, gpus = (size_t)d->gpus;
    const size_t at = (size_t)s * (size_t)d->iterations + (size_t)i;
    if (isnan(rd->view->strategy[s].layer_time[MOE_CLOCK_WALL][i]))
        return;
    visit_layers_late(rd, s, i, x, to);
    for (size_t k = 0; k < MOE_N_PACES; k++) {
        size_t n = 0;
        for (size_t l = 0; l < (size_t)d->layers; l++)
            for (size_t r = 0; r < gpus; r++)
                to->sorted[n++] = x[(l * MOE_N_PACES + k) * ranks + r];
        to->quantile[k][0][at] = moe_median_sorting(to->sorted, n);
        to->quantile[k][1][at] = moe_quantile_sorted(to->sorted, n, 0.99);
    }
}

/* Fields of what a layer has several of, and where their means go. */
static const struct {
    moe_field_id field;
    size_t n, to; /* values of a layer; offset in moe_strategy_view */
} spans[] = {
    {MOE_FIELD_BESIDE, MOE_N_BESIDES, offsetof(moe_strategy_view, beside_s)},
    {MOE_FIELD_TRAVEL, MOE_N_TRAVELS, offsetof(moe_strategy_view, travel_s)},
    {MOE_FIELD_TRAVEL_EXPOSED, MOE_N_TRAVELS,
     offsetof(moe_strategy_view, travel_exposed_s)},
};

static double *means_of(const moe_view *v, int s, size_t span)
{
    char *y = (char *)&v->strategy[s];
    return (double *)(void *)(y + spans[span].to);
}

/* Sum over layers of what the slowest rank took. */
static void visit_span(const moe_reader *rd, int s, int i, const double *x,
                       void *arg)
{
    const moe_ledger_dims *d = &rd->view->dims;
    const size_t ranks = (size_t)d->ranks, span = *(const size_t *)arg;
    double *mean = means_of(rd->view, s, span);
    if (isnan(rd->view->strategy[s].layer_time[MOE_CLOCK_WALL][i]))
        return;
    for (int l = 0; l < d->layers; l++)
        for (size_t k = 0; k < spans[span].n; k++, x += ranks) {
            double most = 0;
            for (size_t r = 0; r < ranks; r++)
                most = fmax(most, x[r]);
            mean[k] += most / d->layers;
        }
}

static int count_measured(const moe_view *v, int s)
{
    int n = 0;
    for (int i = 0; i < v->dims.iterations; i++)
        n += !isnan(v->strategy[s].layer_time[MOE_CLOCK_WALL][i]);
    return n;
}

static double median_of(const moe_reader *rd, double *x)
{
    size_t n = 0;
    for (int i = 0; i < rd->view->dims.iterations; i++)
        if (!isnan(x[i]))
            x[n++] = x[i];
    return n > 0 ? moe_median_sorting(x, n) : (double)NAN;
}

static void summarise(moe_reader *rd, late_samples *from)
{
    moe_view *v = rd->view;
    const size_t n = (size_t)v->dims.iterations;
    for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++) {
        moe_strategy_view *y = &v->strategy[s];
        const size_t at = (size_t)s * n;
        moe_summarise(from->late + at, n, v->passes, &y->late, rd->err);
        y->late_share = from->all[s] > 0
                            ? (double)from->over[s] / (double)from->all[s]
                            : (double)NAN;
        for (size_t k = 0; k < MOE_N_PACES; k++)
            for (size_t q = 0; q < 2; q++)
                y->late_s[k][q] = median_of(rd, from->quantile[k][q] + at);
        v->pace.late = fmax(v->pace.late, y->late.median);
    }
}

/* Mean over iterations; NaN where the file has none of it. */
static void read_spans(moe_reader *rd)
{
    for (size_t f = 0; f < MOE_ARRAY_LEN(spans); f++) {
        if (!moe_reader_has(rd, spans[f].field))
            continue;
        for (int s = 0; s < rd->view->dims.strategies; s++)
            for (size_t k = 0; k < spans[f].n; k++)
                means_of(rd->view, s, f)[k] = 0;
        moe_reader_each(rd, spans[f].field, visit_span, &f);
        for (int s = 0; s < rd->view->dims.strategies; s++) {
            const int n = count_measured(rd->view, s);
            for (size_t k = 0; k < spans[f].n; k++)
                means_of(rd->view, s, f)[k] /= n > 0 ? n : (double)NAN;
        }
    }
}

static double *samples(moe_reader *rd, size_t n)
{
    double *x = moe_array_new(n, sizeof *x, rd->err);
    for (size_t j = 0; x != NULL && j < n; j++)
        x[j] = NAN;
    return x;
}

static void forget(moe_view *v)
{
    v->pace.late = NAN;
    for (int s = 0; s < v->dims.strategies; s++) {
        moe_strategy_view *y = &v->strategy[s];
        y->late = (moe_summary){.median = NAN,
                                .ci_low = NAN,
                                .ci_high = NAN,
                                .mean = NAN,
                                .sd = NAN,
                                .min = NAN,
                                .max = NAN,
                                .p50 = NAN,
                                .p90 = NAN,
                                .p99 = NAN};
        y->late_share = NAN;
        for (size_t k = 0; k < MOE_N_PACES; k++)
            y->late_s[k][0] = y->late_s[k][1] = NAN;
        for (size_t f = 0; f < MOE_ARRAY_LEN(spans); f++)
            for (size_t k = 0; k < spans[f].n; k++)
                means_of(v, s, f)[k] = NAN;
    }
}

/* ---- who sent what to whom ---- */

/* Nodes of ranks, and sums over pairs of nodes. */
typedef struct {
    int32_t *node; /* [ranks] */
    int nodes;
    moe_route *of; /* [nodes][nodes] */
    moe_field_id field;
} routes;

static void visit_senders(const moe_reader *rd, int s, int i, const double *x,
                          void *arg)
{
    const routes *to = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    if (isnan(rd->view->strategy[s].layer_time[MOE_CLOCK_WALL][i]))
        return;
    for (int k = 0; k < d->layers * d->gpus; k++)
        for (int r = 0; r < d->gpus; r++) {
            const int g = k % d->gpus;
            moe_route *route = &to->of[to->node[g] * to->nodes + to->node[r]];
            const double y = x[k * d->ranks + r];
            if (g == r || isnan(y))
                continue;
            if (to->field == MOE_FIELD_SENDER_BYTES)
                route->bytes += y;
            else if (to->field == MOE_FIELD_SENDER_TIME)
                route->transfer_s += y;
            else
                route->late_s += y;
        }
}

/* Nodes are numbered, as ranks met them. */
static void find_nodes(moe_reader *rd, routes *to)
{
    const int ranks = rd->view->dims.ranks;
    hid_t group = moe_h5_open_group(rd->file, "provenance", rd->err);
    to->nodes = rd->view->nodes;
    to->node = moe_h5_read(group, "node", H5T_NATIVE_INT32, sizeof *to->node,
                           (size_t)ranks, rd->err);
    for (int r = 0; to->node != NULL && r < ranks; r++)
        if (to->node[r] < 0 || to->node[r] >= to->nodes)
            moe_fail(rd->err, MOE_FORMAT, "rank %d is on node %d of %d", r,
                     to->node[r], to->nodes);
    moe_h5_close(group);
}

static void read_routes(moe_reader *rd)
{
    routes to = {0};
    moe_pace_view *pace = &rd->view->pace;
    if (!moe_reader_has(rd, MOE_FIELD_SENDER_BYTES))
        return;
    find_nodes(rd, &to);
    const size_t n = (size_t)to.nodes * (size_t)to.nodes;
    to.of = moe_array_new(n, sizeof *to.of, rd->err);
    for (int f = MOE_FIELD_SENDER_BYTES;
         f <= MOE_FIELD_SENDER_LATE && !moe_reader_failed(rd); f++) {
        to.field = (moe_field_id)f;
        moe_reader_each(rd, to.field, visit_senders, &to);
    }
    pace->route = moe_array_new(n, sizeof *pace->route, rd->err);
    for (size_t k = 0; k < n && !moe_reader_failed(rd); k++)
        if (to.of[k].bytes > 0) {
            to.of[k].from = (int)(k / (size_t)to.nodes);
            to.of[k].to = (int)(k % (size_t)to.nodes);
            pace->route[pace->n_routes++] = to.of[k];
        }
    free(to.of);
    free(to.node);
}

void moe_pace_read(moe_reader *rd)
{
    const moe_ledger_dims *d = &rd->view->dims;
    const size_t n = (size_t)d->strategies * (size_t)d->iterations;
    late_samples to = {0};
    forget(rd->view);
    if (!d->paced)
        return;
    to.late = samples(rd, n);
    to.sorted = samples(rd, (size_t)d->layers * (size_t)d->ranks);
    to.over = moe_array_new((size_t)d->strategies, sizeof *to.over, rd->err);
    to.all = moe_array_new((size_t)d->strategies, sizeof *to.all, rd->err);
    for (size_t k = 0; k < MOE_N_PACES; k++)
        for (size_t q = 0; q < 2; q++)
            to.quantile[k][q] = samples(rd, n);
    if (!moe_reader_failed(rd)) {
        moe_reader_each(rd, MOE_FIELD_PACE_LATE, visit_late, &to);
        read_spans(rd);
        summarise(rd, &to);
        read_routes(rd);
    }
    for (size_t k = 0; k < MOE_N_PACES; k++)
        for (size_t q = 0; q < 2; q++)
            free(to.quantile[k][q]);
    free(to.all);
    free(to.over);
    free(to.sorted);
    free(to.late);
}
