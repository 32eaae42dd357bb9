/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "pricing.h"

static pricing paper(void)
{
    pricing p;
    pricing_read(&p, "mixtral-8x7b", "a100-paper");
    ck_assert_int_eq(pricing_open(&p, "analytic", NULL), MOE_OK);
    return p;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Median and largest of |e|; sorts e. */
static void check_errors(double *e, size_t n, double median, double largest)
{
    for (size_t i = 0; i < n; i++)
        e[i] = fabs(e[i]);
    qsort(e, n, sizeof *e, by_value);
    ck_assert_double_le(e[n / 2], median);
    ck_assert_double_le(e[n - 1], largest);
}

/* ---- the paper's simulator ----
 * LLMCompass 2e015fd on its A100, times without kernel launches. */

static const struct {
    moe_gemm shape;
    double time_s;
} matmuls[] = {
    {{1, 14336, 4096, false}, 5.7615e-05},
    {{64, 14336, 4096, false}, 5.9316e-05},
    {{128, 14336, 4096, false}, 6.3616e-05},
    {{256, 14336, 4096, false}, 1.1726e-04},
    {{512, 14336, 4096, false}, 2.2080e-04},
    {{1024, 14336, 4096, false}, 4.2777e-04},
    {{4096, 14336, 4096, false}, 1.6864e-03},
    {{1, 4096, 14336, false}, 5.7615e-05},
    {{64, 4096, 14336, false}, 5.9945e-05},
    {{128, 4096, 14336, false}, 6.4609e-05},
    {{256, 4096, 14336, false}, 1.1720e-04},
    {{512, 4096, 14336, false}, 2.2098e-04},
    {{1024, 4096, 14336, false}, 4.3358e-04},
    {{4096, 4096, 14336, false}, 1.7092e-03},
    {{1, 4096, 4096, false}, 1.6464e-05},
    {{64, 4096, 4096, false}, 1.7443e-05},
    {{128, 4096, 4096, false}, 2.0013e-05},
    {{256, 4096, 4096, false}, 3.6142e-05},
    {{512, 4096, 4096, false}, 6.7494e-05},
    {{1024, 4096, 4096, false}, 1.2810e-04},
    {{4096, 4096, 4096, false}, 4.8771e-04},
    {{1, 1024, 4096, false}, 4.1191e-06},
    {{64, 1024, 4096, false}, 4.8418e-06},
    {{128, 1024, 4096, false}, 6.1553e-06},
    {{256, 1024, 4096, false}, 1.0600e-05},
    {{512, 1024, 4096, false}, 1.9318e-05},
    {{1024, 1024, 4096, false}, 3.6058e-05},
    {{4096, 1024, 4096, false}, 1.2810e-04},
    {{1, 2048, 7168, false}, 1.4408e-05},
    {{64, 2048, 7168, false}, 1.5601e-05},
    {{128, 2048, 7168, false}, 1.8665e-05},
    {{256, 2048, 7168, false}, 3.3496e-05},
    {{512, 2048, 7168, false}, 6.2010e-05},
    {{1024, 2048, 7168, false}, 1.1796e-04},
    {{4096, 2048, 7168, false}, 4.4538e-04},
    {{1, 7168, 2048, false}, 1.4408e-05},
    {{64, 7168, 2048, false}, 1.5277e-05},
    {{128, 7168, 2048, false}, 1.7987e-05},
    {{256, 7168, 2048, false}, 3.2443e-05},
    {{512, 7168, 2048, false}, 6.1573e-05},
    {{1024, 7168, 2048, false}, 1.1682e-04},
    {{4096, 7168, 2048, false}, 4.5493e-04},
    {{1, 768, 2048, false}, 1.5455e-06},
    {{64, 768, 2048, false}, 1.9787e-06},
    {{128, 768, 2048, false}, 2.7638e-06},
    {{256, 768, 2048, false}, 4.5745e-06},
    {{512, 768, 2048, false}, 8.1191e-06},
    {{1024, 768, 2048, false}, 1.4816e-05},
    {{4096, 768, 2048, false}, 5.3892e-05},
};

START_TEST(matmuls_agree_with_the_simulator)
{
    double e[MOE_ARRAY_LEN(matmuls)];
    pricing p = paper();
    for (size_t i = 0; i < MOE_ARRAY_LEN(e); i++) {
        double time_s = p.cost->gemm(p.state, &matmuls[i].shape).time_s;
        e[i] = time_s / matmuls[i].time_s - 1;
    }
    pricing_close(&p);
    check_errors(e, MOE_ARRAY_LEN(e), 0.05, 0.32);
}
END_TEST

static const struct {
    double batch, seq;
    int tp;
    double time_s;
} attentions[] = {
    {1, 512, 4, 7.1343e-05},
    {1, 512, 1, 2.3916e-04},
    {1, 2048, 4, 4.2087e-04},
    {16, 2048, 4, 6.3628e-03},
};

START_TEST(attention_agrees_with_the_simulator)
{
    double e[MOE_ARRAY_LEN(attentions)];
    pricing p = paper();
    for (size_t i = 0; i < MOE_ARRAY_LEN(e); i++) {
        moe_price price = p.cost->attention(
            p.state, attentions[i].batch, attentions[i].seq, attentions[i].tp);
        e[i] = price.time_s / attentions[i].time_s - 1;
    }
    pricing_close(&p);
    check_errors(e, MOE_ARRAY_LEN(e), 0.05, 0.06);
}
END_TEST

/* 512 x 4096 fp16 on 4 GPUs; bandwidth per direction. The mesh rows are what
 * its tables call FC with links of 600 and 64 GB/s in both directions. */
static const struct {
    moe_link_topology topology;
    double bandwidth, time_s;
} allreduces[] = {
    {MOE_LINK_MESH, 300e9, 5.4613e-05}, {MOE_LINK_MESH, 32e9, 2.8788e-04},
    {MOE_LINK_RING, 300e9, 7.5803e-05}, {MOE_LINK_RING, 32e9, 2.6242e-04},
    {MOE_LINK_RING, 600e9, 6.4661e-05},
};

START_TEST(allreduces_agree_with_the_simulator)
{
    pricing p;
    pricing_read(&p, "mixtral-8x7b", "a100-paper");
    p.cluster.link_topology = allreduces[_i].topology;
    p.cluster.link_bandwidth = allreduces[_i].bandwidth;
    ck_assert_int_eq(pricing_open(&p, "analytic", NULL), MOE_OK);
    const moe_exchange x = {.gpus = 4, .nodes = 1};
    double time_s = p.cost->allreduce(p.state, &x, 512 * 4096 * 2).time_s;
    pricing_close(&p);
    ck_assert_double_lt(fabs(time_s / allreduces[_i].time_s - 1), 1e-3);
}
END_TEST

/* A layer of Mixtral 8x7B, 512 tokens on 4 GPUs, when the busiest GPU has
 * `skew` times the mean of 256 pairs: attention, all-reduce, scatter, FFN,
 * gather. `linear` scales the FFN of a balanced layer, which is what the
 * paper does; `pair` runs two experts, each with half of the pairs. */
static const struct {
    double bandwidth, skew, linear_s, pair_s;
} layers[] = {
    {300e9, 1.0, 5.1591e-04, 5.4787e-04}, {300e9, 1.4, 6.6476e-04, 7.2644e-04},
    {300e9, 2.0, 8.8803e-04, 8.8803e-04}, {300e9, 4.0, 1.6323e-03, 1.5504e-03},
    {32e9, 1.0, 8.4249e-04, 8.7445e-04},  {32e9, 1.4, 1.0287e-03, 1.0903e-03},
    {32e9, 2.0, 1.3079e-03, 1.3079e-03},  {32e9, 4.0, 2.2388e-03, 2.1569e-03},
};

static double layer_time(double bandwidth, double skew)
{
    pricing p;
    pricing_read(&p, "mixtral-8x7b", "a100-paper");
    p.cluster.link_bandwidth = bandwidth;
    ck_assert_int_eq(pricing_open(&p, "analytic", NULL), MOE_OK);
    const uint32_t rows[] = {(uint32_t)(128 * skew), (uint32_t)(128 * skew)};
    const moe_exchange x = {
        .gpus = 4, .nodes = 1, .node_bytes = skew * 256 * 0.75 * 4096 * 2};
    double time_s = p.cost->attention(p.state, 1, 512, 4).time_s +
                    p.cost->allreduce(p.state, &x, 512 * 4096 * 2).time_s +
                    2 * p.cost->alltoall(p.state, &x).time_s +
                    p.cost->ffn(p.state, rows, 2).time_s;
    pricing_close(&p);
    return time_s;
}

START_TEST(layers_agree_with_the_simulator)
{
    enum { N = MOE_ARRAY_LEN(layers) };
    double linear[N], pair[N];
    for (size_t i = 0; i < N; i++) {
        double time_s = layer_time(layers[i].bandwidth, layers[i].skew);
        linear[i] = time_s / layers[i].linear_s - 1;
        pair[i] = time_s / layers[i].pair_s - 1;
    }
    check_errors(linear, N, 0.03, 0.06);
    check_errors(pair, N, 0.03, 0.06);
}
END_TEST

/* ---- properties of every cost model on every machine ---- */

static const char *const clusters[] = {
    "a100-paper", "a100-nvlink", "a100-pcie",  "h100-nvlink",
    "l40s-pcie",  "b200-nvlink", "h200-nvlink"};
static const char *const models[] = {"mixtral-8x7b", "deepseek-v3",
                                     "gpt-oss-20b", "switch-base-128"};

enum {
    N_CLUSTERS = 7,
    N_MACHINES = N_CLUSTERS * 4, /* clusters x models */
    MAX_COSTS = 8
};

/* Call check() for every cost model that can price machine i. */
static void each_cost(int i, void (*check)(const pricing *p))
{
    const moe_cost *cost;
    pricing p;
    pricing_read(&p, models[i / N_CLUSTERS], clusters[i % N_CLUSTERS]);
    for (size_t c = 0; (cost = moe_cost_at(c)) != NULL; c++) {
        ck_assert_uint_lt(c, MAX_COSTS);
        const moe_status status = pricing_open(&p, cost->name, NULL);
        ck_assert(status == MOE_OK || status == MOE_USAGE);
        if (status == MOE_OK) /* else it has nothing for this machine */
            check(&p);
        pricing_close(&p);
    }
}

static double ffn_time(const pricing *p, const uint32_t *rows, size_t n)
{
    moe_price price = p->cost->ffn(p->state, rows, n);
    ck_assert(isfinite(price.time_s) && price.time_s >= 0);
    return price.time_s;
}

static void check_empty(const pricing *p)
{
    const uint32_t rows[] = {40, 0, 7, 0, 0};
    const uint32_t same[] = {40, 7};
    const moe_exchange alone = {.gpus = 1, .nodes = 1};
    ck_assert_double_eq(ffn_time(p, rows + 3, 2), 0);
    ck_assert_double_eq(ffn_time(p, NULL, 0), 0);
    ck_assert_double_eq(ffn_time(p, rows, 5), ffn_time(p, same, 2));
    ck_assert_double_eq(p->cost->allreduce(p->state, &alone, 1e6).time_s, 0);
    ck_assert_double_eq(p->cost->tree(p->state, &alone, 1e6).time_s, 0);
    ck_assert_double_eq(p->cost->alltoall(p->state, &alone).time_s, 0);
    ck_assert_double_eq(p->cost->transfer(p->state, &alone).time_s, 0);
    ck_assert_double_eq(
        p->cost->gemm(p->state, &(moe_gemm){0, 8, 8, false}).time_s, 0);
}

START_TEST(nothing_to_do_is_free)
{
    each_cost(_i, check_empty);
}
END_TEST

static void check_monotone(const pricing *p)
{
    moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, 0, 0, 0);
    for (int trial = 0; trial < 200; trial++) {
        uint32_t rows[6];
        for (size_t i = 0; i < MOE_ARRAY_LEN(rows); i++)
            rows[i] = (uint32_t)moe_rng_below(&rng, 1u << (4 + i));
        double before = ffn_time(p, rows, MOE_ARRAY_LEN(rows));
        rows[moe_rng_below(&rng, 6)] += 1 + (uint32_t)moe_rng_below(&rng, 300);
        double after = ffn_time(p, rows, MOE_ARRAY_LEN(rows));
        ck_assert_double_ge(after, before * (1 - 1e-12));
    }
}

