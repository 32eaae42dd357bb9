/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/layer_price.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/timeline.h"
#include "moegps/trace.h"

static const moe_phase phase_of[MOE_N_STEPS] = {
    [MOE_STEP_PREDICT] = MOE_PHASE_PREDICT,
    [MOE_STEP_ATTENTION] = MOE_PHASE_ATTENTION,
    [MOE_STEP_REDUCE] = MOE_PHASE_ATTENTION,
    [MOE_STEP_ROUTE] = MOE_PHASE_ROUTE,
    [MOE_STEP_NUMBER] = MOE_PHASE_DISPATCH,
    [MOE_STEP_SOLVE] = MOE_PHASE_DISPATCH,
    [MOE_STEP_DISPATCH] = MOE_PHASE_DISPATCH,
    [MOE_STEP_SHARED] = MOE_PHASE_FFN,
    [MOE_STEP_FFN] = MOE_PHASE_FFN,
    [MOE_STEP_COMBINE] = MOE_PHASE_COMBINE,
    [MOE_STEP_MIGRATE] = MOE_PHASE_MIGRATE};

/* A stage ends where all GPUs wait for the slowest. */
static const struct {
    moe_step first, last;
} stages[] = {{MOE_STEP_PREDICT, MOE_STEP_PREDICT},
              {MOE_STEP_ATTENTION, MOE_STEP_SOLVE},
              {MOE_STEP_DISPATCH, MOE_STEP_FFN},
              {MOE_STEP_COMBINE, MOE_STEP_COMBINE},
              {MOE_STEP_MIGRATE, MOE_STEP_MIGRATE}};

moe_phase moe_step_phase(moe_step step)
{
    return phase_of[step];
}

int moe_layer_attention_gpus(const moe_pricer *p)
{
    int tp = p->layout.gpus < p->layout.gpus_per_node ? p->layout.gpus
                                                      : p->layout.gpus_per_node;
    if (moe_serving_of(p->serving)->attention == MOE_SERVE_DATA)
        return 1;
    const bool nodes = p->layout.gpus > p->layout.gpus_per_node;
    while (tp > 1 && (p->model->heads % tp != 0 || p->layout.gpus % tp != 0 ||
                      (nodes && p->layout.gpus_per_node % tp != 0)))
        tp--;
    return tp;
}

moe_exchange moe_pricer_everyone(const moe_pricer *p)
{
    return (moe_exchange){.gpus = p->layout.gpus,
                          .nodes = moe_layout_nodes(&p->layout)};
}

/* Links that a transfer uses: both kinds where GPUs spread over nodes, as a
 * GPU's rows for other nodes leave through the same switch or port. */
static unsigned links(const moe_pricer *p, double node_bytes,
                      double network_bytes)
{
    if (moe_layout_nodes(&p->layout) < 2)
        return MOE_RESOURCE_NODE;
    return (node_bytes > 0 ? MOE_RESOURCE_NODE : 0u) |
           (network_bytes > 0 ? MOE_RESOURCE_NETWORK : 0u);
}

unsigned moe_pricer_links(const moe_pricer *p)
{
    return links(p, 1, 1);
}

static void charge(moe_layer_cost *cost, moe_step step, moe_price price,
                   double share)
{
    const double time_s = price.time_s * share;
    cost->step_s[step] += time_s;
    cost->wrong_s[step] += time_s > 0 ? time_s * price.relative_error : 0;
    if (time_s > 0 && price.source > cost->source[step])
        cost->source[step] = price.source;
}

void moe_layer_cost_init(moe_layer_cost *cost)
{
    memset(cost, 0, sizeof *cost); /* padding, too: ranks send it */
    cost->uses[MOE_STEP_PREDICT] = MOE_RESOURCE_SM;
    cost->uses[MOE_STEP_ATTENTION] = MOE_RESOURCE_SM;
    cost->uses[MOE_STEP_REDUCE] = MOE_RESOURCE_NODE;
    cost->uses[MOE_STEP_ROUTE] = MOE_RESOURCE_SM;
    cost->uses[MOE_STEP_SOLVE] = MOE_RESOURCE_SM;
    cost->uses[MOE_STEP_SHARED] = MOE_RESOURCE_SM;
    cost->uses[MOE_STEP_FFN] = MOE_RESOURCE_SM;
}

/* ---- a batch in halves ---- */

static bool is_split(const moe_pricer *p)
{
    return moe_serving_of(p->serving)->overlap == MOE_SERVE_TWO_BATCH;
}

