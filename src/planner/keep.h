/** keep.h: a plan that need not be made. */
#ifndef MOEGPS_PLANNER_KEEP_H
#define MOEGPS_PLANNER_KEEP_H

#include <string.h>

#include "moegps/planner.h"

/** Keep the plan in force if the load says nothing new.
 *  @return whether `next` is done. */
static inline bool moe_planner_keeps(const moe_planner_task *task,
                                     moe_plan_layer *next)
{
    const size_t n = (size_t)next->gpus * (size_t)next->slots;
    if (task->last == NULL ||
        !moe_planner_same_load(task->load, task->last, next->experts))
        return false;
    memcpy(next->expert, task->current->expert, n * sizeof *next->expert);
    memcpy(next->quota, task->current->quota, n * sizeof *next->quota);
    return true;
}

#endif
