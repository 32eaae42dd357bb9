/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/jtree.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

/* JSON, and JSON Lines: a value per line.
 *
 *   [layers][experts], [steps][layers][experts]
 *   {"loads" | "logical_count" | "expert_load" | "logical_expert_load": those}
 *   {"load_history": [{"logical_expert_load": [layers][experts]}, ...]}
 *   {"0": [experts], "1": ...}                            a key per layer
 *   {"step": s, "expert_load": [layers][experts]}         a line per step
 *   {"layer": l, "topk_ids": [k] or [tokens][k],
 *    "topk_weights": like topk_ids}                      a line per layer
 */

/* Keys that hold loads. */
static const char *const load_keys[] = {"loads", "logical_count", "expert_load",
                                        "logical_expert_load"};
static const char *const wanted =
    "loads, logical_count, expert_load, load_history, a number per layer, or "
    "lines of layer and topk_ids";

static moe_status refuse_keys(const char *path, const moe_jtree *t,
                              moe_error *err)
{
    char keys[256];
    size_t n = 0;
    keys[0] = '\0';
    for (size_t i = 0; i < t->n && n + 1 < sizeof keys; i++)
        n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%.40s",
                              i > 0 ? ", " : "", t->key[i]);
    if (moe_jtree_get(t, "physical_to_logical_map") != NULL)
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

static const moe_jtree *find_loads(const moe_jtree *t)
{
    const moe_jtree *found = NULL;
    for (size_t k = 0; k < MOE_ARRAY_LEN(load_keys) && found == NULL; k++)
        found = moe_jtree_get(t, load_keys[k]);
    return found;
}

/* ---- loads ---- */

static moe_status take_array(const char *path, const moe_jtree *a,
                             moe_recording *out, moe_error *err)
{
    if (a->type != MOE_JARRAY || (a->rank != 2 && a->rank != 3))
        return moe_fail(err, MOE_FORMAT,
                        "%s: loads are neither [layers][experts] nor "
                        "[steps][layers][experts] of equal sizes",
                        path);
    const size_t steps = a->rank == 3 ? a->dims[0] : 1;
    const size_t layers = a->dims[a->rank - 2], experts = a->dims[a->rank - 1];
    if (moe_recording_make_loads(out, path, steps, layers, experts, err) ==
        MOE_OK)
        memcpy(out->load, a->data,
               steps * layers * experts * sizeof *out->load);
    return err->status;
}

/* A list of steps, each with its loads. */
static moe_status take_history(const char *path, const moe_jtree *list,
                               moe_recording *out, moe_error *err)
{
    const size_t n = list->type == MOE_JLIST ? list->n : 0;
    const moe_jtree *first = n > 0 ? find_loads(&list->item[0]) : NULL;
    if (first == NULL || first->type != MOE_JARRAY || first->rank != 2)
        return moe_fail(err, MOE_FORMAT,
                        "%s: load_history is no list of objects with "
                        "logical_expert_load [layers][experts]",
                        path);
    const size_t size = first->dims[0] * first->dims[1];
    if (moe_recording_make_loads(out, path, n, first->dims[0], first->dims[1],
                                 err) != MOE_OK)
        return err->status;
    for (size_t s = 0; s < n; s++) {
        const moe_jtree *a = find_loads(&list->item[s]);
        if (a == NULL || a->type != MOE_JARRAY || a->rank != 2 ||
            a->dims[0] != first->dims[0] || a->dims[1] != first->dims[1])
            return moe_fail(err, MOE_FORMAT,
                            "%s: load_history: item %zu is not as the first",
                            path, s);
        memcpy(out->load + s * size, a->data, size * sizeof *out->load);
    }
    return MOE_OK;
}

/* @return the number that a key is, or -1. */
static long layer_of_key(const char *key)
{
    char *end = NULL;
    if (!isdigit((unsigned char)*key) || strlen(key) > 5)
        return -1;
    const long x = strtol(key, &end, 10);
    return *end == '\0' ? x : -1;
}

