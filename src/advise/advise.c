/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "moegps/trace_visits.h"

void moe_advise_params_init(moe_advise_params *p)
{
    *p = (moe_advise_params){.batch = 1,
                             .seq = 512,
                             .skew = 1.0,
                             .planner_s = -1.0,
                             .warmup = 1,
                             .seed = 1,
                             .dials = {.accuracy = 0.9,
                                       .token_error = -1.0,
                                       .direct = true,
                                       .rebalance_every = 1,
                                       .moving = 1.0}};
}

int moe_advise_slots(int experts, int gpus)
{
    const moe_layout layout = {gpus, gpus};
    const int home = moe_layout_home_slots(&layout, experts);
    const int extra = (home + 7) / 8 > 2 ? (home + 7) / 8 : 2;
    return home + extra < experts ? home + extra : experts;
}

enum { MAX_GPUS = 65536, MAX_SAMPLES = 4096, MAX_WARMUP = 1000 };

/* By hand, more batches and ways to place the experts make the median surer;
 * thousands of GPUs average over many homes by themselves. */
static int default_samples(const moe_advise_params *p)
{
    const int every = p->dials.rebalance_every;
    if (p->trace != NULL) /* an interval of the median needs 12 batches */
        return every * MOE_ADVISE_PLANS > 12 ? every * MOE_ADVISE_PLANS
                                             : (12 + every - 1) / every * every;
    if (p->bottleneck && p->dials.paper)
        return 1; /* there is but one */
    return p->gpus <= 64 ? 15 : p->gpus <= 256 ? 3 : 1;
}

static moe_status outside(moe_error *err, const char *what, double value,
                          double low, double high)
{
    return moe_fail(err, MOE_USAGE, "%s: %g is not in %g..%g", what, value, low,
                    high);
}

static void check_range(const char *what, double value, double low, double high,
                        moe_error *err)
{
    if (!(value >= low && value <= high))
        outside(err, what, value, low, high);
}

static void check_trace(const moe_advise_params *p, moe_error *err)
{
    const moe_model *m = p->model;
    const moe_trace_model of = {m->profile, m->layers, moe_model_last_layer(m),
                                m->experts, m->top_k};
    moe_trace_fits(p->trace, &of, err);
    /* No real batch has the same tokens twice. */
    const double tokens =
        (double)moe_trace_part_tokens(p->trace, MOE_PART_TEST);
    uint64_t seqs = 0;
    for (uint64_t s = 0; s < p->trace->n_seqs; s++)
        seqs += p->trace->seq_part[s] == MOE_PART_TEST;
    if ((p->seq == 0 || p->serving.phase == MOE_SERVE_DECODE) &&
        (double)p->batch > (double)seqs)
        moe_fail(err, MOE_USAGE,
                 "batch: %d sequences, the trace's test part has %" PRIu64,
                 p->batch, seqs);
    const int every = p->dials.rebalance_every;
    if (p->samples > 0 && every > 1 && p->samples < MOE_ADVISE_PLANS * every)
        moe_fail(err, MOE_USAGE,
                 "samples: %d batches are fewer than %d plans that serve %d "
                 "each: %d",
                 p->samples, MOE_ADVISE_PLANS, every, MOE_ADVISE_PLANS * every);
    if ((double)p->batch * p->seq > tokens)
        moe_fail(err, MOE_USAGE,
                 "batch: %d times %d tokens, the trace's test part has %.0f",
                 p->batch, p->seq, tokens);
}

static void check_hand(const moe_advise_params *p, moe_error *err)
{
    const moe_model *m = p->model;
    const moe_layout layout = {p->gpus, p->gpus};
    const int home = moe_layout_home_count(&layout, m->experts, 0);
    const double most = p->bottleneck
                            ? fmin(p->gpus, (double)p->gpus * home / m->top_k)
                            : (double)m->experts / m->top_k;
    check_range("seq", p->seq, 1, 1 << 24, err);
    const double tokens = p->tokens > 0 ? p->tokens : (double)p->batch * p->seq;
    check_range("tokens", tokens, 1, 1e8, err);
    if (!(p->skew >= 1 && p->skew <= most))
        moe_fail(err, MOE_USAGE,
                 "skew: %g is not in 1..%g (%s, top %d of %d experts%s)",
                 p->skew, most,
                 p->bottleneck ? "busiest GPU over the mean"
                               : "busiest expert over the mean",
                 m->top_k, m->experts,
                 p->bottleneck ? "" : ", a token's experts being distinct");
    check_range("error", p->error, 0, 2, err);
}

static void check_serving(const moe_advise_params *p, moe_error *err)
{
    const moe_layout layout = {p->gpus, p->cluster->gpus_per_node};
    moe_serving s = p->serving;
    const bool decode = s.phase == MOE_SERVE_DECODE;
    if (decode && p->trace == NULL && p->seq != 1)
        moe_fail(err, MOE_USAGE,
                 "seq: %d, but decode has one new token a "
                 "sequence (1)",
                 p->seq);
    if (decode && p->trace != NULL &&
        moe_batch_check_decode(p->trace, p->batch, p->seq, s.kv_len, err) ==
            MOE_OK &&
        s.kv_len == 0)
        s.kv_len = 1; /* positions say it */
    if (err->status == MOE_OK)
        moe_serving_check(&s, &layout, err);
    if (p->dials.paper && !moe_serving_is_default(&s))
        moe_fail(err, MOE_USAGE,
                 "as-paper: the paper's deployment is prefill with tensor "
                 "attention, pairs and nccl");
}

