/* SPDX-License-Identifier: Apache-2.0 */
#include "synth_parts.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

/* How one layer turns a number in [0, 1) into k experts: systematic sampling
 * (Madow 1949). The experts' probabilities are laid end to end, in some order,
 * on a line of length k, and u, u + 1, ... u + k - 1 point at the chosen ones:
 * distinct, as none is longer than 1, and each as likely as it is long. */
typedef struct {
    int *order;   /* [experts] */
    double *upto; /* [experts] end of order[j]'s interval */
} sampler;

/* `fixed` orders experts alike in all sequences: what ids prefer stays. `fresh`
 * orders them anew in each, so that the others' choices do not always come in
 * the same company. */
typedef struct {
    sampler fixed, fresh;
} samplers;

static void lay_end_to_end(const moe_synth_walk *walk, int n, sampler *sm)
{
    double sum = 0;
    for (int j = 0; j < n; j++) {
        sum += walk->inclusion[sm->order[j]];
        sm->upto[j] = sum;
    }
}

/* @param turn  rotates the choices, so that each can be the first. */
static void choose(const sampler *sm, int n, int k, double u, int turn,
                   uint16_t *out)
{
    int low = 0;
    for (int j = 0; j < k; j++) {
        int high = n - k + j; /* leave one for each choice to come */
        while (low < high) {
            int mid = low + (high - low) / 2;
            if (sm->upto[mid] > u + j)
                high = mid;
            else
                low = mid + 1;
        }
        out[(j + turn) % k] = (uint16_t)sm->order[low];
        low++;
    }
}

/* Token ids, how often they come, and what they prefer in one layer. */
typedef struct {
    double *upto;   /* [vocab] cumulated frequency */
    uint32_t *line; /* [vocab] scratch: ids in the order of their u */
    double *u;      /* [vocab] */
    int *turn;      /* [vocab] */
} vocabulary;

static void count_frequencies(const moe_synth_params *p, vocabulary *v)
{
    double sum = 0;
    for (int i = 0; i < p->vocab; i++)
        v->upto[i] = sum += pow(i + 1, -p->vocab_exponent);
    for (int i = 0; i < p->vocab; i++)
        v->upto[i] /= sum;
}

static uint32_t find_id(const vocabulary *v, int n, double x)
{
    int low = 0, high = n - 1;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (v->upto[mid] > x)
            high = mid;
        else
            low = mid + 1;
    }
    return (uint32_t)low;
}

static void draw_ids(const moe_synth_params *p, const vocabulary *v,
                     moe_trace *t)
{
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s]; i < t->seq_offset[s + 1]; i++) {
            moe_rng rng =
                moe_synth_rng(p, MOE_DRAW_TOKEN_ID, s, 0, i - t->seq_offset[s]);
            t->token_id[i] = find_id(v, p->vocab, moe_rng_unit(&rng));
            t->position[i] = (int32_t)(i - t->seq_offset[s]);
        }
}

/* Give each id its place on [0, 1): a stretch as long as it is frequent, in
 * random order. Then the ids' preferences together weigh experts as popularity
 * says, up to the weight of single ids. */
static void draw_preferences(const moe_synth_params *p, int layer,
                             vocabulary *v)
{
    moe_rng rng = moe_synth_rng(p, MOE_DRAW_PREFERENCE, 0, layer, 0);
    for (int i = 0; i < p->vocab; i++)
        v->line[i] = (uint32_t)i;
    moe_rng_shuffle(&rng, v->line, (size_t)p->vocab, sizeof *v->line);
    double start = moe_rng_unit(&rng);
    for (int i = 0; i < p->vocab; i++) {
        uint32_t id = v->line[i];
        double share = v->upto[id] - (id > 0 ? v->upto[id - 1] : 0);
        double middle = start + share / 2;
        v->u[id] = middle - floor(middle);
        v->turn[id] = (int)moe_rng_below(&rng, (uint64_t)p->top_k);
        start += share;
    }
}

static void shuffle_order(const moe_synth_params *p, moe_synth_stream what,
                          uint64_t seq, int layer, sampler *sm)
{
    moe_rng rng = moe_synth_rng(p, what, seq, layer, 1);
    for (int e = 0; e < p->experts; e++)
        sm->order[e] = e;
    moe_rng_shuffle(&rng, sm->order, (size_t)p->experts, sizeof *sm->order);
}

/* Experts of the tokens of one sequence. */
static void choose_sequence(const moe_synth_params *p, const moe_trace *t,
                            const vocabulary *v, uint64_t seq, int layer,
                            const samplers *sm)
{
    const size_t k = (size_t)p->top_k;
    for (uint64_t i = t->seq_offset[seq]; i < t->seq_offset[seq + 1]; i++) {
        uint16_t *out = t->experts_of + ((size_t)layer * t->n_tokens + i) * k;
        moe_rng rng = moe_synth_rng(p, MOE_DRAW_CHOICE, seq, layer,
                                    i - t->seq_offset[seq]);
        uint32_t id = t->token_id[i];
        if (moe_rng_unit(&rng) < p->strength) {
            choose(&sm->fixed, p->experts, p->top_k, v->u[id], v->turn[id],
                   out);
        } else {
            double u = moe_rng_unit(&rng);
            int turn = (int)moe_rng_below(&rng, k);
            choose(&sm->fresh, p->experts, p->top_k, u, turn, out);
        }
    }
}

static void make_layers(const moe_synth_params *p, moe_synth_walk *walk,
                        vocabulary *v, samplers *sm, moe_trace *t)
{
    count_frequencies(p, v);
    draw_ids(p, v, t);
    for (int l = 0; l < p->layers; l++) {
        draw_preferences(p, l, v);
        shuffle_order(p, MOE_DRAW_PREFERENCE, 0, l, &sm->fixed);
        for (uint64_t s = 0; s < t->n_seqs; s++) {
            moe_synth_walk_to(walk, p, l, s);
            shuffle_order(p, MOE_DRAW_ORDER, s, l, &sm->fresh);
            lay_end_to_end(walk, p->experts, &sm->fixed);
            lay_end_to_end(walk, p->experts, &sm->fresh);
            choose_sequence(p, t, v, s, l, sm);
        }
    }
}

static void init_sampler(sampler *sm, size_t n, moe_error *err)
{
    sm->order = moe_array_new(n, sizeof *sm->order, err);
    sm->upto = moe_array_new(n, sizeof *sm->upto, err);
}

moe_status moe_synth_tokens(const moe_synth_params *p, moe_synth_walk *walk,
                            moe_trace *trace, moe_error *err)
{
    const size_t n_ids = (size_t)p->vocab, n_experts = (size_t)p->experts;
    moe_error local = {0};
    samplers sm;
    init_sampler(&sm.fixed, n_experts, &local);
    init_sampler(&sm.fresh, n_experts, &local);
    vocabulary v = {.upto = moe_array_new(n_ids, sizeof *v.upto, &local),
                    .line = moe_array_new(n_ids, sizeof *v.line, &local),
                    .u = moe_array_new(n_ids, sizeof *v.u, &local),
                    .turn = moe_array_new(n_ids, sizeof *v.turn, &local)};
    if (local.status == MOE_OK)
        make_layers(p, walk, &v, &sm, trace);
    free(v.upto);
    free(v.line);
    free(v.u);
    free(v.turn);
    free(sm.fixed.order);
    free(sm.fixed.upto);
    free(sm.fresh.order);
    free(sm.fresh.upto);
    return moe_pass(err, &local);
}
