/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* The paper's Distribution-Only: the multinomial maximum likelihood estimate
 * p_l(e) = n_l(e) / N_l from the training part (MoE-GPS, arXiv 2506.07366,
 * section 3.2), with optional Dirichlet smoothing. */

typedef struct {
    double smoothing;
} distribution_params;

static const moe_opt options[] = {
    {.key = "smoothing",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1e12,
     MOE_OPT_AT(distribution_params, smoothing),
     .help = "pairs added to every expert's count (Dirichlet prior)"},
    {.key = NULL}};

typedef struct {
    int n_layers, experts;
    double *share; /* [n_layers][experts] */
} distribution_state;

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_LOAD;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    distribution_state *s = state;
    const double smoothing = ((const distribution_params *)params)->smoothing;
    const size_t n_e = (size_t)env->trace->experts;
    moe_error local = {0};
    uint64_t *counts = moe_array_new(n_e, sizeof *counts, &local);
    s->n_layers = env->n_layers;
    s->experts = env->trace->experts;
    s->share =
        moe_array_new((size_t)env->n_layers * n_e, sizeof *s->share, &local);
    for (int l = 0; l < env->n_layers && local.status == MOE_OK; l++) {
        moe_trace_counts(env->trace, MOE_PART_TRAIN, env->layers[l], counts);
        double total = 0;
        for (size_t e = 0; e < n_e; e++)
            total += (double)counts[e] + smoothing;
        if (total <= 0)
            moe_fail(&local, MOE_USAGE,
                     "predictor distribution: the trace's training part is "
                     "empty");
        for (size_t e = 0; e < n_e && total > 0; e++)
            s->share[(size_t)l * n_e + e] =
                ((double)counts[e] + smoothing) / total;
    }
    free(counts);
    return moe_pass(err, &local);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    (void)batch;
    const distribution_state *s = state;
    memcpy(share_out, s->share + (size_t)layer * (size_t)s->experts,
           (size_t)s->experts * sizeof *share_out);
}

static size_t parameters(const void *state)
{
    const distribution_state *s = state;
    return (size_t)s->n_layers * (size_t)s->experts;
}

static void fini(void *state)
{
    free(((distribution_state *)state)->share);
}

const moe_predictor moe_predictor_distribution = {
    .name = "distribution",
    .help = "shares of the training part (the paper's Distribution-Only)",
    .opts = options,
    .params_size = sizeof(distribution_params),
    .state_size = sizeof(distribution_state),
    .forecast = forecast,
    .init = init,
    .load = load,
    .parameters = parameters,
    .fini = fini,
};
