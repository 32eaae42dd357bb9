/* SPDX-License-Identifier: Apache-2.0 */
/* Advice for one configuration by hand, with its limits, as a library call
 * and as the whole command; the search over recorded loads; maps of 41 x 41
 * cells in three error cases; price calls. */
#include "bench.h"

#include <sys/resource.h>

#include "moegps/advise.h"
#include "moegps/layer_price.h"
#include "moegps/map_sweep.h"

enum { SAMPLES = 15, SIDE = 41 };

static const struct {
    const char *model, *cluster;
    int gpus, batch;
    double limit_ms; /* CPU time of the whole command */
} cases[] = {{"mixtral-8x7b", "a100-paper", 4, 1, 30},
             {"mixtral-8x7b", "a100-nvlink", 4, 1, 30},
             {"switch-base-128", "a100-paper", 4, 1, 30},
             {"deepseek-v3", "h100-nvlink", 32, 64, 30},
             {"deepseek-v3", "h100-nvlink", 256, 256, 30},
             {"deepseek-v3", "h100-nvlink", 4096, 256, 100}};

/* What the paper's simulator needs: 16 minutes for a node of four A100 with
 * GPT-3 175B, in which its mapper searches 26,400 times.   Source: Zhang et
 * al., LLMCompass, ISCA 2024, abstract and section I (Xeon Gold 6242R). Of a
 * single matmul nothing is published; each is at least one search. */
static const double SIMULATOR_S = 16 * 60.0, SIMULATOR_SEARCHES = 26400;

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_advise: %s\n", err->text);
    exit(1);
}

static moe_advise_params params_of(size_t i, moe_model *m, moe_cluster *c)
{
    moe_error err = {0};
    moe_advise_params p;
    must(moe_model_read(cases[i].model, m, &err), &err);
    must(moe_cluster_read(cases[i].cluster, c, &err), &err);
    moe_advise_params_init(&p);
    p.model = m;
    p.cluster = c;
    p.gpus = cases[i].gpus;
    p.batch = cases[i].batch;
    p.skew = 2.0;
    p.error = 0.1;
    p.dials.overhead_share = 0.1;
    return p;
}

static void bench_one(size_t i)
{
    moe_model m;
    moe_cluster c;
    char name[80];
    bench_series b = {.n = 0};
    moe_error err = {0};
    moe_advice v;
    const moe_advise_params p = params_of(i, &m, &c);
    for (int s = 0; s < (p.gpus > 256 ? 5 : SAMPLES); s++) {
        const double start = bench_cpu();
        must(moe_advise_run(&p, &v, &err), &err);
        bench_add(&b, bench_cpu() - start);
    }
    snprintf(name, sizeof name, "%s, %d of %s", cases[i].model, p.gpus,
             cases[i].cluster);
    bench_print(name, &b, 0, NULL);
}

/* @return CPU time of all commands so far. */
static double commands_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* From the shell to the answer: libraries, profiles, tables, output. */
static void bench_command(size_t i)
{
    const char *build = getenv("BUILD");
    char command[512], name[80];
    bench_series b = {.n = 0};
    snprintf(command, sizeof command,
             "%s/moegps advise --model %s --cluster %s --gpus %d --batch %d "
             "--skew 1.4 --error 0.05 --accuracy 0.9 > /dev/null",
             build != NULL ? build : "build", cases[i].model, cases[i].cluster,
             cases[i].gpus, cases[i].batch);
    for (int s = 0; s < SAMPLES; s++) {
        const double start = commands_s();
        if (system(command) != 0) {
            fprintf(stderr, "bench_advise: failed: %s\n", command);
            exit(1);
        }
        bench_add(&b, commands_s() - start);
    }
    snprintf(name, sizeof name, "command, %s, %d GPUs", cases[i].model,
             cases[i].gpus);
    bench_limit(name, bench_summary(&b).median * 1e3, cases[i].limit_ms,
                "ms CPU");
}

/* Which predictor, how many copies, how often: of 120 steps of 58 layers of 256
 * experts on 32 GPUs, from the shell to the answer, on all cores. */
static void bench_search(void)
{
    const char *build = getenv("BUILD"), *dir = getenv("TMPDIR");
    char command[1024];
    bench_series b = {.n = 0};
    build = build != NULL ? build : "build";
    dir = dir != NULL ? dir : "/tmp";
    snprintf(command, sizeof command,
             "%s/moegps trace synth --kind load --model deepseek-v3 --layers "
             "58 --experts 256 --top-k 8 --seqs 120 --tokens 16384 --sigma 0.8 "
             "--drift 0.1 --split tail=0.7 --force -o %s/bench-search.h5",
             build, dir);
    if (system(command) != 0)
        exit(1);
    snprintf(command, sizeof command,
             "%s/moegps advise --trace %s/bench-search.h5 --model deepseek-v3 "
             "--cluster h100-nvlink --gpus 32 --seq 4096 -q > /dev/null",
             build, dir);
    for (int s = 0; s < 3; s++) {
        const double start = bench_wall();
        if (system(command) != 0)
            exit(1);
        bench_add(&b, bench_wall() - start);
    }
    bench_limit("search, 120 x 58 x 256 on 32 GPUs", bench_summary(&b).median,
                5, "s wall");
    snprintf(command, sizeof command, "%s/bench-search.h5", dir);
    remove(command);
}