static bool has_layer_keys(const moe_jtree *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (layer_of_key(t->key[i]) < 0)
            return false;
    return t->type == MOE_JOBJECT && t->n > 0;
}

static moe_status take_layers(const char *path, const moe_jtree *t,
                              moe_recording *out, moe_error *err)
{
    const moe_jtree *first = &t->item[0];
    moe_axis layers = {0};
    for (size_t i = 0; i < t->n && err->status == MOE_OK; i++) {
        const moe_jtree *a = &t->item[i];
        if (a->type != MOE_JARRAY || a->rank != 1 ||
            a->dims[0] != first->dims[0])
            moe_fail(err, MOE_FORMAT,
                     "%s: layer %s is no list of loads as long as the first",
                     path, t->key[i]);
        moe_axis_add(&layers, layer_of_key(t->key[i]), err);
    }
    if (err->status == MOE_OK &&
        moe_recording_make_loads(out, path, 1, t->n, first->dims[0], err) ==
            MOE_OK)
        for (size_t i = 0; i < t->n; i++) {
            const long layer = layer_of_key(t->key[i]);
            const size_t l = moe_axis_find(&layers, layer);
            out->layer_number[l] = (int32_t)layer;
            out->numbered = true;
            memcpy(out->load + l * first->dims[0], t->item[i].data,
                   first->dims[0] * sizeof *out->load);
        }
    moe_axis_fini(&layers);
    return err->status;
}

/* One value is the whole file. */
static moe_status take_one(const char *path, const moe_jtree *t,
                           moe_recording *out, moe_error *err)
{
    const moe_jtree *history = moe_jtree_get(t, "load_history");
    const moe_jtree *loads = t->type == MOE_JARRAY ? t : find_loads(t);
    if (loads != NULL)
        return take_array(path, loads, out, err);
    if (history != NULL || t->type == MOE_JLIST)
        return take_history(path, history != NULL ? history : t, out, err);
    if (has_layer_keys(t))
        return take_layers(path, t, out, err);
    if (t->type == MOE_JOBJECT)
        return refuse_keys(path, t, err);
    return moe_fail(err, MOE_FORMAT, "%s: is no array and no object", path);
}

/* ---- lines ---- */

/* All lines of a file; recordings of this form are small. */
typedef struct {
    moe_jtree *line; /* [n], owned */
    size_t n, room;
} lines;

static void lines_fini(lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        moe_jtree_fini(&l->line[i]);
    free(l->line);
}

static moe_status lines_add(lines *l, const moe_jtree *t, moe_error *err)
{
    if (l->n == l->room) {
        const size_t room = 2 * l->room + 16;
        moe_jtree *more = realloc(l->line, room * sizeof *more);
        if (more == NULL)
            return moe_fail(err, MOE_NOMEM, "out of memory");
        l->line = more;
        l->room = room;
    }
    l->line[l->n++] = *t;
    return MOE_OK;
}

