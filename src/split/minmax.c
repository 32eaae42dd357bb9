/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include <stdlib.h>

#include "moegps/mem.h"
#include "moegps/share.h"

/* The exact optimum for the true counts: the busiest GPU computes as few
 * pairs as this placement allows. It depends on the counts of all ranks
 * together and so comes out alike on every rank; nothing is sent. */

typedef struct {
    moe_share *share;
    int64_t *load; /* [experts] */
} minmax_state;

static moe_status init(void *state, const moe_split_env *env,
                       const void *params, moe_error *err)
{
    (void)params;
    minmax_state *s = state;
    s->load = moe_array_new((size_t)env->experts, sizeof *s->load, err);
    if (s->load == NULL)
        return MOE_NOMEM;
    s->share = moe_share_new(env->experts, env->layout.gpus, env->slots, err);
    return s->share != NULL ? MOE_OK : MOE_NOMEM;
}

static void divide(void *state, const moe_split_input *in, uint32_t *pairs_out)
{
    minmax_state *s = state;
    const moe_replicas *r = in->replicas;
    for (int e = 0; e < r->experts; e++)
        s->load[e] = (int64_t)in->total[e];
    moe_share_begin_replicas(s->share, r, s->load);
    moe_share_minmax(s->share);
    for (int e = 0; e < r->experts; e++) {
        uint64_t at = in->first[e], bound = 0;
        const uint64_t end = at + in->own[e];
        for (uint32_t j = r->first[e]; j < r->first[e + 1]; j++) {
            bound += (uint64_t)moe_share_part(s->share, &r->replica[j]);
            const uint64_t stop = bound < end ? bound : end;
            pairs_out[j] = stop > at ? (uint32_t)(stop - at) : 0;
            at += pairs_out[j];
        }
    }
}

static void fini(void *state)
{
    minmax_state *s = state;
    free(s->load);
    moe_share_free(s->share);
}

const moe_split moe_split_minmax = {
    .name = "minmax",
    .help = "the busiest GPU gets as few of the true pairs as replicas allow",
    .state_size = sizeof(minmax_state),
    .init = init,
    .division = MOE_DIVISION_MINMAX,
    .needs_counts = true,
    .solves = true,
    .divide = divide,
    .fini = fini,
};
