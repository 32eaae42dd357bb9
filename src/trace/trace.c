/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"

/* Pointers to objects share one representation here, so that a table of
 * offsets can stand for eight pointers of different types. */
static const struct {
    size_t offset, size;
} arrays[N_ARRAYS] = {
    [MOE_ARRAY_SEQ_OFFSET] = {offsetof(moe_trace, seq_offset),
                              sizeof(uint64_t)},
    [MOE_ARRAY_SEQ_PART] = {offsetof(moe_trace, seq_part), sizeof(uint8_t)},
    [MOE_ARRAY_EXPERTS_OF] = {offsetof(moe_trace, experts_of),
                              sizeof(uint16_t)},
    [MOE_ARRAY_GATE] = {offsetof(moe_trace, gate), sizeof(float)},
    [MOE_ARRAY_TOKEN_ID] = {offsetof(moe_trace, token_id), sizeof(uint32_t)},
    [MOE_ARRAY_POSITION] = {offsetof(moe_trace, position), sizeof(int32_t)},
    [MOE_ARRAY_COUNTS] = {offsetof(moe_trace, counts), sizeof(uint32_t)},
    [MOE_ARRAY_LAYER_NUMBER] = {offsetof(moe_trace, layer_number),
                                sizeof(int32_t)},
    [MOE_ARRAY_CLUSTER] = {offsetof(moe_trace, cluster), sizeof(uint32_t)},
};

const char *moe_trace_kind_name(moe_trace_kind kind)
{
    return kind == MOE_TRACE_TOKENS ? "token" : "load";
}

const char *moe_trace_order_name(moe_trace_order order)
{
    return order == MOE_ORDER_TIME ? "time" : "none";
}

static bool product(uint64_t a, uint64_t b, uint64_t c, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out) &&
           !__builtin_mul_overflow(*out, c, out);
}

bool moe_trace_elements(const moe_trace *t, moe_trace_array which,
                        size_t *n_out)
{
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    const uint64_t layers = (uint64_t)t->layers;
    *n_out = 0;
    switch (which) {
    case MOE_ARRAY_SEQ_OFFSET:
        return product(t->n_seqs + 1, 1, 1, n_out);
    case MOE_ARRAY_SEQ_PART:
        return product(t->n_seqs, 1, 1, n_out);
    case MOE_ARRAY_EXPERTS_OF:
        return !tokens ||
               product(layers, t->n_tokens, (uint64_t)t->top_k, n_out);
    case MOE_ARRAY_GATE:
        return !tokens || !t->has_gate ||
               product(layers, t->n_tokens, (uint64_t)t->top_k, n_out);
    case MOE_ARRAY_TOKEN_ID:
        return !tokens || t->vocab_size == 0 ||
               product(t->n_tokens, 1, 1, n_out);
    case MOE_ARRAY_POSITION:
        return !tokens || !t->has_position || product(t->n_tokens, 1, 1, n_out);
    case MOE_ARRAY_COUNTS:
        return tokens ||
               product(t->n_seqs, layers, (uint64_t)t->experts, n_out);
    case MOE_ARRAY_LAYER_NUMBER:
        return !t->has_layer_number || product(layers, 1, 1, n_out);
    case MOE_ARRAY_CLUSTER:
        return !t->has_cluster || product(t->n_seqs, 1, 1, n_out);
    case N_ARRAYS:
        break;
    }
    return false;
}

size_t moe_trace_element_size(moe_trace_array which)
{
    return arrays[which].size;
}

void *moe_trace_get(const moe_trace *trace, moe_trace_array which)
{
    void *data = NULL;
    memcpy(&data, (const char *)trace + arrays[which].offset, sizeof data);
    return data;
}

void moe_trace_set(moe_trace *trace, moe_trace_array which, void *data)
{
    memcpy((char *)trace + arrays[which].offset, &data, sizeof data);
}

moe_status moe_trace_allocate(moe_trace *trace, moe_error *err)
{
    for (moe_trace_array a = 0; a < N_ARRAYS; a++) {
        size_t n = 0;
        if (!moe_trace_elements(trace, a, &n))
            return moe_fail(err, MOE_FORMAT, "sizes overflow");
        if (n == 0 || moe_trace_get(trace, a) != NULL)
            continue;
        void *data = moe_bulk_new(n, arrays[a].size, err);
        if (data == NULL)
            return MOE_NOMEM;
        moe_trace_set(trace, a, data);
    }
    return MOE_OK;
}

/* MPI_WIN_NULL need not be all zeros, but a zero-initialised trace is one
 * without a window all the same. */
static bool has_window(const moe_trace *trace)
{
    return trace->shared != MPI_WIN_NULL && trace->shared != (MPI_Win)0;
}

