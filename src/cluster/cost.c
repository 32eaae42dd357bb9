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