/* A line per step. */
static moe_status take_steps(const char *path, const lines *in,
                             moe_recording *out, moe_error *err)
{
    const moe_jtree *first = find_loads(&in->line[0]);
    const size_t size = first->rank == 2 ? first->dims[0] * first->dims[1] : 0;
    moe_axis steps = {0};
    for (size_t i = 0; i < in->n && err->status == MOE_OK; i++) {
        const moe_jtree *a = find_loads(&in->line[i]);
        const moe_jtree *step = moe_jtree_get(&in->line[i], "step");
        if (a == NULL || a->type != MOE_JARRAY || a->rank != 2 ||
            a->dims[0] != first->dims[0] || a->dims[1] != first->dims[1])
            moe_fail(err, MOE_FORMAT,
                     "%s: value %zu has no loads [layers][experts] as the "
                     "first",
                     path, i + 1);
        else if (moe_axis_add(&steps,
                              step != NULL ? (int64_t)step->number : (int64_t)i,
                              err) != SIZE_MAX &&
                 steps.n != i + 1)
            moe_fail(err, MOE_FORMAT, "%s: step %g is there twice", path,
                     step->number);
    }
    if (err->status == MOE_OK &&
        moe_recording_make_loads(out, path, in->n, first->dims[0],
                                 first->dims[1], err) == MOE_OK)
        for (size_t i = 0; i < in->n; i++) {
            const moe_jtree *step = moe_jtree_get(&in->line[i], "step");
            const int64_t x = step != NULL ? (int64_t)step->number : (int64_t)i;
            const size_t s = moe_axis_find(&steps, x);
            out->step_number[s] = x;
            memcpy(out->load + s * size, find_loads(&in->line[i])->data,
                   size * sizeof *out->load);
        }
    moe_axis_fini(&steps);
    return err->status;
}

/* Choices of a line: of one token, or of several. */
static size_t tokens_of(const moe_jtree *a)
{
    return a == NULL || a->type != MOE_JARRAY || a->rank > 2 ? 0
           : a->rank == 2                                    ? a->dims[0]
                                                             : 1;
}

static const moe_jtree *choices_of(const moe_jtree *line)
{
    const moe_jtree *a = moe_jtree_get(line, "topk_ids");
    return a != NULL ? a : moe_jtree_get(line, "experts");
}

/* Tokens of a layer, line after line. */
typedef struct {
    moe_axis layers;
    uint64_t *tokens; /* [layers] */
    size_t k;
    bool gates;
} token_lines;

static moe_status size_lines(const char *path, const lines *in, token_lines *t,
                             moe_error *err)
{
    for (int pass = 0; pass < 2 && err->status == MOE_OK; pass++) {
        if (pass == 1)
            t->tokens = moe_array_new(t->layers.n, sizeof *t->tokens, err);
        for (size_t i = 0; i < in->n && err->status == MOE_OK; i++) {
            const moe_jtree *layer = moe_jtree_get(&in->line[i], "layer");
            const moe_jtree *a = choices_of(&in->line[i]);
            const size_t n = tokens_of(a);
            const size_t k = n > 0 ? a->dims[a->rank - 1] : 0;
            if (layer == NULL || layer->type != MOE_JNUMBER || n == 0 ||
                (t->k != 0 && k != t->k) || layer->number < 0 ||
                layer->number >= MOE_MAX_RECORDED_LAYERS)
                return moe_fail(err, MOE_FORMAT,
                                "%s: value %zu has no layer, or its topk_ids "
                                "are not as many as in the first",
                                path, i + 1);
            t->k = k;
            if (pass == 0)
                moe_axis_add(&t->layers, (int64_t)layer->number, err);
            else
                t->tokens[moe_axis_find(&t->layers, (int64_t)layer->number)] +=
                    n;
        }
    }
    for (size_t l = 1; err->status == MOE_OK && l < t->layers.n; l++)
        if (t->tokens[l] != t->tokens[0])
            return moe_fail(err, MOE_FORMAT,
                            "%s: layer %" PRId64 " has %" PRIu64
                            " tokens, layer %" PRId64 " has %" PRIu64,
                            path, t->layers.value[l], t->tokens[l],
                            t->layers.value[0], t->tokens[0]);
    return err->status;
}

