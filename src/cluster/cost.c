/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cost.h"

#include "internal.h"
#include "moegps/registry.h"

static const moe_cost *const members[] = {&moe_cost_analytic,
                                          &moe_cost_silicon};

MOE_REGISTRY(moe_cost)
