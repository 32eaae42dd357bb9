/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <string.h>

#include "moegps/mem.h"

#define X(name) extern const moe_planner moe_planner_##name;
#include "members.h"
#undef X

static const moe_planner *const members[] = {
#define X(name) &moe_planner_##name,
#include "members.h"
#undef X
};

const moe_planner *moe_planner_at(size_t i)
{
    return i < MOE_ARRAY_LEN(members) ? members[i] : NULL;
}

const moe_planner *moe_planner_find(const char *name)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(members); i++)
        if (strcmp(members[i]->name, name) == 0)
            return members[i];
    return NULL;
}
