/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

/* The do-nothing member: the home placement, whatever the load. */

typedef struct {
    moe_layout layout;
} static_state;

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    (void)params, (void)err;
    ((static_state *)state)->layout = env->layout;
    return MOE_OK;
}

static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)task, (void)err;
    moe_plan_layer_set_home(next, &((static_state *)state)->layout);
    return MOE_OK;
}

const moe_planner moe_planner_static = {
    .name = "static",
    .help = "the home placement, never changed",
    .state_size = sizeof(static_state),
    .keeps_home = true,
    .init = init,
    .plan = plan,
};
