/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/batch.h"
#include "moegps/mem.h"

/* Memory that counts may take; some layers of a long trace are left out to
 * stay below. */
static const double COUNTS_BYTES = 512e6;

/* Plans of one layer as they stand, and what they were made from. */
typedef struct {
    moe_plan home, current[N_PLACEMENTS];
    double *predicted; /* [experts] */
    bool planned;      /* at least once */
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
    return err->status;
}

static void layer_plans_fini(layer_plans *d)
{
    moe_plan_fini(&d->home);
    moe_plan_fini(&d->current[PLACEMENT_TRUTH]);
    moe_plan_fini(&d->current[PLACEMENT_PREDICTED]);
    free(d->predicted);
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
        if (!(s == PLACEMENT_PREDICTED && moe_advise_is_exact(a)) &&
            !(s == PLACEMENT_TRUTH && a->forecasts))
            moe_advise_placement_init(&layer->placement[s], a->p.gpus, a->slots,
                                      err);
    return err->status;
}

static double distance(const double *share, const moe_advise_load *load)
{
    double sum = 0.0, error = 0.0;
    for (int e = 0; e < load->experts; e++)
        sum += (double)load->total[e];
    for (int e = 0; e < load->experts; e++)
        error += fabs(share[e] - (double)load->total[e] / sum);
    return error;
}

/* Of batches that are known. */
static void note_visited(const moe_advise *a, moe_advise_layer *layer)
{
    const double mean = layer->tokens * a->p.model->top_k / a->p.gpus;
    layer->visited =
        moe_advise_visited(a->p.model, &layer->placement[PLACEMENT_TRUTH],
                           a->p.gpus, mean * a->p.gpus);
}

/* ---- by hand ---- */

/* Plan from the homes what is known of a batch, and count what came. */
static moe_status place(moe_advise_planning *w, layer_plans *d,
                        const moe_advise_load *load, int s,
                        moe_advise_layer *layer, moe_error *err)
{
    const moe_planner_task task = {.load = d->predicted};
    moe_plan *plan = &d->current[s];
    moe_plan_copy(plan, &d->home);
    if (moe_advise_replan(w, s, &task, plan, &layer->placement[s], err) ==
        MOE_OK)
        moe_advise_count(w, load, plan, &layer->placement[s]);
    return err->status;
}

static double busiest_gpu(const moe_advise_placement *placement)
{
    return (double)placement->pairs[placement->busiest];
}

/* Distribution-only knows what is to be expected of the batch, the others
 * know the batch. */
static moe_status place_batch(const moe_advise *a, moe_advise_planning *w,
                              layer_plans *d, const moe_advise_load *load,
                              moe_advise_layer *layer, moe_error *err)
{
    const double pairs = load->tokens * a->p.model->top_k;
    describe(load, layer);
    layer->error = a->p.error;
    layer->due = true;
    moe_advise_count(w, load, &d->home, &layer->placement[PLACEMENT_HOME]);
    if (a->p.bottleneck)
        layer->skew =
            busiest_gpu(&layer->placement[PLACEMENT_HOME]) * a->p.gpus / pairs;
    if (!moe_advise_is_exact(a)) {
        place(w, d, load, PLACEMENT_PREDICTED, layer, err);
        for (int e = 0; e < load->experts; e++)
            d->predicted[e] /= pairs;
        layer->sampling = distance(d->predicted, load);
    }
    for (int e = 0; e < load->experts; e++)
        d->predicted[e] = (double)load->total[e];
    if (err->status == MOE_OK && !a->forecasts &&
        place(w, d, load, PLACEMENT_TRUTH, layer, err) == MOE_OK)
        note_visited(a, layer);
    return err->status;
}

static moe_status make_sample(moe_advise *a, moe_advise_planning *w,
                              layer_plans *d, int i, moe_error *err)
{
    moe_advise_load load;
    moe_advise_layer *layer = &a->layer[i];
    if (moe_advise_load_init(&load, a->p.model->experts, a->p.gpus, true,
                             err) != MOE_OK)
        return err->status;
    if (layer_init(a, layer, err) == MOE_OK &&
        moe_advise_load_by_hand(&load, &a->p, a->shares, i, d->predicted,
                                err) == MOE_OK)
        place_batch(a, w, d, &load, layer, err);
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
    const moe_pricer pricer = moe_advise_pricer(a);
    moe_advise_planning_init(&w, &a->p, a->slots, a->split, &pricer, &local);
    if (local.status == MOE_OK)
        layer_plans_init(&d, a, &local);
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
    layer_plans *plans;                       /* [a->layers] */
    const moe_predictor *predictor;           /* of distribution-only */
    void *predictor_state, *predictor_params; /* params owned, or NULL */
    double *share;                            /* [experts] that it foretells */
    uint64_t *foretold;                       /* [experts] the same in pairs, in
                                                 1/MOE_LOAD_ONE pair, as in a run */
    double *past; /* [MOE_PLANNER_PAST][experts] that it is made of */
    moe_advise_load load;
    double seq_tokens;       /* as in the params */
    moe_batch_share longest; /* of a batch: the GPU that attends longest */
    moe_advise_layer warm;   /* counts of warm-up batches */
} trace_pass;

