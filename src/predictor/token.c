/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* The experts that tokens of the same id visited most in training; rare ids
 * lean on all tokens, unseen ones are foretold as all tokens are. */

typedef struct {
    double prior;
    int collects;
} token_params;

static const moe_opt options[] = {
    {.key = "prior",
     .type = MOE_OPT_REAL,
     .unit = "tokens",
     .initial = "0.5",
     .min = 0,
     .max = 1e9,
     MOE_OPT_AT(token_params, prior),
     .help = "weight of all tokens beside those of the same id"},
    PREDICTOR_COLLECTS(token_params, collects),
    {.key = NULL}};

typedef struct {
    moe_predictor_table table;
    int collects;
} token_state;

static moe_forecast forecast(const void *params)
{
    (void)params;
    return MOE_FORECAST_TOKENS;
}

static uint32_t token_key(const moe_trace *trace, uint64_t token)
{
    return trace->token_id[token];
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    token_state *s = state;
    const token_params *p = params;
    const moe_trace *t = env->trace;
    const moe_predictor_keys keys = {"token", t->vocab_size, token_key};
    s->collects = p->collects;
    if (t->kind == MOE_TRACE_TOKENS && t->vocab_size == 0)
        return moe_fail(err, MOE_USAGE,
                        "predictor token: the trace has no token ids");
    return moe_predictor_table_make(env, &keys, p->prior, &s->table, err);
}

static void tokens(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out)
{
    const moe_predictor_table *table = &((const token_state *)state)->table;
    for (uint32_t t = 0; t < batch->own; t++)
        predictor_table_choose(table, layer, table->row_of[batch->token_id[t]],
                               experts_out + t * (size_t)batch->top_k);
}

static bool expect(void *state, const moe_batch *batch, int layer,
                   uint64_t *load_out)
{
    const token_state *s = state;
    if (s->collects != PREDICTOR_PROBABILITIES)
        return false;
    memset(load_out, 0, (size_t)batch->experts * sizeof *load_out);
    for (uint32_t t = 0; t < batch->own; t++)
        moe_predictor_table_expect(
            &s->table, layer, s->table.row_of[batch->token_id[t]], load_out);
    return true;
}

static int work(const void *state, double n_tokens, double sequences,
                moe_gemm_run *runs_out)
{
    (void)sequences;
    return moe_predictor_lookup_work(((const token_state *)state)->table.top_k,
                                     n_tokens, runs_out);
}

static size_t parameters(const void *state)
{
    return moe_predictor_table_numbers(&((const token_state *)state)->table);
}

static void fini(void *state)
{
    moe_predictor_table_fini(&((token_state *)state)->table);
}

const moe_predictor moe_predictor_token = {
    .name = "token",
    .help = "experts that tokens of the same id visited in training",
    .opts = options,
    .params_size = sizeof(token_params),
    .state_size = sizeof(token_state),
    .forecast = forecast,
    .init = init,
    .tokens = tokens,
    .expect = expect,
    .work = work,
    .parameters = parameters,
    .fini = fini,
};