START_TEST(more_rows_never_take_less_time)
{
    each_cost(_i, check_monotone);
}
END_TEST

/* A replica on the same GPU computes what the other one need not. */
static void check_splits(const pricing *p)
{
    moe_rng rng = moe_rng_at(2, MOE_RNG_TEST, 0, 0, 0);
    for (int trial = 0; trial < 200; trial++) {
        uint32_t rows[6] = {0};
        for (size_t i = 0; i < 5; i++)
            rows[i] = (uint32_t)moe_rng_below(&rng, 1u << (6 + 2 * i));
        const double whole = ffn_time(p, rows, MOE_ARRAY_LEN(rows));
        const size_t split = (size_t)moe_rng_below(&rng, 5);
        rows[5] = (uint32_t)moe_rng_below(&rng, rows[split] + 1);
        rows[split] -= rows[5];
        ck_assert_double_ge(ffn_time(p, rows, MOE_ARRAY_LEN(rows)),
                            whole * (1 - 1e-12));
    }
}

START_TEST(splitting_an_expert_never_takes_less_time)
{
    each_cost(_i, check_splits);
}
END_TEST

static void check_exchanges(const pricing *p)
{
    moe_exchange x = {.gpus = 4, .nodes = 1};
    double last[5] = {0};
    for (double bytes = 1e3; bytes < 1e10; bytes *= 3) {
        x.node_bytes = bytes;
        double now[] = {
            p->cost->alltoall(p->state, &x).time_s,
            p->cost->transfer(p->state, &x).time_s,
            p->cost->allreduce(p->state, &x, bytes).time_s,
            p->cost->tree(p->state, &x, bytes).time_s,
            p->cost->alltoall(p->state, &(moe_exchange){16, 4, bytes, bytes})
                .time_s};
        for (size_t i = 0; i < MOE_ARRAY_LEN(now); i++) {
            ck_assert(isfinite(now[i]));
            ck_assert_double_ge(now[i], last[i]);
            last[i] = now[i];
        }
        ck_assert_double_ge(now[4], now[0] * (1 - 1e-12));
    }
}

