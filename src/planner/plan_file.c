/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plan_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

static size_t n_slots(const moe_plan *p)
{
    return (size_t)p->gpus * (size_t)p->slots;
}

/* ---- read ---- */

/* Sizes that the file names must be the expected ones. */
static moe_status check_sizes(const char *path, const json_t *root,
                              const moe_plan *p, moe_error *err)
{
    const struct {
        const char *key;
        int want;
    } sizes[] = {{"layers", p->layers},
                 {"experts", p->experts},
                 {"gpus", p->gpus},
                 {"slots_per_gpu", p->slots}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const json_t *x = json_object_get(root, sizes[i].key);
        if (x != NULL && json_integer_value(x) != sizes[i].want)
            return moe_fail(err, MOE_MISMATCH, "%s: has %lld %s, not %d", path,
                            (long long)json_integer_value(x), sizes[i].key,
                            sizes[i].want);
    }
    return MOE_OK;
}

static bool holds(const moe_plan_layer *layer, size_t slot, int expert)
{
    const size_t base = slot / (size_t)layer->slots * (size_t)layer->slots;
    for (size_t k = base; k < slot; k++)
        if (layer->expert[k] == expert)
            return true;
    return false;
}

/* What is being read, and where from. */
typedef struct {
    const char *path;
    moe_plan *plan;
    bool *seen; /* [experts] of a layer */
} reading;

static void take_slot(const reading *r, const json_t *x, int l, size_t slot,
                      moe_error *err)
{
    const moe_plan_layer layer = moe_plan_at(r->plan, l);
    const long long e = json_integer_value(x);
    if (!json_is_integer(x) || e < -1 || e >= r->plan->experts) {
        moe_fail(err, MOE_FORMAT,
                 "%s: physical_to_logical: layer %d, slot %zu: not an expert "
                 "of 0..%d, or -1",
                 r->path, l, slot, r->plan->experts - 1);
        return;
    }
    layer.expert[slot] =
        e >= 0 && !holds(&layer, slot, (int)e) ? (int16_t)e : -1;
    layer.quota[slot] = e >= 0 && !r->seen[e] ? MOE_QUOTA_ONE : 0;
    if (e >= 0)
        r->seen[e] = true;
}

static void take_layer(const reading *r, const json_t *row, int l,
                       moe_error *err)
{
    const size_t n = n_slots(r->plan), experts = (size_t)r->plan->experts;
    if (!json_is_array(row) || json_array_size(row) != n) {
        moe_fail(err, MOE_MISMATCH,
                 "%s: physical_to_logical: layer %d has not %zu slots", r->path,
                 l, n);
        return;
    }
    memset(r->seen, 0, experts * sizeof *r->seen);
    for (size_t k = 0; k < n && err->status == MOE_OK; k++)
        take_slot(r, json_array_get(row, k), l, k, err);
    size_t found = 0;
    for (size_t e = 0; e < experts; e++)
        found += r->seen[e];
    if (found < experts)
        moe_fail(err, MOE_FORMAT,
                 "%s: physical_to_logical: layer %d has only %zu of %zu "
                 "experts",
                 r->path, l, found, experts);
}

static void take_plan(const reading *r, const json_t *root, moe_error *err)
{
    const json_t *rows = json_object_get(root, "physical_to_logical");
    if (!json_is_array(rows))
        moe_fail(err, MOE_FORMAT, "%s: has no list physical_to_logical",
                 r->path);
    check_sizes(r->path, root, r->plan, err);
    if (json_array_size(rows) != (size_t)r->plan->layers)
        moe_fail(err, MOE_MISMATCH, "%s: has %zu layers, not %d", r->path,
                 json_array_size(rows), r->plan->layers);
    for (int l = 0; l < r->plan->layers && err->status == MOE_OK; l++)
        take_layer(r, json_array_get(rows, (size_t)l), l, err);
}

moe_status moe_plan_file_read(const char *path, moe_plan *out, moe_error *err)
{
    json_error_t why;
    moe_error local = {0};
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    const reading r = {
        path, out, moe_array_new((size_t)out->experts, sizeof(bool), &local)};
    if (root == NULL)
        moe_fail(&local, why.line < 0 ? MOE_USAGE : MOE_FORMAT, "%s: %s", path,
                 why.text);
    if (local.status == MOE_OK)
        take_plan(&r, root, &local);
    free(r.seen);
    json_decref(root);
    return moe_pass(err, &local);
}

/* ---- write ---- */

/* Replicas of a GPU that are one slot of the plan share its quota. */
static json_t *quotas_of(const moe_plan_layer *layer, const int16_t *placed,
                         moe_error *err)
{
    json_t *list = json_array();
    for (int k = 0; k < layer->gpus * layer->slots; k++) {
        const int base = k / layer->slots * layer->slots;
        double quota = 0, same = 0;
        for (int j = base; j < base + layer->slots && placed[k] >= 0; j++) {
            same += placed[j] == placed[k];
            if (layer->expert[j] == placed[k])
                quota = (double)layer->quota[j] / MOE_QUOTA_ONE;
        }
        moe_json_add(list, json_real(same > 0 ? quota / same : 0), err);
    }
    return list;
}

json_t *moe_plan_file_json(const moe_plan *plan, const int16_t *raw,
                           const int32_t *layer_number, moe_error *err)
{
    json_t *root = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "schema",
                             "moe-gps-plan", "schema_version", "1.1.0",
                             "layers", plan->layers, "experts", plan->experts,
                             "gpus", plan->gpus, "slots_per_gpu", plan->slots);
    json_t *placed = json_array(), *counts = json_array();
    json_t *quotas = json_array();
    for (int l = 0; l < plan->layers; l++) {
        const moe_plan_layer layer = moe_plan_at(plan, l);
        const int16_t *of_layer =
            raw != NULL ? raw + (size_t)l * n_slots(plan) : layer.expert;
        json_t *row = json_array(), *count = json_array();
        for (size_t k = 0; k < n_slots(plan); k++)
            moe_json_add(row, json_integer(of_layer[k]), err);
        for (int e = 0; e < plan->experts; e++) {
            int n = 0;
            for (size_t k = 0; k < n_slots(plan); k++)
                n += of_layer[k] == e;
            moe_json_add(count, json_integer(n), err);
        }
        moe_json_add(placed, row, err);
        moe_json_add(counts, count, err);
        moe_json_add(quotas, quotas_of(&layer, of_layer, err), err);
    }
    if (layer_number != NULL)
        moe_json_put(root, "layer_number",
                     moe_json_integers(layer_number, (size_t)plan->layers, err),
                     err);
    moe_json_put(root, "physical_to_logical", placed, err);
    moe_json_put(root, "replica_counts", counts, err);
    moe_json_put(root, "quotas", quotas, err);
    return root;
}
