/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/hash.h"
#include "moegps/mem.h"
#include "reader.h"

/* What an iteration loaded, moved and predicted. */

/* max / mean of all that is not NaN; NaN without pairs. */
static double peak(const double *x, size_t n)
{
    double mean = moe_mean_known(x, n);
    return mean > 0 ? moe_largest_known(x, n) / mean : (double)NAN;
}

/* Reduce an iteration to one sample: the mean over layers. */
typedef struct layer_mean {
    double *x;     /* [strategy][iteration] */
    size_t n, row; /* values used, and values present, per layer */
    double (*reduce)(const double *x, size_t n);
} layer_mean;

static void visit_layers(const moe_reader *rd, int s, int i, const double *x,
                         void *arg)
{
    const layer_mean *to = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    double sum = 0;
    int kept = 0;
    for (int l = 0; l < d->layers; l++) {
        double y = to->reduce(x + (size_t)l * to->row, to->n);
        kept += !isnan(y);
        sum += isnan(y) ? 0 : y;
    }
    to->x[s * d->iterations + i] = kept > 0 ? sum / kept : (double)NAN;
}

/* Pairs of every layer over GPUs: [iteration][layer]. */
static void visit_means(const moe_reader *rd, int s, int i, const double *x,
                        void *arg)
{
    const moe_ledger_dims *d = &rd->view->dims;
    double *mean = (double *)arg + (size_t)i * (size_t)d->layers;
    (void)s;
    for (int l = 0; l < d->layers; l++, x += d->experts) {
        mean[l] = 0;
        for (int e = 0; e < d->experts; e++)
            mean[l] += x[e];
        mean[l] /= d->gpus;
    }
}

/* A level of the busiest GPU over the mean load, mean over layers. */
typedef struct level_mean {
    const double *mean; /* [iteration][layer] */
    double *x;          /* [strategy][iteration] */
} level_mean;

static void visit_level(const moe_reader *rd, int s, int i, const double *x,
                        void *arg)
{
    const level_mean *to = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    double sum = 0;
    for (int l = 0; l < d->layers; l++)
        sum += x[l] / to->mean[i * d->layers + l];
    to->x[s * d->iterations + i] = sum / d->layers;
}

/* Regrets are differences of neighbouring levels; the last level is itself. */
static void summarise_levels(moe_reader *rd, double *x)
{
    static const size_t offset[MOE_N_LEVELS] = {
        offsetof(moe_strategy_view, regret_split),
        offsetof(moe_strategy_view, regret_prediction),
        offsetof(moe_strategy_view, regret_planner),
        offsetof(moe_strategy_view, regret_room),
        offsetof(moe_strategy_view, bound)};
    const size_t n = (size_t)rd->view->dims.iterations;
    const size_t strategies = (size_t)rd->view->dims.strategies;
    for (size_t v = 0; v < MOE_N_LEVELS; v++)
        for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++) {
            double *level = x + (v * strategies + s) * n;
            moe_summary summary;
            for (size_t i = 0; i < n && v + 1 < MOE_N_LEVELS; i++)
                level[i] -= level[strategies * n + i];
            moe_reader_merge_periods(rd->view, level, moe_mean_known);
            moe_summarise(level, n, rd->view->passes, &summary, rd->err);
            memcpy((char *)&rd->view->strategy[s] + offset[v], &summary,
                   sizeof summary);
        }
}

static void read_regret(moe_reader *rd)
{
    const moe_ledger_dims *d = &rd->view->dims;
    const size_t n = (size_t)d->strategies * (size_t)d->iterations;
    double *mean = moe_array_new((size_t)d->iterations * (size_t)d->layers,
                                 sizeof *mean, rd->err);
    double *x = moe_array_new(MOE_N_LEVELS * n, sizeof *x, rd->err);
    for (size_t j = 0; x != NULL && j < MOE_N_LEVELS * n; j++)
        x[j] = NAN;
    if (!moe_reader_failed(rd) && moe_reader_has(rd, MOE_FIELD_BUSIEST)) {
        moe_reader_each(rd, MOE_FIELD_TRUE_PAIRS, visit_means, mean);
        for (size_t v = 0; v < MOE_N_LEVELS; v++) {
            level_mean to = {mean, x + v * n};
            moe_reader_each(rd, MOE_FIELD_BUSIEST + (moe_field_id)v,
                            visit_level, &to);
        }
    }
    if (!moe_reader_failed(rd))
        summarise_levels(rd, x);
    free(x);
    free(mean);
}

