/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include <stdlib.h>

#include "moegps/mem.h"

/* The plan's shares. */

typedef struct {
    uint32_t *weight; /* [gpus] of one expert's replicas */
} quota_state;

static moe_status init(void *state, const moe_split_env *env,
                       const void *params, moe_error *err)
{
    (void)params;
    quota_state *s = state;
    s->weight = moe_array_new((size_t)env->layout.gpus, sizeof *s->weight, err);
    return s->weight != NULL ? MOE_OK : MOE_NOMEM;
}

static void divide(void *state, const moe_split_input *in, uint32_t *pairs_out)
{
    const quota_state *s = state;
    const moe_replicas *r = in->replicas;
    for (int e = 0; e < r->experts; e++) {
        const uint32_t first = r->first[e], n = r->first[e + 1] - first;
        for (uint32_t j = 0; j < n; j++)
            s->weight[j] = r->replica[first + j].quota;
        moe_split_by_weight(s->weight, n, in->total[e], in->first[e],
                            in->own[e], pairs_out + first);
    }
}

static void fini(void *state)
{
    free(((quota_state *)state)->weight);
}

const moe_split moe_split_quota = {
    .name = "quota",
    .help = "each replica gets the plan's share of its expert's pairs",
    .state_size = sizeof(quota_state),
    .init = init,
    .needs_counts = true,
    .divide = divide,
    .fini = fini,
};
