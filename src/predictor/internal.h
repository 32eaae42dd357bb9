/** internal.h: what the predictors of this folder share. */
#ifndef MOEGPS_PREDICTOR_INTERNAL_H
#define MOEGPS_PREDICTOR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/predictor.h"

/** The forecast hook of members that always speak of loads, or of tokens. */
moe_forecast moe_forecast_of_load(const void *params);
moe_forecast moe_forecast_of_tokens(const void *params);

/** A share per layer and expert. It is the first member of a state, so that the hooks below serve it. */
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

/** The same share for every expert. @return MOE_OK, MOE_NOMEM. */
moe_status moe_shares_even(moe_shares *shares, const moe_predictor_env *env,
                           moe_error *err);

/** Shares of a layer's past pairs. @param pairs  [n]
 *  @param before  [n] shares while there are none; NULL: even. */
void moe_shares_of_pairs(const int64_t *pairs, size_t n, const double *before,
                         double *share_out);

/** The parameters and fini hooks of a state that holds nothing else. */
size_t moe_shares_parameters(const void *state);
void moe_shares_fini(void *state);

/** What an online predictor knows before the first iteration. */
enum { MOE_HISTORY_TRAINING, MOE_HISTORY_NONE };
extern const char *const moe_histories[];

/* The row of its options; AT as there. */
#define MOE_HISTORY_OPTION(params_type)                                 \
    {                                                                   \
        .key = "history", .type = MOE_OPT_ENUM, .initial = "training",  \
        .choices = moe_histories, MOE_OPT_AT(params_type, history),     \
        .help = "what it has seen before the first iteration: the end " \
                "of the training part, or none"                         \
    }

/** Let it observe what its lookback hook asks for of the training part.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_predictor_remember(const moe_predictor *predictor, void *state,
                                  const moe_predictor_env *env,
                                  const void *params, moe_error *err);

/** The part of a predictor file that a predictor needs, checked against the
 *  trace; NULL with an error that says what to do. */
const moe_learned_part *moe_learned_part_for(const char *name,
                                             const moe_predictor_env *env,
                                             moe_error *err);

#endif
