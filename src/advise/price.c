/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/iteration_price.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "pricing.h"

/* What a layer takes, mean over layers. */
typedef struct {
    double gpu_s[MOE_N_PHASES], exposed_s[MOE_N_PHASES];
    double layer_s, error_s, imbalance;
    moe_price_source source;
    unsigned extrapolated; /* bit p: phase p */
} layer_time;

/* ---- one iteration ---- */

static moe_iteration_work iteration_of(const moe_advise_pricing *j, bool due,
                                       double plan_bytes)
{
    const moe_advise *a = j->a;
    const moe_pricer pricer = moe_advise_pricer(j->a);
    const bool plans = due && moe_advise_replans(j);
    const moe_coordination_work c = {
        .collects = plans,
        .plans = plans,
        .central = true,
        .lookahead = j->dials->lookahead,
        .own_device = j->dials->overhead_hidden,
        .plan_bytes = plan_bytes * a->p.model->layers / a->layers,
        .plan_s = j->plan_s};
    moe_iteration_work w = {.cost = j->worst,
                            .n = a->layers,
                            .layers = a->p.model->layers,
                            .slowdown = a->p.cluster->overlap_slowdown};
    moe_coordination_cost_of(&pricer, &c, &w.coordination);
    return w;
}

static void note_source(layer_time *out, moe_price_source source)
{
    if (source != MOE_N_PRICE_SOURCES && source > out->source)
        out->source = source;
}

/* Means over layers of what the timeline says. */
static void read_times(const moe_advise_pricing *j, const moe_iteration_work *w,
                       layer_time *out)
{
    for (int l = 0; l < w->n; l++) {
        double gpu_s[MOE_N_PHASES];
        for (int p = 0; p < MOE_N_PHASES; p++) {
            gpu_s[p] = w->cost[l].most_s[p];
            const moe_price_source of =
                moe_layer_cost_source(&w->cost[l], (moe_phase)p);
            note_source(out, of);
            if (of == MOE_PRICE_EXTRAPOLATED)
                out->extrapolated |= 1u << p;
        }
        moe_iteration_coordination_s(w, l, gpu_s);
        for (int p = 0; p < MOE_N_PHASES; p++) {
            out->gpu_s[p] += gpu_s[p] / w->n;
            out->exposed_s[p] += j->exposed_s[l][p] / w->n;
        }
    }
    if (w->coordination.plans) {
        note_source(out, w->coordination.collect.source);
        note_source(out, w->coordination.broadcast.source);
    }
    for (int p = 0; p < MOE_N_PHASES; p++)
        out->layer_s += out->exposed_s[p];
}

/* An iteration of a sample: all its layers. */
static void price_iteration(moe_advise_pricing *j, moe_advise_case c,
                            int sample, bool due, layer_time *out)
{
    const moe_advise *a = j->a;
    double plan_bytes = 0;
    *out = (layer_time){.source = MOE_PRICE_TABULATED};
    for (int l = 0; l < a->layers; l++) {
        j->layer = &a->layer[sample * a->layers + l];
        moe_advise_choose_placement(j, c);
        moe_advise_price_layer(j, due, &j->worst[l]);
        j->plan_s[l] = j->placement->planner_s;
        plan_bytes += j->placement->plan_bytes;
        out->imbalance += j->target / moe_advise_mean_pairs(j) / a->layers;
    }
    const moe_iteration_work w = iteration_of(j, due, plan_bytes);
    const moe_iteration_price price =
        moe_iteration_price_of(a->iterations, &w, j->exposed_s);
    read_times(j, &w, out);
    out->error_s = price.wrong_s / w.layers;
}

static void mix_one(double *with, double without, double part)
{
    *with = without + part * (*with - without);
}

/* One iteration in `every` is with a plan, the others are without. */
static void mix(layer_time *with, const layer_time *without, int every)
{
    const double part = 1.0 / every;
    for (int p = 0; p < MOE_N_PHASES; p++) {
        mix_one(&with->gpu_s[p], without->gpu_s[p], part);
        mix_one(&with->exposed_s[p], without->exposed_s[p], part);
    }
    mix_one(&with->error_s, without->error_s, part);
    mix_one(&with->layer_s, without->layer_s, part);
}

