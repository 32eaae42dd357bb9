/* SPDX-License-Identifier: Apache-2.0 */
#include "linear_model.h"

/* As linear, and the experts that the tokens before chose in the same layer:
 * decoding has them. */

const moe_predictor moe_predictor_recent = {
    .name = "recent",
    .help = "linear, and on the experts of the tokens before: for decoding",
    .sees = MOE_SEES_IDS | MOE_SEES_TOKENS,
    .opts = moe_scorer_options,
    .params_size = sizeof(moe_scorer_params),
    MOE_LINEAR_HOOKS};
