/* SPDX-License-Identifier: Apache-2.0 */
#include "scorer.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

enum { CHOICES, PROBABILITIES };
enum { FITTED, RAW };

const char *const moe_scorer_collects[] = {
    [CHOICES] = "choices", [PROBABILITIES] = "probabilities", NULL};

const char *const moe_scorer_makes[] = {
    [FITTED] = "fitted", [RAW] = "raw", NULL};

typedef struct {
    moe_scorer_params scorer;
} own_params;

const moe_opt moe_scorer_options[] = {MOE_SCORER_OPTIONS(own_params, scorer),
                                      {.key = NULL}};

moe_status moe_scorer_init(moe_scorer *s, const moe_predictor_env *env,
                           const moe_scorer_params *params, moe_error *err)
{
    s->experts = env->trace->experts;
    s->top_k = env->trace->top_k;
    s->probabilities = params->collects == PROBABILITIES;
    s->score = moe_array_new((size_t)env->max_own * (size_t)s->experts,
                             sizeof *s->score, err);
    s->scratch =
        moe_array_new((size_t)s->experts * MOE_LANES, sizeof *s->scratch, err);
    s->layers = env->layers;
    if (params->probabilities == FITTED)
        moe_calibration_find(env, &s->calibration, err);
    if (err->status == MOE_OK)
        moe_leads_init(&s->leads, env, err);
    return err->status;
}

void moe_scorer_fini(moe_scorer *s)
{
    moe_leads_fini(&s->leads);
    free(s->score);
    free(s->scratch);
}

/* @param choice  NULL: not wanted */
static void ask(moe_scorer *s, const moe_batch *batch, int layer,
                uint16_t *choice)
{
    const moe_score_job job = {
        .experts = s->experts,
        .top_k = s->top_k,
        .logits = s->logits,
        .map = moe_calibration_of(&s->calibration, s->layers[layer]),
        .scratch = s->scratch};
    s->fill(s, batch, layer);
    moe_score_settle(&job, s->score, batch->own, choice);
}

void moe_scorer_fill(moe_scorer *s, const moe_batch *batch, int layer)
{
    ask(s, batch, layer, NULL);
}

void moe_scorer_tokens(void *state, const moe_batch *batch, int layer,
                       uint16_t *experts_out)
{
    moe_scorer *s = state;
    ask(s, batch, layer, experts_out);
    moe_leads_put_first(&s->leads, layer, batch->token_id, s->score, batch->own,
                        experts_out);
}

bool moe_scorer_expect(void *state, const moe_batch *batch, int layer,
                       uint64_t *load_out)
{
    const moe_scorer *s = state;
    (void)layer;
    if (!s->probabilities)
        return false;
    memset(load_out, 0, (size_t)s->experts * sizeof *load_out);
    moe_score_load(s->score, batch->own, s->experts, s->top_k, load_out);
    return true;
}

const float *moe_scorer_scores(const void *state)
{
    return ((const moe_scorer *)state)->score;
}
