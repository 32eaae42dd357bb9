/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Training of the LSTM predictor: a sample is a chunk of a sequence. */

enum { BATCH = 16, ROWS = BATCH * MOE_RECUR_STEPS };

typedef struct {
    const moe_neural_task *task;
    const moe_neural_array *array;
    moe_neural_lib lib;
    moe_recur_trunk trunk;
    moe_neural_dense heads;
    moe_neural_loss loss;
    uint32_t *word;  /* [ROWS] */
    uint64_t *token; /* [ROWS] */
    float *z;        /* [ROWS][layers * experts] */
    float *dsum, *dh, *dx, *dprojected;
} net;

static moe_status allocate(net *s, size_t width, moe_error *err)
{
    s->word = moe_array_new(ROWS, sizeof *s->word, err);
    s->token = moe_array_new(ROWS, sizeof *s->token, err);
    s->z = moe_array_new(ROWS * width, sizeof(float), err);
    s->dsum = moe_array_new(ROWS * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dh = moe_array_new(ROWS * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dx = moe_array_new(ROWS * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dprojected = moe_array_new(ROWS * MOE_RECUR_QKV, sizeof(float), err);
    return err->status;
}

static moe_status net_init(void *state, const moe_neural_task *task,
                           const moe_neural_array *arrays, moe_error *err)
{
    net *s = state;
    const int64_t width = (int64_t)task->trace->layers * task->trace->experts;
    s->task = task;
    s->array = arrays;
    if (allocate(s, (size_t)width, err) != MOE_OK ||
        moe_neural_fail(moe_neural_lib_init(&s->lib), "engine", err) !=
            MOE_OK ||
        moe_recur_trunk_init(&s->trunk, &s->lib, BATCH, true, err) != MOE_OK)
        return err->status;
    const dnnl_status_t rc = moe_neural_dense_init(&s->heads, &s->lib, ROWS,
                                                   MOE_NEURAL_WIDTH, width);
    if (moe_neural_fail(rc, "inner product", err) != MOE_OK)
        return err->status;
    return moe_neural_loss_init(&s->loss, &s->lib, task, ROWS, err);
}

/* A sample is sequence << 32 | chunk. */
static uint64_t net_list(const moe_neural_task *task, moe_neural_part part,
                         uint64_t *out)
{
    const moe_trace *t = task->trace;
    uint64_t n = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        const uint64_t tokens = t->seq_offset[s + 1] - t->seq_offset[s];
        if (task->part[s] != part || tokens == 0)
            continue;
        for (uint64_t c = 0; c <= recur_chunk_of(tokens - 1); c++, n++)
            if (out != NULL)
                out[n] = s << 32 | c;
    }
    return n;
}

/* Training counts every token of a chunk, validation those it foretells. */
static void fill_rows(net *s, const uint64_t *samples, int n, uint64_t step)
{
    const moe_trace *t = s->task->trace;
    for (size_t r = 0; r < ROWS; r++) {
        const size_t q = r % BATCH;
        s->token[r] = UINT64_MAX;
        s->word[r] = t->vocab_size;
        if (q >= (size_t)n)
            continue;
        const uint64_t seq = samples[q] >> 32, chunk = samples[q] & UINT32_MAX;
        const uint64_t place = chunk * RECUR_STRIDE + r / BATCH;
        const uint64_t token = t->seq_offset[seq] + place;
        if (token >= t->seq_offset[seq + 1])
            continue;
        s->word[r] = moe_neural_word(s->task, token, step);
        if (step > 0 || recur_chunk_of(place) == chunk)
            s->token[r] = token;
    }
}

static dnnl_status_t forward(net *s, uint64_t step)
{
    const moe_neural_array *a = s->array;
    moe_recur_trunk *t = &s->trunk;
    const float *value[MOE_TRUNK_ARRAYS];
    for (int i = 0; i < MOE_TRUNK_ARRAYS; i++)
        value[i] = a[i].value;
    moe_neural_lookup(value[MOE_TRUNK_EMBEDDING], s->word, ROWS, t->x);
    if (step > 0)
        moe_neural_drop(s->task, step, MOE_NEURAL_DRAW_IN, ROWS,
                        MOE_NEURAL_WIDTH, t->x);
    dnnl_status_t rc = moe_recur_lstm_load(
        &t->lstm, &s->lib, value[MOE_TRUNK_INPUT], value[MOE_TRUNK_STATE]);
    rc = rc ? rc : moe_recur_trunk_run(t, &s->lib, value);
    if (step > 0)
        moe_neural_drop(s->task, step, MOE_NEURAL_DRAW_OUT, ROWS,
                        MOE_NEURAL_WIDTH, t->sum);
    return rc ? rc
              : moe_neural_dense_forward(&s->heads, &s->lib, t->sum,
                                         value[MOE_TRUNK_HEAD],
                                         value[MOE_TRUNK_HEAD_BIAS], s->z);
}

/* From the gradient of the sum to those of everything below. */
static dnnl_status_t trunk_backward(net *s)
{
    const moe_neural_array *a = s->array;
    moe_recur_trunk *t = &s->trunk;
    const float *const value[] = {a[MOE_TRUNK_INPUT].value,
                                  a[MOE_TRUNK_STATE].value,
                                  a[MOE_TRUNK_BIAS].value};
    float *const grads[] = {a[MOE_TRUNK_INPUT].grad, a[MOE_TRUNK_STATE].grad,
                            a[MOE_TRUNK_BIAS].grad};
    moe_recur_attend_back(BATCH, t->projected, t->weight, s->dsum,
                          s->dprojected);
    dnnl_status_t rc = moe_neural_dense_backward(
        &t->qkv, &s->lib, t->h, a[MOE_TRUNK_QKV].value, s->dprojected, s->dh,
        a[MOE_TRUNK_QKV].grad, a[MOE_TRUNK_QKV_BIAS].grad);
    for (size_t i = 0; i < ROWS * MOE_NEURAL_WIDTH; i++)
        s->dh[i] += s->dsum[i];
    rc = rc ? rc
            : moe_recur_lstm_backward(&t->lstm, &s->lib, t->x, value, t->h,
                                      s->dh, s->dx, grads);
    for (size_t i = 0; i < ROWS * MOE_NEURAL_WIDTH; i++)
        s->dx[i] += s->dsum[i];
    return rc;
}

static dnnl_status_t backward(net *s, uint64_t step)
{
    const moe_neural_array *a = s->array;
    dnnl_status_t rc = moe_neural_dense_backward(
        &s->heads, &s->lib, s->trunk.sum, a[MOE_TRUNK_HEAD].value, s->z,
        s->dsum, a[MOE_TRUNK_HEAD].grad, a[MOE_TRUNK_HEAD_BIAS].grad);
    moe_neural_drop(s->task, step, MOE_NEURAL_DRAW_OUT, ROWS, MOE_NEURAL_WIDTH,
                    s->dsum);
    rc = rc ? rc : trunk_backward(s);
    moe_neural_drop(s->task, step, MOE_NEURAL_DRAW_IN, ROWS, MOE_NEURAL_WIDTH,
                    s->dx);
    moe_neural_lookup_back(s->word, ROWS, s->dx, a[MOE_TRUNK_EMBEDDING].grad,
                           a[MOE_TRUNK_EMBEDDING].n);
    return rc;
}

static moe_status net_run(void *state, const uint64_t *samples, int n,
                          uint64_t step, moe_neural_score *score,
                          moe_error *err)
{
    net *s = state;
    fill_rows(s, samples, n, step);
    dnnl_status_t rc = forward(s, step);
    rc = rc ? rc
            : moe_neural_loss_run(&s->loss, &s->lib, s->z, s->token, step > 0,
                                  score);
    if (step > 0)
        rc = rc ? rc : backward(s, step);
    return moe_neural_fail(rc, "training", err);
}

static void net_fini(void *state)
{
    net *s = state;
    moe_recur_trunk_fini(&s->trunk);
    moe_neural_dense_fini(&s->heads);
    moe_neural_loss_fini(&s->loss);
    moe_neural_lib_fini(&s->lib);
    free(s->word);
    free(s->token);
    free(s->z);
    free(s->dsum);
    free(s->dh);
    free(s->dx);
    free(s->dprojected);
}

const moe_neural_kind moe_neural_lstm = {.name = "lstm",
                                         .state_size = sizeof(net),
                                         .rate = 2e-3,
                                         .batch = BATCH,
                                         .declare = moe_recur_declare,
                                         .init = net_init,
                                         .list = net_list,
                                         .run = net_run,
                                         .fini = net_fini};
