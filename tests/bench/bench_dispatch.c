/* SPDX-License-Identifier: Apache-2.0 */
/* ranks: 2 4 */
/* The steps of dispatch: the exchanges against a bare MPI_Alltoallv of the
 * same counts, the copies against memcpy of as many bytes between buffers of
 * the same size. Direct routing, whose predictions are right for 4 of 5 pairs,
 * has two exchanges on the way out. */
#include "bench.h"

#include <string.h>

#include "../../src/engine/dispatch_internal.h"

enum { EXPERTS = 8, TOP_K = 2, TOKENS = 1024, SAMPLES = 41 };

static const double TARGET_EXCHANGE = 0.95, TARGET_COPY = 0.7;

typedef struct {
    moe_dispatch *d;
    moe_batch batch;
    uint16_t *predicted;                 /* [TOKENS][TOP_K] */
    char *rows;                          /* [TOKENS] own rows */
    char *send, *ahead, *recv, *grouped; /* the alternative's */
    size_t row_bytes, n_recv;            /* rows */
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

/* One prediction in 5 is of another expert than the token visits. */
static void predict(exchange *x, const moe_ctx *ctx)
{
    x->predicted = bench_array(TOKENS * TOP_K, sizeof *x->predicted);
    for (uint32_t i = 0; i < TOKENS * TOP_K; i++) {
        moe_rng rng = moe_rng_at(2, MOE_RNG_TEST, (uint64_t)ctx->rank, 0, i);
        const uint16_t *truth = x->batch.experts_of + i / TOP_K * TOP_K;
        uint16_t e = truth[i % TOP_K];
        const bool wrong = moe_rng_below(&rng, 5) == 0;
        while (wrong && (e == truth[0] || e == truth[1]))
            e = (uint16_t)moe_rng_below(&rng, EXPERTS);
        x->predicted[i] = e;
    }
}

static void address(exchange *x, const moe_layout *layout, bool direct)
{
    const int slots = moe_layout_home_slots(layout, EXPERTS);
    const moe_split *split = moe_split_find("quota");
    moe_error err = {0};
    moe_plan plan;
    moe_replicas replicas;
    moe_plan_init(&plan, 1, EXPERTS, layout->gpus, slots, &err);
    moe_replicas_init(&replicas, EXPERTS, layout->gpus, slots, &err);
    const moe_split_env env = {*layout, EXPERTS, slots};
    void *state = moe_split_new(split, &env, NULL, &err);
    must(&err);
    moe_plan_set_home(&plan, layout);
    const moe_plan_layer layer = moe_plan_at(&plan, 0);
    moe_replicas_index(&replicas, &layer);
    if (direct) {
        moe_dispatch_expect(x->d, &x->batch, x->predicted);
        moe_dispatch_number(x->d);
        moe_dispatch_address(x->d, &x->batch, &replicas, slots, split, state);
        moe_dispatch_tell(x->d);
        moe_dispatch_compare(x->d, &x->batch, 0);
    } else {
        moe_dispatch_count(x->d, &x->batch, 0);
    }
    moe_dispatch_number(x->d);
    moe_dispatch_address(x->d, &x->batch, &replicas, slots, split, state);
    moe_dispatch_tell(x->d);
    moe_split_free(split, state);
    moe_replicas_fini(&replicas);
    moe_plan_fini(&plan);
}

static void make(exchange *x, moe_ctx *ctx, size_t row_bytes, bool skewed,
                 bool direct)
{
    const moe_layout layout = {ctx->size, ctx->size};
    *x = (exchange){.row_bytes = row_bytes};
    route(x, ctx, skewed);
    predict(x, ctx);
    const moe_dispatch_params p = {.transport = moe_transport_find("pairs"),
                                   .gpu = ctx->rank,
                                   .layout = layout,
                                   .group = layout.gpus,
                                   .experts = EXPERTS,
                                   .top_k = TOP_K,
                                   .max_slots =
                                       moe_layout_home_slots(&layout, EXPERTS),
                                   .max_tokens = x->batch.tokens,
                                   .max_own = TOKENS,
                                   .row_bytes = row_bytes};
    moe_error err = {0};
    moe_dispatch_new(&p, &x->d, &err);
    must(&err);
    moe_dispatch_connect(x->d, ctx->comm);
    address(x, &layout, direct);
    x->n_recv = (size_t)x->d->n_rows;
    x->rows = bench_array(TOKENS, row_bytes);
    x->send = bench_array(TOKENS * TOP_K, row_bytes);
    x->ahead = bench_array((size_t)x->d->rows_ahead + 1, row_bytes);
    x->recv = bench_array(x->n_recv, row_bytes);
    x->grouped = bench_array(x->n_recv, row_bytes);
    memset(x->rows, 1, TOKENS * row_bytes);
}

static void end(exchange *x)
{
    moe_dispatch_free(x->d);
    free(x->batch.experts_of);
    free(x->predicted);
    free(x->rows);
    free(x->ahead);
    free(x->send);
    free(x->recv);
    free(x->grouped);
}

/* Each step of ours, and what it is compared with. */

static void pack(exchange *x)
{
    moe_dispatch_pack(x->d, &x->batch, x->rows);
}

static void bare_pack(exchange *x)
{
    const size_t bytes = TOKENS * x->row_bytes;
    for (size_t j = 0; j < TOP_K; j++)
        memcpy(x->send + j * bytes, x->rows, bytes);
}

/* The same exchange again, whichever was made last. */
static void send_leg(exchange *x, moe_leg *leg)
{
    x->d->leg = leg;
    moe_dispatch_send(x->d, MOE_WAY_OUT);
}

static void bare_leg(exchange *x, const moe_leg *leg, char *to)
{
    const moe_dispatch *d = x->d;
    MOE_MPI(MPI_Alltoallv(x->send, leg->row_send, leg->row_send_at, d->row_type,
                          to, leg->row_recv, leg->row_recv_at, d->row_type,
                          d->comm));
}

static void ahead(exchange *x)
{
    send_leg(x, &x->d->ahead);
}

static void bare_ahead(exchange *x)
{
    bare_leg(x, &x->d->ahead, x->ahead);
}

static void send(exchange *x)
{
    send_leg(x, &x->d->rest);
}

static void bare_send(exchange *x)
{
    bare_leg(x, &x->d->rest, x->recv);
}

static void group(exchange *x)
{
    moe_dispatch_group(x->d);
}

static void bare_group(exchange *x)
{
    memcpy(x->grouped, x->recv, x->n_recv * x->row_bytes);
}

static void ungroup(exchange *x)
{
    moe_dispatch_ungroup(x->d, NULL, NULL);
}

static void bare_ungroup(exchange *x)
{
    memcpy(x->recv, x->grouped, x->n_recv * x->row_bytes);
}

static void send_back(exchange *x)
{
    moe_dispatch_send(x->d, MOE_WAY_HOME);
}

static void bare_send_back(exchange *x)
{
    const moe_dispatch *d = x->d;
    MOE_MPI(MPI_Alltoallv(x->recv, d->home_count, d->home_at, d->row_type,
                          x->send, d->back_count, d->back_at, d->row_type,
                          d->comm));
}

typedef enum { OWN, AHEAD, REST, GROUPED } amount;

static const struct {
    const char *name;
    void (*own)(exchange *), (*bare)(exchange *);
    bool copy, direct_only, plain_only;
    amount rows; /* that it moves */
} steps[] = {
    {"pack", pack, bare_pack, true, false, true, OWN},
    {"ahead", ahead, bare_ahead, false, true, false, AHEAD},
    {"send", send, bare_send, false, false, false, REST},
    {"group", group, bare_group, true, false, false, GROUPED},
    {"ungroup", ungroup, bare_ungroup, true, false, false, GROUPED},
    {"send_back", send_back, bare_send_back, false, false, false, GROUPED},
};

enum { N_STEPS = sizeof steps / sizeof steps[0] };

static bool is_step(const exchange *x, int i)
{
    return x->d->direct ? !steps[i].plain_only : !steps[i].direct_only;
}

/* Rows of the rank that is waited for. */
static double rows_of(const exchange *x, amount what)
{
    uint64_t n = what == OWN     ? TOKENS * TOP_K
                 : what == AHEAD ? x->d->rows_ahead
                 : what == REST  ? x->d->rest.n_recv
                                 : x->d->n_rows;
    MOE_MPI(
        MPI_Allreduce(MPI_IN_PLACE, &n, 1, MPI_UINT64_T, MPI_MAX, x->d->comm));
    return (double)n;
}

/* Copies cost CPU time, wherever they run; an exchange is as slow as its
 * slowest rank. */
static void sample(exchange *x, void (*step)(exchange *), bool copy,
                   bench_series *out)
{
    const clockid_t clock = copy ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    MOE_MPI(MPI_Barrier(x->d->comm));
    const double start = moe_clock_read(clock);
    step(x);
    bench_add_slowest(out, moe_clock_read(clock) - start, x->d->comm);
}

static void round_of(exchange *x, bool ours, bench_series *out)
{
    for (int i = 0; i < N_STEPS; i++)
        if (is_step(x, i))
            sample(x, ours ? steps[i].own : steps[i].bare, steps[i].copy,
                   &out[i]);
}

static void print_step(int i, double bytes, const bench_series *own,
                       const bench_series *bare)
{
    const double target = steps[i].copy ? TARGET_COPY : TARGET_EXCHANGE;
    const double ratio = bench_ratio(own, bare);
    const moe_summary a = bench_summary(own), b = bench_summary(bare);
    printf("    %-10s %8.2f [%7.2f %7.2f] %8.2f %7.2f  >= %.2f %s\n",
           steps[i].name, bytes / a.median * 1e-9, bytes / a.max * 1e-9,
           bytes / a.min * 1e-9, bytes / b.median * 1e-9, ratio, target,
           ratio >= target ? "ok" : "below");
}

static void one_case(moe_ctx *ctx, size_t row_bytes, bool skewed, bool direct)
{
    static bench_series own[N_STEPS], bare[N_STEPS];
    exchange x;
    make(&x, ctx, row_bytes, skewed, direct);
    for (int s = -2; s < SAMPLES; s++) {
        if (s <= 0) /* two rounds to warm up: pages, caches, connections */
            for (int i = 0; i < N_STEPS; i++)
                own[i].n = bare[i].n = 0;
        /* Whole rounds in turn, so that both find in the caches what a round
         * of their own left there. */
        round_of(&x, s % 2 == 0, s % 2 == 0 ? own : bare);
        round_of(&x, s % 2 != 0, s % 2 != 0 ? own : bare);
    }
    const double most = rows_of(&x, GROUPED);
    if (ctx->rank == 0)
        printf("  rows of %zu B, %s%s: %d pairs of a rank, at most %.0f come\n",
               row_bytes, skewed ? "skewed" : "even", direct ? ", direct" : "",
               TOKENS * TOP_K, most);
    for (int i = 0; i < N_STEPS; i++) {
        const double bytes = rows_of(&x, steps[i].rows) * (double)row_bytes;
        if (ctx->rank == 0 && is_step(&x, i))
            print_step(i, bytes, &own[i], &bare[i]);
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
        for (int c = 0; c < 4; c++)
            one_case(&ctx, row_bytes[i], c / 2 > 0, c % 2 > 0);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
