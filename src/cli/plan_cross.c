/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "plan.h"

/* Pairs that cross nodes: recorded tokens are dealt over GPUs in order, so that
 * each node has the same number of them, one after the other. */

enum { SWEEP = 4096 }; /* choices that are counted between two words of it */

/* Count the pairs of a node's tokens, by layer and expert. */
static void count_node(const moe_plan_offline *w, int node, int nodes,
                       double *pairs)
{
    const moe_plan_tokens *t = &w->tokens;
    const size_t n_e = (size_t)w->loads.experts, k = (size_t)t->top_k;
    const uint64_t first = t->n * (uint64_t)node / (uint64_t)nodes;
    const uint64_t end = t->n * (uint64_t)(node + 1) / (uint64_t)nodes;
    memset(pairs, 0, (size_t)w->loads.layers * n_e * sizeof *pairs);
    for (size_t l = 0; l < (size_t)w->loads.layers; l++)
        for (uint64_t i = (l * t->n + first) * k; i < (l * t->n + end) * k;
             i++) {
            if (i % SWEEP == 0)
                moe_bulk_passed(t->experts_of + i, SWEEP * sizeof(uint16_t));
            pairs[l * n_e + t->experts_of[i]]++;
        }
}

/* How a token's copy is chosen. */
typedef enum { BY_QUOTA, EQUALLY, NEAR } choice;

static choice choice_of(const moe_plan_offline *w, int which)
{
    return moe_plan_division(w, which) == MOE_DIVISION_EQUAL ? EQUALLY
                                                             : BY_QUOTA;
}

/* @return the share of an expert's pairs that stay on a node. */
static double stays(const moe_plan_offline *w, const moe_plan_layer *layer,
                    int expert, int node, choice by)
{
    double here = 0, all = 0;
    for (int k = 0; k < layer->gpus * layer->slots; k++) {
        if (layer->expert[k] != expert)
            continue;
        const double part = by == EQUALLY ? 1 : layer->quota[k];
        all += part;
        if (moe_layout_node(&w->env.layout, k / layer->slots) != node)
            continue;
        if (by == NEAR)
            return 1;
        here += part;
    }
    return all > 0 ? here / all : 0;
}

static double crossing(const moe_plan_offline *w, int which, choice by,
                       double *pairs)
{
    const moe_plan *plan = moe_plan_placed(w, which);
    const int nodes = moe_layout_nodes(&w->env.layout);
    double cross = 0, all = 0;
    for (int node = 0; node < nodes; node++) {
        count_node(w, node, nodes, pairs);
        for (int l = 0; l < w->loads.layers; l++) {
            const moe_plan_layer layer = moe_plan_at(plan, l);
            for (int e = 0; e < layer.experts; e++) {
                const double n = pairs[l * layer.experts + e];
                all += n;
                cross += n * (1 - stays(w, &layer, e, node, by));
            }
        }
    }
    return cross / all;
}

moe_status moe_plan_cross(moe_plan_offline *w, moe_error *err)
{
    const size_t n = (size_t)w->loads.layers * (size_t)w->loads.experts;
    double *pairs = NULL;
    if (w->tokens.n == 0 || moe_layout_nodes(&w->env.layout) == 1)
        return MOE_OK;
    pairs = moe_array_new(n, sizeof *pairs, err);
    if (pairs == NULL)
        return err->status;
    for (int i = 0; i < MOE_N_PLACED; i++)
        w->worth.cross[i] = crossing(w, i, choice_of(w, i), pairs);
    w->worth.cross_near = crossing(w, MOE_PLANNED, NEAR, pairs);
    free(pairs);
    return MOE_OK;
}

/* Loads do not say on which node a token was. */
void moe_plan_keep_tokens(moe_plan_offline *w, moe_error *err)
{
    const moe_recording *r = &w->loads;
    const size_t n = (size_t)r->layers * (size_t)r->n_tokens * (size_t)r->top_k;
    if (r->kind != MOE_RECORDING_TOKENS)
        return;
    w->tokens.experts_of = moe_bulk_new(n, sizeof *w->tokens.experts_of, err);
    if (w->tokens.experts_of == NULL)
        return;
    moe_bulk_copy(w->tokens.experts_of, r->experts_of,
                  n * sizeof *r->experts_of);
    w->tokens.n = r->n_tokens;
    w->tokens.top_k = r->top_k;
}
