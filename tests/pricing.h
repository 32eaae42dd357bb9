/** pricing.h: a cost model at work for a model on a cluster. */
#ifndef MOEGPS_TESTS_PRICING_H
#define MOEGPS_TESTS_PRICING_H

#include <stdio.h>
#include <stdlib.h>

#include "moegps/layer_price.h"

typedef struct {
    moe_model model;
    moe_cluster cluster;
    const moe_cost *cost;
    void *state; /* of cost */
} pricing;

/** Read the profiles of these names. Tests that change them do so next. */
static inline void pricing_read(pricing *p, const char *model,
                                const char *cluster)
{
    moe_error err = {0};
    *p = (pricing){.state = NULL};
    moe_model_read(model, &p->model, &err);
    moe_cluster_read(cluster, &p->cluster, &err);
    if (err.status != MOE_OK) {
        fprintf(stderr, "# pricing: %s\n", err.text);
        abort();
    }
}

/** Set up a cost model, NULL: the cluster's own. pricing_close() ends it.
 *  @return MOE_OK, or what its init says. */
static inline moe_status pricing_open(pricing *p, const char *cost,
                                      moe_error *err)
{
    moe_error own = {0};
    p->cost = moe_cost_find(cost != NULL ? cost : p->cluster.cost);
    p->state = moe_cost_new(p->cost, &p->model, &p->cluster, &own);
    moe_pass(err, &own);
    return own.status;
}

static inline void pricing_close(pricing *p)
{
    moe_cost_free(p->cost, p->state);
}

/** @return the pricer of so many GPUs; it points to p. */
static inline moe_pricer pricing_on(const pricing *p, int gpus,
                                    int gpus_per_node)
{
    return (moe_pricer){.cost = p->cost,
                        .state = p->state,
                        .model = &p->model,
                        .layout = {gpus, gpus_per_node}};
}

#endif
