/* SPDX-License-Identifier: Apache-2.0 */
/* ranks: 2 */
/* What the harness itself costs: one token per rank and no FFN, against a
 * bare loop of the same collectives. Each iteration of the engine is followed
 * by one of the bare loop, so both see the same machine. */
#include "bench.h"

#include <string.h>

#include "fixture.h"
#include "moegps/engine.h"
#include "moegps/mem.h"
#include "moegps/synth.h"

enum { ITERATIONS = 60, WARMUP = 2, STRATEGIES = 2, HIDDEN = 64 };

static const double TARGET_US = 100;      /* per layer */
static const double PACED_TARGET_US = 20; /* beyond bare collectives */
static const double DILATION = 20;        /* of paced cases */

static const struct {
    const char *name, *coordination;
    int layers, experts, top_k;
    bool paced;
} cases[] = {
    {"32 layers x 8 experts, central", "central", 32, 8, 2, false},
    {"32 layers x 8 experts, replicated", "replicated", 32, 8, 2, false},
    {"16 layers x 256 experts, central", "central", 16, 256, 8, false},
    {"16 layers x 256 experts, replicated", "replicated", 16, 256, 8, false},
    {"32 layers x 8 experts, paced", "central", 32, 8, 2, true},
    {"16 layers x 256 experts, paced", "central", 16, 256, 8, true},
};

/* Phases that happen once for all layers, and those of every layer. */
static const moe_phase once[] = {MOE_PHASE_PREDICT, MOE_PHASE_COLLECT,
                                 MOE_PHASE_PLAN, MOE_PHASE_BROADCAST,
                                 MOE_PHASE_MIGRATE};
static const moe_phase each[] = {MOE_PHASE_ROUTE, MOE_PHASE_DISPATCH,
                                 MOE_PHASE_FFN, MOE_PHASE_COMBINE};

typedef struct {
    moe_ctx *ctx;
    moe_experiment x;
    moe_model model;
    moe_cluster cluster;
    moe_trace trace;
    int layers[64];
    moe_engine *engine;
    moe_ledger ledger;
    bool replicated, paced;
    bench_series whole;      /* an iteration of all strategies */
    bench_series bare_layer; /* a layer of the bare loop */
    bench_series bare_once;  /* its collectives for all layers */
    /* The bare loop's memory. */
    uint64_t *pairs, *sum, *first, *loads, *load_sum;
    int *slot_out, *slot_in, *count, *at;
    char *send, *recv;
    MPI_Datatype row;
    int slots;
} harness;

