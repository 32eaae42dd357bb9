/* SPDX-License-Identifier: Apache-2.0 */
/* ranks: 4 16 */
/* Ways to exchange rows: a layer's trip out and home without its experts, at a
 * shape like that of wide expert parallelism (64 experts, 8 of them a token),
 * against a row per pair. Bytes are of rows over links, all ranks, both ways;
 * wall is the slowest rank's time, tells and copies included. GPUs sit in 2 or
 * 4 nodes; all links are this machine's memory, so wall shows what the copies
 * and the second hop cost, not what a slower link between nodes would save. */
#include "bench.h"

#include <string.h>

#include "../../src/engine/dispatch_internal.h"
#include "moegps/ffn.h"
#include "moegps/rng.h"

enum { EXPERTS = 64, TOP_K = 8, TOKENS = 128, HIDDEN = 1024, SAMPLES = 21 };
enum { WAYS = 4 };

typedef struct {
    moe_layout layout;
    moe_batch batch;
    moe_plan plan;
    moe_replicas replicas;
    void *split_state;
    const moe_split *split;
    const moe_ffn *ffn;
    void *ffn_state;
    char *rows, *out;
    moe_dispatch *d[WAYS];
} exchange;

static void must(const moe_error *err)
{
    if (err->status == MOE_OK)
        return;
    fprintf(stderr, "bench_exchange: %s\n", err->text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Eight distinct experts a token. */
static void route(exchange *x, const moe_ctx *ctx)
{
    x->batch = (moe_batch){.tokens = (uint64_t)TOKENS * (uint64_t)ctx->size,
                           .own = TOKENS,
                           .layers = 1,
                           .experts = EXPERTS,
                           .top_k = TOP_K};
    x->batch.experts_of = bench_array(TOKENS * TOP_K, sizeof(uint16_t));
    for (uint32_t t = 0; t < TOKENS; t++) {
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, (uint64_t)ctx->rank, 0, t);
        uint16_t all[EXPERTS];
        for (int e = 0; e < EXPERTS; e++)
            all[e] = (uint16_t)e;
        moe_rng_shuffle(&rng, all, EXPERTS, sizeof *all);
        memcpy(x->batch.experts_of + t * TOP_K, all, TOP_K * sizeof *all);
    }
}

static void make_ffn(exchange *x, moe_error *err)
{
    static const int layer[] = {0};
    const moe_ffn_shape shape = {.hidden = HIDDEN,
                                 .inter = 8,
                                 .top_k = TOP_K,
                                 .dtype = moe_ffn_native_dtype(),
                                 .layers = layer};
    x->ffn = moe_ffn_find("dnnl");
    x->ffn_state = moe_array_new(1, x->ffn->state_size, err);
    must(err);
    x->ffn->init(x->ffn_state, &shape, err);
    x->rows = moe_array_new(TOKENS, moe_ffn_row_bytes(&shape), err);
    x->out = moe_array_new(TOKENS, moe_ffn_out_bytes(&shape), err);
    must(err);
}

static void make(exchange *x, moe_ctx *ctx)
{
    moe_error err = {0};
    const int nodes = ctx->size >= 16 ? 4 : 2;
    x->layout = (moe_layout){ctx->size, (ctx->size + nodes - 1) / nodes};
    const int slots = moe_layout_home_slots(&x->layout, EXPERTS);
    const moe_split_env env = {x->layout, EXPERTS, slots};
    route(x, ctx);
    make_ffn(x, &err);
    moe_plan_init(&x->plan, 1, EXPERTS, ctx->size, slots, &err);
    moe_replicas_init(&x->replicas, EXPERTS, ctx->size, slots, &err);
    x->split = moe_split_find("quota");
    x->split_state = moe_split_new(x->split, &env, NULL, &err);
    must(&err);
    moe_plan_set_home(&x->plan, &x->layout);
    const moe_plan_layer layer = moe_plan_at(&x->plan, 0);
    moe_replicas_index(&x->replicas, &layer);
    for (size_t w = 0; w < WAYS; w++) {
        const moe_dispatch_params p = {
            .transport = moe_transport_at(w),
            .gpu = ctx->rank,
            .layout = x->layout,
            .group = 1,
            .experts = EXPERTS,
            .top_k = TOP_K,
            .max_slots = slots,
            .max_tokens = x->batch.tokens,
            .max_own = TOKENS,
            .row_bytes =
                HIDDEN *
                (moe_ffn_native_dtype() == MOE_DTYPE_BF16 ? 2 : sizeof(float))};
        moe_dispatch_new(&p, &x->d[w], &err);
        must(&err);
        moe_dispatch_connect(x->d[w], ctx->comm);
    }
}

static void end(exchange *x)
{
    for (size_t w = 0; w < WAYS; w++)
        moe_dispatch_free(x->d[w]);
    moe_split_free(x->split, x->split_state);
    moe_replicas_fini(&x->replicas);
    moe_plan_fini(&x->plan);
    moe_ffn_free(x->ffn, x->ffn_state);
    free(x->batch.experts_of);
    free(x->rows);
    free(x->out);
}

static void go_out(exchange *x, moe_dispatch *d)
{
    moe_dispatch_count(d, &x->batch, 0);
    moe_dispatch_number_own(d);
    moe_dispatch_address(d, &x->batch, &x->replicas, x->plan.slots, x->split,
                         x->split_state);
    moe_dispatch_tell(d);
    moe_dispatch_pack(d, &x->batch, x->rows);
    moe_dispatch_send(d, MOE_WAY_OUT);
    moe_dispatch_group(d);
}

static void come_home(exchange *x, moe_dispatch *d)
{
    moe_ffn_sums sums;
    moe_dispatch_ungroup(d, x->ffn, x->ffn_state);
    moe_dispatch_send(d, MOE_WAY_HOME);
    const void *rows = moe_dispatch_get_home(d, &x->batch, &sums);
    x->ffn->combine(x->ffn_state, &sums, rows, x->out);
}

static void sample(exchange *x, moe_dispatch *d, bench_series *out,
                   bench_series *home, bench_series *whole, MPI_Comm comm)
{
    MOE_MPI(MPI_Barrier(comm));
    const double start = bench_wall();
    go_out(x, d);
    bench_add_slowest(out, bench_wall() - start, comm);
    const double turn = bench_wall();
    come_home(x, d);
    bench_add_slowest(home, bench_wall() - turn, comm);
    bench_add(whole, out->s[out->n - 1] + home->s[home->n - 1]);
}

/* @param bytes  [2] within nodes, between them, of all ranks, both ways. */
static void count(const exchange *x, const moe_dispatch *d, moe_ctx *ctx,
                  double *bytes)
{
    const moe_dispatch_rows n = moe_dispatch_get_rows(d);
    const int node = moe_layout_node(&x->layout, ctx->rank);
    bytes[0] = bytes[1] = 0;
    for (int g = 0; g < ctx->size; g++)
        if (g != ctx->rank)
            bytes[moe_layout_node(&x->layout, g) != node] +=
                (n.sent[g] + n.home[g]) * (double)d->p.row_bytes;
    MOE_MPI(
        MPI_Allreduce(MPI_IN_PLACE, bytes, 2, MPI_DOUBLE, MPI_SUM, ctx->comm));
}

int main(int argc, char **argv)
{
    static bench_series out[WAYS], home[WAYS], whole[WAYS];
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "ways to exchange rows");
    exchange x;
    make(&x, &ctx);
    for (int s = -2; s < SAMPLES; s++)
        for (int w = 0; w < WAYS; w++) {
            if (s <= 0)
                out[w].n = home[w].n = whole[w].n = 0;
            sample(&x, x.d[w], &out[w], &home[w], &whole[w], ctx.comm);
        }
    if (ctx.rank == 0)
        printf("  %d nodes, %d tokens of a GPU, rows of %zu B, median of %d\n"
               "    %-10s %9s %9s %9s %9s %9s\n",
               moe_layout_nodes(&x.layout), TOKENS, x.d[0]->p.row_bytes,
               SAMPLES, "exchange", "node MB", "far MB", "out ms", "home ms",
               "to pairs");
    for (int w = 0; w < WAYS; w++) {
        double bytes[2];
        count(&x, x.d[w], &ctx, bytes);
        const double out_s = bench_summary(&out[w]).median;
        const double home_s = bench_summary(&home[w]).median;
        if (ctx.rank == 0)
            printf("    %-10s %9.2f %9.2f %9.2f %9.2f %9.2f\n",
                   x.d[w]->p.transport->name, bytes[0] * 1e-6, bytes[1] * 1e-6,
                   out_s * 1e3, home_s * 1e3,
                   1 / bench_ratio(&whole[w], &whole[0]));
    }
    end(&x);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
