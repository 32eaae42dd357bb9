/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/batch.h"
#include "moegps/mem.h"
#include "moegps/predictor.h"

/* Memory that counts may take; some layers of a long trace are left out to
 * stay below. */
static const double COUNTS_BYTES = 512e6;

/* Plans of one layer as they stand, and what they were made from. */
typedef struct {
    moe_plan home, current[N_PLACEMENTS];
    double *predicted; /* [experts] */
    bool planned;      /* for the shares of the training part */
    double *shares;    /* [experts] by hand */
} layer_plans;

static moe_status layer_plans_init(layer_plans *d, const moe_advise *a,
                                   moe_error *err)
{
    const int n_e = a->p.model->experts;
    moe_plan *plan[] = {&d->home, &d->current[PLACEMENT_TRUTH],
                        &d->current[PLACEMENT_PREDICTED]};
    for (size_t i = 0; i < MOE_ARRAY_LEN(plan); i++)
        if (moe_plan_init(plan[i], 1, n_e, a->p.gpus, a->slots, err) == MOE_OK)
            moe_plan_set_home(plan[i], &a->layout);
    d->predicted = moe_array_new((size_t)n_e, sizeof *d->predicted, err);
    d->shares = moe_array_new((size_t)n_e, sizeof *d->shares, err);
    return err->status;
}

static void layer_plans_fini(layer_plans *d)
{
    moe_plan_fini(&d->home);
    moe_plan_fini(&d->current[PLACEMENT_TRUTH]);
    moe_plan_fini(&d->current[PLACEMENT_PREDICTED]);
    free(d->predicted);
    free(d->shares);
}

static void describe(const moe_advise_load *load, moe_advise_layer *layer)
{
    uint64_t sum = 0, most = 0;
    for (int e = 0; e < load->experts; e++) {
        sum += load->total[e];
        most = load->total[e] > most ? load->total[e] : most;
    }
    layer->skew = (double)most * load->experts / (double)sum;
    layer->tokens = load->tokens;
    layer->sequences = load->sequences;
}

static moe_status layer_init(const moe_advise *a, moe_advise_layer *layer,
                             moe_error *err)
{
    for (int s = 0; s < N_PLACEMENTS && err->status == MOE_OK; s++)
        if (s != PLACEMENT_PREDICTED || a->p.trace != NULL)
            moe_advise_placement_init(&layer->placement[s], a->p.gpus, a->slots,
                                      err);
    return err->status;
}

static void keep_moves(const moe_advise_placement *from, int gpus,
                       moe_advise_placement *to)
{
    const size_t bytes = (size_t)gpus * sizeof *to->move_sent;
    memcpy(to->move_sent, from->move_sent, bytes);
    memcpy(to->move_received, from->move_received, bytes);
    to->plan_bytes = from->plan_bytes;
    to->planner_s = from->planner_s;
}

/* ---- by hand ---- */

static moe_status make_sample(moe_advise *a, moe_advise_planning *w,
                              layer_plans *d, int i, moe_error *err)
{
    moe_advise_load load;
    moe_advise_layer *layer = &a->layer[i];
    if (moe_advise_load_init(&load, a->p.model->experts, a->p.gpus, true,
                             err) != MOE_OK)
        return err->status;
    if (layer_init(a, layer, err) == MOE_OK &&
        moe_advise_load_by_hand(&load, &a->p, d->shares, i, err) == MOE_OK) {
        describe(&load, layer);
        layer->error = a->p.error;
        moe_advise_count(w, &load, &d->home, &layer->placement[PLACEMENT_HOME]);
        for (int e = 0; e < load.experts; e++)
            d->predicted[e] = (double)load.total[e];
        moe_plan *plan = &d->current[PLACEMENT_TRUTH];
        moe_plan_copy(plan, &d->home);
        if (moe_advise_replan(w, d->predicted, plan, true,
                              &layer->placement[PLACEMENT_TRUTH],
                              err) == MOE_OK)
            moe_advise_count(w, &load, plan,
                             &layer->placement[PLACEMENT_TRUTH]);
    }
    moe_advise_load_fini(&load);
    return err->status;
}

