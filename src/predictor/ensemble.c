/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "closed_form.h"
#include "internal.h"
#include "moegps/mem.h"
#include "neural.h"
#include "scorer.h"

/* A mixture of the members of a predictor file that look at token ids alone: in
 * every layer
 *
 *     p(e) = sum_m w_m p_m(e),   w_m >= 0, sum_m w_m = 1
 *
 * where p are shares of tokens that visit an expert. The weights minimise the
 * squared error of p on the sequences that no member was fitted to. (Weights of
 * greatest likelihood find 0.007 less of gpt-oss-20b's experts on MMLU's
 * validation part.) Who has hardly any weight is left out.
 * Source: stacked regressions, Breiman, Machine Learning 24(1), 1996. */

static const char NAME[] = "ensemble";
enum { MOST_MEMBERS = 8, SWEEPS = 200 };
static const double HARDLY = 0.02; /* weight that is left out */

/* Members with the weights of all layers, in training and after. */
typedef struct {
    moe_scorer base; /* the first member */
    const int *layers;
    int n;
    const moe_predictor *member[MOST_MEMBERS];
    moe_scorer *state[MOST_MEMBERS];   /* theirs; owned */
    const float *weight[MOST_MEMBERS]; /* [trained layers] */
} ensemble;

static moe_learned_shape shape_of(const char *member, uint64_t layers,
                                  char *name, size_t size)
{
    snprintf(name, size, "weight_%s", member);
    return (moe_learned_shape){name, 1, {"layer"}, {layers}};
}

/* Whether it can be mixed: its state begins with a moe_scorer. */
static bool mixes(const moe_predictor *p)
{
    return p != NULL && p->sees == MOE_SEES_IDS &&
           p->scores == moe_scorer_scores && strcmp(p->name, NAME) != 0;
}

static void add_member(ensemble *s, const moe_predictor *p,
                       const moe_predictor_env *env,
                       const moe_scorer_params *params, moe_error *err)
{
    if (s->n == MOST_MEMBERS) {
        moe_fail(err, MOE_USAGE, "predictor ensemble: mixes at most %d",
                 MOST_MEMBERS);
        return;
    }
    s->member[s->n] = p;
    s->state[s->n] = moe_predictor_new(p, env, params, err);
    s->n += s->state[s->n] != NULL;
}

static void free_members(ensemble *s)
{
    for (int m = 0; m < s->n; m++)
        moe_predictor_free(s->member[m], s->state[m]);
}

/* ---- prediction ---- */

static void fill(void *state, const moe_batch *batch, int layer)
{
    const ensemble *s = state;
    const size_t n = (size_t)batch->own * (size_t)batch->experts;
    float *score = s->base.score;
    memset(score, 0, n * sizeof *score);
    for (int m = 0; m < s->n; m++) {
        const float w = s->weight[m][s->layers[layer]];
        if (!(w > 0))
            continue;
        moe_scorer_fill(s->state[m], batch, layer);
        for (size_t i = 0; i < n; i++)
            score[i] += w * s->state[m]->score[i];
    }
}

/* Those that have weight in any layer. */
static void open_members(ensemble *s, const moe_predictor_env *env,
                         const moe_scorer_params *params, moe_error *err)
{
    const moe_learned_part *part = moe_learned_part_for("ensemble", env, err);
    const uint64_t layers = (uint64_t)env->trace->layers;
    for (size_t i = 0; part != NULL && moe_predictor_at(i) != NULL; i++) {
        const moe_predictor *p = moe_predictor_at(i);
        char name[48];
        float most = 0;
        const moe_learned_shape shape =
            shape_of(p->name, layers, name, sizeof name);
        if (!mixes(p) || !moe_learned_has(part, name))
            continue;
        const float *weight = moe_learned_get(part, &shape, err);
        for (uint64_t l = 0; weight != NULL && l < layers; l++)
            most = fmaxf(most, weight[l]);
        if (!(most > 0) || err->status != MOE_OK)
            continue;
        s->weight[s->n] = weight;
        add_member(s, p, env, params, err);
    }
    if (err->status == MOE_OK && s->n == 0)
        moe_fail(err, MOE_FORMAT, "predictor ensemble: nothing has weight");
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    ensemble *s = state;
    moe_error local = {0};
    s->base.fill = fill;
    s->layers = env->layers;
    if (moe_scorer_init(&s->base, env, params, &local) == MOE_OK)
        open_members(s, env, params, &local);
    return moe_pass(err, &local);
}

/* Theirs, and the sum. */
static int work(const void *state, double n, double sequences,
                moe_gemm_run *runs_out)
{
    const ensemble *s = state;
    int runs = 0;
    for (int m = 0; m < s->n; m++)
        runs += s->member[m]->work(s->state[m], n, sequences, runs_out + runs);
    runs_out[runs] = (moe_gemm_run){{n, s->base.experts, s->n, false}, 1};
    return runs + 1;
}

static size_t parameters(const void *state)
{
    const ensemble *s = state;
    size_t n = 0;
    for (int m = 0; m < s->n; m++)
        n += s->member[m]->parameters(s->state[m]);
    return n;
}

static void fini(void *state)
{
    ensemble *s = state;
    free_members(s);
    moe_scorer_fini(&s->base);
}

/* ---- training ---- */

typedef struct {
    ensemble mix;
    const moe_train_env *env;
    moe_neural_task task;
    moe_batch batch;             /* all tokens that are validated on */
    float *weight[MOST_MEMBERS]; /* as in mix */
    int *layers;                 /* [layers] all */
} training;

