/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "internal.h"
#include "moegps/mem.h"

static double mean_of(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

static moe_status walk(const moe_advise_params *params,
                       moe_advise_interval *out, moe_error *err)
{
    moe_advise *a = NULL;
    moe_advise_facts facts;
    if (moe_advise_new(params, &a, err) != MOE_OK)
        return err->status;
    moe_advise_facts_of(a, &facts);
    double *x = moe_array_new((size_t)facts.samples, sizeof *x, err);
    out->every = params->dials.rebalance_every;
    out->plans = params->samples / out->every;
    out->first_bytes = facts.first_bytes;
    out->moved_bytes = facts.moved_bytes;
    for (int s = 0; x != NULL && s < MOE_ADVISE_STRATEGIES; s++) {
        moe_advise_sample_s(a, NULL, (moe_advise_strategy)s, MOE_ADVISE_TYPICAL,
                            x);
        out->layer_s[s] = mean_of(x, facts.samples);
    }
    free(x);
    moe_advise_free(a);
    return err->status;
}

moe_status moe_advise_intervals(const moe_advise_params *params,
                                const int *every, int n,
                                moe_advise_interval *out, moe_error *err)
{
    moe_error local = {0};
    int longest = 1;
    for (int i = 0; i < n; i++)
        longest = every[i] > longest ? every[i] : longest;
    const int asked = params->samples, least = MOE_ADVISE_PLANS * longest;
    const int steps = asked > 0 ? asked : least > 12 ? least : 12;
    for (int i = 0; i < n && local.status == MOE_OK; i++) {
        moe_advise_params p = *params;
        p.dials.rebalance_every = every[i];
        p.samples = steps / every[i] * every[i];
        walk(&p, &out[i], &local);
    }
    return moe_pass(err, &local);
}

int moe_advise_best_interval(const moe_advise_interval *interval, int n,
                             moe_advise_strategy s)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (interval[i].layer_s[s] < interval[best].layer_s[s])
            best = i;
    return best;
}
