/* SPDX-License-Identifier: Apache-2.0 */
/* ranks: 64 */
/* From predicted load to a plan on every rank, over 2 to 64 ranks: planner,
 * encoding, two broadcasts, decoding. Ranks that a size leaves out sleep, so as
 * to leave the cores to the others. */
#include "bench.h"

#include <string.h>

#include "moegps/options.h"
#include "moegps/planner.h"
#include "moegps/rng.h"

enum { LAYERS = 58, EXPERTS = 256, SLOTS = 288, REPEATS = 31, FIRST = 2 };

static const double PAIRS = 32768, SIGMA = 1.0, DRIFT = 0.1;

typedef struct {
    MPI_Comm comm;
    int rank, size;
    const moe_planner *planner;
    void *params, *state;
    moe_plan now, next; /* in force, being made */
    uint8_t *wire;
    uint64_t *load, *sum; /* [layers][experts] pairs of this rank, of all */
    double *of_layer;     /* [experts] */
    uint64_t wire_bytes;
    bench_series plan_cpu, encode_cpu, both, told, bare, reduce, allreduce;
    double bytes; /* over repeats */
} stage;

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_coordinate: %s\n", err->text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static void open_stage(stage *t, MPI_Comm comm)
{
    moe_error err = {0};
    memset(t, 0, sizeof *t);
    t->comm = comm;
    MOE_MPI(MPI_Comm_rank(comm, &t->rank));
    MOE_MPI(MPI_Comm_size(comm, &t->size));
    const int slots = (SLOTS + t->size - 1) / t->size;
    const moe_planner_env env = {
        .layout = {t->size, 8}, .experts = EXPERTS, .slots = slots};
    t->planner = moe_planner_find("balance");
    t->params = bench_array(1, t->planner->params_size);
    moe_opt_defaults(t->planner->opts, t->params);
    t->state = moe_planner_new(t->planner, &env, t->params, &err);
    must(err.status, &err);
    must(moe_plan_init(&t->now, LAYERS, EXPERTS, t->size, slots, &err), &err);
    must(moe_plan_init(&t->next, LAYERS, EXPERTS, t->size, slots, &err), &err);
    moe_plan_set_home(&t->now, &env.layout);
    moe_plan_set_home(&t->next, &env.layout);
    t->wire = bench_array(moe_plan_wire_max(&t->now), 1);
    t->load = bench_array(LAYERS * EXPERTS, sizeof *t->load);
    t->sum = bench_array(LAYERS * EXPERTS, sizeof *t->sum);
    t->of_layer = bench_array(EXPERTS, sizeof *t->of_layer);
}

static void close_stage(stage *t)
{
    moe_planner_free(t->planner, t->state);
    free(t->params);
    free(t->wire);
    free(t->load);
    free(t->sum);
    free(t->of_layer);
    moe_plan_fini(&t->now);
    moe_plan_fini(&t->next);
}

/* This rank's part of loads that drift from repeat to repeat; the sum over
 * ranks hardly depends on how many there are. */
static void draw(const stage *t, int repeat)
{
    for (int l = 0; l < LAYERS; l++) {
        moe_rng base = moe_rng_at(1, MOE_RNG_TEST, 0, (uint64_t)l, 0);
        moe_rng drift =
            moe_rng_at(1, MOE_RNG_TEST, 1 + (uint64_t)repeat, (uint64_t)l, 0);
        for (int e = 0; e < EXPERTS; e++)
            t->load[l * EXPERTS + e] =
                (uint64_t)(PAIRS / EXPERTS / t->size * MOE_QUOTA_ONE / 1024 *
                           exp(SIGMA * moe_rng_normal(&base) +
                               DRIFT * moe_rng_normal(&drift)));
    }
}

/* @return CPU time. */
static double plan_all(stage *t)
{
    moe_error err = {0};
    const double start = bench_cpu();
    for (int l = 0; l < LAYERS; l++) {
        for (int e = 0; e < EXPERTS; e++)
            t->of_layer[e] = (double)t->sum[l * EXPERTS + e];
        moe_plan_layer current = moe_plan_at(&t->now, l);
        moe_plan_layer next = moe_plan_at(&t->next, l);
        const moe_planner_task task = {.load = t->of_layer,
                                       .current = &current};
        must(t->planner->plan(t->state, &task, &next, &err), &err);
        moe_plan_layer_settle(&current, &next);
    }
    return bench_cpu() - start;
}

/* Size, then plan. */
static void broadcast(stage *t)
{
    moe_error err = {0};
    MOE_MPI(MPI_Bcast(&t->wire_bytes, 1, MPI_UINT64_T, 0, t->comm));
    MOE_MPI(MPI_Bcast(t->wire, (int)t->wire_bytes, MPI_BYTE, 0, t->comm));
    if (t->rank != 0)
        must(moe_plan_decode(&t->next, t->wire, t->wire_bytes, &err), &err);
}

