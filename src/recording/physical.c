/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/placement.h"

enum { SWEEP = 4096 }; /* choices that are mapped between two words of it */

/* The placement of every layer of a recording. */
typedef struct {
    const moe_placement *map;
    const int16_t **row; /* [layers] */
} rows;

/* A recording of few rows may lack the last slots. One without any id above the
 * experts' may as well be of experts. */
static moe_status find_rows(const moe_recording *r, rows *out, moe_error *err)
{
    const moe_placement *map = out->map;
    if (r->seen_only && r->experts <= map->experts && map->experts < map->slots)
        return moe_fail(err, MOE_MISMATCH,
                        "its ids go up to %d, where there are %d experts in %d "
                        "slots: these are experts already (without "
                        "--physical-map), or a row for slot %d is missing",
                        r->experts - 1, map->experts, map->slots,
                        map->slots - 1);
    if (map->slots < r->experts || (!r->seen_only && map->slots != r->experts))
        return moe_fail(err, MOE_MISMATCH,
                        "the placement has %d slots, the recording counts %d",
                        map->slots, r->experts);
    if (!r->numbered && map->layers != r->layers)
        return moe_fail(err, MOE_MISMATCH,
                        "the placement has %d layers, the recording does not "
                        "say which its %d are (--layers does)",
                        map->layers, r->layers);
    out->row = moe_array_new((size_t)r->layers, sizeof(int16_t *), err);
    for (int l = 0; out->row != NULL && l < r->layers; l++) {
        out->row[l] = moe_placement_row(map, r->layer_number[l], l, r->layers);
        if (out->row[l] == NULL)
            return moe_fail(err, MOE_MISMATCH, "the placement has no layer %d",
                            r->layer_number[l]);
    }
    return err->status;
}

static moe_status empty(const moe_recording *r, size_t layer, size_t slot,
                        moe_error *err)
{
    return moe_fail(err, MOE_FORMAT,
                    "layer %d, slot %zu has load, but no expert is there",
                    r->layer_number[layer], slot);
}

static void map_loads(moe_recording *r, const rows *m, moe_error *err)
{
    const size_t n_e = (size_t)m->map->experts, n_p = (size_t)r->experts;
    const size_t n_l = (size_t)r->layers, n = r->steps * n_l;
    double *load = moe_bulk_new(n * n_e, sizeof *load, err);
    for (size_t i = 0; load != NULL && i < n * n_p; i++) {
        const size_t layer = i / n_p % n_l, slot = i % n_p;
        const int e = m->row[layer][slot];
        if (slot == 0) {
            moe_bulk_passed(r->load + i, n_p * sizeof *load);
            moe_bulk_passed(load, n_e * sizeof *load);
        }
        if (e >= 0)
            load[i / n_p * n_e + (size_t)e] += r->load[i];
        else if (r->load[i] > 0)
            empty(r, layer, slot, err);
    }
    if (err->status != MOE_OK) {
        moe_bulk_free(load);
        return;
    }
    moe_bulk_free(r->load);
    r->load = load;
}

/* All is checked before anything is changed. */
static void map_tokens(moe_recording *r, const rows *m, moe_error *err)
{
    const size_t per = r->n_tokens * (size_t)r->top_k;
    for (size_t i = 0; i < (size_t)r->layers * per; i++) {
        if (i % SWEEP == 0)
            moe_bulk_passed(r->experts_of + i, SWEEP * sizeof(uint16_t));
        if (m->row[i / per][r->experts_of[i]] < 0) {
            empty(r, i / per, r->experts_of[i], err);
            return;
        }
    }
    for (size_t i = 0; i < (size_t)r->layers * per; i++) {
        if (i % SWEEP == 0)
            moe_bulk_passed(r->experts_of + i, SWEEP * sizeof(uint16_t));
        r->experts_of[i] = (uint16_t)m->row[i / per][r->experts_of[i]];
    }
}

moe_status moe_recording_to_logical(moe_recording *r,
                                    const moe_placement *placement,
                                    moe_error *err)
{
    moe_error local = {0};
    rows m = {.map = placement};
    if (find_rows(r, &m, &local) == MOE_OK && r->kind == MOE_RECORDING_LOADS)
        map_loads(r, &m, &local);
    else if (local.status == MOE_OK)
        map_tokens(r, &m, &local);
    free(m.row);
    if (local.status == MOE_OK) {
        moe_remark(&r->understood, "%d slots are %d experts by the placement",
                   placement->slots, placement->experts);
        if (r->experts < placement->slots)
            moe_remark(&r->understood, "slots %d .. %d were never seen",
                       r->experts, placement->slots - 1);
        r->experts = placement->experts;
        r->seen_only = false;
    }
    return moe_pass(err, &local);
}
