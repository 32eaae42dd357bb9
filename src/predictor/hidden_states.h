/** hidden_states.h: hidden states that were recorded beside a trace.
 *
 *  An HDF5 file with a dataset `hidden` (layer, token, width) of floats, for
 *  the layers and tokens of the trace; jobs/README.md.
 */
#ifndef MOEGPS_PREDICTOR_HIDDEN_STATES_H
#define MOEGPS_PREDICTOR_HIDDEN_STATES_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/h5.h"
#include "moegps/status.h"
#include "moegps/trace.h"

typedef struct moe_hidden {
    uint64_t n_tokens;
    size_t width;
    float *state; /* [layers][n_tokens][width] */
} moe_hidden;

/** Read a file that is already in memory. Release with moe_hidden_fini() in
 *  any case. @return MOE_OK, MOE_USAGE (no file), MOE_MISMATCH (of another
 *  trace or shape), MOE_FORMAT (not finite), MOE_NOMEM. */
moe_status moe_hidden_read(moe_hidden *h, const moe_h5_image *file,
                           const moe_trace *trace, moe_error *err);
void moe_hidden_fini(moe_hidden *h);

/** Copy a token's state; zeros where layer is -1. @return behind it. */
float *moe_hidden_put(const moe_hidden *h, int layer, uint64_t token,
                      float *row);

#endif
