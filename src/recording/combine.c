/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"

/* Several files that are one recording: parts of it by rank, by step or by
 * token. */

static moe_status refuse(const char *what, long long a, long long b,
                         moe_error *err)
{
    return moe_fail(err, MOE_MISMATCH,
                    "these files do not belong together: %s are %lld and %lld",
                    what, a, b);
}

/* All layers of both, rising. @return how many; SIZE_MAX with MOE_NOMEM. */
static size_t unite_layers(const moe_recording *a, const moe_recording *b,
                           moe_axis *out, moe_error *err)
{
    for (int l = 0; l < a->layers; l++)
        moe_axis_add(out, a->layer_number[l], err);
    for (int l = 0; l < b->layers; l++)
        moe_axis_add(out, b->layer_number[l], err);
    moe_axis_end(out);
    return err->status == MOE_OK ? out->n : SIZE_MAX;
}

static bool same_layers(const moe_recording *a, const moe_recording *b)
{
    return a->layers == b->layers &&
           memcmp(a->layer_number, b->layer_number,
                  (size_t)a->layers * sizeof *a->layer_number) == 0;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void take_numbers(moe_recording *r, const moe_axis *steps,
                         const moe_axis *layers)
{
    for (size_t s = 0; s < steps->n; s++)
        r->step_number[s] = steps->value[s];
    for (size_t l = 0; l < layers->n; l++)
        r->layer_number[l] = (int32_t)layers->value[l];
}

/* Add a part's loads where its steps and layers are. */
static void add_loads(moe_recording *to, const moe_recording *part,
                      moe_axis *steps, moe_axis *layers)
{
    const size_t n_e = (size_t)part->experts, n_l = (size_t)part->layers;
    for (size_t i = 0; i < part->steps * n_l; i++) {
        const size_t s = moe_axis_find(steps, part->step_number[i / n_l]);
        const size_t l = moe_axis_find(layers, part->layer_number[i % n_l]);
        double *sum = to->load + (s * layers->n + l) * (size_t)to->experts;
        for (size_t e = 0; e < n_e; e++)
            sum[e] += part->load[i * n_e + e];
        moe_bulk_passed(sum, n_e * sizeof *sum);
        moe_bulk_passed(part->load + i * n_e, n_e * sizeof *sum);
    }
}

static void replace(moe_recording *into, moe_recording *made)
{
    made->numbered = into->numbered;
    made->in_time = into->in_time;
    made->seen_only = into->seen_only;
    made->by_position = into->by_position;
    made->top_k = into->top_k;
    made->understood = into->understood;
    made->dropped = into->dropped;
    into->understood = into->dropped = (moe_remarks){0};
    moe_recording_fini(into);
    *into = *made;
}

/* ---- other layers of the same tokens ---- */

static int layer_at(const moe_recording *r, int64_t number)
{
    int l = 0;
    while (l < r->layers && r->layer_number[l] != number)
        l++;
    return l < r->layers ? l : -1;
}

/* @return [layers][n_tokens][top_k] numbers of `width` bytes, from whoever has
 * the layer. */
static void *merge(const moe_recording *a, const void *of_a,
                   const moe_recording *b, const void *of_b,
                   const moe_axis *layers, size_t width, moe_error *err)
{
    const size_t block = a->n_tokens * (size_t)a->top_k * width;
    char *to = moe_bulk_new(layers->n, block, err);
    for (size_t l = 0; to != NULL && l < layers->n; l++) {
        const int in_a = layer_at(a, layers->value[l]);
        const int in_b = layer_at(b, layers->value[l]);
        const char *from = in_a >= 0
                               ? (const char *)of_a + (size_t)in_a * block
                               : (const char *)of_b + (size_t)in_b * block;
        moe_bulk_copy(to + l * block, from, block);
    }
    return to;
}

/* One sequence is what a file has that does not say. */
static bool same_sequences(const moe_recording *a, const moe_recording *b)
{
    if (a->seq_offset == NULL || b->seq_offset == NULL || a->n_seqs == 1 ||
        b->n_seqs == 1)
        return true;
    return a->n_seqs == b->n_seqs &&
           memcmp(a->seq_offset, b->seq_offset,
                  (a->n_seqs + 1) * sizeof *a->seq_offset) == 0;
}

/* What is said of tokens is said by the first file. */
static moe_status add_layers(moe_recording *into, const moe_recording *part,
                             const moe_axis *layers, moe_error *err)
{
    moe_recording all = *into;
    if (layers->n < (size_t)into->layers + (size_t)part->layers)
        return moe_fail(err, MOE_MISMATCH,
                        "tokens of one layer cannot be added up");
    if (into->n_tokens != part->n_tokens || into->top_k != part->top_k ||
        !same_sequences(into, part))
        return moe_fail(err, MOE_MISMATCH,
                        "these files do not belong together: other layers "
                        "have other tokens, choices or sequences");
    all.layers = (int)layers->n;
    all.experts = larger(into->experts, part->experts);
    all.layer_number = moe_array_new(layers->n, sizeof *all.layer_number, err);
    all.experts_of = merge(into, into->experts_of, part, part->experts_of,
                           layers, sizeof *all.experts_of, err);
    all.gate = into->gate != NULL && part->gate != NULL
                   ? merge(into, into->gate, part, part->gate, layers,
                           sizeof *all.gate, err)
                   : NULL;
    moe_recording *old = err->status == MOE_OK ? into : &all;
    for (size_t l = 0; err->status == MOE_OK && l < layers->n; l++)
        all.layer_number[l] = (int32_t)layers->value[l];
    free(old->layer_number);
    moe_bulk_free(old->experts_of);
    moe_bulk_free(old->gate);
    if (err->status == MOE_OK)
        *into = all;
    return err->status;
}

moe_status moe_recording_add(moe_recording *into, const moe_recording *part,
                             moe_error *err)
{
    moe_error local = {0};
    moe_axis steps = {0}, layers = {0};
    moe_recording sum = {.kind = MOE_RECORDING_ANY};
    if (part->kind != into->kind)
        return moe_fail(err, MOE_MISMATCH, "loads and tokens are not added up");
    unite_layers(into, part, &layers, &local);
    if (into->kind == MOE_RECORDING_TOKENS && local.status == MOE_OK) {
        add_layers(into, part, &layers, &local);
        moe_axis_fini(&layers);
        return moe_pass(err, &local);
    }
    for (size_t s = 0; s < into->steps; s++)
        moe_axis_add(&steps, into->step_number[s], &local);
    for (size_t s = 0; s < part->steps; s++)
        moe_axis_add(&steps, part->step_number[s], &local);
    moe_axis_end(&steps);
    if (local.status == MOE_OK &&
        moe_recording_make_loads(&sum, "these files", steps.n, layers.n,
                                 (size_t)larger(into->experts, part->experts),
                                 &local) == MOE_OK) {
        take_numbers(&sum, &steps, &layers);
        add_loads(&sum, into, &steps, &layers);
        add_loads(&sum, part, &steps, &layers);
    }
    if (local.status == MOE_OK)
        replace(into, &sum);
    else
        moe_recording_fini(&sum);
    moe_axis_fini(&steps);
    moe_axis_fini(&layers);
    return moe_pass(err, &local);
}

/* ---- side by side ---- */

moe_status moe_recording_widen(moe_recording *into, const moe_recording *part,
                               moe_error *err)
{
    moe_error local = {0};
    moe_recording wide = {.kind = MOE_RECORDING_ANY};
    const size_t n = (size_t)into->experts, m = (size_t)part->experts;
    const size_t rows = into->steps * (size_t)into->layers;
    if (into->kind != MOE_RECORDING_LOADS || part->kind != into->kind)
        return moe_fail(err, MOE_MISMATCH, "only loads are by expert");
    if (into->steps != part->steps || !same_layers(into, part))
        return moe_fail(err, MOE_MISMATCH,
                        "these files do not belong together: %zu steps of %d "
                        "layers and %zu of %d",
                        into->steps, into->layers, part->steps, part->layers);
    if (moe_recording_make_loads(&wide, "these files", into->steps,
                                 (size_t)into->layers, n + m,
                                 &local) == MOE_OK) {
        for (size_t i = 0; i < rows; i++) {
            double *to = wide.load + i * (n + m);
            moe_bulk_copy(to, into->load + i * n, n * sizeof *to);
            moe_bulk_copy(to + n, part->load + i * m, m * sizeof *to);
        }
        memcpy(wide.step_number, into->step_number,
               into->steps * sizeof *wide.step_number);
        memcpy(wide.layer_number, into->layer_number,
               (size_t)into->layers * sizeof *wide.layer_number);
        replace(into, &wide);
    } else {
        moe_recording_fini(&wide);
    }
    return moe_pass(err, &local);
}

/* ---- one after the other ---- */

/* [layers][n][width] and [layers][m][width] become [layers][n + m][width]. */
typedef struct {
    const void *data;
    uint64_t n;
} piece;

static void *join(piece a, piece b, size_t layers, size_t width, moe_error *err)
{
    const size_t n = a.n * width, m = b.n * width;
    char *to = moe_bulk_new(layers * (a.n + b.n), width, err);
    for (size_t l = 0; to != NULL && l < layers; l++) {
        moe_bulk_copy(to + l * (n + m), (const char *)a.data + l * n, n);
        moe_bulk_copy(to + l * (n + m) + n, (const char *)b.data + l * m, m);
    }
    return to;
}

static moe_status append_steps(moe_recording *into, const moe_recording *part,
                               moe_error *err)
{
    moe_recording all = {.kind = MOE_RECORDING_ANY};
    const size_t row = (size_t)into->layers * (size_t)into->experts;
    if (into->experts != part->experts)
        return refuse("experts", into->experts, part->experts, err);
    if (moe_recording_make_loads(&all, "these files", into->steps + part->steps,
                                 (size_t)into->layers, (size_t)into->experts,
                                 err) != MOE_OK) {
        moe_recording_fini(&all);
        return err->status;
    }
    moe_bulk_copy(all.load, into->load, into->steps * row * sizeof *all.load);
    moe_bulk_copy(all.load + into->steps * row, part->load,
                  part->steps * row * sizeof *all.load);
    memcpy(all.layer_number, into->layer_number,
           (size_t)into->layers * sizeof *all.layer_number);
    if (into->seq_part != NULL && part->seq_part != NULL)
        all.seq_part = join((piece){into->seq_part, into->steps},
                            (piece){part->seq_part, part->steps}, 1, 1, err);
    if (err->status == MOE_OK)
        replace(into, &all);
    else
        moe_recording_fini(&all);
    return err->status;
}

/* Sequences of both; a part without any is one. */
static void join_sequences(moe_recording *all, const moe_recording *a,
                           const moe_recording *b, moe_error *err)
{
    const moe_recording *part[] = {a, b};
    uint64_t at = 0, token = 0;
    const uint64_t n = (a->seq_offset != NULL ? a->n_seqs : 1) +
                       (b->seq_offset != NULL ? b->n_seqs : 1);
    all->n_seqs = n;
    all->seq_offset = moe_array_new(n + 1, sizeof *all->seq_offset, err);
    if (a->seq_part != NULL && b->seq_part != NULL)
        all->seq_part = moe_array_new(n, 1, err);
    for (size_t i = 0; err->status == MOE_OK && i < 2; i++) {
        const uint64_t own = part[i]->seq_offset != NULL ? part[i]->n_seqs : 1;
        for (uint64_t s = 0; s < own; s++) {
            all->seq_offset[at + s] =
                token +
                (part[i]->seq_offset != NULL ? part[i]->seq_offset[s] : 0);
            if (all->seq_part != NULL)
                all->seq_part[at + s] = part[i]->seq_part[s];
        }
        at += own;
        token += part[i]->n_tokens;
    }
    if (err->status == MOE_OK)
        all->seq_offset[n] = token;
}

static moe_status append_tokens(moe_recording *into, const moe_recording *part,
                                moe_error *err)
{
    const uint64_t n = into->n_tokens, m = part->n_tokens;
    const size_t l = (size_t)into->layers, k = (size_t)into->top_k;
    moe_recording all = {.kind = MOE_RECORDING_TOKENS,
                         .layers = into->layers,
                         .top_k = into->top_k,
                         .n_tokens = n + m};
    if (into->top_k != part->top_k)
        return refuse("choices of a token", into->top_k, part->top_k, err);
    if (n + m > UINT32_MAX)
        return moe_fail(err, MOE_FORMAT, "these files have too many tokens");
    all.experts = larger(into->experts, part->experts);
    all.layer_number = join((piece){into->layer_number, l}, (piece){NULL, 0}, 1,
                            sizeof *all.layer_number, err);
    all.experts_of = join((piece){into->experts_of, n * k},
                          (piece){part->experts_of, m * k}, l, 2, err);
    if (into->gate != NULL && part->gate != NULL)
        all.gate = join((piece){into->gate, n * k}, (piece){part->gate, m * k},
                        l, 4, err);
    if (into->token_id != NULL && part->token_id != NULL) {
        all.token_id = join((piece){into->token_id, n},
                            (piece){part->token_id, m}, 1, 4, err);
        all.vocab_size = into->vocab_size > part->vocab_size ? into->vocab_size
                                                             : part->vocab_size;
    }
    if (into->position != NULL && part->position != NULL)
        all.position = join((piece){into->position, n},
                            (piece){part->position, m}, 1, 4, err);
    join_sequences(&all, into, part, err);
    if (err->status == MOE_OK)
        replace(into, &all);
    else
        moe_recording_fini(&all);
    return err->status;
}

moe_status moe_recording_append(moe_recording *into, const moe_recording *part,
                                moe_error *err)
{
    moe_error local = {0};
    if (into->kind != part->kind)
        moe_fail(&local, MOE_MISMATCH,
                 "these files do not belong together: one has loads, one "
                 "tokens");
    else if (!same_layers(into, part))
        moe_fail(&local, MOE_MISMATCH,
                 "these files do not belong together: their layers differ "
                 "(%d from %d, %d from %d)",
                 into->layers, into->layer_number[0], part->layers,
                 part->layer_number[0]);
    else if (into->kind == MOE_RECORDING_LOADS)
        append_steps(into, part, &local);
    else
        append_tokens(into, part, &local);
    return moe_pass(err, &local);
}
