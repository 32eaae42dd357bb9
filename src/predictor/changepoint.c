/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* All pairs since traffic last changed. An iteration that is further from the
 * forecast than `threshold` times what iterations have usually been (a running
 * mean of their distances) is a change: all before it is forgotten. Until the
 * first iteration the forecast is that of the training part. */

typedef struct {
    double threshold;
} changepoint_params;

static const moe_opt options[] = {
    {.key = "threshold",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "1.5",
     .min = 1,
     .max = 1e6,
     MOE_OPT_AT(changepoint_params, threshold),
     .help = "times the usual distance of an iteration that means that traffic "
             "has changed"},
    {.key = NULL}};

static const double NEWEST = 0.2; /* weight in the running mean of distances */

typedef struct {
    moe_shares before; /* of the training part */
    int64_t *sum;      /* [n_layers][experts] pairs since the last change */
    double threshold;
    double usual; /* distance of an iteration, mean over layers; 0: not known */
    uint64_t since; /* iterations since the last change */
} changepoint_state;

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    changepoint_state *s = state;
    moe_error local = {0};
    s->threshold = ((const changepoint_params *)params)->threshold;
    s->sum = moe_array_new((size_t)env->n_layers * (size_t)env->trace->experts,
                           sizeof *s->sum, &local);
    moe_shares_init(&s->before, env, 0, &local);
    return moe_pass(err, &local);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    const changepoint_state *s = state;
    const size_t n_e = (size_t)batch->experts, at = (size_t)layer * n_e;
    moe_shares_of_pairs(s->sum + at, n_e, s->before.share + at, share_out);
}

/* sum |p - q|, mean over layers, of the forecast and what came. */
static double distance(const changepoint_state *s, const moe_batch *batch)
{
    const size_t n_e = (size_t)batch->experts;
    const double pairs = (double)batch->tokens * batch->top_k;
    double apart = 0;
    for (size_t l = 0; l < (size_t)batch->layers; l++) {
        double total = 0;
        for (size_t e = 0; e < n_e; e++)
            total += (double)s->sum[l * n_e + e];
        for (size_t e = 0; e < n_e; e++)
            apart += fabs((double)s->sum[l * n_e + e] / total -
                          (double)batch->true_pairs[l * n_e + e] / pairs);
    }
    return apart / batch->layers;
}

static void observe(void *state, const moe_batch *batch)
{
    changepoint_state *s = state;
    const size_t n = (size_t)batch->layers * (size_t)batch->experts;
    const double apart = s->since > 0 ? distance(s, batch) : 0;
    if (s->usual > 0 && apart > s->threshold * s->usual) {
        memset(s->sum, 0, n * sizeof *s->sum);
        s->since = 0;
    } else if (s->since > 0) {
        s->usual =
            s->usual > 0 ? (1 - NEWEST) * s->usual + NEWEST * apart : apart;
    }
    for (size_t i = 0; i < n; i++)
        s->sum[i] += batch->true_pairs[i];
    s->since++;
}

static void fini(void *state)
{
    moe_shares_fini(state);
    free(((changepoint_state *)state)->sum);
}

const moe_predictor moe_predictor_changepoint = {
    .name = "changepoint",
    .help = "loads since traffic last changed, learned while running",
    .sees = MOE_SEES_PAST,
    .opts = options,
    .params_size = sizeof(changepoint_params),
    .state_size = sizeof(changepoint_state),
    .forecast = moe_forecast_of_load,
    .init = init,
    .load = load,
    .observe = observe,
    .parameters = moe_shares_parameters,
    .fini = fini,
};
