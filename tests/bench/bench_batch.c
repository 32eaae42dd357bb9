/* SPDX-License-Identifier: Apache-2.0 */
/* The untimed making of batches, for the bundled traces and one of four GPUs,
 * against memcpy of as many bytes as the batch has; and its share of a run. */
#include "bench.h"

#include <string.h>

#include "moegps/batch.h"

enum { BATCHES = 30, SEQ = 512, GPUS = 4 };

/* The demo: 22 iterations in 30 s. */
static const double ITERATION_S = 30.0 / 22, TARGET_PERCENT = 2;

static const char *const paths[] = {"jobs/traces/mixtral-8x7b-mmlu.h5",
                                    "jobs/traces/gpt-oss-20b-mmlu.h5"};

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_batch: %s\n", err->text);
    exit(1);
}

static size_t batch_bytes(const moe_batch *x)
{
    const size_t pairs = (size_t)x->layers * x->own * (size_t)x->top_k;
    return pairs * sizeof *x->experts_of +
           (x->gate != NULL ? pairs * sizeof *x->gate : 0) +
           x->own * (sizeof *x->id +
                     (x->token_id != NULL ? sizeof *x->token_id : 0) +
                     (x->position != NULL ? sizeof *x->position : 0));
}

static void measure(moe_batcher *batcher, bench_series *load,
                    bench_series *copy)
{
    const moe_batch *x = moe_batcher_load(batcher, 0);
    const size_t bytes = batch_bytes(x);
    char *from = bench_array(bytes, 1), *to = bench_array(bytes, 1);
    for (uint64_t i = 1; i <= BATCHES; i++) {
        const double t0 = bench_cpu();
        x = moe_batcher_load(batcher, i);
        const double t1 = bench_cpu();
        memcpy(to, from, bytes);
        const double t2 = bench_cpu();
        *(volatile char *)from = to[bytes - 1]; /* the copy is not left out */
        bench_add(load, t1 - t0);
        bench_add(copy, t2 - t1);
    }
    free(from);
    free(to);
}

static void one_trace(const char *path)
{
    static bench_series load, copy;
    moe_error err = {0};
    moe_trace trace;
    load.n = copy.n = 0;
    const double start = bench_wall();
    must(moe_trace_read(path, &trace, &err), &err);
    const double read_s = bench_wall() - start;
    int *layers = bench_array((size_t)trace.layers, sizeof *layers);
    for (int l = 0; l < trace.layers; l++)
        layers[l] = l;
    const moe_batcher_params params = {.trace = &trace,
                                       .seed = 1,
                                       .batch = 1,
                                       .seq = SEQ,
                                       .layers = layers,
                                       .n_layers = trace.layers,
                                       .iterations = BATCHES + 1,
                                       .gpu = 0,
                                       .gpus = GPUS};
    moe_batcher *batcher;
    must(moe_batcher_new(&params, &batcher, &err), &err);
    measure(batcher, &load, &copy);
    printf(" %s: %s trace, %d layers, top %d, read in %.2f s\n", path,
           trace.kind == MOE_TRACE_TOKENS ? "token" : "load", trace.layers,
           trace.top_k, read_s);
    bench_print("load", &load, SEQ / GPUS * 1e-6, "Mtoken/s");
    bench_print("load, per batch", &load, 0, NULL);
    printf("  %-40s %9.3f\n", "memcpy / load, paired",
           bench_ratio(&load, &copy));
    bench_limit("share of an iteration of the demo",
                100 * bench_summary(&load).median / ITERATION_S, TARGET_PERCENT,
                "%");
    free(layers);
    moe_batcher_free(batcher);
    moe_trace_free(&trace);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "making batches, untimed in a run");
    printf("   one of %d GPUs, batches of %d tokens, CPU time, median of %d\n",
           GPUS, SEQ, BATCHES);
    for (size_t i = 0; i < MOE_ARRAY_LEN(paths); i++)
        one_trace(paths[i]);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
