/** rename.h: which GPU of a new placement is which of the old one.
 *
 *  A placement made from nothing does not care which GPU is which. The GPUs
 *  that have most experts in common get the same name, greedily, so that
 *  little has to travel. Local, deterministic; only init allocates.
 */
#ifndef MOEGPS_PLANNER_RENAME_H
#define MOEGPS_PLANNER_RENAME_H

#include "moegps/plan.h"

typedef struct moe_rename {
    int gpus, slots;
    int *overlap;   /* [gpus] experts in common with the GPU looked at */
    int *bound;     /* [gpus] most that it can have in common */
    int *name;      /* [gpus] */
    bool *taken;    /* [gpus] */
    uint64_t steps; /* replicas looked at; callers start it at 0 */
} moe_rename;

/** Release with moe_rename_fini() in any case. */
moe_status moe_rename_init(moe_rename *r, int gpus, int slots, moe_error *err);
void moe_rename_fini(moe_rename *r);

/** @param old     the placement in force.
 *  @param made    [gpus][slots] the new one, -1: empty.
 *  @param domain  GPUs that keep to themselves, a divisor of gpus.
 *  @param out     [gpus][slots] the same under other names. */
void moe_rename_gpus(moe_rename *r, const moe_replicas *old,
                     const int16_t *made, int domain, int16_t *out);

#endif
