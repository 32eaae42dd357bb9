/* SPDX-License-Identifier: Apache-2.0 */
#include "ngrams.h"

#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "moegps/hash.h"
#include "moegps/mem.h"
#include "moegps/wide.h"
#include "ngrams_shapes.h"
#include "scorer.h"

/* ---- index ---- */

moe_status moe_ngram_index_init(moe_ngram_index *index, uint32_t most,
                                moe_error *err)
{
    *index = (moe_ngram_index){.slots = 16};
    while (index->slots < 2 * (uint64_t)most)
        index->slots *= 2;
    index->slot = moe_array_new(index->slots, sizeof *index->slot, err);
    index->id = moe_array_new(most, sizeof *index->id, err);
    return err->status;
}

void moe_ngram_index_fini(moe_ngram_index *index)
{
    free(index->slot);
    free(index->id);
    *index = (moe_ngram_index){0};
}

/* @return the slot that holds the n-gram, or would. */
static uint32_t *slot_of(const moe_ngram_index *index, const uint32_t *id)
{
    uint64_t h = MOE_HASH_START;
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++)
        h = moe_hash_add(h, id[o]);
    h ^= h >> 32;
    for (;; h++) {
        uint32_t *slot = &index->slot[h & (index->slots - 1)];
        if (*slot == 0 ||
            memcmp(index->id[*slot - 1], id, sizeof *index->id) == 0)
            return slot;
    }
}

uint32_t moe_ngram_index_put(moe_ngram_index *index, const uint32_t *id)
{
    uint32_t *slot = slot_of(index, id);
    if (*slot == 0) {
        memcpy(index->id[index->rows], id, sizeof *index->id);
        *slot = ++index->rows;
    }
    return *slot - 1;
}

void moe_ngram_of(const moe_trace *trace, uint64_t first, uint64_t i, int order,
                  uint32_t *id_out)
{
    for (uint64_t o = 0; o < MOE_NGRAM_ORDERS; o++)
        id_out[o] = o > (uint64_t)order ? MOE_NGRAM_NONE
                    : i - first >= o    ? trace->token_id[i - o]
                                        : MOE_NGRAM_START;
}

void moe_ngram_index_find(const moe_ngram_index *index, const moe_trace *trace,
                          uint64_t first, uint64_t i, uint32_t *rows_out)
{
    uint32_t id[MOE_NGRAM_ORDERS];
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++) {
        moe_ngram_of(trace, first, i, o, id);
        rows_out[o] = *slot_of(index, id) - 1; /* none: UINT32_MAX */
    }
}

/* ---- as a predictor has them ---- */

/* The arrays of a part, whose sizes only the file knows. */
static const moe_learned_array *find(const moe_learned_part *part,
                                     const char *name, int rank, moe_error *err)
{
    for (int a = 0; a < part->n_arrays; a++)
        if (strcmp(part->array[a].name, name) == 0 &&
            part->array[a].rank == rank)
            return &part->array[a];
    moe_fail(err, MOE_FORMAT, "predictor %s: array '%s' is missing",
             part->predictor, name);
    return NULL;
}

static moe_status number_rows(moe_ngrams *g, const moe_learned_array *ids,
                              uint32_t vocab, moe_error *err)
{
    const uint64_t n = ids->dim[0];
    if (ids->dim[1] != MOE_NGRAM_ORDERS || n > UINT32_MAX / 4)
        return moe_fail(err, MOE_FORMAT, "array 'ngram': wrong dimensions");
    if (moe_ngram_index_init(&g->index, (uint32_t)n, err) != MOE_OK)
        return err->status;
    for (uint64_t r = 0; r < n; r++) {
        uint32_t id[MOE_NGRAM_ORDERS];
        for (int o = 0; o < MOE_NGRAM_ORDERS; o++) {
            const float x = ids->data[r * MOE_NGRAM_ORDERS + (uint64_t)o];
            if (x >= (float)vocab || (o == 0 && x < 0))
                return moe_fail(err, MOE_FORMAT,
                                "array 'ngram': %g is no token id", (double)x);
            id[o] = x < -1  ? MOE_NGRAM_NONE
                    : x < 0 ? MOE_NGRAM_START
                            : (uint32_t)x;
        }
        if (moe_ngram_index_put(&g->index, id) != r)
            return moe_fail(err, MOE_FORMAT,
                            "array 'ngram': one is there twice");
    }
    return MOE_OK;
}

