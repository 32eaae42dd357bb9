/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"

enum { SWEEP = 4096 }; /* tokens that are checked between two words of it */

moe_status moe_trace_check_choice(const moe_trace *t, moe_error *err)
{
    if (t->experts < 1 || t->experts > MOE_MAX_EXPERTS)
        return moe_fail(err, MOE_FORMAT, "experts is %d, not in 1..%d",
                        t->experts, MOE_MAX_EXPERTS);
    int most = t->experts < MOE_MAX_TOP_K ? t->experts : MOE_MAX_TOP_K;
    if (t->top_k < 1 || t->top_k > most)
        return moe_fail(err, MOE_FORMAT,
                        "top_k is %d, not in 1..%d (of %d experts)", t->top_k,
                        most, t->experts);
    return MOE_OK;
}

static moe_status check_sizes(const moe_trace *t, moe_error *err)
{
    if (t->layers < 1 || t->n_seqs < 1 || t->n_tokens < 1)
        return moe_fail(err, MOE_FORMAT,
                        "trace is empty: %d layers, %" PRIu64
                        " sequences, %" PRIu64 " tokens",
                        t->layers, t->n_seqs, t->n_tokens);
    if (t->n_seqs > INT32_MAX ||
        (t->kind == MOE_TRACE_TOKENS && t->n_tokens > INT32_MAX))
        return moe_fail(err, MOE_FORMAT,
                        "%" PRIu64 " sequences of %" PRIu64
                        " tokens are more than the format's %d",
                        t->n_seqs, t->n_tokens, INT32_MAX);
    return moe_trace_check_choice(t, err);
}

static moe_status check_sequences(const moe_trace *t, moe_error *err)
{
    const char *unit = t->kind == MOE_TRACE_TOKENS ? "sequence" : "step";
    if (t->seq_offset[0] != 0)
        return moe_fail(err, MOE_FORMAT,
                        "dataset 'seq_offset': starts at %" PRIu64 ", not at 0",
                        t->seq_offset[0]);
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        if (t->seq_offset[s + 1] <= t->seq_offset[s])
            return moe_fail(
                err, MOE_FORMAT, "dataset '%s': %s %" PRIu64 " has no tokens",
                t->kind == MOE_TRACE_TOKENS ? "seq_offset" : "tokens", unit, s);
        if (t->seq_part[s] != MOE_PART_TRAIN && t->seq_part[s] != MOE_PART_TEST)
            return moe_fail(err, MOE_FORMAT,
                            "dataset 'split': %s %" PRIu64
                            ": %d is neither 0 (train) nor 1 (test)",
                            unit, s, t->seq_part[s]);
    }
    /* counts are 32 bits wide, so a load trace's steps are too */
    for (uint64_t s = 0; t->kind == MOE_TRACE_LOADS && s < t->n_seqs; s++)
        if (t->seq_offset[s + 1] - t->seq_offset[s] > UINT32_MAX)
            return moe_fail(err, MOE_FORMAT,
                            "dataset 'tokens': step %" PRIu64
                            " has more than %" PRIu32,
                            s, UINT32_MAX);
    if (t->seq_offset[t->n_seqs] != t->n_tokens)
        return moe_fail(err, MOE_FORMAT,
                        "dataset 'seq_offset': ends at %" PRIu64 " of %" PRIu64
                        " tokens",
                        t->seq_offset[t->n_seqs], t->n_tokens);
    return MOE_OK;
}

/* @param seen  [MOE_MAX_EXPERTS] last mark of each expert; marks never repeat,
 *              so it is not cleared between tokens. */