/* @return times that a price of what a batch, or half of it, needs is paid. */
static double times(const moe_pricer *p)
{
    return is_split(p) ? 2 : 1;
}

/* @return tokens, bytes of a batch, or of half of it. */
static double part_of(const moe_pricer *p, double all)
{
    return all / times(p);
}

/* ---- what all GPUs have alike ---- */

void moe_layer_attend(const moe_serving *s, const moe_batch_share *all,
                      const moe_batch_share *own, moe_layer_work *w)
{
    w->own = s->attention == MOE_SERVE_DATA && all->sequences > 0;
    w->own_sequences = w->own ? own->sequences : 0;
    w->own_tokens = w->own ? (double)own->tokens : 0;
    const moe_batch_share *of = w->own ? own : all;
    if (s->phase == MOE_SERVE_DECODE && s->kv_len == 0 && of->sequences > 0)
        w->cached = fmax(1, of->cached / of->sequences);
}

static void charge_predictor(const moe_pricer *p, const moe_layer_work *w,
                             moe_layer_cost *out)
{
    out->step_s[MOE_STEP_PREDICT] = w->predict_s;
    for (int i = 0; i < w->n_predict; i++)
        charge(out, MOE_STEP_PREDICT,
               p->cost->gemm(p->state, &w->predict[i].shape),
               w->predict[i].times);
}

static void charge_sequences(const moe_pricer *p, const moe_layer_work *w,
                             double batch, moe_layer_cost *out)
{
    const int tp = moe_layer_attention_gpus(p);
    const bool decode = moe_serving_of(p->serving)->phase == MOE_SERVE_DECODE;
    const double seq =
        w->own ? w->own_tokens / w->own_sequences : w->tokens / w->sequences;
    const moe_exchange x = {.gpus = tp, .nodes = 1};
    charge(out, MOE_STEP_ATTENTION,
           p->serving != NULL
               ? moe_serving_attention(p->serving, p->cost, p->state, batch,
                                       decode ? w->cached : seq, tp)
               : p->cost->attention(p->state, batch, seq, tp),
           1);
    if (tp > 1)
        charge(out, MOE_STEP_REDUCE,
               p->cost->allreduce(p->state, &x,
                                  batch * seq * moe_model_row_bytes(p->model)),
               1 + w->ahead_rows / 2);
}

/* A sequence is not cut. @return whole ones of the busiest group that shares
 * attention, or of this GPU. */
static double attended(const moe_pricer *p, const moe_layer_work *w)
{
    const double groups = (double)p->layout.gpus / moe_layer_attention_gpus(p);
    return w->own ? w->own_sequences : ceil(w->sequences / groups);
}

/* Tensor-parallel attention and the all-reduce that ends it: a reduce-scatter
 * that brings every token home and an all-gather. With direct routing the
 * scatter brings a token to further GPUs; a row each is a lower bound, as a
 * reduction of rows that go to several places is. */
static void charge_attention(const moe_pricer *p, const moe_layer_work *w,
                             moe_layer_cost *out)
{
    const double batch = attended(p, w);
    const double first = ceil(part_of(p, batch)); /* each half has whole ones */
    if (batch > 0)
        charge_sequences(p, w, first, out);
    if (batch > first)
        charge_sequences(p, w, batch - first, out);
}

double moe_layer_attention_s(const moe_pricer *pricer,
                             const moe_layer_work *work)
{
    const double batch = attended(pricer, work);
    moe_layer_cost cost;
    moe_layer_cost_init(&cost);
    if (batch > 0)
        charge_sequences(pricer, work, batch, &cost);
    return cost.step_s[MOE_STEP_ATTENTION] + cost.step_s[MOE_STEP_REDUCE];
}

/* Counts per expert of all GPUs, summed and summed over lower GPUs: as one
 * all-reduce. */
static void charge_numbering(const moe_pricer *p, const moe_layer_work *w,
                             moe_layer_cost *out)
{
    const moe_exchange all = moe_pricer_everyone(p);
    out->uses[MOE_STEP_NUMBER] = moe_pricer_links(p);
    if (w->numbers > 0 && p->layout.gpus > 1)
        charge(out, MOE_STEP_NUMBER,
               p->cost->allreduce(p->state, &all,
                                  (double)p->model->experts * sizeof(uint64_t)),
               w->numbers * times(p));
}

/* Every GPU runs the shared experts on its part of the tokens: a dense FFN as
 * wide as all of them. */