moe_status moe_advise_build_by_hand(moe_advise *a, moe_error *err)
{
    moe_advise_planning w;
    layer_plans d = {0};
    moe_error local = {0};
    a->layers = 1;
    a->layer = moe_array_new((size_t)a->samples, sizeof *a->layer, &local);
    const moe_pricer pricer = {a->cost, a->cost_state, a->p.model, a->layout};
    moe_advise_planning_init(&w, &a->p, a->slots, a->split, &pricer, &local);
    if (local.status == MOE_OK && layer_plans_init(&d, a, &local) == MOE_OK)
        moe_advise_shares_by_hand(&a->p, d.shares);
    for (int i = 0; i < a->samples && local.status == MOE_OK; i++)
        make_sample(a, &w, &d, i, &local);
    layer_plans_fini(&d);
    moe_advise_planning_fini(&w);
    return moe_pass(err, &local);
}

/* ---- from a trace ---- */

/* What one pass through a trace needs. */
typedef struct {
    moe_batcher *batcher;
    int *layers; /* [a->layers] numbers in the trace */
    moe_advise_planning planning;
    layer_plans *plans; /* [a->layers] */
    double *share;      /* [a->layers][experts] of the training part */
    moe_advise_load load;
    moe_advise_layer warm; /* counts of warm-up batches: kept for the moves */
} trace_pass;

static double distance(const double *share, const moe_advise_load *load)
{
    double sum = 0.0, error = 0.0;
    for (int e = 0; e < load->experts; e++)
        sum += (double)load->total[e];
    for (int e = 0; e < load->experts; e++)
        error += fabs(share[e] - (double)load->total[e] / sum);
    return error;
}

static moe_status visit_layer(trace_pass *k, const moe_batch *batch, int l,
                              bool due, moe_advise_layer *layer, moe_error *err)
{
    const int n_e = batch->experts;
    layer_plans *d = &k->plans[l];
    const double *share = k->share + (size_t)l * (size_t)n_e;
    const double pairs = (double)batch->tokens * batch->top_k;
    moe_advise_load_of_tokens(&k->load,
                              batch->experts_of +
                                  (size_t)l * batch->own * (size_t)batch->top_k,
                              batch->tokens, batch->top_k);
    for (int s = PLACEMENT_TRUTH; s < N_PLACEMENTS; s++) {
        /* Shares of the training part never change, and neither do plans. */
        if (s == PLACEMENT_TRUTH ? !due : d->planned)
            continue;
        for (int e = 0; e < n_e; e++)
            d->predicted[e] = s == PLACEMENT_TRUTH ? (double)k->load.total[e]
                                                   : share[e] * pairs;
        if (moe_advise_replan(&k->planning, d->predicted, &d->current[s], false,
                              &layer->placement[s], err) != MOE_OK)
            return err->status;
    }
    d->planned = true;
    describe(&k->load, layer);
    layer->error = distance(share, &k->load);
    moe_advise_count(&k->planning, &k->load, &d->home,
                     &layer->placement[PLACEMENT_HOME]);
    for (int s = PLACEMENT_TRUTH; s < N_PLACEMENTS; s++)
        moe_advise_count(&k->planning, &k->load, &d->current[s],
                         &layer->placement[s]);
    return MOE_OK;
}

static moe_status visit_batches(moe_advise *a, trace_pass *k, moe_error *err)
{
    const int every = a->p.dials.rebalance_every;
    for (int i = 0; i < a->p.warmup + a->samples; i++) {
        const moe_batch *batch = moe_batcher_load(k->batcher, (uint64_t)i);
        const int sample = i - a->p.warmup;
        for (int l = 0; l < a->layers; l++) {
            moe_advise_layer *layer =
                sample < 0 ? &k->warm : &a->layer[sample * a->layers + l];
            if (sample >= 0 && layer_init(a, layer, err) != MOE_OK)
                return err->status;
            const bool due = i % every == 0;
            if (visit_layer(k, batch, l, due, layer, err) != MOE_OK)
                return err->status;
            /* Between plans the last one's cost is shared out. */
            for (int s = PLACEMENT_TRUTH;
                 !due && sample > 0 && s < N_PLACEMENTS; s++)
                keep_moves(&layer[-a->layers].placement[s], a->p.gpus,
                           &layer->placement[s]);
        }
    }
    return MOE_OK;
}