static moe_status check_experts(const moe_trace *t, size_t layer,
                                uint64_t *seen, moe_error *err)
{
    const size_t k = (size_t)t->top_k;
    const uint16_t *row = t->experts_of + layer * t->n_tokens * k;
    for (uint64_t i = 0; i < t->n_tokens; i++, row += k) {
        const uint64_t mark = layer * t->n_tokens + i + 1;
        if (i % SWEEP == 0)
            moe_bulk_passed(row, SWEEP * k * sizeof *row);
        for (size_t j = 0; j < k; j++) {
            if (row[j] >= t->experts)
                return moe_fail(err, MOE_FORMAT,
                                "dataset 'experts': layer %d, token %" PRIu64
                                ": expert %d is not in 0..%d",
                                moe_trace_layer_number(t, (int)layer), i,
                                row[j], t->experts - 1);
            if (seen[row[j]] == mark)
                return moe_fail(err, MOE_FORMAT,
                                "dataset 'experts': layer %d, token %" PRIu64
                                ": expert %d is there twice",
                                moe_trace_layer_number(t, (int)layer), i,
                                row[j]);
            seen[row[j]] = mark;
        }
    }
    return MOE_OK;
}

static moe_status check_gates(const moe_trace *t, size_t layer, moe_error *err)
{
    const size_t k = (size_t)t->top_k;
    const float *row = t->gate + layer * t->n_tokens * k;
    for (uint64_t i = 0; i < t->n_tokens; i++, row += k) {
        if (i % SWEEP == 0)
            moe_bulk_passed(row, SWEEP * k * sizeof *row);
        for (size_t j = 0; j < k; j++) {
            if (!isfinite(row[j]) || row[j] < 0)
                return moe_fail(err, MOE_FORMAT,
                                "dataset 'gate': layer %d, token %" PRIu64
                                ": %g is no weight",
                                moe_trace_layer_number(t, (int)layer), i,
                                (double)row[j]);
            if (t->ordered && j > 0 && row[j] > row[j - 1])
                return moe_fail(err, MOE_FORMAT,
                                "dataset 'gate': layer %d, token %" PRIu64
                                ": weights rise in an ordered trace",
                                moe_trace_layer_number(t, (int)layer), i);
        }
    }
    return MOE_OK;
}

static moe_status check_ids(const moe_trace *t, moe_error *err)
{
    for (uint64_t i = 0; t->token_id != NULL && i < t->n_tokens; i++)
        if (t->token_id[i] >= t->vocab_size)
            return moe_fail(err, MOE_FORMAT,
                            "dataset 'token_id': token %" PRIu64 ": id %" PRIu32
                            " is not below %" PRIu32,
                            i, t->token_id[i], t->vocab_size);
    for (uint64_t i = 0; t->position != NULL && i < t->n_tokens; i++)
        if (t->position[i] < 0)
            return moe_fail(err, MOE_FORMAT,
                            "dataset 'position': token %" PRIu64 ": %" PRId32
                            " is negative",
                            i, t->position[i]);
    uint64_t pieces = 1;
    for (size_t b = 0; t->vocab != NULL && b < t->vocab_bytes; b++)
        pieces += t->vocab[b] == '\0';
    if (t->vocab != NULL && pieces != t->vocab_size)
        return moe_fail(err, MOE_FORMAT,
                        "dataset 'vocabulary': %" PRIu64 " pieces for %" PRIu32
                        " token ids",
                        pieces, t->vocab_size);
    return MOE_OK;
}

static moe_status check_step(const moe_trace *t, uint64_t step, size_t layer,
                             moe_error *err)
{
    const size_t n_experts = (size_t)t->experts;
    const uint32_t *row =
        t->counts + (step * (size_t)t->layers + layer) * n_experts;
    const uint64_t tokens = t->seq_offset[step + 1] - t->seq_offset[step];
    uint64_t sum = 0;
    moe_bulk_passed(row, n_experts * sizeof *row);
    for (size_t e = 0; e < n_experts; e++) {
        if (row[e] > tokens)
            return moe_fail(err, MOE_FORMAT,
                            "dataset 'counts': step %" PRIu64
                            ", layer %d, expert %zu: %" PRIu32
                            " pairs of only %" PRIu64 " tokens",
                            step, moe_trace_layer_number(t, (int)layer), e,
                            row[e], tokens);
        sum += row[e];
    }
    if (sum != tokens * (uint64_t)t->top_k)
        return moe_fail(err, MOE_FORMAT,
                        "dataset 'counts': step %" PRIu64 ", layer %d: %" PRIu64
                        " pairs, not %" PRIu64 " (%" PRIu64 " tokens x %d)",
                        step, moe_trace_layer_number(t, (int)layer), sum,
                        tokens * (uint64_t)t->top_k, tokens, t->top_k);
    return MOE_OK;
}

