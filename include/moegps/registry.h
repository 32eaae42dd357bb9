/** registry.h: the two accessors that every family has.
 *
 *  A family is a struct with a `name` and a const table of pointers called
 *  `members`; after that table, MOE_REGISTRY(moe_planner) defines
 *  moe_planner_at() and moe_planner_find(), which the family's header
 *  declares. */
#ifndef MOEGPS_REGISTRY_H
#define MOEGPS_REGISTRY_H

#include <stddef.h>
#include <string.h>

#include "moegps/mem.h"

#define MOE_REGISTRY(type)                                     \
    const type *type##_at(size_t i)                            \
    {                                                          \
        return i < MOE_ARRAY_LEN(members) ? members[i] : NULL; \
    }                                                          \
                                                               \
    const type *type##_find(const char *name)                  \
    {                                                          \
        for (size_t i = 0; i < MOE_ARRAY_LEN(members); i++)    \
            if (strcmp(members[i]->name, name) == 0)           \
                return members[i];                             \
        return NULL;                                           \
    }

#endif
