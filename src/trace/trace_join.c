/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"

static moe_status check_alike(const moe_trace *a, const moe_trace *b,
                              moe_error *err)
{
    if (strcmp(a->model, b->model) != 0)
        return moe_fail(err, MOE_MISMATCH,
                        "traces are of '%s' and of '%s', and must be of "
                        "one model",
                        a->model, b->model);
    if (a->kind != b->kind)
        return moe_fail(err, MOE_MISMATCH,
                        "one trace has tokens, the other loads, and both must "
                        "have the same");
    if (a->layers != b->layers || a->experts != b->experts ||
        a->top_k != b->top_k)
        return moe_fail(err, MOE_MISMATCH,
                        "traces have %d layers of %d experts, top %d, and %d "
                        "of %d, top %d, and must be of one model",
                        a->layers, a->experts, a->top_k, b->layers, b->experts,
                        b->top_k);
    for (int l = 0; l < a->layers; l++)
        if (moe_trace_layer_number(a, l) != moe_trace_layer_number(b, l))
            return moe_fail(err, MOE_MISMATCH,
                            "layer %d of the traces is %d and %d of the model",
                            l, moe_trace_layer_number(a, l),
                            moe_trace_layer_number(b, l));
    return MOE_OK;
}

/* Count, or with arrays copy, the sequences of one part behind those that are
 * there. */
static void add_part(const moe_trace *from, moe_split_part part, moe_trace *t,
                     uint64_t *seq, uint64_t *token)
{
    const size_t k = (size_t)t->top_k, n_l = (size_t)t->layers;
    const size_t n_e = n_l * (size_t)t->experts;
    for (uint64_t s = 0; s < from->n_seqs; s++) {
        const uint64_t at = from->seq_offset[s];
        const size_t n = from->seq_offset[s + 1] - at;
        if (from->seq_part[s] != part)
            continue;
        if (t->seq_offset != NULL) {
            t->seq_offset[*seq + 1] = *token + n;
            t->seq_part[*seq] = (uint8_t)part;
            if (t->has_cluster)
                t->cluster[*seq] = from->cluster[s];
        }
        if (t->counts != NULL)
            moe_bulk_copy(t->counts + *seq * n_e, from->counts + s * n_e,
                          n_e * sizeof *t->counts);
        for (size_t l = 0; t->experts_of != NULL && l < n_l; l++) {
            const size_t to = (l * t->n_tokens + *token) * k;
            const size_t old = (l * from->n_tokens + at) * k;
            moe_bulk_copy(t->experts_of + to, from->experts_of + old,
                          n * k * sizeof *t->experts_of);
            if (t->gate != NULL)
                moe_bulk_copy(t->gate + to, from->gate + old,
                              n * k * sizeof *t->gate);
        }
        if (t->token_id != NULL)
            moe_bulk_copy(t->token_id + *token, from->token_id + at,
                          n * sizeof *t->token_id);
        if (t->position != NULL)
            moe_bulk_copy(t->position + *token, from->position + at,
                          n * sizeof *t->position);
        *seq += 1;
        *token += n;
    }
}

moe_status moe_trace_join(const moe_trace *train, const moe_trace *test,
                          moe_trace *out, moe_error *err)
{
    moe_error local = {0};
    moe_trace t = *test;
    uint64_t seq = 0, token = 0;
    for (int a = 0; a < N_ARRAYS; a++)
        moe_trace_set(&t, (moe_trace_array)a, NULL);
    t.vocab = NULL;
    t.shared = MPI_WIN_NULL;
    t.ordered = train->ordered && test->ordered;
    t.has_gate = train->has_gate && test->has_gate;
    t.has_cluster = train->has_cluster && test->has_cluster;
    t.has_position = train->has_position && test->has_position;
    t.vocab_size = train->vocab_size == 0 || test->vocab_size == 0 ? 0
                   : train->vocab_size > test->vocab_size ? train->vocab_size
                                                          : test->vocab_size;
    if (check_alike(train, test, &local) != MOE_OK)
        return moe_pass(err, &local);
    add_part(train, MOE_PART_TRAIN, &t, &seq, &token);
    add_part(test, MOE_PART_TEST, &t, &seq, &token);
    t.n_seqs = seq;
    t.n_tokens = token;
    if (moe_trace_allocate(&t, &local) == MOE_OK) {
        for (int l = 0; t.has_layer_number && l < t.layers; l++)
            t.layer_number[l] = moe_trace_layer_number(test, l);
        seq = token = 0;
        add_part(train, MOE_PART_TRAIN, &t, &seq, &token);
        add_part(test, MOE_PART_TEST, &t, &seq, &token);
        moe_trace_hash(&t, t.sha256, &local);
    }
    if (local.status != MOE_OK) {
        moe_trace_free(&t);
        return moe_pass(err, &local);
    }
    *out = t;
    return MOE_OK;
}
