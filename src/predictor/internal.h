/** internal.h: what the predictors of this folder share. */
#ifndef MOEGPS_PREDICTOR_INTERNAL_H
#define MOEGPS_PREDICTOR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/predictor.h"

/** The forecast hook of members that always speak of loads, or of tokens. */
moe_forecast moe_forecast_of_load(const void *params);
moe_forecast moe_forecast_of_tokens(const void *params);

/** A share per layer and expert, which begins as that of the training part.
 *  It is the first member of a state, so that the hooks below serve it. */
typedef struct moe_shares {
    int n_layers, experts;
    bool trained;  /* false: the training part of some layer is empty */
    double *share; /* [n_layers][experts] */
} moe_shares;

/** Count the training part: (pairs + smoothing) / (their sum), or even shares
 *  where that sum is 0. Release with moe_shares_fini() in any case.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_shares_init(moe_shares *shares, const moe_predictor_env *env,
                           double smoothing, moe_error *err);

/** The parameters and fini hooks of a state that holds nothing else. */
size_t moe_shares_parameters(const void *state);
void moe_shares_fini(void *state);

#endif