static moe_status check_tokens(const moe_trace *t, moe_error *err)
{
    uint64_t seen[MOE_MAX_EXPERTS] = {0};
    moe_status status = MOE_OK;
    for (size_t l = 0; l < (size_t)t->layers && status == MOE_OK; l++) {
        status = check_experts(t, l, seen, err);
        if (status == MOE_OK && t->has_gate)
            status = check_gates(t, l, err);
    }
    return status == MOE_OK ? check_ids(t, err) : status;
}

static moe_status check_loads(const moe_trace *t, moe_error *err)
{
    moe_status status = MOE_OK;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (size_t l = 0; l < (size_t)t->layers && status == MOE_OK; l++)
            status = check_step(t, s, l, err);
    return status;
}

static moe_status check_layer_numbers(const moe_trace *t, moe_error *err)
{
    for (int l = 0; t->has_layer_number && l < t->layers; l++)
        if (t->layer_number[l] < 0 ||
            (l > 0 && t->layer_number[l] <= t->layer_number[l - 1]))
            return moe_fail(err, MOE_FORMAT,
                            "dataset 'layer_number': layer %d: %" PRId32
                            " is negative or does not rise",
                            l, t->layer_number[l]);
    return MOE_OK;
}

moe_status moe_trace_fits(const moe_trace *trace, const moe_trace_model *model,
                          moe_error *err)
{
    const int last = moe_trace_layer_number(trace, trace->layers - 1);
    if (strcmp(trace->model, model->name) != 0)
        return moe_fail(err, MOE_MISMATCH,
                        "trace is of model '%s', not of '%s'", trace->model,
                        model->name);
    if ((!trace->has_layer_number && trace->layers != model->layers) ||
        trace->experts != model->experts || trace->top_k != model->top_k)
        return moe_fail(err, MOE_MISMATCH,
                        "trace has %d layers, %d experts, top %d; model %s "
                        "has %d, %d, %d",
                        trace->layers, trace->experts, trace->top_k,
                        model->name, model->layers, model->experts,
                        model->top_k);
    if (trace->has_layer_number && last > model->last_layer)
        return moe_fail(err, MOE_MISMATCH,
                        "trace has layer %d; those of model %s are 0..%d", last,
                        model->name, model->last_layer);
    return MOE_OK;
}

/* The struct may lack an array that its kind needs. */
static moe_status check_arrays(const moe_trace *t, moe_error *err)
{
    for (moe_trace_array a = 0; a < N_ARRAYS; a++) {
        size_t n = 0;
        if (!moe_trace_elements(t, a, &n))
            return moe_fail(err, MOE_FORMAT, "sizes overflow");
        if ((n > 0) != (moe_trace_get(t, a) != NULL))
            return moe_fail(err, MOE_FORMAT, "array %d is %s", (int)a,
                            n > 0 ? "missing" : "there, but not declared");
    }
    return MOE_OK;
}

moe_status moe_trace_validate(const moe_trace *trace, moe_error *err)
{
    moe_status status = check_sizes(trace, err);
    if (status == MOE_OK)
        status = check_arrays(trace, err);
    if (status == MOE_OK)
        status = check_layer_numbers(trace, err);
    if (status == MOE_OK)
        status = check_sequences(trace, err);
    if (status != MOE_OK)
        return status;
    return trace->kind == MOE_TRACE_TOKENS ? check_tokens(trace, err)
                                           : check_loads(trace, err);
}
