/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <stdlib.h>

#include "moegps/mem.h"

static moe_status set_up(moe_neural_net *net, moe_error *err)
{
    const moe_neural_kind *kind = net->kind;
    const moe_trace *t = net->task->trace;
    const size_t width = (size_t)t->layers * (size_t)t->experts;
    net->word = moe_array_new(kind->rows, sizeof *net->word, err);
    net->token = moe_array_new(kind->rows, sizeof *net->token, err);
    net->z = moe_array_new(kind->rows * width, sizeof *net->z, err);
    net->log = moe_array_new(kind->rows * width, sizeof *net->log, err);
    if (err->status != MOE_OK ||
        moe_neural_fail(moe_neural_lib_init(&net->lib), "engine", err) !=
            MOE_OK ||
        moe_neural_loss_init(&net->loss, &net->lib, net->task,
                             &net->logs->leads, kind->rows, err) != MOE_OK)
        return err->status;
    return kind->init(net, err);
}

void *moe_neural_net_new(const moe_neural_kind *kind,
                         const moe_neural_task *task,
                         const moe_neural_logs *logs,
                         const moe_neural_array *arrays, int n, moe_error *err)
{
    moe_error local = {0};
    moe_neural_net *net = moe_array_new(1, kind->state_size, &local);
    if (net != NULL) {
        net->kind = kind;
        net->task = task;
        net->array = arrays;
        net->n_arrays = n;
        net->logs = logs;
        set_up(net, &local);
    }
    if (moe_pass(err, &local) == MOE_OK)
        return net;
    moe_neural_net_free(net);
    return NULL;
}

void moe_neural_net_free(void *state)
{
    moe_neural_net *net = state;
    if (net == NULL)
        return;
    net->kind->fini(net);
    moe_neural_loss_fini(&net->loss);
    moe_neural_lib_fini(&net->lib);
    free(net->word);
    free(net->token);
    free(net->z);
    free(net->log);
    free(net);
}

/* z += (1 + a_l) log p, for every row, layer and expert. */
static void add_logs(const moe_neural_net *net)
{
    const size_t n_l = (size_t)net->task->trace->layers;
    const size_t n_e = (size_t)net->task->trace->experts;
    const float *weight = net->array[net->n_arrays - 1].value;
#pragma omp parallel for schedule(static)
    for (size_t r = 0; r < net->kind->rows; r++)
        for (size_t l = 0; l < n_l; l++)
            for (size_t e = 0; e < n_e; e++)
                net->z[(r * n_l + l) * n_e + e] +=
                    (1 + weight[l]) * net->log[(r * n_l + l) * n_e + e];
}

static void add_logs_back(const moe_neural_net *net)
{
    const size_t n_l = (size_t)net->task->trace->layers;
    const size_t n_e = (size_t)net->task->trace->experts;
    float *grad = net->array[net->n_arrays - 1].grad;
#pragma omp parallel for schedule(static)
    for (size_t l = 0; l < n_l; l++) {
        double sum = 0;
        for (size_t r = 0; r < net->kind->rows; r++) {
            const size_t at = (r * n_l + l) * n_e;
            float row = 0;
            for (size_t e = 0; e < n_e; e++)
                row += net->z[at + e] * net->log[at + e];
            sum += (double)row;
        }
        grad[l] = (float)sum;
    }
}

moe_status moe_neural_net_run(void *state, const uint64_t *samples, int n,
                              uint64_t step, moe_neural_score *score,
                              moe_error *err)
{
    const moe_neural_net *net = state;
    const moe_neural_kind *kind = net->kind;
    kind->fill(state, samples, n, step);
    moe_neural_logs_fill(net->logs, net->token, kind->rows, net->log);
    dnnl_status_t rc = kind->forward(state, step);
    add_logs(net);
    rc = rc ? rc
            : moe_neural_loss_run(&net->loss, &net->lib, net->z, net->token,
                                  step > 0, score);
    if (step > 0)
        add_logs_back(net);
    if (step > 0)
        rc = rc ? rc : kind->backward(state, step);
    return moe_neural_fail(rc, "training", err);
}