static moe_status visit_layer(trace_pass *k, const moe_batch *batch, int l,
                              bool due, moe_advise_layer *layer, moe_error *err)
{
    const int n_e = batch->experts;
    layer_plans *d = &k->plans[l];
    const moe_predicted out = {.share = k->share, .load = k->foretold};
    const double *row[MOE_PLANNER_PAST];
    const moe_past_room room = {n_e, MOE_PLANNER_PAST, k->past, row};
    moe_advise_load_of_tokens(&k->load,
                              batch->experts_of +
                                  (size_t)l * batch->own * (size_t)batch->top_k,
                              batch->top_k);
    if (k->seq_tokens > 0)
        k->load.sequences = fmax(k->load.tokens / k->seq_tokens, 1);
    moe_predictor_load(k->predictor, MOE_FORECAST_LOAD, k->predictor_state,
                       batch, l, &out);
    const int n =
        moe_predictor_past(k->predictor, k->predictor_state, l, &room);
    for (int s = PLACEMENT_TRUTH; s < N_PLACEMENTS; s++) {
        /* Shares that never change are planned once. */
        const bool still =
            s == PLACEMENT_PREDICTED && k->predictor->observe == NULL;
        if (still ? d->planned : !due)
            continue;
        for (int e = 0; e < n_e; e++)
            d->predicted[e] = s == PLACEMENT_TRUTH
                                  ? (double)k->load.total[e]
                                  : (double)k->foretold[e] / MOE_LOAD_ONE;
        const moe_planner_task task = {.load = d->predicted,
                                       .past = row,
                                       .n_past = s == PLACEMENT_TRUTH ? 0 : n};
        if (moe_advise_replan(&k->planning, s, &task, &d->current[s],
                              &layer->placement[s], err) != MOE_OK)
            return err->status;
    }
    d->planned = true;
    describe(&k->load, layer);
    layer->all = batch->all;
    layer->own = k->longest;
    layer->error = distance(k->share, &k->load);
    layer->due = due;
    moe_advise_count(&k->planning, &k->load, &d->home,
                     &layer->placement[PLACEMENT_HOME]);
    for (int s = PLACEMENT_TRUTH; s < N_PLACEMENTS; s++)
        moe_advise_count(&k->planning, &k->load, &d->current[s],
                         &layer->placement[s]);
    return MOE_OK;
}

/* The first plan moves every copy from its home, once; what a deployment
 * pays from then on is told apart from it. */
static void set_first_apart(moe_advise *a, moe_advise_layer *layer)
{
    const size_t bytes =
        (size_t)a->p.gpus * sizeof *layer->placement[0].move_sent;
    const moe_advise_placement *planned =
        &layer->placement[PLACEMENT_PREDICTED];
    for (int g = 0; g < a->p.gpus; g++)
        a->first_bytes +=
            (planned->move_sent[g][0] + planned->move_sent[g][1]) / a->layers;
    for (int s = PLACEMENT_TRUTH; s < N_PLACEMENTS; s++) {
        memset(layer->placement[s].move_sent, 0, bytes);
        memset(layer->placement[s].move_received, 0, bytes);
    }
}

/* Plans are made for the first batch, the first that is measured, and before
 * and after it at every interval. */
static bool plan_is_due(const moe_advise *a, int i)
{
    return i == 0 || (i - a->p.warmup) % a->p.dials.rebalance_every == 0;
}

/* Where GPUs attend to sequences of their own. */
static moe_batch_share attends_longest(const moe_advise *a, const trace_pass *k,
                                       const moe_batch *batch)
{
    const moe_pricer pricer = moe_advise_pricer(a);
    moe_batch_share longest = {0};
    double longest_s = -1;
    for (int g = 0; g < a->p.gpus; g++) {
        const moe_batch_share own =
            moe_batcher_share(k->batcher, batch->iteration, g, a->p.gpus);
        moe_layer_work w = {.tokens = (double)batch->tokens,
                            .sequences = k->load.sequences};
        moe_layer_attend(&a->p.serving, &batch->all, &own, &w);
        if (!w.own)
            break;
        const double time_s = moe_layer_attention_s(&pricer, &w);
        if (time_s > longest_s) {
            longest_s = time_s;
            longest = own;
        }
    }
    return longest;
}