START_TEST(more_bytes_never_take_less_time)
{
    each_cost(_i, check_exchanges);
}
END_TEST

static void check_attention(const pricing *p)
{
    double last = 0;
    for (double seq = 16; seq <= 16384; seq *= 2) {
        double now = p->cost->attention(p->state, 2, seq, 4).time_s;
        ck_assert(isfinite(now));
        /* a sum of measured kernels is flat within their noise */
        ck_assert_double_ge(now, last * 0.98);
        ck_assert_double_ge(p->cost->attention(p->state, 2, seq, 1).time_s,
                            now);
        last = now;
    }
}

START_TEST(attention_grows_with_tokens_and_shrinks_with_gpus)
{
    each_cost(_i, check_attention);
}
END_TEST

/* Links of other bandwidths change exchanges alone, and back. */
static void check_links(const pricing *p)
{
    const moe_cluster *c = &p->cluster;
    const moe_exchange x = {16, 2, 1e8, 1e8};
    const uint32_t rows[] = {64};
    const double before = p->cost->alltoall(p->state, &x).time_s;
    const double ffn_s = ffn_time(p, rows, 1);
    p->cost->set_links(p->state, c->link_bandwidth / 8,
                       c->network_bandwidth / 8);
    ck_assert_double_gt(p->cost->alltoall(p->state, &x).time_s, 3 * before);
    ck_assert_double_eq(ffn_time(p, rows, 1), ffn_s);
    p->cost->set_links(p->state, c->link_bandwidth, c->network_bandwidth);
    ck_assert_double_eq(p->cost->alltoall(p->state, &x).time_s, before);
}

