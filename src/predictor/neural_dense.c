/* SPDX-License-Identifier: Apache-2.0 */
#include "neural.h"

#include <string.h>

#include "moegps/mem.h"

dnnl_status_t moe_neural_lib_init(moe_neural_lib *lib)
{
    dnnl_status_t rc = dnnl_engine_create(&lib->engine, dnnl_cpu, 0);
    return rc ? rc
              : dnnl_stream_create(&lib->stream, lib->engine,
                                   dnnl_stream_default_flags);
}

void moe_neural_lib_fini(moe_neural_lib *lib)
{
    if (lib->stream != NULL)
        dnnl_stream_destroy(lib->stream);
    if (lib->engine != NULL)
        dnnl_engine_destroy(lib->engine);
    *lib = (moe_neural_lib){NULL, NULL};
}

moe_status moe_neural_fail(dnnl_status_t rc, const char *what, moe_error *err)
{
    if (rc == dnnl_success)
        return MOE_OK;
    return moe_fail(err, MOE_LIBRARY, "oneDNN status %d in %s", (int)rc, what);
}

dnnl_memory_desc_t moe_neural_desc(int rank, const int64_t *dims)
{
    dnnl_memory_desc_t md = {.ndims = 0};
    dnnl_dims_t size, strides;
    int64_t stride = 1;
    for (int d = rank - 1; d >= 0; d--) {
        size[d] = dims[d];
        strides[d] = stride;
        stride *= dims[d];
    }
    dnnl_memory_desc_init_by_strides(&md, rank, size, dnnl_f32, strides);
    return md;
}

dnnl_status_t moe_neural_execute(const moe_neural_lib *lib,
                                 dnnl_primitive_t primitive,
                                 const moe_neural_arg *args, int n)
{
    dnnl_exec_arg_t list[24];
    dnnl_status_t rc = dnnl_success;
    int used = 0;
    for (int i = 0; i < n && rc == dnnl_success; i++) {
        if (args[i].memory == NULL)
            continue;
        if (args[i].data != NULL) /* dnnl takes outputs and inputs alike */
            rc = dnnl_memory_set_data_handle(args[i].memory,
                                             (void *)(uintptr_t)args[i].data);
        list[used++] = (dnnl_exec_arg_t){args[i].arg, args[i].memory};
    }
    rc = rc ? rc : dnnl_primitive_execute(primitive, lib->stream, used, list);
    return rc ? rc : dnnl_stream_wait(lib->stream);
}

dnnl_status_t moe_neural_reorder(const moe_neural_lib *lib,
                                 const dnnl_memory_desc_t *from,
                                 const void *src, const dnnl_memory_desc_t *to,
                                 void *dst)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_memory_t a = NULL, b = NULL;
    dnnl_status_t rc = dnnl_reorder_primitive_desc_create(
        &pd, from, lib->engine, to, lib->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(&reorder, pd);
    rc = rc ? rc : dnnl_memory_create(&a, from, lib->engine, DNNL_MEMORY_NONE);
    rc = rc ? rc : dnnl_memory_create(&b, to, lib->engine, DNNL_MEMORY_NONE);
    const moe_neural_arg args[] = {{DNNL_ARG_FROM, a, src},
                                   {DNNL_ARG_TO, b, dst}};
    rc = rc ? rc : moe_neural_execute(lib, reorder, args, 2);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    if (reorder != NULL)
        dnnl_primitive_destroy(reorder);
    dnnl_memory_destroy(a);
    dnnl_memory_destroy(b);
    return rc;
}

/* The forward primitive, whose description the backward ones want. */
static dnnl_status_t make_forward(moe_neural_dense *d,
                                  const moe_neural_lib *lib,
                                  const dnnl_memory_desc_t md[4],
                                  dnnl_primitive_desc_t *pd)
{
    dnnl_inner_product_desc_t desc;
    dnnl_status_t rc = dnnl_inner_product_forward_desc_init(
        &desc, dnnl_forward_training, &md[0], &md[1], &md[2], &md[3]);
    rc = rc ? rc
            : dnnl_primitive_desc_create(pd, &desc, NULL, lib->engine, NULL);
    return rc ? rc : dnnl_primitive_create(&d->forward, *pd);
}

