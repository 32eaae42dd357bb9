/* SPDX-License-Identifier: Apache-2.0 */

/* Prices from data sheet numbers: a roofline with tile and wave quantisation
 * for matrix products, traffic plus arithmetic for element-wise kernels, and
 * latency plus bytes over bandwidth for links. It follows the simulator that
 * the paper used (LLMCompass, Zhang et al., ISCA 2024) where that has a
 * closed form, so that the a100-paper profile reproduces it. */

#include <math.h>

#include "internal.h"

/* FLOP per element of kernels outside the tensor cores. An exponential is 35
 * as LLMCompass counts it; softmax in one pass takes three and 7 more, SiLU
 * or GELU one and 8 more, a norm about ten. */
static const double SOFTMAX_FLOPS = 3 * 35 + 7;
static const double ACTIVATION_FLOPS = 35 + 8;
static const double NORM_FLOPS = 10;

/* Everything is a double so that products of sizes cannot overflow. */
/* Of an element, and of the tensor cores for it. */
typedef struct {
    double bytes, flops;
} width;

typedef struct {
    moe_model model;
    moe_cluster cluster;
    width own, wide;     /* the model's dtype; no narrower than bf16 */
    double weight_bytes; /* of an expert's weight */
    double flops;        /* FLOP/s of a large GEMM */
    double memory_rate;  /* B/s of a large copy */
    double link_rate;    /* B/s of payload, inside a node */
    double network_rate; /* B/s of payload, per GPU to other nodes */
} analytic;

/* @param error  of the profile. */
static moe_price price_of(double time_s, moe_cluster_error error)
{
    return (moe_price){.time_s = time_s,
                       .source = MOE_PRICE_ANALYTIC,
                       .relative_error =
                           error.two_thirds > 0 ? error.two_thirds : NAN,
                       .error_p90 = error.p90 > 0 ? error.p90 : NAN};
}

/* FLOP/s of the tensor cores for a type. Without fp8 units the operands are
 * widened on the fly; f32 runs as TF32, at half the rate of bf16. */
static double peak_of(const moe_cluster *c, moe_dtype dtype)
{
    if (dtype == MOE_DTYPE_FP8 && c->fp8_flops > 0)
        return c->fp8_flops;
    return dtype == MOE_DTYPE_F32 ? c->peak_flops / 2 : c->peak_flops;
}

static width width_of(const moe_cluster *c, moe_dtype dtype)
{
    return (width){moe_dtype_size(dtype),
                   peak_of(c, dtype) * c->compute_efficiency};
}

static void set_links(void *state, double node_rate, double network_rate)
{
    analytic *a = state;
    a->link_rate = node_rate * a->cluster.link_efficiency;
    a->network_rate = network_rate * a->cluster.network_efficiency;
}

static moe_status init(void *state, const moe_model *model,
                       const moe_cluster *cluster, moe_error *err)
{
    (void)err; /* every valid profile can be priced */
    analytic *a = state;
    const moe_cluster *c = cluster;
    *a = (analytic){
        .model = *model,
        .cluster = *cluster,
        .own = width_of(c, model->dtype),
        .wide = width_of(c, model->dtype == MOE_DTYPE_FP8 ? MOE_DTYPE_BF16
                                                          : model->dtype),
        .weight_bytes = moe_model_weight_bytes(model),
        .memory_rate = c->memory_bandwidth * c->memory_efficiency,
    };
    set_links(a, c->link_bandwidth, c->network_bandwidth);
    return MOE_OK;
}

/* Output tiles of a [m][n] product; a partial tile costs a whole one. */
static double tiles_of(const analytic *a, double m, double n)
{
    return ceil(m / a->cluster.tile_m) * ceil(n / a->cluster.tile_n);
}

/* Time of a kernel with `tiles` output tiles of inner length k that moves
 * `bytes`. Each SM computes one tile at a time, so tiles run in waves and the
 * last wave costs a whole one; a product that cannot feed its SMs is bound by
 * memory instead.   Source: Williams et al. 2009 (roofline); wave
 * quantisation: NVIDIA, Matrix Multiplication Background User's Guide. */
