/* SPDX-License-Identifier: Apache-2.0 */
/* Advice for one configuration by hand, with its limits, and a map of 41 x 41
 * cells in three error cases. */
#include "bench.h"

#include "moegps/advise.h"
#include "moegps/map.h"
#include "moegps/profile.h"

enum { SAMPLES = 15, SIDE = 41 };

static const struct {
    const char *model, *cluster;
    int gpus, batch;
} cases[] = {{"mixtral-8x7b", "a100-paper", 4, 1},
             {"switch-base-128", "a100-paper", 4, 1},
             {"deepseek-v3", "h100-nvlink", 32, 64},
             {"deepseek-v3", "h100-nvlink", 256, 256},
             {"deepseek-v3", "h100-nvlink", 4096, 256}};

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_advise: %s\n", err->text);
    exit(1);
}

static char *read_profile(const char *kind, const char *name)
{
    char path[512], *text = NULL;
    moe_error err = {0};
    must(moe_profile_find(kind, name, ".yaml", path, sizeof path, &err), &err);
    must(moe_read_text(path, &text, &err), &err);
    return text;
}

static moe_advise_params params_of(size_t i, moe_model *m, moe_cluster *c)
{
    moe_error err = {0};
    moe_advise_params p;
    char *text = read_profile("models", cases[i].model);
    must(moe_model_parse(text, cases[i].model, m, &err), &err);
    free(text);
    text = read_profile("clusters", cases[i].cluster);
    must(moe_cluster_parse(text, cases[i].cluster, c, &err), &err);
    free(text);
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
    for (int s = 0; s < (p.gpus > 256 ? 3 : SAMPLES); s++) {
        const double start = bench_cpu();
        must(moe_advise_run(&p, &v, &err), &err);
        bench_add(&b, bench_cpu() - start);
    }
    snprintf(name, sizeof name, "advise %s, %d GPUs", cases[i].model, p.gpus);
    bench_print(name, &b, 0, NULL);
    bench_limit(name, bench_summary(&b).median * 1e3, 50, "ms");
}

static void bench_map(void)
{
    moe_model m;
    moe_cluster c;
    double skew[SIDE], bandwidth[SIDE];
    const double accuracy = 0.9;
    const int batch = 1;
    bench_series b = {.n = 0};
    moe_error err = {0};
    moe_map map;
    for (int i = 0; i < SIDE; i++) {
        skew[i] = 1 + 3.0 * i / (SIDE - 1);
        bandwidth[i] = 10e9 * (i + 1);
    }
    moe_map_params p = {.advise = params_of(0, &m, &c),
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
        must(moe_map_init(&map, &p, &err), &err);
        bench_add(&b, bench_cpu() - start);
        moe_map_fini(&map);
    }
    bench_print("map of 41 x 41 cells, 3 cases, 3 samples", &b, 0, NULL);
    bench_limit("map of 41 x 41 cells", bench_summary(&b).median, 1, "s");
}

int main(int argc, char **argv)
{
    moe_ctx ctx;
    MPI_Init(&argc, &argv);
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "advice and maps, CPU time");
    for (size_t i = 0; i < MOE_ARRAY_LEN(cases); i++)
        bench_one(i);
    bench_map();
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
