/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "neural.h"
#include "ngrams_shapes.h"

/* n-grams of more than one id that occur less often tell little of a text
 * that training has not seen, and are most of the table. */
enum { LEAST = 2 };

/* Call `act` for every token of sequences that are fitted or validated on. */
static void for_training(const moe_ngram_census *c, bool valid_too,
                         void (*act)(void *arg, uint64_t first, uint64_t i),
                         void *arg)
{
    const moe_trace *t = c->trace;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        if (c->part[s] == NEURAL_FIT ||
            (valid_too && c->part[s] == NEURAL_VALID))
            for (uint64_t i = t->seq_offset[s]; i < t->seq_offset[s + 1]; i++)
                act(arg, t->seq_offset[s], i);
}

typedef struct {
    moe_ngram_census *c;
    moe_ngram_index all; /* every n-gram */
    uint32_t *times;     /* [rows of all] */
} numbering;

static void count_all(void *arg, uint64_t first, uint64_t i)
{
    numbering *n = arg;
    uint32_t id[MOE_NGRAM_ORDERS];
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++) {
        moe_ngram_of(n->c->trace, first, i, o, id);
        n->times[moe_ngram_index_put(&n->all, id)]++;
    }
    n->c->tokens++;
}

static void keep_often(void *arg, uint64_t first, uint64_t i)
{
    numbering *n = arg;
    uint32_t id[MOE_NGRAM_ORDERS], rows[MOE_NGRAM_ORDERS];
    moe_ngram_index_find(&n->all, n->c->trace, first, i, rows);
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++)
        if (o == 0 || n->times[rows[o]] >= LEAST) {
            moe_ngram_of(n->c->trace, first, i, o, id);
            n->c->seen[moe_ngram_index_put(&n->c->index, id)]++;
        }
}

static void find_rows(void *arg, uint64_t first, uint64_t i)
{
    moe_ngram_census *c = ((numbering *)arg)->c;
    moe_ngram_index_find(&c->index, c->trace, first, i, c->row[i]);
}

/* Numbers of n-grams in order of appearance. */
static moe_status number(moe_ngram_census *c, moe_error *err)
{
    const uint64_t n = moe_trace_part_tokens(c->trace, MOE_PART_TRAIN);
    const uint64_t most = n * MOE_NGRAM_ORDERS;
    if (most > UINT32_MAX / 4)
        return moe_fail(err, MOE_NOMEM, "more n-grams than %u", UINT32_MAX / 4);
    numbering w = {.c = c};
    w.times = moe_array_new(most, sizeof *w.times, err);
    c->seen = moe_array_new(most, sizeof *c->seen, err);
    moe_ngram_index_init(&w.all, (uint32_t)most, err);
    moe_ngram_index_init(&c->index, (uint32_t)most, err);
    if (err->status == MOE_OK) {
        for_training(c, false, count_all, &w);
        for_training(c, false, keep_often, &w);
        for_training(c, true, find_rows, &w);
    }
    moe_ngram_index_fini(&w.all);
    free(w.times);
    return err->status;
}

moe_status moe_ngram_census_init(moe_ngram_census *c, const moe_trace *trace,
                                 const uint8_t *part, moe_error *err)
{
    *c = (moe_ngram_census){.trace = trace, .part = part};
    c->row = moe_array_new(trace->n_tokens, sizeof *c->row, err);
    c->share = moe_array_new((size_t)trace->experts, sizeof *c->share, err);
    if (err->status != MOE_OK || number(c, err) != MOE_OK)
        return err->status;
    c->visits = moe_array_new((size_t)c->index.rows * (size_t)trace->experts,
                              sizeof *c->visits, err);
    c->firsts = moe_array_new((size_t)c->index.rows * (size_t)trace->experts,
                              sizeof *c->firsts, err);
    return err->status;
}

void moe_ngram_census_fini(moe_ngram_census *c)
{
    moe_ngram_index_fini(&c->index);
    free(c->row);
    free(c->seen);
    free(c->visits);
    free(c->firsts);
    free(c->share);
    *c = (moe_ngram_census){0};
}

/* Add 1 or UINT32_MAX, which takes 1 away, to what a token visits. */
static void add_token(moe_ngram_census *c, uint64_t i, uint32_t by)
{
    const size_t n_e = (size_t)c->trace->experts, k = (size_t)c->trace->top_k;
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++)
        for (size_t j = 0; c->row[i][o] != MOE_NGRAM_NONE && j < k; j++)
            c->visits[c->row[i][o] * n_e + c->experts_of[i * k + j]] += by;
}

/* Of the orders: how many experts were met once, and twice. */
static void estimate_discounts(moe_ngram_census *c)
{
    const size_t n_e = (size_t)c->trace->experts;
    double n[MOE_NGRAM_ORDERS][2] = {{0}};
    for (size_t r = 0; r < c->index.rows; r++) {
        int order = 0;
        while (order + 1 < MOE_NGRAM_ORDERS &&
               c->index.id[r][order + 1] != MOE_NGRAM_NONE)
            order++;
        for (size_t e = 0; e < n_e; e++) {
            const uint32_t v = c->visits[r * n_e + e];
            if (v == 1 || v == 2)
                n[order][v - 1]++;
        }
    }
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++)
        c->discount[o] =
            n[o][0] > 0 ? (float)(n[o][0] / (n[o][0] + 2 * n[o][1])) : 0;
}

