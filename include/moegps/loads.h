/** loads.h: load of every expert, read from a table.
 *
 *  Tables are CSV (a column per expert, or a row per load), NumPy arrays,
 *  JSON, HDF5 datasets, and this project's traces. Whatever the form, a layer
 *  without load, or with a load that is no finite number >= 0, is refused.
 */
#ifndef MOEGPS_LOADS_H
#define MOEGPS_LOADS_H

#include <stddef.h>

#include "moegps/status.h"

typedef struct moe_loads {
    size_t steps;
    int layers, experts;
    double *value; /* [steps][layers][experts] pairs, or shares; owned */
} moe_loads;

/** Read loads by the file's suffix: .csv, .npy, .json, .h5 or .hdf5.
 *  [layers][experts] is one step. Of a trace of this project, a load trace
 *  has its steps, and a token trace two: its training and its test part.
 *  Not collective.
 *  @param dataset  of an HDF5 file; NULL: `loads` or `counts`.
 *  @param out      release with moe_loads_fini() in any case.
 *  @return MOE_OK, MOE_USAGE (no such file, or another suffix), MOE_FORMAT
 *  (another shape, a load that is negative or not finite, a layer without
 *  load or with more than 2^53), MOE_NOMEM. */
moe_status moe_loads_read(const char *path, const char *dataset, moe_loads *out,
                          moe_error *err);
void moe_loads_fini(moe_loads *loads);

/** @return [experts] of one layer of a step; borrowed. */
const double *moe_loads_at(const moe_loads *loads, size_t step, int layer);

#endif
