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
 *  Local, deterministic; only init allocates.
 */
#ifndef MOEGPS_REGRET_H
#define MOEGPS_REGRET_H

#include "moegps/planner.h"
#include "moegps/share.h"

/** Who divides an expert's load among its replicas. */
typedef enum moe_division {
    MOE_BY_QUOTA,  /* the plan */
    MOE_BY_EQUAL,  /* every replica the same */
    MOE_BY_MINMAX, /* the optimum for this placement */
    MOE_N_DIVISIONS
} moe_division;

/** @return "quota", "equal", "minmax". */
const char *moe_division_name(moe_division by);

enum { MOE_REGRET_PLANNERS = 3 };

/** Work space for layers of one shape. */
typedef struct moe_regret {
    moe_share share;
    int64_t *load;       /* [experts] scaled */
    double *sorted;      /* [experts] */
    double *gpu_load;    /* [gpus] of the last moe_regret_busiest() */
    int *copies;         /* [experts] */
    moe_plan home, next; /* one layer each */
    const moe_planner *planner[MOE_REGRET_PLANNERS];
    void *params[MOE_REGRET_PLANNERS], *state[MOE_REGRET_PLANNERS];
} moe_regret;

/** Allocate. Release with moe_regret_fini().
 *  @param env  its pricer is not used.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_regret_init(moe_regret *r, const moe_planner_env *env,
                           moe_error *err);
void moe_regret_fini(moe_regret *r);

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
