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

/* What is being read. */
typedef struct {
    const char *path;
    const moe_plan_file_params *params;
    moe_placement file;
    int gpus, slots; /* of the file; slots of a GPU */
    moe_plan *full, *present;
    moe_error *err;
} reading;

/* Forms that do not number GPUs have as many as the plan, or of as many slots. */
static moe_status find_gpus(reading *r)
{
    const int numbered = r->params->gpus > 0 ? r->params->gpus : r->full->gpus;
    r->gpus = r->file.gpus;
    if (r->file.experts != r->full->experts)
        return moe_fail(r->err, MOE_MISMATCH, "%s: has %d experts, not %d",
                        r->path, r->file.experts, r->full->experts);
    if (r->gpus == 0 && r->file.slots % numbered == 0)
        r->gpus = numbered;
    else if (r->gpus == 0 && r->file.slots % r->full->slots == 0)
        r->gpus = r->file.slots / r->full->slots;
    if (r->gpus == 0 || r->file.slots % r->gpus != 0)
        return moe_fail(r->err, MOE_MISMATCH,
                        "%s: has %d slots in a layer, which do not divide "
                        "among %d GPUs",
                        r->path, r->file.slots,
                        r->gpus > 0 ? r->gpus : numbered);
    r->slots = r->file.slots / r->gpus;
    if (r->slots > r->full->slots)
        return moe_fail(r->err, MOE_MISMATCH,
                        "%s: has %d slots a GPU, not %d (--slots %d)", r->path,
                        r->slots, r->full->slots, r->slots);
    return MOE_OK;
}

/* @return whether a GPU has an expert in its first n slots. */
static bool has(const int16_t *gpu, int n, int expert)
{
    for (int k = 0; k < n; k++)
        if (gpu[k] == expert)
            return true;
    return false;
}

/* An expert twice on a GPU counts once. Its first replica takes all, until it
 * is known which are there. */
static void take_row(const reading *r, const int16_t *row, moe_plan_layer *to,
                     bool *seen)
{
    const int32_t *active = r->params->active;
    memset(seen, 0, (size_t)to->experts * sizeof *seen);
    for (int i = 0; i < to->gpus; i++) {
        const int number = active != NULL ? active[i] : i;
        int16_t *gpu = to->expert + (size_t)i * (size_t)to->slots;
        for (int k = 0; k < r->slots && number < r->gpus; k++) {
            const int e = row[number * r->slots + k];
            if (e < 0 || has(gpu, k, e))
                continue;
            gpu[k] = (int16_t)e;
            to->quota[i * to->slots + k] = seen[e] ? 0 : MOE_QUOTA_ONE;
            seen[e] = true;
        }
    }
}

/* Planners start from a placement that has every expert. What only GPUs had
 * that are gone is thought into empty slots, or over copies of others. */
static void complete_row(moe_plan_layer *row, const bool *seen)
{
    int at = 0;
    for (int e = 0; e < row->experts; e++) {
        if (seen[e])
            continue;
        while (row->quota[at] > 0)
            at++;
        row->expert[at] = (int16_t)e;
        row->quota[at] = MOE_QUOTA_ONE;
    }
}

/* What is needed to divide experts among the replicas of a layer. */
typedef struct {
    bool *seen;    /* [experts] */
    double *share; /* [gpus][slots] */
    moe_replicas replicas;
} scratch;

/* As the file has it, or equally among its slots; so are experts that it has on
 * none of these GPUs. */
static void divide_row(const reading *r, const int16_t *row, moe_plan_layer *to,
                       scratch *s)
{
    const int32_t *active = r->params->active;
    const float *quota =
        r->file.quota != NULL ? r->file.quota + (row - r->file.expert) : NULL;
    for (int k = 0; k < to->gpus * to->slots; k++) {
        const int gpu = k / to->slots;
        const int number = active != NULL ? active[gpu] : gpu;
        s->share[k] = 0;
        for (int j = 0; j < r->slots && number < r->gpus; j++) {
            const int slot = number * r->slots + j;
            if (to->expert[k] >= 0 && row[slot] == to->expert[k])
                s->share[k] += quota != NULL ? (double)quota[slot] : 1;
        }
    }
    memset(to->quota, 0,
           (size_t)to->gpus * (size_t)to->slots * sizeof *to->quota);
    moe_plan_layer_set_quota(to, s->share, &s->replicas);
}

/* Every expert is somewhere in the file. */
static void check_row(const reading *r, const int16_t *row, int number,
                      bool *seen)
{
    int found = 0;
    memset(seen, 0, (size_t)r->file.experts * sizeof *seen);
    for (int k = 0; k < r->file.slots; k++) {
        found += row[k] >= 0 && !seen[row[k]];
        if (row[k] >= 0)
            seen[row[k]] = true;
    }
    if (found < r->file.experts)
        moe_fail(r->err, MOE_FORMAT, "%s: layer %d has only %d of %d experts",
                 r->path, number, found, r->file.experts);
}

static void take_layers(const reading *r)
{
    moe_plan *full = r->full;
    const size_t slots = (size_t)full->gpus * (size_t)full->slots;
    scratch s = {
        .seen = moe_array_new((size_t)full->experts, sizeof *s.seen, r->err),
        .share = moe_array_new(slots, sizeof *s.share, r->err)};
    if (r->err->status == MOE_OK)
        moe_replicas_init(&s.replicas, full->experts, full->gpus, full->slots,
                          r->err);
    for (int l = 0; l < full->layers && r->err->status == MOE_OK; l++) {
        const int32_t *numbers = r->params->layer_number;
        const int number = numbers != NULL ? numbers[l] : l;
        const int16_t *row =
            moe_placement_row(&r->file, number, l, full->layers);
        moe_plan_layer layer = moe_plan_at(full, l);
        if (row == NULL) {
            moe_fail(r->err, MOE_MISMATCH,
                     r->file.numbered
                         ? "%s: has %d layers, none of them is %d"
                         : "%s: has rows of %d layers without numbers, not %d "
                           "(--model says which they are)",
                     r->path, r->file.layers,
                     r->file.numbered ? number : full->layers);
            break;
        }
        check_row(r, row, number, s.seen);
        take_row(r, row, &layer, s.seen);
        if (r->present != NULL)
            memcpy(moe_plan_at(r->present, l).expert, layer.expert,
                   slots * sizeof *layer.expert);
        complete_row(&layer, s.seen);
        divide_row(r, row, &layer, &s);
    }
    moe_replicas_fini(&s.replicas);
    free(s.share);
    free(s.seen);
}

/* Rows that are as many as the model's MoE layers are those, also where they
 * were numbered from 0, as without a model. */
static void number_rows(moe_placement *p, const moe_model *m)
{
    if (m == NULL || p->layers != m->layers)
        return;
    for (int l = 0; l < p->layers; l++)
        p->layer_number[l] = moe_model_layer(m, l);
    p->numbered = true;
}

moe_status moe_plan_file_read(const char *path,
                              const moe_plan_file_params *params, moe_plan *out,
                              moe_plan *present, moe_error *err)
{
    moe_error local = {0};
    reading r = {.path = path,
                 .params = params,
                 .full = out,
                 .present = present,
                 .err = &local};
    if (moe_placement_read(path,
                           params->model != NULL ? params->model->name : NULL,
                           &r.file, &local) == MOE_OK) {
        number_rows(&r.file, params->model);
        find_gpus(&r);
    }
    if (local.status == MOE_OK)
        take_layers(&r);
    moe_placement_fini(&r.file);
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
