/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Training of the LSTM predictor: a sample is a chunk of a sequence. */

enum { BATCH = 16, ROWS = BATCH * RECUR_STEPS };

typedef struct {
    const neural_task *task;
    const neural_array *array;
    neural_lib lib;
    recur_trunk trunk;
    neural_dense heads;
    neural_loss loss;
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
    s->dsum = moe_array_new(ROWS * NEURAL_WIDTH, sizeof(float), err);
    s->dh = moe_array_new(ROWS * NEURAL_WIDTH, sizeof(float), err);
    s->dx = moe_array_new(ROWS * NEURAL_WIDTH, sizeof(float), err);
    s->dprojected = moe_array_new(ROWS * RECUR_QKV, sizeof(float), err);
    return err->status;
}

static moe_status net_init(void *state, const neural_task *task,
                           const neural_array *arrays, moe_error *err)
{
    net *s = state;
    const int64_t width = (int64_t)task->trace->layers * task->trace->experts;
    s->task = task;
    s->array = arrays;
    if (allocate(s, (size_t)width, err) != MOE_OK ||
        neural_fail(neural_lib_init(&s->lib), "engine", err) != MOE_OK ||
        recur_trunk_init(&s->trunk, &s->lib, BATCH, true, err) != MOE_OK)
        return err->status;
    const dnnl_status_t rc =
        neural_dense_init(&s->heads, &s->lib, ROWS, NEURAL_WIDTH, width);
    if (neural_fail(rc, "inner product", err) != MOE_OK)
        return err->status;
    return neural_loss_init(&s->loss, &s->lib, task, ROWS, err);
}

/* A sample is sequence << 32 | chunk. */
static uint64_t net_list(const neural_task *task, neural_part part,
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
        s->word[r] = neural_word(s->task, token, step);
        if (step > 0 || recur_chunk_of(place) == chunk)
            s->token[r] = token;
    }
}

static dnnl_status_t forward(net *s, uint64_t step)
{
    const neural_array *a = s->array;
    recur_trunk *t = &s->trunk;
    const float *value[TRUNK_ARRAYS];
    for (int i = 0; i < TRUNK_ARRAYS; i++)
        value[i] = a[i].value;
    neural_lookup(value[TRUNK_EMBEDDING], s->word, ROWS, t->x);
    if (step > 0)
        neural_drop(s->task, step, NEURAL_DRAW_IN, ROWS, NEURAL_WIDTH, t->x);
    dnnl_status_t rc = recur_lstm_load(&t->lstm, &s->lib, value[TRUNK_INPUT],
                                       value[TRUNK_STATE]);
    rc = rc ? rc : recur_trunk_run(t, &s->lib, value);
    if (step > 0)
        neural_drop(s->task, step, NEURAL_DRAW_OUT, ROWS, NEURAL_WIDTH, t->sum);
    return rc ? rc
              : neural_dense_forward(&s->heads, &s->lib, t->sum,
                                     value[TRUNK_HEAD], value[TRUNK_HEAD_BIAS],
                                     s->z);
}

/* From the gradient of the sum to those of everything below. */
static dnnl_status_t trunk_backward(net *s)
{
    const neural_array *a = s->array;
    recur_trunk *t = &s->trunk;
    const float *const value[] = {a[TRUNK_INPUT].value, a[TRUNK_STATE].value,
                                  a[TRUNK_BIAS].value};
    float *const grads[] = {a[TRUNK_INPUT].grad, a[TRUNK_STATE].grad,
                            a[TRUNK_BIAS].grad};
    recur_attend_back(BATCH, t->projected, t->weight, s->dsum, s->dprojected);
    dnnl_status_t rc = neural_dense_backward(
        &t->qkv, &s->lib, t->h, a[TRUNK_QKV].value, s->dprojected, s->dh,
        a[TRUNK_QKV].grad, a[TRUNK_QKV_BIAS].grad);
    for (size_t i = 0; i < ROWS * NEURAL_WIDTH; i++)
        s->dh[i] += s->dsum[i];
    rc = rc ? rc
            : recur_lstm_backward(&t->lstm, &s->lib, t->x, value, t->h, s->dh,
                                  s->dx, grads);
    for (size_t i = 0; i < ROWS * NEURAL_WIDTH; i++)
        s->dx[i] += s->dsum[i];
    return rc;
}

static dnnl_status_t backward(net *s, uint64_t step)
{
    const neural_array *a = s->array;
    dnnl_status_t rc = neural_dense_backward(
        &s->heads, &s->lib, s->trunk.sum, a[TRUNK_HEAD].value, s->z, s->dsum,
        a[TRUNK_HEAD].grad, a[TRUNK_HEAD_BIAS].grad);
    neural_drop(s->task, step, NEURAL_DRAW_OUT, ROWS, NEURAL_WIDTH, s->dsum);
    rc = rc ? rc : trunk_backward(s);
    neural_drop(s->task, step, NEURAL_DRAW_IN, ROWS, NEURAL_WIDTH, s->dx);
    neural_lookup_back(s->word, ROWS, s->dx, a[TRUNK_EMBEDDING].grad,
                       a[TRUNK_EMBEDDING].n);
    return rc;
}

static moe_status net_run(void *state, const uint64_t *samples, int n,
                          uint64_t step, neural_score *score, moe_error *err)
{
    net *s = state;
    fill_rows(s, samples, n, step);
    dnnl_status_t rc = forward(s, step);
    rc = rc ? rc
            : neural_loss_run(&s->loss, &s->lib, s->z, s->token, step > 0,
                              score);
    if (step > 0)
        rc = rc ? rc : backward(s, step);
    return neural_fail(rc, "training", err);
}

static void net_fini(void *state)
{
    net *s = state;
    recur_trunk_fini(&s->trunk);
    neural_dense_fini(&s->heads);
    neural_loss_fini(&s->loss);
    neural_lib_fini(&s->lib);
    free(s->word);
    free(s->token);
    free(s->z);
    free(s->dsum);
    free(s->dh);
    free(s->dx);
    free(s->dprojected);
}

const neural_kind neural_lstm = {.name = "lstm",
                                 .state_size = sizeof(net),
                                 .rate = 2e-3,
                                 .batch = BATCH,
                                 .declare = recur_declare,
                                 .init = net_init,
                                 .list = net_list,
                                 .run = net_run,
                                 .fini = net_fini};
