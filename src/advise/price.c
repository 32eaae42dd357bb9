/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "moegps/stats.h"

/* What a layer takes: of one layer, or of a sample. */
typedef struct {
    moe_layer_price worst; /* GPU of each phase */
    double layer_s, imbalance;
} layer_time;

/* One strategy on one layer of a sample. */
typedef struct {
    const moe_advise *a;
    const moe_advise_dials *dials;
    const moe_advise_layer *layer;
    const moe_advise_placement *placement;
    moe_advise_strategy strategy;
    double target;     /* pairs of the busiest GPU under the error */
    double up, down;   /* factors of its rows and of the others' */
    double overhead_s; /* of the predictor */
    uint32_t *rows;    /* [slots] scratch */
} pricing;

static double mean_pairs(const pricing *j)
{
    return j->layer->tokens * j->a->p.model->top_k / j->a->p.gpus;
}

static double error_of(const pricing *j)
{
    const moe_advise_dials *d = j->dials;
    if (j->strategy == MOE_ADVISE_TOKEN)
        return d->token_error >= 0 ? d->token_error : 1.0 - d->accuracy;
    return j->strategy == MOE_ADVISE_DISTRIBUTION ? j->layer->error : 0.0;
}

/* A trace shows what a distribution's error does: that is its typical case. */
static void choose_placement(pricing *j, moe_advise_case c)
{
    const bool shown = j->a->p.trace != NULL && c == MOE_ADVISE_TYPICAL &&
                       j->strategy == MOE_ADVISE_DISTRIBUTION;
    j->placement =
        &j->layer->placement[j->strategy == MOE_ADVISE_BASELINE ? PLACEMENT_HOME
                             : shown ? PLACEMENT_PREDICTED
                                     : PLACEMENT_TRUTH];
    const double total = mean_pairs(j) * j->a->p.gpus;
    const double load = (double)j->placement->pairs[j->placement->busiest];
    const double e = shown ? 0.0 : error_of(j);
    j->target = load;
    if (c == MOE_ADVISE_TYPICAL)
        j->target = fmin(load * (1 + e), total);
    else if (c == MOE_ADVISE_PESSIMISTIC)
        j->target = fmin(load + e * total, total);
    j->up = load > 0 ? j->target / load : 1.0;
    j->down = total > load ? (total - j->target) / (total - load) : 1.0;
}

/* The paper's duplication: pairs of a GPU as if they were of its homes. */
static const uint32_t *merged_rows(const pricing *j, int gpu)
{
    const moe_advise *a = j->a;
    const double by = gpu == j->placement->busiest ? j->up : j->down;
    const double pairs = floor((double)j->placement->pairs[gpu] * by + 0.5);
    const int homes = moe_layout_home_slots(&a->layout, a->p.model->experts);
    for (int s = 0; s < a->slots; s++)
        j->rows[s] = s >= homes ? 0
                                : (uint32_t)(floor(pairs * (s + 1) / homes) -
                                             floor(pairs * s / homes));
    return j->rows;
}

/* Pairs of one GPU under the error. */
static const uint32_t *scaled_rows(const pricing *j, int gpu)
{
    const size_t n = (size_t)j->a->slots;
    const uint32_t *rows = j->placement->rows + (size_t)gpu * n;
    const double by = gpu == j->placement->busiest ? j->up : j->down;
    if (j->dials->paper && j->strategy != MOE_ADVISE_BASELINE)
        return merged_rows(j, gpu);
    if (by == 1.0)
        return rows;
    moe_layer_scale_rows(rows, n, by, j->rows);
    return j->rows;
}

/* Where plans change from batch to batch copies travel: those of the true load
 * in a trace, all of them by hand, as far as the dial says. A distribution's
 * forecast stays, so by hand nothing travels; a trace shows what does. */
static double move_bytes(const pricing *j, int gpu, int far)
{
    const moe_advise_placement *s = j->placement;
    double share = j->dials->moving;
    if (j->strategy == MOE_ADVISE_DISTRIBUTION) {
        share = j->a->p.trace != NULL ? 1.0 : 0.0;
        s = &j->layer->placement[PLACEMENT_PREDICTED];
    }
    if (j->strategy == MOE_ADVISE_BASELINE || j->dials->paper || share <= 0)
        return 0.0;
    return share * fmax(s->move_sent[gpu][far], s->move_received[gpu][far]);
}

