/** plan_file.h: a plan as JSON, the form that `moegps plan` writes.
 *
 *  {"schema": "moe-gps-plan", "layers", "experts", "gpus", "slots_per_gpu",
 *   "layer_number": [layers],
 *   "physical_to_logical": [layers][gpus * slots] expert or -1,
 *   "replica_counts": [layers][experts], "quotas": [layers][gpus * slots]}
 */
#ifndef MOEGPS_PLAN_FILE_H
#define MOEGPS_PLAN_FILE_H

#include "moegps/json.h"
#include "moegps/model.h"
#include "moegps/plan.h"

/** What is known of the file. All borrowed. */
typedef struct moe_plan_file_params {
    const moe_model *model; /* whose map is wanted where a file has several, and
                               whose layers rows without numbers are; NULL: the
                               only one; those of the plan */
    const int32_t *layer_number; /* [layers] of the model; NULL: from 0 */
    const int32_t *active; /* [gpus of the plan] number in the file of each GPU;
                              one that the file has not is empty; NULL: from 0 */
    int gpus; /* that are numbered, in use or not; 0: those of the plan */
} moe_plan_file_params;

/** Read a placement of any form (placement.h), also one of another number of
 *  GPUs, or of fewer slots. An expert twice on a GPU counts once. Quotas are
 *  those of the file; where it has none, the slots of an expert share it
 *  equally, as in engines. Not collective.
 *  @param out  of the shape that is wanted, from moe_plan_init(). Experts that
 *  no GPU has stand in slots that are empty, or over copies, so that every one
 *  is somewhere.
 *  @param present  of the same shape: what is really there; NULL: not wanted.
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT, MOE_MISMATCH (other
 *  experts, more slots; a layer that is not there), MOE_NOMEM. */
moe_status moe_plan_file_read(const char *path,
                              const moe_plan_file_params *params, moe_plan *out,
                              moe_plan *present, moe_error *err);

/** @param raw  [layers][gpus][slots] placement as the planner's source has
 *  it, which may hold an expert twice on a GPU; NULL: the plan's.
 *  @param layer_number  [layers] of the model; NULL: not known.
 *  @return a new object, to which more may be put. */
json_t *moe_plan_file_json(const moe_plan *plan, const int16_t *raw,
                           const int32_t *layer_number, moe_error *err);

#endif
