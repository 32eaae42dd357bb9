/** validation.h: what the checks of a run found.
 *
 *  The engine fills it and the results writer puts it into the file; both know
 *  it and not each other.
 */
#ifndef MOEGPS_VALIDATION_H
#define MOEGPS_VALIDATION_H

#include <stdbool.h>

typedef struct moe_validation {
    bool run; /* checks were run */
    bool passed;
    char text[256];          /* what was checked, or what failed */
    double max_output_error; /* largest relative difference between outputs of
                                strategies; NaN: not compared */
} moe_validation;

#endif
