/** regret.h: how far a plan is from the best, and which stage loses it.
 *
 *  All in load of the busiest GPU of one layer, so that a difference is what
 *  the slowest GPU computes in vain:
 *
 *      bound <= best known plan <= oracle's plan, minmax <= oracle's plan
 *      plan, minmax <= plan as it was split
 *
 *  prediction: the planner's plan of predicted against the one of true load;
 *  planner: its plan of the true load against the best known and the bound;
 *  split: what it made of the true load against minmax on the same placement.
 *  Local, deterministic; only moe_regret_new() allocates.
 */
#ifndef MOEGPS_REGRET_H
#define MOEGPS_REGRET_H

#include "moegps/planner.h"

/** Work space for layers of one shape. */
typedef struct moe_regret moe_regret;

/** Allocate; moe_regret_free() releases.
 *  @param env  its pricer is not used.
 *  @return NULL with MOE_NOMEM in err. */
moe_regret *moe_regret_new(const moe_planner_env *env, moe_error *err);
void moe_regret_free(moe_regret *r);

/** What the busiest GPU has at least, under any plan and split: the mean; or
 *  the k largest experts on all GPUs that can hold one of them, when every
 *  other expert has a slot:  sum of k largest / min(gpus, slots of all GPUs -
 *  experts + k), the largest over k.
 *  @param load  [experts] >= 0, finite. */
double moe_regret_bound(moe_regret *r, const double *load);

/** Load of the busiest GPU when this plan meets this load. */
double moe_regret_busiest(moe_regret *r, const moe_plan_layer *layer,
                          const double *load, moe_division by);

/** Load of the busiest GPU under the best plan known for this load: the best
 *  of all planners that plan by load alone, divided by minmax. */
double moe_regret_best(moe_regret *r, const double *load);

#endif
