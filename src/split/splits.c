/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include "moegps/registry.h"

#define X(name) extern const moe_split moe_split_##name;
#include "members.h"
#undef X

static const moe_split *const members[] = {
#define X(name) &moe_split_##name,
#include "members.h"
#undef X
};

MOE_REGISTRY(moe_split)
MOE_REGISTRY_NEW(moe_split, moe_split_env, void)