static void charge_shared(const moe_pricer *p, double part, moe_layer_cost *out)
{
    const moe_model *m = p->model;
    const double inner = (double)m->shared_experts * m->intermediate;
    const double up = m->form == MOE_FFN_SWIGLU ? 2 : 1;
    const moe_gemm first = {part, up * inner, m->hidden, true};
    const moe_gemm second = {part, m->hidden, inner, true};
    if (m->shared_experts == 0 || part <= 0)
        return;
    charge(out, MOE_STEP_SHARED, p->cost->gemm(p->state, &first), times(p));
    charge(out, MOE_STEP_SHARED, p->cost->gemm(p->state, &second), times(p));
}

bool moe_layer_work_is_alike(const moe_layer_work *a, const moe_layer_work *b)
{
    return a->tokens == b->tokens && a->sequences == b->sequences &&
           a->own == b->own && a->own_sequences == b->own_sequences &&
           a->own_tokens == b->own_tokens && a->cached == b->cached &&
           a->predict == b->predict && a->n_predict == b->n_predict &&
           a->predict_s == b->predict_s && a->ahead_rows == b->ahead_rows &&
           a->numbers == b->numbers && a->solve_s == b->solve_s;
}

void moe_layer_cost_common(const moe_pricer *pricer, const moe_layer_work *work,
                           moe_layer_cost *out)
{
    const moe_model *m = pricer->model;
    const double part =
        work->own ? ceil(part_of(pricer, work->own_tokens))
                  : ceil(part_of(pricer, work->tokens) / pricer->layout.gpus);
    const moe_gemm router = {part, m->experts, m->hidden, false};
    moe_layer_cost_init(out);
    out->overlap = moe_serving_of(pricer->serving)->overlap;
    out->takes = moe_serving_takes(pricer->serving);
    out->migration = pricer->migration;
    charge_predictor(pricer, work, out);
    charge_attention(pricer, work, out);
    if (part > 0)
        charge(out, MOE_STEP_ROUTE, pricer->cost->gemm(pricer->state, &router),
               times(pricer));
    charge_numbering(pricer, work, out);
    out->step_s[MOE_STEP_SOLVE] = work->solve_s * times(pricer);
    charge_shared(pricer, part, out);
}

/* ---- what is a GPU's own ---- */

static moe_price exchange_price(const moe_pricer *p, double tokens,
                                const double *bytes, bool combine)
{
    const double part[] = {part_of(p, bytes[0]), part_of(p, bytes[1])};
    if (p->serving != NULL)
        return moe_serving_exchange(p->serving, p->cost, p->state,
                                    part_of(p, tokens), part, combine);
    moe_exchange x = moe_pricer_everyone(p);
    x.node_bytes = part[0];
    x.network_bytes = part[1];
    return p->cost->alltoall(p->state, &x);
}

/* With direct routing and no row left to dispatch there is no exchange. */
static void charge_exchange(const moe_pricer *p, const moe_layer_work *w,
                            moe_layer_cost *out)
{
    const double *to = w->dispatch_bytes, *home = w->combine_bytes;
    out->uses[MOE_STEP_DISPATCH] = out->uses[MOE_STEP_COMBINE] =
        moe_pricer_links(p);
    if (p->layout.gpus < 2)
        return;
    const moe_price combine = exchange_price(p, w->tokens, home, true);
    charge(out, MOE_STEP_COMBINE, combine, times(p));
    if (w->direct && to[0] + to[1] == 0)
        return;
    moe_price dispatch = exchange_price(p, w->tokens, to, false);
    /* A measured table need not be monotone; a smaller exchange is never
     * made to look slower. */
    if (p->serving == NULL && to[0] <= home[0] && to[1] <= home[1])
        dispatch.time_s = fmin(dispatch.time_s, combine.time_s);
    charge(out, MOE_STEP_DISPATCH, dispatch, times(p));
}

/* Of a split batch every half reads the weights of the experts that it visits;
 * both have half of each replica's pairs, but for what does not divide. */
static void charge_ffn(const moe_pricer *p, const moe_layer_work *w,
                       moe_layer_cost *out)
{
    uint32_t half[MOE_MAX_EXPERTS]; /* slots are no more than experts */
    if (!is_split(p)) {
        charge(out, MOE_STEP_FFN, p->cost->ffn(p->state, w->rows, w->slots), 1);
        return;
    }
    assert(w->slots <= MOE_MAX_EXPERTS);
    moe_layer_scale_rows(w->rows, w->slots, 0.5, half);
    charge(out, MOE_STEP_FFN, p->cost->ffn(p->state, half, w->slots), 2);
}

