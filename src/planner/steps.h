/** steps.h: weights of what planners count, so that a step takes about as long
 *  in each of them (tests/bench/bench_planner.c fits how long). */
#ifndef MOEGPS_PLANNER_STEPS_H
#define MOEGPS_PLANNER_STEPS_H

#include <stdint.h>

/** @return steps of indexing, writing and settling a plan of so many slots. */
static inline uint64_t moe_steps_to_write(int gpus, int slots)
{
    return 24 * (uint64_t)gpus * (uint64_t)slots;
}

#endif