static void check(const moe_advise_params *p, moe_error *err)
{
    const moe_advise_dials *d = &p->dials;
    check_range("gpus", p->gpus, 1, MAX_GPUS, err);
    check_range("batch", p->batch, 1, 1 << 24, err);
    check_range("accuracy", d->accuracy, 0, 1, err);
    check_range("overhead", d->overhead_s, 0, 1e6, err);
    check_range("overhead share", d->overhead_share, 0, 1e6, err);
    check_range("rebalance-every", d->rebalance_every, 1, 1e9, err);
    check_range("moving", d->moving, 0, 1, err);
    check_range("samples", p->samples, 0, MAX_SAMPLES, err);
    check_range("warmup", p->warmup, 0, MAX_WARMUP, err);
    if (d->token_error >= 0)
        check_range("token error", d->token_error, 0, 2, err);
    if (err->status != MOE_OK)
        return;
    const moe_layout layout = {p->gpus, p->gpus};
    const int need = moe_layout_home_slots(&layout, p->model->experts);
    if (p->slots != 0 && (p->slots < need || p->slots > p->model->experts))
        moe_fail(err, MOE_USAGE,
                 "slots: %d is not in %d..%d: %d experts on %d GPUs need %d "
                 "for their homes",
                 p->slots, need, p->model->experts, p->model->experts, p->gpus,
                 need);
    check_serving(p, err);
    if (p->trace != NULL)
        check_trace(p, err);
    else
        check_hand(p, err);
}

/* Kernels have room for so many tokens of a GPU; halves have whole sequences. */
static void check_tokens(const moe_advise *a, moe_error *err)
{
    const moe_pricer pricer = moe_advise_pricer(a);
    double most = 0, fewest = INFINITY;
    if (err->status != MOE_OK)
        return;
    for (int i = 0; i < a->samples * a->layers; i++) {
        most = fmax(most, a->layer[i].tokens);
        fewest = fmin(fewest, a->layer[i].sequences);
    }
    const double groups = (double)a->p.gpus / moe_layer_attention_gpus(&pricer);
    moe_serving_cost_fits(a->serving, most / a->p.gpus, ceil(fewest / groups),
                          err);
}

moe_status moe_advise_find_cache(const moe_batcher_params *batches, int *kv_len,
                                 moe_error *err)
{
    const int first = 0;
    moe_batcher_params p = *batches;
    moe_batcher *b = NULL;
    if (!p.decode || *kv_len > 0)
        return MOE_OK;
    p.layers = &first;
    p.n_layers = 1;
    p.gpu = -1;
    if (moe_batcher_new(&p, &b, err) == MOE_OK)
        *kv_len = moe_batcher_kv_len(b, 0);
    moe_batcher_free(b);
    return err->status;
}

static moe_status open_cost(moe_advise *a, moe_error *err)
{
    const moe_cluster *cluster = a->p.cluster;
    moe_serving serving = a->p.serving;
    a->cost = moe_cost_find(cluster->cost);
    if (a->cost == NULL)
        return moe_fail(err, MOE_USAGE, "no cost model '%s'", cluster->cost);
    a->cost_state = moe_cost_new(a->cost, a->p.model, cluster, err);
    const moe_batcher_params batches = moe_advise_batches(a, NULL, 0);
    if (err->status == MOE_OK && a->p.trace != NULL)
        moe_advise_find_cache(&batches, &serving.kv_len, err);
    if (err->status == MOE_OK)
        moe_serving_cost_new(&serving, a->p.model, cluster, &a->layout,
                             &a->serving, err);
    return err->status;
}

static void borrow(moe_advise *a, const moe_advise *like)
{
    assert(like->p.model == a->p.model && like->p.cluster == a->p.cluster);
    a->cost = like->cost;
    a->cost_state = like->cost_state;
    a->serving = like->serving;
    a->iterations = like->iterations;
    a->borrows = true;
}

static void set_shares(moe_advise *a, const moe_advise *like, moe_error *err)
{
    const moe_advise_params *p = &a->p;
    const size_t n = (size_t)p->model->experts;
    a->shares = moe_array_new(n, sizeof *a->shares, err);
    if (a->shares == NULL)
        return;
    if (like != NULL && like->shares != NULL &&
        !(like->p.skew < p->skew || like->p.skew > p->skew) &&
        like->p.bottleneck == p->bottleneck)
        memcpy(a->shares, like->shares, n * sizeof *a->shares);
    else
        moe_advise_shares_by_hand(p, a->shares);
}

void moe_advise_set_links(moe_advise *a, double node_rate, double network_rate)
{
    a->cost->set_links(a->cost_state, node_rate, network_rate);
}

