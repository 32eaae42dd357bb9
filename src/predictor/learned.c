/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"
#include "moegps/learned.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/hash.h"
#include "moegps/mem.h"

static int compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Hash of a sequence's token ids. */
static uint64_t hash_ids(const moe_trace *trace, uint64_t seq)
{
    uint64_t h = MOE_HASH_START;
    for (uint64_t i = trace->seq_offset[seq]; i < trace->seq_offset[seq + 1];
         i++)
        for (int shift = 0; shift < 32; shift += 8)
            h = moe_hash_add(h, trace->token_id[i] >> shift & 0xff);
    return h;
}

static moe_status hash_training(const moe_trace *trace, moe_learned *l,
                                moe_error *err)
{
    l->seen = moe_array_new(trace->n_seqs, sizeof *l->seen, err);
    if (l->seen == NULL)
        return err->status;
    for (uint64_t s = 0; s < trace->n_seqs; s++)
        if (trace->seq_part[s] == MOE_PART_TRAIN &&
            trace->seq_offset[s + 1] > trace->seq_offset[s])
            l->seen[l->n_seen++] = hash_ids(trace, s);
    qsort(l->seen, l->n_seen, sizeof *l->seen, compare_u64);
    return MOE_OK;
}

moe_status moe_learned_new(const moe_trace *trace, moe_learned *out,
                           moe_error *err)
{
    moe_learned l = {.layers = trace->layers,
                     .experts = trace->experts,
                     .top_k = trace->top_k,
                     .vocab_size = trace->vocab_size,
                     .kept_bits = 23,
                     .shared = MPI_WIN_NULL};
    moe_error local = {0};
    if (trace->kind != MOE_TRACE_TOKENS)
        return moe_fail(err, MOE_USAGE,
                        "a load trace has no tokens to learn from; a token "
                        "trace is needed");
    if (trace->token_id == NULL)
        return moe_fail(
            err, MOE_USAGE,
            "the trace has no token ids to learn from; a token trace "
            "with ids is needed");
    if (moe_trace_part_tokens(trace, MOE_PART_TRAIN) == 0)
        return moe_fail(err, MOE_USAGE, "the trace's training part is empty");
    snprintf(l.model, sizeof l.model, "%s", trace->model);
    snprintf(l.trace_sha256, sizeof l.trace_sha256, "%s", trace->sha256);
    if (hash_training(trace, &l, &local) != MOE_OK)
        return moe_pass(err, &local);
    *out = l;
    return MOE_OK;
}

static void free_part(moe_learned_part *part)
{
    for (int a = 0; a < part->n_arrays; a++)
        free(part->array[a].data);
}

void moe_learned_free(moe_learned *l)
{
    for (int p = 0; p < l->n_parts && !l->borrowed; p++)
        free_part(&l->part[p]);
    if (!l->borrowed)
        free(l->seen);
    free(l->part);
    if (l->shared != MPI_WIN_NULL)
        MPI_Win_free(&l->shared);
    *l = (moe_learned){.shared = MPI_WIN_NULL};
}

moe_learned_part *moe_learned_add(moe_learned *l, const char *predictor,
                                  moe_error *err)
{
    moe_learned_part *grown =
        moe_array_new((size_t)l->n_parts + 1, sizeof *grown, err);
    if (grown == NULL)
        return NULL;
    if (l->n_parts > 0)
        memcpy(grown, l->part, (size_t)l->n_parts * sizeof *grown);
    free(l->part);
    l->part = grown;
    moe_learned_part *part = &grown[l->n_parts++];
    snprintf(part->predictor, sizeof part->predictor, "%s", predictor);
    part->best_epoch = -1;
    return part;
}

moe_learned_part *moe_learned_find(const moe_learned *l, const char *predictor)
{
    for (int p = 0; p < l->n_parts; p++)
        if (strcmp(l->part[p].predictor, predictor) == 0)
            return &l->part[p];
    return NULL;
}

uint64_t moe_learned_elements(const moe_learned_array *array)
{
    uint64_t n = 1;
    for (int d = 0; d < array->rank; d++)
        n *= array->dim[d];
    return n;
}

uint64_t moe_learned_weights(const moe_learned_part *part)
{
    uint64_t n = 0;
    for (int a = 0; a < part->n_arrays; a++)
        if (strcmp(part->array[a].dim_name[0], MOE_LEARNED_EPOCH) != 0)
            n += moe_learned_elements(&part->array[a]);
    return n;
}

float *moe_learned_put(moe_learned_part *part, const moe_learned_shape *shape,
                       moe_error *err)
{
    if (part->n_arrays == MOE_LEARNED_ARRAYS) {
        moe_fail(err, MOE_FORMAT, "more than %d arrays", MOE_LEARNED_ARRAYS);
        return NULL;
    }
    moe_learned_array a = {.rank = shape->rank};
    snprintf(a.name, sizeof a.name, "%s", shape->name);
    for (int d = 0; d < shape->rank; d++) {
        snprintf(a.dim_name[d], sizeof a.dim_name[d], "%s", shape->dim_name[d]);
        a.dim[d] = shape->dim[d];
    }
    a.data = moe_array_new(moe_learned_elements(&a), sizeof *a.data, err);
    if (a.data != NULL)
        part->array[part->n_arrays++] = a;
    return a.data;
}

