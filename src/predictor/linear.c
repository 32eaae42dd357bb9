/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"
#include "linear_model.h"

/* Ridge regression on n-gram tables of the token and on their means over the
 * tokens before it. */

static const moe_linear_kind kind = {"linear", MOE_SEES_IDS};

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    return moe_linear_init(state, &kind, env, params, err);
}

static moe_status train(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err)
{
    return moe_linear_train(&kind, env, part, err);
}

const moe_predictor moe_predictor_linear = {
    .name = "linear",
    .help = "ridge regression on n-gram tables of token ids, in closed form",
    .sees = MOE_SEES_IDS,
    .rests_on = "ngram",
    .opts = moe_scorer_options,
    .params_size = sizeof(moe_scorer_params),
    .state_size = sizeof(moe_linear),
    .forecast = moe_forecast_of_tokens,
    .init = init,
    .tokens = moe_scorer_tokens,
    .expect = moe_scorer_expect,
    .scores = moe_scorer_scores,
    .work = moe_linear_work,
    .parameters = moe_linear_parameters,
    .train = train,
    .train_epochs = 1,
    .fini = moe_linear_fini,
};
