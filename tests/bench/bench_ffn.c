/* SPDX-License-Identifier: Apache-2.0 */
/* The expert FFN against its three matmuls alone, whose number of rows oneDNN
 * knows in advance: on row-major weights, and on weights in the layout that
 * oneDNN chooses for that number. Weights come from beyond the second-level
 * cache, as they do in a run. */
#include "bench.h"

#include <dnnl.h>
#include <omp.h>
#include <string.h>

#include "moegps/ffn.h"

enum { EXPERTS = 8, SAMPLES = 9 };

/* Of one sample: enough for the clock, little enough for many samples. */
static const double LEAST_FLOP = 1e8, MOST_FLOP = 6e9;

static const double TARGET = 0.85;
static const int TARGET_ROWS = 64; /* the target holds from here on */
static const int LAYERS[] = {0};

/* One bare matmul. */
typedef struct {
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c;
    size_t weight_bytes;
} matmul;

typedef struct {
    matmul wide, tall;
    char *weights; /* [EXPERTS][gate, up, down] */
} bare;

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void must(dnnl_status_t rc)
{
    if (rc != dnnl_success) {
        fprintf(stderr, "bench_ffn: oneDNN status %d\n", (int)rc);
        exit(1);
    }
}

static dnnl_memory_desc_t row_major(int64_t rows, int64_t columns,
                                    dnnl_data_type_t type)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {rows, columns}, strides = {columns, 1};
    must(dnnl_memory_desc_init_by_strides(&md, 2, dims, type, strides));
    return md;
}

static void make_matmul(matmul *x, int64_t m, int64_t k, int64_t n,
                        dnnl_data_type_t type, bool plain)
{
    dnnl_dims_t dims = {k, n};
    dnnl_memory_desc_t a = row_major(m, k, type), c = row_major(m, n, type);
    dnnl_memory_desc_t b = row_major(k, n, type);
    if (!plain)
        must(dnnl_memory_desc_init_by_tag(&b, 2, dims, type,
                                          dnnl_format_tag_any));
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    must(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c));
    must(dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL));
    must(dnnl_primitive_create(&x->primitive, pd));
    b = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    x->weight_bytes = (dnnl_memory_desc_get_size(&b) + 63) / 64 * 64;
    must(dnnl_memory_create(&x->a, &a, engine, DNNL_MEMORY_NONE));
    must(dnnl_memory_create(&x->b, &b, engine, DNNL_MEMORY_NONE));
    must(dnnl_memory_create(&x->c, &c, engine, DNNL_MEMORY_NONE));
    must(dnnl_primitive_desc_destroy(pd));
}

static void free_matmul(matmul *x)
{
    must(dnnl_primitive_destroy(x->primitive));
    must(dnnl_memory_destroy(x->a));
    must(dnnl_memory_destroy(x->b));
    must(dnnl_memory_destroy(x->c));
}

static size_t bare_bytes(const bare *x)
{
    return 2 * x->wide.weight_bytes + x->tall.weight_bytes;
}

static void make_bare(bare *x, const moe_ffn_shape *shape, int rows, bool plain)
{
    dnnl_data_type_t type =
        shape->dtype == MOE_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
    make_matmul(&x->wide, rows, shape->hidden, shape->inter, type, plain);
    make_matmul(&x->tall, rows, shape->inter, shape->hidden, type, plain);
    x->weights = bench_array(EXPERTS, bare_bytes(x));
    /* Small numbers in either type, never denormal ones. */
    memset(x->weights, 0x3c, EXPERTS * bare_bytes(x));
}

static void free_bare(bare *x)
{
    free_matmul(&x->wide);
    free_matmul(&x->tall);
    free(x->weights);
}

static void multiply(matmul *x, void *a, void *b, void *c)
{
    must(dnnl_memory_set_data_handle(x->a, a));
    must(dnnl_memory_set_data_handle(x->b, b));
    must(dnnl_memory_set_data_handle(x->c, c));
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, x->a}, {DNNL_ARG_WEIGHTS, x->b}, {DNNL_ARG_DST, x->c}};
    must(dnnl_primitive_execute(x->primitive, stream, 3, args));
}

/* Some experts once, as ours does it. */
static void run_bare(bare *x, char *data, size_t data_bytes, void *a, void *b,
                     int experts)
{
    char *w = x->weights;
    for (int e = 0; e < experts; e++, data += data_bytes) {
        multiply(&x->wide, data, w, a);
        multiply(&x->wide, data, w + x->wide.weight_bytes, b);
        multiply(&x->tall, a, w + 2 * x->wide.weight_bytes, data);
        must(dnnl_stream_wait(stream));
        w += bare_bytes(x);
    }
}

typedef struct {
    const moe_ffn *ffn;
    void *state, *weights[EXPERTS], *inner[2];
    char *data;
} ours;