static dnnl_status_t make_backward(moe_neural_dense *d,
                                   const moe_neural_lib *lib,
                                   const dnnl_memory_desc_t md[4],
                                   dnnl_primitive_desc_t forward)
{
    dnnl_inner_product_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = dnnl_inner_product_backward_data_desc_init(
        &desc, &md[0], &md[1], &md[3]);
    rc =
        rc ? rc
           : dnnl_primitive_desc_create(&pd, &desc, NULL, lib->engine, forward);
    rc = rc ? rc : dnnl_primitive_create(&d->back_data, pd);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    pd = NULL;
    rc = rc ? rc
            : dnnl_inner_product_backward_weights_desc_init(
                  &desc, &md[0], &md[1], &md[2], &md[3]);
    rc =
        rc ? rc
           : dnnl_primitive_desc_create(&pd, &desc, NULL, lib->engine, forward);
    rc = rc ? rc : dnnl_primitive_create(&d->back_weights, pd);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

dnnl_status_t moe_neural_dense_init(moe_neural_dense *d,
                                    const moe_neural_lib *lib, int64_t rows,
                                    int64_t in, int64_t out)
{
    const dnnl_memory_desc_t md[] = {
        moe_neural_desc(2, (int64_t[]){rows, in}),
        moe_neural_desc(2, (int64_t[]){out, in}),
        moe_neural_desc(1, (int64_t[]){out}),
        moe_neural_desc(2, (int64_t[]){rows, out})};
    *d = (moe_neural_dense){.rows = rows, .in = in, .out = out};
    dnnl_memory_t *const memory[2][4] = {{&d->x, &d->w, &d->b, &d->y},
                                         {&d->dx, &d->dw, &d->db, &d->dy}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = make_forward(d, lib, md, &pd);
    rc = rc ? rc : make_backward(d, lib, md, pd);
    for (int i = 0; i < 8 && rc == dnnl_success; i++)
        rc = dnnl_memory_create(memory[i / 4][i % 4], &md[i % 4], lib->engine,
                                DNNL_MEMORY_NONE);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

dnnl_status_t moe_neural_dense_forward(const moe_neural_dense *d,
                                       const moe_neural_lib *lib,
                                       const float *x, const float *w,
                                       const float *b, float *y)
{
    const moe_neural_arg args[] = {{DNNL_ARG_SRC, d->x, x},
                                   {DNNL_ARG_WEIGHTS, d->w, w},
                                   {DNNL_ARG_BIAS, d->b, b},
                                   {DNNL_ARG_DST, d->y, y}};
    return moe_neural_execute(lib, d->forward, args, MOE_ARRAY_LEN(args));
}

dnnl_status_t moe_neural_dense_backward(const moe_neural_dense *d,
                                        const moe_neural_lib *lib,
                                        const float *x,
                                        const moe_neural_array *of,
                                        const float *dy, float *dx)
{
    const moe_neural_arg weights[] = {
        {DNNL_ARG_SRC, d->x, x},
        {DNNL_ARG_DIFF_DST, d->dy, dy},
        {DNNL_ARG_DIFF_WEIGHTS, d->dw, of[0].grad},
        {DNNL_ARG_DIFF_BIAS, d->db, of[1].grad}};
    const moe_neural_arg data[] = {{DNNL_ARG_WEIGHTS, d->w, of[0].value},
                                   {DNNL_ARG_DIFF_DST, d->dy, dy},
                                   {DNNL_ARG_DIFF_SRC, d->dx, dx}};
    dnnl_status_t rc = moe_neural_execute(lib, d->back_weights, weights,
                                          MOE_ARRAY_LEN(weights));
    if (rc != dnnl_success || dx == NULL)
        return rc;
    return moe_neural_execute(lib, d->back_data, data, MOE_ARRAY_LEN(data));
}

void moe_neural_dense_fini(moe_neural_dense *d)
{
    dnnl_primitive_t const primitives[] = {d->forward, d->back_data,
                                           d->back_weights};
    dnnl_memory_t const memories[] = {d->x,  d->w,  d->b,  d->y,
                                      d->dx, d->dw, d->db, d->dy};
    for (size_t i = 0; i < MOE_ARRAY_LEN(primitives); i++)
        if (primitives[i] != NULL)
            dnnl_primitive_destroy(primitives[i]);
    for (size_t i = 0; i < MOE_ARRAY_LEN(memories); i++)
        dnnl_memory_destroy(memories[i]);
    *d = (moe_neural_dense){.rows = 0};
}