static void thin_layers(moe_advise *a)
{
    const double one =
        (double)a->p.gpus * N_PLACEMENTS * (72.0 + 4.0 * a->slots);
    const double room = COUNTS_BYTES / one / a->samples;
    const int n = a->p.trace->layers;
    a->layers = room < n ? (int)fmax(room, 1) : n;
}

static void learn_shares(const moe_advise *a, trace_pass *k, uint64_t *counts)
{
    const int n_e = a->p.model->experts;
    for (int l = 0; l < a->layers; l++) {
        double total = 0.0, *share = k->share + (size_t)l * (size_t)n_e;
        moe_trace_counts(a->p.trace, MOE_PART_TRAIN, k->layers[l], counts);
        for (int e = 0; e < n_e; e++)
            total += (double)counts[e];
        for (int e = 0; e < n_e; e++)
            share[e] = total > 0 ? (double)counts[e] / total : 1.0 / n_e;
    }
}

static moe_status open_batches(moe_advise *a, trace_pass *k, moe_error *err)
{
    for (int l = 0; l < a->layers; l++)
        k->layers[l] = (int)((long)l * a->p.trace->layers / a->layers);
    const moe_batcher_params params = {.trace = a->p.trace,
                                       .seed = a->p.seed,
                                       .batch = a->p.batch,
                                       .seq = a->p.seq,
                                       .layers = k->layers,
                                       .n_layers = a->layers,
                                       .iterations = a->p.warmup + a->samples,
                                       .gpu = 0,
                                       .gpus = 1,
                                       .order = a->p.order};
    return moe_batcher_new(&params, &k->batcher, err);
}

static moe_status start_pass(moe_advise *a, trace_pass *k, moe_error *err)
{
    const size_t n_e = (size_t)a->p.model->experts, n_l = (size_t)a->layers;
    k->layers = moe_array_new(n_l, sizeof *k->layers, err);
    k->plans = moe_array_new(n_l, sizeof *k->plans, err);
    k->share = moe_array_new(n_l * n_e, sizeof *k->share, err);
    a->layer = moe_array_new((size_t)a->samples * n_l, sizeof *a->layer, err);
    uint64_t *counts = moe_array_new(n_e, sizeof *counts, err);
    const moe_pricer pricer = {a->cost, a->cost_state, a->p.model, a->layout};
    moe_advise_planning_init(&k->planning, &a->p, a->slots, a->split, &pricer,
                             err);
    if (err->status == MOE_OK)
        moe_advise_load_init(&k->load, (int)n_e, a->p.gpus, false, err);
    k->load.sequences = a->p.batch;
    if (err->status == MOE_OK)
        open_batches(a, k, err);
    if (err->status == MOE_OK)
        layer_init(a, &k->warm, err);
    for (size_t l = 0; l < n_l && err->status == MOE_OK; l++)
        layer_plans_init(&k->plans[l], a, err);
    if (err->status == MOE_OK)
        learn_shares(a, k, counts);
    free(counts);
    return err->status;
}

moe_status moe_advise_build_from_trace(moe_advise *a, moe_error *err)
{
    trace_pass k = {0};
    moe_error local = {0};
    thin_layers(a);
    if (start_pass(a, &k, &local) == MOE_OK)
        visit_batches(a, &k, &local);
    moe_batcher_free(k.batcher);
    for (int l = 0; k.plans != NULL && l < a->layers; l++)
        layer_plans_fini(&k.plans[l]);
    for (int s = 0; s < N_PLACEMENTS; s++)
        moe_advise_placement_fini(&k.warm.placement[s]);
    moe_advise_load_fini(&k.load);
    moe_advise_planning_fini(&k.planning);
    free(k.layers);
    free(k.plans);
    free(k.share);
    return moe_pass(err, &local);
}
