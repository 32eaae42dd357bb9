/* SPDX-License-Identifier: Apache-2.0 */
#include "json_items.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

/* Keys that hold loads. */
static const char *const load_keys[] = {"loads", "logical_count", "expert_load",
                                        "logical_expert_load"};
static const char *const wanted =
    "loads, logical_count, expert_load, load_history, a number per layer, or "
    "lines of layer and topk_ids";

moe_status moe_json_refuse_keys(const char *path, const moe_jtree *t,
                                moe_error *err)
{
    char keys[256];
    size_t n = 0;
    keys[0] = '\0';
    if (t->type != MOE_JOBJECT)
        return moe_fail(err, MOE_FORMAT,
                        "%s: is neither one value nor lines of objects", path);
    for (size_t i = 0; i < t->n && n + 1 < sizeof keys; i++)
        n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%.40s",
                              i > 0 ? ", " : "", t->key[i]);
    if (moe_jtree_get(t, "physical_to_logical_map") != NULL ||
        moe_jtree_get(t, "physical_to_logical") != NULL ||
        moe_jtree_get(t, "model_maps") != NULL ||
        moe_jtree_get(t, "layer_list") != NULL)
        return moe_fail(err, MOE_FORMAT,
                        "%s: is a placement, not a recording (--previous "
                        "takes it)",
                        path);
    if (moe_jtree_get(t, "num_experts_per_token") != NULL)
        return moe_fail(err, MOE_FORMAT,
                        "%s: is no recording: rank0.safetensors, ... beside it "
                        "are",
                        path);
    return moe_fail(err, MOE_FORMAT, "%s: has the keys %.200s; wanted are %s",
                    path, keys, wanted);
}

const moe_jtree *moe_json_loads(const moe_jtree *t)
{
    const moe_jtree *found = NULL;
    for (size_t k = 0; k < MOE_ARRAY_LEN(load_keys) && found == NULL; k++)
        found = moe_jtree_get(t, load_keys[k]);
    return found;
}

const moe_jtree *moe_json_choices(const moe_jtree *t)
{
    static const char *const keys[] = {"topk_ids", "experts", "expert_ids",
                                       "topk_idx"};
    const moe_jtree *a = NULL;
    for (size_t k = 0; k < MOE_ARRAY_LEN(keys) && a == NULL; k++)
        a = moe_jtree_get(t, keys[k]);
    return a;
}

static const moe_jtree *layer_of(const moe_jtree *t)
{
    static const char *const keys[] = {"layer", "layer_id", "layer_idx",
                                       "layer_index"};
    const moe_jtree *x = NULL;
    for (size_t k = 0; k < MOE_ARRAY_LEN(keys) && x == NULL; k++)
        x = moe_jtree_get(t, keys[k]);
    return x;
}

