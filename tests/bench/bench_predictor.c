/* SPDX-License-Identifier: Apache-2.0 */
/* Predictors that look up what they counted: tokens per second on one core,
 * beside what the memory's bandwidth would allow for the bytes they touch; and
 * evaluation as a whole. */
#include "bench.h"

#include <string.h>

#include "moegps/batch.h"
#include "moegps/evaluate.h"

enum { REPEATS = 25, SEQ = 16384, STREAM_BYTES = 1 << 28 };

static const char trace_path[] = "jobs/traces/gpt-oss-20b-mmlu.h5";
static const char *const names[] = {"frequency", "token", "position"};

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_predictor: %s\n", err->text);
    exit(1);
}

/* @return bytes per second that one core copies, read and written. */
static double stream(void)
{
    bench_series copy = {.n = 0};
    char *from = bench_array(STREAM_BYTES, 1),
         *to = bench_array(STREAM_BYTES, 1);
    memset(from, 1, STREAM_BYTES);
    for (int i = 0; i < 8; i++) {
        const double start = bench_cpu();
        memcpy(to, from, STREAM_BYTES);
        bench_add(&copy, bench_cpu() - start);
        *(volatile char *)from = to[STREAM_BYTES - 1];
    }
    free(from);
    free(to);
    bench_print("memcpy, read and write", &copy, 2e-9 * STREAM_BYTES, "GB/s");
    return 2.0 * STREAM_BYTES / bench_summary(&copy).median;
}

/* Bytes of one token and layer: its key and row number, the row, the choice
 * written and read again to be counted. */
static double bytes_touched(const char *name, int top_k)
{
    const double choice = 2.0 * top_k;
    return strcmp(name, "frequency") == 0 ? 2 * choice : 8 + 3 * choice;
}

static void one(const moe_trace *t, const int *layers, const char *name,
                double bandwidth)
{
    static bench_series series;
    const moe_predictor *p = moe_predictor_find(name);
    const size_t n_e = (size_t)t->experts;
    moe_error err = {0};
    void *params = bench_array(1, p->params_size);
    double *share = bench_array(n_e, sizeof *share);
    uint64_t *load = bench_array(n_e, sizeof *load);
    uint16_t *choice = bench_array(SEQ * (size_t)t->top_k, sizeof *choice);
    moe_batcher *batcher = NULL;
    const moe_predictor_env env = {
        .trace = t, .layers = layers, .n_layers = t->layers, .max_own = SEQ};
    const moe_batcher_params bp = {.trace = t,
                                   .batch = 1,
                                   .seq = SEQ,
                                   .layers = layers,
                                   .n_layers = t->layers,
                                   .iterations = 1,
                                   .gpus = 1};
    moe_opt_defaults(p->opts, params);
    void *state = moe_predictor_new(p, &env, params, &err);
    must(err.status, &err);
    must(moe_batcher_new(&bp, &batcher, &err), &err);
    const moe_batch *b = moe_batcher_load(batcher, 0);
    series.n = 0;
    for (int r = 0; r < REPEATS; r++) {
        const double start = bench_cpu();
        for (int l = 0; l < t->layers; l++)
            moe_predictor_load(p, MOE_FORECAST_TOKENS, state, b, l,
                               &(moe_predicted){choice, share, load});
        bench_add(&series, (bench_cpu() - start) / t->layers);
    }
    const double bytes = SEQ * bytes_touched(name, t->top_k);
    bench_print(name, &series, SEQ * 1e-6, "Mtoken/s and layer");
    printf("  %-40s %9.3f of a copy's bandwidth\n", "",
           bytes / bench_summary(&series).median / bandwidth);
    moe_predictor_free(p, state);
    moe_batcher_free(batcher);
    void *arrays[] = {params, share, load, choice};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
}

static void whole(const moe_trace *t, const char *name)
{
    static bench_series series;
    const moe_predictor *p = moe_predictor_find(name);
    moe_error err = {0};
    void *params = bench_array(1, p->params_size);
    moe_opt_defaults(p->opts, params);
    const moe_evaluate_params ep = {.trace = t,
                                    .predictor = p,
                                    .params = params,
                                    .batch = 1,
                                    .seq = 512,
                                    .repeats = 1};
    char label[64];
    double tokens = 0;
    series.n = 0;
    for (int r = 0; r < 5; r++) {
        moe_evaluation v;
        const double start = bench_cpu();
        must(moe_evaluate(&ep, &v, &err), &err);
        bench_add(&series, bench_cpu() - start);
        tokens = (double)v.tokens * v.n_layers;
        moe_evaluation_fini(&v);
    }
    snprintf(label, sizeof label, "evaluate %s, training included", name);
    bench_print(label, &series, tokens * 1e-6, "Mtoken x layer/s");
    free(params);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_error err = {0};
    moe_trace trace;
    int layers[64];
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "predictors that count");
    must(moe_trace_read(trace_path, &trace, &err), &err);
    for (int l = 0; l < trace.layers; l++)
        layers[l] = l;
    printf("   %s, batches of %d tokens, CPU time, median of %d\n", trace_path,
           SEQ, REPEATS);
    const double bandwidth = stream();
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++)
        one(&trace, layers, names[i], bandwidth);
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++)
        whole(&trace, names[i]);
    moe_trace_free(&trace);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