static void make_ours(ours *o, const moe_ffn_shape *shape, int most_rows)
{
    moe_error err = {0};
    o->ffn = moe_ffn_find("dnnl");
    o->state = bench_array(1, o->ffn->state_size);
    if (o->ffn->init(o->state, shape, &err) != MOE_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    for (int e = 0; e < EXPERTS; e++) {
        o->weights[e] = bench_array(1, moe_ffn_weight_bytes(shape));
        moe_ffn_tag(o->weights[e], 0, e);
        o->ffn->fill_weights(o->state, 0, e, o->weights[e]);
    }
    const size_t rows = (size_t)most_rows;
    o->data = bench_array(EXPERTS * rows, moe_ffn_row_bytes(shape));
    for (int i = 0; i < 2; i++)
        o->inner[i] = bench_array(rows * (size_t)shape->inter, sizeof(float));
}

static void free_ours(ours *o)
{
    moe_ffn_free(o->ffn, o->state);
    for (int e = 0; e < EXPERTS; e++)
        free(o->weights[e]);
    free(o->data);
    free(o->inner[0]);
    free(o->inner[1]);
}

static void run_ours(ours *o, int rows, int experts)
{
    uint32_t n[EXPERTS];
    moe_error err = {0};
    for (int e = 0; e < experts; e++)
        n[e] = (uint32_t)rows;
    const moe_ffn_input input = {
        .slots = experts, .weights = o->weights, .rows = n, .data = o->data};
    if (o->ffn->run(o->state, &input, &err) != MOE_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

/* How much one sample does. */
typedef struct {
    int rows, experts, times;
    size_t bytes; /* of one expert's rows */
    double flop;  /* of all */
} amount;

static amount choose_amount(const moe_ffn_shape *shape, int rows)
{
    const double one = 6.0 * rows * (double)shape->hidden * shape->inter;
    amount a = {rows, EXPERTS, 1, (size_t)rows * moe_ffn_row_bytes(shape), 0};
    if (one * EXPERTS > MOST_FLOP)
        a.experts = one > MOST_FLOP ? 1 : (int)(MOST_FLOP / one);
    if (one * EXPERTS < LEAST_FLOP)
        a.times = (int)(LEAST_FLOP / (one * EXPERTS)) + 1;
    a.flop = one * a.experts * a.times;
    return a;
}

static double time_ours(ours *o, const amount *a)
{
    const double start = bench_cpu();
    for (int i = 0; i < a->times; i++)
        run_ours(o, a->rows, a->experts);
    return bench_cpu() - start;
}

static double time_bare(bare *x, ours *o, const amount *a)
{
    const double start = bench_cpu();
    for (int i = 0; i < a->times; i++)
        run_bare(x, o->data, a->bytes, o->inner[0], o->inner[1], a->experts);
    return bench_cpu() - start;
}

static void compare(ours *o, const moe_ffn_shape *shape, int rows)
{
    static bench_series own, other[2];
    bare x[2];
    own.n = other[0].n = other[1].n = 0;
    const amount a = choose_amount(shape, rows);
    for (int p = 0; p < 2; p++) {
        make_bare(&x[p], shape, rows, p == 0);
        time_bare(&x[p], o, &a);
    }
    for (int i = 0; i < SAMPLES; i++) {
        /* Zero rows stay zero rows, whoever computed before. */
        memset(o->data, 0, EXPERTS * a.bytes);
        bench_add(&own, time_ours(o, &a));
        for (int p = 0; p < 2; p++)
            bench_add(&other[p], time_bare(&x[p], o, &a));
    }
    const moe_summary m = bench_summary(&own);
    double to[2];
    for (int p = 0; p < 2; p++)
        to[p] = bench_ratio(&own, &other[p]);
    const double ratio = to[0] < to[1] ? to[0] : to[1];
    printf("  %6d %8.1f [%5.1f %5.1f] %9.1f %9.1f %7.2f %7.2f   %s\n", rows,
           a.flop / m.median * 1e-9, a.flop / m.max * 1e-9,
           a.flop / m.min * 1e-9,
           a.flop / bench_summary(&other[0]).median * 1e-9,
           a.flop / bench_summary(&other[1]).median * 1e-9, to[0], to[1],
           rows < TARGET_ROWS ? "-"
           : ratio >= TARGET  ? "ok"
                              : "below");
    free_bare(&x[0]);
    free_bare(&x[1]);
}

static void one_shape(int hidden, int inter, moe_dtype dtype)
{
    static const int rows[] = {1, 16, 64, 100, 128, 256, 1024};
    const moe_ffn_shape shape = {.hidden = hidden,
                                 .inter = inter,
                                 .top_k = 1,
                                 .dtype = dtype,
                                 .form = MOE_FFN_SWIGLU,
                                 .seed = 1,
                                 .layers = LAYERS};
    ours o;
    make_ours(&o, &shape, 1024);
    printf("  %d x %d %s, GFLOP/s\n", hidden, inter,
           dtype == MOE_DTYPE_BF16 ? "bf16" : "f32");
    printf("  %6s %8s %13s %9s %9s %7s %7s   >= %.2f\n", "rows", "ours",
           "[min max]", "row-major", "blocked", "ratio", "ratio", TARGET);
    for (size_t i = 0; i < MOE_ARRAY_LEN(rows); i++)
        compare(&o, &shape, rows[i]);
    free_ours(&o);
}

int main(int argc, char **argv)
{
    static const int shapes[][2] = {
        {512, 1792}, {256, 896}, {360, 360}, {896, 256}};
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    omp_set_num_threads(1);
    bench_header(&ctx, "expert FFN against its three matmuls, one core");
    printf("   %d experts in turn, median of %d, CPU time\n", EXPERTS, SAMPLES);
    must(dnnl_engine_create(&engine, dnnl_cpu, 0));
    must(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    for (moe_dtype dtype = MOE_DTYPE_BF16; dtype <= MOE_DTYPE_F32; dtype++) {
        if (dtype == MOE_DTYPE_BF16 && moe_ffn_native_dtype() != MOE_DTYPE_BF16)
            continue;
        for (size_t s = 0; s < MOE_ARRAY_LEN(shapes); s++)
            one_shape(shapes[s][0], shapes[s][1], dtype);
    }
    must(dnnl_stream_destroy(stream));
    must(dnnl_engine_destroy(engine));
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
