/* SPDX-License-Identifier: Apache-2.0 */
#include "search_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Memory that loads and forecasts may take; of a longer trace the first
 * batches walk. */
static const double SERIES_BYTES = 512e6;

/* What reading needs. */
typedef struct {
    const moe_search_params *p;
    search_series *out;
    int *layers; /* [layers] numbers in the trace: all */
    uint32_t most_tokens;
    bool tokens;   /* some predictor looks at tokens */
    double *share; /* [experts] scratch, as the next two */
    uint64_t *load;
    uint16_t *choice; /* [tokens][top_k] */
} reading;

moe_batcher_params moe_search_batches(const moe_search_params *p,
                                      const int *layers, int n_layers,
                                      int iterations)
{
    return (moe_batcher_params){.trace = p->trace,
                                .seed = p->seed,
                                .batch = p->batch,
                                .seq = p->seq,
                                .layers = layers,
                                .n_layers = n_layers,
                                .iterations = iterations,
                                .gpu = -1,
                                .gpus = 1,
                                .order = p->order,
                                .decode = p->serving.phase == MOE_SERVE_DECODE};
}

static moe_status open_batcher(const reading *r, int iterations,
                               moe_batcher **out, moe_error *err)
{
    moe_batcher_params params =
        moe_search_batches(r->p, r->layers, r->out->layers, iterations);
    params.gpu = r->tokens ? 0 : -1;
    return moe_batcher_new(&params, out, err);
}

/* @return the next batch; with its tokens, if somebody looks at them. */
static moe_batch *load_batch(const reading *r, moe_batcher *batcher, int i)
{
    return r->tokens ? moe_batcher_load(batcher, (uint64_t)i)
                     : moe_batcher_count(batcher, (uint64_t)i);
}

static void *new_predictor(const reading *r, const moe_predictor *predictor,
                           const void *params, moe_error *err)
{
    const moe_predictor_env env = {.trace = r->p->trace,
                                   .layers = r->layers,
                                   .n_layers = r->out->layers,
                                   .seed = r->p->seed,
                                   .batch = r->p->batch,
                                   .seq = r->p->seq,
                                   .order = r->p->order,
                                   .max_own = r->most_tokens,
                                   .learned = r->p->learned};
    return moe_predictor_new(predictor, &env, params, err);
}

/* ---- what came ---- */

moe_status moe_search_count(const moe_search_params *p, int most, int *n_out,
                            moe_error *err)
{
    const int first = 0;
    /* Whole batches are counted without going through them, but of decode. */
    const bool decode = p->serving.phase == MOE_SERVE_DECODE;
    moe_batcher_params batches =
        moe_search_batches(p, &first, 1, decode ? most : 1);
    moe_batcher *batcher = NULL;
    batches.repeat = true; /* who runs out is not asked again */
    if (moe_batcher_new(&batches, &batcher, err) != MOE_OK)
        return err->status;
    const uint64_t whole = moe_batcher_whole(batcher);
    moe_batcher_free(batcher);
    *n_out = whole < (uint64_t)most ? (int)whole : most;
    return MOE_OK;
}

/* As many as one pass has, so that the longest interval divides them. */
static moe_status choose_batches(reading *r, moe_error *err)
{
    const moe_search_params *p = r->p;
    int most = 0;
    const double row =
        (double)r->out->layers * r->out->experts * sizeof(double);
    const double room = SERIES_BYTES / row / (p->n_predictors + 2);
    if (moe_search_count(p, (int)fmax(1, fmin(room, MOE_SEARCH_BATCHES)), &most,
                         err) != MOE_OK)
        return err->status;
    const int longest = p->interval[p->n_intervals - 1];
    const int n = (most - p->warmup) / longest * longest;
    if (n < MOE_SEARCH_PLANS * longest)
        return moe_fail(err, MOE_USAGE,
                        "interval: %d plans that serve %d batches each need "
                        "%d batches, warm-up included; the trace's test part "
                        "has %d",
                        MOE_SEARCH_PLANS, longest,
                        MOE_SEARCH_PLANS * longest + p->warmup, most);
    r->out->batches = p->warmup + n;
    return MOE_OK;
}

/* What was before the first batch, as far as planners look back: what a
 * window of that length has seen in training. */