bool moe_learned_has(const moe_learned_part *part, const char *name)
{
    for (int a = 0; a < part->n_arrays; a++)
        if (strcmp(part->array[a].name, name) == 0)
            return true;
    return false;
}

float *moe_learned_get(const moe_learned_part *part,
                       const moe_learned_shape *shape, moe_error *err)
{
    for (int i = 0; i < part->n_arrays; i++) {
        const moe_learned_array *a = &part->array[i];
        if (strcmp(a->name, shape->name) != 0)
            continue;
        bool fits = a->rank == shape->rank;
        for (int d = 0; d < shape->rank && fits; d++) {
            fits = a->dim[d] == shape->dim[d];
            if (!fits)
                moe_fail(err, MOE_FORMAT,
                         "predictor %s: array '%s' has %" PRIu64
                         " of dimension '%s', expected %" PRIu64,
                         part->predictor, a->name, a->dim[d],
                         shape->dim_name[d], shape->dim[d]);
        }
        if (!fits) {
            moe_fail(err, MOE_FORMAT,
                     "predictor %s: array '%s' has %d dimensions, expected %d",
                     part->predictor, a->name, a->rank, shape->rank);
            return NULL;
        }
        return a->data;
    }
    moe_fail(err, MOE_FORMAT, "predictor %s: array '%s' is missing",
             part->predictor, shape->name);
    return NULL;
}

void moe_learned_drop(moe_learned_part *part, const char *prefix)
{
    const size_t len = strlen(prefix);
    int kept = 0;
    for (int a = 0; a < part->n_arrays; a++) {
        if (strncmp(part->array[a].name, prefix, len) != 0)
            part->array[kept++] = part->array[a];
        else
            free(part->array[a].data);
    }
    part->n_arrays = kept;
}

/* To nearest; a carry into the exponent is right, too. */
static float round_bits(float x, int bits)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    const uint32_t unit = UINT32_C(1) << (23 - bits);
    word = (word + unit / 2) & ~(unit - 1);
    memcpy(&x, &word, sizeof x);
    return x;
}

void moe_learned_round(moe_learned_part *part, int bits)
{
    for (int i = 0; i < part->n_arrays && bits < 23; i++) {
        moe_learned_array *a = &part->array[i];
        const uint64_t n = strcmp(a->dim_name[0], MOE_LEARNED_EPOCH) != 0
                               ? moe_learned_elements(a)
                               : 0;
        for (uint64_t j = 0; j < n; j++)
            a->data[j] = round_bits(a->data[j], bits);
    }
}

static moe_status check_sizes(const moe_learned *l, const moe_trace *t,
                              moe_error *err)
{
    if (strcmp(l->model, t->model) != 0)
        return moe_fail(err, MOE_MISMATCH,
                        "trained on model '%s', the trace is of '%s'", l->model,
                        t->model);
    if (l->layers != t->layers || l->experts != t->experts ||
        l->top_k != t->top_k)
        return moe_fail(err, MOE_MISMATCH,
                        "trained for %d layers, %d experts, top %d; the trace "
                        "has %d, %d, %d",
                        l->layers, l->experts, l->top_k, t->layers, t->experts,
                        t->top_k);
    if (t->kind != MOE_TRACE_TOKENS || t->token_id == NULL)
        return moe_fail(err, MOE_MISMATCH,
                        "the trace has no token ids, from which experts are "
                        "predicted: a token trace with ids is needed");
    if (t->vocab_size > l->vocab_size)
        return moe_fail(err, MOE_MISMATCH,
                        "trained for token ids below %" PRIu32
                        ", the trace has %" PRIu32,
                        l->vocab_size, t->vocab_size);
    return MOE_OK;
}

moe_status moe_learned_check(const moe_learned *l, const moe_trace *t,
                             moe_error *err)
{
    moe_error local = {0};
    if (check_sizes(l, t, &local) != MOE_OK)
        return moe_pass(err, &local);
    if (strcmp(l->trace_sha256, t->sha256) == 0) /* the very same split */
        return MOE_OK;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        if (t->seq_part[s] != MOE_PART_TEST ||
            t->seq_offset[s] == t->seq_offset[s + 1])
            continue;
        const uint64_t h = hash_ids(t, s);
        if (bsearch(&h, l->seen, l->n_seen, sizeof h, compare_u64) != NULL)
            return moe_fail(err, MOE_MISMATCH,
                            "training saw sequence %" PRIu64
                            " of the trace's test part",
                            s);
    }
    return MOE_OK;
}

const moe_learned_part *moe_learned_part_for(const char *name,
                                             const moe_predictor_env *env,
                                             moe_error *err)
{
    if (env->learned == NULL) {
        moe_fail(err, MOE_USAGE,
                 "predictor %s: needs what training made: say `load: FILE`, "
                 "and make one with `moegps train --trace TRACE --predictors "
                 "%s -o FILE`",
                 name, name);
        return NULL;
    }
    const moe_learned_part *part = moe_learned_find(env->learned, name);
    moe_error local = {0};
    if (part == NULL)
        moe_fail(&local, MOE_USAGE, "the predictor file has none of this name");
    else
        moe_learned_check(env->learned, env->trace, &local);
    if (local.status == MOE_OK)
        return part;
    moe_fail(err, local.status, "predictor %s: %s", name, local.text);
    return NULL;
}
