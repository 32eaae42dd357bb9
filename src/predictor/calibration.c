/* SPDX-License-Identifier: Apache-2.0 */
#include "calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "scores.h"

enum { ROUNDS = 12 };             /* after 8 it moves by less than 0.001 */
static const float LEAST = 1e-5F; /* of a knot: what is 0 could not grow */
/* Pairs of each expert, and near each knot, that are taken to have come as the
 * scores say: of few tokens that were kept back little is learned. */
static const double EXPERT_PRIOR = 20, KNOT_PRIOR = 4;

typedef struct {
    char name[2][48];
    moe_learned_shape knot, times;
} shapes;

static void describe(const moe_predictor_env *env, shapes *s)
{
    const bool ahead = moe_horizon_layers(env->self->sees);
    const uint64_t n_l = (uint64_t)env->trace->layers;
    const uint64_t n_e = (uint64_t)env->trace->experts;
    const int lookahead = ahead ? env->lookahead : 0;
    snprintf(s->name[0], sizeof s->name[0], "calibration_%d", lookahead);
    snprintf(s->name[1], sizeof s->name[1], "expert_factor_%d", lookahead);
    s->knot = (moe_learned_shape){
        s->name[0], 2, {"layer", "knot"}, {n_l, MOE_SCORE_KNOTS}};
    s->times =
        (moe_learned_shape){s->name[1], 2, {"layer", "expert"}, {n_l, n_e}};
}

moe_status moe_calibration_find(const moe_predictor_env *env,
                                moe_calibration *out, moe_error *err)
{
    shapes s;
    moe_calibration c = {.experts = env->trace->experts};
    const moe_learned_part *part =
        env->learned != NULL ? moe_learned_find(env->learned, env->self->name)
                             : NULL;
    describe(env, &s);
    if (part != NULL && moe_learned_has(part, s.knot.name)) {
        c.knot = moe_learned_get(part, &s.knot, err);
        c.times = moe_learned_get(part, &s.times, err);
        if (c.knot == NULL || c.times == NULL)
            return MOE_FORMAT;
    }
    *out = c;
    return MOE_OK;
}

moe_status moe_calibration_put(const moe_predictor_env *env,
                               moe_learned_part *part, moe_calibration *out,
                               moe_error *err)
{
    shapes s;
    describe(env, &s);
    out->experts = env->trace->experts;
    out->knot = moe_learned_put(part, &s.knot, err);
    out->times = moe_learned_put(part, &s.times, err);
    return out->knot != NULL && out->times != NULL ? MOE_OK : MOE_NOMEM;
}

/* ---- fitting ---- */

typedef struct {
    const moe_trace *trace;
    const moe_batch *batch; /* tokens that were kept back */
    const float *score;     /* [own][experts] of the layer */
    float *probability;     /* the same, by the map so far */
    /* Of scores near a knot, each counted at the two it lies between: how many
     * there are, what is foretold of them, and what came of them. */
    double count[MOE_SCORE_KNOTS], said[MOE_SCORE_KNOTS], came[MOE_SCORE_KNOTS];
} fitting;

static void add(double *sum, float score, double value)
{
    const float place = moe_score_place(score);
    const int at =
        place < MOE_SCORE_KNOTS - 2 ? (int)place : MOE_SCORE_KNOTS - 2;
    const double behind = (double)(place - (float)at);
    sum[at] += (1 - behind) * value;
    sum[at + 1] += behind * value;
}

static void count_layer(fitting *f, int layer)
{
    const moe_trace *t = f->trace;
    const size_t k = (size_t)t->top_k, n_e = (size_t)t->experts;
    memset(f->count, 0, sizeof f->count);
    memset(f->came, 0, sizeof f->came);
    for (size_t i = 0; i < f->batch->own * n_e; i++)
        add(f->count, f->score[i], 1);
    for (size_t i = 0; i < f->batch->own; i++)
        for (size_t j = 0; j < k; j++)
            add(f->came,
                f->score[i * n_e + t->experts_of[((size_t)layer * t->n_tokens +
                                                  f->batch->id[i]) *
                                                     k +
                                                 j]],
                1);
}

