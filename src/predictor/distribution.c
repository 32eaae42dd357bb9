/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

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

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    moe_shares *s = state;
    const double smoothing = ((const distribution_params *)params)->smoothing;
    const moe_status status = moe_shares_init(s, env, smoothing, err);
    if (status != MOE_OK || s->trained)
        return status;
    return moe_fail(err, MOE_USAGE,
                    "predictor distribution: the trace's training part is "
                    "empty");
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    (void)batch;
    const moe_shares *s = state;
    memcpy(share_out, s->share + (size_t)layer * (size_t)s->experts,
           (size_t)s->experts * sizeof *share_out);
}

const moe_predictor moe_predictor_distribution = {
    .name = "distribution",
    .help = "shares of the training part (the paper's Distribution-Only)",
    .opts = options,
    .params_size = sizeof(distribution_params),
    .state_size = sizeof(moe_shares),
    .constant = true,
    .forecast = moe_forecast_of_load,
    .init = init,
    .load = load,
    .parameters = moe_shares_parameters,
    .fini = moe_shares_fini,
};
