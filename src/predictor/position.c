/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* The experts that tokens at like places of their texts visited most in
 * training: places 0..15 one by one, then four bins per octave. */

enum { SINGLE = 16, BINS = 4, OCTAVES = 27, N_BINS = SINGLE + BINS * OCTAVES };

typedef struct {
    double prior;
    int collects;
} position_params;

static const moe_opt options[] = {
    {.key = "prior",
     .type = MOE_OPT_REAL,
     .unit = "tokens",
     .initial = "1",
     .min = 0,
     .max = 1e9,
     MOE_OPT_AT(position_params, prior),
     .help = "weight of all tokens beside those at like places"},
    PREDICTOR_COLLECTS(position_params, collects),
    {.key = NULL}};

typedef struct {
    moe_predictor_table table;
    int collects;
} position_state;

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_TOKENS;
}

/* @return the bin of a place, 0..N_BINS-1. */
static uint32_t bin_of(int32_t position)
{
    const uint32_t p = (uint32_t)position;
    if (p < SINGLE)
        return p;
    const uint32_t octave = 31u - (uint32_t)__builtin_clz(p); /* 4..30 */
    const uint32_t part = (p >> (octave - 2)) & (BINS - 1);
    return SINGLE + BINS * (octave - 4) + part;
}

static uint32_t position_key(const moe_trace *trace, uint64_t token)
{
    return bin_of(trace->position[token]);
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    position_state *s = state;
    const position_params *p = params;
    const moe_trace *t = env->trace;
    const moe_predictor_keys keys = {"position", N_BINS, position_key};
    s->collects = p->collects;
    if (t->kind == MOE_TRACE_TOKENS && !t->has_position)
        return moe_fail(err, MOE_USAGE,
                        "predictor position: the trace has no positions");
    return moe_predictor_table_make(env, &keys, p->prior, &s->table, err);
}

static void tokens(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out)
{
    const moe_predictor_table *table = &((const position_state *)state)->table;
    for (uint32_t t = 0; t < batch->own; t++)
        predictor_table_choose(table, layer,
                               table->row_of[bin_of(batch->position[t])],
                               experts_out + t * (size_t)batch->top_k);
}

static bool expect(void *state, const moe_batch *batch, int layer,
                   uint64_t *load_out)
{
    const position_state *s = state;
    if (s->collects != PREDICTOR_PROBABILITIES)
        return false;
    memset(load_out, 0, (size_t)batch->experts * sizeof *load_out);
    for (uint32_t t = 0; t < batch->own; t++)
        moe_predictor_table_expect(&s->table, layer,
                                   s->table.row_of[bin_of(batch->position[t])],
                                   load_out);
    return true;
}

static int work(const void *state, double n_tokens, double sequences,
                moe_gemm_run *runs_out)
{
    (void)sequences;
    return moe_predictor_lookup_work(
        ((const position_state *)state)->table.top_k, n_tokens, runs_out);
}

static size_t parameters(const void *state)
{
    return moe_predictor_table_numbers(&((const position_state *)state)->table);
}

static void fini(void *state)
{
    moe_predictor_table_fini(&((position_state *)state)->table);
}

const moe_predictor moe_predictor_position = {
    .name = "position",
    .help = "experts that tokens at like places visited in training",
    .opts = options,
    .params_size = sizeof(position_params),
    .state_size = sizeof(position_state),
    .forecast = forecast,
    .init = init,
    .tokens = tokens,
    .expect = expect,
    .work = work,
    .parameters = parameters,
    .fini = fini,
};
