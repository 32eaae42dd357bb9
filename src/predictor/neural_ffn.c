/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* The FFN predictor of MoE-GPS (arXiv 2506.07366, section 3.2): the token's
 * embedding through 128 and 64 units, and a head per layer, all layers at
 * once: the trunk is shared. */

enum {
    HIDDEN1 = 128,
    HIDDEN2 = MOE_NEURAL_WIDTH,
    BATCH = 1024 /* tokens of a training step */
};
enum { EPOCHS = 40 }; /* of training, at most */
/* A bias follows its weights. */
enum { EMBEDDING, WEIGHT1, BIAS1, WEIGHT2, BIAS2, HEAD, HEAD_BIAS };

static int declare(const moe_learned_shape *heads, uint32_t vocab,
                   moe_neural_row *rows)
{
    /* Variance 2 / fan-in before a rectifier (He et al. 2015). */
    const moe_neural_row trunk[] = {
        {{"embedding", 2, {"token", "feature"}, {vocab + 1, MOE_NEURAL_WIDTH}},
         0.1},
        {{"weight_1", 2, {"hidden_1", "feature"}, {HIDDEN1, MOE_NEURAL_WIDTH}},
         0.177},
        {{"bias_1", 1, {"hidden_1"}, {HIDDEN1}}, 0},
        {{"weight_2", 2, {"width", "hidden_1"}, {HIDDEN2, HIDDEN1}}, 0.125},
        {{"bias_2", 1, {"width"}, {HIDDEN2}}, 0}};
    memcpy(rows, trunk, sizeof trunk);
    const int n = (int)MOE_ARRAY_LEN(trunk);
    return n + moe_neural_declare_heads(heads, rows + n);
}

/* ---- training ---- */

typedef struct {
    moe_neural_net net;
    moe_neural_dense dense[3];
    float *x, *h1, *h2, *dx, *d1, *d2;
} ffn_net;

static moe_status net_init(void *state, moe_error *err)
{
    ffn_net *s = state;
    const moe_neural_lib *lib = &s->net.lib;
    const moe_trace *t = s->net.task->trace;
    s->x = moe_array_new(BATCH * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dx = moe_array_new(BATCH * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->h1 = moe_array_new(BATCH * HIDDEN1, sizeof(float), err);
    s->d1 = moe_array_new(BATCH * HIDDEN1, sizeof(float), err);
    s->h2 = moe_array_new(BATCH * HIDDEN2, sizeof(float), err);
    s->d2 = moe_array_new(BATCH * HIDDEN2, sizeof(float), err);
    if (err->status != MOE_OK)
        return err->status;
    const int64_t width[] = {MOE_NEURAL_WIDTH, HIDDEN1, HIDDEN2,
                             (int64_t)t->layers * t->experts};
    dnnl_status_t rc = dnnl_success;
    for (int d = 0; d < 3 && rc == dnnl_success; d++)
        rc = moe_neural_dense_init(&s->dense[d], lib, BATCH, width[d],
                                   width[d + 1]);
    return moe_neural_fail(rc, "inner product", err);
}

static uint64_t net_list(const moe_neural_task *task, moe_neural_part part,
                         uint64_t *out)
{
    const moe_trace *t = task->trace;
    uint64_t n = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s];
             i < t->seq_offset[s + 1] && task->part[s] == part; i++, n++)
            if (out != NULL)
                out[n] = i;
    return n;
}

static void fill(void *state, const uint64_t *samples, int n, uint64_t step)
{
    moe_neural_net *net = state;
    for (int r = 0; r < BATCH; r++) {
        net->token[r] = r < n ? samples[r] : UINT64_MAX;
        net->word[r] = r < n ? moe_neural_word(net->task, samples[r], step)
                             : net->task->trace->vocab_size;
    }
}

static dnnl_status_t forward(void *state, uint64_t step)
{
    (void)step;
    ffn_net *s = state;
    const moe_neural_array *a = s->net.array;
    const moe_neural_lib *lib = &s->net.lib;
    moe_neural_lookup(a[EMBEDDING].value, s->net.word, BATCH, s->x);
    dnnl_status_t rc = moe_neural_dense_forward(
        &s->dense[0], lib, s->x, a[WEIGHT1].value, a[BIAS1].value, s->h1);
    moe_neural_relu(BATCH * HIDDEN1, s->h1);
    rc = rc ? rc
            : moe_neural_dense_forward(&s->dense[1], lib, s->h1,
                                       a[WEIGHT2].value, a[BIAS2].value, s->h2);
    moe_neural_relu(BATCH * HIDDEN2, s->h2);
    return rc ? rc
              : moe_neural_dense_forward(&s->dense[2], lib, s->h2,
                                         a[HEAD].value, a[HEAD_BIAS].value,
                                         s->net.z);
}

