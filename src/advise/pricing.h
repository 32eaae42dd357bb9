/** pricing.h: from placements to seconds.
 *
 *  price_layer.c  a layer under an error
 *  price.c        iterations, samples and what they are together
 */
#ifndef MOEGPS_ADVISE_PRICING_H
#define MOEGPS_ADVISE_PRICING_H

#include "internal.h"

/* One strategy on one layer of a sample after the other. */
typedef struct {
    const moe_advise *a;
    const moe_advise_dials *dials;
    const moe_advise_layer *layer;
    const moe_advise_placement *placement;
    moe_advise_strategy strategy;
    double *visit;         /* [gpus] part of the tokens that visit each GPU */
    double target;         /* pairs of the busiest GPU under the error */
    double up, down;       /* factors of its rows and of the others' */
    double overhead_s;     /* of the predictor */
    moe_layer_work alike;  /* what `common` is priced for; no tokens: nothing */
    moe_layer_cost common; /* of all GPUs */
    /* scratch: */
    uint32_t *rows;                    /* [slots] */
    moe_layer_cost *worst;             /* [layers] */
    double *plan_s;                    /* [layers] */
    double (*exposed_s)[MOE_N_PHASES]; /* [layers] */
} moe_advise_pricing;

/** @return pairs of the mean GPU. */
static inline double moe_advise_mean_pairs(const moe_advise_pricing *j)
{
    return j->layer->tokens * j->a->p.model->top_k / j->a->p.gpus;
}

/** @return whether what the strategy knows changes with every batch, so that it
 *  plans anew; a distribution's forecast stays, unless its predictor learns. */
bool moe_advise_replans(const moe_advise_pricing *j);

/** Set j->placement, and what an error of this case does to it, for j->layer. */
void moe_advise_choose_placement(moe_advise_pricing *j, moe_advise_case c);

/** Price j->layer with that.
 *  @param due        a plan is made in this iteration.
 *  @param worst_out  the slowest GPU of each stage */
void moe_advise_price_layer(moe_advise_pricing *j, bool due,
                            moe_layer_cost *worst_out);

#endif