/* Loads come together, on the coordinator or everywhere. */
static void collect(stage *t)
{
    const int n = LAYERS * EXPERTS;
    MOE_MPI(MPI_Barrier(t->comm));
    double start = bench_wall();
    MOE_MPI(MPI_Allreduce(t->load, t->sum, n, MPI_UINT64_T, MPI_SUM, t->comm));
    bench_add_slowest(&t->allreduce, bench_wall() - start, t->comm);
    MOE_MPI(MPI_Barrier(t->comm));
    start = bench_wall();
    MOE_MPI(MPI_Reduce(t->load, t->sum, n, MPI_UINT64_T, MPI_SUM, 0, t->comm));
    bench_add_slowest(&t->reduce, bench_wall() - start, t->comm);
}

static void plan_and_tell(stage *t)
{
    MOE_MPI(MPI_Barrier(t->comm));
    const double start = bench_wall();
    double plan_s = 0, encode_s = 0;
    if (t->rank == 0) {
        plan_s = plan_all(t);
        const double before = bench_cpu();
        t->wire_bytes = moe_plan_encode(&t->now, &t->next, 0, LAYERS, t->wire);
        encode_s = bench_cpu() - before;
    }
    broadcast(t);
    bench_add_slowest(&t->both, bench_wall() - start, t->comm);
    bench_add_slowest(&t->plan_cpu, plan_s, t->comm);
    bench_add_slowest(&t->encode_cpu, encode_s, t->comm);
    t->bytes += (double)t->wire_bytes / REPEATS;
    moe_plan_copy(&t->now, &t->next);
}

/* The broadcast of a plan alone, and of as many bytes at once. */
static void tell_again(stage *t)
{
    MOE_MPI(MPI_Barrier(t->comm));
    double start = bench_wall();
    broadcast(t);
    bench_add_slowest(&t->told, bench_wall() - start, t->comm);
    MOE_MPI(MPI_Barrier(t->comm));
    start = bench_wall();
    MOE_MPI(MPI_Bcast(t->wire, (int)t->wire_bytes, MPI_BYTE, 0, t->comm));
    bench_add_slowest(&t->bare, bench_wall() - start, t->comm);
}

/* The first repeat starts from home and is not counted. */
static void run(stage *t)
{
    for (int i = 0; i <= REPEATS; i++) {
        if (i == 1) {
            t->plan_cpu.n = t->encode_cpu.n = t->both.n = t->told.n = 0;
            t->bare.n = t->reduce.n = t->allreduce.n = 0;
            t->bytes = 0;
        }
        draw(t, i);
        collect(t);
        plan_and_tell(t);
        tell_again(t);
    }
}

static double ms(const bench_series *b)
{
    return 1e3 * bench_summary(b).median;
}

/* @param first_ms  plan and broadcast at the first size; set there. */
static void report(const stage *t, double *first_ms)
{
    const moe_summary both = bench_summary(&t->both);
    if (t->size == FIRST)
        *first_ms = 1e3 * both.median;
    printf("  %5d %5d %8.0f %8.3f %8.3f %9.3f [%.3f %.3f] %6.1f %8.3f %8.3f "
           "%8.3f %9.3f %3zu\n",
           t->size, t->now.slots, t->bytes, ms(&t->plan_cpu),
           ms(&t->encode_cpu), 1e3 * both.median, 1e3 * both.min,
           1e3 * both.max, 1e3 * both.median / *first_ms, ms(&t->told),
           ms(&t->bare), ms(&t->reduce), ms(&t->allreduce), t->both.n);
    fflush(stdout);
}

/* Wait for all without keeping a core busy. */
static void sleep_until_all(MPI_Comm comm)
{
    const struct timespec nap = {0, 2000000};
    MPI_Request request;
    int done = 0;
    MOE_MPI(MPI_Ibarrier(comm, &request));
    while (MOE_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE)), !done)
        nanosleep(&nap, NULL);
}

int main(int argc, char **argv)
{
    static stage t;
    double first_ms = NAN;
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "plan and broadcast, 2 to 64 ranks");
    if (ctx.rank == 0)
        printf("   %d layers, %d experts, %d slots of all GPUs or a few more; "
               "loads drift by %g; medians in ms\n"
               "   plan, encode: CPU time of the coordinator; others: wall, "
               "slowest rank; x: against %d ranks;\n"
               "   told: broadcast and decoded, bare: as many bytes; "
               "replicated coordination is allreduce + plan\n"
               "  ranks slots plan (B)     plan   encode plan+told [min max]   "
               "   x     told     bare   reduce allreduce  n\n",
               LAYERS, EXPERTS, SLOTS, DRIFT, FIRST);
    for (int size = FIRST; size <= ctx.size; size *= 2) {
        MPI_Comm comm;
        MOE_MPI(MPI_Comm_split(ctx.comm, ctx.rank < size ? 0 : MPI_UNDEFINED,
                               ctx.rank, &comm));
        if (comm != MPI_COMM_NULL) {
            open_stage(&t, comm);
            run(&t);
            if (t.rank == 0)
                report(&t, &first_ms);
            close_stage(&t);
            MOE_MPI(MPI_Comm_free(&comm));
        }
        sleep_until_all(ctx.comm);
    }
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