static void foretell(fitting *f, const moe_score_job *job)
{
    const size_t n = f->batch->own * (size_t)f->trace->experts;
    memset(f->said, 0, sizeof f->said);
    memcpy(f->probability, f->score, n * sizeof *f->score);
    moe_score_settle(job, f->probability, f->batch->own, NULL);
    for (size_t i = 0; i < n; i++)
        add(f->said, f->score[i], (double)f->probability[i]);
}

/* Pool neighbours that fall, by how many scores they are of. */
static void make_rising(const double *count, float *map)
{
    double value[MOE_SCORE_KNOTS], weight[MOE_SCORE_KNOTS];
    int size[MOE_SCORE_KNOTS], n = 0;
    for (int j = 0; j < MOE_SCORE_KNOTS; j++) {
        value[n] = (double)map[j];
        weight[n] = count[j] + 1e-9;
        size[n++] = 1;
        for (; n > 1 && value[n - 2] > value[n - 1]; n--) {
            const double sum = weight[n - 2] + weight[n - 1];
            value[n - 2] =
                (value[n - 2] * weight[n - 2] + value[n - 1] * weight[n - 1]) /
                sum;
            weight[n - 2] = sum;
            size[n - 2] += size[n - 1];
        }
    }
    for (int b = 0, j = 0; b < n; b++)
        for (int i = 0; i < size[b]; i++, j++)
            map[j] = (float)value[b];
}

/* The score itself, up to 1. */
static float identity(int knot)
{
    const float root = (float)knot / moe_score_place(1);
    return fminf(1, root * root);
}

/* @param visits  [experts] pairs that there were */
static void balance(fitting *f, const double *visits, double *said,
                    float *times)
{
    const size_t n_e = (size_t)f->trace->experts;
    memset(said, 0, n_e * sizeof *said);
    for (size_t i = 0; i < f->batch->own; i++)
        for (size_t e = 0; e < n_e; e++)
            said[e] += (double)f->probability[i * n_e + e];
    for (size_t e = 0; e < n_e; e++)
        times[e] *= (float)((visits[e] + EXPERT_PRIOR) /
                            (said[e] + EXPERT_PRIOR * (double)times[e]));
}

void moe_calibration_fit(const moe_calibration_data *data, int layer,
                         const moe_score_job *job, moe_calibration *out)
{
    const moe_trace *trace = data->trace;
    const moe_batch *batch = data->batch;
    const size_t n_e = (size_t)trace->experts, k = (size_t)trace->top_k;
    moe_score_job own = *job;
    own.logits = false;
    own.map = moe_calibration_of(out, layer);
    float *knot = out->knot + (ptrdiff_t)layer * MOE_SCORE_KNOTS;
    float *times = out->times + (ptrdiff_t)layer * out->experts;
    double visits[MOE_MAX_EXPERTS] = {0}, said[MOE_MAX_EXPERTS];
    fitting f = {trace, batch, data->score, data->scratch, {0}, {0}, {0}};
    for (int j = 0; j < MOE_SCORE_KNOTS; j++)
        knot[j] = identity(j);
    for (size_t e = 0; e < n_e; e++)
        times[e] = 1;
    for (size_t i = 0; i < batch->own * k; i++)
        visits[trace->experts_of
                   [((size_t)layer * trace->n_tokens + batch->id[i / k]) * k +
                    i % k]]++;
    count_layer(&f, layer);
    for (int round = 0; round < ROUNDS; round++) {
        foretell(&f, &own);
        for (int j = 0; j < MOE_SCORE_KNOTS; j++) {
            const float as_is = fmaxf(identity(j), LEAST);
            const double kept = KNOT_PRIOR * (double)(knot[j] / as_is);
            const double by = (f.came[j] + KNOT_PRIOR) / (f.said[j] + kept);
            knot[j] = fminf(1, (float)(by * (double)fmaxf(knot[j], LEAST)));
        }
        make_rising(f.count, knot);
        foretell(&f, &own);
        balance(&f, visits, said, times);
    }
}
