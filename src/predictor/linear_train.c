/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "closed_form.h"
#include "linear_model.h"
#include "linear_parts.h"
#include "moegps/mem.h"
#include "neural.h"
#include "ridge.h"

/* Of a feature's variance. Between 1e-4 and 1e-2 recall on gpt-oss-20b's MMLU
 * answers differs by less than 0.001. */
static const double RIDGE = 1e-3;

/* ---- training ---- */

typedef struct {
    const moe_train_env *env;
    moe_neural_task task;
    moe_ngram_census census;
    moe_hidden hidden;
    moe_features features;
    moe_ridge ridge;
    float *x;                            /* [MOE_RIDGE_BLOCK][width] */
    float *y;                            /* [MOE_RIDGE_BLOCK][experts] */
    size_t rows;                         /* in x and y */
    int lookahead[MOE_TRAIN_LOOKAHEADS]; /* one of 0 where none is needed */
    float *weight[MOE_TRAIN_LOOKAHEADS]; /* [layers][width][experts] */
    int n_lookaheads;
} training;

static void share_of(void *arg, uint64_t first, uint64_t token, float *one,
                     float *all)
{
    (void)first;
    moe_ngram_census_share(&((training *)arg)->census, token, one, all);
}

static moe_status allocate(training *t, unsigned sees, moe_learned_part *part,
                           moe_error *err)
{
    const moe_trace *trace = t->env->trace;
    const size_t n_e = (size_t)trace->experts;
    t->features = (moe_features){.trace = trace,
                                 .sees = sees,
                                 .hidden = &t->hidden,
                                 .share = share_of,
                                 .arg = t};
    if (moe_features_init(&t->features, err) != MOE_OK)
        return err->status;
    const size_t width = t->features.width;
    moe_ridge_init(&t->ridge, width, n_e, err);
    t->x = moe_array_new(MOE_RIDGE_BLOCK * width, sizeof *t->x, err);
    t->y = moe_array_new(MOE_RIDGE_BLOCK * n_e, sizeof *t->y, err);
    for (int a = 0; a < t->n_lookaheads; a++)
        t->weight[a] =
            moe_linear_put_weights(part, trace, width, t->lookahead[a], err);
    return moe_linear_note_gates(part, trace, err);
}

static void add_block(training *t, moe_error *err)
{
    moe_ridge_add(&t->ridge, t->x, t->y, t->rows, err);
    memset(t->y, 0, t->rows * (size_t)t->env->trace->experts * sizeof *t->y);
    t->rows = 0;
}

static void add_token(training *t, uint64_t first, uint64_t token,
                      moe_error *err)
{
    const moe_trace *trace = t->env->trace;
    const size_t k = (size_t)trace->top_k, n_e = (size_t)trace->experts;
    const uint16_t *truth = t->census.experts_of + token * k;
    moe_features_row(&t->features, first, token,
                     t->x + t->rows * t->features.width);
    for (size_t j = 0; j < k; j++)
        t->y[t->rows * n_e + truth[j]] = 1;
    if (++t->rows == MOE_RIDGE_BLOCK)
        add_block(t, err);
}

static moe_status fit(training *t, float *weight, moe_error *err)
{
    const moe_trace *trace = t->env->trace;
    moe_ridge_clear(&t->ridge);
    for (uint64_t s = 0; s < trace->n_seqs && err->status == MOE_OK; s++) {
        if (t->task.part[s] != NEURAL_FIT)
            continue;
        moe_ngram_census_leave(&t->census, s);
        for (uint64_t i = trace->seq_offset[s]; i < trace->seq_offset[s + 1];
             i++)
            add_token(t, trace->seq_offset[s], i, err);
        moe_ngram_census_return(&t->census, s);
    }
    add_block(t, err);
    if (err->status == MOE_OK)
        moe_ridge_solve(&t->ridge, RIDGE, weight, err);
    return err->status;
}

static moe_status run(training *t, moe_error *err)
{
    const moe_trace *trace = t->env->trace;
    const size_t n = t->features.width * (size_t)trace->experts;
    for (int l = 0; l < trace->layers; l++) {
        moe_ngram_census_layer(&t->census, l);
        for (int a = 0; a < t->n_lookaheads; a++) {
            float *weight = t->weight[a] + (size_t)l * n;
            t->features.lookahead = t->lookahead[a];
            moe_features_layer(&t->features, l);
            if (fit(t, weight, err) != MOE_OK)
                return err->status;
        }
    }
    return MOE_OK;
}

static void choose_lookaheads(training *t, unsigned sees)
{
    t->n_lookaheads = 1;
    if (!moe_horizon_layers(sees))
        return;
    t->n_lookaheads = t->env->n_lookaheads;
    memcpy(t->lookahead, t->env->lookahead, sizeof t->lookahead);
}

moe_status moe_linear_train(const moe_train_env *env, moe_learned_part *part,
                            moe_error *err)
{
    const unsigned sees = moe_predictor_find(part->predictor)->sees;
    moe_error local = {0};
    training t = {.env = env};
    moe_closed_form_begin(env, part);
    choose_lookaheads(&t, sees);
    if ((sees & MOE_SEES_HIDDEN) != 0)
        moe_hidden_read(&t.hidden, &env->hidden, env->trace, &local);
    if (local.status == MOE_OK &&
        moe_neural_task_init(&t.task, env->trace, env->seed, env->tokens,
                             &local) == MOE_OK &&
        moe_ngram_census_init(&t.census, env->trace, t.task.part, &local) ==
            MOE_OK &&
        allocate(&t, sees, part, &local) == MOE_OK && run(&t, &local) == MOE_OK)
        moe_learned_round(part, env->kept_bits);
    moe_ridge_fini(&t.ridge);
    moe_features_fini(&t.features);
    moe_hidden_fini(&t.hidden);
    moe_ngram_census_fini(&t.census);
    moe_neural_task_fini(&t.task);
    free(t.x);
    free(t.y);
    return moe_closed_form_end(part, &local, err);
}
