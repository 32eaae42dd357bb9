/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/clock.h"
#include "moegps/mem.h"

/* Adam, Kingma and Ba 2015, with a shorter memory of squares than theirs, as
 * most rows of an embedding are met seldom. */
static const float BETA1 = 0.9F, BETA2 = 0.99F, EPSILON = 1e-8F;

static const double VALID_SHARE = 0.1; /* of the training sequences */
enum { PATIENCE = 6 }; /* epochs without a better validation loss */

/* Histories that are kept with the weights. */
static const char *const histories[] = {"train_loss", "valid_loss",
                                        "valid_recall", "valid_top1"};
enum { TRAIN_LOSS, VALID_LOSS, VALID_RECALL, VALID_TOP1, N_HISTORIES };

/* ---- the task ---- */

static moe_status split_sequences(moe_neural_task *task, uint64_t tokens,
                                  moe_error *err)
{
    const moe_trace *t = task->trace;
    uint32_t *order = moe_array_new(t->n_seqs, sizeof *order, err);
    if (order == NULL)
        return err->status;
    size_t n = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        const bool fit = t->seq_part[s] == MOE_PART_TRAIN;
        task->part[s] = fit ? NEURAL_FIT : NEURAL_TEST;
        if (fit && t->seq_offset[s + 1] > t->seq_offset[s])
            order[n++] = (uint32_t)s;
    }
    moe_rng rng =
        moe_rng_at(task->seed, MOE_RNG_TRAIN, 0, MOE_NEURAL_DRAW_SPLIT, 0);
    moe_rng_shuffle(&rng, order, n, sizeof *order);
    size_t valid = (size_t)ceil(VALID_SHARE * (double)n);
    if (n < 2)
        moe_fail(err, MOE_USAGE,
                 "the trace's training part has %zu sequence%s; two are "
                 "needed, one of them to validate on",
                 n, n == 1 ? "" : "s");
    for (size_t s = 0; s < valid && n >= 2; s++)
        task->part[order[s]] = NEURAL_VALID;
    uint64_t fitted = 0; /* the rest is left out once there are enough */
    for (size_t s = valid; s < n && tokens > 0; s++) {
        const uint64_t more =
            t->seq_offset[order[s] + 1] - t->seq_offset[order[s]];
        if (fitted > 0 && fitted + more > tokens)
            task->part[order[s]] = NEURAL_TEST;
        else
            fitted += more;
    }
    free(order);
    return err->status;
}

moe_status moe_neural_task_init(moe_neural_task *task, const moe_trace *trace,
                                uint64_t seed, uint64_t tokens, moe_error *err)
{
    *task = (moe_neural_task){.trace = trace, .seed = seed};
    task->part = moe_array_new(trace->n_seqs, sizeof *task->part, err);
    task->seen = moe_array_new(trace->vocab_size, sizeof *task->seen, err);
    if (err->status != MOE_OK || split_sequences(task, tokens, err) != MOE_OK)
        return err->status;
    for (uint64_t s = 0; s < trace->n_seqs; s++)
        for (uint64_t i = trace->seq_offset[s];
             i < trace->seq_offset[s + 1] && task->part[s] == NEURAL_FIT; i++)
            task->seen[trace->token_id[i]]++;
    return MOE_OK;
}

void moe_neural_task_fini(moe_neural_task *task)
{
    free(task->part);
    free(task->seen);
    *task = (moe_neural_task){.trace = NULL};
}

moe_status moe_neural_kept_back(const moe_neural_task *task, moe_batch *out,
                                moe_error *err)
{
    const moe_trace *t = task->trace;
    uint64_t n = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        n += task->part[s] == NEURAL_VALID
                 ? t->seq_offset[s + 1] - t->seq_offset[s]
                 : 0;
    *out = (moe_batch){.tokens = n,
                       .layers = t->layers,
                       .experts = t->experts,
                       .top_k = t->top_k};
    out->id = moe_array_new(n, sizeof *out->id, err);
    out->token_id = moe_array_new(n, sizeof *out->token_id, err);
    for (uint64_t s = 0; s < t->n_seqs && err->status == MOE_OK; s++)
        for (uint64_t i = t->seq_offset[s];
             task->part[s] == NEURAL_VALID && i < t->seq_offset[s + 1]; i++) {
            out->id[out->own] = i;
            out->token_id[out->own++] = t->token_id[i];
        }
    return err->status;
}

