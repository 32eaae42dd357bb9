/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

/* Exponential moving average of the shares of past iterations:
 * p <- (1 - alpha) p + alpha q. It begins with the shares of the training
 * part; where there is none, with the first iteration's. */

typedef struct {
    double alpha, half_life;
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
    {.key = NULL}};

typedef struct {
    int n_layers, experts;
    double alpha;
    bool begun;    /* share holds something worth keeping */
    double *share; /* [n_layers][experts] */
} ema_state;

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_LOAD;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    ema_state *s = state;
    const ema_params *p = params;
    moe_error local = {0};
    bool empty = false;
    if (p->half_life > 0 && p->alpha != default_alpha)
        return moe_fail(err, MOE_USAGE,
                        "predictor ema: set alpha or half_life, not both");
    s->alpha = p->half_life > 0 ? 1 - exp2(-1 / p->half_life) : p->alpha;
    s->n_layers = env->n_layers;
    s->experts = env->trace->experts;
    s->share = moe_array_new((size_t)s->n_layers * (size_t)s->experts,
                             sizeof *s->share, &local);
    for (int l = 0; l < env->n_layers && local.status == MOE_OK; l++)
        moe_predictor_train_shares(env, l, s->share + l * s->experts, &empty,
                                   &local);
    s->begun = !empty;
    return moe_pass(err, &local);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    const ema_state *s = state;
    const double *share = s->share + layer * s->experts;
    double sum = 0; /* 1 but for rounding, which would pile up */
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
    for (int i = 0; i < s->n_layers * s->experts; i++)
        s->share[i] = (1 - alpha) * s->share[i] +
                      alpha * (double)batch->true_pairs[i] / total;
    s->begun = true;
}

static size_t parameters(const void *state)
{
    const ema_state *s = state;
    return (size_t)s->n_layers * (size_t)s->experts;
}

static void fini(void *state)
{
    free(((ema_state *)state)->share);
}

const moe_predictor moe_predictor_ema = {
    .name = "ema",
    .help = "moving average of past loads, learned while running",
    .opts = options,
    .params_size = sizeof(ema_params),
    .state_size = sizeof(ema_state),
    .forecast = forecast,
    .init = init,
    .load = load,
    .observe = observe,
    .parameters = parameters,
    .fini = fini,
};
