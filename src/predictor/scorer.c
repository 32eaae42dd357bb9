/* SPDX-License-Identifier: Apache-2.0 */
#include "scorer.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

enum { CHOICES, PROBABILITIES };

const char *const moe_scorer_collects[] = {
    [CHOICES] = "choices", [PROBABILITIES] = "probabilities", NULL};

const moe_opt moe_scorer_options[] = {
    MOE_SCORER_COLLECTS(moe_scorer_params, collects), {.key = NULL}};

moe_status moe_scorer_init(moe_scorer *s, const moe_predictor_env *env,
                           const moe_scorer_params *params, moe_error *err)
{
    s->experts = env->trace->experts;
    s->top_k = env->trace->top_k;
    s->probabilities = params->collects == PROBABILITIES;
    s->score = moe_array_new((size_t)env->max_own * (size_t)s->experts,
                             sizeof *s->score, err);
    return err->status;
}

void moe_scorer_fini(moe_scorer *s)
{
    free(s->score);
}

void moe_score_choose(const float *score, size_t rows, int experts, int k,
                      uint16_t *out)
{
    for (size_t r = 0; r < rows; r++, score += experts, out += k) {
        int have = 0;
        for (int e = 0; e < experts; e++) {
            int at = have;
            while (at > 0 && score[out[at - 1]] < score[e])
                at--;
            if (at == k)
                continue;
            have += have < k;
            memmove(out + at + 1, out + at,
                    (size_t)(have - at - 1) * sizeof *out);
            out[at] = (uint16_t)e;
        }
    }
}

void moe_score_normalise(float *score, int experts, int k)
{
    float sum = 0;
    for (int e = 0; e < experts; e++) {
        score[e] = score[e] > 0 ? score[e] : 0; /* NaN, too, is nothing */
        score[e] = score[e] < 1 ? score[e] : 1;
        sum += score[e];
    }
    for (int e = 0; e < experts; e++)
        score[e] =
            sum > 0 ? score[e] * ((float)k / sum) : (float)k / (float)experts;
}

static void normalise(const moe_scorer *s, const moe_batch *batch)
{
    for (uint32_t t = 0; t < batch->own; t++)
        moe_score_normalise(s->score + t * (size_t)s->experts, s->experts,
                            s->top_k);
}

void moe_scorer_fill(moe_scorer *s, const moe_batch *batch, int layer)
{
    s->fill(s, batch, layer);
    normalise(s, batch);
}

void moe_scorer_tokens(void *state, const moe_batch *batch, int layer,
                       uint16_t *experts_out)
{
    const moe_scorer *s = state;
    s->fill(state, batch, layer);
    moe_score_choose(s->score, batch->own, s->experts, s->top_k, experts_out);
    normalise(s, batch);
}

/* A token's pairs as integers that sum to k; what rounding leaves is the
 * likeliest expert's. */
static void add_token(const float *score, int experts, int k, uint64_t *load)
{
    int64_t left = k * (int64_t)MOE_LOAD_ONE;
    int best = 0;
    for (int e = 0; e < experts; e++) {
        const int64_t part = (int64_t)((double)score[e] * MOE_LOAD_ONE);
        load[e] += (uint64_t)part;
        left -= part;
        best = score[e] > score[best] ? e : best;
    }
    load[best] += (uint64_t)left;
}

bool moe_scorer_expect(void *state, const moe_batch *batch, int layer,
                       uint64_t *load_out)
{
    const moe_scorer *s = state;
    (void)layer;
    if (!s->probabilities)
        return false;
    memset(load_out, 0, (size_t)s->experts * sizeof *load_out);
    for (uint32_t t = 0; t < batch->own; t++)
        add_token(s->score + t * (size_t)s->experts, s->experts, s->top_k,
                  load_out);
    return true;
}

const float *moe_scorer_scores(const void *state)
{
    return ((const moe_scorer *)state)->score;
}

const moe_learned_part *moe_learned_part_for(const char *name,
                                             const moe_predictor_env *env,
                                             moe_error *err)
{
    if (env->learned == NULL) {
        moe_fail(err, MOE_USAGE,
                 "predictor %s: needs what training made: say `load: FILE`, "
                 "and make one with `moegps train --trace TRACE --predictors "
                 "%s -o FILE`",
                 name, name);
        return NULL;
    }
    const moe_learned_part *part = moe_learned_find(env->learned, name);
    moe_error local = {0};
    if (part == NULL)
        moe_fail(&local, MOE_USAGE, "the predictor file has none of this name");
    else
        moe_learned_check(env->learned, env->trace, &local);
    if (local.status == MOE_OK)
        return part;
    moe_fail(err, local.status, "predictor %s: %s", name, local.text);
    return NULL;
}