static moe_status take_choices(const char *path, const moe_jtree *a,
                               const moe_jtree *gates, size_t line, uint64_t at,
                               moe_recording *out, moe_error *err)
{
    const size_t n = tokens_of(a) * (size_t)out->top_k;
    const bool fit =
        gates == NULL ||
        (gates->type == MOE_JARRAY && gates->rank == a->rank &&
         memcmp(gates->dims, a->dims, (size_t)a->rank * sizeof *a->dims) == 0);
    if ((gates == NULL) != (out->gate == NULL) || !fit)
        return moe_fail(err, MOE_FORMAT,
                        "%s: value %zu: topk_weights are not as topk_ids", path,
                        line + 1);
    for (size_t j = 0; j < n; j++) {
        const double x = a->data[j];
        if (!(x >= 0 && x < MOE_MAX_EXPERTS) || x != floor(x))
            return moe_fail(err, MOE_FORMAT,
                            "%s: value %zu: %g is no expert of 0..%d", path,
                            line + 1, x, MOE_MAX_EXPERTS - 1);
        out->experts_of[at + j] = (uint16_t)x;
        out->experts = x >= out->experts ? (int)x + 1 : out->experts;
        if (gates != NULL)
            out->gate[at + j] = (float)gates->data[j];
    }
    return MOE_OK;
}

static moe_status fill_lines(const char *path, const lines *in, token_lines *t,
                             moe_recording *out, moe_error *err)
{
    const size_t k = t->k;
    const bool gates = moe_jtree_get(&in->line[0], "topk_weights") != NULL;
    if (moe_recording_make_tokens(out, path, t->layers.n, t->tokens[0], k,
                                  err) != MOE_OK)
        return err->status;
    if (gates)
        out->gate = moe_array_new(t->layers.n * t->tokens[0] * k,
                                  sizeof *out->gate, err);
    out->numbered = true;
    for (size_t l = 0; l < t->layers.n; l++) {
        out->layer_number[l] = (int32_t)t->layers.value[l];
        t->tokens[l] = 0;
    }
    for (size_t i = 0; i < in->n && err->status == MOE_OK; i++) {
        const moe_jtree *layer = moe_jtree_get(&in->line[i], "layer");
        const moe_jtree *a = choices_of(&in->line[i]);
        const size_t l = moe_axis_find(&t->layers, (int64_t)layer->number);
        take_choices(path, a, moe_jtree_get(&in->line[i], "topk_weights"), i,
                     (l * out->n_tokens + t->tokens[l]) * k, out, err);
        t->tokens[l] += tokens_of(a);
    }
    return err->status;
}

static moe_status take_lines(const char *path, const lines *in,
                             moe_recording *out, moe_error *err)
{
    token_lines t = {.k = 0};
    if (find_loads(&in->line[0]) != NULL)
        return take_steps(path, in, out, err);
    if (choices_of(&in->line[0]) == NULL)
        return refuse_keys(path, &in->line[0], err);
    if (size_lines(path, in, &t, err) == MOE_OK)
        fill_lines(path, in, &t, out, err);
    free(t.tokens);
    moe_axis_fini(&t.layers);
    return err->status;
}

/* ---- the file ---- */

static bool detect(const char *path, const char *head, size_t n)
{
    size_t at = n >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    (void)path;
    while (at < n && isspace((unsigned char)head[at]))
        at++;
    return at < n && (head[at] == '{' || head[at] == '[');
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    moe_jreader *reader = NULL;
    lines all = {0};
    bool more = true;
    (void)options;
    if (moe_jreader_open(path, &reader, err) != MOE_OK)
        return err->status;
    while (more) {
        moe_jtree t = {0};
        if (moe_jreader_next(reader, &t, &more, err) != MOE_OK)
            break;
        if (more && lines_add(&all, &t, err) != MOE_OK) {
            moe_jtree_fini(&t);
            break;
        }
    }
    moe_jreader_close(reader);
    if (err->status == MOE_OK && all.n == 1 && choices_of(&all.line[0]) == NULL)
        take_one(path, &all.line[0], out, err);
    else if (err->status == MOE_OK && all.n > 0)
        take_lines(path, &all, out, err);
    lines_fini(&all);
    return err->status;
}

const moe_recording_format moe_recording_json = {
    .name = "json",
    .help = "JSON or JSON Lines: loads by layer and step, or topk_ids by layer",
    .detect = detect,
    .read = read};
