/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/wide.h"
#include "scorer.h"

/* ---- heads ---- */

/* Logits of a layer's expert lie together for all rows, so that rows are the
 * lanes of a vector: z [n][rows] = w [n][width] x^T. */
static dnnl_status_t make_product(moe_neural_heads *h,
                                  const moe_neural_lib *lib)
{
    const int64_t n = (int64_t)h->layers * h->experts;
    dnnl_dims_t dims = {MOE_NEURAL_WIDTH, MOE_NEURAL_ROWS},
                strides = {1, MOE_NEURAL_WIDTH};
    dnnl_memory_desc_t w = moe_neural_desc(2, (int64_t[]){n, MOE_NEURAL_WIDTH});
    dnnl_memory_desc_t z = moe_neural_desc(2, (int64_t[]){n, MOE_NEURAL_ROWS}),
                       x;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc =
        dnnl_memory_desc_init_by_strides(&x, 2, dims, dnnl_f32, strides);
    rc = rc ? rc : dnnl_matmul_desc_init(&desc, &w, &x, NULL, &z);
    rc = rc ? rc
            : dnnl_primitive_desc_create(&pd, &desc, NULL, lib->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(&h->product, pd);
    rc = rc ? rc : dnnl_memory_create(&h->w, &w, lib->engine, h->weight);
    rc = rc ? rc : dnnl_memory_create(&h->x, &x, lib->engine, DNNL_MEMORY_NONE);
    rc = rc ? rc : dnnl_memory_create(&h->z, &z, lib->engine, h->logits);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

static moe_status heads_init(moe_neural_heads *h, const moe_neural_lib *lib,
                             const moe_predictor_env *env,
                             const moe_learned_part *part, moe_error *err)
{
    moe_neural_row rows[2];
    const moe_learned_shape shape =
        moe_neural_heads_shape(env->trace->layers, env->trace->experts);
    moe_neural_declare_heads(&shape, rows);
    const float *weight = moe_learned_get(part, &rows[0].shape, err);
    const float *bias = moe_learned_get(part, &rows[1].shape, err);
    if (err->status != MOE_OK)
        return err->status;
    const size_t n_e = (size_t)env->trace->experts;
    const size_t n = (size_t)env->n_layers * n_e, k = (size_t)env->trace->top_k;
    *h = (moe_neural_heads){.layers = env->n_layers,
                            .trained = env->trace->layers,
                            .experts = env->trace->experts,
                            .top_k = env->trace->top_k};
    h->weight = moe_array_new(n * MOE_NEURAL_WIDTH, sizeof *h->weight, err);
    h->bias = moe_array_new(n, sizeof *h->bias, err);
    h->logits = moe_array_new(n * MOE_NEURAL_ROWS, sizeof *h->logits, err);
    h->key = moe_array_new(MOE_NEURAL_ROWS, sizeof *h->key, err);
    h->top = moe_array_new(k * MOE_NEURAL_ROWS, sizeof *h->top, err);
    if (err->status != MOE_OK)
        return err->status;
    for (size_t l = 0; l < (size_t)env->n_layers; l++) {
        const size_t from = (size_t)env->layers[l] * n_e;
        memcpy(h->weight + l * n_e * MOE_NEURAL_WIDTH,
               weight + from * MOE_NEURAL_WIDTH,
               n_e * MOE_NEURAL_WIDTH * sizeof *weight);
        memcpy(h->bias + l * n_e, bias + from, n_e * sizeof *bias);
    }
    return moe_neural_fail(make_product(h, lib), "heads", err);
}

static void heads_fini(moe_neural_heads *h)
{
    if (h->product != NULL)
        dnnl_primitive_destroy(h->product);
    dnnl_memory_destroy(h->w);
    dnnl_memory_destroy(h->x);
    dnnl_memory_destroy(h->z);
    free(h->weight);
    free(h->bias);
    free(h->logits);
    free(h->key);
    free(h->top);
}

/* The top_k largest logits of one layer. Floats are ordered as integers,
 * whose lowest bits give way to the expert's number, lower ones first among
 * equals: so one comparison moves both.
 * @param key  [MOE_NEURAL_ROWS] scratch
 * @param top  [top_k][MOE_NEURAL_ROWS] keys, falling */
MOE_WIDE static void find_top(const moe_neural_heads *h,
                              const float *restrict z, const float *bias,
                              int32_t mask, int32_t *restrict key,
                              int32_t *restrict top)
{
    for (int i = 0; i < h->top_k * MOE_NEURAL_ROWS; i++)
        top[i] = INT32_MIN;
    for (int e = 0; e < h->experts; e++, z += MOE_NEURAL_ROWS) {
        for (int i = 0; i < MOE_NEURAL_ROWS; i++) {
            const float value = z[i] + bias[e];
            int32_t word;
            memcpy(&word, &value, sizeof word);
            word ^= word >> 31 & INT32_MAX;
            key[i] = (word & ~mask) | (mask - e);
        }
        for (int j = 0; j < h->top_k; j++)
            for (int i = 0; i < MOE_NEURAL_ROWS; i++) {
                const int32_t a = top[j * MOE_NEURAL_ROWS + i], b = key[i];
                top[j * MOE_NEURAL_ROWS + i] = a > b ? a : b;
                key[i] = a > b ? b : a;
            }
    }
}

/* @param x    [MOE_NEURAL_ROWS][MOE_NEURAL_WIDTH]; rows from `rows` on are
 *             ignored
 * @param out  of layer l and row r at l * stride + r * top_k. */
static dnnl_status_t heads_run(moe_neural_heads *h, const moe_neural_lib *lib,
                               const float *x, uint32_t rows, size_t stride,
                               uint16_t *out)
{
    const moe_neural_arg args[] = {{DNNL_ARG_SRC, h->w, h->weight},
                                   {DNNL_ARG_WEIGHTS, h->x, x},
                                   {DNNL_ARG_DST, h->z, h->logits}};
    const dnnl_status_t rc = moe_neural_execute(lib, h->product, args, 3);
    const size_t k = (size_t)h->top_k;
    int32_t mask = 1;
    while (mask < h->experts)
        mask *= 2;
    mask--;
    for (int l = 0; l < h->layers; l++, out += stride) {
        const size_t at = (size_t)l * (size_t)h->experts;
        find_top(h, h->logits + at * MOE_NEURAL_ROWS, h->bias + at, mask,
                 h->key, h->top);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < k; j++)
                out[r * k + j] =
                    (uint16_t)(mask - (h->top[j * MOE_NEURAL_ROWS + r] & mask));
    }
    return rc;
}

/* ---- memo ---- */

static moe_status memo_init(moe_neural_memo *m, const moe_predictor_env *env,
                            moe_error *err)
{
    *m = (moe_neural_memo){.layers = env->n_layers,
                           .top_k = env->trace->top_k,
                           .max_own = env->max_own,
                           .last = -1};
    m->experts = moe_array_new((size_t)env->n_layers * env->max_own *
                                   (size_t)env->trace->top_k,
                               sizeof *m->experts, err);
    return err->status;
}

/* @return whether the memo holds this batch. A layer that is asked for again
 * means a new batch. */
static bool memo_holds(moe_neural_memo *m, const moe_batch *batch, int layer)
{
    const bool holds = layer > m->last && m->last >= 0 &&
                       m->iteration == batch->iteration &&
                       m->first == batch->first && m->own == batch->own;
    m->iteration = batch->iteration;
    m->first = batch->first;
    m->own = batch->own;
    m->last = layer;
    return holds;
}

/* ---- what both predictors do ---- */

moe_status moe_neural_predictor_init(moe_neural_predictor *p,
                                     const moe_neural_kind *kind,
                                     const moe_predictor_env *env,
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
    if (local.status == MOE_OK &&
        moe_neural_fail(moe_neural_lib_init(&p->lib), "engine", &local) ==
            MOE_OK &&
        memo_init(&p->memo, env, &local) == MOE_OK)
        heads_init(&p->heads, &p->lib, env, part, &local);
    return moe_pass(err, &local);
}

void moe_neural_predictor_fini(moe_neural_predictor *p)
{
    heads_fini(&p->heads);
    moe_neural_lib_fini(&p->lib);
    free(p->memo.experts);
}

void moe_neural_predictor_heads(moe_neural_predictor *p, const moe_batch *batch,
                                uint32_t at, const float *x)
{
    const uint32_t left = batch->own - at;
    const size_t k = (size_t)p->memo.top_k;
    heads_run(&p->heads, &p->lib, x,
              left < MOE_NEURAL_ROWS ? left : MOE_NEURAL_ROWS,
              p->memo.max_own * k, p->memo.experts + at * k);
}

/* A batch is predicted for all layers when the first is asked for: the trunk
 * is computed once. */
void moe_neural_tokens(void *state, const moe_batch *batch, int layer,
                       uint16_t *experts_out)
{
    moe_neural_predictor *p = state;
    const size_t k = (size_t)p->memo.top_k;
    if (!memo_holds(&p->memo, batch, layer))
        p->predict(state, batch);
    memcpy(experts_out, p->memo.experts + (size_t)layer * p->memo.max_own * k,
           batch->own * k * sizeof *experts_out);
}

size_t moe_neural_parameters(const void *state)
{
    return ((const moe_neural_predictor *)state)->weights;
}
