/** iteration_price.h: the gpu clock of one iteration: all layers of a model.
 *
 *  Every GPU's part of a layer is a moe_layer_cost (layer_price.h): seconds of
 *  each step, alone. The slowest GPUs of each stage make the layer's cost; a
 *  timeline (timeline.h) of all layers then says what hides behind what, and
 *  how long the iteration takes. Run, advise, map, replay and planners share
 *  this, so that they cannot disagree about equal counts.
 *
 *  An exchange begins when the slowest GPU has arrived and ends on each by
 *  itself. A layer is therefore
 *      max over GPUs (attention, its reduction, router)
 *    + max over GPUs (dispatch, ffn)
 *    + max over GPUs (combine)
 *  and not the sum of every phase's own maximum, which is recorded beside it
 *  (moe_layer_cost_barrier_s()).
 */
#ifndef MOEGPS_ITERATION_PRICE_H
#define MOEGPS_ITERATION_PRICE_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/layer_price.h"
#include "moegps/phase.h"
#include "moegps/status.h"

/** When layer l's plan is made: with a lookahead of d during layer l - d, by
 *  collectives of its own; those of layers below d before layer 0. */
enum { MOE_LOOKAHEAD_ALL = 0 }; /* with all others, before layer 0 */

/** What ranks do together for several layers at once. */
typedef struct moe_coordination_work {
    bool collects;        /* predicted counts go to the planner */
    bool plans;           /* a plan was made and made known */
    bool central;         /* by one rank; else by all alike */
    int lookahead;        /* layers ahead, or MOE_LOOKAHEAD_ALL */
    bool sees_layers;     /* a forecast waits for the router of the layer that
                            it is made in; with a lookahead */
    bool next_iteration;  /* the plan is for the next iteration: it has all of
                            this one */
    bool own_device;      /* the predictor has a device beside the GPU */
    double plan_bytes;    /* on the wire, of all layers of the model */
    const double *plan_s; /* [n] host time of the planner for each layer that
                             was measured; NULL: none; borrowed */
    /* Forecasts of others, planned for behind all that; nothing waits. */
    int tried;
    double tried_bytes; /* of their plans on the wire, of all layers */
    double tried_s;     /* host time of their planners, of all layers */
} moe_coordination_work;

/** What it costs. */
typedef struct moe_coordination_cost {
    bool collects, plans, next_iteration, own_device, sees_layers;
    int lookahead;
    moe_price collect; /* of one collective: of all layers, or with a lookahead
                            of one */
    moe_price broadcast;  /* likewise */
    const double *plan_s; /* [n] as above */
    bool tries;
    moe_price tried_collect, tried_broadcast;
    double tried_s; /* as above */
    unsigned uses;  /* links of the collectives: MOE_RESOURCE_ bits */
} moe_coordination_cost;

/** Price collectives: to or from the planner by a tree when one rank plans;
 *  else an all-reduce of counts, and of the hash by which ranks confirm their
 *  plans. Local, deterministic. */
void moe_coordination_cost_of(const moe_pricer *pricer,
                              const moe_coordination_work *coordination,
                              moe_coordination_cost *out);

/** Of the layers that were measured, and of the model. */
typedef struct moe_iteration_work {
    const moe_layer_cost *cost; /* [n] in order, of the slowest GPUs; layer j of
                                   the model costs cost[j * n / layers]: those
                                   that were measured stand for all */
    int n, layers;
    moe_coordination_cost coordination;
    double slowdown; /* seconds by which a second of hidden transfer lengthens
                        the compute that hides it, 0 <= slowdown < 1 */
} moe_iteration_work;

/** What came out. */
typedef struct moe_iteration_price {
    double length_s; /* of the iteration */
    double wrong_s;  /* expected error of length_s, parts taken as wrong
                        together; NaN: unknown */
} moe_iteration_price;

typedef struct moe_iteration_pricer moe_iteration_pricer;

/** Allocate for up to `layers`. Not collective. Release with
 *  moe_iteration_pricer_free(). @return MOE_OK, MOE_NOMEM. */
moe_status moe_iteration_pricer_new(int layers, moe_iteration_pricer **out,
                                    moe_error *err);
void moe_iteration_pricer_free(moe_iteration_pricer *p);

/** Price an iteration. Deterministic; allocates nothing.
 *  @param exposed_s_out  [n][MOE_N_PHASES] s: of each layer's time the part of a
 *                   phase, mean over the layers it stands for; NULL: not
 *                   wanted. */
moe_iteration_price
moe_iteration_price_of(moe_iteration_pricer *p, const moe_iteration_work *work,
                       double (*exposed_s_out)[MOE_N_PHASES]);

/** @return how many of the model's `layers` measured layer `of` of n stands
 *  for. */
int moe_iteration_images(int n, int layers, int of);

/** What coordination takes by itself in layer `of` of the n that were
 *  measured: mean over the layers it stands for. What is done once for all
 *  layers is in that which stands for layer 0.
 *  @param own_s_out  [MOE_N_PHASES]: its phases are set, others left. */
void moe_iteration_coordination_s(const moe_iteration_work *work, int of,
                                  double *own_s_out);

#endif