START_TEST(slower_links_slow_down_exchanges_alone)
{
    each_cost(_i, check_links);
}
END_TEST

/* ---- properties of the analytic model ---- */

START_TEST(ffn_is_above_the_roofline)
{
    pricing p;
    pricing_read(&p, models[_i / N_CLUSTERS], clusters[_i % N_CLUSTERS]);
    ck_assert_int_eq(pricing_open(&p, "analytic", NULL), MOE_OK);
    moe_rng rng = moe_rng_at(2, MOE_RNG_TEST, 0, 0, 0);
    double peak = fmax(p.cluster.peak_flops, p.cluster.fp8_flops);
    for (int trial = 0; trial < 100; trial++) {
        uint32_t rows[4];
        double pairs = 0, replicas = 0;
        for (size_t i = 0; i < 4; i++) {
            rows[i] = (uint32_t)moe_rng_below(&rng, 2000);
            pairs += rows[i];
            replicas += rows[i] > 0;
        }
        double time_s = ffn_time(&p, rows, 4);
        ck_assert_double_ge(time_s, replicas *
                                        moe_model_expert_bytes(&p.model) /
                                        p.cluster.memory_bandwidth);
        ck_assert_double_ge(time_s,
                            pairs * moe_model_pair_flops(&p.model) / peak);
    }
    pricing_close(&p);
}
END_TEST

