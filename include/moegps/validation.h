/** validation.h: how a run ended, and what its checks found.
 *
 *  The engine fills this and the results writer puts it into the file; both know
 *  it and not each other.
 */
#ifndef MOEGPS_VALIDATION_H
#define MOEGPS_VALIDATION_H

#include <stdbool.h>

/** How a run ended. */
typedef enum moe_run_state {
    MOE_RUN_COMPLETE,
    MOE_RUN_INTERRUPTED,
    MOE_RUN_FAILED
} moe_run_state;

/** What the checks of a run found. */
typedef struct moe_validation {
    bool run; /* checks were run */
    bool passed;
    char text[256];          /* what was checked, or what failed */
    double max_output_error; /* largest relative difference between outputs of
                                strategies; NaN: not compared */
} moe_validation;

#endif
