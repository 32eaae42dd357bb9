/** repair.h: repairing a placement, for planners that start from one.
 *
 * A domain is a run of equally many GPUs, a node, that experts do not leave;
 * with one domain they go anywhere. Local, deterministic; only init allocates. */
#ifndef MOEGPS_PLANNER_REPAIR_H
#define MOEGPS_PLANNER_REPAIR_H

#include "moegps/plan.h"
#include "peak.h"
#include "share_internal.h"

typedef struct moe_repair {
    moe_share *share; /* not owned */
    int domains;
    int64_t fine;        /* load that is not worth a step */
    int64_t left;        /* load above limits */
    moe_peak over, room; /* of all GPUs; of each domain's with a slot free */
    moe_peak part;       /* of each domain's experts: their largest copy's */
    int32_t *largest;    /* [experts] slot of that copy; -1: none */
} moe_repair;

/** @return the domain of a GPU. */
int moe_repair_domain(const moe_share *share, int domains, int gpu);

/** Set up for a share of any placement. Release with moe_repair_fini().
 *  @param domains  divides its GPUs.  @return MOE_OK, MOE_NOMEM. */
moe_status moe_repair_init(moe_repair *r, moe_share *share, int domains,
                           moe_error *err);
void moe_repair_fini(moe_repair *r);

/** Bring GPUs to their limits: the GPU furthest above moves load along chains
 * of replicas, or gives where most room is a replica of its largest expert, or
 * swaps an expert for a smaller one, or, with a slot free, takes a small one
 * and gives as much of a large one as fills the other GPU. Ends when no such
 * step takes more than `fine` off the load above limits. */
void moe_repair_run(moe_repair *r, int64_t fine);

/** Take out replicas with a part below an eighth of a GPU's target, so that
 * repair finds room.  @param target  [domains] */
void moe_repair_thin(moe_repair *r, const int64_t *target);

/** Put replicas in empty slots: of what the GPU held in `current`, else of the
 * largest part; then divide anew.  @param current  NULL: nothing counts as held */
void moe_repair_fill(moe_repair *r, const moe_plan_layer *current);

#endif
