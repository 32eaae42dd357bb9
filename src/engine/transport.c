/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <string.h>

#include "moegps/mem.h"

#define X(name) extern const moe_transport moe_transport_##name;
#include "transport_members.h"
#undef X

static const moe_transport *const members[] = {
#define X(name) &moe_transport_##name,
#include "transport_members.h"
#undef X
};

const moe_transport *moe_transport_at(size_t i)
{
    return i < MOE_ARRAY_LEN(members) ? members[i] : NULL;
}

const moe_transport *moe_transport_find(const char *name)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(members); i++)
        if (strcmp(members[i]->name, name) == 0)
            return members[i];
    return NULL;
}