void moe_ngram_census_layer(moe_ngram_census *c, int layer)
{
    const moe_trace *t = c->trace;
    const size_t n_e = (size_t)t->experts, k = (size_t)t->top_k;
    c->experts_of = t->experts_of + (size_t)layer * t->n_tokens * k;
    memset(c->visits, 0, c->index.rows * n_e * sizeof *c->visits);
    memset(c->firsts, 0, c->index.rows * n_e * sizeof *c->firsts);
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s];
             c->part[s] == NEURAL_FIT && i < t->seq_offset[s + 1]; i++) {
            add_token(c, i, 1);
            c->firsts[c->row[i][0] * n_e + c->experts_of[i * k]]++;
        }
    estimate_discounts(c);
    memset(c->share, 0, n_e * sizeof *c->share);
    for (uint64_t r = 0; r < c->index.rows; r++)
        for (size_t e = 0; c->index.id[r][1] == MOE_NGRAM_NONE && e < n_e; e++)
            c->share[e] += (float)c->visits[r * n_e + e];
    for (size_t e = 0; e < n_e; e++)
        c->share[e] /= (float)c->tokens;
}

static void move(moe_ngram_census *c, uint64_t seq, uint32_t by)
{
    const moe_trace *t = c->trace;
    for (uint64_t i = t->seq_offset[seq]; i < t->seq_offset[seq + 1]; i++) {
        add_token(c, i, by);
        for (int o = 0; o < MOE_NGRAM_ORDERS; o++)
            if (c->row[i][o] != MOE_NGRAM_NONE)
                c->seen[c->row[i][o]] += by;
    }
}

void moe_ngram_census_leave(moe_ngram_census *c, uint64_t seq)
{
    move(c, seq, UINT32_MAX);
}

void moe_ngram_census_return(moe_ngram_census *c, uint64_t seq)
{
    move(c, seq, 1);
}

void moe_ngram_census_share(const moe_ngram_census *c, uint64_t token,
                            float *one, float *all)
{
    const size_t n_e = (size_t)c->trace->experts;
    memcpy(all, c->share, n_e * sizeof *all);
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++) {
        const uint32_t r = c->row[token][o];
        if (r != MOE_NGRAM_NONE && c->seen[r] > 0) {
            const uint32_t *v = c->visits + r * n_e;
            const float d = c->discount[o], per = 1 / (float)c->seen[r];
            int met = 0;
            for (size_t e = 0; e < n_e; e++)
                met += v[e] > 0;
            const float left = d * (float)met * per / (float)c->trace->top_k;
            for (size_t e = 0; e < n_e; e++)
                all[e] =
                    all[e] * left + (v[e] > 0 ? ((float)v[e] - d) * per : 0);
        }
        if (o == 0)
            memcpy(one, all, n_e * sizeof *one);
    }
}

/* ---- into a file ---- */

/* How many experts each row met, of all layers. @return their sum. */
static uint64_t count_met(moe_ngram_census *c, float *met)
{
    const size_t n_e = (size_t)c->trace->experts;
    uint64_t sum = 0;
    for (int l = 0; l < c->trace->layers; l++) {
        moe_ngram_census_layer(c, l);
        for (size_t r = 0; r < c->index.rows; r++, met++) {
            for (size_t e = 0; e < n_e; e++)
                *met += c->visits[r * n_e + e] > 0 ? 1.0F : 0.0F;
            sum += (uint64_t)*met;
        }
    }
    return sum;
}

/* @return where the next layer's entries begin. */
static uint64_t write_layer(const moe_ngram_census *c, uint64_t at,
                            float *expert, float *count, float *first)
{
    const size_t n_e = (size_t)c->trace->experts;
    for (size_t r = 0; r < c->index.rows; r++)
        for (size_t e = 0; e < n_e; e++)
            if (c->visits[r * n_e + e] > 0) {
                expert[at] = (float)e;
                if (first != NULL)
                    first[at] = (float)c->firsts[r * n_e + e];
                count[at++] = (float)c->visits[r * n_e + e];
            }
    return at;
}

static void write_rows(const moe_ngram_census *c, float *ids, float *seen)
{
    for (size_t r = 0; r < c->index.rows; r++) {
        seen[r] = (float)c->seen[r];
        for (size_t o = 0; o < MOE_NGRAM_ORDERS; o++) {
            const uint32_t id = c->index.id[r][o];
            ids[r * MOE_NGRAM_ORDERS + o] = id == MOE_NGRAM_NONE    ? -2
                                            : id == MOE_NGRAM_START ? -1
                                                                    : (float)id;
        }
    }
}

moe_status moe_ngram_census_write(moe_ngram_census *c, moe_learned_part *part,
                                  moe_error *err)
{
    const moe_trace *t = c->trace;
    ngram_shapes s = ngram_shapes_of(t->layers, t->experts, c->index.rows, 1);
    float *ids = moe_learned_put(part, &s.ngram, err);
    float *seen = moe_learned_put(part, &s.seen, err);
    float *share = moe_learned_put(part, &s.share, err);
    float *discount = moe_learned_put(part, &s.discount, err);
    float *met = moe_learned_put(part, &s.met, err);
    if (err->status != MOE_OK)
        return err->status;
    write_rows(c, ids, seen);
    s = ngram_shapes_of(t->layers, t->experts, c->index.rows,
                        count_met(c, met));
    float *expert = moe_learned_put(part, &s.visited, err);
    float *count = moe_learned_put(part, &s.count, err);
    float *first = t->ordered ? moe_learned_put(part, &s.first, err) : NULL;
    uint64_t at = 0;
    for (int l = 0; l < t->layers && err->status == MOE_OK; l++) {
        moe_ngram_census_layer(c, l);
        at = write_layer(c, at, expert, count, first);
        memcpy(share + (size_t)l * (size_t)t->experts, c->share,
               (size_t)t->experts * sizeof *share);
        memcpy(discount + (size_t)l * MOE_NGRAM_ORDERS, c->discount,
               sizeof c->discount);
    }
    return err->status;
}
