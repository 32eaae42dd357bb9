/* SPDX-License-Identifier: Apache-2.0 */
#include "counts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* The training part's tokens, grouped by row, and scratch for one layer. */
typedef struct {
    const moe_trace *trace;
    uint64_t n;
    uint32_t *token;         /* [n] rows one after the other, from row 1 on */
    uint64_t *start;         /* [rows + 1] of each row, in token */
    uint32_t *pairs, *first; /* [experts] of a row: visits, first choices */
    double *score, *leading; /* [experts] of a row: shares of its tokens */
    double *visit;           /* [experts] of all tokens: share that visits */
    double *first_visit;     /* [experts] ... with its first choice */
    uint16_t *popular;       /* [experts] by falling visit */
    uint16_t *candidate;     /* [experts] */
    double prior;
} census;

static moe_status check(const moe_predictor_env *env,
                        const moe_token_kinds *kinds, moe_error *err)
{
    if (env->trace->kind != MOE_TRACE_TOKENS)
        return moe_fail(err, MOE_USAGE,
                        "predictor %s: needs a token trace; this one holds "
                        "loads, which do not say what token chose what",
                        kinds->name);
    if (kinds->needs != NULL && kinds->n_kinds == 0)
        return moe_fail(err, MOE_USAGE, "predictor %s: the trace has no %s",
                        kinds->name, kinds->needs);
    if (moe_trace_part_tokens(env->trace, MOE_PART_TRAIN) == 0)
        return moe_fail(err, MOE_USAGE,
                        "predictor %s: the trace's training part is empty",
                        kinds->name);
    return MOE_OK;
}

/* @return the training part's tokens in order; heap. */
static uint32_t *list_training(const moe_trace *t, uint64_t n, moe_error *err)
{
    uint32_t *list = moe_array_new(n, sizeof *list, err);
    uint64_t at = 0;
    for (uint64_t s = 0; list != NULL && s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s];
             t->seq_part[s] == MOE_PART_TRAIN && i < t->seq_offset[s + 1]; i++)
            list[at++] = (uint32_t)i;
    return list;
}

static uint32_t kind_of(const moe_token_kinds *kinds, const moe_trace *t,
                        uint32_t token)
{
    return kinds->kind(t->token_id, t->position, token);
}

/* Sort tokens by row: a counting sort. */
static void sort_by_row(const moe_token_kinds *kinds, const moe_counts *out,
                        const uint32_t *list, census *c)
{
    const moe_trace *t = c->trace;
    uint64_t *next = c->start + 1; /* where each row begins, then its end */
    for (uint64_t j = 0; j < c->n; j++)
        next[out->row_of[kind_of(kinds, t, list[j])] + 1]++;
    for (size_t r = 1; r <= out->rows; r++)
        next[r] += next[r - 1];
    for (uint64_t j = 0; j < c->n; j++)
        c->token[next[out->row_of[kind_of(kinds, t, list[j])]]++] = list[j];
}

/* Give each kind that occurs a row, and group the tokens by rows. */
static moe_status group(const moe_token_kinds *kinds, moe_counts *out,
                        census *c, moe_error *err)
{
    uint32_t *list = list_training(c->trace, c->n, err);
    out->rows = 1;
    if (list == NULL || kinds->n_kinds == 0) {
        c->token = list;
        return err->status;
    }
    out->row_of = moe_array_new(kinds->n_kinds, sizeof *out->row_of, err);
    for (uint64_t j = 0; out->row_of != NULL && j < c->n; j++) {
        uint32_t *row = &out->row_of[kind_of(kinds, c->trace, list[j])];
        if (*row == 0)
            *row = (uint32_t)out->rows++;
    }
    c->token = moe_array_new(c->n, sizeof *c->token, err);
    c->start = moe_array_new(out->rows + 2, sizeof *c->start, err);
    if (err->status == MOE_OK)
        sort_by_row(kinds, out, list, c);
    free(list);
    return err->status;
}

/* Count one token's pairs; experts met for the first time are appended.
 * @return experts met. */
static size_t count_token(census *c, const uint16_t *experts, size_t met)
{
    const int k = c->trace->top_k;
    c->first[experts[0]]++;
    for (int j = 0; j < k; j++)
        if (c->pairs[experts[j]]++ == 0)
            c->candidate[met++] = experts[j];
    return met;
}

