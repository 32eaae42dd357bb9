/* array.h: a dense array as a recording. */
#ifndef MOEGPS_RECORDING_ARRAY_H
#define MOEGPS_RECORDING_ARRAY_H

#include "moegps/numbers.h"
#include "moegps/recording.h"

/* Take an array of loads, [layers][experts] or [steps][layers][experts], or of
 * experts of tokens, [layers][tokens][k] or as options->axes say; k = 1 may be
 * left out. Which of both, options->kind or the numbers say.
 * @param a    header read, elements not.
 * @param out  zero-initialised.
 * @return MOE_OK, MOE_FORMAT (sizes or elements that do not fit), MOE_NOMEM. */
moe_status moe_recording_take_array(moe_numbers *a,
                                    const moe_recording_options *options,
                                    moe_recording *out, moe_error *err);

#endif
