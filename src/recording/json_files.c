/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "json_items.h"
#include "moegps/bulk.h"

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

/* ---- loads ---- */

/* Its numbers are taken over. */
static moe_status take_array(const char *path, moe_jtree *a, moe_recording *out,
                             moe_error *err)
{
    if (a->type != MOE_JARRAY || (a->rank != 2 && a->rank != 3))
        return moe_fail(err, MOE_FORMAT,
                        "%s: loads are neither [layers][experts] nor "
                        "[steps][layers][experts] of equal sizes",
                        path);
    const size_t steps = a->rank == 3 ? a->dims[0] : 1;
    const size_t layers = a->dims[a->rank - 2], experts = a->dims[a->rank - 1];
    if (moe_recording_make_loads(out, path, steps, layers, experts, err) !=
        MOE_OK)
        return err->status;
    moe_bulk_free(out->load);
    out->load = a->data;
    a->data = NULL;
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
    for (size_t i = 0; t->type == MOE_JOBJECT && i < t->n; i++)
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
    moe_axis_end(&layers);
    if (err->status == MOE_OK && layers.n != t->n)
        moe_fail(err, MOE_FORMAT, "%s: a layer is there twice", path);
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
static moe_status take_one(const char *path, moe_jtree *t, moe_recording *out,
                           moe_error *err)
{
    moe_jtree *loads =
        t->type == MOE_JARRAY ? t : (moe_jtree *)moe_json_loads(t);
    if (loads != NULL)
        return take_array(path, loads, out, err);
    if (has_layer_keys(t))
        return take_layers(path, t, out, err);
    if (t->type == MOE_JLIST)
        return moe_fail(err, MOE_FORMAT,
                        "%s: is no list of rows as long as each other, "
                        "[layers][experts] or [steps][layers][experts], and "
                        "none of objects with loads or topk_ids",
                        path);
    if (moe_jtree_get(t, "load_history") != NULL)
        return moe_fail(err, MOE_FORMAT,
                        "%s: load_history is no list of objects with "
                        "logical_expert_load [layers][experts]",
                        path);
    if (t->type == MOE_JOBJECT)
        return moe_json_refuse_keys(path, t, err);
    return moe_fail(err, MOE_FORMAT, "%s: is no array and no object", path);
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

/* Read the file's values: one is kept, several are sized. @return how many. */
static size_t scan(moe_jreader *reader, moe_jtree *first, moe_json_items *items,
                   moe_error *err)
{
    size_t n = 0;
    for (bool more = true; err->status == MOE_OK;) {
        moe_jtree t = {0};
        if (moe_jreader_next(reader, &t, &more, err) != MOE_OK || !more)
            break;
        if (++n == 1) {
            *first = t;
            continue;
        }
        if (n == 2) {
            moe_jreader_hand_out(reader, NULL, NULL, NULL);
            if (items->n > 0)
                moe_fail(
                    err, MOE_FORMAT,
                    "%s: has a list of steps or tokens, and more behind it",
                    items->path);
            items->history = false;
            if (err->status == MOE_OK)
                moe_json_size(NULL, first, items, err);
            moe_jtree_fini(first);
        }
        if (err->status == MOE_OK)
            moe_json_size(NULL, &t, items, err);
        moe_jtree_fini(&t);
    }
    return n;
}

/* Whether nothing is left of a list whose items were handed out. */
static bool is_handed_out(const moe_jtree *t)
{
    const moe_jtree *list =
        t->type == MOE_JOBJECT ? moe_jtree_get(t, MOE_JSON_HISTORY) : t;
    return list != NULL && list->type == MOE_JLIST && list->n == 0;
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    moe_jreader *reader = NULL;
    moe_jtree first = {0};
    moe_json_items items = {.path = path, .history = true};
    (void)options;
    if (moe_jreader_open(path, &reader, err) != MOE_OK)
        return err->status;
    moe_jreader_hand_out(reader, MOE_JSON_HISTORY, moe_json_size, &items);
    const size_t n = scan(reader, &first, &items, err);
    moe_jreader_close(reader);
    if (err->status == MOE_OK && n == 1 && items.n == 0 &&
        moe_json_choices(&first) != NULL) {
        items.history = false;
        moe_json_size(NULL, &first, &items, err);
    }
    if (err->status == MOE_OK && n > 0) {
        if (items.n > 0 && items.history && !is_handed_out(&first))
            moe_fail(err, MOE_FORMAT, "%s: its list has not only objects",
                     path);
        else if (items.n > 0)
            moe_json_fill(&items, out, err);
        else
            take_one(path, &first, out, err);
    }
    moe_jtree_fini(&first);
    moe_json_items_fini(&items);
    return err->status;
}

const moe_recording_format moe_recording_json = {
    .name = "json",
    .help = "JSON or JSON Lines: loads by layer and step, or topk_ids by layer",
    .detect = detect,
    .read = read};