START_TEST(splitting_an_expert_reads_its_weights_twice)
{
    pricing p = paper();
    const uint32_t whole[] = {16}, half[] = {8};
    double weights_s =
        moe_model_expert_bytes(&p.model) / p.cluster.memory_bandwidth;
    double one = ffn_time(&p, whole, 1), each = ffn_time(&p, half, 1);
    ck_assert_double_ge(each, weights_s);
    ck_assert_double_ge(2 * each, one + 0.9 * weights_s);
    /* with many rows compute dominates, and halving them pays */
    const uint32_t many[] = {4096}, fewer[] = {2048};
    ck_assert_double_lt(ffn_time(&p, fewer, 1), 0.52 * ffn_time(&p, many, 1));
    pricing_close(&p);
}
END_TEST

START_TEST(prices_say_where_they_come_from)
{
    pricing p = paper();
    const uint32_t rows[] = {5};
    moe_price price = p.cost->ffn(p.state, rows, 1);
    ck_assert_int_eq(price.source, MOE_PRICE_ANALYTIC);
    ck_assert_double_gt(price.relative_error, 0);
    pricing_close(&p);
    p.cluster.error_ffn = (moe_cluster_error){0};
    ck_assert_int_eq(pricing_open(&p, "analytic", NULL), MOE_OK);
    ck_assert(isnan(p.cost->ffn(p.state, rows, 1).relative_error));
    ck_assert(isnan(p.cost->ffn(p.state, rows, 1).error_p90));
    pricing_close(&p);
}
END_TEST

static const struct {
    const char *cluster, *cost;
} eights[] = {{"h100-nvlink", "silicon"},
              {"l40s-pcie", "silicon"},
              {"h100-nvlink", "analytic"},
              {"mi300x", "analytic"},
              {"a100-paper", "analytic"}};

