/** linear_parts.h: the arrays of linear predictors in a predictor file. */
#ifndef MOEGPS_PREDICTOR_LINEAR_PARTS_H
#define MOEGPS_PREDICTOR_LINEAR_PARTS_H

#include "moegps/learned.h"

/** @return the map for a lookahead, 0 for those that need none:
 *  [layers][width][experts]; NULL with an error that names those there are. */
const float *moe_linear_weights(const moe_learned_part *part,
                                const moe_trace *trace, size_t width,
                                int lookahead, moe_error *err);

/** Add an empty one. @return it; NULL with MOE_NOMEM. */
float *moe_linear_put_weights(moe_learned_part *part, const moe_trace *trace,
                              size_t width, int lookahead, moe_error *err);

/** Note whether the trace that it was trained on has gates. */
moe_status moe_linear_note_gates(moe_learned_part *part, const moe_trace *trace,
                                 moe_error *err);

#endif