static void charge_migration(const moe_pricer *p, const moe_layer_work *w,
                             moe_layer_cost *out)
{
    moe_exchange move = moe_pricer_everyone(p);
    move.node_bytes = w->move_bytes[0];
    move.network_bytes = w->move_bytes[1];
    out->uses[MOE_STEP_MIGRATE] = links(p, move.node_bytes, move.network_bytes);
    const double bytes = move.node_bytes + move.network_bytes;
    if (!(bytes > 0))
        return;
    moe_price price = p->cost->transfer(p->state, &move);
    if (p->migration_rate > 0)
        price.time_s = fmax(price.time_s, bytes / p->migration_rate);
    charge(out, MOE_STEP_MIGRATE, price, 1);
}

void moe_layer_cost_own(const moe_pricer *pricer, const moe_layer_cost *common,
                        const moe_layer_work *work, moe_layer_cost *out)
{
    *out = *common;
    charge_migration(pricer, work, out);
    charge_exchange(pricer, work, out);
    charge_ffn(pricer, work, out);
    for (int p = 0; p < MOE_N_PHASES; p++)
        out->most_s[p] = moe_layer_cost_phase_s(out, (moe_phase)p);
}

void moe_layer_cost_of(const moe_pricer *pricer, const moe_layer_work *work,
                       moe_layer_cost *out)
{
    moe_layer_cost common;
    moe_layer_cost_common(pricer, work, &common);
    moe_layer_cost_own(pricer, &common, work, out);
}

/* ---- the slowest ---- */

static double stage_s(const moe_layer_cost *cost, size_t stage)
{
    double sum = 0;
    for (int k = (int)stages[stage].first; k <= (int)stages[stage].last; k++)
        sum += cost->step_s[k];
    return sum;
}

/* @return whether a GPU is the slower one of a stage; of equals the one that
 * spends more on the first step, so that the order of merging is nothing. */
static bool is_slower(const moe_layer_cost *gpu, const moe_layer_cost *worst,
                      size_t stage)
{
    const double a = stage_s(gpu, stage), b = stage_s(worst, stage);
    const size_t first = stages[stage].first;
    return a > b || (a >= b && gpu->step_s[first] > worst->step_s[first]);
}

void moe_layer_cost_merge(moe_layer_cost *worst, const moe_layer_cost *gpu)
{
    worst->overlap = gpu->overlap;
    worst->takes = gpu->takes;
    worst->migration = gpu->migration;
    for (int p = 0; p < MOE_N_PHASES; p++)
        worst->most_s[p] = fmax(worst->most_s[p], gpu->most_s[p]);
    for (size_t s = 0; s < MOE_ARRAY_LEN(stages); s++) {
        const bool slower = is_slower(gpu, worst, s);
        if (!slower && is_slower(worst, gpu, s))
            continue;
        for (int k = (int)stages[s].first; k <= (int)stages[s].last; k++) {
            worst->step_s[k] = gpu->step_s[k];
            worst->wrong_s[k] = gpu->wrong_s[k];
            worst->source[k] = gpu->source[k];
            /* Of equals some may need one link and some another. */
            worst->uses[k] = gpu->uses[k] | (slower ? 0 : worst->uses[k]);
        }
    }
}

double moe_layer_cost_phase_s(const moe_layer_cost *cost, moe_phase phase)
{
    double sum = 0;
    for (int k = 0; k < MOE_N_STEPS; k++)
        sum += phase_of[k] == phase ? cost->step_s[k] : 0;
    return sum;
}

double moe_layer_cost_barrier_s(const moe_layer_cost *cost)
{
    double sum = 0;
    for (int p = 0; p < MOE_N_PHASES; p++)
        if (p != MOE_PHASE_MIGRATE)
            sum += cost->most_s[p] - moe_layer_cost_phase_s(cost, (moe_phase)p);
    return sum;
}

moe_price_source moe_layer_cost_source(const moe_layer_cost *cost,
                                       moe_phase phase)
{
    moe_price_source worst = MOE_N_PRICE_SOURCES;
    for (int k = 0; k < MOE_N_STEPS; k++)
        if (phase_of[k] == phase && cost->step_s[k] > 0 &&
            (worst == MOE_N_PRICE_SOURCES || cost->source[k] > worst))
            worst = cost->source[k];
    return worst;
}

void moe_layer_scale_rows(const uint32_t *rows, size_t n, double by,
                          uint32_t *out)
{
    double exact = 0, given = 0;
    for (size_t i = 0; i < n; i++) {
        exact += rows[i] * by;
        const double upto = floor(exact + 0.5);
        out[i] = (uint32_t)fmin(upto - given, UINT32_MAX);
        given = upto;
    }
}