static double tiled_time(const analytic *a, const width *w, double tiles,
                         double k, double bytes)
{
    const moe_cluster *c = &a->cluster;
    double steps = k + c->tile_fill;
    double per_wave = 2.0 * c->tile_m * c->tile_n * steps * c->sms;
    double compute_s = ceil(tiles / c->sms) * per_wave / w->flops;
    return c->launch_s + fmax(compute_s, bytes / a->memory_rate);
}

/* `count` equal products [m][k] x [k][n] in one kernel; `right` of the right
 * hand sides differ (grouped queries share keys and values). */
static double matmul_time(const analytic *a, const moe_gemm *s, double count,
                          double right)
{
    if (!(s->m > 0 && s->n > 0 && s->k > 0 && count > 0))
        return 0;
    double elements = count * (s->m * s->k + s->m * s->n) + right * s->k * s->n;
    const width *w = s->quantised ? &a->own : &a->wide;
    return tiled_time(a, w, count * tiles_of(a, s->m, s->n), s->k,
                      elements * w->bytes);
}

/* A kernel that reads and writes `passes` times `elements` and computes on
 * each: loads, arithmetic and stores follow each other and do not overlap.
 * Source: LLMCompass, softmax.py and gelu.py. */
static double vector_time(const analytic *a, const width *w, double elements,
                          double passes, double flops)
{
    if (!(elements > 0))
        return 0;
    return a->cluster.launch_s +
           elements * (passes * w->bytes / a->memory_rate +
                       flops / a->cluster.vector_flops);
}

/* One grouped GEMM over all replicas of a GPU, [rows][k] x [k][n] each: the
 * tiles of all replicas fill waves together, as in fused MoE kernels, and
 * every replica with rows reads its own weights. */
static double grouped_time(const analytic *a, const uint32_t *rows,
                           size_t n_rows, double k, double n)
{
    double tiles = 0, pairs = 0, replicas = 0;
    for (size_t i = 0; i < n_rows; i++) {
        tiles += tiles_of(a, rows[i], n);
        pairs += rows[i];
        replicas += rows[i] > 0;
    }
    return tiled_time(a, &a->own, tiles, k,
                      replicas * k * n * a->weight_bytes +
                          pairs * (k + n) * a->own.bytes);
}

static moe_price ffn(const void *state, const uint32_t *rows, size_t n)
{
    const analytic *a = state;
    double hidden = a->model.hidden, inner = a->model.intermediate, pairs = 0;
    for (size_t i = 0; i < n; i++)
        pairs += rows[i];
    if (!(pairs > 0))
        return price_of(0, a->cluster.error_ffn);
    /* SwiGLU multiplies by Wg and Wu in one GEMM, then reads both halves. */
    bool gated = a->model.form == MOE_FFN_SWIGLU;
    double time_s = grouped_time(a, rows, n, hidden, gated ? 2 * inner : inner);
    time_s +=
        vector_time(a, &a->own, pairs * inner, gated ? 3 : 2, ACTIVATION_FLOPS);
    time_s += grouped_time(a, rows, n, inner, hidden);
    return price_of(time_s, a->cluster.error_ffn);
}

/* Scores, softmax and weighted values as three kernels, with the scores in
 * memory between them and nothing masked: what LLMCompass prices. */
static double unfused_core(const analytic *a, double batch, double seq,
                           double heads, double kv_heads)
{
    const double dim = a->model.head_dim, count = batch * heads;
    const moe_gemm scores = {seq, seq, dim, false};
    const moe_gemm values = {seq, dim, seq, false};
    return matmul_time(a, &scores, count, batch * kv_heads) +
           vector_time(a, &a->wide, count * seq * seq, 2, SOFTMAX_FLOPS) +
           matmul_time(a, &values, count, batch * kv_heads);
}