/* Products of attention with the weights that a quantised model keeps in its
 * own dtype. */
static double projections_s(const pricing *p, double tokens)
{
    const moe_model *m = &p->model;
    const double own = m->heads * m->head_dim, hidden = m->hidden;
    const double kv = m->kv_heads * m->head_dim;
    const moe_gemm qkv = {tokens, own + 2 * kv, hidden, true};
    const moe_gemm query = {tokens, own, hidden, true};
    const moe_gemm key = {tokens, kv, hidden, true};
    const moe_gemm out = {tokens, hidden, own, true};
    const bool apart =
        strcmp(p->cost->name, "analytic") == 0 && !p->cluster.fused_attention;
    const double in_s = apart ? p->cost->gemm(p->state, &query).time_s +
                                    2 * p->cost->gemm(p->state, &key).time_s
                              : p->cost->gemm(p->state, &qkv).time_s;
    return in_s + p->cost->gemm(p->state, &out).time_s;
}

/* Where all its weights are fp8, a model attends, routes and predicts in bf16:
 * what is left of attention without its projections, and a product that is not
 * quantised, take what they take in a bf16 model; bound by memory as well as by
 * tensor cores. */
START_TEST(an_fp8_model_attends_routes_and_predicts_in_bf16)
{
    enum { SHORT, LONG };
    static const moe_dtype dtypes[] = {MOE_DTYPE_BF16, MOE_DTYPE_FP8};
    static const double seq[] = {[SHORT] = 32, [LONG] = 4096};
    static const moe_gemm wide[] = {{4096, 8, 4096, false},   /* router */
                                    {4096, 128, 256, false}}; /* predictor */
    double projections[2][2], core[2][2], product[2][2];
    for (int i = 0; i < 2; i++) {
        pricing p;
        pricing_read(&p, "mixtral-8x7b", eights[_i].cluster);
        p.model.dtype = dtypes[i];
        ck_assert_int_eq(pricing_open(&p, eights[_i].cost, NULL), MOE_OK);
        for (int k = 0; k < 2; k++) {
            projections[i][k] = projections_s(&p, 4 * seq[k]);
            core[i][k] = p.cost->attention(p.state, 4, seq[k], 1).time_s -
                         projections[i][k];
            product[i][k] = p.cost->gemm(p.state, &wide[k]).time_s;
        }
        pricing_close(&p);
    }
    ck_assert_double_lt(projections[1][SHORT], projections[0][SHORT]);
    for (int k = 0; k < 2; k++) {
        ck_assert_double_gt(core[0][k], 0);
        ck_assert_double_eq_tol(core[1][k] / core[0][k], 1, 1e-9);
        ck_assert_double_eq(product[1][k], product[0][k]);
    }
}
END_TEST

static const struct {
    double price, error, low, high;
} intervals[] = {
    {10, 0, 10, 10},      {9, 0.25, 7.2, 12},     {10, 0.8, 50 / 9.0, 50},
    {10, 1, 5, INFINITY}, {10, 3, 2.5, INFINITY},
};

START_TEST(an_error_says_where_the_truth_is)
{
    double low, high;
    moe_price_interval(intervals[_i].price, intervals[_i].error, &low, &high);
    ck_assert_double_eq_tol(low, intervals[_i].low, 1e-9);
    ck_assert(high == intervals[_i].high ||
              fabs(high - intervals[_i].high) < 1e-9);
    moe_price_interval(intervals[_i].price, NAN, &low, &high);
    ck_assert(isnan(low) && isnan(high));
}
END_TEST

