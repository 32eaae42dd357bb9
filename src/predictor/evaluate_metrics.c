/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate_pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/stats.h"

double moe_noise_floor(const double *share, int n, int k, double tokens)
{
    double sum = 0;
    for (int e = 0; e < n; e++) {
        const double q = fmin(k * share[e], 1);
        if (!(q > 0 && q < 1))
            continue;
        const double m = floor(tokens * q) + 1;
        if (m > tokens)
            continue; /* q is 1 except for rounding */
        sum += 2 * exp(log(m) + lgamma(tokens + 1) - lgamma(m + 1) -
                       lgamma(tokens - m + 1) + m * log(q) +
                       (tokens - m + 1) * log1p(-q));
    }
    return sum / (tokens * k);
}

/* sum |a / sum a - b / sum b| */
static double distance(const double *a, const double *b, size_t n)
{
    double sum_a = 0, sum_b = 0, error = 0;
    for (size_t e = 0; e < n; e++) {
        sum_a += a[e];
        sum_b += b[e];
    }
    for (size_t e = 0; e < n; e++)
        error += fabs(a[e] / sum_a - b[e] / sum_b);
    return error;
}

/* The metrics that have an interval. */
enum { ERROR, TOP1, RECALL, CALIBRATION, N_METRICS };

/* Arrays that this file works in. */
typedef struct {
    double (*value)[N_METRICS]; /* [layers + 1] the last is the mean */
    double *without;            /* [layers + 1][N_METRICS][groups] the same, but
                                   for one group */
    double *weight;             /* [groups] */
    double *truth, *predicted;  /* [experts] pairs by weight */
} arrays;

/* Sum over bins of |probabilities - pairs that came|, in pairs. */
static double miscalibration(const moe_evaluate_pass *c, const double *weight,
                             int l)
{
    double sum = 0;
    for (size_t b = 0; b < MOE_CALIBRATION_BINS; b++) {
        double off = 0;
        for (int g = 0; g < c->sums.n; g++) {
            const size_t at = ((size_t)g * (size_t)c->n_layers + (size_t)l) *
                                  MOE_CALIBRATION_BINS +
                              b;
            off += weight[g] * (c->sums.promised[at] - c->sums.kept[at]);
        }
        sum += fabs(off);
    }
    return sum;
}

/* One layer's metrics when group g counts a->weight[g] times. */
static void metrics_of(const moe_evaluate_pass *c, const arrays *a, int l,
                       double *out)
{
    const double *weight = a->weight;
    double *truth = a->truth, *predicted = a->predicted;
    const moe_evaluate_sums *s = &c->sums;
    const size_t n_e = (size_t)c->p->trace->experts;
    double tokens = 0, first = 0, hits = 0;
    memset(truth, 0, n_e * sizeof *truth);
    memset(predicted, 0, n_e * sizeof *predicted);
    for (int g = 0; g < s->n; g++) {
        const size_t at = (size_t)g * (size_t)c->n_layers + (size_t)l;
        const double w = weight[g];
        if (!(w > 0))
            continue;
        tokens += w * s->tokens[g];
        first += w * s->first[at];
        hits += w * s->hits[at];
        for (size_t e = 0; e < n_e; e++) {
            truth[e] += w * s->truth[at * n_e + e];
            predicted[e] += w * s->predicted[at * n_e + e];
        }
    }
    const bool choices = c->forecast == MOE_FORECAST_TOKENS;
    out[ERROR] = c->p->predictor->observe == NULL
                     ? distance(predicted, truth, n_e)
                     : NAN;
    out[CALIBRATION] =
        c->p->predictor->scores != NULL
            ? miscalibration(c, weight, l) / (tokens * c->p->trace->top_k)
            : NAN;
    out[TOP1] = choices && c->p->trace->ordered ? first / tokens : NAN;
    out[RECALL] = choices ? hits / (tokens * c->p->trace->top_k) : NAN;
}

static double *without_of(const moe_evaluate_pass *c, const arrays *a, int l,
                          int metric)
{
    const size_t n = (size_t)c->sums.n;
    return a->without + ((size_t)l * N_METRICS + (size_t)metric) * n;
}

/* Every group left out once. */
static void leave_out(const moe_evaluate_pass *c, const arrays *a)
{
    const int n = c->sums.n, n_l = c->n_layers;
    for (int g = 0; g < n; g++) {
        a->weight[g] = 0;
        for (int l = 0; l < n_l; l++) {
            double now[N_METRICS];
            metrics_of(c, a, l, now);
            for (int f = 0; f < N_METRICS; f++) {
                without_of(c, a, l, f)[g] = now[f];
                without_of(c, a, n_l, f)[g] += now[f] / n_l;
            }
        }
        a->weight[g] = 1;
    }
}

/* The jackknife, by clusters, or by groups of sequences that follow one
 * another: what is alike in neighbours is in the groups' correlation. Noise raises an error; that bias is in the interval, too.
 * @param without  [groups] */
