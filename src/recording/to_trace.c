/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

/* ---- loads ---- */

static moe_status take_counts(const moe_recording *r, moe_trace *t,
                              moe_error *err)
{
    const size_t n_e = (size_t)r->experts, n_l = (size_t)r->layers;
    const size_t n = r->steps * n_l * n_e;
    t->counts = moe_bulk_new(n, sizeof *t->counts, err);
    for (size_t i = 0; t->counts != NULL && i < n; i++) {
        const double x = r->load[i];
        if (x > UINT32_MAX || x != floor(x))
            return moe_fail(err, MOE_FORMAT,
                            "step %lld, layer %d, expert %zu: %g is no number "
                            "of pairs: a trace is made of whole pairs up to "
                            "2^32 (`plan` takes shares)",
                            (long long)r->step_number[i / n_l / n_e],
                            r->layer_number[i / n_e % n_l], i % n_e, x);
        t->counts[i] = (uint32_t)x;
        if (i % n_e == 0) {
            moe_bulk_passed(r->load + i, n_e * sizeof *r->load);
            moe_bulk_passed(t->counts + i, n_e * sizeof *t->counts);
        }
    }
    return err->status;
}

/* @return pairs of a row. */
static uint64_t pairs_of(const uint32_t *row, int experts)
{
    uint64_t sum = 0;
    for (int e = 0; e < experts; e++)
        sum += row[e];
    return sum;
}

/* Every layer has the pairs of the same tokens. */
static moe_status count_tokens(const moe_recording *r, moe_trace *t,
                               moe_error *err)
{
    const uint64_t k = (uint64_t)t->top_k;
    for (size_t s = 0; s < r->steps; s++) {
        uint64_t first = 0;
        for (int l = 0; l < r->layers; l++) {
            const uint32_t *row =
                t->counts +
                (s * (size_t)r->layers + (size_t)l) * (size_t)r->experts;
            const uint64_t pairs = pairs_of(row, r->experts);
            moe_bulk_passed(row, (size_t)r->experts * sizeof *row);
            first = l == 0 ? pairs : first;
            if (pairs % k != 0 || pairs != first)
                return moe_fail(
                    err, MOE_FORMAT,
                    pairs % k != 0
                        ? "step %lld, layer %d: %llu pairs are no multiple of "
                          "%llu experts per token"
                        : "step %lld, layer %d: %llu pairs, not %llu as in "
                          "layer %d (--layers leaves some out)",
                    (long long)r->step_number[s], r->layer_number[l],
                    (unsigned long long)pairs,
                    (unsigned long long)(pairs % k != 0 ? k : first),
                    r->layer_number[0]);
        }
        t->seq_offset[s + 1] = t->seq_offset[s] + first / k;
    }
    t->n_tokens = t->seq_offset[t->n_seqs];
    return MOE_OK;
}

static void make_loads(const moe_recording *r, moe_trace *t, moe_error *err)
{
    t->kind = MOE_TRACE_LOADS;
    t->ordered = false;
    t->n_seqs = r->steps;
    t->seq_offset = moe_array_new(r->steps + 1, sizeof *t->seq_offset, err);
    if (t->seq_offset != NULL && take_counts(r, t, err) == MOE_OK)
        count_tokens(r, t, err);
}

/* ---- tokens ---- */

/* Take an array over. */
#define MOVE(to, from) \
    do {               \
        (to) = (from); \
        (from) = NULL; \
    } while (0)

static void make_tokens(moe_recording *r, moe_trace *t, moe_error *err)
{
    t->kind = MOE_TRACE_TOKENS;
    if (t->top_k != r->top_k) {
        moe_fail(err, MOE_MISMATCH,
                 "its tokens choose %d expert%s each, not %d", r->top_k,
                 r->top_k == 1 ? "" : "s", t->top_k);
        return;
    }
    t->n_tokens = r->n_tokens;
    t->has_position = r->position != NULL;
    t->has_gate = r->gate != NULL;
    t->vocab_size = r->token_id != NULL ? r->vocab_size : 0;
    t->n_seqs = r->seq_offset != NULL ? r->n_seqs : 1;
    if (r->seq_offset == NULL) {
        t->seq_offset = moe_array_new(2, sizeof *t->seq_offset, err);
        if (t->seq_offset != NULL)
            t->seq_offset[1] = r->n_tokens;
    } else {
        MOVE(t->seq_offset, r->seq_offset);
    }
    MOVE(t->experts_of, r->experts_of);
    MOVE(t->gate, r->gate);
    MOVE(t->token_id, r->token_id);
    MOVE(t->position, r->position);
}

/* ---- both ---- */

/* Layers that are all of the model's need no numbers. */
static void take_layers(const moe_recording *r, int layers, moe_trace *t,
                        moe_error *err)
{
    const bool from_0 = r->layer_number[r->layers - 1] == r->layers - 1;
    t->layers = r->layers;
    t->has_layer_number =
        !from_0 || (r->numbered && layers > 0 && layers != r->layers);
    if (!t->has_layer_number)
        return;
    t->layer_number =
        moe_array_new((size_t)r->layers, sizeof *t->layer_number, err);
    if (t->layer_number != NULL)
        memcpy(t->layer_number, r->layer_number,
               (size_t)r->layers * sizeof *t->layer_number);
}

moe_status moe_recording_to_trace(moe_recording *r, int layers,
                                  moe_trace *trace, moe_error *err)
{
    moe_error local = {0};
    moe_trace t = *trace;
    t.experts = r->experts;
    t.order = r->in_time ? MOE_ORDER_TIME : MOE_ORDER_NONE;
    take_layers(r, layers, &t, &local);
    if (local.status == MOE_OK && r->kind == MOE_RECORDING_LOADS)
        make_loads(r, &t, &local);
    else if (local.status == MOE_OK)
        make_tokens(r, &t, &local);
    if (local.status == MOE_OK)
        MOVE(t.seq_part, r->seq_part);
    if (local.status == MOE_OK && t.seq_part == NULL)
        t.seq_part = moe_array_new(t.n_seqs, 1, &local);
    if (local.status == MOE_OK)
        moe_trace_validate(&t, &local);
    if (local.status == MOE_OK) {
        *trace = t;
        return MOE_OK;
    }
    moe_trace_free(&t);
    return moe_pass(err, &local);
}