static const struct {
    double slow[2], fast[2], error, low, high, turns_at;
} leads[] = {
    {{10, 5}, {4, 5}, 0.25, 4.8, 8, 1}, /* one part saves 6 */
    {{10, 4}, {4, 8}, 0, 2, 2, 0.2},    /* saves 6, loses 4 */
    {{10, 4}, {4, 8}, 0.2, 0, 7.5 - 4 / 1.2, 0.2},
    {{10, 4}, {4, 8}, 0.25, 4.8 - 16 / 3.0, 4.8, 0.2},
    {{10, 4}, {4, 8}, 1, -INFINITY, INFINITY, 0.2},
    {{3, 3}, {3, 3}, 0.5, 0, 0, 0}, /* alike: wrong alike */
};

START_TEST(errors_of_what_differs_bound_a_lead)
{
    const moe_price_lead l =
        moe_price_lead_of(leads[_i].slow, leads[_i].fast, 2, leads[_i].error);
    ck_assert(l.low_s == leads[_i].low || fabs(l.low_s - leads[_i].low) < 1e-9);
    ck_assert(l.high_s == leads[_i].high ||
              fabs(l.high_s - leads[_i].high) < 1e-9);
    ck_assert_double_eq_tol(l.turns_at, leads[_i].turns_at, 1e-9);
    ck_assert(
        isnan(moe_price_lead_of(leads[_i].slow, leads[_i].fast, 2, NAN).low_s));
}
END_TEST

START_TEST(a_gpu_is_priced_by_the_tables_of_another)
{
    moe_cluster c;
    ck_assert(moe_cluster_find_relative("h200_sxm", &c));
    ck_assert_str_eq(c.name, "h200-nvlink");
    ck_assert_str_eq(c.tables_gpu, "h100_sxm");
    ck_assert(!moe_cluster_find_relative("h100_sxm", &c));
    ck_assert(!moe_cluster_find_relative("h300", &c));
}
END_TEST

START_TEST(registry_finds_what_it_lists)
{
    const moe_cost *cost;
    size_t n = 0;
    for (; (cost = moe_cost_at(n)) != NULL; n++)
        ck_assert_ptr_eq(moe_cost_find(cost->name), cost);
    ck_assert_uint_ge(n, 1);
    ck_assert_ptr_null(moe_cost_find("guess"));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("cost");
    MOE_TEST(suite, matmuls_agree_with_the_simulator);
    MOE_TEST(suite, attention_agrees_with_the_simulator);
    MOE_TEST_LOOP(suite, allreduces_agree_with_the_simulator,
                  MOE_ARRAY_LEN(allreduces));
    MOE_TEST(suite, layers_agree_with_the_simulator);
    MOE_TEST_LOOP(suite, nothing_to_do_is_free, N_MACHINES);
    MOE_TEST_LOOP(suite, more_rows_never_take_less_time, N_MACHINES);
    MOE_TEST_LOOP(suite, splitting_an_expert_never_takes_less_time, N_MACHINES);
    MOE_TEST_LOOP(suite, more_bytes_never_take_less_time, N_MACHINES);
    MOE_TEST_LOOP(suite, slower_links_slow_down_exchanges_alone, N_MACHINES);
    MOE_TEST_LOOP(suite, attention_grows_with_tokens_and_shrinks_with_gpus,
                  N_MACHINES);
    MOE_TEST_LOOP(suite, ffn_is_above_the_roofline, N_MACHINES);
    MOE_TEST(suite, splitting_an_expert_reads_its_weights_twice);
    MOE_TEST_LOOP(suite, an_fp8_model_attends_routes_and_predicts_in_bf16,
                  MOE_ARRAY_LEN(eights));
    MOE_TEST(suite, prices_say_where_they_come_from);
    MOE_TEST_LOOP(suite, an_error_says_where_the_truth_is,
                  MOE_ARRAY_LEN(intervals));
    MOE_TEST_LOOP(suite, errors_of_what_differs_bound_a_lead,
                  MOE_ARRAY_LEN(leads));
    MOE_TEST(suite, a_gpu_is_priced_by_the_tables_of_another);
    MOE_TEST(suite, registry_finds_what_it_lists);
    return suite;
}
