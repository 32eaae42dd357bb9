/* SPDX-License-Identifier: Apache-2.0 */
#include "linear_model.h"

/* As linear, and the experts (with gates where the trace has them) that the
 * token chose in three earlier layers. */

const moe_predictor moe_predictor_cross = {
    .name = "cross",
    .help = "linear, and on the experts of three earlier layers",
    .sees = MOE_SEES_IDS | MOE_SEES_LAYERS,
    .opts = moe_scorer_options,
    .params_size = sizeof(moe_scorer_params),
    MOE_LINEAR_HOOKS};