static dnnl_status_t backward(void *state, uint64_t step)
{
    (void)step;
    ffn_net *s = state;
    const moe_neural_array *a = s->net.array;
    const moe_neural_lib *lib = &s->net.lib;
    dnnl_status_t rc = moe_neural_dense_backward(&s->dense[2], lib, s->h2,
                                                 &a[HEAD], s->net.z, s->d2);
    moe_neural_relu_back(BATCH * HIDDEN2, s->h2, s->d2);
    rc = rc ? rc
            : moe_neural_dense_backward(&s->dense[1], lib, s->h1, &a[WEIGHT2],
                                        s->d2, s->d1);
    moe_neural_relu_back(BATCH * HIDDEN1, s->h1, s->d1);
    rc = rc ? rc
            : moe_neural_dense_backward(&s->dense[0], lib, s->x, &a[WEIGHT1],
                                        s->d1, s->dx);
    moe_neural_lookup_back(s->net.word, BATCH, s->dx, a[EMBEDDING].grad,
                           a[EMBEDDING].n);
    return rc;
}

static void net_fini(void *state)
{
    ffn_net *s = state;
    for (int d = 0; d < 3; d++)
        moe_neural_dense_fini(&s->dense[d]);
    float *arrays[] = {s->x, s->dx, s->h1, s->d1, s->h2, s->d2};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
}

const moe_neural_kind moe_neural_ffn = {.name = "ffn",
                                        .state_size = sizeof(ffn_net),
                                        .rate = 3e-3,
                                        .batch = BATCH,
                                        .rows = BATCH,
                                        .declare = declare,
                                        .init = net_init,
                                        .list = net_list,
                                        .fill = fill,
                                        .forward = forward,
                                        .backward = backward,
                                        .fini = net_fini};

static moe_status train(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err)
{
    return moe_neural_train(&moe_neural_ffn, EPOCHS, env, part, err);
}

/* ---- prediction ---- */

/* A product of the trunk on a block of rows, with bias and rectifier. */
typedef struct {
    dnnl_primitive_t run;
    dnnl_memory_t x, w, b, y;
    float *weight; /* as oneDNN likes it */
} product;

typedef struct {
    moe_neural_predictor base;
    product trunk[2];
    float *x, *h1; /* [MOE_NEURAL_ROWS] */
} ffn_state;

static dnnl_status_t describe_layer(const moe_neural_lib *lib,
                                    const dnnl_memory_desc_t md[4],
                                    dnnl_primitive_desc_t *pd)
{
    dnnl_matmul_desc_t desc;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t rc = dnnl_post_ops_create(&ops);
    rc =
        rc ? rc : dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0);
    rc = rc ? rc : dnnl_primitive_attr_create(&attr);
    rc = rc ? rc : dnnl_primitive_attr_set_post_ops(attr, ops);
    rc = rc ? rc : dnnl_matmul_desc_init(&desc, &md[0], &md[1], &md[2], &md[3]);
    rc = rc ? rc
            : dnnl_primitive_desc_create(pd, &desc, attr, lib->engine, NULL);
    if (ops != NULL)
        dnnl_post_ops_destroy(ops);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return rc;
}

/* @param of  [2] weights, [out][in], and bias. */
static dnnl_status_t make_layer(product *y, const moe_neural_lib *lib,
                                int64_t in, int64_t out, const float *const *of,
                                moe_error *err)
{
    dnnl_memory_desc_t md[] = {
        moe_neural_desc(2, (int64_t[]){MOE_NEURAL_ROWS, in}),
        {.ndims = 0},
        moe_neural_desc(2, (int64_t[]){1, out}),
        moe_neural_desc(2, (int64_t[]){MOE_NEURAL_ROWS, out})};
    dnnl_dims_t dims = {in, out}, strides = {1, in};
    dnnl_memory_desc_t plain;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = dnnl_memory_desc_init_by_tag(&md[1], 2, dims, dnnl_f32,
                                                    dnnl_format_tag_any);
    rc = rc ? rc : describe_layer(lib, md, &pd);
    rc = rc ? rc : dnnl_primitive_create(&y->run, pd);
    if (rc == dnnl_success)
        md[1] = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    y->weight = moe_array_new(dnnl_memory_desc_get_size(&md[1]), 1, err);
    if (y->weight == NULL)
        return dnnl_out_of_memory;
    rc = rc ? rc
            : dnnl_memory_desc_init_by_strides(&plain, 2, dims, dnnl_f32,
                                               strides);
    rc = rc ? rc : moe_neural_reorder(lib, &plain, of[0], &md[1], y->weight);
    dnnl_memory_t *const memory[] = {&y->x, &y->w, &y->b, &y->y};
    for (int i = 0; i < 4 && rc == dnnl_success; i++)
        rc = dnnl_memory_create(memory[i], &md[i], lib->engine,
                                DNNL_MEMORY_NONE);
    rc = rc ? rc : dnnl_memory_set_data_handle(y->w, y->weight);
    return rc ? rc
              : dnnl_memory_set_data_handle(y->b, (void *)(uintptr_t)of[1]);
}

