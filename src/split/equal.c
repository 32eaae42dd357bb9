/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

/* Every replica the same, as EPLB's deployments do (github
 * deepseek-ai/EPLB). */

static void divide(void *state, const moe_split_input *in, uint32_t *pairs_out)
{
    (void)state;
    const moe_replicas *r = in->replicas;
    for (int e = 0; e < r->experts; e++)
        moe_split_by_weight(NULL, r->first[e + 1] - r->first[e], in->total[e],
                            in->first[e], in->own[e], pairs_out + r->first[e]);
}

const moe_split moe_split_equal = {
    .name = "equal",
    .help = "every replica of an expert gets the same share",
    .division = MOE_DIVISION_EQUAL,
    .needs_counts = true,
    .divide = divide,
};
