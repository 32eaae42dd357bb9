/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>

#include "moegps/mem.h"

static void fill_layer(const uint64_t *counts, size_t n_e, double smoothing,
                       double *share, bool *trained)
{
    double total = 0;
    for (size_t e = 0; e < n_e; e++)
        total += (double)counts[e] + smoothing;
    for (size_t e = 0; e < n_e; e++)
        share[e] = total > 0 ? ((double)counts[e] + smoothing) / total
                             : 1.0 / (double)n_e;
    *trained = *trained && total > 0;
}

moe_status moe_shares_even(moe_shares *shares, const moe_predictor_env *env,
                           moe_error *err)
{
    const size_t n = (size_t)env->n_layers * (size_t)env->trace->experts;
    *shares =
        (moe_shares){.n_layers = env->n_layers, .experts = env->trace->experts};
    shares->share = moe_array_new(n, sizeof *shares->share, err);
    for (size_t i = 0; shares->share != NULL && i < n; i++)
        shares->share[i] = 1.0 / env->trace->experts;
    return shares->share != NULL ? MOE_OK : MOE_NOMEM;
}

moe_status moe_shares_init(moe_shares *shares, const moe_predictor_env *env,
                           double smoothing, moe_error *err)
{
    const size_t n_e = (size_t)env->trace->experts;
    moe_error local = {0};
    *shares = (moe_shares){.n_layers = env->n_layers,
                           .experts = env->trace->experts,
                           .trained = true};
    uint64_t *counts = moe_array_new(n_e, sizeof *counts, &local);
    shares->share = moe_array_new((size_t)env->n_layers * n_e,
                                  sizeof *shares->share, &local);
    for (int l = 0; l < env->n_layers && local.status == MOE_OK; l++) {
        moe_trace_counts(env->trace, MOE_PART_TRAIN, env->layers[l], counts);
        fill_layer(counts, n_e, smoothing, shares->share + (size_t)l * n_e,
                   &shares->trained);
    }
    free(counts);
    return moe_pass(err, &local);
}

void moe_shares_of_pairs(const int64_t *pairs, size_t n, const double *before,
                         double *share_out)
{
    int64_t total = 0;
    for (size_t e = 0; e < n; e++)
        total += pairs[e];
    for (size_t e = 0; e < n; e++)
        share_out[e] = total > 0        ? (double)pairs[e] / (double)total
                       : before != NULL ? before[e]
                                        : 1.0 / (double)n;
}

size_t moe_shares_parameters(const void *state)
{
    const moe_shares *s = state;
    return (size_t)s->n_layers * (size_t)s->experts;
}

void moe_shares_fini(void *state)
{
    free(((moe_shares *)state)->share);
}
