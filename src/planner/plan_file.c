/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plan_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/placement.h"

static size_t n_slots(const moe_plan *p)
{
    return (size_t)p->gpus * (size_t)p->slots;
}

/* ---- read ---- */

static moe_status check_sizes(const char *path, const moe_placement *p,
                              const moe_plan *plan, moe_error *err)
{
    const struct {
        const char *what;
        int has, want;
    } sizes[] = {{"experts", p->experts, plan->experts},
                 {"GPUs", p->gpus != 0 ? p->gpus : plan->gpus, plan->gpus},
                 {"slots in a layer", p->slots, plan->gpus * plan->slots}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++)
        if (sizes[i].has != sizes[i].want)
            return moe_fail(err, MOE_MISMATCH, "%s: has %d %s, not %d", path,
                            sizes[i].has, sizes[i].what, sizes[i].want);
    return MOE_OK;
}

/* An expert twice on a GPU counts once; the first replica takes all. */
static void take_layer(const int16_t *row, moe_plan_layer *to, bool *seen)
{
    memset(seen, 0, (size_t)to->experts * sizeof *seen);
    for (int k = 0; k < to->gpus * to->slots; k++) {
        bool here = false;
        for (int j = k / to->slots * to->slots; j < k; j++)
            here = here || row[j] == row[k];
        const int e = here ? -1 : row[k];
        to->expert[k] = (int16_t)e;
        to->quota[k] = e >= 0 && !seen[e] ? MOE_QUOTA_ONE : 0;
        if (e >= 0)
            seen[e] = true;
    }
}

static void take_plan(const char *path, const moe_placement *p,
                      const int32_t *layer_number, moe_plan *out,
                      moe_error *err)
{
    bool *seen = moe_array_new((size_t)out->experts, sizeof *seen, err);
    for (int l = 0; l < out->layers && err->status == MOE_OK; l++) {
        const int number = layer_number != NULL ? layer_number[l] : l;
        const int16_t *row = moe_placement_row(p, number, l, out->layers);
        moe_plan_layer layer = moe_plan_at(out, l);
        int found = 0;
        if (row == NULL) {
            moe_fail(err, MOE_MISMATCH, "%s: has %d layers, none of them is %d",
                     path, p->layers, number);
            break;
        }
        take_layer(row, &layer, seen);
        for (int e = 0; e < out->experts; e++)
            found += seen[e];
        if (found < out->experts)
            moe_fail(err, MOE_FORMAT, "%s: layer %d has only %d of %d experts",
                     path, number, found, out->experts);
    }
    free(seen);
}

moe_status moe_plan_file_read(const char *path, const char *model,
                              const int32_t *layer_number, moe_plan *out,
                              moe_error *err)
{
    moe_error local = {0};
    moe_placement p = {0};
    if (moe_placement_read(path, model, &p, &local) == MOE_OK &&
        check_sizes(path, &p, out, &local) == MOE_OK)
        take_plan(path, &p, layer_number, out, &local);
    moe_placement_fini(&p);
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
