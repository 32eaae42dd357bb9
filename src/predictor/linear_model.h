/** linear_model.h: predictors that are one linear map per layer, from features
 *  of a token to the share that visits each expert.
 *
 *  Training solves for the map in one pass over the fitted sequences. A
 *  sequence's own tokens are taken out of the n-gram tables while its rows are
 *  made, so that rows are those of a text never seen.
 */
#ifndef MOEGPS_PREDICTOR_LINEAR_MODEL_H
#define MOEGPS_PREDICTOR_LINEAR_MODEL_H

#include "features.h"
#include "ngrams.h"
#include "scorer.h"
#include "walk.h"

typedef struct moe_linear {
    moe_scorer base;
    const moe_trace *trace; /* borrowed */
    moe_ngrams grams;
    moe_hidden hidden;
    moe_features features;
    const float *weight; /* [trained layers][width][experts] */
    const int *layers;   /* [n_layers] of the run; borrowed */
    int layer;           /* of the run, that is asked for */
    /* Rows of n-grams, in the order in which the tokens of the marked batch are
     * walked through, which is the same in every layer. */
    moe_mark mark;
    uint32_t (*gram)[MOE_NGRAM_ORDERS];
    size_t room, walked, at; /* of gram: in all, filled, next */
    float *row;              /* [4][width] scratch */
    float *out;              /* [4][experts] scratch */
} moe_linear;

/** The hooks, of the member whose sight is env->self->sees, or which the part is
 *  of. init returns MOE_OK, MOE_USAGE (nothing was trained, not for this
 *  lookahead), MOE_MISMATCH (of another trace, or without its gates),
 *  MOE_FORMAT, MOE_NOMEM; params begin with a moe_scorer_params. Training makes
 *  a map per layer, and per lookahead where a member looks at earlier layers;
 *  it returns MOE_OK, MOE_LIBRARY, MOE_NOMEM. */
moe_status moe_linear_init(void *state, const moe_predictor_env *env,
                           const void *params, moe_error *err);
moe_status moe_linear_train(const moe_train_env *env, moe_learned_part *part,
                            moe_error *err);
int moe_linear_work(const void *state, double tokens, double sequences,
                    moe_gemm_run *runs_out);
size_t moe_linear_parameters(const void *state);
void moe_linear_fini(void *state);

#define MOE_LINEAR_HOOKS                                            \
    .rests_on = "ngram", .state_size = sizeof(moe_linear),          \
    .init = moe_linear_init, .work = moe_linear_work,               \
    .parameters = moe_linear_parameters, .train = moe_linear_train, \
    .train_epochs = 1, .fini = moe_linear_fini, MOE_SCORER_HOOKS

/** out = rows times weight, four rows at once, each in the same order of
 *  additions whatever the others are.
 *  @param weight  [width][experts] @param rows  [4][width]
 *  @param out     [4][experts] */
void moe_linear_product(const float *weight, size_t width, size_t experts,
                        const float *rows, float *out);

#endif
