/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

/* The do-nothing member: no forecast, so no planning. */

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_NONE;
}

const moe_predictor moe_predictor_none = {
    .name = "none",
    .help = "no prediction: the home placement as it is",
    .forecast = forecast,
};
