/** plan.h: what the parts of `moegps plan` share. */
#ifndef MOEGPS_CLI_PLAN_H
#define MOEGPS_CLI_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "moegps/plan.h"
#include "moegps/status.h"

/** Load of every expert, from a file. */
typedef struct plan_loads {
    size_t steps;
    int layers, experts;
    double *value; /* [steps][layers][experts] owned */
} plan_loads;

/** Read loads by the file's suffix: .csv, .npy, .json, .h5 or .hdf5.
 *  [layers][experts] is one step. Of a trace of this project, a load trace
 *  has its steps, and a token trace two: its training and its test part.
 *  @param dataset  of an HDF5 file; empty: `loads` or `counts`.
 *  @param out      release with plan_loads_fini() in any case.
 *  @return MOE_OK, MOE_USAGE, MOE_FORMAT (another shape, a load that is
 *  negative or not finite, a layer without load or with more than 2^53). */
moe_status plan_loads_read(const char *path, const char *dataset,
                           plan_loads *out, moe_error *err);
void plan_loads_fini(plan_loads *loads);

/** Read a plan that plan_json_of() made, or that has just `physical_to_logical`
 *  [layers][replicas]. An expert twice on a GPU counts once.
 *  @param out  of the shape that is expected, from moe_plan_init().
 *  @return MOE_OK, MOE_USAGE, MOE_FORMAT, MOE_MISMATCH (another shape). */
moe_status plan_json_read(const char *path, moe_plan *out, moe_error *err);

/** @param raw  [layers][gpus][slots] placement as the planner's source has
 *  it, or NULL: the plan's.  @return a new object. */
json_t *plan_json_of(const moe_plan *plan, const int16_t *raw);

#endif
