/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* The true future, dimmed by choice: `accuracy: a` gives a share 1 - a of the
 * tokens k experts that are all wrong; `l1: x` moves the true distribution by
 * sum_e |p^ - p| = x, which is the paper's mean_e |p^(e) - p(e)| / (1/E). */

typedef struct {
    double accuracy, l1;
} oracle_params;

static const moe_opt options[] = {
    {.key = "accuracy",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "1",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(oracle_params, accuracy),
     .help = "share of tokens predicted right, the others all wrong"},
    {.key = "l1",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "-1",
     .min = -1,
     .max = 1.99,
     MOE_OPT_AT(oracle_params, l1),
     .help = "error of the distribution, mean |p^ - p| / (1/E); then only the "
             "distribution is foretold, clipped at 2 (1 - min p); -1: off"},
    {.key = NULL}};

typedef struct {
    oracle_params p;
    uint64_t seed;
    int *layers;     /* [n_layers] numbers in the trace */
    uint16_t *order; /* [experts] scratch permutation */
} oracle_state;

static moe_forecast forecast(const void *params)
{
    const oracle_params *p = params;
    return p->l1 >= 0 ? MOE_FORECAST_LOAD : MOE_FORECAST_TOKENS;
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    oracle_state *s = state;
    s->p = *(const oracle_params *)params;
    s->seed = env->seed;
    if (s->p.l1 >= 0 && s->p.accuracy < 1)
        return moe_fail(err, MOE_USAGE,
                        "predictor oracle: set accuracy or l1, not both");
    if (s->p.accuracy < 1 && 2 * env->trace->top_k > env->trace->experts)
        return moe_fail(err, MOE_USAGE,
                        "predictor oracle: accuracy below 1 needs %d wrong "
                        "experts per token, the model has %d",
                        env->trace->top_k,
                        env->trace->experts - env->trace->top_k);
    moe_error local = {0};
    size_t n = (size_t)env->n_layers;
    s->layers = moe_array_new(n, sizeof *s->layers, &local);
    s->order =
        moe_array_new((size_t)env->trace->experts, sizeof *s->order, &local);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    memcpy(s->layers, env->layers, n * sizeof *s->layers);
    return MOE_OK;
}

/* Replace k experts by k distinct ones of which none was there. */
static void make_wrong(uint16_t *token, int k, int experts, moe_rng *rng)
{
    uint16_t wrong[MOE_MAX_TOP_K];
    for (int j = 0; j < k;) {
        uint16_t e = (uint16_t)moe_rng_below(rng, (uint64_t)experts);
        bool taken = false;
        for (int i = 0; i < k; i++)
            taken = taken || token[i] == e || (i < j && wrong[i] == e);
        if (!taken)
            wrong[j++] = e;
    }
    memcpy(token, wrong, (size_t)k * sizeof *token);
}

static void tokens(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out)
{
    const oracle_state *s = state;
    const size_t k = (size_t)batch->top_k, n = batch->own * k;
    memcpy(experts_out, batch->experts_of + (size_t)layer * n,
           n * sizeof *experts_out);
    if (s->p.accuracy >= 1)
        return;
    for (uint32_t t = 0; t < batch->own; t++) {
        moe_rng rng = moe_rng_at(s->seed, MOE_RNG_ORACLE, batch->iteration,
                                 (uint64_t)s->layers[layer], batch->first + t);
        if (moe_rng_unit(&rng) >= s->p.accuracy)
            make_wrong(experts_out + t * k, batch->top_k, batch->experts, &rng);
    }
}

/* Let the smallest share be the last of the order. */
static void smallest_last(const double *p, int experts, uint16_t *order)
{
    int at = 0;
    for (int j = 1; j < experts; j++)
        at = p[order[j]] < p[order[at]] ? j : at;
    uint16_t e = order[at];
    order[at] = order[experts - 1];
    order[experts - 1] = e;
}

/* Take x/2 of the mass from a random set of experts, in proportion, and give
 * it to the others in equal parts: then sum |p^ - p| is exactly x. Half of
 * the experts lose, more if they hold too little; if all but one still do,
 * that one must be the smallest. Beyond 2 (1 - min p), which is the most that
 * two distributions can differ by, x is clipped. */
static void corrupt(double *p, int experts, double x, uint16_t *order,
                    moe_rng *rng)
{
    for (int e = 0; e < experts; e++)
        order[e] = (uint16_t)e;
    moe_rng_shuffle(rng, order, (size_t)experts, sizeof *order);
    double mass = 0.0;
    int n = 0;
    while (n < experts - 1 && (n < experts / 2 || mass < x / 2))
        mass += p[order[n++]];
    if (mass < x / 2) {
        smallest_last(p, experts, order);
        mass = 0.0;
        for (int j = 0; j < n; j++)
            mass += p[order[j]];
    }
    const double kept = x / 2 < mass ? 1.0 - x / 2 / mass : 0.0;
    const double moved = x / 2 < mass ? x / 2 : mass;
    for (int j = 0; j < n; j++)
        p[order[j]] *= kept;
    for (int j = n; j < experts; j++)
        p[order[j]] += moved / (experts - n);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    const oracle_state *s = state;
    const int64_t *pairs = batch->true_pairs + layer * batch->experts;
    const double total = (double)batch->tokens * batch->top_k;
    for (int e = 0; e < batch->experts; e++)
        share_out[e] = (double)pairs[e] / total;
    moe_rng rng = moe_rng_at(s->seed, MOE_RNG_ORACLE, batch->iteration,
                             (uint64_t)s->layers[layer], UINT64_MAX);
    if (s->p.l1 > 0 && batch->experts > 1)
        corrupt(share_out, batch->experts, s->p.l1, s->order, &rng);
}

static void fini(void *state)
{
    oracle_state *s = state;
    free(s->layers);
    free(s->order);
}

const moe_predictor moe_predictor_oracle = {
    .name = "oracle",
    .help = "the true future, corrupted by its accuracy or l1 dial",
    .knows_future = true,
    .opts = options,
    .params_size = sizeof(oracle_params),
    .state_size = sizeof(oracle_state),
    .forecast = forecast,
    .init = init,
    .load = load,
    .tokens = tokens,
    .fini = fini,
};
