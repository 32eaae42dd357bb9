/* SPDX-License-Identifier: Apache-2.0 */
#include "ffn_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <dnnl.h>

#include "moegps/mem.h"
#include "moegps/rng.h"

/* Experts on oneDNN. The number of rows changes with every call and creating
 * a matmul costs about 80 us, so each matrix has one primitive whose number
 * of rows is given at run time, on plain row-major weights. Memory objects
 * are made once per number of rows and kept. The product of the two halves of
 * SwiGLU is a loop of our own: oneDNN refuses a binary post-op there. */

/* Clones let the compiler's vectors be as wide as the CPU's without tying
 * the build to one machine. Sanitizers cannot run before ifunc resolution. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE        \
    __attribute__(( \
        target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

enum {
    CHUNK_ROWS = 512, /* inner activations stay in cache: 2 x 512 x inter */
    LEVELS = 256      /* weights and hidden vectors take one of these values */
};

typedef enum { MAT_GATE, MAT_UP, MAT_DOWN, N_MATS } matrix;

typedef struct {
    dnnl_memory_t hidden, inner_a, inner_b; /* of one number of rows */
} row_memory;

typedef struct {
    moe_ffn_shape shape;
    size_t element, row_bytes, out_bytes, matrix_bytes;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t widen, narrow; /* hidden -> inner -> hidden */
    dnnl_memory_t weights[N_MATS];
    row_memory *memory;      /* [CHUNK_ROWS + 1] */
    void *inner_a, *inner_b; /* [CHUNK_ROWS][inter] */
    float weight_level_f32[LEVELS], row_level_f32[LEVELS];
    uint16_t weight_level_bf16[LEVELS], row_level_bf16[LEVELS];
} state_t;

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static float from_bf16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static dnnl_data_type_t data_type(const state_t *s)
{
    return s->shape.dtype == MOE_BF16 ? dnnl_bf16 : dnnl_f32;
}

static void init_levels(state_t *s)
{
    /* Uniform in [-1, 1] for rows; for weights scaled so that an output has
     * about the size of an input: variance 1/fan-in. */
    const double scale =
        sqrt(3.0 / sqrt((double)s->shape.hidden * (double)s->shape.inter));
    for (int i = 0; i < LEVELS; i++) {
        double x = (i - (LEVELS - 1) / 2.0) / ((LEVELS - 1) / 2.0);
        s->row_level_f32[i] = (float)x;
        s->weight_level_f32[i] = (float)(x * scale);
        s->row_level_bf16[i] = to_bf16(s->row_level_f32[i]);
        s->weight_level_bf16[i] = to_bf16(s->weight_level_f32[i]);
    }
}

/* A row-major matrix whose rows may be padded. */
typedef struct {
    int64_t rows, columns, stride; /* stride: elements from row to row */
} form;

/* Rows of tokens are at least as long as a token's number. */
static form hidden_form(const state_t *s, int64_t rows)
{
    return (form){rows, s->shape.hidden, (int64_t)(s->row_bytes / s->element)};
}

static form dense_form(int64_t rows, int64_t columns)
{
    return (form){rows, columns, columns};
}

static dnnl_status_t describe(const state_t *s, form f, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dims = {f.rows, f.columns}, strides = {f.stride, 1};
    return dnnl_memory_desc_init_by_strides(md, 2, dims, data_type(s), strides);
}

