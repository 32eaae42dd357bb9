/** smooth.h: exponentials and logarithms of many floats at once, which the C
 *  library's functions, one by one, are too slow for.
 */
#ifndef MOEGPS_PREDICTOR_SMOOTH_H
#define MOEGPS_PREDICTOR_SMOOTH_H

#include <stddef.h>

/** x = log(x), to 3e-7 of max(1, |log x|). @param x  normal, > 0. */
void moe_smooth_log(float *x, size_t n);

/** Turn logits into shares: of every lane, x = scale exp(x) / sum exp(x), to
 *  1e-6 of it. @param x  [n][MOE_LANES]. */
void moe_smooth_softmax(float *x, size_t n, float scale);

#endif
