/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cost.h"

#include <math.h>

#include "internal.h"
#include "moegps/registry.h"

static const moe_cost *const members[] = {&moe_cost_analytic,
                                          &moe_cost_silicon};

MOE_REGISTRY(moe_cost)
MOE_REGISTRY_NEW(moe_cost, moe_model, moe_cluster)

const char *moe_price_source_name(moe_price_source source)
{
    static const char *const names[MOE_N_PRICE_SOURCES] = {
        [MOE_PRICE_TABULATED] = "tabulated",
        [MOE_PRICE_INTERPOLATED] = "interpolated",
        [MOE_PRICE_EXTRAPOLATED] = "extrapolated",
        [MOE_PRICE_ANALYTIC] = "analytic",
        [MOE_PRICE_SCALED] = "scaled",
        [MOE_PRICE_SLOW_KERNEL] = "slow-kernel",
    };
    return names[source];
}

void moe_price_interval(double price, double error, double *low_out,
                        double *high_out)
{
    *low_out = price / (1 + error);
    *high_out = error >= 1 ? INFINITY : price / (1 - error);
}

moe_price_lead moe_price_lead_of(const double *slow_s, const double *fast_s,
                                 int n, double error)
{
    double saved_s = 0, lost_s = 0, saved[2], lost[2];
    for (int i = 0; i < n; i++) {
        saved_s += fmax(slow_s[i] - fast_s[i], 0);
        lost_s += fmax(fast_s[i] - slow_s[i], 0);
    }
    moe_price_interval(saved_s, error, &saved[0], &saved[1]);
    moe_price_interval(lost_s, error, &lost[0], &lost[1]);
    return (moe_price_lead){
        .low_s = lost_s > 0 ? saved[0] - lost[1] : saved[0],
        .high_s = saved_s > 0 ? saved[1] - lost[0] : -lost[0],
        .turns_at =
            saved_s + lost_s > 0 ? (saved_s - lost_s) / (saved_s + lost_s) : 0,
    };
}
