/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

moe_status moe_iteration_init(moe_iteration *it, const moe_engine *e,
                              moe_error *err)
{
    const size_t l = (size_t)e->p.n_layers, g = (size_t)e->layout.gpus;
    const size_t own = moe_batcher_max_own(e->batcher);
    const size_t k = (size_t)e->p.model->top_k;
    it->predicted_load = moe_array_new(l * (size_t)e->p.model->experts,
                                       sizeof *it->predicted_load, err);
    it->predicted_experts =
        moe_array_new(l * own * k, sizeof *it->predicted_experts, err);
    it->planner_steps = moe_array_new(2 * l, sizeof *it->planner_steps, err);
    it->planner_cpu = it->planner_steps != NULL ? it->planner_steps + l : NULL;
    it->times = moe_array_new(l, sizeof *it->times, err);
    it->facts = moe_array_new(l, sizeof *it->facts, err);
    it->slot_rows =
        moe_array_new(l * (size_t)e->max_slots, sizeof *it->slot_rows, err);
    it->sent_bytes = moe_array_new(g, sizeof *it->sent_bytes, err);
    it->ahead_bytes = moe_array_new(g, sizeof *it->ahead_bytes, err);
    it->paces = moe_array_new(l, sizeof *it->paces, err);
    it->senders = moe_array_new(l * g, sizeof *it->senders, err);
    return err->status;
}

void moe_iteration_fini(moe_iteration *it)
{
    free(it->senders);
    free(it->paces);
    free(it->ahead_bytes);
    free(it->sent_bytes);
    free(it->slot_rows);
    free(it->facts);
    free(it->times);
    free(it->planner_steps);
    free(it->predicted_experts);
    free(it->predicted_load);
}

void moe_iteration_clear(const moe_engine *e, moe_iteration *it)
{
    const size_t l = (size_t)e->p.n_layers, g = (size_t)e->layout.gpus;
    memset(it->times, 0, l * sizeof *it->times);
    memset(it->facts, 0, l * sizeof *it->facts);
    memset(it->planner_steps, 0, 2 * l * sizeof *it->planner_steps);
    memset(it->slot_rows, 0, l * (size_t)e->max_slots * sizeof *it->slot_rows);
    memset(it->sent_bytes, 0, g * sizeof *it->sent_bytes);
    memset(it->ahead_bytes, 0, g * sizeof *it->ahead_bytes);
    memset(it->paces, 0, l * sizeof *it->paces);
    memset(it->senders, 0, l * g * sizeof *it->senders);
    it->wire_bytes = 0;
    it->tried = 0;
    it->tried_s = 0;
    it->tried_steps = it->tried_bytes = 0;
    it->coordinated = e->p.n_layers; /* nothing is left, until it begins */
    it->beside = it->due = it->predicts = it->collects = it->plans = false;
}