static void agree(moe_ctx *ctx)
{
    if (moe_agree(ctx) == MOE_OK)
        return;
    if (ctx->rank == 0)
        fprintf(stderr, "bench_harness: %s\n", ctx->err.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void make_inputs(harness *h, int c)
{
    moe_error *err = &h->ctx->err;
    h->cluster = fixture_cluster();
    h->model = fixture_model();
    h->model.layers = cases[c].layers;
    h->model.experts = cases[c].experts;
    h->model.top_k = cases[c].top_k;
    h->model.hidden = h->model.intermediate = HIDDEN;
    moe_synth_params *p = bench_array(1, sizeof *p);
    moe_opt_defaults(moe_synth_options, p);
    p->kind = MOE_TRACE_TOKENS;
    snprintf(p->model, sizeof p->model, "%s", h->model.name);
    p->layers = h->model.layers;
    p->experts = h->model.experts;
    p->top_k = h->model.top_k;
    p->seqs = 4;
    p->tokens = 256;
    moe_synth(p, &h->trace, err);
    free(p);
    for (int l = 0; l < h->model.layers; l++)
        h->layers[l] = l;
}

static void make_engine(harness *h, int c)
{
    moe_error *err = &h->ctx->err;
    char text[1024];
    h->replicated = strcmp(cases[c].coordination, "replicated") == 0;
    h->paced = cases[c].paced;
    h->slots = cases[c].experts / h->ctx->size * 5 / 4;
    snprintf(text, sizeof text,
             "model: tiny\ncluster: tiny\ntrace: tiny\n"
             "workload: {batch: 1, seq: %d, iterations: %d, warmup: %d}\n"
             "emulation: {ffn: %s, scale: 1, dtype: f32, coordination: %s}\n"
             "strategies:\n"
             "  - {name: baseline}\n"
             "  - {name: distribution, predictor: distribution, planner: "
             "duplicate, slots: %d, split: quota}\n",
             h->ctx->size, ITERATIONS, WARMUP, h->paced ? "paced" : "none",
             cases[c].coordination, h->slots);
    char slow[64];
    snprintf(slow, sizeof slow, "emulation.dilation=%g", DILATION);
    const char *const sets[] = {slow};
    moe_experiment_parse(text, "bench", sets, h->paced, &h->x, err);
    agree(h->ctx);
    const moe_engine_params params = {.experiment = &h->x,
                                      .model = &h->model,
                                      .cluster = &h->cluster,
                                      .trace = &h->trace,
                                      .layers = h->layers,
                                      .n_layers = h->model.layers,
                                      .threads = 1};
    moe_engine_new(h->ctx, &params, &h->engine);
    agree(h->ctx);
    const moe_ledger_dims dims = moe_engine_dims(h->engine);
    moe_ledger_init(&h->ledger, &dims, h->ctx->rank, err);
    agree(h->ctx);
}

/* One token per rank; its k rows go to the ranks in turn. */
static void make_bare(harness *h)
{
    const size_t e = (size_t)h->model.experts, l = (size_t)h->model.layers;
    const size_t g = (size_t)h->ctx->size, s = (size_t)h->slots;
    const int k = h->model.top_k;
    h->pairs = bench_array(e, sizeof *h->pairs);
    h->sum = bench_array(e, sizeof *h->sum);
    h->first = bench_array(e, sizeof *h->first);
    h->loads = bench_array(l * e, sizeof *h->loads);
    h->load_sum = bench_array(l * e, sizeof *h->load_sum);
    h->slot_out = bench_array(g * s, sizeof *h->slot_out);
    h->slot_in = bench_array(g * s, sizeof *h->slot_in);
    h->count = bench_array(g, sizeof *h->count);
    h->at = bench_array(g, sizeof *h->at);
    h->send = bench_array((size_t)k * g, HIDDEN * sizeof(float));
    h->recv = bench_array((size_t)k * g, HIDDEN * sizeof(float));
    for (int r = 0, at = 0; r < h->ctx->size; at += h->count[r++]) {
        h->count[r] = k * (r + 1) / h->ctx->size - k * r / h->ctx->size;
        h->at[r] = at;
    }
    MOE_MPI(
        MPI_Type_contiguous(HIDDEN * (int)sizeof(float), MPI_BYTE, &h->row));
    MOE_MPI(MPI_Type_commit(&h->row));
}

/* The same counts from all: rank r gets count[r] from everyone. */
static void exchange(harness *h, bool home)
{
    int count[64], at[64];
    for (int r = 0; r < h->ctx->size; r++) {
        count[r] = h->count[h->ctx->rank];
        at[r] = r * count[r];
    }
    MOE_MPI(MPI_Alltoallv(h->send, home ? count : h->count, home ? at : h->at,
                          h->row, h->recv, home ? h->count : count,
                          home ? h->at : at, h->row, h->ctx->comm));
}

static double bare_layers(harness *h)
{
    MPI_Comm comm = h->ctx->comm;
    const int e = h->model.experts;
    const double start = bench_wall();
    for (int l = 0; l < h->model.layers; l++) {
        MOE_MPI(MPI_Barrier(comm));
        if (!h->paced) { /* of the baseline, too: no expert has copies */
            MOE_MPI(
                MPI_Exscan(h->pairs, h->first, e, MPI_UINT64_T, MPI_SUM, comm));
            MOE_MPI(MPI_Allreduce(h->pairs, h->sum, e, MPI_UINT64_T, MPI_SUM,
                                  comm));
        }
        MOE_MPI(MPI_Alltoall(h->slot_out, h->slots, MPI_INT, h->slot_in,
                             h->slots, MPI_INT, comm));
        exchange(h, false);
        if (!h->paced)
            MOE_MPI(MPI_Barrier(comm));
        exchange(h, true);
    }
    return (bench_wall() - start) / h->model.layers;
}

/* The collectives of a plan in which nothing changes. */
static double bare_coordination(harness *h)
{
    MPI_Comm comm = h->ctx->comm;
    const int n = h->model.layers * h->model.experts;
    uint64_t told[3] = {0};
    const double start = bench_wall();
    MOE_MPI(MPI_Barrier(comm));
    if (h->replicated)
        MOE_MPI(MPI_Allreduce(h->loads, h->load_sum, n, MPI_UINT64_T, MPI_SUM,
                              comm));
    else
        MOE_MPI(MPI_Reduce(h->loads, h->load_sum, n, MPI_UINT64_T, MPI_SUM, 0,
                           comm));
    MOE_MPI(MPI_Barrier(comm));
    if (h->replicated)
        MOE_MPI(
            MPI_Allreduce(MPI_IN_PLACE, told, 3, MPI_UINT64_T, MPI_MAX, comm));
    else
        MOE_MPI(MPI_Bcast(told, 1, MPI_UINT64_T, 0, comm));
    MOE_MPI(MPI_Barrier(comm));
    return bench_wall() - start;
}

static void run(harness *h)
{
    moe_ctx *ctx = h->ctx;
    for (int w = 0; w < WARMUP; w++) {
        moe_engine_warm_up(h->engine, w, &h->ledger);
        bare_layers(h);
        bare_coordination(h);
    }
    agree(ctx);
    for (int i = 0; i < ITERATIONS; i++) {
        MOE_MPI(MPI_Barrier(ctx->comm));
        const double start = bench_wall();
        moe_engine_measure(h->engine, i, &h->ledger);
        bench_add_slowest(&h->whole, bench_wall() - start, ctx->comm);
        bench_add_slowest(&h->bare_layer, bare_layers(h), ctx->comm);
        bench_add_slowest(&h->bare_once, bare_coordination(h), ctx->comm);
    }
    agree(ctx);
}

/* Seconds of phases and of the waits before them, summed over layers, as read
 * by the clock. */
static double spent(const harness *h, int s, int i, const moe_phase *phase,
                    size_t n)
{
    double sum = 0.0;
    for (int l = 0; l < h->model.layers; l++) {
        const size_t at = moe_ledger_at(&h->ledger, s, i, l) * MOE_N_PHASES;
        for (size_t p = 0; p < n; p++)
            sum +=
                h->ledger.wall[at + phase[p]] + h->ledger.wait[at + phase[p]];
    }
    return h->paced ? sum * DILATION : sum;
}

/* Seconds that the experts of a layer were asked to take, of the rank that was
 * asked for most: the others wait for it. Summed over layers. Collective. */
static double asked(const harness *h, int s, int i)
{
    double sum = 0.0;
    for (int l = 0; h->paced && l < h->model.layers; l++) {
        const size_t at = moe_ledger_at(&h->ledger, s, i, l) * MOE_N_PACES;
        double most = h->ledger.pace_asked[at + MOE_PACE_FFN];
        MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_DOUBLE, MPI_MAX,
                              h->ctx->comm));
        sum += most;
    }
    return sum * DILATION;
}

