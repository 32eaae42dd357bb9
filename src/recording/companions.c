/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

static const char *const names[MOE_N_COMPANIONS] = {
    [MOE_COMPANION_SEQUENCES] = "sequences",
    [MOE_COMPANION_TOKEN_IDS] = "token_ids",
    [MOE_COMPANION_POSITIONS] = "positions",
    [MOE_COMPANION_LAYERS] = "layers",
    [MOE_COMPANION_GATES] = "gates",
    [MOE_COMPANION_SPLITS] = "splits"};

/* @return MOE_N_COMPANIONS: there is none of this name. */
static int find(const char *name)
{
    int which = 0;
    while (which < MOE_N_COMPANIONS && strcmp(names[which], name) != 0)
        which++;
    return which;
}

bool moe_companion_named(const char *name)
{
    return find(name) < MOE_N_COMPANIONS;
}

static moe_status take_gates(moe_companions *c, moe_numbers *a, size_t n,
                             moe_error *err)
{
    if ((a->kind != 'f' && a->kind != 'b') || n == SIZE_MAX)
        return moe_fail(err, MOE_FORMAT, "%s: gates are no real numbers",
                        a->name);
    moe_bulk_free(c->gate);
    c->gates = *a;
    c->gate = moe_bulk_new(n, sizeof *c->gate, err);
    return c->gate != NULL ? moe_numbers_real(a, n, c->gate, err) : err->status;
}

moe_status moe_companions_take(moe_companions *c, const char *name,
                               moe_numbers *a, moe_error *err)
{
    const int which = find(name);
    const size_t n = moe_numbers_length(a);
    if (which == MOE_N_COMPANIONS)
        return moe_fail(err, MOE_FORMAT, "%s: what '%.40s' is is not known",
                        a->name, name);
    if (which == MOE_COMPANION_GATES)
        return take_gates(c, a, n, err);
    if (a->kind == 'f' || a->kind == 'b' || a->rank != 1 || n > UINT32_MAX)
        return moe_fail(err, MOE_FORMAT, "%s: %s are no list of integers",
                        a->name, name);
    moe_bulk_free(c->value[which]);
    c->n[which] = n;
    c->value[which] = moe_bulk_new(n, sizeof *c->value[which], err);
    return c->value[which] != NULL ? moe_numbers_int(a, n, c->value[which], err)
                                   : err->status;
}

moe_status moe_companions_open(moe_companions *c,
                               const moe_recording_options *options,
                               moe_error *err)
{
    for (int i = 0; i < MOE_N_COMPANIONS && err->status == MOE_OK; i++) {
        const char *path = options->companion[i];
        moe_numbers a = {.rank = 0};
        if (path == NULL)
            continue;
        FILE *file = fopen(path, "rb");
        if (file == NULL)
            return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                            strerror(errno));
        snprintf(a.name, sizeof a.name, "%.400s", path);
        a.source = moe_source_of_file(file);
        if (moe_npy_header(&a, err) == MOE_OK)
            moe_companions_take(c, names[i], &a, err);
        fclose(file);
    }
    return err->status;
}

void moe_companions_fini(moe_companions *c)
{
    for (int i = 0; i < MOE_N_COMPANIONS; i++)
        moe_bulk_free(c->value[i]);
    moe_bulk_free(c->gate);
    *c = (moe_companions){0};
}

/* Check a list's length and range. @return NULL: it is not there. */
static const int64_t *list_of(const moe_companions *c, moe_companion which,
                              uint64_t tokens, int64_t most, moe_error *err)
{
    const int64_t *value = c->value[which];
    if (value == NULL || err->status != MOE_OK)
        return NULL;
    if (c->n[which] != tokens)
        moe_fail(err, MOE_MISMATCH, "%zu %s for %" PRIu64 " tokens",
                 c->n[which], names[which], tokens);
    for (uint64_t i = 0; i < tokens && err->status == MOE_OK; i++)
        if (value[i] < 0 || value[i] > most)
            moe_fail(err, MOE_FORMAT,
                     "%s: token %" PRIu64 ": %" PRId64 " is not in 0..%" PRId64,
                     names[which], i, value[i], most);
    return err->status == MOE_OK ? value : NULL;
}

