/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* Every token visits the k experts that most training tokens visited: what a
 * token predictor must beat. */

typedef struct {
    int collects;
} frequency_params;

static const moe_opt options[] = {
    PREDICTOR_COLLECTS(frequency_params, collects), {.key = NULL}};

typedef struct {
    moe_predictor_table table;
    int collects;
} frequency_state;

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_TOKENS;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    frequency_state *s = state;
    const moe_predictor_keys keys = {.name = "frequency"};
    s->collects = ((const frequency_params *)params)->collects;
    return moe_predictor_table_make(env, &keys, 0, &s->table, err);
}

static void tokens(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out)
{
    const frequency_state *s = state;
    for (uint32_t t = 0; t < batch->own; t++)
        predictor_table_choose(&s->table, layer, 0,
                               experts_out + t * (size_t)batch->top_k);
}

static bool expect(void *state, const moe_batch *batch, int layer,
                   uint64_t *load_out)
{
    const frequency_state *s = state;
    if (s->collects != PREDICTOR_PROBABILITIES)
        return false;
    memset(load_out, 0, (size_t)batch->experts * sizeof *load_out);
    for (uint32_t t = 0; t < batch->own; t++)
        moe_predictor_table_expect(&s->table, layer, 0, load_out);
    return true;
}

static size_t parameters(const void *state)
{
    return moe_predictor_table_numbers(
        &((const frequency_state *)state)->table);
}

static void fini(void *state)
{
    moe_predictor_table_fini(&((frequency_state *)state)->table);
}

const moe_predictor moe_predictor_frequency = {
    .name = "frequency",
    .help = "for every token the experts that most tokens visit",
    .opts = options,
    .params_size = sizeof(frequency_params),
    .state_size = sizeof(frequency_state),
    .forecast = forecast,
    .init = init,
    .tokens = tokens,
    .expect = expect,
    .parameters = parameters,
    .fini = fini,
};