void moe_neural_kept_back_free(moe_batch *batch)
{
    free(batch->id);
    free(batch->token_id);
}

/* ---- arrays ---- */

moe_learned_shape moe_neural_heads_shape(int layers, int experts)
{
    return (moe_learned_shape){
        .name = "head",
        .rank = 3,
        .dim_name = {"layer", "expert", "width"},
        .dim = {(uint64_t)layers, (uint64_t)experts, MOE_NEURAL_WIDTH}};
}

int moe_neural_declare_heads(const moe_learned_shape *heads,
                             moe_neural_row *rows)
{
    const moe_neural_row all[MOE_NEURAL_HEAD_ARRAYS] = {
        {*heads, 0.1},
        {{"head_bias", 2, {"layer", "expert"}, {heads->dim[0], heads->dim[1]}},
         0},
        {{"token_weight", 1, {"layer"}, {heads->dim[0]}}, 0}};
    memcpy(rows, all, sizeof all);
    return MOE_NEURAL_HEAD_ARRAYS;
}

typedef struct {
    uint64_t *at; /* [n] */
    uint64_t n;
} samples;

/* One training in progress. */
typedef struct {
    const moe_neural_kind *kind;
    const moe_train_env *env;
    moe_learned_part *part;
    moe_neural_task task;
    moe_neural_logs logs;
    moe_neural_row rows[MOE_NEURAL_ARRAYS];
    moe_neural_array array[MOE_NEURAL_ARRAYS];
    int n_arrays, epochs;
    float *history[N_HISTORIES]; /* [epochs] */
    samples fit, valid;
    void *state;
} training;

/* The same shape under another name, for the state of training. */
static float *array_of(training *t, const moe_learned_shape *shape,
                       const char *prefix, bool fresh, moe_error *err)
{
    char name[48];
    moe_learned_shape s = *shape;
    snprintf(name, sizeof name, "%s%s", prefix, shape->name);
    s.name = name;
    return fresh ? moe_learned_put(t->part, &s, err)
                 : moe_learned_get(t->part, &s, err);
}

static void fill(training *t, int a)
{
    moe_rng rng = moe_rng_at(t->env->seed, MOE_RNG_TRAIN, 0,
                             (uint64_t)(MOE_NEURAL_DRAW_INIT + a), 0);
    for (size_t i = 0; i < t->array[a].n && t->rows[a].spread > 0; i++)
        t->array[a].value[i] =
            (float)(t->rows[a].spread * moe_rng_normal(&rng));
}

static moe_status make_arrays(training *t, bool fresh, moe_error *err)
{
    const moe_trace *trace = t->env->trace;
    const moe_learned_shape heads =
        moe_neural_heads_shape(trace->layers, trace->experts);
    t->n_arrays = t->kind->declare(&heads, trace->vocab_size, t->rows);
    for (int a = 0; a < t->n_arrays; a++) {
        const moe_learned_shape *s = &t->rows[a].shape;
        moe_neural_array *x = &t->array[a];
        x->best = array_of(t, s, "", fresh, err);
        x->value = array_of(t, s, "now_", fresh, err);
        x->m = array_of(t, s, "adam_m_", fresh, err);
        x->v = array_of(t, s, "adam_v_", fresh, err);
        x->n = 1;
        for (int d = 0; d < s->rank; d++)
            x->n *= s->dim[d];
        x->grad = moe_array_new(x->n, sizeof *x->grad, err);
        if (err->status != MOE_OK)
            return err->status;
        if (fresh)
            fill(t, a);
    }
    for (int h = 0; h < N_HISTORIES; h++) {
        const moe_learned_shape s = {.name = histories[h],
                                     .rank = 1,
                                     .dim_name = {MOE_LEARNED_EPOCH},
                                     .dim = {(uint64_t)t->epochs}};
        t->history[h] = array_of(t, &s, "", fresh, err);
        for (int e = 0; e < t->epochs && fresh && t->history[h] != NULL; e++)
            t->history[h][e] = NAN;
    }
    return err->status;
}