static moe_estimate estimate(const moe_evaluate_pass *c, double value,
                             const double *without, double most)
{
    const int n = c->sums.n;
    double mean = 0, square = 0;
    const int least =
        c->clusters > 0 ? MOE_EVALUATE_CLUSTERS : MOE_STATS_MIN_CI;
    if (n < least || isnan(value))
        return (moe_estimate){value, NAN, NAN};
    for (int g = 0; g < n; g++)
        mean += without[g] / n;
    for (int g = 0; g < n; g++)
        square += (without[g] - mean) * (without[g] - mean);
    const double inflation =
        c->clusters > 0 ? 1 : moe_mean_inflation(without, (size_t)n);
    const double bias = (n - 1) * (mean - value);
    const double worth = n / inflation;
    if (worth < 2)
        return (moe_estimate){value, NAN, NAN};
    const double half = moe_t975(worth - 1) *
                        sqrt(square * (n - 1) / n * inflation + bias * bias);
    return (moe_estimate){value, fmax(value - half, 0),
                          fmin(value + half, most)};
}

static moe_estimate estimate_median(const double *x, size_t n, moe_error *err)
{
    moe_summary m = {0};
    moe_summarise(x, n, 1, &m, err);
    return (moe_estimate){m.median, m.ci_low, m.ci_high};
}

static void fill_row(const moe_evaluate_pass *c, const arrays *a, int l,
                     moe_evaluation_row *row, moe_error *err)
{
    const double *value = a->value[l];
    row->error = estimate(c, value[ERROR], without_of(c, a, l, ERROR), 2);
    row->top1 = estimate(c, value[TOP1], without_of(c, a, l, TOP1), 1);
    row->recall = estimate(c, value[RECALL], without_of(c, a, l, RECALL), 1);
    row->calibration =
        estimate(c, value[CALIBRATION], without_of(c, a, l, CALIBRATION), 2);
    row->batch_error = estimate_median(
        c->batch_error + (size_t)l * c->n_batches, c->n_batches, err);
}

/* Skewness and chance, which need the true distribution alone. */
static void describe_truth(const moe_evaluate_pass *c, const double *truth,
                           const moe_evaluation *v, moe_evaluation_row *row)
{
    const int n_e = c->p->trace->experts, k = c->p->trace->top_k;
    double *share = c->share, most = 0, total = 0;
    for (int e = 0; e < n_e; e++)
        total += truth[e];
    for (int e = 0; e < n_e; e++) {
        share[e] = truth[e] / total;
        most = fmax(most, share[e]);
    }
    row->skewness = most * n_e;
    row->error_floor = moe_noise_floor(share, n_e, k, (double)c->n_tokens);
    row->batch_floor = moe_noise_floor(share, n_e, k, round(v->batch_tokens));
}

static void fill_rows(const moe_evaluate_pass *c, const arrays *a,
                      moe_evaluation *v, moe_error *err)
{
    const int n_l = c->n_layers;
    for (int l = 0; l < n_l; l++) {
        moe_evaluation_row *row = &v->layer[l];
        for (int g = 0; g < c->sums.n; g++)
            a->weight[g] = 1;
        metrics_of(c, a, l, a->value[l]);
        describe_truth(c, a->truth, v, row);
        for (int f = 0; f < N_METRICS; f++)
            a->value[n_l][f] += a->value[l][f] / n_l;
        v->mean.skewness += row->skewness / n_l;
        v->mean.error_floor += row->error_floor / n_l;
        v->mean.batch_floor += row->batch_floor / n_l;
    }
    leave_out(c, a);
    for (int l = 0; l <= n_l; l++)
        fill_row(c, a, l, l < n_l ? &v->layer[l] : &v->mean, err);
}

moe_status moe_evaluate_metrics(const moe_evaluate_pass *c, moe_evaluation *v,
                                moe_error *err)
{
    const size_t rows = (size_t)c->n_layers + 1;
    const size_t n_e = (size_t)c->p->trace->experts;
    const arrays a = {
        .value = moe_array_new(rows, sizeof *a.value, err),
        .without = moe_array_new(rows * N_METRICS * (size_t)c->sums.n,
                                 sizeof *a.without, err),
        .weight = moe_array_new((size_t)c->sums.n, sizeof *a.weight, err),
        .truth = moe_array_new(n_e, sizeof *a.truth, err),
        .predicted = moe_array_new(n_e, sizeof *a.predicted, err)};
    v->layer = moe_array_new((size_t)c->n_layers, sizeof *v->layer, err);
    if (err->status == MOE_OK)
        fill_rows(c, &a, v, err);
    free(a.value);
    free(a.without);
    free(a.weight);
    free(a.truth);
    free(a.predicted);
    return err->status;
}

void moe_evaluate_price(const moe_evaluate_pass *c, moe_evaluation *v)
{
    const moe_evaluate_params *p = c->p;
    moe_gemm_run run[MOE_PREDICT_GEMMS];
    const int gpus = p->pricer != NULL ? p->pricer->layout.gpus : 1;
    const double tokens = v->batch_tokens / gpus;
    const int n =
        p->predictor->work != NULL
            ? p->predictor->work(c->state, tokens, (double)p->batch / gpus, run)
            : 0;
    v->price_s = p->pricer != NULL ? 0 : NAN;
    for (int i = 0; i < n; i++) {
        const moe_gemm *g = &run[i].shape;
        v->flops += 2 * g->m * g->n * g->k * run[i].times / tokens;
        if (p->pricer == NULL)
            continue;
        const moe_price one = p->pricer->cost->gemm(p->pricer->state, g);
        v->price_s += one.time_s * run[i].times;
        v->price_source =
            one.source > v->price_source ? one.source : v->price_source;
    }
}
