/* SPDX-License-Identifier: Apache-2.0 */
/* Prediction by ffn and lstm against their oneDNN primitives alone: without
 * look-ups, shares and choices of experts, and for ffn also with as many rows
 * in a product as oneDNN likes. */
#include "bench.h"

#include <omp.h>
#include <string.h>

#include "../../src/predictor/neural_recur.h"
#include "moegps/h5.h"
#include "moegps/profile.h"

enum { SAMPLES = 15, TIMES = 4, SEQS = 8, LEN = 256, MAX_LAYERS = 256 };

static const double TARGET = 0.5; /* of the products alone */

static moe_neural_lib lib;

/* bad: a moe_status or dnnl_status_t */
static void must(unsigned bad, const moe_error *err)
{
    if (bad != 0) {
        fprintf(stderr, "bench_neural: %s (%u)\n", err->text, bad);
        exit(1);
    }
}

/* Untrained: speed does not depend on the numbers. */
static void make_part(moe_learned *l, const moe_neural_kind *kind)
{
    moe_error err = {0};
    moe_neural_row rows[MOE_NEURAL_ARRAYS];
    const moe_learned_shape heads =
        moe_neural_heads_shape(l->layers, l->experts);
    moe_learned_part *part = moe_learned_add(l, kind->name, &err);
    const int n = kind->declare(&heads, l->vocab_size, rows);
    for (int a = 0; a < n; a++) {
        float *data = moe_learned_put(part, &rows[a].shape, &err);
        must(err.status, &err);
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, 0, 0, (uint64_t)a);
        const uint64_t elements =
            moe_learned_elements(&part->array[part->n_arrays - 1]);
        for (uint64_t i = 0; i < elements; i++)
            data[i] = (float)(0.1 * moe_rng_normal(&rng));
    }
}

/* The tables that networks start from. */
static void make_tables(moe_learned *l, const moe_trace *trace)
{
    moe_error err = {0};
    const moe_train_env env = {.trace = trace, .kept_bits = 23};
    moe_learned_part *part = moe_learned_add(l, "ngram", &err);
    must(moe_predictor_find("ngram")->train(&env, part, &err), &err);
}

/* ---- the bare products ---- */

typedef struct {
    dnnl_primitive_t run;
    dnnl_memory_t x, w, y;
} product;

static dnnl_memory_t memory_of(const dnnl_memory_desc_t *md)
{
    const moe_error err = {.text = "memory"};
    dnnl_memory_t m = NULL;
    void *data = NULL;
    must(dnnl_memory_create(&m, md, lib.engine, DNNL_MEMORY_ALLOCATE), &err);
    must(dnnl_memory_get_data_handle(m, &data), &err);
    memset(data, 0, dnnl_memory_desc_get_size(md));
    return m;
}

