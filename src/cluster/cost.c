/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cost.h"

#include <string.h>

#include "internal.h"
#include "moegps/mem.h"

static const moe_cost *const costs[] = {&moe_cost_analytic, &moe_cost_silicon};

const moe_cost *moe_cost_find(const char *name)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(costs); i++)
        if (strcmp(costs[i]->name, name) == 0)
            return costs[i];
    return NULL;
}

const moe_cost *moe_cost_at(size_t i)
{
    return i < MOE_ARRAY_LEN(costs) ? costs[i] : NULL;
}