/* Add one of n to their mean. */
static void add_part(layer_time *mean, const layer_time *one, int n)
{
    for (int p = 0; p < MOE_N_PHASES; p++) {
        mean->gpu_s[p] += one->gpu_s[p] / n;
        mean->exposed_s[p] += one->exposed_s[p] / n;
    }
    mean->layer_s += one->layer_s / n;
    mean->error_s += one->error_s / n;
    mean->imbalance += one->imbalance / n;
    mean->extrapolated |= one->extrapolated;
    if (one->source > mean->source)
        mean->source = one->source;
}

/* One batch of a trace, with a plan if one was made for it; by hand, the mean
 * over an interval between two plans. */
static void price_interval(moe_advise_pricing *j, moe_advise_case c, int sample,
                           layer_time *out)
{
    const moe_advise *a = j->a;
    const int every = j->dials->rebalance_every;
    price_iteration(j, c, sample, a->layer[sample * a->layers].due, out);
    if (a->p.trace == NULL && every > 1 && moe_advise_replans(j)) {
        layer_time without;
        price_iteration(j, c, sample, false, &without);
        mix(out, &without, every);
    }
}

/* A sample, a batch's mean over layers, in all cases up to `most`. Cases are
 * those of an error that is described. None is better than the one before it:
 * where the busiest GPU is not the slowest, pairs that come to it may leave the
 * slowest.
 * @param out  [most + 1] */
static void price_sample(moe_advise_pricing *j, moe_advise_case most, int i,
                         layer_time *out)
{
    const moe_advise_strategy s = j->strategy;
    const bool described =
        s == MOE_ADVISE_TOKEN ||
        (s == MOE_ADVISE_DISTRIBUTION && j->a->p.trace == NULL);
    j->overhead_s = j->dials->overhead_s;
    if (s == MOE_ADVISE_TOKEN && j->dials->overhead_share > 0) {
        layer_time baseline;
        j->strategy = MOE_ADVISE_BASELINE;
        price_interval(j, MOE_ADVISE_OPTIMISTIC, i, &baseline);
        j->overhead_s += j->dials->overhead_share * baseline.layer_s;
        j->strategy = s;
    }
    price_interval(j, MOE_ADVISE_OPTIMISTIC, i, out);
    for (int c = 1; c <= (int)most; c++) {
        if (described)
            price_interval(j, (moe_advise_case)c, i, &out[c]);
        if (!described || out[c - 1].layer_s > out[c].layer_s)
            out[c] = out[c - 1];
    }
}

static moe_status pricing_begin(moe_advise_pricing *j, const moe_advise *a,
                                const moe_advise_dials *dials,
                                moe_advise_strategy s, moe_error *err)
{
    const size_t n = (size_t)a->layers;
    *j = (moe_advise_pricing){
        .a = a, .dials = dials != NULL ? dials : &a->p.dials, .strategy = s};
    j->rows = moe_array_new((size_t)a->slots, sizeof *j->rows, err);
    j->visit = moe_array_new((size_t)a->p.gpus, sizeof *j->visit, err);
    j->worst = moe_array_new(n, sizeof *j->worst, err);
    j->plan_s = moe_array_new(n, sizeof *j->plan_s, err);
    j->exposed_s = moe_array_new(n, sizeof *j->exposed_s, err);
    return err->status;
}

static void pricing_end(moe_advise_pricing *j)
{
    free(j->exposed_s);
    free(j->plan_s);
    free(j->worst);
    free(j->visit);
    free(j->rows);
}

void moe_advise_sample_s(const moe_advise *a, const moe_advise_dials *dials,
                         moe_advise_strategy s, moe_advise_case c,
                         double *x_out)
{
    moe_advise_pricing j;
    moe_error local = {0};
    const bool ready = pricing_begin(&j, a, dials, s, &local) == MOE_OK;
    const int period = moe_advise_period(a);
    for (int i = 0; i < a->samples; i++) {
        layer_time time[MOE_ADVISE_CASES];
        time[c].layer_s = NAN;
        if (ready)
            price_sample(&j, c, i, time);
        x_out[i / period] =
            (i % period > 0 ? x_out[i / period] : 0) + time[c].layer_s / period;
    }
    pricing_end(&j);
}

double moe_advise_layer_s(const moe_advise *a, const moe_advise_dials *dials,
                          moe_advise_strategy s, moe_advise_case c)
{
    double *x = moe_array_new((size_t)a->samples, sizeof *x, NULL);
    if (x == NULL)
        return NAN;
    moe_advise_sample_s(a, dials, s, c, x);
    const double median =
        moe_median_sorting(x, (size_t)(a->samples / moe_advise_period(a)));
    free(x);
    return median;
}

