/* SPDX-License-Identifier: Apache-2.0 */
#include "linear_model.h"

/* Ridge regression on n-gram tables of the token and on their means over the
 * tokens before it. */

const moe_predictor moe_predictor_linear = {
    .name = "linear",
    .help = "ridge regression on n-gram tables of token ids, in closed form",
    .sees = MOE_SEES_IDS,
    .opts = moe_scorer_options,
    .params_size = sizeof(moe_scorer_params),
    MOE_LINEAR_HOOKS};
