/** planning.h: a planner at work on one layer. */
#ifndef MOEGPS_TESTS_PLANNING_H
#define MOEGPS_TESTS_PLANNING_H

#include <check.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "moegps/mem.h"
#include "moegps/planner.h"

typedef struct {
    const moe_planner *planner;
    moe_planner_env env;
    void *params, *state;
    moe_plan current, next;
    const double *last, *const *past; /* of the task; borrowed, or NULL */
    int n_past;
} planning;

/** Set up; the home placement is in force.
 *  @param set  NULL, or key, value, ... ended by NULL. */
static inline void planning_init(planning *d, const char *name,
                                 const moe_planner_env *env,
                                 const char *const *set)
{
    *d = (planning){.planner = moe_planner_find(name), .env = *env};
    const moe_planner *p = d->planner;
    d->params = moe_array_new(1, p->params_size, NULL);
    if (p->opts != NULL)
        moe_opt_defaults(p->opts, d->params);
    for (; set != NULL && *set != NULL; set += 2)
        ck_assert_int_eq(moe_opt_parse(moe_opt_find(p->opts, set[0]), set[1],
                                       d->params, NULL),
                         MOE_OK);
    d->state = moe_planner_new(p, env, d->params, NULL);
    ck_assert_ptr_nonnull(d->state);
    const int g = env->layout.gpus;
    moe_plan_init(&d->current, 1, env->experts, g, env->slots, NULL);
    moe_plan_init(&d->next, 1, env->experts, g, env->slots, NULL);
    moe_plan_set_home(&d->current, &env->layout);
}

static inline void planning_fini(planning *d)
{
    moe_planner_free(d->planner, d->state);
    free(d->params);
    moe_plan_fini(&d->current);
    moe_plan_fini(&d->next);
}

/** Plan over whatever `next` held before. */
static inline void planning_make(planning *d, const double *load)
{
    moe_plan_layer current = moe_plan_at(&d->current, 0);
    moe_plan_layer next = moe_plan_at(&d->next, 0);
    const size_t n = (size_t)next.gpus * (size_t)next.slots;
    memset(next.expert, 0x55, n * sizeof *next.expert);
    memset(next.quota, 0x55, n * sizeof *next.quota);
    const moe_planner_task task = {.load = load,
                                   .last = d->last,
                                   .past = d->past,
                                   .n_past = d->n_past,
                                   .current = &current};
    ck_assert_int_eq(d->planner->plan(d->state, &task, &next, NULL), MOE_OK);
}

/** Put the new plan in force. @return slots that had to be loaded. */
static inline int planning_settle(planning *d)
{
    moe_plan_layer current = moe_plan_at(&d->current, 0);
    moe_plan_layer next = moe_plan_at(&d->next, 0);
    int moved = 0;
    moe_plan_layer_settle(&current, &next);
    for (int k = 0; k < next.gpus * next.slots; k++)
        moved += next.expert[k] >= 0 && next.expert[k] != current.expert[k];
    moe_plan_copy(&d->current, &d->next);
    return moved;
}

#endif
