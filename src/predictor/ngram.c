/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "closed_form.h"
#include "internal.h"
#include "lanes.h"
#include "moegps/mem.h"
#include "neural.h"
#include "ngrams.h"
#include "scorer.h"
#include "walk.h"

/* What tokens visited after the same one, two and three ids. */

typedef struct {
    moe_scorer base;
    const moe_trace *trace; /* borrowed */
    moe_ngrams grams;
    moe_mark mark;
    uint32_t (*row)[MOE_NGRAM_ORDERS]; /* [max_own] of the marked batch */
    float *one;                        /* [experts] scratch */
} ngram_state;

/* Ids do not change from layer to layer. */
static void find_rows(ngram_state *s, const moe_batch *batch)
{
    moe_walk w = moe_walk_of(s->trace, batch);
    for (uint32_t t = 0; t < batch->own; t++)
        moe_ngram_index_find(&s->grams.index, s->trace, moe_walk_first(&w, t),
                             batch->id[t], s->row[t]);
}

static void fill(void *state, const moe_batch *batch, int layer)
{
    ngram_state *s = state;
    if (!moe_mark_holds(&s->mark, batch, layer))
        find_rows(s, batch);
    for (uint32_t t = 0; t < batch->own; t++) {
        if (t + 2 * MOE_FETCH_AHEAD < batch->own)
            moe_ngrams_fetch(&s->grams, layer, s->row[t + 2 * MOE_FETCH_AHEAD],
                             false);
        if (t + MOE_FETCH_AHEAD < batch->own)
            moe_ngrams_fetch(&s->grams, layer, s->row[t + MOE_FETCH_AHEAD],
                             true);
        moe_ngrams_share(&s->grams, layer, s->row[t], s->one,
                         s->base.score + t * (size_t)batch->experts);
    }
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    ngram_state *s = state;
    moe_error local = {0};
    s->trace = env->trace;
    s->base.fill = fill;
    const moe_learned_part *part = moe_learned_part_for("ngram", env, &local);
    if (part != NULL &&
        moe_scorer_init(&s->base, env, params, &local) == MOE_OK)
        moe_ngrams_init(&s->grams, env, part, &local);
    s->one = moe_array_new((size_t)env->trace->experts, sizeof *s->one, &local);
    s->row = moe_array_new(env->max_own, sizeof *s->row, &local);
    return moe_pass(err, &local);
}

/* A row of each order is fetched and scaled. */
static int work(const void *state, double n, double sequences,
                moe_gemm_run *runs_out)
{
    const ngram_state *s = state;
    (void)sequences;
    runs_out[0] =
        (moe_gemm_run){{n, s->base.experts, 1, false}, MOE_NGRAM_ORDERS};
    return 1;
}

static size_t parameters(const void *state)
{
    return ((const ngram_state *)state)->grams.numbers;
}

static void fini(void *state)
{
    ngram_state *s = state;
    moe_scorer_fini(&s->base);
    moe_ngrams_fini(&s->grams);
    free(s->one);
    free(s->row);
}

static moe_status train(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err)
{
    moe_error local = {0};
    moe_neural_task task = {.trace = NULL};
    moe_ngram_census c = {.trace = NULL};
    moe_closed_form_begin(env, part);
    if (moe_neural_task_init(&task, env->trace, env->seed, env->tokens,
                             &local) == MOE_OK &&
        moe_ngram_census_init(&c, env->trace, task.part, &local) == MOE_OK)
        moe_ngram_census_write(&c, part, &local);
    moe_ngram_census_fini(&c);
    moe_neural_task_fini(&task);
    return moe_closed_form_end(part, &local, err);
}

const moe_predictor moe_predictor_ngram = {
    .name = "ngram",
    .help = "experts that tokens with the same last ids visited in training, "
            "three, two or one",
    .sees = MOE_SEES_IDS,
    .opts = moe_scorer_options,
    .params_size = sizeof(moe_scorer_params),
    .state_size = sizeof(ngram_state),
    .init = init,
    MOE_SCORER_HOOKS,
    .work = work,
    .parameters = parameters,
    .train = train,
    .train_epochs = 1,
    .fini = fini,
};