/* @param due  a plan is made in this iteration. */
static moe_layer_work work_of(const pricing *j, int gpu, bool due)
{
    const moe_advise *a = j->a;
    const moe_advise_placement *s = j->placement;
    const double row =
        (double)a->p.model->hidden * moe_dtype_size(a->p.model->dtype);
    const double by = gpu == s->busiest ? j->up : j->down;
    const bool plans = due && j->strategy != MOE_ADVISE_BASELINE;
    moe_layer_work w = {.tokens = j->layer->tokens,
                        .sequences = j->layer->sequences,
                        .collects = plans,
                        .plans = plans,
                        .central = true,
                        .layers = a->p.model->layers,
                        .planner_s = s->planner_s,
                        .plan_bytes = s->plan_bytes * a->p.model->layers,
                        .rows = scaled_rows(j, gpu),
                        .slots = (size_t)a->slots};
    if (j->strategy == MOE_ADVISE_TOKEN) {
        w.predict_s = j->overhead_s;
        w.predict_hidden = j->dials->overhead_hidden;
        w.direct = j->dials->direct;
    }
    const bool still =
        j->dials->paper && j->strategy == MOE_ADVISE_DISTRIBUTION;
    const moe_advise_placement *rows =
        still ? &j->layer->placement[PLACEMENT_HOME] : s;
    /* Direct routing has brought the pairs predicted right already. */
    const double left = w.direct ? 1.0 - j->dials->accuracy : 1.0;
    for (int far = 0; far < 2; far++) {
        w.combine_bytes[far] =
            row * fmax(rows->sent[gpu][far],
                       rows->received[gpu][far] * (still ? 1.0 : by));
        w.dispatch_bytes[far] = left * w.combine_bytes[far];
        w.move_bytes[far] = move_bytes(j, gpu, far);
    }
    return w;
}

static void price_layer(const pricing *j, bool due, layer_time *out)
{
    const moe_advise *a = j->a;
    const moe_pricer pricer = {.cost = a->cost,
                               .state = a->cost_state,
                               .model = a->p.model,
                               .layout = a->layout};
    *out = (layer_time){.imbalance = j->target / mean_pairs(j)};
    moe_layer_common common;
    moe_layer_work w = work_of(j, 0, due);
    moe_layer_common_of(&pricer, &w, &common);
    /* The paper's exchange has other standouts than its FFN. */
    const bool quick = a->quick && !j->dials->paper;
    const int n = quick ? j->placement->n_standouts : a->p.gpus;
    for (int i = 0; i < n; i++) {
        moe_layer_price price;
        w = work_of(j, quick ? j->placement->standout[i] : i, due);
        moe_layer_price_with(&pricer, &common, &w, &price);
        moe_layer_price_worst(&out->worst, &price);
    }
    out->layer_s = moe_layer_price_sum(&out->worst);
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
        mix_one(&with->worst.gpu_s[p], without->worst.gpu_s[p], part);
        mix_one(&with->worst.exposed_s[p], without->worst.exposed_s[p], part);
    }
    mix_one(&with->worst.error_s, without->worst.error_s, part);
    mix_one(&with->layer_s, without->layer_s, part);
}

/* The mean over an interval between two plans. */
static void price_one(pricing *j, moe_advise_case c, layer_time *out)
{
    choose_placement(j, c);
    price_layer(j, true, out);
    if (j->dials->rebalance_every > 1 && j->strategy != MOE_ADVISE_BASELINE) {
        layer_time without;
        price_layer(j, false, &without);
        mix(out, &without, j->dials->rebalance_every);
    }
}

/* Add one of n layers to their mean. */
static void add_layer(layer_time *mean, const layer_time *one, int n)
{
    for (int p = 0; p < MOE_N_PHASES; p++) {
        mean->worst.gpu_s[p] += one->worst.gpu_s[p] / n;
        mean->worst.exposed_s[p] += one->worst.exposed_s[p] / n;
    }
    mean->worst.error_s += one->worst.error_s / n;
    mean->layer_s += one->layer_s / n;
    mean->imbalance += one->imbalance / n;
    if (one->worst.source > mean->worst.source)
        mean->worst.source = one->worst.source;
}