/* A product of matrices with as many rows as are given at run time. */
static dnnl_status_t make_matmul(state_t *s, form from, form to,
                                 dnnl_primitive_t *out)
{
    dnnl_memory_desc_t a, b, c;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = describe(s, from, &a);
    rc = rc ? rc : describe(s, dense_form(from.columns, to.columns), &b);
    rc = rc ? rc : describe(s, to, &c);
    rc = rc ? rc : dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c);
    rc =
        rc ? rc : dnnl_primitive_desc_create(&pd, &desc, NULL, s->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(out, pd);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

static dnnl_status_t make_memory(const state_t *s, form f, dnnl_memory_t *out)
{
    dnnl_memory_desc_t md;
    dnnl_status_t rc = describe(s, f, &md);
    return rc ? rc : dnnl_memory_create(out, &md, s->engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t make_primitives(state_t *s)
{
    const int64_t h = s->shape.hidden, i = s->shape.inter;
    const form outer = hidden_form(s, DNNL_RUNTIME_DIM_VAL),
               inner = dense_form(DNNL_RUNTIME_DIM_VAL, i);
    dnnl_status_t rc = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    rc = rc ? rc
            : dnnl_stream_create(&s->stream, s->engine,
                                 dnnl_stream_default_flags);
    rc = rc ? rc : make_matmul(s, outer, inner, &s->widen);
    rc = rc ? rc : make_matmul(s, inner, outer, &s->narrow);
    rc = rc ? rc : make_memory(s, dense_form(h, i), &s->weights[MAT_GATE]);
    rc = rc ? rc : make_memory(s, dense_form(h, i), &s->weights[MAT_UP]);
    rc = rc ? rc : make_memory(s, dense_form(i, h), &s->weights[MAT_DOWN]);
    return rc;
}

static moe_status init(void *state, const moe_ffn_shape *shape, moe_error *err)
{
    state_t *s = state;
    s->shape = *shape;
    s->element = (size_t)moe_dtype_size((moe_dtype)shape->dtype);
    s->row_bytes = moe_ffn_row_bytes(shape);
    s->out_bytes = moe_ffn_out_bytes(shape);
    s->matrix_bytes = (size_t)shape->hidden * (size_t)shape->inter * s->element;
    const size_t inner = (size_t)CHUNK_ROWS * (size_t)shape->inter;
    moe_error local = {0};
    s->memory = moe_array_new(CHUNK_ROWS + 1, sizeof *s->memory, &local);
    s->inner_a = moe_array_new(inner, s->element, &local);
    s->inner_b = moe_array_new(inner, s->element, &local);
    if (local.status != MOE_OK)
        return moe_fail(err, local.status, "ffn dnnl: %s", local.text);
    init_levels(s);
    dnnl_status_t rc = make_primitives(s);
    if (rc != dnnl_success)
        return moe_fail(err, MOE_LIBRARY,
                        "ffn dnnl: oneDNN status %d for a [*][%d] x [%d][%d] "
                        "matmul",
                        (int)rc, shape->hidden, shape->hidden, shape->inter);
    return MOE_OK;
}

/* Eight values from every 64 random bits. */
static void fill_levels(moe_rng rng, const state_t *s, const float *f32,
                        const uint16_t *bf16, void *out, size_t n)
{
    for (size_t at = 0; at < n; at += 8) {
        uint64_t bits = moe_rng_u64(&rng);
        for (size_t j = 0; j < 8 && at + j < n; j++, bits >>= 8) {
            if (s->shape.dtype == MOE_BF16)
                ((uint16_t *)out)[at + j] = bf16[bits & 0xff];
            else
                ((float *)out)[at + j] = f32[bits & 0xff];
        }
    }
}

static void fill_weights(void *state, int layer, int expert, void *weights)
{
    const state_t *s = state;
    const size_t n = moe_ffn_matrices(&s->shape) * s->matrix_bytes / s->element;
    moe_rng rng =
        moe_rng_at(s->shape.seed, MOE_RNG_WEIGHT, 0,
                   (uint64_t)s->shape.layers[layer], (uint64_t)expert);
    fill_levels(rng, s, s->weight_level_f32, s->weight_level_bf16,
                (char *)weights + sizeof(moe_expert_tag), n);
}

static void fill_rows(void *state, const moe_batch *batch, void *rows_out)
{
    const state_t *s = state;
    for (uint32_t t = 0; t < batch->own; t++) {
        moe_rng rng =
            moe_rng_at(s->shape.seed, MOE_RNG_HIDDEN, 0, 0, batch->id[t]);
        fill_levels(rng, s, s->row_level_f32, s->row_level_bf16,
                    (char *)rows_out + t * s->row_bytes,
                    (size_t)s->shape.hidden);
    }
}

/* silu(x) = x / (1 + e^-x), with e^y by range reduction and a polynomial of
 * degree 5 (relative error 2e-7): unlike expf it lets the loop vectorise. */
static inline float silu(float x)
{
    float y = -x * 1.44269504f; /* log2 e */
    y = y > 126.0f ? 126.0f : y;
    y = y < -126.0f ? -126.0f : y;
    float whole = (float)(int32_t)(y + (y < 0 ? -0.5f : 0.5f));
    float f = (y - whole) * 0.693147181f; /* ln 2; |f| <= 0.35 */
    float e =
        1.0f +
        f * (1.0f +
             f * (0.5f + f * (0.166666667f +
                              f * (0.0416666667f + f * (0.00833333333f +
                                                        f * 0.00138888889f)))));
    int32_t bits = ((int32_t)whole + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return x / (1.0f + e * power);
}

WIDE static void swiglu_bf16(uint16_t *restrict gate,
                             const uint16_t *restrict up, size_t n)
{
    for (size_t j = 0; j < n; j++)
        gate[j] = to_bf16(silu(from_bf16(gate[j])) * from_bf16(up[j]));
}

WIDE static void swiglu_f32(float *restrict gate, const float *restrict up,
                            size_t n)
{
    for (size_t j = 0; j < n; j++)
        gate[j] = silu(gate[j]) * up[j];
}

WIDE static void relu_bf16(uint16_t *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        x[j] = (x[j] & 0x8000) ? 0 : x[j];
}

WIDE static void relu_f32(float *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        x[j] = x[j] > 0 ? x[j] : 0;
}

static void activate(state_t *s, size_t n)
{
    bool swiglu = s->shape.form == MOE_FFN_SWIGLU;
    if (s->shape.dtype == MOE_BF16 && swiglu)
        swiglu_bf16(s->inner_a, s->inner_b, n);
    else if (s->shape.dtype == MOE_BF16)
        relu_bf16(s->inner_a, n);
    else if (swiglu)
        swiglu_f32(s->inner_a, s->inner_b, n);
    else
        relu_f32(s->inner_a, n);
}

/* The memory objects for a number of rows, made at its first use. */
static dnnl_status_t rows_memory(state_t *s, uint32_t rows, row_memory **out)
{
    row_memory *m = &s->memory[rows];
    const form inner = dense_form(rows, s->shape.inter);
    dnnl_status_t rc = dnnl_success;
    if (m->hidden == NULL) {
        rc = make_memory(s, hidden_form(s, rows), &m->hidden);
        rc = rc ? rc : make_memory(s, inner, &m->inner_a);
        rc = rc ? rc : make_memory(s, inner, &m->inner_b);
        rc = rc ? rc : dnnl_memory_set_data_handle(m->inner_a, s->inner_a);
        rc = rc ? rc : dnnl_memory_set_data_handle(m->inner_b, s->inner_b);
    }
    *out = m;
    return rc;
}

static dnnl_status_t multiply(state_t *s, dnnl_primitive_t matmul,
                              dnnl_memory_t a, dnnl_memory_t b, dnnl_memory_t c)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}};
    return dnnl_primitive_execute(matmul, s->stream, MOE_ARRAY_LEN(args), args);
}

/* One expert on at most CHUNK_ROWS rows, in place. */
static dnnl_status_t run_chunk(state_t *s, uint32_t rows, void *data)
{
    row_memory *m = NULL;
    dnnl_status_t rc = rows_memory(s, rows, &m);
    rc = rc ? rc : dnnl_memory_set_data_handle(m->hidden, data);
    rc =
        rc ? rc
           : multiply(s, s->widen, m->hidden, s->weights[MAT_GATE], m->inner_a);
    if (s->shape.form == MOE_FFN_SWIGLU)
        rc = rc ? rc
                : multiply(s, s->widen, m->hidden, s->weights[MAT_UP],
                           m->inner_b);
    rc = rc ? rc : dnnl_stream_wait(s->stream);
    if (rc == dnnl_success)
        activate(s, (size_t)rows * (size_t)s->shape.inter);
    rc = rc ? rc
            : multiply(s, s->narrow, m->inner_a, s->weights[MAT_DOWN],
                       m->hidden);
    return rc ? rc : dnnl_stream_wait(s->stream);
}

static dnnl_status_t use_weights(state_t *s, void *weights)
{
    char *at = (char *)weights + sizeof(moe_expert_tag);
    bool swiglu = s->shape.form == MOE_FFN_SWIGLU;
    dnnl_status_t rc = dnnl_memory_set_data_handle(s->weights[MAT_GATE], at);
    if (swiglu) {
        at += s->matrix_bytes;
        rc = rc ? rc : dnnl_memory_set_data_handle(s->weights[MAT_UP], at);
    }
    at += s->matrix_bytes;
    return rc ? rc : dnnl_memory_set_data_handle(s->weights[MAT_DOWN], at);
}

static moe_status run(void *state, const moe_ffn_work *work, moe_error *err)
{
    state_t *s = state;
    char *at = work->data;
    for (int k = 0; k < work->slots; k++) {
        if (work->rows[k] == 0)
            continue;
        dnnl_status_t rc = use_weights(s, work->weights[k]);
        for (uint32_t left = work->rows[k]; left > 0 && rc == dnnl_success;) {
            uint32_t rows = left < CHUNK_ROWS ? left : CHUNK_ROWS;
            rc = run_chunk(s, rows, at);
            at += rows * s->row_bytes;
            left -= rows;
        }
        if (rc != dnnl_success)
            return moe_fail(err, MOE_LIBRARY, "ffn dnnl: oneDNN status %d",
                            (int)rc);
    }
    return MOE_OK;
}

WIDE static void add_bf16(float *restrict out, const uint16_t *restrict row,
                          float gate, size_t n)
{
    for (size_t j = 0; j < n; j++)
        out[j] += gate * from_bf16(row[j]);
}

WIDE static void add_f32(float *restrict out, const float *restrict row,
                         float gate, size_t n)
{
    for (size_t j = 0; j < n; j++)
        out[j] += gate * row[j];
}

static void combine(void *state, const moe_batch *batch, int layer,
                    const void *rows, const uint32_t *where, void *out)
{
    const state_t *s = state;
    const size_t k = (size_t)s->shape.top_k, h = (size_t)s->shape.hidden;
    const float *gate = batch->gate != NULL
                            ? batch->gate + (size_t)layer * batch->own * k
                            : NULL;
    for (uint32_t t = 0; t < batch->own; t++) {
        float *sum = (float *)((char *)out + t * s->out_bytes);
        memset(sum, 0, h * sizeof *sum);
        for (size_t j = 0; j < k; j++) {
            const void *row =
                (const char *)rows + where[t * k + j] * s->row_bytes;
            float g = gate != NULL ? gate[t * k + j] : 1.0f / (float)k;
            if (s->shape.dtype == MOE_BF16)
                add_bf16(sum, row, g, h);
            else
                add_f32(sum, row, g, h);
        }
    }
}

static void fini(void *state)
{
    state_t *s = state;
    for (int r = 0; s->memory != NULL && r <= CHUNK_ROWS; r++) {
        dnnl_memory_destroy(s->memory[r].hidden);
        dnnl_memory_destroy(s->memory[r].inner_a);
        dnnl_memory_destroy(s->memory[r].inner_b);
    }
    for (int m = 0; m < N_MATS; m++)
        dnnl_memory_destroy(s->weights[m]);
    if (s->widen != NULL)
        dnnl_primitive_destroy(s->widen);
    if (s->narrow != NULL)
        dnnl_primitive_destroy(s->narrow);
    if (s->stream != NULL)
        dnnl_stream_destroy(s->stream);
    if (s->engine != NULL)
        dnnl_engine_destroy(s->engine);
    free(s->memory);
    free(s->inner_a);
    free(s->inner_b);
}

const moe_ffn moe_ffn_dnnl = {
    .name = "dnnl",
    .help = "real experts: SwiGLU (or linear) in bf16 or f32 on oneDNN",
    .state_size = sizeof(state_t),
    .init = init,
    .fill_weights = fill_weights,
    .fill_rows = fill_rows,
    .run = run,
    .combine = combine,
    .fini = fini,
};
