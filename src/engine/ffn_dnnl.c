/* SPDX-License-Identifier: Apache-2.0 */
#include "ffn_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <dnnl.h>

#include "moegps/mem.h"
#include "moegps/rng.h"

/* Experts on oneDNN. Weights lie in the blocked layout that oneDNN likes
 * best, which up to 16 rows is about twice as fast as row-major weights; the
 * reordered bytes are what migrates, so all GPUs of a run need CPUs of one
 * kind (the comparison of outputs finds it out). The number of rows changes
 * with every call and creating a matmul costs about 150 us, so every number
 * up to EXACT_ROWS has its own from the start, and more rows are cut into
 * blocks that have one. The product of the two halves of SwiGLU is a loop of
 * our own, as a swish post-op is slower than that. */

enum {
    EXACT_ROWS = 64, /* every number of rows up to here has its matmuls */
    DOUBLINGS = 2,   /* ... and so have twice as many, and so on */
    BLOCK_ROWS = EXACT_ROWS << DOUBLINGS, /* the most rows of one call */
    N_BLOCKS = EXACT_ROWS + DOUBLINGS,
    LEVELS = 256 /* weights and hidden vectors take one of these values */
};

typedef enum { MAT_GATE, MAT_UP, MAT_DOWN, N_MATS } matrix;

/* All that a block of so many rows needs. */
typedef struct {
    uint32_t rows;
    dnnl_primitive_t widen, narrow; /* hidden -> inner -> hidden */
    dnnl_memory_t hidden, inner_a, inner_b;
} block;

/* One kind of weight matrix: how it is generated and how it is stored. */
typedef struct {
    dnnl_memory_desc_t stored;
    dnnl_primitive_t reorder; /* from row-major */
    dnnl_memory_t plain;
} layout;

typedef struct {
    moe_ffn_shape shape;
    moe_dtype dtype;
    size_t row_bytes, out_bytes, room; /* room: bytes of one matrix */
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    layout widen, narrow;
    dnnl_memory_t weights[N_MATS];
    block block[N_BLOCKS];
    void *inner_a, *inner_b; /* [BLOCK_ROWS][inter] */
    void *plain;             /* [hidden][inter] before reordering */
    float *sum;              /* [hidden] of a row that is made of others */
    dnnl_status_t filled;    /* the first failure of a fill_weights */
    float weight_level_f32[LEVELS], row_level_f32[LEVELS];
    uint16_t weight_level_bf16[LEVELS], row_level_bf16[LEVELS];
} dnnl_state;