/* Median of one member over samples. */
static double over(const layer_time *time, int n, size_t offset, double *x)
{
    bool known = true;
    for (int i = 0; i < n; i++) {
        memcpy(&x[i], (const char *)&time[i] + offset, sizeof *x);
        known = known && !isnan(x[i]);
    }
    return known ? moe_median_sorting(x, (size_t)n) : NAN;
}

static void summarise(const layer_time *time, int n, double passes, double *x,
                      moe_advise_time *out, moe_error *err)
{
    moe_summary m;
    *out = (moe_advise_time){.source = MOE_PRICE_TABULATED};
    for (int i = 0; i < n; i++) {
        x[i] = time[i].layer_s;
        out->extrapolated |= time[i].extrapolated;
        if (time[i].source > out->source)
            out->source = time[i].source;
    }
    if (moe_summarise(x, (size_t)n, passes, &m, err) != MOE_OK)
        return;
    out->layer_s = m.median;
    out->ci_low = m.ci_low;
    out->ci_high = m.ci_high;
    out->least_s = m.min;
    out->most_s = m.max;
    for (size_t p = 0; p < MOE_N_PHASES; p++) {
        const size_t at = p * sizeof(double);
        out->gpu_s[p] = over(time, n, offsetof(layer_time, gpu_s) + at, x);
        out->exposed_s[p] =
            over(time, n, offsetof(layer_time, exposed_s) + at, x);
    }
    out->error_s = over(time, n, offsetof(layer_time, error_s), x);
    out->imbalance = over(time, n, offsetof(layer_time, imbalance), x);
}

/* @param time  [most + 1][samples / period], zero before */
static void price_samples(moe_advise_pricing *j, moe_advise_case most,
                          layer_time *time)
{
    const moe_advise *a = j->a;
    const int period = moe_advise_period(a), n = a->samples / period;
    for (int i = 0; i < a->samples; i++) {
        layer_time one[MOE_ADVISE_CASES];
        price_sample(j, most, i, one);
        for (int c = 0; c <= (int)most; c++)
            add_part(&time[c * n + i / period], &one[c], period);
    }
}

/* @param out  [most + 1]
 * @param typical_s_out  [samples / period] of the typical case; NULL: not asked */
static moe_status price_cases(moe_advise_pricing *j, moe_advise_case most,
                              moe_advise_time *out, double *typical_s_out,
                              moe_error *err)
{
    const int n = j->a->samples / moe_advise_period(j->a);
    const size_t all = (size_t)n * ((size_t)most + 1);
    layer_time *time = moe_array_new(all, sizeof *time, err);
    double *x = moe_array_new((size_t)n, sizeof *x, err);
    if (time != NULL && x != NULL) {
        price_samples(j, most, time);
        for (int i = 0; typical_s_out != NULL && i < n; i++)
            typical_s_out[i] = time[MOE_ADVISE_TYPICAL * n + i].layer_s;
        for (int c = 0; c <= (int)most && err->status == MOE_OK; c++)
            summarise(time + c * n, n, j->a->alike, x, &out[c], err);
    }
    free(time);
    free(x);
    return err->status;
}

moe_status moe_advise_price_cases(const moe_advise *a, moe_advise_strategy s,
                                  moe_advise_time *out, double *typical_s_out,
                                  moe_error *err)
{
    moe_advise_pricing j;
    moe_error local = {0};
    if (pricing_begin(&j, a, NULL, s, &local) == MOE_OK)
        price_cases(&j, MOE_ADVISE_PESSIMISTIC, out, typical_s_out, &local);
    pricing_end(&j);
    return moe_pass(err, &local);
}

moe_status moe_advise_price(const moe_advise *a, const moe_advise_dials *dials,
                            moe_advise_strategy s, moe_advise_case c,
                            moe_advise_time *out, moe_error *err)
{
    moe_advise_pricing j;
    moe_advise_time cases[MOE_ADVISE_CASES];
    moe_error local = {0};
    if (pricing_begin(&j, a, dials, s, &local) == MOE_OK &&
        price_cases(&j, c, cases, NULL, &local) == MOE_OK)
        *out = cases[c];
    pricing_end(&j);
    return moe_pass(err, &local);
}
