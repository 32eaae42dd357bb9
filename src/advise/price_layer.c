/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <math.h>

#include "pricing.h"

static double error_of(const moe_advise_pricing *j)
{
    const moe_advise_dials *d = j->dials;
    if (j->strategy == MOE_ADVISE_TOKEN)
        return d->token_error >= 0 ? d->token_error : 1.0 - d->accuracy;
    return j->strategy == MOE_ADVISE_DISTRIBUTION ? j->layer->error : 0.0;
}

/* A trace shows what a distribution's error does, in all cases alike. By hand
 * the batch shows what drawing it does, in all cases; the error told is
 * drift on top. */
void moe_advise_choose_placement(moe_advise_pricing *j, moe_advise_case c)
{
    const bool traced = j->a->p.trace != NULL;
    const bool predicted = j->strategy == MOE_ADVISE_DISTRIBUTION &&
                           (traced || !moe_advise_is_exact(j->a));
    const bool shown = traced && predicted;
    j->placement =
        &j->layer->placement[j->strategy == MOE_ADVISE_BASELINE ? PLACEMENT_HOME
                             : predicted ? PLACEMENT_PREDICTED
                                         : PLACEMENT_TRUTH];
    assert(j->placement->pairs != NULL);
    const double total = moe_advise_mean_pairs(j) * j->a->p.gpus;
    const double load = (double)j->placement->pairs[j->placement->busiest];
    const double e = shown ? 0.0 : error_of(j);
    j->target = load;
    if (c == MOE_ADVISE_TYPICAL)
        j->target = fmin(load * (1 + e), total);
    else if (c == MOE_ADVISE_PESSIMISTIC)
        j->target = fmin(
            fmax(load + (j->dials->paper ? e : e / 2) * total, load * (1 + e)),
            total);
    j->up = load > 0 ? j->target / load : 1.0;
    j->down = total > load ? (total - j->target) / (total - load) : 1.0;
}

/* The paper's duplication: pairs of a GPU as if they were of its homes. */
static const uint32_t *merged_rows(const moe_advise_pricing *j, int gpu)
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
static const uint32_t *scaled_rows(const moe_advise_pricing *j, int gpu)
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

bool moe_advise_replans(const moe_advise_pricing *j)
{
    const moe_predictor *p = j->a->p.predictor;
    const bool learns = p != NULL && p->observe != NULL;
    return !j->dials->paper &&
           (j->strategy == MOE_ADVISE_TOKEN ||
            j->strategy == MOE_ADVISE_ORACLE ||
            (j->strategy == MOE_ADVISE_DISTRIBUTION && learns));
}

/* Copies that travel: of a trace those that changed, by hand all of them, as far
 * as the dial says; what a distribution's do is known. */
static double move_bytes(const moe_advise_pricing *j, int gpu, int far)
{
    const bool shown = j->strategy == MOE_ADVISE_DISTRIBUTION;
    const moe_advise_placement *s =
        shown ? &j->layer->placement[PLACEMENT_PREDICTED] : j->placement;
    return (shown ? 1 : j->dials->moving) *
           fmax(s->move_sent[gpu][far], s->move_received[gpu][far]);
}

/* ---- direct routing ---- */

/* Share of pairs whose expert is known before attention ends. */
static double known(const moe_advise_pricing *j)
{
    if (!j->dials->direct)
        return 0;
    return j->strategy == MOE_ADVISE_TOKEN    ? j->dials->accuracy
           : j->strategy == MOE_ADVISE_ORACLE ? 1
                                              : 0;
}

double moe_advise_group_share(const moe_pricer *pricer)
{
    const moe_layout *y = &pricer->layout;
    const int local = y->gpus < y->gpus_per_node ? y->gpus : y->gpus_per_node;
    if (local < 2)
        return 1;
    return (double)(moe_layer_attention_gpus(pricer) - 1) / (local - 1);
}

double moe_advise_ahead_rows(const moe_pricer *pricer, double visited)
{
    return visited * (moe_layer_attention_gpus(pricer) - 1) /
           pricer->layout.gpus;
}

