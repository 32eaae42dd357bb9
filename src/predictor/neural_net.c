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
    if (err->status != MOE_OK ||
        moe_neural_fail(moe_neural_lib_init(&net->lib), "engine", err) !=
            MOE_OK ||
        moe_neural_loss_init(&net->loss, &net->lib, net->task, kind->rows,
                             err) != MOE_OK)
        return err->status;
    return kind->init(net, err);
}

void *moe_neural_net_new(const moe_neural_kind *kind,
                         const moe_neural_task *task,
                         const moe_neural_array *arrays, moe_error *err)
{
    moe_error local = {0};
    moe_neural_net *net = moe_array_new(1, kind->state_size, &local);
    if (net != NULL) {
        net->kind = kind;
        net->task = task;
        net->array = arrays;
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
    free(net);
}

moe_status moe_neural_net_run(void *state, const uint64_t *samples, int n,
                              uint64_t step, moe_neural_score *score,
                              moe_error *err)
{
    const moe_neural_net *net = state;
    const moe_neural_kind *kind = net->kind;
    kind->fill(state, samples, n, step);
    dnnl_status_t rc = kind->forward(state, step);
    rc = rc ? rc
            : moe_neural_loss_run(&net->loss, &net->lib, net->z, net->token,
                                  step > 0, score);
    if (step > 0)
        rc = rc ? rc : kind->backward(state, step);
    return moe_neural_fail(rc, "training", err);
}
