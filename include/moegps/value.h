/** value.h: what a plan does on recorded loads, and what moving to it takes.
 *
 *  Of a layer: how uneven GPUs are, and the time of the slowest GPU's experts
 *  and exchange at the prices of a cluster, which is what plans change. Of a
 *  move: the time of the busiest GPU's transfers where nothing hides them.
 *  Local, deterministic; only moe_value_new() and moe_value_moves() allocate.
 */
#ifndef MOEGPS_VALUE_H
#define MOEGPS_VALUE_H

#include "moegps/planner.h"

/** Work space for layers of one shape. */
typedef struct moe_value moe_value;

/** Allocate; moe_value_free() releases.
 *  @param env  what it points to is borrowed.
 *  @return NULL with MOE_NOMEM in err. */
moe_value *moe_value_new(const moe_planner_env *env, moe_error *err);
void moe_value_free(moe_value *v);

/** @return load of the busiest GPU over that of the mean GPU.
 *  @param load  [experts] >= 0, finite, not all 0. */
double moe_value_imbalance(moe_value *v, const moe_plan_layer *layer,
                           const double *load, moe_division by);

/** @return seconds of the slowest GPU's experts, dispatch and combine; NaN:
 *  the env has no prices. @param load  [experts] pairs. */
double moe_value_layer_s(moe_value *v, const moe_plan_layer *layer,
                         const double *load, moe_division by);

/** @return seconds of dispatch and combine of a GPU that computes `load`
 *  pairs: tokens are spread evenly over GPUs, and each sends as many rows as
 *  the mean. */
double moe_value_exchange_s(const moe_pricer *pricer, double load);

/** A weight that has to come to a GPU. */
typedef struct moe_arrival {
    int16_t layer, expert;
    int32_t gpu, from; /* from: GPU that has it; -1: none has */
} moe_arrival;

/** List what GPUs hold in `to` and not in `from`, once a GPU: of the GPUs that have a
 *  weight those of the own node send it first, and of these the one that has
 *  sent least.
 *  @param n_out  how many. @return the list, to be freed; NULL: none, or an
 *  error. */
moe_arrival *moe_value_moves(const moe_plan *from, const moe_plan *to,
                             const moe_layout *layout, size_t *n_out,
                             moe_error *err);

/** @return the time of the busiest GPU's transfers, one after the other. What
 *  no GPU has is left out. */
moe_price moe_value_moves_s(const moe_pricer *pricer, const moe_arrival *moves,
                            size_t n);

#endif