static dnnl_data_type_t data_type(const dnnl_state *s)
{
    return s->dtype == MOE_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

static void init_levels(dnnl_state *s)
{
    /* Uniform in [-1, 1] for rows; for weights scaled so that an output has
     * about the size of an input: variance 1/fan-in. */
    const double scale =
        sqrt(3.0 / sqrt((double)s->shape.hidden * (double)s->shape.inter));
    for (int i = 0; i < LEVELS; i++) {
        double x = (i - (LEVELS - 1) / 2.0) / ((LEVELS - 1) / 2.0);
        s->row_level_f32[i] = (float)x;
        s->weight_level_f32[i] = (float)(x * scale);
        s->row_level_bf16[i] = moe_ffn_bf16(s->row_level_f32[i]);
        s->weight_level_bf16[i] = moe_ffn_bf16(s->weight_level_f32[i]);
    }
}

static dnnl_status_t describe(dnnl_memory_desc_t *md, int64_t rows,
                              int64_t columns, dnnl_data_type_t type)
{
    dnnl_dims_t dims = {rows, columns}, strides = {columns, 1};
    return dnnl_memory_desc_init_by_strides(md, 2, dims, type, strides);
}

/* A [rows][k] x [k][n] product. @param weights  layout of the second factor;
 * the chosen one where it is left open. */
static dnnl_status_t make_matmul(const dnnl_state *s, int64_t rows, int64_t k,
                                 int64_t n, dnnl_memory_desc_t *weights,
                                 dnnl_primitive_t *out)
{
    dnnl_memory_desc_t a, c;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = describe(&a, rows, k, data_type(s));
    rc = rc ? rc : describe(&c, rows, n, data_type(s));
    rc = rc ? rc : dnnl_matmul_desc_init(&desc, &a, weights, NULL, &c);
    rc =
        rc ? rc : dnnl_primitive_desc_create(&pd, &desc, NULL, s->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(out, pd);
    if (rc == dnnl_success)
        *weights = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

static dnnl_status_t make_memory(const dnnl_state *s, int64_t rows,
                                 int64_t columns, void *data,
                                 dnnl_memory_t *out)
{
    dnnl_memory_desc_t md;
    dnnl_status_t rc = describe(&md, rows, columns, data_type(s));
    return rc ? rc : dnnl_memory_create(out, &md, s->engine, data);
}

static void free_block(block *b)
{
    if (b->widen != NULL)
        dnnl_primitive_destroy(b->widen);
    if (b->narrow != NULL)
        dnnl_primitive_destroy(b->narrow);
    dnnl_memory_destroy(b->hidden);
    dnnl_memory_destroy(b->inner_a);
    dnnl_memory_destroy(b->inner_b);
    *b = (block){0};
}

static dnnl_status_t make_block(dnnl_state *s, block *b, uint32_t rows)
{
    const int64_t h = s->shape.hidden, i = s->shape.inter;
    b->rows = rows;
    dnnl_status_t rc = make_matmul(s, rows, h, i, &s->widen.stored, &b->widen);
    rc = rc ? rc : make_matmul(s, rows, i, h, &s->narrow.stored, &b->narrow);
    rc = rc ? rc : make_memory(s, rows, h, DNNL_MEMORY_NONE, &b->hidden);
    rc = rc ? rc : make_memory(s, rows, i, s->inner_a, &b->inner_a);
    rc = rc ? rc : make_memory(s, rows, i, s->inner_b, &b->inner_b);
    return rc;
}

/* The largest block first: its matmul chooses the layout of the weights, and
 * the others have to agree. */
static dnnl_status_t make_blocks(dnnl_state *s)
{
    dnnl_status_t rc = dnnl_success;
    for (int b = N_BLOCKS - 1; b >= 0 && rc == dnnl_success; b--) {
        int rows = b < EXACT_ROWS ? b + 1 : EXACT_ROWS << (b + 1 - EXACT_ROWS);
        rc = make_block(s, &s->block[b], (uint32_t)rows);
        if (dnnl_memory_desc_get_size(&s->widen.stored) > s->room ||
            dnnl_memory_desc_get_size(&s->narrow.stored) > s->room)
            rc = dnnl_unimplemented;
    }
    return rc;
}

static dnnl_status_t choose_layouts(dnnl_state *s)
{
    const int64_t h = s->shape.hidden, i = s->shape.inter;
    dnnl_dims_t wide = {h, i}, tall = {i, h};
    dnnl_status_t rc = dnnl_memory_desc_init_by_tag(
        &s->widen.stored, 2, wide, data_type(s), dnnl_format_tag_any);
    rc = rc ? rc
            : dnnl_memory_desc_init_by_tag(&s->narrow.stored, 2, tall,
                                           data_type(s), dnnl_format_tag_any);
    rc = rc ? rc : make_blocks(s);
    if (rc != dnnl_unimplemented)
        return rc;
    /* No layout suits all numbers of rows: then row-major. */
    for (int b = 0; b < N_BLOCKS; b++)
        free_block(&s->block[b]);
    rc = describe(&s->widen.stored, h, i, data_type(s));
    rc = rc ? rc : describe(&s->narrow.stored, i, h, data_type(s));
    return rc ? rc : make_blocks(s);
}

static dnnl_status_t make_reorder(const dnnl_state *s, int64_t rows,
                                  int64_t columns, layout *l)
{
    dnnl_memory_desc_t plain;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t rc = describe(&plain, rows, columns, data_type(s));
    rc = rc ? rc : dnnl_memory_create(&l->plain, &plain, s->engine, s->plain);
    rc = rc ? rc
            : dnnl_reorder_primitive_desc_create(&pd, &plain, s->engine,
                                                 &l->stored, s->engine, NULL);
    rc = rc ? rc : dnnl_primitive_create(&l->reorder, pd);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return rc;
}

static dnnl_status_t make_primitives(dnnl_state *s)
{
    const int64_t h = s->shape.hidden, i = s->shape.inter;
    dnnl_status_t rc = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    rc = rc ? rc
            : dnnl_stream_create(&s->stream, s->engine,
                                 dnnl_stream_default_flags);
    rc = rc ? rc : choose_layouts(s);
    rc = rc ? rc : make_reorder(s, h, i, &s->widen);
    rc = rc ? rc : make_reorder(s, i, h, &s->narrow);
    for (int m = 0; m < N_MATS; m++) {
        const layout *l = m == MAT_DOWN ? &s->narrow : &s->widen;
        rc = rc ? rc
                : dnnl_memory_create(&s->weights[m], &l->stored, s->engine,
                                     DNNL_MEMORY_NONE);
    }
    return rc;
}

static moe_status init(void *state, const moe_ffn_shape *shape, moe_error *err)
{
    dnnl_state *s = state;
    s->shape = *shape;
    s->dtype = shape->dtype;
    s->row_bytes = moe_ffn_row_bytes(shape);
    s->out_bytes = moe_ffn_out_bytes(shape);
    s->room = moe_ffn_matrix_bytes(shape);
    if (!moe_ffn_runs(s->dtype))
        return moe_fail(err, MOE_USAGE,
                        "emulation.dtype: 'bf16' needs a CPU with AVX-512, "
                        "which this is not (allowed here: auto, f32)");
    const size_t element = (size_t)moe_dtype_size(s->dtype);
    const size_t h = (size_t)shape->hidden, i = (size_t)shape->inter;
    moe_error local = {0};
    s->inner_a = moe_array_new(BLOCK_ROWS * i, element, &local);
    s->inner_b = moe_array_new(BLOCK_ROWS * i, element, &local);
    s->plain = moe_array_new(h * i, element, &local);
    s->sum = moe_array_new(h, sizeof *s->sum, &local);
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
static void fill_levels(moe_rng *rng, const dnnl_state *s, const float *f32,
                        const uint16_t *bf16, void *out, size_t n)
{
    for (size_t at = 0; at < n; at += 8) {
        uint64_t bits = moe_rng_u64(rng);
        for (size_t j = 0; j < 8 && at + j < n; j++, bits >>= 8) {
            if (s->dtype == MOE_DTYPE_BF16)
                ((uint16_t *)out)[at + j] = bf16[bits & 0xff];
            else
                ((float *)out)[at + j] = f32[bits & 0xff];
        }
    }
}

static dnnl_status_t multiply(dnnl_state *s, dnnl_primitive_t matmul,
                              dnnl_memory_t a, dnnl_memory_t b, dnnl_memory_t c)
{
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}};
    return dnnl_primitive_execute(matmul, s->stream, MOE_ARRAY_LEN(args), args);
}

/* Which of an expert's matrices are there. */
static bool has(const dnnl_state *s, int m)
{
    return m != MAT_UP || s->shape.form == MOE_FFN_SWIGLU;
}

static dnnl_status_t use_weights(dnnl_state *s, void *weights)
{
    char *at = (char *)weights + sizeof(moe_expert_tag);
    dnnl_status_t rc = dnnl_success;
    for (int m = 0; m < N_MATS && rc == dnnl_success; m++)
        if (has(s, m)) {
            rc = dnnl_memory_set_data_handle(s->weights[m], at);
            at += s->room;
        }
    return rc;
}

static void fill_weights(void *state, int layer, int expert, void *weights)
{
    dnnl_state *s = state;
    const size_t n = (size_t)s->shape.hidden * (size_t)s->shape.inter;
    moe_rng rng =
        moe_rng_at(s->shape.seed, MOE_RNG_WEIGHT, 0,
                   (uint64_t)s->shape.layers[layer], (uint64_t)expert);
    dnnl_status_t rc = use_weights(s, weights);
    for (int m = 0; m < N_MATS; m++) {
        if (!has(s, m))
            continue;
        const layout *l = m == MAT_DOWN ? &s->narrow : &s->widen;
        fill_levels(&rng, s, s->weight_level_f32, s->weight_level_bf16,
                    s->plain, n);
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, l->plain},
                                  {DNNL_ARG_TO, s->weights[m]}};
        rc = rc ? rc
                : dnnl_primitive_execute(l->reorder, s->stream,
                                         MOE_ARRAY_LEN(args), args);
        rc = rc ? rc : dnnl_stream_wait(s->stream);
    }
    if (s->filled == dnnl_success)
        s->filled = rc;
}

