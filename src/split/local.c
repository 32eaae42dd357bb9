/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Nearest first: a replica on the own GPU takes all of a rank's pairs of its
 * expert, else those on the own node share them, else all by quota. */

typedef struct {
    uint32_t *weight; /* [gpus] of one expert's replicas */
} local_state;

static moe_status init(void *state, const moe_split_env *env,
                       const void *params, moe_error *err)
{
    (void)params;
    local_state *s = state;
    s->weight = moe_array_new((size_t)env->layout.gpus, sizeof *s->weight, err);
    return s->weight != NULL ? MOE_OK : MOE_NOMEM;
}

/* Divide this rank's pairs alone: ranks with a nearer choice keep theirs to
 * themselves, so the intervals of the others in the numbering of all pairs say
 * nothing about shares. Bounds are rounded with an offset that differs from
 * rank to rank (multiples of the golden ratio), or else ranks with few pairs
 * would all favour the same replica. */
static void divide_own(const uint32_t *weight, uint32_t n, uint32_t own,
                       int gpu, uint32_t *pairs_out)
{
    const uint64_t phase = (uint32_t)gpu * UINT32_C(2654435769);
    uint64_t sum = 0, before = 0, at = 0;
    for (uint32_t r = 0; r < n; r++)
        sum += weight[r];
    for (uint32_t r = 0; r < n; r++) {
        before += weight[r];
        uint64_t bound =
            before == sum ? own : (own * before + ((sum * phase) >> 32)) / sum;
        bound = bound > own ? own : bound;
        pairs_out[r] = (uint32_t)(bound - at);
        at = bound;
    }
}

/* Keep the weights of the nearest replicas only. */
static void keep_nearest(const moe_split_input *in, const moe_replica *replica,
                         uint32_t n, uint32_t *weight)
{
    const int node = moe_layout_node(in->layout, in->gpu);
    int nearest = 2; /* 0: own GPU, 1: own node, 2: anywhere */
    for (uint32_t j = 0; j < n; j++) {
        int far = replica[j].gpu == in->gpu                             ? 0
                  : moe_layout_node(in->layout, replica[j].gpu) == node ? 1
                                                                        : 2;
        nearest = far < nearest ? far : nearest;
    }
    for (uint32_t j = 0; j < n; j++) {
        int at = moe_layout_node(in->layout, replica[j].gpu);
        bool keep = nearest == 0   ? replica[j].gpu == in->gpu
                    : nearest == 1 ? at == node
                                   : true;
        /* A near replica that the plan gave nothing still is the nearest. */
        weight[j] = keep ? replica[j].quota + (nearest < 2) : 0;
    }
}

static void divide(void *state, const moe_split_input *in, uint32_t *pairs_out)
{
    const local_state *s = state;
    const moe_replicas *r = in->replicas;
    for (int e = 0; e < r->experts; e++) {
        const uint32_t first = r->first[e], n = r->first[e + 1] - first;
        keep_nearest(in, &r->replica[first], n, s->weight);
        divide_own(s->weight, n, in->own[e], in->gpu, pairs_out + first);
    }
}

static void fini(void *state)
{
    free(((local_state *)state)->weight);
}

const moe_split moe_split_local = {
    .name = "local",
    .help = "a replica on the own GPU, else on the own node, else the quota",
    .state_size = sizeof(local_state),
    .init = init,
    .divide = divide,
    .fini = fini,
};