/* Whole layers of one GPU, and single operations. */
static void bench_prices(size_t i)
{
    enum { CALLS = 20000 };
    moe_model m;
    moe_cluster c;
    moe_error err = {0};
    char name[80];
    bench_series layers = {.n = 0}, ffns = {.n = 0};
    const moe_advise_params p = params_of(i, &m, &c);
    const moe_cost *cost = moe_cost_find(c.cost);
    void *state = moe_cost_new(cost, p.model, &c, &err);
    must(err.status, &err);
    const moe_pricer pricer = {.cost = cost,
                               .state = state,
                               .model = &m,
                               .layout = {p.gpus, c.gpus_per_node}};
    uint32_t rows[4] = {100, 200, 150, 60};
    const moe_layer_work work = {.tokens = 512,
                                 .sequences = 1,
                                 .dispatch_bytes = {1e6, 0},
                                 .combine_bytes = {1e6, 0},
                                 .rows = rows,
                                 .slots = 4};
    double sum = 0.0;
    for (int s = 0; s < SAMPLES; s++) {
        moe_layer_cost price;
        double start = bench_cpu();
        for (uint32_t n = 0; n < CALLS; n++) {
            rows[0] = n % 1000;
            moe_layer_cost_of(&pricer, &work, &price);
            sum += price.step_s[MOE_STEP_FFN];
        }
        bench_add(&layers, bench_cpu() - start);
        start = bench_cpu();
        for (uint32_t n = 0; n < CALLS; n++) {
            rows[0] = n % 1000;
            sum += cost->ffn(state, rows, 4).time_s;
        }
        bench_add(&ffns, bench_cpu() - start);
    }
    snprintf(name, sizeof name, "layers priced, %s", c.cost);
    bench_print(name, &layers, CALLS * 1e-6, "million/s");
    snprintf(name, sizeof name, "FFNs priced, %s", c.cost);
    bench_print(name, &ffns, CALLS * 1e-6, "million/s");
    if (!(sum > 0))
        exit(1);
    moe_cost_free(cost, state);
}

static void bench_map(size_t i)
{
    moe_model m;
    moe_cluster c;
    double skew[SIDE], bandwidth[SIDE];
    const double accuracy = 0.9;
    const int batch = 1;
    bench_series b = {.n = 0};
    moe_error err = {0};
    moe_map map;
    char name[80];
    for (int k = 0; k < SIDE; k++) {
        skew[k] = 1 + 3.0 * k / (SIDE - 1);
        bandwidth[k] = 10e9 * (k + 1);
    }
    moe_map_params p = {.advise = params_of(i, &m, &c),
                        .cluster = &c,
                        .n_cluster = 1,
                        .skew = skew,
                        .bandwidth = bandwidth,
                        .accuracy = &accuracy,
                        .batch = &batch,
                        .n_skew = SIDE,
                        .n_bandwidth = SIDE,
                        .n_accuracy = 1,
                        .n_batch = 1};
    p.advise.samples = 3;
    for (int s = 0; s < 5; s++) {
        const double start = bench_cpu();
        must(moe_map_sweep(&map, &p, &err), &err);
        bench_add(&b, bench_cpu() - start);
        moe_map_fini(&map);
    }
    snprintf(name, sizeof name, "map of 41 x 41 x 3, 3 samples, %s", c.cost);
    bench_limit(name, bench_summary(&b).median, 1, "s");
}

int main(int argc, char **argv)
{
    moe_ctx ctx;
    MPI_Init(&argc, &argv);
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "advice and maps, CPU time");
    for (size_t i = 0; i < MOE_ARRAY_LEN(cases); i++)
        bench_one(i);
    for (size_t i = 0; i < MOE_ARRAY_LEN(cases); i++)
        bench_command(i);
    bench_search();
    bench_map(0);
    bench_map(1);
    bench_prices(0);
    bench_prices(1);
    printf("  LLMCompass, published: %.0f s for GPT-3 175B on four A100, %.0f "
           "ms a search\n",
           SIMULATOR_S, 1e3 * SIMULATOR_S / SIMULATOR_SEARCHES);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