static moe_status make_trunk(ffn_state *s, moe_error *err)
{
    const moe_neural_lib *lib = &s->base.lib;
    const float *const *value = s->base.value;
    dnnl_status_t rc = make_layer(&s->trunk[0], lib, MOE_NEURAL_WIDTH, HIDDEN1,
                                  &value[WEIGHT1], err);
    rc = rc ? rc
            : make_layer(&s->trunk[1], lib, HIDDEN1, HIDDEN2, &value[WEIGHT2],
                         err);
    return moe_neural_fail(rc, "matmul", err);
}

static dnnl_status_t run_layer(const product *y, const moe_neural_lib *lib,
                               const float *in, float *out)
{
    const moe_neural_arg args[] = {{DNNL_ARG_SRC, y->x, in},
                                   {DNNL_ARG_WEIGHTS, y->w, NULL},
                                   {DNNL_ARG_BIAS, y->b, NULL},
                                   {DNNL_ARG_DST, y->y, out}};
    return moe_neural_execute(lib, y->run, args, MOE_ARRAY_LEN(args));
}

static void trunk(void *state, const moe_batch *batch)
{
    ffn_state *s = state;
    for (uint32_t at = 0; at < batch->own; at += MOE_NEURAL_ROWS) {
        const uint32_t left = batch->own - at;
        moe_neural_lookup(s->base.value[EMBEDDING], batch->token_id + at,
                          left < MOE_NEURAL_ROWS ? left : MOE_NEURAL_ROWS,
                          s->x);
        run_layer(&s->trunk[0], &s->base.lib, s->x, s->h1);
        run_layer(&s->trunk[1], &s->base.lib, s->h1,
                  s->base.x + (size_t)at * MOE_NEURAL_WIDTH);
    }
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    ffn_state *s = state;
    moe_error local = {0};
    s->base.trunk = trunk;
    s->x = moe_array_new(MOE_NEURAL_ROWS * MOE_NEURAL_WIDTH, sizeof(float),
                         &local);
    s->h1 = moe_array_new(MOE_NEURAL_ROWS * HIDDEN1, sizeof(float), &local);
    if (local.status == MOE_OK &&
        moe_neural_predictor_init(&s->base, &moe_neural_ffn, env, params,
                                  &local) == MOE_OK)
        make_trunk(s, &local);
    return moe_pass(err, &local);
}

/* The trunk is computed once for all layers: each is charged its part, also
 * where a run has few of them. */
static int work(const void *state, double n, double sequences,
                moe_gemm_run *runs_out)
{
    const ffn_state *s = state;
    const double part = 1.0 / s->base.trained;
    (void)sequences;
    runs_out[0] = (moe_gemm_run){{n, MOE_NEURAL_WIDTH, 1, false}, part};
    runs_out[1] = (moe_gemm_run){{n, HIDDEN1, MOE_NEURAL_WIDTH, false}, part};
    runs_out[2] = (moe_gemm_run){{n, HIDDEN2, HIDDEN1, false}, part};
    return 3 + moe_neural_heads_work(&s->base, n, runs_out + 3);
}

static void fini(void *state)
{
    ffn_state *s = state;
    for (int i = 0; i < 2; i++) {
        product *y = &s->trunk[i];
        if (y->run != NULL)
            dnnl_primitive_destroy(y->run);
        dnnl_memory_destroy(y->x);
        dnnl_memory_destroy(y->w);
        dnnl_memory_destroy(y->b);
        dnnl_memory_destroy(y->y);
        free(y->weight);
    }
    moe_neural_predictor_fini(&s->base);
    free(s->x);
    free(s->h1);
}

const moe_predictor moe_predictor_ffn = {
    .name = "ffn",
    .help = "trained on the token alone: embedding, 128, 64, a head per layer",
    .state_size = sizeof(ffn_state),
    MOE_NEURAL_HOOKS,
};