/* Where each row's entries begin, of the layers of the run. */
static moe_status find_starts(moe_ngrams *g, const moe_learned_array *met,
                              uint64_t entries, moe_error *err)
{
    const uint64_t rows = g->index.rows;
    g->start = moe_array_new((size_t)g->n_layers, sizeof *g->start, err);
    for (int l = 0; l < g->n_layers && err->status == MOE_OK; l++)
        g->start[l] = moe_array_new(rows + 1, sizeof **g->start, err);
    size_t at = 0;
    for (uint64_t t = 0; t < met->dim[0] && err->status == MOE_OK; t++) {
        size_t *start = NULL;
        for (int l = 0; l < g->n_layers; l++)
            start = g->layers[l] == (int)t ? g->start[l] : start;
        for (uint64_t r = 0; r < rows; r++) {
            const float n = met->data[t * rows + r];
            if (!(n >= 0 && n <= (float)g->experts))
                return moe_fail(err, MOE_FORMAT, "array 'met': %g experts",
                                (double)n);
            if (start != NULL)
                start[r] = at;
            at += (size_t)n;
        }
        if (start != NULL)
            start[rows] = at;
    }
    if (err->status == MOE_OK && at != entries)
        moe_fail(err, MOE_FORMAT, "array 'visited': does not fit 'met'");
    return err->status;
}

static moe_status check_entries(const moe_ngrams *g, uint64_t entries,
                                moe_error *err)
{
    for (uint64_t i = 0; i < entries; i++)
        if (!(g->expert[i] >= 0 && g->expert[i] < (float)g->experts &&
              g->count[i] >= 1 &&
              (g->first == NULL || g->first[i] <= g->count[i])))
            return moe_fail(err, MOE_FORMAT,
                            "array 'visited': expert %g, %g times",
                            (double)g->expert[i], (double)g->count[i]);
    return MOE_OK;
}

moe_status moe_ngrams_init(moe_ngrams *g, const moe_predictor_env *env,
                           const moe_learned_part *part, moe_error *err)
{
    const moe_trace *t = env->trace;
    *g = (moe_ngrams){.experts = t->experts,
                      .top_k = t->top_k,
                      .n_layers = env->n_layers,
                      .layers = env->layers,
                      .numbers = moe_learned_weights(part)};
    const moe_learned_array *ids = find(part, "ngram", 2, err);
    const moe_learned_array *visited = find(part, "visited", 1, err);
    if (ids == NULL || visited == NULL)
        return err->status;
    const ngram_shapes s =
        ngram_shapes_of(t->layers, t->experts, ids->dim[0], visited->dim[0]);
    const moe_learned_array *met = find(part, "met", 2, err);
    g->seen = moe_learned_get(part, &s.seen, err);
    g->share = moe_learned_get(part, &s.share, err);
    g->discount = moe_learned_get(part, &s.discount, err);
    moe_learned_get(part, &s.met, err);
    g->expert = moe_learned_get(part, &s.visited, err);
    g->count = moe_learned_get(part, &s.count, err);
    if (moe_learned_has(part, s.first.name))
        g->first = moe_learned_get(part, &s.first, err);
    if (err->status != MOE_OK ||
        number_rows(g, ids, env->learned->vocab_size, err) != MOE_OK ||
        find_starts(g, met, visited->dim[0], err) != MOE_OK)
        return err->status;
    return check_entries(g, visited->dim[0], err);
}

moe_status moe_ngrams_open(moe_ngrams *g, const moe_predictor_env *env,
                           uint64_t seed, moe_error *err)
{
    const moe_learned_part *part = moe_learned_part_for("ngram", env, err);
    if (part == NULL)
        return err->status;
    if (part->seed != seed)
        return moe_fail(err, MOE_MISMATCH,
                        "the file's ngram is of another seed");
    return moe_ngrams_init(g, env, part, err);
}

void moe_ngrams_fini(moe_ngrams *g)
{
    for (int l = 0; g->start != NULL && l < g->n_layers; l++)
        free(g->start[l]);
    free(g->start);
    moe_ngram_index_fini(&g->index);
}

void moe_ngrams_fetch(const moe_ngrams *g, int layer, const uint32_t *rows,
                      bool entries)
{
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++) {
        if (rows[o] == MOE_NGRAM_NONE)
            continue;
        const size_t *start = &g->start[layer][rows[o]];
        moe_fetch(entries ? (const void *)&g->expert[*start] : start, 1);
        if (entries)
            moe_fetch(&g->count[*start], 1);
        else
            moe_fetch(&g->seen[rows[o]], 1);
    }
}

MOE_WIDE void moe_ngrams_share(const moe_ngrams *g, int layer,
                               const uint32_t *rows, float *one, float *all)
{
    const int trained = g->layers[layer];
    const size_t n_e = (size_t)g->experts;
    memcpy(all, g->share + (size_t)trained * n_e, n_e * sizeof *all);
    for (int o = 0; o < MOE_NGRAM_ORDERS; o++) {
        if (rows[o] != MOE_NGRAM_NONE) {
            const size_t at = g->start[layer][rows[o]];
            const size_t end = g->start[layer][rows[o] + 1];
            const float d = g->discount[trained * MOE_NGRAM_ORDERS + o];
            const float per = 1 / g->seen[rows[o]];
            const float left = d * (float)(end - at) * per / (float)g->top_k;
            for (size_t e = 0; e < n_e; e++)
                all[e] *= left;
            for (size_t i = at; i < end; i++)
                all[(int32_t)g->expert[i]] += (g->count[i] - d) * per;
        }
        if (o == 0)
            memcpy(one, all, n_e * sizeof *one);
    }
}
