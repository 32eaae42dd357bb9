/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Training of the LSTM predictor: a sample is a chunk of a sequence. */

enum { BATCH = 16, ROWS = BATCH * MOE_RECUR_STEPS };

typedef struct {
    moe_neural_net net;
    moe_recur_trunk trunk;
    moe_neural_dense heads;
    float *dsum, *dh, *dx, *dprojected;
} lstm_net;

static moe_status net_init(void *state, moe_error *err)
{
    lstm_net *s = state;
    const moe_trace *t = s->net.task->trace;
    s->dsum = moe_array_new(ROWS * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dh = moe_array_new(ROWS * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dx = moe_array_new(ROWS * MOE_NEURAL_WIDTH, sizeof(float), err);
    s->dprojected = moe_array_new(ROWS * MOE_RECUR_QKV, sizeof(float), err);
    if (err->status != MOE_OK ||
        moe_recur_trunk_init(&s->trunk, &s->net.lib, BATCH, true, err) !=
            MOE_OK)
        return err->status;
    const dnnl_status_t rc =
        moe_neural_dense_init(&s->heads, &s->net.lib, ROWS, MOE_NEURAL_WIDTH,
                              (int64_t)t->layers * t->experts);
    return moe_neural_fail(rc, "inner product", err);
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
static void fill(void *state, const uint64_t *samples, int n, uint64_t step)
{
    moe_neural_net *s = state;
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

static dnnl_status_t forward(void *state, uint64_t step)
{
    lstm_net *s = state;
    const moe_neural_net *net = &s->net;
    const moe_neural_array *a = net->array;
    moe_recur_trunk *t = &s->trunk;
    const float *value[MOE_TRUNK_ARRAYS];
    for (int i = 0; i < MOE_TRUNK_ARRAYS; i++)
        value[i] = a[i].value;
    moe_neural_lookup(value[MOE_TRUNK_EMBEDDING], net->word, ROWS, t->x);
    if (step > 0)
        moe_neural_drop(net->task, step, MOE_NEURAL_DRAW_IN, ROWS,
                        MOE_NEURAL_WIDTH, t->x);
    dnnl_status_t rc = moe_recur_lstm_load(
        &t->lstm, &net->lib, value[MOE_TRUNK_INPUT], value[MOE_TRUNK_STATE]);
    rc = rc ? rc : moe_recur_trunk_run(t, &net->lib, value);
    if (step > 0)
        moe_neural_drop(net->task, step, MOE_NEURAL_DRAW_OUT, ROWS,
                        MOE_NEURAL_WIDTH, t->sum);
    return rc ? rc
              : moe_neural_dense_forward(&s->heads, &net->lib, t->sum,
                                         value[MOE_TRUNK_HEAD],
                                         value[MOE_TRUNK_HEAD_BIAS], net->z);
}

/* From the gradient of the sum to those of everything below. */
static dnnl_status_t trunk_backward(lstm_net *s)
{
    const moe_neural_array *a = s->net.array;
    moe_recur_trunk *t = &s->trunk;
    moe_recur_attend_back(BATCH, t->projected, t->weight, s->dsum,
                          s->dprojected);
    dnnl_status_t rc = moe_neural_dense_backward(
        &t->qkv, &s->net.lib, t->h, &a[MOE_TRUNK_QKV], s->dprojected, s->dh);
    for (size_t i = 0; i < ROWS * MOE_NEURAL_WIDTH; i++)
        s->dh[i] += s->dsum[i];
    rc = rc ? rc
            : moe_recur_lstm_backward(&t->lstm, &s->net.lib,
                                      &a[MOE_TRUNK_INPUT], s->dh, s->dx);
    for (size_t i = 0; i < ROWS * MOE_NEURAL_WIDTH; i++)
        s->dx[i] += s->dsum[i];
    return rc;
}

static dnnl_status_t backward(void *state, uint64_t step)
{
    lstm_net *s = state;
    const moe_neural_net *net = &s->net;
    const moe_neural_array *a = net->array;
    dnnl_status_t rc =
        moe_neural_dense_backward(&s->heads, &net->lib, s->trunk.sum,
                                  &a[MOE_TRUNK_HEAD], net->z, s->dsum);
    moe_neural_drop(net->task, step, MOE_NEURAL_DRAW_OUT, ROWS,
                    MOE_NEURAL_WIDTH, s->dsum);
    rc = rc ? rc : trunk_backward(s);
    moe_neural_drop(net->task, step, MOE_NEURAL_DRAW_IN, ROWS, MOE_NEURAL_WIDTH,
                    s->dx);
    moe_neural_lookup_back(net->word, ROWS, s->dx, a[MOE_TRUNK_EMBEDDING].grad,
                           a[MOE_TRUNK_EMBEDDING].n);
    return rc;
}

static void net_fini(void *state)
{
    lstm_net *s = state;
    moe_recur_trunk_fini(&s->trunk);
    moe_neural_dense_fini(&s->heads);
    free(s->dsum);
    free(s->dh);
    free(s->dx);
    free(s->dprojected);
}

const moe_neural_kind moe_neural_lstm = {.name = "lstm",
                                         .state_size = sizeof(lstm_net),
                                         .rate = 2e-3,
                                         .batch = BATCH,
                                         .rows = ROWS,
                                         .declare = moe_recur_declare,
                                         .init = net_init,
                                         .list = net_list,
                                         .fill = fill,
                                         .forward = forward,
                                         .backward = backward,
                                         .fini = net_fini};
