/** calibration.h: from a scorer's scores to probabilities that come true.
 *
 *  Experts are chosen by scores. Probabilities are, per layer, a rising map of
 *  them and a factor per expert (scores.h). Both are fitted on tokens that
 *  training did not fit to, in turn, so that of all scores near a knot, and of
 *  every expert, as many pairs are foretold as there were, after those of each
 *  token have been scaled to sum to k. Where a map would not rise, neighbours
 *  are pooled (isotonic regression: Ayer et al., Annals of Mathematical
 *  Statistics 26(4), 1955).
 */
#ifndef MOEGPS_PREDICTOR_CALIBRATION_H
#define MOEGPS_PREDICTOR_CALIBRATION_H

#include "moegps/predictor.h"
#include "scores.h"

/** The maps of all layers that were trained. */
typedef struct moe_calibration {
    float *knot;  /* [layers][MOE_SCORE_KNOTS], or NULL */
    float *times; /* [layers][experts] */
    int experts;
} moe_calibration;

/** Maps of env->self in env->learned, borrowed. @param out  without maps if it
 *  has none. @return MOE_OK, MOE_FORMAT. */
moe_status moe_calibration_find(const moe_predictor_env *env,
                                moe_calibration *out, moe_error *err);

/** Add maps to the part of env->self, to be filled. @return MOE_OK, MOE_NOMEM. */
moe_status moe_calibration_put(const moe_predictor_env *env,
                               moe_learned_part *part, moe_calibration *out,
                               moe_error *err);

static inline moe_score_map moe_calibration_of(const moe_calibration *c,
                                               int layer)
{
    if (c->knot == NULL)
        return (moe_score_map){NULL, NULL};
    return (moe_score_map){c->knot + (ptrdiff_t)layer * MOE_SCORE_KNOTS,
                           c->times + (ptrdiff_t)layer * c->experts};
}

/** What a map is fitted to. All borrowed. */
typedef struct moe_calibration_data {
    const moe_trace *trace;
    const moe_batch *batch; /* tokens of it */
    const float *score; /* [own][experts] of them, as moe_score_open() leaves
                           them */
    float *scratch;     /* as large */
} moe_calibration_data;

/** Fit the map of a layer.
 *  @param job  experts, top_k and scratch
 *  @param out  whose layer is filled. */
void moe_calibration_fit(const moe_calibration_data *data, int layer,
                         const moe_score_job *job, moe_calibration *out);

#endif
