/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

/* Each rank deals its own pairs of an expert over the replicas in turn, as
 * serving engines do (vLLM and SGLang choose a replica by the position of the
 * pair in the rank's batch). It needs to know no other rank's counts, at the
 * price of up to one pair per rank, expert and replica off the equal share.
 * Ranks begin at different replicas, or else the first would get every pair
 * that is left over. */

static void divide(void *state, const moe_split_input *in, uint32_t *pairs_out)
{
    (void)state;
    const moe_replicas *r = in->replicas;
    for (int e = 0; e < r->experts; e++) {
        const uint32_t first = r->first[e], n = r->first[e + 1] - first;
        if (n == 0)
            continue;
        const uint32_t start = (uint32_t)in->gpu % n, rest = in->own[e] % n;
        for (uint32_t j = 0; j < n; j++)
            pairs_out[first + j] =
                in->own[e] / n + ((j + n - start) % n < rest);
    }
}

const moe_split moe_split_deal = {
    .name = "deal",
    .help = "each GPU deals its own pairs over the replicas in turn, as "
            "engines do",
    .division = MOE_DIVISION_EQUAL,
    .divide = divide,
};
