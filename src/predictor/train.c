/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "moegps/clock.h"
#include "moegps/mem.h"
#include "neural.h"
#include "scorer.h"

/* Training, and what is learned from the sequences that it kept back: maps from
 * scores to probabilities, and how good the predictor is. */

typedef struct {
    const moe_predictor *predictor;
    const moe_train_env *env;
    moe_predictor_env as; /* of the predictor in use */
    moe_batch batch;      /* the tokens that were kept back */
    int *layers;          /* [layers] all */
    void *params;
    moe_learned_part *part;
} after;

static moe_scorer *open_predictor(const after *a, moe_error *err)
{
    return moe_predictor_new(a->predictor, &a->as, a->params, err);
}

/* The predictor that scores must not have the maps that are fitted. */
static void fit_maps(const after *a, moe_error *err)
{
    const size_t n = a->batch.own * (size_t)a->batch.experts;
    float *scratch = moe_array_new(n, sizeof *scratch, err);
    moe_scorer *s = err->status == MOE_OK ? open_predictor(a, err) : NULL;
    moe_predictor_env as = a->as;
    moe_calibration maps;
    as.self = a->predictor;
    if (s != NULL && moe_calibration_put(&as, a->part, &maps, err) == MOE_OK)
        for (int l = 0; l < as.n_layers; l++) {
            const moe_score_job job = {.experts = s->experts,
                                       .top_k = s->top_k,
                                       .logits = s->logits,
                                       .scratch = s->scratch};
            s->fill(s, &a->batch, l);
            moe_score_open(&job, s->score, a->batch.own);
            moe_calibration_fit(
                &(moe_calibration_data){as.trace, &a->batch, s->score, scratch},
                l, &job, &maps);
        }
    moe_predictor_free(a->predictor, s);
    free(scratch);
}

enum { LOSS, RECALL, TOP1, N_POINTS };

/* Loss of a token: - sum_j log(p(e_j) / k) / k, shares below 1e-4 of it
 * counting as that. */
static void score_layer(const after *a, int layer, const float *p,
                        const uint16_t *said, double *sum)
{
    const moe_trace *t = a->env->trace;
    const size_t k = (size_t)t->top_k, n_e = (size_t)t->experts;
    for (size_t i = 0; i < a->batch.own; i++, p += n_e, said += k) {
        const uint16_t *truth =
            t->experts_of + ((size_t)layer * t->n_tokens + a->batch.id[i]) * k;
        for (size_t j = 0; j < k; j++) {
            sum[LOSS] -=
                log(fmax((double)p[truth[j]] / (double)k, 1e-4)) / (double)k;
            for (size_t m = 0; m < k; m++)
                sum[RECALL] += said[m] == truth[j] ? 1.0 / (double)k : 0;
        }
        sum[TOP1] += said[0] == truth[0];
    }
}

/* The one point of the validation curve of those without epochs. */
static void score(const after *a, moe_error *err)
{
    static const char *const names[N_POINTS] = {"valid_loss", "valid_recall",
                                                "valid_top1"};
    const moe_trace *t = a->env->trace;
    double sum[N_POINTS] = {0};
    uint16_t *said =
        moe_array_new(a->batch.own * (size_t)t->top_k, sizeof *said, err);
    moe_scorer *s = err->status == MOE_OK ? open_predictor(a, err) : NULL;
    for (int l = 0; s != NULL && l < t->layers; l++) {
        moe_scorer_tokens(s, &a->batch, l, said);
        score_layer(a, l, s->score, said, sum);
    }
    moe_predictor_free(a->predictor, s);
    free(said);
    for (int p = 0; p < N_POINTS && err->status == MOE_OK; p++) {
        const moe_learned_shape shape = {names[p], 1, {MOE_LEARNED_EPOCH}, {1}};
        float *at = moe_learned_put(a->part, &shape, err);
        sum[p] /= (double)a->batch.own * t->layers;
        if (at != NULL)
            *at = p == TOP1 && !t->ordered ? NAN : (float)sum[p];
    }
    a->part->final_loss = sum[LOSS];
}

static void look_back(after *a, moe_error *err)
{
    const moe_train_env *e = a->env;
    const bool ahead = moe_horizon_layers(a->predictor->sees);
    a->as = (moe_predictor_env){.trace = e->trace,
                                .layers = a->layers,
                                .n_layers = e->trace->layers,
                                .seed = e->seed,
                                .lookahead = MOE_LOOKAHEAD_ALL,
                                .max_own = a->batch.own,
                                .file = e->hidden,
                                .learned = e->learned};
    moe_opt_defaults(a->predictor->opts, a->params);
    for (int d = ahead ? e->n_lookaheads : 1; d-- > 0;) {
        a->as.lookahead = ahead ? e->lookahead[d] : MOE_LOOKAHEAD_ALL;
        fit_maps(a, err);
    }
    if (err->status == MOE_OK && !moe_learned_has(a->part, "valid_loss"))
        score(a, err);
}

static moe_status after_training(const moe_predictor *predictor,
                                 const moe_train_env *env,
                                 moe_learned_part *part, moe_error *err)
{
    after a = {.predictor = predictor, .env = env, .part = part};
    moe_neural_task task;
    const size_t n_l = (size_t)env->trace->layers;
    a.layers = moe_array_new(n_l, sizeof *a.layers, err);
    for (size_t l = 0; a.layers != NULL && l < n_l; l++)
        a.layers[l] = (int)l;
    a.params = moe_array_new(1, predictor->params_size, err);
    if (moe_neural_task_init(&task, env->trace, env->seed, env->tokens, err) ==
            MOE_OK &&
        moe_neural_kept_back(&task, &a.batch, err) == MOE_OK)
        look_back(&a, err);
    moe_neural_kept_back_free(&a.batch);
    moe_neural_task_fini(&task);
    free(a.layers);
    free(a.params);
    return err->status;
}

moe_status moe_predictor_train(const moe_predictor *predictor,
                               const moe_train_env *env, moe_learned_part *part,
                               moe_error *err)
{
    moe_error local = {0};
    if (predictor->train(env, part, err) != MOE_OK)
        return err->status;
    const double start = moe_clock_cpu();
    if (predictor->scores == moe_scorer_scores)
        after_training(predictor, env, part, &local);
    part->complete = part->complete && local.status == MOE_OK;
    part->cpu_s += moe_clock_cpu() - start;
    if (local.status != MOE_OK)
        moe_error_prefix(&local, "predictor %s", predictor->name);
    return moe_pass(err, &local);
}