static moe_status list_samples(training *t, moe_neural_part part, samples *out,
                               moe_error *err)
{
    out->n = t->kind->list(&t->task, part, NULL);
    out->at = moe_array_new(out->n, sizeof *out->at, err);
    if (out->at != NULL)
        t->kind->list(&t->task, part, out->at);
    return err->status;
}

/* ---- an epoch ---- */

static void update(const training *t, uint64_t step, double rate)
{
    const float c1 = (float)(1 / (1 - pow((double)BETA1, (double)step)));
    const float c2 = (float)(1 / (1 - pow((double)BETA2, (double)step)));
    for (int a = 0; a < t->n_arrays; a++) {
        const moe_neural_array *x = &t->array[a];
        float *restrict value = x->value, *restrict m = x->m,
                        *restrict v = x->v;
        const float *restrict grad = x->grad;
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < x->n; i++) {
            m[i] += (1 - BETA1) * (grad[i] - m[i]);
            v[i] += (1 - BETA2) * (grad[i] * grad[i] - v[i]);
            value[i] -=
                (float)rate * (m[i] * c1) / (sqrtf(v[i] * c2) + EPSILON);
        }
    }
}

/* All samples in batches, with `step` the number of the first less one, or
 * UINT64_MAX to validate. */
static moe_status run_samples(training *t, const samples *all, uint64_t step,
                              double rate, moe_neural_score *score,
                              moe_error *err)
{
    const uint64_t batch = (uint64_t)t->kind->batch;
    const bool train = step != UINT64_MAX;
    *score = (moe_neural_score){0};
    for (uint64_t at = 0; at < all->n; at += batch) {
        const uint64_t now = all->n - at < batch ? all->n - at : batch;
        const uint64_t number = train ? ++step : 0;
        if (moe_neural_net_run(t->state, all->at + at, (int)now, number, score,
                               err) != MOE_OK)
            return err->status;
        if (train)
            update(t, number, rate);
    }
    if (!isfinite(score->loss))
        return moe_fail(err, MOE_INVALID, "training diverged");
    return MOE_OK;
}

static void shuffle_samples(training *t, int epoch)
{
    /* From the same order every time, so that a resumed training agrees. */
    t->kind->list(&t->task, NEURAL_FIT, t->fit.at);
    moe_rng rng = moe_rng_at(t->env->seed, MOE_RNG_TRAIN, (uint64_t)epoch,
                             MOE_NEURAL_DRAW_ORDER, 0);
    moe_rng_shuffle(&rng, t->fit.at, t->fit.n, sizeof *t->fit.at);
}

static moe_status validate(training *t, moe_neural_score *score, moe_error *err)
{
    if (run_samples(t, &t->valid, UINT64_MAX, 0, score, err) != MOE_OK)
        return err->status;
    score->loss /= score->tokens;
    score->hits /= score->tokens;
    score->firsts /= score->tokens;
    return MOE_OK;
}

static void keep_if_best(training *t, int epoch)
{
    moe_learned_part *p = t->part;
    const float *loss = t->history[VALID_LOSS];
    if (p->best_epoch >= 0 && !(loss[epoch] < loss[p->best_epoch]))
        return;
    p->best_epoch = epoch;
    for (int a = 0; a < t->n_arrays; a++)
        memcpy(t->array[a].best, t->array[a].value,
               t->array[a].n * sizeof(float));
}

static moe_status run_epoch(training *t, int epoch, moe_error *err)
{
    const uint64_t batch = (uint64_t)t->kind->batch;
    const uint64_t steps = (t->fit.n + batch - 1) / batch;
    const double rate = t->kind->rate * (1 - (double)epoch / t->epochs);
    moe_neural_score fit, valid;
    shuffle_samples(t, epoch);
    if (run_samples(t, &t->fit, (uint64_t)epoch * steps, rate, &fit, err) !=
            MOE_OK ||
        validate(t, &valid, err) != MOE_OK)
        return err->status;
    t->history[TRAIN_LOSS][epoch] = (float)(fit.loss / fit.tokens);
    t->history[VALID_LOSS][epoch] = (float)valid.loss;
    t->history[VALID_RECALL][epoch] = (float)valid.hits;
    t->history[VALID_TOP1][epoch] =
        t->env->trace->ordered ? (float)valid.firsts : NAN;
    keep_if_best(t, epoch);
    t->part->epochs = epoch + 1;
    return MOE_OK;
}