void moe_trace_free(moe_trace *trace)
{
    if (trace == NULL)
        return;
    if (has_window(trace)) {
        MOE_MPI(MPI_Win_free(&trace->shared));
    } else {
        for (moe_trace_array a = 0; a < N_ARRAYS; a++)
            moe_bulk_free(moe_trace_get(trace, a));
    }
    free(trace->vocab);
    *trace = (moe_trace){.shared = MPI_WIN_NULL};
}

static void count_tokens(const moe_trace *t, uint64_t seq, int layer,
                         uint64_t *counts)
{
    const size_t k = (size_t)t->top_k;
    const uint16_t *row = t->experts_of + (size_t)layer * t->n_tokens * k;
    for (size_t j = t->seq_offset[seq] * k; j < t->seq_offset[seq + 1] * k; j++)
        counts[row[j]]++;
}

static const uint32_t *step_counts(const moe_trace *t, uint64_t step, int layer)
{
    return t->counts +
           (step * (size_t)t->layers + (size_t)layer) * (size_t)t->experts;
}

void moe_trace_counts(const moe_trace *trace, moe_split_part part, int layer,
                      uint64_t *counts_out)
{
    assert(layer >= 0 && layer < trace->layers);
    const size_t n_experts = (size_t)trace->experts;
    memset(counts_out, 0, n_experts * sizeof *counts_out);
    for (uint64_t s = 0; s < trace->n_seqs; s++) {
        if (trace->seq_part[s] != part)
            continue;
        if (trace->kind == MOE_TRACE_TOKENS) {
            count_tokens(trace, s, layer, counts_out);
            continue;
        }
        const uint32_t *row = step_counts(trace, s, layer);
        for (size_t e = 0; e < n_experts; e++)
            counts_out[e] += row[e];
    }
}

int moe_trace_layer_number(const moe_trace *trace, int layer)
{
    return trace->has_layer_number ? trace->layer_number[layer] : layer;
}

int moe_trace_find_layer(const moe_trace *trace, int number)
{
    for (int l = 0; l < trace->layers; l++)
        if (moe_trace_layer_number(trace, l) == number)
            return l;
    return -1;
}

uint64_t moe_trace_part_tokens(const moe_trace *trace, moe_split_part part)
{
    uint64_t n = 0;
    for (uint64_t s = 0; s < trace->n_seqs; s++)
        if (trace->seq_part[s] == part)
            n += trace->seq_offset[s + 1] - trace->seq_offset[s];
    return n;
}

void moe_trace_expand(const moe_trace *trace, uint64_t seed, uint64_t seq,
                      int layer, uint16_t *experts_out)
{
    assert(seq < trace->n_seqs && layer >= 0 && layer < trace->layers);
    const size_t first = trace->seq_offset[seq], k = (size_t)trace->top_k;
    const size_t n = trace->seq_offset[seq + 1] - first;
    if (trace->kind == MOE_TRACE_TOKENS) {
        const size_t from = ((size_t)layer * trace->n_tokens + first) * k;
        memcpy(experts_out, trace->experts_of + from,
               n * k * sizeof *experts_out);
        return;
    }
    /* An expert's pairs lie in at most n cells in column order, one per row:
     * no token meets it twice. */
    const uint32_t *counts = step_counts(trace, seq, layer);
    size_t row = 0, column = 0;
    for (int e = 0; e < trace->experts; e++)
        for (uint32_t j = 0; j < counts[e]; j++) {
            experts_out[row * k + column] = (uint16_t)e;
            if (++row == n) {
                row = 0;
                column++;
            }
        }
    moe_rng rng = moe_rng_at(seed, MOE_RNG_EXPAND, seq, (uint64_t)layer, 0);
    moe_rng_shuffle(&rng, experts_out, n, k * sizeof *experts_out);
}

static bool has(const uint16_t *experts, size_t k, uint16_t expert)
{
    for (size_t j = 0; j < k; j++)
        if (experts[j] == expert)
            return true;
    return false;
}

void moe_trace_mix(const moe_trace *trace, uint64_t seed,
                   const moe_stretch *part, int layer, uint16_t *experts)
{
    const size_t k = (size_t)trace->top_k;
    const uint64_t pairs = part->n * k;
    moe_rng rng =
        moe_rng_at(seed, MOE_RNG_MIX, part->seq, (uint64_t)layer, part->from);
    experts += part->from * k;
    if (trace->kind == MOE_TRACE_TOKENS)
        return;
    for (uint64_t i = 0; i < pairs; i++) {
        uint16_t *a = &experts[moe_rng_below(&rng, pairs)];
        uint16_t *b = &experts[moe_rng_below(&rng, pairs)];
        const uint16_t *of_a = a - (size_t)(a - experts) % k;
        const uint16_t *of_b = b - (size_t)(b - experts) % k;
        if (has(of_a, k, *b) || has(of_b, k, *a))
            continue;
        const uint16_t was = *a;
        *a = *b;
        *b = was;
    }
}
