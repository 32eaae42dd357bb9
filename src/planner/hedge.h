/** hedge.h: a placement for loads that are known by samples only.
 *
 *  Plans are scored by the mean over samples, weighted by age, of max / mean
 *  load of a GPU, plus a price for every slot whose expert has to travel: the
 *  mean of the maximum, not the maximum of the mean. The search climbs from the
 *  placement in force, and from placements made anew for mean + z standard
 *  deviations of every expert, with the GPUs renamed so that least travels;
 *  the best after its price is taken. Replicas count as equal parts; shares
 *  are fitted to the same samples at the end, if the split heeds them.
 *
 *  Source of the score over samples: FlashLB of vllm-ascend, as described; of
 *  replicas for the largest part and packing by falling load: EPLB.
 *  Local, deterministic; only moe_hedge_new() allocates.
 */
#ifndef MOEGPS_PLANNER_HEDGE_H
#define MOEGPS_PLANNER_HEDGE_H

#include "samples.h"
#include "share_internal.h"

typedef struct moe_hedge moe_hedge;

typedef struct moe_hedge_params {
    int experts, gpus, slots;
    double price;  /* of a slot that changes on every GPU, in max / mean */
    bool thorough; /* small gains count: what moves, moves once */
    bool fit;      /* shares, too; else all replicas of an expert are alike */
} moe_hedge_params;

/** @return NULL with MOE_NOMEM in err. moe_hedge_free() releases. */
moe_hedge *moe_hedge_new(const moe_hedge_params *params, moe_error *err);
void moe_hedge_free(moe_hedge *h);

/** Plan a layer.
 *  @param expert_out  [gpus][slots], -1: empty.
 *  @param share_out   [gpus][slots] of the expert, 0 on empty slots.
 *  @return numbers looked at, as steps of `balance`. */
uint64_t moe_hedge_plan(moe_hedge *h, const moe_samples *samples,
                        const moe_plan_layer *current, int16_t *expert_out,
                        double *share_out);

#endif