static double only(const double *x, size_t n)
{
    (void)n;
    return x[0];
}

/* Summarise a per-layer field for every strategy, at `offset` of its view. */
static void read_figure(moe_reader *rd, moe_field_id id, layer_mean how,
                        size_t offset)
{
    moe_view *v = rd->view;
    size_t n = (size_t)v->dims.iterations;
    size_t strategies = (size_t)v->dims.strategies;
    bool own = moe_reader_by_strategy(id);
    how.x = moe_array_new(strategies * n, sizeof(double), rd->err);
    if (moe_reader_has(rd, id))
        moe_reader_each(rd, id, visit_layers, &how);
    else
        for (size_t j = 0; how.x != NULL && j < strategies * n; j++)
            how.x[j] = NAN;
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++)
        moe_reader_merge_periods(rd->view, how.x + s * n, moe_mean_known);
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++) {
        moe_summary summary;
        moe_summarise(how.x + (own ? s * n : 0), n, v->passes, &summary,
                      rd->err);
        memcpy((char *)&v->strategy[s] + offset, &summary, sizeof summary);
    }
    free(how.x);
}

/* Bytes over all iterations of each strategy. */
typedef struct total {
    double *sum;   /* [strategy] */
    size_t *count; /* [strategy] values added */
    size_t n;      /* values of an iteration */
} total;

static void visit_total(const moe_reader *rd, int s, int i, const double *x,
                        void *arg)
{
    const total *to = arg;
    (void)rd;
    (void)i;
    for (size_t j = 0; j < to->n; j++)
        if (!isnan(x[j])) {
            to->sum[s] += x[j];
            to->count[s]++;
        }
}

static void read_mean(moe_reader *rd, moe_field_id id, size_t n, size_t offset)
{
    moe_view *v = rd->view;
    size_t strategies = (size_t)v->dims.strategies;
    total t = {.n = n};
    t.sum = moe_array_new(strategies, sizeof *t.sum, rd->err);
    t.count = moe_array_new(strategies, sizeof *t.count, rd->err);
    moe_reader_each(rd, id, visit_total, &t);
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++) {
        double mean = t.count[s] > 0 ? t.sum[s] / (double)t.count[s] : NAN;
        memcpy((char *)&v->strategy[s] + offset, &mean, sizeof mean);
    }
    free(t.count);
    free(t.sum);
}

static int iterations_of(const moe_reader *rd, int s)
{
    int n = 0;
    for (int i = 0; i < rd->view->dims.iterations; i++)
        n += moe_reader_measured(rd, s, i);
    return n;
}

/* Traffic is a sum over what was measured; it is written at the end.
 * @param remote_offset  where the share that leaves its GPU goes; SIZE_MAX:
 * nowhere. */
static void read_traffic(moe_reader *rd, moe_field_id id, size_t offset,
                         size_t remote_offset)
{
    moe_view *v = rd->view;
    size_t g = (size_t)v->dims.gpus;
    hsize_t dims[MOE_H5_MAX_RANK];
    moe_h5_block block = {.count = {1, g, g}};
    hid_t dataset = moe_reader_open(rd, id, dims);
    double *x = moe_reader_failed(rd) ? NULL : moe_reader_buffer(rd, g * g);
    for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++) {
        double all = 0, own = 0;
        block.start[0] = (hsize_t)s;
        moe_h5_read_block(dataset, &block, H5T_NATIVE_DOUBLE, x, rd->err);
        if (moe_reader_failed(rd))
            break;
        moe_reader_mark(rd, id, x, g * g);
        for (size_t j = 0; j < g * g; j++)
            all += x[j];
        for (size_t j = 0; j < g; j++)
            own += x[j * g + j];
        const double layers = (double)iterations_of(rd, s) * v->dims.layers;
        const double mean = layers > 0 ? all / layers : NAN;
        const double remote = all > 0 ? 1 - own / all : NAN;
        memcpy((char *)&v->strategy[s] + offset, &mean, sizeof mean);
        if (remote_offset != SIZE_MAX)
            memcpy((char *)&v->strategy[s] + remote_offset, &remote,
                   sizeof remote);
    }
    moe_h5_close(dataset);
}