static double group_share(const moe_advise_pricing *j)
{
    const moe_pricer pricer = moe_advise_pricer(j->a);
    return j->dials->paper ? 1 : moe_advise_group_share(&pricer);
}

static double ahead_rows(const moe_advise_pricing *j)
{
    const moe_pricer pricer = moe_advise_pricer(j->a);
    if (j->dials->paper || !(known(j) > 0))
        return 0;
    return moe_advise_ahead_rows(&pricer, j->layer->visited);
}

/* ---- one layer ---- */

static int numberings(const moe_advise_pricing *j)
{
    if (j->dials->paper || j->strategy == MOE_ADVISE_BASELINE ||
        !j->a->split->needs_counts || !(j->placement->copies > 0))
        return 0;
    return known(j) > 0 ? 2 : 1; /* rows that go ahead are numbered, too */
}

/* What all GPUs have alike. */
static moe_layer_work common_work(const moe_advise_pricing *j)
{
    const int numbers = numberings(j);
    moe_layer_work w = {
        .tokens = j->layer->tokens,
        .sequences = j->layer->sequences,
        .numbers = numbers,
        .solve_s =
            j->a->split->solves ? numbers * j->a->p.cluster->split_solver_s : 0,
        .ahead_rows = ahead_rows(j),
        .direct = known(j) > 0,
        .slots = (size_t)j->a->slots};
    moe_layer_attend(&j->a->p.serving, &j->layer->all, &j->layer->own, &w);
    if (j->strategy == MOE_ADVISE_TOKEN)
        w.predict_s = j->overhead_s;
    return w;
}

/* @param due  a plan is made in this iteration. */
static moe_layer_work work_of(const moe_advise_pricing *j,
                              const moe_layer_work *common, int gpu, bool due)
{
    const moe_model *m = j->a->p.model;
    const moe_advise_placement *s = j->placement;
    const double by = gpu == s->busiest ? j->up : j->down;
    const bool still =
        j->dials->paper && j->strategy == MOE_ADVISE_DISTRIBUTION;
    const moe_advise_placement *of =
        still ? &j->layer->placement[PLACEMENT_HOME] : s;
    const double left[] = {1 - known(j) * group_share(j),
                           j->dials->paper ? 1 - known(j) : 1};
    moe_layer_work w = *common;
    w.rows = scaled_rows(j, gpu);
    const moe_pricer pricer = moe_advise_pricer(j->a);
    const moe_advise_traffic rows =
        moe_advise_rows(&pricer, of, j->visit, j->layer->tokens, gpu);
    for (int far = 0; far < 2; far++) {
        const double n =
            fmax(rows.sent[far], rows.received[far] * (still ? 1.0 : by));
        w.combine_bytes[far] = n * moe_model_row_bytes(m);
        w.dispatch_bytes[far] = left[far] * n * moe_model_dispatch_bytes(m);
        w.move_bytes[far] =
            due && moe_advise_replans(j) ? move_bytes(j, gpu, far) : 0;
    }
    return w;
}

void moe_advise_price_layer(moe_advise_pricing *j, bool due,
                            moe_layer_cost *worst_out)
{
    const moe_advise *a = j->a;
    const moe_pricer pricer = moe_advise_pricer(j->a);
    const moe_layer_work alike = common_work(j);
    moe_layer_cost own;
    moe_advise_visits(&pricer, j->placement,
                      moe_advise_mean_pairs(j) * a->p.gpus, j->visit);
    if (!moe_layer_work_is_alike(&j->alike, &alike))
        moe_layer_cost_common(&pricer, &alike, &j->common);
    j->alike = alike;
    moe_layer_cost_init(worst_out);
    /* The paper's exchange has other standouts than its FFN. */
    const bool quick = a->quick && !j->dials->paper;
    const int n = quick ? j->placement->n_standouts : a->p.gpus;
    for (int i = 0; i < n; i++) {
        const int gpu = quick ? j->placement->standout[i] : i;
        const moe_layer_work w = work_of(j, &alike, gpu, due);
        moe_layer_cost_own(&pricer, &j->common, &w, &own);
        moe_layer_cost_merge(worst_out, &own);
    }
}