/* A sample: a batch's mean over layers. */
static void price_sample(pricing *j, moe_advise_case c, int i, layer_time *out)
{
    const moe_advise *a = j->a;
    *out = (layer_time){.layer_s = 0};
    for (int l = 0; l < a->layers; l++) {
        layer_time one;
        j->layer = &a->layer[i * a->layers + l];
        const moe_advise_strategy s = j->strategy;
        j->overhead_s = j->dials->overhead_s;
        if (s == MOE_ADVISE_TOKEN && j->dials->overhead_share > 0) {
            j->strategy = MOE_ADVISE_BASELINE;
            price_one(j, c, &one);
            j->overhead_s += j->dials->overhead_share * one.layer_s;
            j->strategy = s;
        }
        price_one(j, c, &one);
        add_layer(out, &one, a->layers);
    }
}

static bool pricing_begin(pricing *j, const moe_advise *a,
                          const moe_advise_dials *dials, moe_advise_strategy s)
{
    *j = (pricing){.a = a,
                   .dials = dials != NULL ? dials : &a->p.dials,
                   .strategy = s,
                   .rows =
                       moe_array_new((size_t)a->slots, sizeof *j->rows, NULL)};
    return j->rows != NULL;
}

void moe_advise_sample_s(const moe_advise *a, const moe_advise_dials *dials,
                         moe_advise_strategy s, moe_advise_case c,
                         double *x_out)
{
    pricing j;
    const bool ready = pricing_begin(&j, a, dials, s);
    for (int i = 0; i < a->samples; i++) {
        layer_time time = {.layer_s = NAN};
        if (ready)
            price_sample(&j, c, i, &time);
        x_out[i] = time.layer_s;
    }
    free(j.rows);
}

double moe_advise_layer_s(const moe_advise *a, const moe_advise_dials *dials,
                          moe_advise_strategy s, moe_advise_case c)
{
    double *x = moe_array_new((size_t)a->samples, sizeof *x, NULL);
    if (x == NULL)
        return NAN;
    moe_advise_sample_s(a, dials, s, c, x);
    const double median = moe_median_sorting(x, (size_t)a->samples);
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

static void summarise(const layer_time *time, int n, double *x,
                      moe_advise_time *out, moe_error *err)
{
    moe_summary m;
    *out = (moe_advise_time){.source = MOE_PRICE_TABULATED};
    for (int i = 0; i < n; i++) {
        x[i] = time[i].layer_s;
        if (time[i].worst.source > out->source)
            out->source = time[i].worst.source;
    }
    if (moe_summarise(x, (size_t)n, 1, &m, err) != MOE_OK)
        return;
    out->layer_s = m.median;
    out->ci_low = m.ci_low;
    out->ci_high = m.ci_high;
    for (size_t p = 0; p < MOE_N_PHASES; p++) {
        const size_t at = p * sizeof(double);
        out->gpu_s[p] =
            over(time, n, offsetof(layer_time, worst.gpu_s) + at, x);
        out->exposed_s[p] =
            over(time, n, offsetof(layer_time, worst.exposed_s) + at, x);
    }
    out->error_s = over(time, n, offsetof(layer_time, worst.error_s), x);
    out->imbalance = over(time, n, offsetof(layer_time, imbalance), x);
}

moe_status moe_advise_price(const moe_advise *a, const moe_advise_dials *dials,
                            moe_advise_strategy s, moe_advise_case c,
                            moe_advise_time *out, moe_error *err)
{
    pricing j;
    moe_error local = {0};
    const size_t n = (size_t)a->samples;
    layer_time *time = moe_array_new(n, sizeof *time, &local);
    double *x = moe_array_new(n, sizeof *x, &local);
    if (!pricing_begin(&j, a, dials, s))
        moe_fail(&local, MOE_NOMEM, "out of memory");
    if (local.status == MOE_OK) {
        for (int i = 0; i < a->samples; i++)
            price_sample(&j, c, i, &time[i]);
        summarise(time, a->samples, x, out, &local);
    }
    free(j.rows);
    free(time);
    free(x);
    return moe_pass(err, &local);
}