/* A sequence begins where the number changes. */
static void find_sequences(moe_recording *r, const int64_t *number,
                           moe_error *err)
{
    uint64_t n = 1;
    for (uint64_t i = 1; i < r->n_tokens; i++)
        n += number[i] != number[i - 1];
    free(r->seq_offset);
    r->n_seqs = n;
    r->seq_offset = moe_array_new(n + 1, sizeof *r->seq_offset, err);
    for (uint64_t i = 1, s = 0; r->seq_offset != NULL && i < r->n_tokens; i++)
        if (number[i] != number[i - 1])
            r->seq_offset[++s] = i;
    if (r->seq_offset != NULL)
        r->seq_offset[n] = r->n_tokens;
}

/* Parts are of whole sequences; where these are not known, a sequence begins
 * where the part changes. */
static void take_splits(moe_recording *r, const int64_t *part, moe_error *err)
{
    if (r->seq_offset == NULL)
        find_sequences(r, part, err);
    free(r->seq_part);
    r->seq_part = moe_array_new(r->n_seqs, 1, err);
    for (uint64_t s = 0; err->status == MOE_OK && s < r->n_seqs; s++) {
        const uint64_t first = r->seq_offset[s];
        r->seq_part[s] = part[first] == 1 ? MOE_PART_TEST : MOE_PART_TRAIN;
        for (uint64_t i = first; i < r->seq_offset[s + 1]; i++)
            if (part[i] != part[first]) {
                moe_fail(err, MOE_FORMAT,
                         "splits: token %" PRIu64 ": its sequence is of the "
                         "other part",
                         i);
                return;
            }
    }
}

static void take_ids(moe_recording *r, const int64_t *id, moe_error *err)
{
    moe_bulk_free(r->token_id);
    r->token_id = moe_bulk_new(r->n_tokens, sizeof *r->token_id, err);
    for (uint64_t i = 0; r->token_id != NULL && i < r->n_tokens; i++) {
        r->token_id[i] = (uint32_t)id[i];
        if (r->token_id[i] >= r->vocab_size)
            r->vocab_size = r->token_id[i] + 1;
    }
}

static void take_layers(const moe_companions *c, moe_recording *r,
                        moe_error *err)
{
    const int64_t *number = c->value[MOE_COMPANION_LAYERS];
    bool rises = c->n[MOE_COMPANION_LAYERS] == (size_t)r->layers;
    for (int l = 0; rises && l < r->layers; l++)
        rises = number[l] > (l > 0 ? number[l - 1] : -1) &&
                number[l] < MOE_MAX_RECORDED_LAYERS;
    if (!rises)
        moe_fail(err, MOE_FORMAT, "the numbers of %d layers do not rise",
                 r->layers);
    for (int l = 0; rises && l < r->layers; l++)
        r->layer_number[l] = (int32_t)number[l];
    r->numbered = true;
}

moe_status moe_companions_attach(const moe_companions *c, moe_recording *r,
                                 moe_error *err)
{
    const uint64_t n = r->n_tokens;
    const int64_t *list =
        list_of(c, MOE_COMPANION_SEQUENCES, n, UINT32_MAX, err);
    if (list != NULL) {
        find_sequences(r, list, err);
        r->in_time = true;
    }
    list = list_of(c, MOE_COMPANION_SPLITS, n, 1, err);
    if (list != NULL)
        take_splits(r, list, err);
    list = list_of(c, MOE_COMPANION_TOKEN_IDS, n, INT32_MAX - 1, err);
    if (list != NULL)
        take_ids(r, list, err);
    list = list_of(c, MOE_COMPANION_POSITIONS, n, INT32_MAX, err);
    if (list != NULL)
        r->position = moe_bulk_new(n, sizeof *r->position, err);
    for (uint64_t i = 0; list != NULL && r->position != NULL && i < n; i++)
        r->position[i] = (int32_t)list[i];
    if (err->status == MOE_OK && c->value[MOE_COMPANION_LAYERS] != NULL)
        take_layers(c, r, err);
    return err->status;
}