static product make_product(int64_t rows, int64_t in, int64_t out)
{
    const moe_error err = {.text = "matmul"};
    product p;
    dnnl_dims_t dims = {in, out};
    dnnl_memory_desc_t x = moe_neural_desc(2, (int64_t[]){rows, in});
    dnnl_memory_desc_t y = moe_neural_desc(2, (int64_t[]){rows, out}), w;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    must(dnnl_memory_desc_init_by_tag(&w, 2, dims, dnnl_f32,
                                      dnnl_format_tag_any),
         &err);
    must(dnnl_matmul_desc_init(&desc, &x, &w, NULL, &y), &err);
    must(dnnl_primitive_desc_create(&pd, &desc, NULL, lib.engine, NULL), &err);
    must(dnnl_primitive_create(&p.run, pd), &err);
    p.x = memory_of(&x);
    p.w = memory_of(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    p.y = memory_of(&y);
    dnnl_primitive_desc_destroy(pd);
    return p;
}

static void free_product(product *p)
{
    dnnl_primitive_destroy(p->run);
    dnnl_memory_destroy(p->x);
    dnnl_memory_destroy(p->w);
    dnnl_memory_destroy(p->y);
}

static double time_products(product *p, int n, int times)
{
    const moe_error err = {.text = "execute"};
    const double start = bench_cpu();
    for (int t = 0; t < times; t++)
        for (int i = 0; i < n; i++) {
            const moe_neural_arg args[] = {{DNNL_ARG_SRC, p[i].x, NULL},
                                           {DNNL_ARG_WEIGHTS, p[i].w, NULL},
                                           {DNNL_ARG_DST, p[i].y, NULL}};
            must(moe_neural_execute(&lib, p[i].run, args, 3), &err);
        }
    return bench_cpu() - start;
}

/* ---- the predictors ---- */

typedef struct {
    const moe_predictor *predictor;
    void *state;
    uint16_t *out;
    int layers;
} predicting;

static predicting make_predictor(const char *name, const moe_predictor_env *env)
{
    moe_error err = {0};
    predicting s = {.predictor = moe_predictor_find(name),
                    .layers = env->n_layers};
    s.out =
        bench_array(env->max_own * (size_t)env->trace->top_k, sizeof *s.out);
    s.state =
        moe_predictor_new(s.predictor, env, &(moe_scorer_params){0}, &err);
    must(err.status, &err);
    return s;
}

static void free_predictor(predicting *s)
{
    moe_predictor_free(s->predictor, s->state);
    free(s->out);
}

static double time_predictor(predicting *s, const moe_batch *batch, int times)
{
    const double start = bench_cpu();
    for (int t = 0; t < times; t++)
        for (int l = 0; l < s->layers; l++)
            s->predictor->tokens(s->state, batch, l, s->out);
    return bench_cpu() - start;
}

static void compare_ffn(const moe_predictor_env *env, const moe_batch *batch)
{
    const int64_t width = (int64_t)env->n_layers * env->trace->experts;
    static const int64_t rows[] = {MOE_NEURAL_ROWS, 1024};
    static bench_series own, bare[2];
    const double tokens = (double)batch->own * TIMES;
    product p[2][3];
    predicting s = make_predictor("ffn", env);
    for (int b = 0; b < 2; b++) {
        p[b][0] = make_product(rows[b], MOE_NEURAL_WIDTH, 128);
        p[b][1] = make_product(rows[b], 128, MOE_NEURAL_WIDTH);
        p[b][2] = make_product(rows[b], MOE_NEURAL_WIDTH, width);
    }
    for (int i = -1; i < SAMPLES; i++) {
        const double t = time_predictor(&s, batch, TIMES);
        double u[2];
        for (int b = 0; b < 2; b++)
            u[b] = time_products(p[b], 3,
                                 TIMES * (int)((int64_t)batch->own / rows[b]));
        if (i < 0) /* warm-up */
            continue;
        bench_add(&own, t);
        bench_add(&bare[0], u[0]);
        bench_add(&bare[1], u[1]);
    }
    bench_print("ffn predicts", &own, tokens * 1e-6, "M tokens/s");
    bench_print("its products, 64 rows each", &bare[0], tokens * 1e-6,
                "M tokens/s");
    bench_print("its products, 1024 rows each", &bare[1], tokens * 1e-6,
                "M tokens/s");
    for (int b = 0; b < 2; b++) {
        const double ratio = bench_ratio(&own, &bare[b]);
        printf("  ratio to products of %4lld rows %28.3f  target >= %g  %s\n",
               (long long)rows[b], ratio, TARGET,
               ratio >= TARGET ? "ok" : "below");
        for (int i = 0; i < 3; i++)
            free_product(&p[b][i]);
    }
    free_predictor(&s);
}

/* The LSTM primitive alone, on as many chunks as the batch needs. */
static void compare_lstm(const moe_predictor_env *env, const moe_batch *batch)
{
    enum { GROUP = 4 };
    moe_error err = {.text = "LSTM"};
    static bench_series own, bare;
    moe_recur_trunk t;
    const moe_learned_part *part = moe_learned_find(env->learned, "lstm");
    const float *value[MOE_TRUNK_ARRAYS];
    for (int a = 0; a < MOE_TRUNK_ARRAYS; a++)
        value[a] = part->array[a].data;
    must(moe_recur_trunk_init(&t, &lib, GROUP, false, &err), &err);
    must(moe_recur_lstm_load(&t.lstm, &lib, value[MOE_TRUNK_INPUT],
                             value[MOE_TRUNK_STATE]),
         &err);
    predicting s = make_predictor("lstm", env);
    const int chunks = SEQS * (int)(recur_chunk_of(LEN - 1) + 1);
    for (int i = -1; i < SAMPLES; i++) {
        const double used = time_predictor(&s, batch, 1);
        const double start = bench_cpu();
        for (int c = 0; c < chunks / GROUP; c++)
            must(moe_recur_lstm_forward(&t.lstm, &lib, t.x,
                                        value[MOE_TRUNK_BIAS], t.h),
                 &err);
        if (i < 0)
            continue;
        bench_add(&own, used);
        bench_add(&bare, bench_cpu() - start);
    }
    bench_print("lstm predicts", &own, batch->own * 1e-6, "M tokens/s");
    bench_print("its recurrence alone", &bare, batch->own * 1e-6, "M tokens/s");
    printf("  ratio to the recurrence %36.3f\n", bench_ratio(&own, &bare));
    moe_recur_trunk_fini(&t);
    free_predictor(&s);
}

/* A batch in which sequences begin at their beginning. */
static moe_batch make_batch(const moe_trace *trace)
{
    moe_batch b = {.own = SEQS * LEN,
                   .tokens = SEQS * LEN,
                   .layers = trace->layers,
                   .experts = trace->experts,
                   .top_k = trace->top_k};
    b.id = bench_array(b.own, sizeof *b.id);
    b.token_id = bench_array(b.own, sizeof *b.token_id);
    uint32_t n = 0;
    for (uint64_t s = 0; s < trace->n_seqs && n < b.own; s++) {
        if (trace->seq_offset[s + 1] - trace->seq_offset[s] < LEN)
            continue;
        for (uint64_t i = 0; i < LEN; i++, n++) {
            b.id[n] = trace->seq_offset[s] + i;
            b.token_id[n] = trace->token_id[b.id[n]];
        }
    }
    return b;
}

int main(int argc, char **argv)
{
    moe_error err = {0};
    moe_trace trace = {.shared = MPI_WIN_NULL};
    moe_learned learned;
    char path[1024];
    int layers[MAX_LAYERS];
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    moe_h5_quiet();
    omp_set_num_threads(1);
    must(moe_profile_find("traces", "gpt-oss-20b-mmlu", ".h5", path,
                          sizeof path, &err),
         &err);
    must(moe_trace_read(path, &trace, &err), &err);
    must(moe_learned_new(&trace, &learned, &err), &err);
    must(moe_neural_lib_init(&lib), &err);
    make_tables(&learned, &trace);
    make_part(&learned, &moe_neural_ffn);
    make_part(&learned, &moe_neural_lstm);
    for (int l = 0; l < trace.layers; l++)
        layers[l] = l;
    moe_batch batch = make_batch(&trace);
    const moe_predictor_env env = {.trace = &trace,
                                   .layers = layers,
                                   .n_layers = trace.layers,
                                   .max_own = batch.own,
                                   .learned = &learned};
    bench_header(&ctx, "trained predictors against bare primitives, one core");
    printf("   %d layers, %d experts, top %d; %u tokens; CPU time\n",
           trace.layers, trace.experts, trace.top_k, batch.own);
    compare_ffn(&env, &batch);
    compare_lstm(&env, &batch);
    free(batch.id);
    free(batch.token_id);
    moe_neural_lib_fini(&lib);
    moe_learned_free(&learned);
    moe_trace_free(&trace);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