/* Per iteration, on the slowest rank, divided by `share`. Collective. */
static bench_series collect(const harness *h, int s, const moe_phase *phase,
                            size_t n, double share)
{
    bench_series b = {.n = 0};
    for (int i = 0; i < ITERATIONS; i++)
        bench_add_slowest(&b, spent(h, s, i, phase, n) / share, h->ctx->comm);
    return b;
}

static void print_phases(const harness *h, int s, const moe_phase *phase,
                         size_t n, double share)
{
    for (size_t p = 0; p < n; p++) {
        const bench_series b = collect(h, s, &phase[p], 1, share);
        char name[64];
        snprintf(name, sizeof name, "  %s", moe_phase_name(phase[p]));
        if (h->ctx->rank == 0)
            bench_print(name, &b, 0, NULL);
    }
}

/* What an iteration takes beside its phases: batch, record, checks. */
static void print_rest(const harness *h)
{
    bench_series rest = {.n = 0};
    for (int i = 0; i < ITERATIONS; i++) {
        double in_phases = 0.0;
        for (int s = 0; s < STRATEGIES; s++)
            in_phases += spent(h, s, i, once, MOE_ARRAY_LEN(once)) +
                         spent(h, s, i, each, MOE_ARRAY_LEN(each));
        double rest_s = (h->whole.s[i] - in_phases) / STRATEGIES;
        bench_add_slowest(&rest, rest_s / h->model.layers, h->ctx->comm);
    }
    if (h->ctx->rank == 0)
        bench_print("load, record, check, per layer", &rest, 0, NULL);
}

