/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <string.h>

#include "moegps/mem.h"

/* Layouts of an LSTM: what is plain to us, and `any` where oneDNN chooses. */
typedef struct {
    dnnl_memory_desc_t rows, weights, any, bias, none, iter;
} layouts;

static layouts describe(int64_t sequences)
{
    layouts l;
    memset(&l, 0, sizeof l);
    l.rows = moe_neural_desc(
        3, (int64_t[]){MOE_RECUR_STEPS, sequences, MOE_NEURAL_WIDTH});
    l.weights =
        moe_neural_desc(5, (int64_t[]){MOE_RECUR_LAYERS, 1, MOE_NEURAL_WIDTH,
                                       MOE_RECUR_GATES, MOE_NEURAL_WIDTH});
    l.bias = moe_neural_desc(
        4, (int64_t[]){MOE_RECUR_LAYERS, 1, MOE_RECUR_GATES, MOE_NEURAL_WIDTH});
    l.iter = moe_neural_desc(
        4, (int64_t[]){MOE_RECUR_LAYERS, 1, sequences, MOE_NEURAL_WIDTH});
    l.any = l.weights;
    l.any.format_kind = dnnl_format_kind_any;
    return l;
}

static dnnl_status_t make_copy(moe_recur_copy *c, const moe_neural_lib *lib,
                               const dnnl_memory_desc_t *plain,
                               const dnnl_memory_desc_t *chosen, bool back)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc =
        dnnl_memory_create(&c->plain, plain, lib->engine, DNNL_MEMORY_NONE);
    if (rc != dnnl_success || dnnl_memory_desc_equal(plain, chosen))
        return rc;
    rc = dnnl_memory_create(&c->chosen, chosen, lib->engine,
                            DNNL_MEMORY_ALLOCATE);
    rc = rc ? rc
            : dnnl_reorder_primitive_desc_create(
                  &pd, back ? chosen : plain, lib->engine,
                  back ? plain : chosen, lib->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(&c->reorder, pd);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

static void free_copy(moe_recur_copy *c)
{
    if (c->reorder != NULL)
        dnnl_primitive_destroy(c->reorder);
    dnnl_memory_destroy(c->plain);
    dnnl_memory_destroy(c->chosen);
}

static dnnl_memory_t chosen_of(const moe_recur_copy *c)
{
    return c->chosen != NULL ? c->chosen : c->plain;
}

/* Copy a plain array in (or, with back, out). */
static dnnl_status_t move_copy(const moe_recur_copy *c,
                               const moe_neural_lib *lib, const float *data,
                               bool back)
{
    dnnl_status_t rc =
        dnnl_memory_set_data_handle(c->plain, (void *)(uintptr_t)data);
    if (rc != dnnl_success || c->reorder == NULL)
        return rc;
    const moe_neural_arg args[] = {
        {DNNL_ARG_FROM, back ? c->chosen : c->plain, NULL},
        {DNNL_ARG_TO, back ? c->plain : c->chosen, NULL}};
    return moe_neural_execute(lib, c->reorder, args, 2);
}

static const dnnl_memory_desc_t *query(dnnl_primitive_desc_t pd,
                                       dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(pd, what, index);
}

static dnnl_status_t make_forward(moe_recur_lstm *r, const moe_neural_lib *lib,
                                  const layouts *l, bool train,
                                  dnnl_primitive_desc_t *pd)
{
    dnnl_rnn_desc_t desc;
    dnnl_status_t rc = dnnl_lstm_forward_desc_init(
        &desc, train ? dnnl_forward_training : dnnl_forward_inference,
        dnnl_unidirectional_left2right, &l->rows, &l->iter, &l->iter, &l->any,
        &l->any, &l->bias, &l->rows, &l->none, &l->none, dnnl_rnn_flags_undef);
    rc = rc ? rc
            : dnnl_primitive_desc_create(pd, &desc, NULL, lib->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(&r->forward, *pd);
    for (int i = 0; i < 2 && rc == dnnl_success; i++)
        rc = make_copy(&r->weights[i], lib, &l->weights,
                       query(*pd, dnnl_query_weights_md, i), false);
    if (train)
        rc = rc ? rc
                : dnnl_memory_create(&r->workspace,
                                     query(*pd, dnnl_query_workspace_md, 0),
                                     lib->engine, DNNL_MEMORY_ALLOCATE);
    return rc;
}

static dnnl_status_t make_backward(moe_recur_lstm *r, const moe_neural_lib *lib,
                                   const layouts *l,
                                   dnnl_primitive_desc_t forward)
{
    dnnl_rnn_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = dnnl_lstm_backward_desc_init(
        &desc, dnnl_backward, dnnl_unidirectional_left2right, &l->rows,
        &l->iter, &l->iter, &l->any, &l->any, &l->bias, &l->rows, &l->none,
        &l->none, &l->rows, &l->iter, &l->iter, &l->any, &l->any, &l->bias,
        &l->rows, &l->none, &l->none, dnnl_rnn_flags_undef);
    rc =
        rc ? rc
           : dnnl_primitive_desc_create(&pd, &desc, NULL, lib->engine, forward);
    rc = rc ? rc : dnnl_primitive_create(&r->backward, pd);
    for (int i = 0; i < 2 && rc == dnnl_success; i++) {
        rc = make_copy(&r->back[i], lib, &l->weights,
                       query(pd, dnnl_query_weights_md, i), false);
        rc = rc ? rc
                : make_copy(&r->diff[i], lib, &l->weights,
                            query(pd, dnnl_query_diff_weights_md, i), true);
    }
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

dnnl_status_t moe_recur_lstm_init(moe_recur_lstm *r, const moe_neural_lib *lib,
                                  int64_t sequences, bool train)
{
    const layouts l = describe(sequences);
    dnnl_primitive_desc_t pd = NULL;
    *r = (moe_recur_lstm){.sequences = sequences};
    dnnl_status_t rc = make_forward(r, lib, &l, train, &pd);
    if (train)
        rc = rc ? rc : make_backward(r, lib, &l, pd);
    dnnl_memory_t *const rows[] = {&r->x, &r->y, &r->dx, &r->dy};
    dnnl_memory_t *const biases[] = {&r->bias, &r->dbias};
    for (int i = 0; i < 4 && rc == dnnl_success; i++)
        rc =
            dnnl_memory_create(rows[i], &l.rows, lib->engine, DNNL_MEMORY_NONE);
    for (int i = 0; i < 2 && rc == dnnl_success; i++)
        rc = dnnl_memory_create(biases[i], &l.bias, lib->engine,
                                DNNL_MEMORY_NONE);
    /* Without states to begin with, oneDNN 2.6.3 gets the gradient of the
     * state's weights wrong by some percent (test_neural.c sees it). */
    dnnl_memory_t *const iter[] = {&r->zero, &r->unused[0], &r->unused[1]};
    for (int i = 0; i < 3 && rc == dnnl_success; i++)
        rc = dnnl_memory_create(iter[i], &l.iter, lib->engine,
                                DNNL_MEMORY_ALLOCATE);
    void *zero = NULL;
    rc = rc ? rc : dnnl_memory_get_data_handle(r->zero, &zero);
    if (rc == dnnl_success)
        memset(zero, 0, dnnl_memory_desc_get_size(&l.iter));
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

void moe_recur_lstm_fini(moe_recur_lstm *r)
{
    dnnl_memory_t const memories[] = {
        r->x,  r->y,     r->bias, r->workspace, r->dx,
        r->dy, r->dbias, r->zero, r->unused[0], r->unused[1]};
    if (r->forward != NULL)
        dnnl_primitive_destroy(r->forward);
    if (r->backward != NULL)
        dnnl_primitive_destroy(r->backward);
    for (size_t i = 0; i < MOE_ARRAY_LEN(memories); i++)
        dnnl_memory_destroy(memories[i]);
    for (int i = 0; i < 2; i++) {
        free_copy(&r->weights[i]);
        free_copy(&r->back[i]);
        free_copy(&r->diff[i]);
    }
    *r = (moe_recur_lstm){.sequences = 0};
}

dnnl_status_t moe_recur_lstm_load(moe_recur_lstm *r, const moe_neural_lib *lib,
                                  const float *input, const float *state)
{
    const dnnl_status_t rc = move_copy(&r->weights[0], lib, input, false);
    return rc ? rc : move_copy(&r->weights[1], lib, state, false);
}

dnnl_status_t moe_recur_lstm_forward(moe_recur_lstm *r,
                                     const moe_neural_lib *lib, const float *x,
                                     const float *bias, float *y)
{
    const moe_neural_arg args[] = {
        {DNNL_ARG_SRC_LAYER, r->x, x},
        {DNNL_ARG_SRC_ITER, r->zero, NULL},
        {DNNL_ARG_SRC_ITER_C, r->zero, NULL},
        {DNNL_ARG_WEIGHTS_LAYER, chosen_of(&r->weights[0]), NULL},
        {DNNL_ARG_WEIGHTS_ITER, chosen_of(&r->weights[1]), NULL},
        {DNNL_ARG_BIAS, r->bias, bias},
        {DNNL_ARG_DST_LAYER, r->y, y},
        {DNNL_ARG_WORKSPACE, r->workspace, NULL}};
    return moe_neural_execute(lib, r->forward, args, MOE_ARRAY_LEN(args));
}

/* oneDNN adds to the gradients of weights: they start at zero. */
static dnnl_status_t clear_diff(const moe_recur_copy *c, float *grad)
{
    void *chosen = NULL;
    memset(grad, 0, MOE_RECUR_WEIGHTS * sizeof *grad);
    dnnl_status_t rc = dnnl_memory_set_data_handle(c->plain, grad);
    if (c->chosen == NULL || rc != dnnl_success)
        return rc;
    const dnnl_memory_desc_t *md = NULL;
    rc = dnnl_memory_get_memory_desc(c->chosen, &md);
    rc = rc ? rc : dnnl_memory_get_data_handle(c->chosen, &chosen);
    if (rc == dnnl_success)
        memset(chosen, 0, dnnl_memory_desc_get_size(md));
    return rc;
}

dnnl_status_t moe_recur_lstm_backward(moe_recur_lstm *r,
                                      const moe_neural_lib *lib,
                                      const moe_neural_array *of,
                                      const float *dy, float *dx)
{
    const moe_neural_arg args[] = {
        {DNNL_ARG_SRC_LAYER, r->x, NULL},
        {DNNL_ARG_SRC_ITER, r->zero, NULL},
        {DNNL_ARG_SRC_ITER_C, r->zero, NULL},
        {DNNL_ARG_WEIGHTS_LAYER, chosen_of(&r->back[0]), NULL},
        {DNNL_ARG_WEIGHTS_ITER, chosen_of(&r->back[1]), NULL},
        {DNNL_ARG_BIAS, r->bias, NULL},
        {DNNL_ARG_DST_LAYER, r->y, NULL},
        {DNNL_ARG_WORKSPACE, r->workspace, NULL},
        {DNNL_ARG_DIFF_DST_LAYER, r->dy, dy},
        {DNNL_ARG_DIFF_SRC_LAYER, r->dx, dx},
        {DNNL_ARG_DIFF_SRC_ITER, r->unused[0], NULL},
        {DNNL_ARG_DIFF_SRC_ITER_C, r->unused[1], NULL},
        {DNNL_ARG_DIFF_WEIGHTS_LAYER, chosen_of(&r->diff[0]), NULL},
        {DNNL_ARG_DIFF_WEIGHTS_ITER, chosen_of(&r->diff[1]), NULL},
        {DNNL_ARG_DIFF_BIAS, r->dbias, of[2].grad}};
    dnnl_status_t rc = dnnl_success;
    memset(of[2].grad, 0, MOE_RECUR_BIASES * sizeof(float));
    for (int i = 0; i < 2 && rc == dnnl_success; i++) {
        rc = move_copy(&r->back[i], lib, of[i].value, false);
        rc = rc ? rc : clear_diff(&r->diff[i], of[i].grad);
    }
    rc = rc ? rc
            : moe_neural_execute(lib, r->backward, args, MOE_ARRAY_LEN(args));
    for (int i = 0; i < 2 && rc == dnnl_success; i++)
        rc = move_copy(&r->diff[i], lib, of[i].grad, true);
    return rc;
}