/* A number or text goes into a number to compare. FNV-1a. */
static uint64_t hash_of(const moe_jtree *x, uint64_t hash)
{
    char text[64];
    if (x == NULL || (x->type != MOE_JNUMBER && x->type != MOE_JTEXT))
        return hash;
    snprintf(text, sizeof text, "%.17g", x->number);
    for (const char *c = x->type == MOE_JTEXT ? x->text : text; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return (hash ^ 256) * UINT64_C(1099511628211);
}

/* Which token an item says that it has. */
static uint64_t token_of(const moe_jtree *t, uint64_t hash)
{
    static const char *const keys[] = {"token", "token_idx", "request",
                                       "request_id", "position"};
    for (size_t k = 0; k < MOE_ARRAY_LEN(keys); k++)
        hash = hash_of(moe_jtree_get(t, keys[k]), hash);
    return hash;
}

/* Which request. @return 0: it does not say. */
static uint64_t request_of(const moe_jtree *t)
{
    const moe_jtree *x = moe_jtree_get(t, "request");
    x = x != NULL ? x : moe_jtree_get(t, "request_id");
    return x != NULL ? hash_of(x, 0) : 0;
}

/* What an item is called, and where it is. */
static void refuse_item(const moe_json_items *it, size_t i, const char *why,
                        moe_error *err)
{
    if (it->history)
        moe_fail(err, MOE_FORMAT, "%s: " MOE_JSON_HISTORY ": item %zu %s",
                 it->path, i, why);
    else
        moe_fail(err, MOE_FORMAT, "%s: value %zu %s", it->path, i + 1, why);
}

/* A whole number of 0..most. @return -1: it is none. */
static int64_t whole_of(const moe_jtree *t, double most)
{
    return t != NULL && t->type == MOE_JNUMBER && t->number >= 0 &&
                   t->number <= most && t->number == floor(t->number)
               ? (int64_t)t->number
               : -1;
}

/* @return the number of a step; -1: what it says is none. */
static int64_t step_of(const moe_json_items *it, const moe_jtree *t, size_t i)
{
    const moe_jtree *step = it->history ? NULL : moe_jtree_get(t, "step");
    return step != NULL ? whole_of(step, MOE_MOST_LOAD) : (int64_t)i;
}

/* Choices of an item: of one token, or of several. */
static size_t tokens_of(const moe_jtree *a)
{
    return a == NULL || a->type != MOE_JARRAY || a->rank > 2 ? 0
           : a->rank == 2                                    ? a->dims[0]
                                                             : 1;
}

/* ---- sizes ---- */

static bool has_size(const moe_json_items *it, const moe_jtree *a)
{
    return a != NULL && a->type == MOE_JARRAY && a->rank == 2 &&
           a->dims[0] == it->layers && a->dims[1] == it->experts;
}

static void size_step(moe_json_items *it, const moe_jtree *t, moe_error *err)
{
    const moe_jtree *a = moe_json_loads(t);
    const int64_t step = step_of(it, t, it->n);
    if (it->n == 0 && a != NULL && a->type == MOE_JARRAY && a->rank == 2) {
        it->layers = a->dims[0];
        it->experts = a->dims[1];
    }
    if (!has_size(it, a))
        refuse_item(it, it->n,
                    it->n == 0 ? "has no loads [layers][experts]"
                               : "has no loads [layers][experts] as the first",
                    err);
    else if (step < 0)
        refuse_item(it, it->n, "has a step that is no number of 0..2^53", err);
    else
        moe_axis_add(&it->step, step, err);
}

static void size_tokens(moe_json_items *it, const moe_jtree *t, moe_error *err)
{
    const moe_jtree *a = moe_json_choices(t);
    const int64_t layer = whole_of(layer_of(t), MOE_MAX_RECORDED_LAYERS - 1);
    const size_t n = tokens_of(a);
    const size_t k = n > 0 ? a->dims[a->rank - 1] : 0;
    if (it->n == 0) {
        it->experts = k;
        it->gates = moe_jtree_get(t, "topk_weights") != NULL;
        it->count =
            moe_array_new(MOE_MAX_RECORDED_LAYERS, sizeof *it->count, err);
        it->order =
            moe_array_new(MOE_MAX_RECORDED_LAYERS, sizeof *it->order, err);
    }
    if (layer < 0 || n == 0 || k != it->experts)
        refuse_item(it, it->n,
                    "has no layer, or its topk_ids are not as many as in the "
                    "first",
                    err);
    if (err->status != MOE_OK)
        return;
    it->count[layer] += n;
    it->order[layer] = token_of(t, it->order[layer]);
}

void moe_json_size(const char *key, const moe_jtree *part, void *arg,
                   moe_error *err)
{
    moe_json_items *it = arg;
    (void)key;
    if (it->n == 0)
        it->tokens = moe_json_loads(part) == NULL &&
                     (!it->history || moe_json_choices(part) != NULL);
    if (it->n == 0 && it->tokens && moe_json_choices(part) == NULL)
        moe_json_refuse_keys(it->path, part, err);
    else if (it->tokens)
        size_tokens(it, part, err);
    else
        size_step(it, part, err);
    it->n++;
}

/* ---- sequences ---- */

/* A run of tokens of one request begins where the request changes.
 * @param first  token of the item */
static void note_request(moe_json_items *it, const moe_jtree *t, uint64_t first,
                         moe_error *err)
{
    const uint64_t request = request_of(t);
    it->requests = request != 0 && (first == 0 || it->requests);
    if (!it->requests || (first > 0 && request == it->request))
        return;
    it->request = request;
    if (it->n_starts == it->room) {
        const size_t room = 2 * it->room + 64;
        uint64_t *more = realloc(it->start, room * sizeof *more);
        if (more == NULL) {
            moe_fail(err, MOE_NOMEM, "out of memory");
            return;
        }
        it->start = more;
        it->room = room;
    }
    it->start[it->n_starts++] = first;
    moe_axis_add(&it->request_of, (int64_t)request, err);
}

/* Requests whose tokens follow each other are sequences. */
static void make_sequences(moe_json_items *it, moe_error *err)
{
    moe_recording *out = it->out;
    moe_axis_end(&it->request_of);
    if (!it->requests || it->n_starts == 0 || err->status != MOE_OK)
        return;
    if (it->request_of.n < it->n_starts) {
        moe_remark(&out->dropped,
                   "requests, as tokens of others lie between those of one: "
                   "sorted by request they would be sequences");
        return;
    }
    out->n_seqs = it->n_starts;
    out->seq_offset =
        moe_array_new(it->n_starts + 1, sizeof *out->seq_offset, err);
    if (out->seq_offset == NULL)
        return;
    memcpy(out->seq_offset, it->start, it->n_starts * sizeof *it->start);
    out->seq_offset[it->n_starts] = out->n_tokens;
    out->in_time = true;
}

/* ---- numbers ---- */

static void fill_step(moe_json_items *it, const moe_jtree *t, moe_error *err)
{
    const size_t size = it->layers * it->experts;
    const moe_jtree *a = moe_json_loads(t);
    const int64_t step = step_of(it, t, it->n);
    const size_t s = moe_axis_find(&it->step, step);
    if (s == SIZE_MAX || !has_size(it, a)) {
        refuse_item(it, it->n, "changes while it is read", err);
        return;
    }
    const uint64_t bit = (uint64_t)1 << s % 64;
    if ((it->seen[s / 64] & bit) != 0)
        moe_fail(err, MOE_FORMAT,
                 "%s: value %zu: step %" PRId64 " is there twice", it->path,
                 it->n + 1, step);
    it->seen[s / 64] |= bit;
    it->out->step_number[s] = step;
    moe_bulk_copy(it->out->load + s * size, a->data, size * sizeof(double));
}

static void fill_tokens(moe_json_items *it, const moe_jtree *t, moe_error *err)
{
    moe_recording *out = it->out;
    const moe_jtree *a = moe_json_choices(t);
    const moe_jtree *gates = moe_jtree_get(t, "topk_weights");
    const int64_t layer = whole_of(layer_of(t), MOE_MAX_RECORDED_LAYERS - 1);
    const size_t k = it->experts, n = tokens_of(a);
    const size_t l = moe_axis_find(&it->layer, layer);
    if (l == SIZE_MAX || n == 0 || a->dims[a->rank - 1] != k ||
        it->count[layer] + n > out->n_tokens) {
        refuse_item(it, it->n, "changes while it is read", err);
        return;
    }
    const uint64_t at = (l * out->n_tokens + it->count[layer]) * k;
    if (l == 0)
        note_request(it, t, it->count[layer], err);
    it->count[layer] += n;
    if ((gates != NULL) != it->gates ||
        (gates != NULL &&
         (gates->type != MOE_JARRAY || gates->rank != a->rank ||
          memcmp(gates->dims, a->dims, (size_t)a->rank * sizeof *a->dims) !=
              0))) {
        moe_fail(err, MOE_FORMAT,
                 "%s: value %zu: topk_weights are not as topk_ids", it->path,
                 it->n + 1);
        return;
    }
    for (size_t j = 0; j < n * k; j++) {
        const double x = a->data[j];
        if (!(x >= 0 && x < MOE_MAX_EXPERTS) || x != floor(x)) {
            moe_fail(err, MOE_FORMAT, "%s: value %zu: %g is no expert of 0..%d",
                     it->path, it->n + 1, x, MOE_MAX_EXPERTS - 1);
            return;
        }
        out->experts_of[at + j] = (uint16_t)x;
        out->experts = x >= out->experts ? (int)x + 1 : out->experts;
        if (gates != NULL)
            out->gate[at + j] = (float)gates->data[j];
    }
    moe_bulk_passed(out->experts_of + at, n * k * sizeof *out->experts_of);
    if (gates != NULL)
        moe_bulk_passed(out->gate + at, n * k * sizeof *out->gate);
}

static void fill(const char *key, const moe_jtree *part, void *arg,
                 moe_error *err)
{
    moe_json_items *it = arg;
    (void)key;
    if (it->tokens)
        fill_tokens(it, part, err);
    else
        fill_step(it, part, err);
    it->n++;
}

static void make_steps(moe_json_items *it, moe_error *err)
{
    moe_axis_end(&it->step);
    it->seen = moe_array_new(it->step.n / 64 + 1, sizeof *it->seen, err);
    if (err->status == MOE_OK)
        moe_recording_make_loads(it->out, it->path, it->step.n, it->layers,
                                 it->experts, err);
}

/* All layers have the tokens of the first. */
static void make_tokens(moe_json_items *it, moe_error *err)
{
    moe_recording *out = it->out;
    for (int l = 0; l < MOE_MAX_RECORDED_LAYERS; l++)
        if (it->count[l] > 0)
            moe_axis_add(&it->layer, l, err);
    moe_axis_end(&it->layer);
    const int64_t first = it->layer.n > 0 ? it->layer.value[0] : 0;
    const uint64_t tokens = it->count[first];
    for (size_t l = 1; l < it->layer.n && err->status == MOE_OK; l++) {
        const int64_t number = it->layer.value[l];
        if (it->count[number] != tokens)
            moe_fail(err, MOE_FORMAT,
                     "%s: layer %" PRId64 " has %" PRIu64
                     " tokens, layer %" PRId64 " has %" PRIu64,
                     it->path, number, it->count[number], first, tokens);
        else if (it->order[number] != it->order[first])
            moe_fail(err, MOE_FORMAT,
                     "%s: layer %" PRId64
                     " has other tokens than layer %" PRId64
                     ", or in another order (token, request, position): sort "
                     "the lines of each layer",
                     it->path, number, first);
    }
    if (err->status != MOE_OK ||
        moe_recording_make_tokens(out, it->path, it->layer.n, tokens,
                                  it->experts, err) != MOE_OK)
        return;
    out->numbered = true;
    for (size_t l = 0; l < it->layer.n; l++)
        out->layer_number[l] = (int32_t)it->layer.value[l];
    if (it->gates)
        out->gate = moe_bulk_new(it->layer.n * tokens * it->experts,
                                 sizeof *out->gate, err);
    memset(it->count, 0, MOE_MAX_RECORDED_LAYERS * sizeof *it->count);
}

moe_status moe_json_fill(moe_json_items *it, moe_recording *out, moe_error *err)
{
    moe_jreader *reader = NULL;
    it->out = out;
    it->n = 0;
    if (it->tokens)
        make_tokens(it, err);
    else
        make_steps(it, err);
    if (err->status != MOE_OK ||
        moe_jreader_open(it->path, &reader, err) != MOE_OK)
        return err->status;
    if (it->history)
        moe_jreader_hand_out(reader, MOE_JSON_HISTORY, fill, it);
    for (bool more = true; more && err->status == MOE_OK;) {
        moe_jtree t = {0};
        if (moe_jreader_next(reader, &t, &more, err) == MOE_OK && more &&
            !it->history)
            fill(NULL, &t, it, err);
        moe_jtree_fini(&t);
    }
    moe_jreader_close(reader);
    make_sequences(it, err);
    return err->status;
}

void moe_json_items_fini(moe_json_items *it)
{
    free(it->count);
    free(it->order);
    free(it->seen);
    free(it->start);
    moe_axis_fini(&it->request_of);
    moe_axis_fini(&it->step);
    moe_axis_fini(&it->layer);
}