static void forget(census *c, size_t met)
{
    for (size_t j = 0; j < met; j++)
        c->pairs[c->candidate[j]] = c->first[c->candidate[j]] = 0;
}

/* Shares of all tokens, and experts by them. */
static void take_totals(census *c, const uint16_t *experts_of)
{
    const int n_e = c->trace->experts;
    const size_t k = (size_t)c->trace->top_k;
    size_t met = 0;
    for (uint64_t j = 0; j < c->n; j++)
        met = count_token(c, experts_of + c->token[j] * k, met);
    for (int e = 0; e < n_e; e++) {
        c->visit[e] = (double)c->pairs[e] / (double)c->n;
        c->first_visit[e] = (double)c->first[e] / (double)c->n;
        int at = e; /* insertion; ties keep the lower expert first */
        for (; at > 0 && c->visit[c->popular[at - 1]] < c->visit[e]; at--)
            c->popular[at] = c->popular[at - 1];
        c->popular[at] = (uint16_t)e;
    }
    forget(c, met);
}

/* The k best candidates by falling score, ties to the lower expert. */
static void pick(const census *c, size_t n, uint16_t *choice)
{
    const size_t k = (size_t)c->trace->top_k;
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        const uint16_t e = c->candidate[i];
        size_t at = have;
        while (at > 0 && (c->score[choice[at - 1]] < c->score[e] ||
                          (c->score[choice[at - 1]] <= c->score[e] &&
                           choice[at - 1] > e)))
            at--;
        if (at == k)
            continue;
        have += have < k;
        memmove(choice + at + 1, choice + at, (have - at - 1) * sizeof *choice);
        choice[at] = e;
    }
}

/* Let the likeliest first choice come first. */
static void put_leader_first(const census *c, uint16_t *choice)
{
    int lead = 0;
    for (int j = 1; j < c->trace->top_k; j++)
        if (c->leading[choice[j]] > c->leading[choice[lead]])
            lead = j;
    const uint16_t e = choice[lead];
    memmove(choice + 1, choice, (size_t)lead * sizeof *choice);
    choice[0] = e;
}

static void settle(const census *c, size_t candidates, uint16_t *choice,
                   float *score)
{
    pick(c, candidates, choice);
    if (c->trace->ordered)
        put_leader_first(c, choice);
    for (int j = 0; j < c->trace->top_k; j++)
        score[j] = (float)c->score[choice[j]];
}

/* Row 0: every expert as often as all tokens visit it. */
static void fill_first_row(census *c, uint16_t *choice, float *score)
{
    const size_t n_e = (size_t)c->trace->experts;
    memcpy(c->score, c->visit, n_e * sizeof *c->score);
    memcpy(c->leading, c->first_visit, n_e * sizeof *c->leading);
    memcpy(c->candidate, c->popular, n_e * sizeof *c->candidate);
    settle(c, n_e, choice, score);
}

/* Any other row. Of the experts that it never visited the k most popular can
 * be among its best, no others. */
static void fill_row(census *c, const uint16_t *experts_of, size_t row,
                     uint16_t *choice, float *score)
{
    const size_t k = (size_t)c->trace->top_k;
    const uint64_t end = c->start[row + 1];
    const double n = (double)(end - c->start[row]);
    size_t met = 0, all = 0;
    for (uint64_t j = c->start[row]; j < end; j++)
        met = count_token(c, experts_of + c->token[j] * k, met);
    all = met;
    for (int i = 0; i < c->trace->experts && all < met + k; i++)
        if (c->pairs[c->popular[i]] == 0)
            c->candidate[all++] = c->popular[i];
    for (size_t i = 0; i < all; i++) {
        const uint16_t e = c->candidate[i];
        c->score[e] = (c->pairs[e] + c->prior * c->visit[e]) / (n + c->prior);
        c->leading[e] =
            (c->first[e] + c->prior * c->first_visit[e]) / (n + c->prior);
    }
    settle(c, all, choice, score);
    forget(c, met);
}

