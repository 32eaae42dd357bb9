/** repair.h: repairing a placement, for planners that start from one.
 *
 * A domain is a run of equally many GPUs, a node, that experts do not leave;
 * with one domain they go anywhere. */
#ifndef MOEGPS_PLANNER_REPAIR_H
#define MOEGPS_PLANNER_REPAIR_H

#include "moegps/plan.h"
#include "share_internal.h"

int moe_repair_domain(const moe_share *share, int domains, int gpu);

/* Bring GPUs to their limits: the GPU furthest above gives where most room is
 * a replica of its largest expert, or swaps an expert for a smaller one, or,
 * with a slot free, takes a small one and gives as much of a large one as
 * fills the other GPU. Ends when no such step takes more than `fine` off the
 * load above limits. */
void moe_repair(moe_share *share, int domains, int64_t fine);

/* Take out replicas with a part below an eighth of a GPU's target, so that
 * repair finds room.  target: [domains]. */
void moe_repair_thin(moe_share *share, int domains, const int64_t *target);

/* Put replicas in empty slots: of what the GPU held in `current`, else of the
 * largest part; then divide anew. */
void moe_repair_fill(moe_share *share, int domains,
                     const moe_plan_layer *current);

#endif
