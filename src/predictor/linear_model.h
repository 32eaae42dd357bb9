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

typedef struct moe_linear {
    moe_scorer base;
    const moe_trace *trace; /* borrowed */
    moe_ngrams grams;
    moe_hidden hidden;
    moe_features features;
    const float *weight; /* [trained layers][width][experts] */
    const int *layers;   /* [n_layers] of the run; borrowed */
    int layer;           /* of the run, that is asked for */
    float *row;          /* [4][width] scratch */
    float *out;          /* [4][experts] scratch */
} moe_linear;

/** Which member it is. */
typedef struct moe_linear_kind {
    const char *name;
    unsigned sees; /* MOE_SEES_ bits: what its features are */
} moe_linear_kind;

/** The init hook. @return MOE_OK, MOE_USAGE (nothing was trained, not for this
 *  lookahead), MOE_MISMATCH (of another trace, or without its gates),
 *  MOE_FORMAT, MOE_NOMEM. */
moe_status moe_linear_init(moe_linear *s, const moe_linear_kind *kind,
                           const moe_predictor_env *env,
                           const moe_scorer_params *params, moe_error *err);

/** The train hook: a map per layer, and per lookahead where it looks at earlier
 *  layers. @return MOE_OK, MOE_LIBRARY, MOE_NOMEM. */
moe_status moe_linear_train(const moe_linear_kind *kind,
                            const moe_train_env *env, moe_learned_part *part,
                            moe_error *err);

/** The other hooks. */
int moe_linear_work(const void *state, double tokens, double sequences,
                    moe_gemm_run *runs_out);
size_t moe_linear_parameters(const void *state);
void moe_linear_fini(void *state);

/** out = rows times weight, four rows at once, each in the same order of
 *  additions whatever the others are.
 *  @param weight  [width][experts] @param rows  [4][width]
 *  @param out     [4][experts] */
void moe_linear_product(const float *weight, size_t width, size_t experts,
                        const float *rows, float *out);

#endif