/* What was trained so far and can be mixed. */
static moe_status gather(training *t, moe_learned_part *part, moe_error *err)
{
    const moe_train_env *e = t->env;
    const int n_l = e->trace->layers;
    const moe_scorer_params params = {0};
    t->layers = moe_array_new((size_t)n_l, sizeof *t->layers, err);
    for (int l = 0; t->layers != NULL && l < n_l; l++)
        t->layers[l] = l;
    const moe_predictor_env env = {.trace = e->trace,
                                   .layers = t->layers,
                                   .n_layers = n_l,
                                   .seed = e->seed,
                                   .lookahead = MOE_LOOKAHEAD_ALL,
                                   .max_own = t->batch.own,
                                   .learned = e->learned};
    for (int p = 0;
         e->learned != NULL && p < e->learned->n_parts && err->status == MOE_OK;
         p++) {
        const moe_learned_part *other = &e->learned->part[p];
        const moe_predictor *member = moe_predictor_find(other->predictor);
        char name[48];
        if (!other->complete || other->seed != e->seed || !mixes(member))
            continue;
        const moe_learned_shape shape =
            shape_of(member->name, (uint64_t)n_l, name, sizeof name);
        t->weight[t->mix.n] = moe_learned_put(part, &shape, err);
        add_member(&t->mix, member, &env, &params, err);
    }
    if (err->status == MOE_OK && t->mix.n < 2)
        moe_fail(err, MOE_USAGE,
                 "mixes two or more that look at token ids alone; "
                 "%d trained",
                 t->mix.n);
    return err->status;
}

/* Sums of products of shares, and of shares that came true. */
typedef struct {
    double gram[MOST_MEMBERS][MOST_MEMBERS], came[MOST_MEMBERS];
} squares;

static void add_token(const training *t, int layer, uint32_t i, squares *q)
{
    const moe_trace *trace = t->env->trace;
    const size_t n_e = (size_t)trace->experts, k = (size_t)trace->top_k;
    const uint16_t *truth =
        trace->experts_of +
        ((size_t)layer * trace->n_tokens + t->batch.id[i]) * k;
    for (int m = 0; m < t->mix.n; m++) {
        const float *a = t->mix.state[m]->score + i * n_e;
        for (size_t j = 0; j < k; j++)
            q->came[m] += (double)a[truth[j]];
        for (int n = 0; n <= m; n++) {
            const float *b = t->mix.state[n]->score + i * n_e;
            float sum = 0;
            for (size_t e = 0; e < n_e; e++)
                sum += a[e] * b[e];
            q->gram[m][n] += (double)sum;
        }
    }
}

/* To the least squares with weights >= 0 that sum to 1: from even ones, weight
 * moves between two members at a time. */
static void solve(squares *q, int n, double *w)
{
    for (int m = 0; m < n; m++) {
        w[m] = 1.0 / n;
        for (int j = 0; j < m; j++)
            q->gram[j][m] = q->gram[m][j];
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int a = 0; a < n; a++)
            for (int b = 0; b < a; b++) {
                double slope = q->came[a] - q->came[b];
                for (int j = 0; j < n; j++)
                    slope -= (q->gram[a][j] - q->gram[b][j]) * w[j];
                const double bend =
                    q->gram[a][a] + q->gram[b][b] - 2 * q->gram[a][b];
                const double move =
                    bend > 0 ? fmin(fmax(slope / bend, -w[a]), w[b]) : 0;
                w[a] += move;
                w[b] -= move;
            }
}

static void weigh(training *t, int layer)
{
    const int n = t->mix.n;
    squares q = {.came = {0}};
    double w[MOST_MEMBERS] = {0}, total = 0;
    for (int m = 0; m < n; m++)
        moe_scorer_fill(t->mix.state[m], &t->batch, layer);
    for (uint32_t i = 0; i < t->batch.own; i++)
        add_token(t, layer, i, &q);
    solve(&q, n, w);
    for (int m = 0; m < n; m++) {
        w[m] = w[m] < HARDLY ? 0 : w[m];
        total += w[m];
    }
    for (int m = 0; m < n; m++)
        t->weight[m][layer] = (float)(total > 0 ? w[m] / total : 1.0 / n);
}

static moe_status train(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err)
{
    moe_error local = {0};
    training t = {.env = env};
    moe_closed_form_begin(env, part);
    if (moe_neural_task_init(&t.task, env->trace, env->seed, env->tokens,
                             &local) == MOE_OK &&
        moe_neural_kept_back(&t.task, &t.batch, &local) == MOE_OK &&
        gather(&t, part, &local) == MOE_OK)
        for (int l = 0; l < env->trace->layers; l++)
            weigh(&t, l);
    free_members(&t.mix);
    moe_neural_task_fini(&t.task);
    moe_neural_kept_back_free(&t.batch);
    free(t.layers);
    return moe_closed_form_end(part, &local, err);
}

const moe_predictor moe_predictor_ensemble = {
    .name = "ensemble",
    .help = "those of a predictor file that look at token ids, mixed by "
            "weights per layer",
    .sees = MOE_SEES_IDS,
    .rests_on = "linear",
    .opts = moe_scorer_options,
    .params_size = sizeof(moe_scorer_params),
    .state_size = sizeof(ensemble),
    .init = init,
    MOE_SCORER_HOOKS,
    .work = work,
    .parameters = parameters,
    .train = train,
    .train_epochs = 1,
    .fini = fini,
};
