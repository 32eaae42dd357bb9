/** features.h: what a linear predictor reads of a token, for one layer.
 *
 *  A row has, one after the other, for every expert
 *  - the share of tokens with the token's own id that visit it,
 *  - the share after its last three ids (ngrams.h),
 *  - the mean of the first over the tokens before it, with weights that fall
 *    by half, by a tenth and by a hundredth a token;
 *  with MOE_SEES_LAYERS
 *  - of the layer l - lookahead and the two before it: its gate weight times
 *    k, or 1 where there are none, if the token chose it there;
 *  with MOE_SEES_TOKENS
 *  - 1 if the token before chose it in this layer, and three means of that over
 *    the tokens before;
 *  with MOE_SEES_HIDDEN the hidden state of layer l - lookahead; and a 1.
 *
 *  Means look back over 512 to 1023 tokens, the whole sequence where it is
 *  shorter: so a token's row does not depend on who asks.
 */
#ifndef MOEGPS_PREDICTOR_FEATURES_H
#define MOEGPS_PREDICTOR_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#include "hidden_states.h"
#include "moegps/trace.h"

enum {
    MOE_FEATURE_MEANS = 3,
    MOE_FEATURE_SOURCES = 3, /* earlier layers that are looked at */
    MOE_FEATURE_SPAN = 512   /* tokens that are looked back at, at least */
};

typedef struct moe_features {
    const moe_trace *trace;
    unsigned sees; /* MOE_SEES_ bits */
    int lookahead;
    const moe_hidden *hidden; /* with MOE_SEES_HIDDEN; borrowed */
    /** Shares of a token, as moe_ngrams_share() says them.
     *  @param first  token with which its sequence begins */
    void (*share)(void *arg, uint64_t first, uint64_t token, float *one,
                  float *all);
    void *arg;
    /* Below: set by moe_features_init() and as rows are made. */
    size_t width;                    /* of a row */
    int layer;                       /* of the trace, that is foretold */
    int source[MOE_FEATURE_SOURCES]; /* layers of the trace; -1: none */
    uint64_t context, at; /* token that the means begin with, and go up to */
    float total[MOE_FEATURE_MEANS]; /* sums of weights */
    float *one, *all;               /* [experts] */
    float *mean;                    /* [means][experts] of shares */
    float *past;                    /* [means][experts] of choices */
} moe_features;

/** @return floats of a row. */
size_t moe_features_width(const moe_trace *trace, unsigned sees,
                          const moe_hidden *hidden);

/** Allocate; what is above the line must be set. Release with
 *  moe_features_fini() in any case. @return MOE_OK, MOE_NOMEM. */
moe_status moe_features_init(moe_features *f, moe_error *err);
void moe_features_fini(moe_features *f);

/** Turn to a layer of the trace. */
void moe_features_layer(moe_features *f, int layer);

/** Make the row of a token. Quick when it follows the last one.
 *  @param first  token with which its sequence begins
 *  @param row_out  [width] */
void moe_features_row(moe_features *f, uint64_t first, uint64_t token,
                      float *row_out);

#endif
