/* sweep_fields.h: what a sweep file says of a run, for writing and reading. */
#ifndef MOEGPS_RESULTS_SWEEP_FIELDS_H
#define MOEGPS_RESULTS_SWEEP_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

/* A text or a number of a moe_view. */
typedef struct moe_sweep_text {
    const char *name, *long_name;
    size_t offset, size;
    bool later; /* since 1.3.0: what the settings say where it is not there */
} moe_sweep_text;

typedef struct moe_sweep_number {
    const char *name, *long_name;
    size_t offset;
} moe_sweep_number;

/* What a verdict needs to know of the wall clock and of independence; older
 * files do not have all of it. */
typedef struct moe_sweep_real {
    const char *name, *long_name;
    size_t offset;
    double unknown; /* where the file does not say */
} moe_sweep_real;

/* All end with a row without a name. */
extern const moe_sweep_text moe_sweep_texts[];
extern const moe_sweep_number moe_sweep_numbers[];
extern const moe_sweep_real moe_sweep_reals[];

#endif
