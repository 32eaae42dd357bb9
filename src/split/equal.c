/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include <stdlib.h>

#include "moegps/mem.h"

/* Every replica the same, as EPLB's deployments do (github
 * deepseek-ai/EPLB). */

typedef struct {
    uint32_t *ones; /* [gpus] */
} equal_state;

static moe_status init(void *state, const moe_layout *layout, int experts,
                       int slots, const void *params, moe_error *err)
{
    (void)experts, (void)slots, (void)params;
    equal_state *s = state;
    s->ones = moe_array_new((size_t)layout->gpus, sizeof *s->ones, err);
    for (int g = 0; s->ones != NULL && g < layout->gpus; g++)
        s->ones[g] = 1;
    return s->ones != NULL ? MOE_OK : MOE_NOMEM;
}

static void divide(void *state, const moe_split_input *in, uint32_t *pairs_out)
{
    const equal_state *s = state;
    const moe_replicas *r = in->replicas;
    for (int e = 0; e < r->experts; e++)
        moe_split_by_weight(s->ones, r->first[e + 1] - r->first[e],
                            in->total[e], in->first[e], in->own[e],
                            pairs_out + r->first[e]);
}

static void fini(void *state)
{
    free(((equal_state *)state)->ones);
}

const moe_split moe_split_equal = {
    .name = "equal",
    .help = "every replica of an expert gets the same share",
    .state_size = sizeof(equal_state),
    .init = init,
    .divide = divide,
    .fini = fini,
};