static moe_status visit_batches(moe_advise *a, trace_pass *k, moe_error *err)
{
    for (int i = 0; i < a->p.warmup + a->samples; i++) {
        moe_batch *batch = moe_batcher_load(k->batcher, (uint64_t)i);
        const int sample = i - a->p.warmup;
        for (int g = 0; g <= a->p.gpus; g++)
            k->load.first[g] =
                moe_batcher_before(k->batcher, (uint64_t)i, g, a->p.gpus);
        k->longest = attends_longest(a, k, batch);
        for (int l = 0; l < a->layers; l++) {
            moe_advise_layer *layer =
                sample < 0 ? &k->warm : &a->layer[sample * a->layers + l];
            if (sample >= 0 && layer_init(a, layer, err) != MOE_OK)
                return err->status;
            if (visit_layer(k, batch, l, plan_is_due(a, i), layer, err) !=
                MOE_OK)
                return err->status;
            note_visited(a, layer);
            if (i == 0)
                set_first_apart(a, layer);
        }
        if (k->predictor->observe != NULL)
            k->predictor->observe(k->predictor_state, batch);
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

static moe_status open_predictor(const moe_advise *a, trace_pass *k,
                                 moe_error *err)
{
    const moe_advise_params *p = &a->p;
    const moe_predictor_env env = {.trace = p->trace,
                                   .layers = k->layers,
                                   .n_layers = a->layers,
                                   .seed = p->seed,
                                   .batch = p->batch,
                                   .seq = p->seq,
                                   .order = p->order};
    const void *params = p->predictor_params;
    k->predictor = p->predictor != NULL ? p->predictor
                                        : moe_predictor_find("distribution");
    if (params == NULL) {
        k->predictor_params = moe_array_new(1, k->predictor->params_size, err);
        if (k->predictor_params != NULL && k->predictor->opts != NULL)
            moe_opt_defaults(k->predictor->opts, k->predictor_params);
        params = k->predictor_params;
    }
    if (err->status != MOE_OK)
        return err->status;
    if (k->predictor->forecast(params) != MOE_FORECAST_LOAD ||
        k->predictor->knows_future)
        return moe_fail(err, MOE_USAGE,
                        "predictor %s: distribution-only needs one that "
                        "foretells loads and can be built",
                        k->predictor->name);
    k->predictor_state = moe_predictor_new(k->predictor, &env, params, err);
    return err->status;
}

/* As in a run, GPUs that attend to sequences of their own have whole ones. */
moe_batcher_params moe_advise_batches(const moe_advise *a, const int *layers,
                                      int n_layers)
{
    const moe_serving *s = &a->p.serving;
    return (moe_batcher_params){.trace = a->p.trace,
                                .seed = a->p.seed,
                                .batch = a->p.batch,
                                .seq = a->p.seq,
                                .layers = layers,
                                .n_layers = n_layers,
                                .iterations = a->p.warmup + a->samples,
                                .gpu = 0,
                                .gpus = 1,
                                .order = a->p.order,
                                .decode = s->phase == MOE_SERVE_DECODE,
                                .whole = s->attention == MOE_SERVE_DATA};
}

static moe_status open_batches(moe_advise *a, trace_pass *k, moe_error *err)
{
    for (int l = 0; l < a->layers; l++)
        k->layers[l] = (int)((long)l * a->p.trace->layers / a->layers);
    const moe_batcher_params params =
        moe_advise_batches(a, k->layers, a->layers);
    if (moe_batcher_new(&params, &k->batcher, err) == MOE_OK)
        a->passes = moe_batcher_passes(k->batcher);
    if (err->status == MOE_OK)
        a->alike = fmax(a->passes, moe_batcher_alike(k->batcher));
    return err->status;
}

/* Planners are told the sequences of a batch: steps of loads have as many as
 * their tokens make. */
static void start_planning(moe_advise *a, trace_pass *k, moe_error *err)
{
    const moe_pricer pricer = moe_advise_pricer(a);
    moe_advise_params p = a->p;
    if (err->status == MOE_OK && p.seq_tokens > 0)
        p.batch = (int)fmax(
            (double)moe_batcher_max_tokens(k->batcher) / p.seq_tokens, 1);
    moe_advise_planning_init(&k->planning, &p, a->slots, a->split, &pricer,
                             err);
}

static moe_status start_pass(moe_advise *a, trace_pass *k, moe_error *err)
{
    const size_t n_e = (size_t)a->p.model->experts, n_l = (size_t)a->layers;
    k->layers = moe_array_new(n_l, sizeof *k->layers, err);
    k->plans = moe_array_new(n_l, sizeof *k->plans, err);
    k->share = moe_array_new(n_e, sizeof *k->share, err);
    k->foretold = moe_array_new(n_e, sizeof *k->foretold, err);
    k->past = moe_array_new(MOE_PLANNER_PAST * n_e, sizeof *k->past, err);
    a->layer = moe_array_new((size_t)a->samples * n_l, sizeof *a->layer, err);
    if (err->status == MOE_OK)
        moe_advise_load_init(&k->load, (int)n_e, a->p.gpus, false, err);
    k->load.sequences = a->p.batch;
    k->seq_tokens = a->p.seq_tokens;
    if (err->status == MOE_OK)
        open_batches(a, k, err);
    start_planning(a, k, err);
    if (err->status == MOE_OK)
        layer_init(a, &k->warm, err);
    for (size_t l = 0; l < n_l && err->status == MOE_OK; l++)
        layer_plans_init(&k->plans[l], a, err);
    if (err->status == MOE_OK)
        open_predictor(a, k, err);
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
    moe_predictor_free(k.predictor, k.predictor_state);
    free(k.predictor_params);
    free(k.layers);
    free(k.plans);
    free(k.past);
    free(k.foretold);
    free(k.share);
    return moe_pass(err, &local);
}