/* Planner time is per iteration: the sum over layers. */
static void scale_summary(moe_summary *s, double factor)
{
    double *all[] = {&s->median, &s->ci_low, &s->ci_high, &s->mean, &s->sd,
                     &s->min,    &s->max,    &s->p50,     &s->p90,  &s->p99};
    for (size_t i = 0; i < MOE_ARRAY_LEN(all); i++)
        *all[i] *= factor;
}

/* A hash of the true loads of an iteration. */
static void visit_batch(const moe_reader *rd, int s, int i, const double *x,
                        void *arg)
{
    const size_t n =
        (size_t)rd->view->dims.layers * (size_t)rd->view->dims.experts;
    uint64_t h = MOE_HASH_START;
    double *pairs = arg;
    (void)s;
    if (isnan(x[0]))
        return;
    for (size_t j = 0; j < n; j++) {
        h = moe_hash_add(h, (uint64_t)(int64_t)x[j]);
        *pairs += x[j];
    }
    rd->view->batch_hash[i] = h;
}

static void read_batches(moe_reader *rd)
{
    const size_t n = (size_t)rd->view->dims.iterations;
    rd->view->batch_hash =
        moe_array_new(n, sizeof *rd->view->batch_hash, rd->err);
    double pairs = 0;
    moe_reader_each(rd, MOE_FIELD_TRUE_PAIRS, visit_batch, &pairs);
    size_t counted = 0;
    for (size_t i = 0; i < n && !moe_reader_failed(rd); i++)
        counted += rd->view->batch_hash[i] != 0;
    rd->view->tokens =
        counted > 0 && rd->view->top_k > 0
            ? pairs / (double)counted / rd->view->dims.layers / rd->view->top_k
            : (double)NAN;
}

static void read_loads(moe_reader *rd)
{
    moe_view *v = rd->view;
    const moe_ledger_dims *d = &v->dims;
    size_t gpus = (size_t)d->gpus, ranks = (size_t)d->ranks;
    size_t experts = (size_t)d->experts, layers = (size_t)d->layers;
    const layer_mean one = {.n = 1, .row = 1, .reduce = only};
    read_figure(rd, MOE_FIELD_RANK_PAIRS,
                (layer_mean){.n = gpus, .row = ranks, .reduce = peak},
                offsetof(moe_strategy_view, imbalance));
    read_figure(rd, MOE_FIELD_TRUE_PAIRS,
                (layer_mean){.n = experts, .row = experts, .reduce = peak},
                offsetof(moe_strategy_view, skewness));
    read_figure(rd, MOE_FIELD_ERROR, one, offsetof(moe_strategy_view, error));
    read_figure(rd, MOE_FIELD_TOP1, one, offsetof(moe_strategy_view, top1));
    read_figure(rd, MOE_FIELD_RECALL, one, offsetof(moe_strategy_view, recall));
    read_figure(rd, MOE_FIELD_IN_PLACE, one,
                offsetof(moe_strategy_view, in_place));
    read_figure(rd, MOE_FIELD_PLANNER_TIME, one,
                offsetof(moe_strategy_view, planner_cpu));
    for (int s = 0; s < d->strategies && !moe_reader_failed(rd); s++)
        scale_summary(&v->strategy[s].planner_cpu, d->layers);
    read_mean(rd, MOE_FIELD_MOVED_BYTES, layers,
              offsetof(moe_strategy_view, moved_bytes));
    read_mean(rd, MOE_FIELD_WIRE_BYTES, 1,
              offsetof(moe_strategy_view, wire_bytes));
    read_traffic(rd, MOE_FIELD_DISPATCH_BYTES,
                 offsetof(moe_strategy_view, dispatch_bytes),
                 offsetof(moe_strategy_view, remote_share));
    for (int s = 0; s < d->strategies && !moe_reader_failed(rd); s++)
        v->strategy[s].ahead_bytes = NAN;
    if (moe_reader_has(rd, MOE_FIELD_AHEAD_BYTES))
        read_traffic(rd, MOE_FIELD_AHEAD_BYTES,
                     offsetof(moe_strategy_view, ahead_bytes), SIZE_MAX);
}

void moe_reader_reduce_loads(moe_reader *rd)
{
    read_loads(rd);
    if (!moe_reader_failed(rd))
        read_regret(rd);
    if (!moe_reader_failed(rd))
        read_batches(rd);
}