static void fill_rows(void *state, const moe_batch *batch, void *rows_out)
{
    const dnnl_state *s = state;
    for (uint32_t t = 0; t < batch->own; t++) {
        moe_rng rng =
            moe_rng_at(s->shape.seed, MOE_RNG_HIDDEN, 0, 0, batch->id[t]);
        fill_levels(&rng, s, s->row_level_f32, s->row_level_bf16,
                    (char *)rows_out + t * s->row_bytes,
                    (size_t)s->shape.hidden);
    }
}

static void activate(dnnl_state *s, size_t n)
{
    if (s->shape.form == MOE_FFN_SWIGLU)
        moe_ffn_swiglu(s->dtype, s->inner_a, s->inner_b, n);
    else
        moe_ffn_relu(s->dtype, s->inner_a, n);
}

/* One expert on one block of rows, in place. */
static dnnl_status_t run_block(dnnl_state *s, const block *b, void *data)
{
    dnnl_status_t rc = dnnl_memory_set_data_handle(b->hidden, data);
    rc =
        rc ? rc
           : multiply(s, b->widen, b->hidden, s->weights[MAT_GATE], b->inner_a);
    if (has(s, MAT_UP))
        rc = rc ? rc
                : multiply(s, b->widen, b->hidden, s->weights[MAT_UP],
                           b->inner_b);
    rc = rc ? rc : dnnl_stream_wait(s->stream);
    if (rc == dnnl_success)
        activate(s, (size_t)b->rows * (size_t)s->shape.inter);
    rc = rc ? rc
            : multiply(s, b->narrow, b->inner_a, s->weights[MAT_DOWN],
                       b->hidden);
    return rc ? rc : dnnl_stream_wait(s->stream);
}