static moe_status build(const moe_advise *like, const moe_advise_params *params,
                        bool forecasts, moe_advise **out, moe_error *err)
{
    moe_error local = {0};
    moe_advise *a = NULL;
    check(params, &local);
    if (local.status == MOE_OK)
        a = moe_array_new(1, sizeof *a, &local);
    if (a == NULL)
        return moe_pass(err, &local);
    a->p = *params;
    a->layout = (moe_layout){params->gpus, params->cluster->gpus_per_node};
    a->slots = params->slots > 0
                   ? params->slots
                   : moe_advise_slots(params->model->experts, params->gpus);
    a->samples =
        params->samples > 0 ? params->samples : default_samples(params);
    a->split = params->split != NULL ? params->split : moe_split_find("quota");
    a->samples -= a->samples % moe_advise_period(a);
    a->forecasts = forecasts && !moe_advise_is_exact(a);
    if (like != NULL)
        borrow(a, like);
    else if (open_cost(a, &local) == MOE_OK)
        moe_iteration_pricer_new(a->p.model->layers, &a->iterations, &local);
    if (params->trace == NULL)
        set_shares(a, like, &local);
    if (local.status == MOE_OK && params->trace != NULL)
        moe_advise_build_from_trace(a, &local);
    else if (local.status == MOE_OK)
        moe_advise_build_by_hand(a, &local);
    check_tokens(a, &local);
    if (local.status != MOE_OK) {
        moe_advise_free(a);
        return moe_pass(err, &local);
    }
    *out = a;
    return MOE_OK;
}

moe_status moe_advise_new(const moe_advise_params *params, moe_advise **out,
                          moe_error *err)
{
    return build(NULL, params, false, out, err);
}

moe_status moe_advise_new_like(const moe_advise *like,
                               const moe_advise_params *params,
                               moe_advise **out, moe_error *err)
{
    return build(like, params, false, out, err);
}

moe_status moe_advise_new_forecast(const moe_advise *like,
                                   const moe_advise_params *params,
                                   moe_advise **out, moe_error *err)
{
    return build(like, params, true, out, err);
}

void moe_advise_free(moe_advise *a)
{
    if (a == NULL)
        return;
    for (int i = 0; a->layer != NULL && i < a->samples * a->layers; i++)
        for (int s = 0; s < N_PLACEMENTS; s++)
            moe_advise_placement_fini(&a->layer[i].placement[s]);
    free(a->layer);
    free(a->shares);
    if (!a->borrows) {
        moe_cost_free(a->cost, a->cost_state);
        moe_serving_cost_free(a->serving);
        moe_iteration_pricer_free(a->iterations);
    }
    free(a);
}

void moe_advise_facts_of(const moe_advise *a, moe_advise_facts *out)
{
    const moe_model *m = a->p.model;
    const int n = a->samples * a->layers;
    *out = (moe_advise_facts){.slots = a->slots,
                              .home_slots =
                                  moe_layout_home_slots(&a->layout, m->experts),
                              .samples = a->samples / moe_advise_period(a),
                              .passes = a->passes,
                              .over_limit = NAN,
                              .first_bytes = a->first_bytes};
    if (a->p.trace != NULL && a->p.serving.group_limit > 0)
        out->over_limit = moe_trace_over_limit(a->p.trace, &a->layout,
                                               a->p.serving.group_limit);
    int plans = 0;
    for (int i = 0; i < n; i++) {
        const moe_advise_layer *s = &a->layer[i];
        plans += s->due;
        out->tokens += s->tokens / n;
        out->skew += s->skew / n;
        out->error += s->error / n;
        out->sampling += s->sampling / n;
        out->copies += s->placement[PLACEMENT_TRUTH].copies / n;
        out->planner_s += s->placement[PLACEMENT_TRUTH].planner_s;
        for (int g = 0; a->p.trace != NULL && g < a->p.gpus; g++)
            out->moved_bytes +=
                (s->placement[PLACEMENT_PREDICTED].move_sent[g][0] +
                 s->placement[PLACEMENT_PREDICTED].move_sent[g][1]) /
                n;
    }
    out->planner_s /= plans;
    const double per_slot = moe_model_expert_bytes(m) * m->layers;
    out->copy_bytes = (out->slots - out->home_slots) * per_slot;
    out->expert_bytes = out->slots * per_slot;
}

bool moe_advise_can_win(const moe_advise_dials *dials, moe_advise_strategy s)
{
    return s < MOE_ADVISE_TOKEN || (s == MOE_ADVISE_TOKEN && dials->paper);
}

moe_advise_strategy moe_advise_winner(const moe_advise *a,
                                      const moe_advise_dials *dials,
                                      moe_advise_case c)
{
    moe_advise_strategy best = MOE_ADVISE_BASELINE;
    double least = INFINITY;
    const moe_advise_dials *d = dials != NULL ? dials : &a->p.dials;
    for (int s = 0; moe_advise_can_win(d, (moe_advise_strategy)s); s++) {
        const double t =
            moe_advise_layer_s(a, dials, (moe_advise_strategy)s, c);
        if (t < least) {
            least = t;
            best = (moe_advise_strategy)s;
        }
    }
    return best;
}
