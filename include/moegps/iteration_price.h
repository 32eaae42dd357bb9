/** iteration_price.h: the gpu clock of one iteration: all layers of a model.
 *
 *  Every GPU's part of a layer is a moe_layer_cost: seconds of each step,
 *  alone. The slowest GPUs of each stage make the layer's cost; a timeline
 *  (timeline.h) of all layers then says what hides behind what, and how long
 *  the iteration takes. Run, advise, map, replay and planners share this, so
 *  that they cannot disagree about equal counts.
 *
 *  An exchange begins when the slowest GPU has arrived and ends on each by
 *  itself. A layer is therefore
 *      max over GPUs (attention, its reduction, router)
 *    + max over GPUs (dispatch, ffn)
 *    + max over GPUs (combine)
 *  and not the sum of every phase's own maximum, which is recorded beside it.
 */
#ifndef MOEGPS_ITERATION_PRICE_H
#define MOEGPS_ITERATION_PRICE_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/phase.h"
#include "moegps/status.h"
#include "moegps/timeline.h"

/** Steps of a layer, in order. */
typedef enum moe_step {
    MOE_STEP_PREDICT,   /* SM, or a device of its own */
    MOE_STEP_ATTENTION, /* SM: projections, scores */
    MOE_STEP_REDUCE,    /* node: the reduction that ends tensor-parallel
                           attention */
    MOE_STEP_ROUTE,     /* SM: router */
    MOE_STEP_NUMBER,    /* links: counts of all GPUs, where the split needs
                           them */
    MOE_STEP_DISPATCH,  /* links */
    MOE_STEP_FFN,       /* SM: shared and routed experts */
    MOE_STEP_COMBINE,   /* links */
    MOE_STEP_MIGRATE,   /* links, in the background */
    MOE_N_STEPS
} moe_step;

/** Seconds of each step of one layer, alone; of one GPU, or of the slowest. */
typedef struct moe_layer_cost {
    double step_s[MOE_N_STEPS];
    unsigned uses[MOE_N_STEPS]; /* MOE_RESOURCE_ bits of steps that take time;
                                   set by moe_layer_cost_init() for those that
                                   always use the same */
    double most_s[MOE_N_STEPS]; /* each step's own maximum over GPUs */
} moe_layer_cost;

/** Set all times to 0. */
void moe_layer_cost_init(moe_layer_cost *cost);

/** Merge a GPU's cost of a layer into that of the slowest: of a stage the GPU
 *  whose sum is larger. Associative; equal sums keep `worst`. */
void moe_layer_cost_merge(moe_layer_cost *worst, const moe_layer_cost *gpu);

/** When layer l's plan is made. */
enum { MOE_LOOKAHEAD_ALL = 0 }; /* with all others, before layer 0 */

/** What is done once for several layers, and when. */
typedef struct moe_coordination_cost {
    bool collects;       /* predicted counts go to the planner */
    bool plans;          /* a plan is made and made known */
    int lookahead;       /* layers ahead, or MOE_LOOKAHEAD_ALL */
    bool next_iteration; /* the plan is for the next iteration: it has all of
                           this one */
    bool own_device;     /* the predictor has a device beside the GPU */
    double collect_s;   /* of one collective: of all layers, or with a lookahead
                           of one */
    double broadcast_s; /* likewise */
    const double *plan_s; /* [layers] host time of the planner; borrowed */
    unsigned uses;        /* links of the collectives */
} moe_coordination_cost;

/** What came out. */
typedef struct moe_iteration_price {
    double length_s; /* of the iteration */
    double waits_s;  /* length if every phase waited for its slowest GPU */
} moe_iteration_price;

typedef struct moe_iteration_pricer moe_iteration_pricer;

/** Allocate for up to `layers`. Not collective. Release with
 *  moe_iteration_pricer_free(). @return MOE_OK, MOE_NOMEM. */
moe_status moe_iteration_pricer_new(int layers, moe_iteration_pricer **out,
                                    moe_error *err);
void moe_iteration_pricer_free(moe_iteration_pricer *p);

/** Price an iteration. Deterministic; allocates nothing.
 *  @param cost      [n] of the layers in order, of the slowest GPUs.
 *  @param layers    of the model: layer j costs cost[j * n / layers]. Those that
 *                   were measured stand for all.
 *  @param slowdown  seconds by which a second of hidden transfer lengthens the
 *                   compute that hides it.
 *  @param exposed_s_out  [n][MOE_N_PHASES] s: of each layer's time the part of a
 *                   phase, mean over the layers it stands for. */
moe_iteration_price
moe_iteration_price_of(moe_iteration_pricer *p, const moe_layer_cost *cost,
                       int n, int layers,
                       const moe_coordination_cost *coordination,
                       double slowdown, double (*exposed_s_out)[MOE_N_PHASES]);

#endif