/* The largest block for this many rows, at least 1. */
static const block *block_for(const dnnl_state *s, uint32_t rows)
{
    if (rows <= EXACT_ROWS)
        return &s->block[rows - 1];
    int b = N_BLOCKS - 1;
    while (s->block[b].rows > rows)
        b--;
    return &s->block[b];
}

static moe_status run(void *state, const moe_ffn_input *input, moe_error *err)
{
    dnnl_state *s = state;
    dnnl_status_t rc = s->filled;
    char *at = input->data;
    for (int k = 0; k < input->slots && rc == dnnl_success; k++) {
        if (input->rows[k] == 0)
            continue;
        rc = use_weights(s, input->weights[k]);
        for (uint32_t left = input->rows[k]; left > 0 && rc == dnnl_success;) {
            const block *b = block_for(s, left);
            rc = run_block(s, b, at);
            at += b->rows * s->row_bytes;
            left -= b->rows;
        }
    }
    if (rc != dnnl_success)
        return moe_fail(err, MOE_LIBRARY, "ffn dnnl: oneDNN status %d",
                        (int)rc);
    return MOE_OK;
}

static void sum_up(const dnnl_state *s, const moe_ffn_sums *sums, size_t i,
                   const char *rows, float *sum)
{
    const size_t h = (size_t)s->shape.hidden;
    const size_t end = moe_ffn_sums_first(sums, i + 1);
    memset(sum, 0, h * sizeof *sum);
    for (size_t j = moe_ffn_sums_first(sums, i); j < end; j++)
        moe_ffn_add(s->dtype, sum, rows + sums->row[j] * s->row_bytes,
                    sums->weight != NULL ? sums->weight[j] : sums->even, h);
}

static void combine(void *state, const moe_ffn_sums *sums, const void *rows,
                    void *out)
{
    const dnnl_state *s = state;
    for (size_t i = 0; i < sums->n; i++)
        sum_up(s, sums, i, rows, (float *)((char *)out + i * s->out_bytes));
}

static void reduce(void *state, const moe_ffn_sums *sums, const void *rows,
                   void *rows_out)
{
    const dnnl_state *s = state;
    for (size_t i = 0; i < sums->n; i++) {
        sum_up(s, sums, i, rows, s->sum);
        moe_ffn_round(s->dtype, (char *)rows_out + i * s->row_bytes, s->sum,
                      (size_t)s->shape.hidden);
    }
}

static void free_layout(layout *l)
{
    if (l->reorder != NULL)
        dnnl_primitive_destroy(l->reorder);
    dnnl_memory_destroy(l->plain);
}

static void fini(void *state)
{
    dnnl_state *s = state;
    for (int b = 0; b < N_BLOCKS; b++)
        free_block(&s->block[b]);
    free_layout(&s->widen);
    free_layout(&s->narrow);
    for (int m = 0; m < N_MATS; m++)
        dnnl_memory_destroy(s->weights[m]);
    if (s->stream != NULL)
        dnnl_stream_destroy(s->stream);
    if (s->engine != NULL)
        dnnl_engine_destroy(s->engine);
    free(s->inner_a);
    free(s->inner_b);
    free(s->plain);
    free(s->sum);
}

const moe_ffn moe_ffn_dnnl = {
    .name = "dnnl",
    .help = "real experts: SwiGLU (or linear) in bf16 or f32 on oneDNN",
    .state_size = sizeof(dnnl_state),
    .comparable = true,
    .init = init,
    .fill_weights = fill_weights,
    .fill_rows = fill_rows,
    .run = run,
    .combine = combine,
    .reduce = reduce,
    .fini = fini,
};