/* ---- the whole ---- */

/* Tokens that training never saw look like the unknown one, so that who
 * predicts need not tell them apart. */
static void fill_unseen(training *t)
{
    const uint32_t vocab = t->env->trace->vocab_size;
    float *table = t->array[0].best;
    for (uint32_t v = 0; v < vocab; v++)
        if (t->task.seen[v] == 0)
            memcpy(table + (size_t)v * MOE_NEURAL_WIDTH,
                   table + (size_t)vocab * MOE_NEURAL_WIDTH,
                   MOE_NEURAL_WIDTH * sizeof *table);
}

static moe_status finish(training *t, moe_error *err)
{
    moe_neural_score score;
    fill_unseen(t);
    moe_learned_round(t->part, t->env->kept_bits);
    for (int a = 0; a < t->n_arrays; a++)
        memcpy(t->array[a].value, t->array[a].best,
               t->array[a].n * sizeof(float));
    if (validate(t, &score, err) != MOE_OK)
        return err->status;
    t->part->final_loss = score.loss;
    t->part->complete = true;
    moe_learned_drop(t->part, "now_");
    moe_learned_drop(t->part, "adam_");
    return MOE_OK;
}

static moe_status run_epochs(training *t, moe_error *err)
{
    moe_learned_part *p = t->part;
    while (p->epochs < t->epochs && p->epochs - 1 - p->best_epoch < PATIENCE) {
        const double start = moe_clock_cpu();
        if (run_epoch(t, p->epochs, err) != MOE_OK)
            return err->status;
        p->cpu_s += moe_clock_cpu() - start;
        if (t->env->epoch != NULL &&
            t->env->epoch(t->env->arg, p, err) != MOE_OK)
            return err->status;
    }
    return finish(t, err);
}

static moe_status begin(training *t, moe_error *err)
{
    const bool fresh = t->part->n_arrays == 0;
    if (!fresh &&
        (t->part->seed != t->env->seed || t->part->epochs_limit != t->epochs))
        return moe_fail(
            err, MOE_MISMATCH, "the checkpoint is of seed %llu and %d epochs",
            (unsigned long long)t->part->seed, t->part->epochs_limit);
    t->part->seed = t->env->seed;
    t->part->epochs_limit = t->epochs;
    if (moe_neural_task_init(&t->task, t->env->trace, t->env->seed,
                             t->env->tokens, err) ||
        moe_neural_logs_init(&t->logs, &t->task, t->env->learned, err) ||
        make_arrays(t, fresh, err) ||
        list_samples(t, NEURAL_FIT, &t->fit, err) ||
        list_samples(t, NEURAL_VALID, &t->valid, err))
        return err->status;
    t->state = moe_neural_net_new(t->kind, &t->task, &t->logs, t->array,
                                  t->n_arrays, err);
    return err->status;
}

moe_status moe_neural_train(const moe_neural_kind *kind, int epochs,
                            const moe_train_env *env, moe_learned_part *part,
                            moe_error *err)
{
    moe_error local = {0};
    training t = {.kind = kind,
                  .env = env,
                  .part = part,
                  .epochs = env->epochs > 0 ? env->epochs : epochs};
    if (begin(&t, &local) == MOE_OK)
        run_epochs(&t, &local);
    moe_neural_net_free(t.state);
    free(t.fit.at);
    free(t.valid.at);
    for (int a = 0; a < t.n_arrays; a++)
        free(t.array[a].grad);
    moe_neural_logs_fini(&t.logs);
    moe_neural_task_fini(&t.task);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_error_prefix(&local, "predictor %s", kind->name);
    return moe_pass(err, &local);
}
