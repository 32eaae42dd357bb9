/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>

/* Exponential moving average of the shares of past iterations:
 * p <- (1 - alpha) p + alpha q. It begins with the first iteration's, of the
 * training part if there is one. */

typedef struct {
    double alpha, half_life;
    int history;
} ema_params;

static const double default_alpha = 0.1;

static const moe_opt options[] = {
    {.key = "alpha",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.1",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(ema_params, alpha),
     .help = "weight of the newest iteration"},
    {.key = "half_life",
     .type = MOE_OPT_REAL,
     .unit = "iterations",
     .initial = "0",
     .min = 0,
     .max = 1e9,
     MOE_OPT_AT(ema_params, half_life),
     .help = "instead of alpha: after so many an iteration weighs half; 0: "
             "alpha counts"},
    MOE_HISTORY_OPTION(ema_params),
    {.key = NULL}};

typedef struct {
    moe_shares now;
    double alpha;
    bool begun; /* `now` holds something worth keeping */
} ema_state;

static double alpha_of(const ema_params *p)
{
    return p->half_life > 0 ? 1 - exp2(-1 / p->half_life) : p->alpha;
}

/* As far back as an iteration's weight can be told from none. */
static uint64_t lookback(const void *params)
{
    const ema_params *p = params;
    const double n = ceil(log(0x1p-53) / log1p(-alpha_of(p)));
    if (p->history == MOE_HISTORY_NONE)
        return 0;
    return n < 0x1p32 ? (uint64_t)fmax(n, 1) : UINT32_MAX;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    ema_state *s = state;
    const ema_params *p = params;
    if (p->half_life > 0 && p->alpha != default_alpha)
        return moe_fail(err, MOE_USAGE,
                        "predictor ema: set alpha or half_life, not both");
    s->alpha = alpha_of(p);
    return moe_shares_even(&s->now, env, err);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    const ema_state *s = state;
    const double *share = s->now.share + layer * s->now.experts;
    double sum = 0; /* 1 except for rounding, which would add up */
    for (int e = 0; e < batch->experts; e++)
        sum += share[e];
    for (int e = 0; e < batch->experts; e++)
        share_out[e] = share[e] / sum;
}

static void observe(void *state, const moe_batch *batch)
{
    ema_state *s = state;
    const double total = (double)batch->tokens * batch->top_k;
    const double alpha = s->begun ? s->alpha : 1;
    double *share = s->now.share;
    for (int i = 0; i < s->now.n_layers * s->now.experts; i++)
        share[i] = (1 - alpha) * share[i] +
                   alpha * (double)batch->true_pairs[i] / total;
    s->begun = true;
}

const moe_predictor moe_predictor_ema = {
    .name = "ema",
    .help = "moving average of past loads, learned while running",
    .sees = MOE_SEES_PAST,
    .opts = options,
    .params_size = sizeof(ema_params),
    .state_size = sizeof(ema_state),
    .forecast = moe_forecast_of_load,
    .init = init,
    .load = load,
    .observe = observe,
    .lookback = lookback,
    .parameters = moe_shares_parameters,
    .fini = moe_shares_fini,
};
