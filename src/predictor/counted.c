/* SPDX-License-Identifier: Apache-2.0 */
#include "counts.h"
#include "internal.h"

#include <string.h>

/* Token predictors that look each token up in a table of counts. They differ
 * in what tells tokens apart:
 *   frequency  nothing: every token visits the experts that most tokens of
 *              the training part visited, which any other must beat
 *   token      its id
 *   position   its place in the text: places 0..15 one by one, then four bins
 *              per octave, as long texts leave few tokens at any one place */

enum { CHOICES, PROBABILITIES };

typedef struct {
    double prior;
    int collects;
} counted_params;

#define COLLECTS                                                            \
    {                                                                       \
        .key = "collects", .type = MOE_OPT_ENUM, .initial = "choices",      \
        .choices = collects, MOE_OPT_AT(counted_params, collects),          \
        .help = "what the planner sees: counts of the choices, or sums of " \
                "probabilities"                                             \
    }
#define PRIOR(default_, help_)                                  \
    {                                                           \
        .key = "prior", .type = MOE_OPT_REAL, .unit = "tokens", \
        .initial = default_, .min = 0, .max = 1e9,              \
        MOE_OPT_AT(counted_params, prior), .help = help_        \
    }

static const char *const collects[] = {
    [CHOICES] = "choices", [PROBABILITIES] = "probabilities", NULL};

static const moe_opt frequency_options[] = {COLLECTS, {.key = NULL}};
static const moe_opt token_options[] = {
    PRIOR("0.5", "weight of all tokens beside those of the same id"),
    COLLECTS,
    {.key = NULL}};
static const moe_opt position_options[] = {
    PRIOR("1", "weight of all tokens beside those at like places"),
    COLLECTS,
    {.key = NULL}};

typedef struct {
    moe_counts counts;
    moe_token_kinds kinds;
    int collects;
} counted_state;

/* ---- what tells tokens apart ---- */

static uint32_t id_of(const uint32_t *token_id, const int32_t *position,
                      uint64_t i)
{
    (void)position;
    return token_id[i];
}

enum { SINGLE = 16, BINS = 4, OCTAVES = 27, N_BINS = SINGLE + BINS * OCTAVES };

static uint32_t bin_of(const uint32_t *token_id, const int32_t *position,
                       uint64_t i)
{
    (void)token_id;
    const uint32_t p = (uint32_t)position[i];
    if (p < SINGLE)
        return p;
    const uint32_t octave = 31u - (uint32_t)__builtin_clz(p); /* 4..30 */
    const uint32_t part = (p >> (octave - 2)) & (BINS - 1);
    return SINGLE + BINS * (octave - 4) + part;
}

/* ---- hooks ---- */

static moe_status init(counted_state *s, const moe_predictor_env *env,
                       const counted_params *p, moe_token_kinds kinds,
                       moe_error *err)
{
    s->kinds = kinds;
    s->collects = p->collects;
    return moe_counts_init(&s->counts, env, &kinds, p->prior, err);
}

static moe_status init_frequency(void *state, const moe_predictor_env *env,
                                 const void *params, moe_error *err)
{
    return init(state, env, params, (moe_token_kinds){.name = "frequency"},
                err);
}

static moe_status init_token(void *state, const moe_predictor_env *env,
                             const void *params, moe_error *err)
{
    return init(state, env, params,
                (moe_token_kinds){.name = "token",
                                  .needs = "token ids",
                                  .n_kinds = env->trace->vocab_size,
                                  .kind = id_of},
                err);
}

static moe_status init_position(void *state, const moe_predictor_env *env,
                                const void *params, moe_error *err)
{
    return init(
        state, env, params,
        (moe_token_kinds){.name = "position",
                          .needs = "positions",
                          .n_kinds = env->trace->has_position ? N_BINS : 0,
                          .kind = bin_of},
        err);
}

static size_t row_of(const counted_state *s, const moe_batch *batch, uint32_t t)
{
    return s->counts.row_of == NULL ? 0
                                    : s->counts.row_of[s->kinds.kind(
                                          batch->token_id, batch->position, t)];
}

static void tokens(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out)
{
    const counted_state *s = state;
    for (uint32_t t = 0; t < batch->own; t++)
        moe_counts_choose(&s->counts, layer, row_of(s, batch, t),
                          experts_out + t * (size_t)batch->top_k);
}

static bool expect(void *state, const moe_batch *batch, int layer,
                   uint64_t *load_out)
{
    const counted_state *s = state;
    if (s->collects != PROBABILITIES)
        return false;
    memset(load_out, 0, (size_t)batch->experts * sizeof *load_out);
    for (uint32_t t = 0; t < batch->own; t++)
        moe_counts_expect(&s->counts, layer, row_of(s, batch, t), load_out);
    return true;
}

static int work(const void *state, double n_tokens, double sequences,
                moe_gemm_run *runs_out)
{
    (void)sequences;
    const int k = ((const counted_state *)state)->counts.top_k;
    runs_out[0] = (moe_gemm_run){{.m = n_tokens, .n = k, .k = 1}, 1};
    return 1;
}

static size_t parameters(const void *state)
{
    return moe_counts_numbers(&((const counted_state *)state)->counts);
}

static void fini(void *state)
{
    moe_counts_fini(&((counted_state *)state)->counts);
}

#define COUNTED_HOOKS                                                        \
    .params_size = sizeof(counted_params),                                   \
    .state_size = sizeof(counted_state), .forecast = moe_forecast_of_tokens, \
    .tokens = tokens, .expect = expect, .parameters = parameters, .fini = fini

/* Without a look-up: what it says is the same for every token. */
const moe_predictor moe_predictor_frequency = {
    .name = "frequency",
    .help = "for every token the experts that most tokens visit",
    .opts = frequency_options,
    .init = init_frequency,
    COUNTED_HOOKS,
};

const moe_predictor moe_predictor_token = {
    .name = "token",
    .help = "experts that tokens of the same id visited in training",
    .sees = MOE_SEES_IDS,
    .opts = token_options,
    .init = init_token,
    .work = work,
    COUNTED_HOOKS,
};

const moe_predictor moe_predictor_position = {
    .name = "position",
    .help = "experts that tokens at like places visited in training",
    .sees = MOE_SEES_PLACES,
    .opts = position_options,
    .init = init_position,
    .work = work,
    COUNTED_HOOKS,
};