/* One kernel that keeps the scores on the chip and skips the half above the
 * diagonal.   Source: Dao 2023 (FlashAttention-2). */
static double fused_core(const analytic *a, double batch, double seq,
                         double heads, double kv_heads)
{
    const double dim = a->model.head_dim, count = batch * heads;
    double tiles = count * tiles_of(a, seq, seq) / 2;
    double elements = 2 * batch * seq * dim * (heads + kv_heads);
    return tiled_time(a, &a->wide, tiles, 2 * dim, elements * a->wide.bytes);
}

static moe_price attention(const void *state, double batch, double seq, int tp)
{
    const analytic *a = state;
    const moe_model *m = &a->model;
    const double tokens = batch * seq, dim = m->head_dim;
    if (!(tokens > 0) || tp < 1)
        return price_of(0, a->cluster.error_attention);
    /* Heads that do not divide leave the busiest GPU with one more; keys and
     * values are repeated where there are fewer of them than GPUs. */
    const double heads = ceil((double)m->heads / tp);
    const double kv_heads = ceil((double)m->kv_heads / tp);
    const moe_gemm query = {tokens, heads * dim, m->hidden, true};
    const moe_gemm key = {tokens, kv_heads * dim, m->hidden, true};
    const moe_gemm qkv = {tokens, (heads + 2 * kv_heads) * dim, m->hidden,
                          true};
    const moe_gemm out = {tokens, m->hidden, heads * dim, true};
    double time_s =
        vector_time(a, &a->wide, tokens * m->hidden, 2, NORM_FLOPS) +
        matmul_time(a, &out, 1, 1);
    if (a->cluster.fused_attention)
        time_s += matmul_time(a, &qkv, 1, 1) +
                  fused_core(a, batch, seq, heads, kv_heads);
    else
        time_s += matmul_time(a, &query, 1, 1) +
                  2 * matmul_time(a, &key, 1, 1) +
                  unfused_core(a, batch, seq, heads, kv_heads);
    return price_of(time_s, a->cluster.error_attention);
}

static moe_price gemm(const void *state, const moe_gemm *shape)
{
    const analytic *a = state;
    return price_of(matmul_time(a, shape, 1, 1), a->cluster.error_gemm);
}

/* What a collective spends on one kind of link. */
typedef struct {
    double latency_s, transfer_s;
} leg;

static double node_count(const moe_exchange *x)
{
    return x->nodes > 1 ? x->nodes : 1;
}

/* GPUs that take part on the fullest node. */
static double local_count(const moe_exchange *x)
{
    return ceil((x->gpus > 1 ? x->gpus : 1) / node_count(x));
}

/* Other GPUs that one GPU has direct links to. */
static double peers_of(const analytic *a, double local)
{
    return fmax(fmax(a->cluster.gpus_per_node, local) - 1, 1);
}

/* B/s at which one GPU reaches `others` GPUs of its node together. A mesh
 * and a ring split the GPU's bandwidth over their links, so few partners
 * leave links idle. */
static double reach(const analytic *a, double local, double others)
{
    double links = 1;
    if (a->cluster.link_topology == MOE_LINK_MESH)
        links = peers_of(a, local);
    else if (a->cluster.link_topology == MOE_LINK_RING)
        links = 2;
    return a->link_rate * fmin(fmax(others, 1), links) / links;
}

/* All-reduce among the GPUs of a node. Every GPU sends and receives
 * 2 (g-1)/g of its bytes.
 * switch: bandwidth-optimal, in 2 log2 g steps (Rabenseifner 2004).
 * ring:   2 (g-1) steps to the neighbour (Patarasuk & Yuan 2009).
 * mesh:   as LLMCompass has it, g-1 reduce steps, each over one link in both
 *         directions, then one step in which every GPU sends to all.
 * Source of ring and mesh: LLMCompass, communication_primitives.py. */
