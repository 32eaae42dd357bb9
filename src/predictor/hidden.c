/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"
#include "linear_model.h"

/* As linear, and the hidden state that was recorded in an earlier layer. */

static const moe_linear_kind kind = {"hidden", MOE_SEES_IDS | MOE_SEES_HIDDEN};

typedef struct {
    moe_scorer_params scorer; /* the first member */
    char path[1024];
} hidden_params;

static const moe_opt options[] = {
    {.key = "path",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(hidden_params, path),
     .help = "HDF5 file with `hidden` (layer, token, width) for the trace"},
    MOE_SCORER_COLLECTS(hidden_params, scorer.collects),
    {.key = NULL}};

static const char *file(const void *params)
{
    return ((const hidden_params *)params)->path;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    const hidden_params *p = params;
    return moe_linear_init(state, &kind, env, &p->scorer, err);
}

static moe_status train(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err)
{
    return moe_linear_train(&kind, env, part, err);
}

const moe_predictor moe_predictor_hidden = {
    .name = "hidden",
    .help = "linear, and on hidden states that were recorded beside the trace",
    .sees = MOE_SEES_IDS | MOE_SEES_HIDDEN,
    .rests_on = "ngram",
    .opts = options,
    .params_size = sizeof(hidden_params),
    .state_size = sizeof(moe_linear),
    .forecast = moe_forecast_of_tokens,
    .file = file,
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
