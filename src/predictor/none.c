/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

/* The do-nothing member: no forecast, so no planning. */

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_NONE;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    (void)state, (void)env, (void)params, (void)err;
    return MOE_OK;
}

static void fini(void *state)
{
    (void)state;
}

const moe_predictor moe_predictor_none = {
    .name = "none",
    .help = "no prediction: the home placement as it is",
    .forecast = forecast,
    .init = init,
    .fini = fini,
};
