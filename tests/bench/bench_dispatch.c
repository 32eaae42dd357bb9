/* SPDX-License-Identifier: Apache-2.0 */
/* ranks: 2 4 */
/* The steps of dispatch: the exchanges against a bare MPI_Alltoallv of the
 * same counts, the copies against memcpy of as many bytes between buffers of
 * the same size. */
#include "bench.h"

#include <string.h>

#include "moegps/dispatch.h"

enum { EXPERTS = 8, TOP_K = 2, TOKENS = 1024, SAMPLES = 41 };

static const double TARGET_EXCHANGE = 0.95, TARGET_COPY = 0.7;

typedef struct {
    moe_dispatch d;
    moe_batch batch;
    char *rows;                       /* [TOKENS] own rows */
    char *send, *recv, *grouped;      /* the alternative's */
    size_t row_bytes, n_send, n_recv; /* rows */
} exchange;

static void must(const moe_error *err)
{
    if (err->status == MOE_OK)
        return;
    fprintf(stderr, "bench_dispatch: %s\n", err->text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Two distinct experts per token; skewed: every token visits expert 0. */
static void route(exchange *x, moe_ctx *ctx, bool skewed)
{
    x->batch = (moe_batch){.tokens = (uint64_t)TOKENS * (uint64_t)ctx->size,
                           .own = TOKENS,
                           .layers = 1,
                           .experts = EXPERTS,
                           .top_k = TOP_K};
    x->batch.experts_of =
        bench_array(TOKENS * TOP_K, sizeof *x->batch.experts_of);
    for (uint32_t t = 0; t < TOKENS; t++) {
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, (uint64_t)ctx->rank, 0, t);
        uint16_t *e = x->batch.experts_of + t * TOP_K;
        e[0] = skewed ? 0 : (uint16_t)moe_rng_below(&rng, EXPERTS);
        e[1] = (uint16_t)moe_rng_below(&rng, EXPERTS - 1);
        e[1] = (uint16_t)(e[1] + (e[1] >= e[0]));
    }
}

static void address(exchange *x, const moe_layout *layout)
{
    const int slots = moe_layout_home_slots(layout, EXPERTS);
    const moe_split *split = moe_split_find("quota");
    moe_error err = {0};
    moe_plan plan;
    moe_replicas replicas;
    moe_plan_init(&plan, 1, EXPERTS, layout->gpus, slots, &err);
    moe_replicas_init(&replicas, EXPERTS, layout->gpus, slots, &err);
    void *state = bench_array(1, split->state_size);
    split->init(state, layout, EXPERTS, slots, NULL, &err);
    must(&err);
    moe_plan_set_home(&plan, layout);
    const moe_plan_layer layer = moe_plan_at(&plan, 0);
    moe_replicas_index(&replicas, &layer);
    moe_dispatch_count(&x->d, &x->batch, 0);
    moe_dispatch_number(&x->d);
    moe_dispatch_address(&x->d, &x->batch, 0, &replicas, slots, split, state);
    moe_dispatch_tell(&x->d);
    split->fini(state);
    free(state);
    moe_replicas_fini(&replicas);
    moe_plan_fini(&plan);
}

static void make(exchange *x, moe_ctx *ctx, size_t row_bytes, bool skewed)
{
    const moe_layout layout = {ctx->size, ctx->size};
    *x = (exchange){.row_bytes = row_bytes};
    route(x, ctx, skewed);
    const moe_dispatch_params p = {.comm = ctx->comm,
                                   .layout = layout,
                                   .experts = EXPERTS,
                                   .top_k = TOP_K,
                                   .max_slots =
                                       moe_layout_home_slots(&layout, EXPERTS),
                                   .max_tokens = x->batch.tokens,
                                   .max_own = TOKENS,
                                   .row_bytes = row_bytes};
    moe_error err = {0};
    moe_dispatch_init(&x->d, &p, &err);
    must(&err);
    address(x, &layout);
    x->n_send = (size_t)x->d.n_send;
    x->n_recv = (size_t)x->d.n_recv;
    x->rows = bench_array(TOKENS, row_bytes);
    x->send = bench_array(x->n_send, row_bytes);
    x->recv = bench_array(x->n_recv, row_bytes);
    x->grouped = bench_array(x->n_recv, row_bytes);
    memset(x->rows, 1, TOKENS * row_bytes);
}

static void end(exchange *x)
{
    moe_dispatch_fini(&x->d);
    free(x->batch.experts_of);
    free(x->rows);
    free(x->send);
    free(x->recv);
    free(x->grouped);
}

/* Each step of ours, and what it is compared with. */

static void pack(exchange *x)
{
    moe_dispatch_pack(&x->d, &x->batch, x->rows);
}

static void bare_pack(exchange *x)
{
    const size_t bytes = TOKENS * x->row_bytes;
    for (size_t j = 0; j < TOP_K; j++)
        memcpy(x->send + j * bytes, x->rows, bytes);
}

static void send(exchange *x)
{
    moe_dispatch_send(&x->d);
}

static void bare_send(exchange *x)
{
    const moe_dispatch *d = &x->d;
    MOE_MPI(MPI_Alltoallv(x->send, d->send_count, d->send_at, d->row_type,
                          x->recv, d->recv_count, d->recv_at, d->row_type,
                          d->p.comm));
}

static void group(exchange *x)
{
    moe_dispatch_group(&x->d);
}

static void bare_group(exchange *x)
{
    memcpy(x->grouped, x->recv, x->n_recv * x->row_bytes);
}

static void ungroup(exchange *x)
{
    moe_dispatch_ungroup(&x->d);
}

static void bare_ungroup(exchange *x)
{
    memcpy(x->recv, x->grouped, x->n_recv * x->row_bytes);
}

static void send_back(exchange *x)
{
    moe_dispatch_send_back(&x->d);
}

static void bare_send_back(exchange *x)
{
    const moe_dispatch *d = &x->d;
    MOE_MPI(MPI_Alltoallv(x->recv, d->recv_count, d->recv_at, d->row_type,
                          x->send, d->send_count, d->send_at, d->row_type,
                          d->p.comm));
}

static const struct {
    const char *name;
    void (*own)(exchange *), (*bare)(exchange *);
    bool copy;
} steps[] = {
    {"pack", pack, bare_pack, true},
    {"send", send, bare_send, false},
    {"group", group, bare_group, true},
    {"ungroup", ungroup, bare_ungroup, true},
    {"send_back", send_back, bare_send_back, false},
};

enum { N_STEPS = sizeof steps / sizeof steps[0] };

/* Copies cost CPU time, wherever they run; an exchange is as slow as its
 * slowest rank. */
static void sample(exchange *x, void (*step)(exchange *), bool copy,
                   bench_series *out)
{
    const clockid_t clock = copy ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    MOE_MPI(MPI_Barrier(x->d.p.comm));
    const double start = bench_read(clock);
    step(x);
    bench_add_slowest(out, bench_read(clock) - start, x->d.p.comm);
}

static void round_of(exchange *x, bool ours, bench_series *out)
{
    for (int i = 0; i < N_STEPS; i++)
        sample(x, ours ? steps[i].own : steps[i].bare, steps[i].copy, &out[i]);
}

static void print_step(const exchange *x, int i, const bench_series *own,
                       const bench_series *bare)
{
    const double target = steps[i].copy ? TARGET_COPY : TARGET_EXCHANGE;
    const double ratio = bench_ratio(own, bare);
    const size_t most = i == 0 ? x->n_send : x->n_recv;
    const double bytes = (double)(most * x->row_bytes);
    const moe_summary a = bench_summary(own), b = bench_summary(bare);
    printf("    %-10s %8.2f [%7.2f %7.2f] %8.2f %7.2f  >= %.2f %s\n",
           steps[i].name, bytes / a.median * 1e-9, bytes / a.max * 1e-9,
           bytes / a.min * 1e-9, bytes / b.median * 1e-9, ratio, target,
           ratio >= target ? "ok" : "below");
}

static void one_case(moe_ctx *ctx, size_t row_bytes, bool skewed)
{
    static bench_series own[N_STEPS], bare[N_STEPS];
    exchange x;
    make(&x, ctx, row_bytes, skewed);
    for (int s = -2; s < SAMPLES; s++) {
        if (s <= 0) /* two rounds to warm up: pages, caches, connections */
            for (int i = 0; i < N_STEPS; i++)
                own[i].n = bare[i].n = 0;
        /* Whole rounds in turn, so that both find in the caches what a round
         * of their own left there. */
        round_of(&x, s % 2 == 0, s % 2 == 0 ? own : bare);
        round_of(&x, s % 2 != 0, s % 2 != 0 ? own : bare);
    }
    uint64_t most = x.n_recv;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_UINT64_T, MPI_MAX,
                          ctx->comm));
    x.n_recv = (size_t)most; /* of the rank that is waited for */
    if (ctx->rank == 0) {
        printf("  rows of %zu B, %s: %zu sent, at most %zu received\n",
               row_bytes, skewed ? "skewed" : "even", x.n_send, x.n_recv);
        for (int i = 0; i < N_STEPS; i++)
            print_step(&x, i, &own[i], &bare[i]);
    }
    end(&x);
}

int main(int argc, char **argv)
{
    static const size_t row_bytes[] = {512, 2048, 8192};
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "dispatch against bare copies and exchanges");
    if (ctx.rank == 0)
        printf("   GB/s of the slowest rank, median of %d; copies: CPU time\n"
               "    %-10s %8s %17s %8s %7s\n",
               SAMPLES, "step", "ours", "[min max]", "bare", "ratio");
    for (size_t i = 0; i < MOE_ARRAY_LEN(row_bytes); i++)
        for (int skewed = 0; skewed < 2; skewed++)
            one_case(&ctx, row_bytes[i], skewed);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