static void fill_layer(const moe_predictor_env *env, int l, census *c,
                       moe_counts *out)
{
    const size_t k = (size_t)out->top_k, n_e = (size_t)out->experts;
    const uint16_t *experts_of =
        c->trace->experts_of + (size_t)env->layers[l] * c->trace->n_tokens * k;
    uint16_t *choice = out->choice + (size_t)l * out->rows * k;
    float *score = out->score + (size_t)l * out->rows * k;
    c->visit = out->visit + (size_t)l * n_e;
    take_totals(c, experts_of);
    fill_first_row(c, choice, score);
    for (size_t r = 1; r < out->rows; r++)
        fill_row(c, experts_of, r, choice + r * k, score + r * k);
}

static moe_status allocate(moe_counts *out, census *c, moe_error *err)
{
    const size_t n_e = (size_t)out->experts, l = (size_t)out->n_layers;
    const size_t n = l * out->rows * (size_t)out->top_k;
    out->choice = moe_array_new(n, sizeof *out->choice, err);
    out->score = moe_array_new(n, sizeof *out->score, err);
    out->visit = moe_array_new(l * n_e, sizeof *out->visit, err);
    c->pairs = moe_array_new(n_e, sizeof *c->pairs, err);
    c->first = moe_array_new(n_e, sizeof *c->first, err);
    c->score = moe_array_new(n_e, sizeof *c->score, err);
    c->leading = moe_array_new(n_e, sizeof *c->leading, err);
    c->first_visit = moe_array_new(n_e, sizeof *c->first_visit, err);
    c->popular = moe_array_new(n_e, sizeof *c->popular, err);
    c->candidate = moe_array_new(n_e, sizeof *c->candidate, err);
    return err->status;
}

moe_status moe_counts_init(moe_counts *out, const moe_predictor_env *env,
                           const moe_token_kinds *kinds, double prior,
                           moe_error *err)
{
    census c = {.trace = env->trace,
                .n = moe_trace_part_tokens(env->trace, MOE_PART_TRAIN),
                .prior = prior};
    moe_error local = {0};
    out->n_layers = env->n_layers;
    out->experts = env->trace->experts;
    out->top_k = env->trace->top_k;
    if (check(env, kinds, &local) == MOE_OK &&
        group(kinds, out, &c, &local) == MOE_OK &&
        allocate(out, &c, &local) == MOE_OK)
        for (int l = 0; l < env->n_layers; l++)
            fill_layer(env, l, &c, out);
    void *scratch[] = {c.token,   c.start,       c.pairs,   c.first,    c.score,
                       c.leading, c.first_visit, c.popular, c.candidate};
    for (size_t i = 0; i < MOE_ARRAY_LEN(scratch); i++)
        free(scratch[i]);
    return moe_pass(err, &local);
}

void moe_counts_fini(moe_counts *counts)
{
    free(counts->row_of);
    free(counts->choice);
    free(counts->score);
    free(counts->visit);
    *counts = (moe_counts){0};
}

void moe_counts_expect(const moe_counts *counts, int layer, size_t row,
                       uint64_t *load)
{
    const size_t k = (size_t)counts->top_k;
    const size_t at = ((size_t)layer * counts->rows + row) * k;
    const uint16_t *choice = counts->choice + at;
    const float *score = counts->score + at;
    const double *visit = counts->visit + layer * counts->experts;
    double left = counts->top_k, others = counts->top_k;
    for (size_t j = 0; j < k; j++) {
        left -= score[j];
        others -= visit[choice[j]];
    }
    /* What is left over, as others are visited; rounding and the chosen
     * experts' part of it are set right below. */
    const double per_visit = others > 1e-9 && left > 0 ? left / others : 0.0;
    int64_t sum = 0;
    for (int e = 0; e < counts->experts; e++) {
        const int64_t part = (int64_t)(per_visit * visit[e] * MOE_LOAD_ONE);
        load[e] += (uint64_t)part;
        sum += part;
    }
    for (size_t j = 1; j < k; j++) {
        const double v = per_visit * visit[choice[j]];
        const int64_t part = (int64_t)(v * MOE_LOAD_ONE);
        const int64_t mine = (int64_t)((double)score[j] * MOE_LOAD_ONE);
        load[choice[j]] += (uint64_t)(mine - part);
        sum += mine - part;
    }
    load[choice[0]] +=
        (uint64_t)((int64_t)(counts->top_k * MOE_LOAD_ONE) - sum);
}

size_t moe_counts_numbers(const moe_counts *counts)
{
    const size_t n = counts->rows * (size_t)counts->top_k;
    return (size_t)counts->n_layers * (2 * n + (size_t)counts->experts);
}