static moe_status read_past(reading *r, moe_error *err)
{
    search_series *s = r->out;
    const moe_predictor *window = moe_predictor_find("window");
    const int64_t *row[MOE_PLANNER_PAST];
    char text[16];
    void *params = moe_array_new(1, window->params_size, err), *state = NULL;
    if (params != NULL) {
        moe_opt_defaults(window->opts, params);
        snprintf(text, sizeof text, "%d", MOE_PLANNER_PAST);
        moe_opt_parse(moe_opt_find(window->opts, "iterations"), text, params,
                      err);
        state = new_predictor(r, window, params, err);
    }
    if (state != NULL)
        s->past = window->past(state, 0, MOE_PLANNER_PAST, row);
    const size_t n_e = (size_t)s->experts, n_l = (size_t)s->layers;
    if (err->status == MOE_OK)
        s->pairs = moe_array_new((size_t)(s->past + s->batches) * n_l * n_e,
                                 sizeof *s->pairs, err);
    for (int l = 0; s->pairs != NULL && l < s->layers; l++) {
        window->past(state, l, MOE_PLANNER_PAST, row);
        for (int i = 0; i < s->past; i++)
            for (size_t e = 0; e < n_e; e++)
                s->pairs[((size_t)(s->past - 1 - i) * n_l + (size_t)l) * n_e +
                         e] = (double)row[i][e];
    }
    moe_predictor_free(window, state);
    free(params);
    return err->status;
}

static moe_status read_batches(reading *r, moe_error *err)
{
    search_series *s = r->out;
    const size_t row = (size_t)s->layers * (size_t)s->experts;
    moe_batcher *batcher = NULL;
    s->tokens = moe_array_new((size_t)s->batches, sizeof *s->tokens, err);
    s->sequences = moe_array_new((size_t)s->batches, sizeof *s->sequences, err);
    s->cached = moe_array_new((size_t)s->batches, sizeof *s->cached, err);
    if (err->status != MOE_OK ||
        open_batcher(r, s->batches, &batcher, err) != MOE_OK)
        return err->status;
    for (int i = 0; i < s->batches; i++) {
        const moe_batch *b = moe_batcher_count(batcher, (uint64_t)i);
        double *to = s->pairs + (size_t)(s->past + i) * row;
        for (size_t j = 0; j < row; j++)
            to[j] = (double)b->true_pairs[j];
        s->tokens[i] = (double)b->tokens;
        s->sequences[i] = r->p->seq_tokens > 0
                              ? fmax(s->tokens[i] / r->p->seq_tokens, 1)
                              : r->p->batch;
        moe_layer_work work = {.numbers = 0};
        moe_layer_attend(&r->p->serving, &b->all, &b->all, &work);
        s->cached[i] = work.cached;
    }
    s->recorded = moe_batcher_is_recorded(batcher);
    s->passes = moe_batcher_passes(batcher);
    s->alike = fmax(s->passes, moe_batcher_alike(batcher));
    r->most_tokens = (uint32_t)moe_batcher_max_tokens(batcher);
    moe_batcher_free(batcher);
    return MOE_OK;
}

/* ---- what was foretold ---- */

static bool holds(const uint16_t *set, int k, uint16_t expert)
{
    for (int i = 0; i < k; i++)
        if (set[i] == expert)
            return true;
    return false;
}

/* @return share of the batch's pairs that were foretold. */
static double recall_of(const moe_batch *b, int layer, const uint16_t *choice)
{
    const size_t k = (size_t)b->top_k;
    const uint16_t *truth = b->experts_of + (size_t)layer * b->own * k;
    uint64_t hits = 0;
    for (size_t t = 0; t < b->own; t++)
        for (size_t j = 0; j < k; j++)
            hits += holds(truth + t * k, b->top_k, choice[t * k + j]);
    return (double)hits / ((double)b->own * (double)b->top_k);
}

static double distance(const double *foretold, const double *truth, int n)
{
    double a = 0, b = 0, sum = 0;
    for (int e = 0; e < n; e++) {
        a += foretold[e];
        b += truth[e];
    }
    for (int e = 0; e < n; e++)
        sum += fabs(foretold[e] / a - truth[e] / b);
    return sum;
}

static moe_status forecast_init(search_forecast *f, const search_series *s,
                                bool tokens, moe_error *err)
{
    const size_t n = (size_t)s->batches * (size_t)s->layers;
    f->tokens = tokens;
    f->load = moe_array_new(n * (size_t)s->experts, sizeof *f->load, err);
    f->past = moe_array_new(n, sizeof *f->past, err);
    if (tokens)
        f->recall = moe_array_new(n, sizeof *f->recall, err);
    return err->status;
}

static void foretell(reading *r, search_forecast *f,
                     const moe_search_predictor *who, void *state,
                     const moe_batch *b, int i)
{
    search_series *s = r->out;
    const moe_predictor *p = who->predictor;
    const moe_forecast kind = p->forecast(who->params);
    const int64_t *row[MOE_PLANNER_PAST];
    const moe_predicted out = {r->choice, r->share, r->load};
    for (int l = 0; l < s->layers; l++) {
        const size_t at = (size_t)i * (size_t)s->layers + (size_t)l;
        double *load = f->load + at * (size_t)s->experts;
        f->past[at] =
            p->past != NULL ? p->past(state, l, MOE_PLANNER_PAST, row) : 0;
        moe_predictor_load(p, kind, state, b, l, &out);
        for (int e = 0; e < s->experts; e++)
            load[e] = (double)r->load[e] / MOE_LOAD_ONE;
        if (f->recall != NULL)
            f->recall[at] = recall_of(b, l, r->choice);
        if (i >= r->p->warmup)
            f->error += distance(load, search_pairs(s, i, l), s->experts) /
                        ((s->batches - r->p->warmup) * s->layers);
    }
}

