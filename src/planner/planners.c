/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include "moegps/registry.h"

#define X(name) extern const moe_planner moe_planner_##name;
#include "members.h"
#undef X

static const moe_planner *const members[] = {
#define X(name) &moe_planner_##name,
#include "members.h"
#undef X
};

MOE_REGISTRY(moe_planner)
MOE_REGISTRY_NEW(moe_planner, moe_planner_env, void)
