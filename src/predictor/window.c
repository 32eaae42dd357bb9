/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* The load of the last iterations, as deployments of EPLB do it: the pairs
 * that they summed up to. Before the first, even shares. */

typedef struct {
    int iterations, history;
} window_params;

static const moe_opt options[] = {
    {.key = "iterations",
     .type = MOE_OPT_INT,
     .unit = "iterations",
     .initial = "8",
     .min = 1,
     .max = 4096,
     MOE_OPT_AT(window_params, iterations),
     .help = "that are looked back on, warm-up included"},
    MOE_HISTORY_OPTION(window_params),
    {.key = NULL}};

typedef struct {
    size_t n; /* layers times experts */
    size_t experts;
    uint64_t length, seen;
    int64_t *past; /* [length][n] pairs, a ring */
    int64_t *sum;  /* [n] of the ring */
} window_state;

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    window_state *s = state;
    moe_error local = {0};
    s->length = (uint64_t)((const window_params *)params)->iterations;
    s->experts = (size_t)env->trace->experts;
    s->n = (size_t)env->n_layers * s->experts;
    s->sum = moe_array_new(s->n, sizeof *s->sum, &local);
    s->past = moe_array_new(s->length * s->n, sizeof *s->past, &local);
    return moe_pass(err, &local);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    const window_state *s = state;
    const size_t n_e = (size_t)batch->experts;
    moe_shares_of_pairs(s->sum + (size_t)layer * n_e, n_e, NULL, share_out);
}

static void observe(void *state, const moe_batch *batch)
{
    window_state *s = state;
    int64_t *oldest = s->past + s->seen++ % s->length * s->n;
    for (size_t i = 0; i < s->n; i++)
        s->sum[i] += batch->true_pairs[i] - oldest[i];
    memcpy(oldest, batch->true_pairs, s->n * sizeof *oldest);
}

static uint64_t lookback(const void *params)
{
    const window_params *p = params;
    return p->history == MOE_HISTORY_NONE ? 0 : (uint64_t)p->iterations;
}

static int past(const void *state, int layer, int most,
                const int64_t **past_out)
{
    const window_state *s = state;
    const uint64_t known = s->seen < s->length ? s->seen : s->length;
    const int n = known < (uint64_t)most ? (int)known : most;
    for (int i = 0; i < n; i++) {
        const uint64_t at = (s->seen - 1 - (uint64_t)i) % s->length;
        past_out[i] = s->past + at * s->n + (size_t)layer * s->experts;
    }
    return n;
}

static size_t parameters(const void *state)
{
    const window_state *s = state;
    return s->length * s->n;
}

static void fini(void *state)
{
    window_state *s = state;
    free(s->past);
    free(s->sum);
}

const moe_predictor moe_predictor_window = {
    .name = "window",
    .help = "load of the last iterations, learned while running",
    .sees = MOE_SEES_PAST,
    .opts = options,
    .params_size = sizeof(window_params),
    .state_size = sizeof(window_state),
    .forecast = moe_forecast_of_load,
    .init = init,
    .load = load,
    .observe = observe,
    .lookback = lookback,
    .past = past,
    .parameters = parameters,
    .fini = fini,
};
