/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "linear_model.h"
#include "moegps/mem.h"
#include "walk.h"

enum { ROWS = 4 }; /* of a product at once */

/* Of several threads oneDNN gives each a part of the rows, and adds up those that
 * fill no whole tile of its kernel in another order: predictions would depend on
 * how many threads a rank has. */
static void run_trunk(moe_neural_predictor *p, const moe_batch *batch)
{
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    p->trunk(p, batch);
    omp_set_num_threads(threads);
}

static void fill(void *state, const moe_batch *batch, int layer)
{
    moe_neural_predictor *p = state;
    const size_t n_e = (size_t)p->base.experts;
    const float *head = p->head + (size_t)layer * MOE_NEURAL_WIDTH * n_e;
    if (!moe_mark_holds(&p->mark, batch, layer))
        run_trunk(p, batch);
    for (uint32_t t = 0; t < batch->own; t++) {
        if (t + MOE_FETCH_AHEAD < batch->own)
            moe_fetch(p->logs[layer] +
                          batch->token_id[t + MOE_FETCH_AHEAD] * n_e,
                      n_e * sizeof(float));
        float *score = p->base.score + t * n_e;
        if (t % ROWS == 0)
            moe_linear_product(head, MOE_NEURAL_WIDTH, n_e,
                               p->x + t * (size_t)MOE_NEURAL_WIDTH, score);
        const float *logs = p->logs[layer] + batch->token_id[t] * n_e;
        for (size_t e = 0; e < n_e; e++)
            score[e] += logs[e];
    }
}

/* ---- set-up ---- */

/* [experts][width] of each layer, the other way round. */
static void turn_heads(moe_neural_predictor *p, const int *layers,
                       const float *head)
{
    const size_t n_e = (size_t)p->base.experts;
    for (int l = 0; l < p->layers; l++)
        for (size_t e = 0; e < n_e; e++)
            for (size_t i = 0; i < MOE_NEURAL_WIDTH; i++)
                p->head[((size_t)l * MOE_NEURAL_WIDTH + i) * n_e + e] =
                    head[((size_t)layers[l] * n_e + e) * MOE_NEURAL_WIDTH + i];
}

/* @param bias  [experts] */
static float *make_logs(const moe_token_logs *t, int layer, float weight,
                        const float *bias, moe_error *err)
{
    const size_t n_e = (size_t)t->grams.experts;
    float *logs = moe_token_logs_table(t, layer, err);
    for (size_t i = 0; logs != NULL && i < t->trace->vocab_size * n_e; i++)
        logs[i] = (1 + weight) * logs[i] + bias[i % n_e];
    return logs;
}

static moe_status make_heads(moe_neural_predictor *p,
                             const moe_predictor_env *env, uint64_t seed,
                             const float *const *head, moe_error *err)
{
    moe_token_logs table;
    const size_t n_e = (size_t)env->trace->experts, n_l = (size_t)p->layers;
    const size_t blocks = env->max_own / MOE_NEURAL_ROWS + 1;
    p->head = moe_array_new(n_l * MOE_NEURAL_WIDTH * n_e, sizeof *p->head, err);
    p->logs = moe_array_new(n_l, sizeof *p->logs, err);
    p->x = moe_array_new(blocks * MOE_NEURAL_ROWS * MOE_NEURAL_WIDTH,
                         sizeof *p->x, err);
    if (moe_token_logs_init(&table, env, seed, err) == MOE_OK)
        turn_heads(p, env->layers, head[0]);
    p->n_logs = env->trace->vocab_size * n_e;
    for (int l = 0; l < p->layers && err->status == MOE_OK; l++) {
        const size_t from = (size_t)env->layers[l];
        p->logs[l] =
            make_logs(&table, l, head[2][from], head[1] + from * n_e, err);
    }
    moe_token_logs_fini(&table);
    return err->status;
}

moe_status moe_neural_predictor_init(moe_neural_predictor *p,
                                     const moe_neural_kind *kind,
                                     const moe_predictor_env *env,
                                     const moe_scorer_params *params,
                                     moe_error *err)
{
    moe_error local = {0};
    const moe_learned_part *part =
        moe_learned_part_for(kind->name, env, &local);
    if (part == NULL)
        return moe_pass(err, &local);
    moe_neural_row rows[MOE_NEURAL_ARRAYS];
    const moe_learned_shape heads =
        moe_neural_heads_shape(env->trace->layers, env->trace->experts);
    const int n = kind->declare(&heads, env->learned->vocab_size, rows);
    for (int a = 0; a < n; a++)
        p->value[a] = moe_learned_get(part, &rows[a].shape, &local);
    p->weights = moe_learned_weights(part);
    p->layers = env->n_layers;
    p->trained = env->trace->layers;
    p->base.fill = fill;
    p->base.logits = true;
    /* Products are of whole blocks of rows, so the scores, too. */
    moe_predictor_env padded = *env;
    padded.max_own += ROWS;
    if (local.status == MOE_OK &&
        moe_scorer_init(&p->base, &padded, params, &local) == MOE_OK &&
        moe_neural_fail(moe_neural_lib_init(&p->lib), "engine", &local) ==
            MOE_OK)
        make_heads(p, env, part->seed, p->value + n - MOE_NEURAL_HEAD_ARRAYS,
                   &local);
    return moe_pass(err, &local);
}

void moe_neural_predictor_fini(moe_neural_predictor *p)
{
    for (int l = 0; p->logs != NULL && l < p->layers; l++)
        free(p->logs[l]);
    free(p->logs);
    free(p->head);
    free(p->x);
    moe_scorer_fini(&p->base);
    moe_neural_lib_fini(&p->lib);
}

/* A row of logs is fetched; then one product. */
int moe_neural_heads_work(const moe_neural_predictor *p, double tokens,
                          moe_gemm_run *runs_out)
{
    const double n_e = p->base.experts;
    runs_out[0] = (moe_gemm_run){{tokens, n_e, 1, false}, 1};
    runs_out[1] = (moe_gemm_run){{tokens, n_e, MOE_NEURAL_WIDTH, false}, 1};
    return 2;
}

size_t moe_neural_parameters(const void *state)
{
    const moe_neural_predictor *p = state;
    return p->weights + (size_t)p->layers * p->n_logs;
}