static leg local_allreduce(const analytic *a, double local, double bytes)
{
    const double latency_s = a->cluster.link_latency_s;
    const double share = bytes / local, steps = local - 1;
    if (local < 2)
        return (leg){0, 0};
    switch (a->cluster.link_topology) {
    case MOE_LINK_MESH: {
        double edge = a->link_rate / peers_of(a, local);
        return (leg){steps * latency_s,
                     steps * share / (2 * edge) + share / edge};
    }
    case MOE_LINK_RING:
        return (leg){2 * steps * latency_s, 2 * steps * share / a->link_rate};
    case MOE_LINK_SWITCH:
        break;
    }
    return (leg){2 * ceil(log2(local)) * latency_s,
                 2 * steps * share / a->link_rate};
}

/* Hierarchical: reduce-scatter on the node, all-reduce of each GPU's share
 * across nodes, all-gather on the node. The parts are pipelined, so the
 * slower one counts, and their latencies add up. */
static moe_price allreduce(const void *state, const moe_exchange *x,
                           double bytes)
{
    const analytic *a = state;
    const double nodes = node_count(x), local = local_count(x);
    if (x->gpus < 2)
        return price_of(0, a->cluster.error_link);
    leg node = local_allreduce(a, local, bytes), network = {0, 0};
    if (nodes > 1) {
        network.latency_s =
            2 * ceil(log2(nodes)) * a->cluster.network_latency_s;
        network.transfer_s =
            2 * (nodes - 1) / nodes * bytes / local / a->network_rate;
    }
    return price_of(a->cluster.launch_s + node.latency_s + network.latency_s +
                        fmax(node.transfer_s, network.transfer_s),
                    a->cluster.error_link);
}

/* Links a message crosses on the node, mean over the other GPUs. Only a ring
 * forwards: a message goes the shorter way round, g/4 links on average. */
static double hops(const analytic *a, double local)
{
    if (a->cluster.link_topology != MOE_LINK_RING || local < 3)
        return 1;
    return floor(local * local / 4) / (local - 1);
}

/* Bytes of the busiest GPU over its bandwidth, both kinds of link at once. */
static moe_price exchange(const analytic *a, const moe_exchange *x, double far)
{
    const double local = fmax(local_count(x), 2);
    double node_s = 0, network_s = 0;
    if (x->node_bytes > 0)
        node_s = a->cluster.link_latency_s +
                 x->node_bytes * far / reach(a, local, local - 1);
    if (x->network_bytes > 0)
        network_s =
            a->cluster.network_latency_s + x->network_bytes / a->network_rate;
    double time_s = fmax(node_s, network_s);
    return price_of(time_s > 0 ? time_s + a->cluster.launch_s : 0,
                    a->cluster.error_link);
}

static moe_price alltoall(const void *state, const moe_exchange *x)
{
    return exchange(state, x, hops(state, local_count(x)));
}

static moe_price transfer(const void *state, const moe_exchange *x)
{
    return exchange(state, x, 1);
}

/* A binomial tree over nodes, then over the GPUs of each; a step is one
 * message.   Source: Thakur et al. 2005, section 4. */
static moe_price tree(const void *state, const moe_exchange *x, double bytes)
{
    const analytic *a = state;
    const double local = local_count(x);
    if (x->gpus < 2)
        return price_of(0, a->cluster.error_link);
    double node_s = a->cluster.link_latency_s + bytes / reach(a, local, 1);
    double network_s = a->cluster.network_latency_s + bytes / a->network_rate;
    return price_of(a->cluster.launch_s + ceil(log2(local)) * node_s +
                        ceil(log2(node_count(x))) * network_s,
                    a->cluster.error_link);
}

const moe_cost moe_cost_analytic = {
    .name = "analytic",
    .help = "roofline with tiles and waves, links as latency and bandwidth",
    .state_size = sizeof(analytic),
    .init = init,
    .set_links = set_links,
    .ffn = ffn,
    .attention = attention,
    .gemm = gemm,
    .allreduce = allreduce,
    .alltoall = alltoall,
    .transfer = transfer,
    .tree = tree,
};