static void report(const harness *h)
{
    const size_t n_once = MOE_ARRAY_LEN(once), n_each = MOE_ARRAY_LEN(each);
    const double layers = h->model.layers;
    bench_series layer = collect(h, 0, each, n_each, layers);
    for (int i = 0; i < ITERATIONS; i++)
        layer.s[i] -= asked(h, 0, i) / layers;
    const bench_series plan = collect(h, 1, once, n_once, 1.0);
    const bool root = h->ctx->rank == 0;
    if (root) {
        bench_print(h->paced ? "a layer, baseline, beyond what FFNs may take"
                             : "a layer, baseline",
                    &layer, 0, NULL);
        if (h->paced)
            bench_limit("  beyond bare collectives, medians",
                        1e6 * (bench_summary(&layer).median -
                               bench_summary(&h->bare_layer).median),
                        PACED_TARGET_US, "us");
        else
            bench_limit("  its median", 1e6 * bench_summary(&layer).median,
                        TARGET_US, "us");
        bench_print("a layer of bare collectives", &h->bare_layer, 0, NULL);
        printf("  %-40s %9.2f\n", "bare collectives / layer, paired",
               bench_ratio(&layer, &h->bare_layer));
    }
    print_phases(h, 0, each, n_each, layers);
    if (root) {
        bench_print("predict .. migrate, per iteration", &plan, 0, NULL);
        bench_print("its bare collectives, per iteration", &h->bare_once, 0,
                    NULL);
        printf("  %-40s %9.2f us\n", "predict .. migrate, per layer",
               1e6 * bench_summary(&plan).median / layers);
    }
    print_phases(h, 1, once, n_once, 1.0);
    if (!h->paced)
        print_rest(h);
}

static void end(harness *h)
{
    moe_engine_free(h->engine);
    moe_ledger_fini(&h->ledger);
    moe_trace_free(&h->trace);
    moe_experiment_fini(&h->x);
    MOE_MPI(MPI_Type_free(&h->row));
    void *arrays[] = {h->pairs,    h->sum,      h->first,   h->loads,
                      h->load_sum, h->slot_out, h->slot_in, h->count,
                      h->at,       h->send,     h->recv};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
    free(h);
}

int main(int argc, char **argv)
{
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "the harness alone: one token per rank, no FFN");
    if (ctx.rank == 0)
        printf("   wall time with waits, slowest rank, median of %d\n",
               ITERATIONS);
    for (size_t c = 0; c < MOE_ARRAY_LEN(cases); c++) {
        harness *h = bench_array(1, sizeof *h);
        h->ctx = &ctx;
        if (ctx.rank == 0)
            printf(" %s\n", cases[c].name);
        make_inputs(h, (int)c);
        make_engine(h, (int)c);
        make_bare(h);
        run(h);
        report(h);
        end(h);
    }
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
