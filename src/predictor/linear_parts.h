/** linear_parts.h: the arrays of linear predictors in a predictor file. */
#ifndef MOEGPS_PREDICTOR_LINEAR_PARTS_H
#define MOEGPS_PREDICTOR_LINEAR_PARTS_H

#include "moegps/learned.h"

/** @return the map for a lookahead, 0 for those that need none:
 *  [layers][width][experts]; NULL with an error that names those there are. */
const float *moe_linear_weights(const moe_learned_part *part,
                                const moe_trace *trace, size_t width,
                                int lookahead, moe_error *err);

/** Add an empty one, and note whether it was trained on gates. */
float *moe_linear_put_weights(moe_learned_part *part, const moe_trace *trace,
                              size_t width, int lookahead, moe_error *err);

#endif