static moe_status ask(reading *r, const moe_search_predictor *who,
                      search_forecast *f, moe_error *err)
{
    search_series *s = r->out;
    const moe_predictor *p = who->predictor;
    const bool tokens = p->forecast(who->params) == MOE_FORECAST_TOKENS;
    moe_batcher *batcher = NULL;
    void *state = NULL;
    if (p->knows_future || p->forecast(who->params) == MOE_FORECAST_NONE)
        return moe_fail(err, MOE_USAGE, "predictor %s: nobody can have it",
                        p->name);
    r->tokens = tokens;
    if (forecast_init(f, s, tokens, err) == MOE_OK &&
        open_batcher(r, s->batches, &batcher, err) == MOE_OK)
        state = new_predictor(r, p, who->params, err);
    f->constant = p->constant;
    for (int i = 0; i < s->batches && err->status == MOE_OK; i++) {
        const moe_batch *b = load_batch(r, batcher, i);
        moe_batch whole = *b;
        whole.own = (uint32_t)b->tokens; /* for one GPU that has them all */
        foretell(r, f, who, state, &whole, i);
        if (p->observe != NULL)
            p->observe(state, b);
    }
    if (err->status == MOE_OK && p->work != NULL)
        f->n_work = p->work(state, s->tokens[0] / r->p->gpus,
                            s->sequences[0] / r->p->gpus, f->work);
    moe_predictor_free(p, state);
    moe_batcher_free(batcher);
    return err->status;
}

/* Right for a share of pairs; the others are foretold to go anywhere. */
static void assume(reading *r, search_forecast *f)
{
    search_series *s = r->out;
    const double right = r->p->assumed;
    for (int i = 0; i < s->batches; i++)
        for (int l = 0; l < s->layers; l++) {
            const size_t at = (size_t)i * (size_t)s->layers + (size_t)l;
            const double *truth = search_pairs(s, i, l);
            const double even = s->tokens[i] * s->top_k / s->experts;
            for (int e = 0; e < s->experts; e++)
                f->load[at * (size_t)s->experts + (size_t)e] =
                    right * truth[e] + (1 - right) * even;
            f->recall[at] = right;
        }
}

static moe_status foretell_all(reading *r, moe_error *err)
{
    search_series *s = r->out;
    const moe_search_params *p = r->p;
    const size_t k = (size_t)s->top_k, n_e = (size_t)s->experts;
    r->share = moe_array_new(n_e, sizeof *r->share, err);
    r->load = moe_array_new(n_e, sizeof *r->load, err);
    r->choice = moe_array_new(r->most_tokens * k, sizeof *r->choice, err);
    s->n_forecasts = p->n_predictors + (p->assumed > 0);
    s->forecast =
        moe_array_new((size_t)s->n_forecasts, sizeof *s->forecast, err);
    for (int i = 0; i < p->n_predictors && err->status == MOE_OK; i++)
        ask(r, &p->predictor[i], &s->forecast[i], err);
    if (err->status == MOE_OK && p->assumed > 0 &&
        forecast_init(&s->forecast[p->n_predictors], s, true, err) == MOE_OK)
        assume(r, &s->forecast[p->n_predictors]);
    return err->status;
}

moe_status moe_search_series_init(search_series *s, const moe_search_params *p,
                                  moe_error *err)
{
    moe_error local = {0};
    const moe_trace *t = p->trace;
    *s = (search_series){
        .layers = t->layers, .experts = t->experts, .top_k = t->top_k};
    reading r = {.p = p, .out = s};
    r.layers = moe_array_new((size_t)t->layers, sizeof *r.layers, &local);
    for (int l = 0; r.layers != NULL && l < t->layers; l++)
        r.layers[l] = l;
    if (local.status == MOE_OK && choose_batches(&r, &local) == MOE_OK &&
        read_past(&r, &local) == MOE_OK && read_batches(&r, &local) == MOE_OK)
        foretell_all(&r, &local);
    free(r.layers);
    free(r.share);
    free(r.load);
    free(r.choice);
    return moe_pass(err, &local);
}

void moe_search_series_fini(search_series *s)
{
    for (int i = 0; s->forecast != NULL && i < s->n_forecasts; i++) {
        free(s->forecast[i].load);
        free(s->forecast[i].recall);
        free(s->forecast[i].past);
    }
    free(s->forecast);
    free(s->pairs);
    free(s->tokens);
    free(s->sequences);
    free(s->cached);
    *s = (search_series){0};
}
