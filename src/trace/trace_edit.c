/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"

static moe_status check_range(const moe_trace *in, const moe_trace_range *range,
                              moe_error *err)
{
    if (range->first_seq >= range->end_seq || range->end_seq > in->n_seqs)
        return moe_fail(err, MOE_USAGE,
                        "sequences %" PRIu64 ":%" PRIu64
                        " are not a range within 0:%" PRIu64,
                        range->first_seq, range->end_seq, in->n_seqs);
    if (range->layers == NULL)
        return MOE_OK;
    if (range->n_layers < 1)
        return moe_fail(err, MOE_USAGE, "no layers to keep");
    for (int j = 0; j < range->n_layers; j++) {
        if (range->layers[j] < 0 || range->layers[j] >= in->layers)
            return moe_fail(err, MOE_USAGE, "layer %d is not in 0..%d",
                            range->layers[j], in->layers - 1);
        for (int i = 0; i < j; i++)
            if (range->layers[i] == range->layers[j])
                return moe_fail(err, MOE_USAGE, "layer %d is given twice",
                                range->layers[j]);
    }
    return MOE_OK;
}

/* Tokens as the sequences that they are in.
 * @param first, end  of tokens */
static moe_status find_tokens(const moe_trace *in, moe_trace_range *range,
                              uint64_t *first, uint64_t *end, moe_error *err)
{
    if (range->first_token == 0 && range->end_token == 0) {
        *first = in->seq_offset[range->first_seq];
        *end = in->seq_offset[range->end_seq];
        return MOE_OK;
    }
    if (in->kind != MOE_TRACE_TOKENS)
        return moe_fail(err, MOE_USAGE, "a load trace has no tokens to cut");
    if (range->first_token >= range->end_token ||
        range->end_token > in->n_tokens)
        return moe_fail(err, MOE_USAGE,
                        "tokens %" PRIu64 ":%" PRIu64
                        " are not a range within 0:%" PRIu64,
                        range->first_token, range->end_token, in->n_tokens);
    *first = range->first_token;
    *end = range->end_token;
    range->first_seq = 0;
    range->end_seq = in->n_seqs;
    while (in->seq_offset[range->first_seq + 1] <= *first)
        range->first_seq++;
    while (in->seq_offset[range->end_seq - 1] >= *end)
        range->end_seq--;
    return MOE_OK;
}

/* Layer j of the copy is this layer of the original. */
static size_t source_layer(const moe_trace_range *range, int j)
{
    return (size_t)(range->layers != NULL ? range->layers[j] : j);
}

static void copy_tokens(const moe_trace *in, const moe_trace_range *range,
                        size_t first, moe_trace *t)
{
    const size_t n = t->n_tokens;
    const size_t k = (size_t)in->top_k;
    for (int j = 0; j < t->layers; j++) {
        const size_t from = (source_layer(range, j) * in->n_tokens + first) * k;
        const size_t to = (size_t)j * n * k;
        moe_bulk_copy(t->experts_of + to, in->experts_of + from,
                      n * k * sizeof *t->experts_of);
        if (t->has_gate)
            moe_bulk_copy(t->gate + to, in->gate + from,
                          n * k * sizeof *t->gate);
    }
    if (t->vocab_size > 0)
        moe_bulk_copy(t->token_id, in->token_id + first,
                      n * sizeof *t->token_id);
    if (t->has_position)
        moe_bulk_copy(t->position, in->position + first,
                      n * sizeof *t->position);
}

static void copy_counts(const moe_trace *in, const moe_trace_range *range,
                        moe_trace *t)
{
    const size_t e = (size_t)in->experts;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (int j = 0; j < t->layers; j++) {
            const size_t from = (range->first_seq + s) * (size_t)in->layers +
                                source_layer(range, j);
            const size_t to = s * (size_t)t->layers + (size_t)j;
            moe_bulk_copy(t->counts + to * e, in->counts + from * e,
                          e * sizeof *t->counts);
        }
}

/* Whether the copy must say which layers it has. Without order no numbers
 * can be kept. */
static bool needs_numbers(const moe_trace *in, const moe_trace_range *range)
{
    if (range->layers == NULL)
        return in->has_layer_number;
    for (int j = 1; j < range->n_layers; j++)
        if (range->layers[j] < range->layers[j - 1])
            return false;
    return in->has_layer_number || range->n_layers < in->layers;
}

moe_status moe_trace_slice(const moe_trace *trace, const moe_trace_range *range,
                           moe_trace *out, moe_error *err)
{
    moe_error local = {0};
    moe_trace t = *trace;
    moe_trace_range kept = *range;
    uint64_t first = 0, end = 0;
    for (moe_trace_array a = 0; a < N_ARRAYS; a++)
        moe_trace_set(&t, a, NULL);
    t.vocab = NULL;
    t.shared = MPI_WIN_NULL;
    t.sha256[0] = '\0';
    if (check_range(trace, range, &local) != MOE_OK ||
        find_tokens(trace, &kept, &first, &end, &local) != MOE_OK)
        goto out;
    t.layers = range->layers != NULL ? range->n_layers : trace->layers;
    t.n_seqs = kept.end_seq - kept.first_seq;
    t.n_tokens = end - first;
    t.has_layer_number = needs_numbers(trace, range);
    if (moe_trace_allocate(&t, &local) != MOE_OK)
        goto out;
    for (int l = 0; t.has_layer_number && l < t.layers; l++)
        t.layer_number[l] =
            moe_trace_layer_number(trace, (int)source_layer(range, l));
    for (uint64_t s = 0; s <= t.n_seqs; s++) {
        const uint64_t at = trace->seq_offset[kept.first_seq + s];
        t.seq_offset[s] = (at < first ? first : at > end ? end : at) - first;
    }
    memcpy(t.seq_part, trace->seq_part + kept.first_seq, t.n_seqs);
    if (t.has_cluster)
        memcpy(t.cluster, trace->cluster + kept.first_seq,
               t.n_seqs * sizeof *t.cluster);
    if (trace->kind == MOE_TRACE_TOKENS)
        copy_tokens(trace, &kept, first, &t);
    else
        copy_counts(trace, &kept, &t);
    if (trace->vocab != NULL) {
        t.vocab = moe_array_new(trace->vocab_bytes, 1, &local);
        if (t.vocab == NULL)
            goto out;
        memcpy(t.vocab, trace->vocab, trace->vocab_bytes);
    }
    *out = t;
    return MOE_OK;
out:
    moe_trace_free(&t);
    return moe_pass(err, &local);
}
