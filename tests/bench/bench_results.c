/* SPDX-License-Identifier: Apache-2.0 */
/* ranks: 4 */
/* A result file of the demo's size, flushed after every iteration, against
 * fwrite and fsync of as many bytes; and its share of a run of 30 s. */
#include "bench.h"

#include <string.h>
#include <sys/stat.h>

#include "moegps/results.h"

enum { S = 3, I = 20, W = 2, L = 32, E = 8, K = 4, SAMPLES = 7 };

static const double RUN_S = 30.0, TARGET_PERCENT = 2;

static const moe_strategy_facts strategy_facts[S];
static const moe_facts facts;
static const char *const strategies[S] = {"baseline", "distribution-only",
                                          "oracle"};
static const moe_validation passed = {true, true, "not checked", 0.0};

typedef struct {
    moe_ctx ctx;
    moe_ledger ledger;
    moe_topo topo;
    int32_t layers[L];
    moe_results_meta meta;
    char dir[200], path[256], raw[256];
    off_t bytes;
    bench_series create, write, close, all, bare;
} bench;

static void agree(bench *b)
{
    if (moe_agree(&b->ctx) == MOE_OK)
        return;
    if (b->ctx.rank == 0)
        fprintf(stderr, "bench_results: %s\n", b->ctx.err.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Numbers as far from constant as measured ones. */
static void fill(double *x, size_t n, double scale)
{
    for (size_t j = 0; j < n; j++)
        x[j] = scale * (1.0 + (double)(j * 2654435761u % 1000003) * 1e-6);
}

static void fill_ledger(bench *b)
{
    const size_t sil = S * I * L, silp = sil * MOE_N_PHASES;
    moe_ledger *g = &b->ledger;
    fill(g->wall, silp, 1e-4);
    fill(g->cpu, silp, 1e-4);
    fill(g->gpu, silp, 1e-5);
    fill(g->exposed, silp, 1e-6);
    fill(g->wait, silp, 1e-5);
    for (size_t j = 0; j < sil; j++)
        g->rank_pairs[j] = (int32_t)(j % 256);
    if (b->ctx.rank != 0)
        return;
    fill(g->predicted_pairs, sil * E, 128);
    fill(g->error, sil, 0.05);
    fill(g->recall, sil, 0.5);
    fill(g->planner_time, sil, 1e-6);
    fill(g->warmup_time, S * W, 1e-2);
    for (size_t j = 0; j < (size_t)(I * L * E); j++)
        g->true_pairs[j] = 128;
    for (size_t j = 0; j < S * I; j++)
        g->order[j] = (int32_t)(j % S);
}

static void make(bench *b)
{
    const moe_ledger_dims dims = {.strategies = S,
                                  .iterations = I,
                                  .warmup = W,
                                  .layers = L,
                                  .experts = E,
                                  .gpus = b->ctx.size,
                                  .ranks = b->ctx.size,
                                  .slots = K};
    moe_topo_discover(&b->ctx, &b->topo);
    moe_ledger_init(&b->ledger, &dims, b->ctx.rank, &b->ctx.err);
    agree(b);
    fill_ledger(b);
    for (int l = 0; l < L; l++)
        b->layers[l] = l;
    b->meta = (moe_results_meta){.title = "benchmark",
                                 .config_input = "",
                                 .config_resolved = "",
                                 .command_line = "bench_results",
                                 .facts = &facts,
                                 .strategies = strategies,
                                 .strategy_facts = strategy_facts,
                                 .reference = strategies[0],
                                 .layers = b->layers,
                                 .topo = &b->topo,
                                 .gpu = b->ctx.rank,
                                 .force = true};
    /* Beside the program: a folder of the kind that results go to. */
    const char *build = getenv("BUILD") != NULL ? getenv("BUILD") : "build";
    snprintf(b->dir, sizeof b->dir, "%.150s/bench-results-XXXXXX", build);
    if (b->ctx.rank == 0 && mkdtemp(b->dir) == NULL)
        moe_fail(&b->ctx.err, MOE_IO, "cannot make %s", b->dir);
    agree(b);
    MOE_MPI(MPI_Bcast(b->dir, sizeof b->dir, MPI_CHAR, 0, b->ctx.comm));
    snprintf(b->path, sizeof b->path, "%s/result.h5", b->dir);
    snprintf(b->raw, sizeof b->raw, "%s/raw", b->dir);
}

static double lap(const bench *b, double *start, bench_series *series)
{
    const double s = bench_wall() - *start;
    bench_add_slowest(series, s, b->ctx.comm);
    *start = bench_wall();
    return s;
}

static void ours(bench *b)
{
    moe_results *results = NULL;
    MOE_MPI(MPI_Barrier(b->ctx.comm));
    double start = bench_wall(), all = 0.0;
    moe_results_create(&b->ctx, b->path, &b->meta, &b->ledger, &results);
    agree(b);
    all += lap(b, &start, &b->create);
    for (int i = 0; i < I; i++)
        moe_results_write(&b->ctx, results, &b->ledger, i, i + 1);
    agree(b);
    all += lap(b, &start, &b->write);
    moe_results_close(&b->ctx, results, &b->ledger, MOE_RUN_COMPLETE, &passed);
    agree(b);
    all += lap(b, &start, &b->close);
    bench_add_slowest(&b->all, all, b->ctx.comm);
}

/* The same bytes from rank 0, in as many pieces with a flush after each. */
static void bare(bench *b)
{
    double s = 0.0;
    if (b->ctx.rank == 0) {
        struct stat st;
        if (stat(b->path, &st) != 0)
            abort();
        b->bytes = st.st_size;
        const size_t piece = (size_t)st.st_size / I;
        char *data = bench_array(piece, 1);
        fill((double *)(void *)data, piece / sizeof(double), 1.0);
        const double start = bench_wall();
        FILE *f = fopen(b->raw, "wb");
        bool good = f != NULL;
        for (int i = 0; i < I && good; i++)
            good = fwrite(data, 1, piece, f) == piece && fflush(f) == 0;
        good = good && fsync(fileno(f)) == 0;
        if (!good || fclose(f) != 0)
            abort();
        s = bench_wall() - start;
        free(data);
    }
    bench_add_slowest(&b->bare, s, b->ctx.comm);
}

static void report(const bench *b)
{
    printf("  %-40s %9.2f MB\n", "size", (double)b->bytes * 1e-6);
    bench_print("create", &b->create, 0, NULL);
    bench_print("write, 20 iterations one by one", &b->write, 0, NULL);
    bench_print("close", &b->close, 0, NULL);
    bench_print("all of it", &b->all, 0, NULL);
    bench_print("fwrite and fsync of as many bytes", &b->bare, 0, NULL);
    printf("  %-40s %9.3f\n", "fwrite / all of it, paired",
           bench_ratio(&b->all, &b->bare));
    bench_limit("share of a run of 30 s",
                100 * bench_summary(&b->all).median / RUN_S, TARGET_PERCENT,
                "%");
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    bench *b = bench_array(1, sizeof *b);
    moe_ctx_init(&b->ctx, MPI_COMM_WORLD);
    bench_header(&b->ctx, "a result file of the demo's size");
    if (b->ctx.rank == 0)
        printf("   %d strategies, %d iterations, %d layers; wall time of the "
               "slowest rank, median of %d\n",
               S, I, L, SAMPLES);
    make(b);
    for (int s = 0; s < SAMPLES; s++) {
        ours(b);
        bare(b);
    }
    if (b->ctx.rank == 0) {
        report(b);
        unlink(b->path);
        unlink(b->raw);
        rmdir(b->dir);
    }
    moe_ledger_fini(&b->ledger);
    moe_ctx_fini(&b->ctx);
    free(b);
    MPI_Finalize();
    return 0;
}
