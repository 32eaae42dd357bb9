/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/cluster/silicon_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/ctx.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/rng.h"
#include "pricing.h"

static moe_silicon *tables(void)
{
    moe_error err = {0};
    moe_silicon *s = moe_silicon_open(NULL, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    return s;
}

static moe_curve curve_of(const moe_silicon *s, const moe_ffn_key *key)
{
    moe_curve c;
    moe_error err = {0};
    moe_status status = moe_silicon_ffn(s, key, NULL, &c, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    return c;
}

/* Mixtral 8x7B on one GPU in bf16. */
static moe_ffn_key mixtral(const char *gpu, const char *stack)
{
    return (moe_ffn_key){.gpu = gpu,
                         .stack = stack,
                         .dtype = "bf16",
                         .distribution = "balanced",
                         .hidden = 4096,
                         .inter = 14336,
                         .top_k = 2,
                         .experts = 8,
                         .ep = 1};
}

/* ---- measured rows ---- */

static const struct {
    const char *gpu, *stack, *dtype, *distribution;
    int hidden, inter, top_k, experts, ep;
    double tokens, time_us;
} golden[] = {
    {"a100_sxm", "sglang-0.5.10", "bfloat16", "balanced", 4096, 14336, 2, 8, 1,
     1, 463.74},
    {"a100_sxm", "trtllm-1.0.0", "bfloat16", "power_law_1.2", 4096, 14336, 2, 8,
     1, 4096, 19394.969},
    {"h100_sxm", "vllm-0.24.0", "bfloat16", "balanced", 4096, 14336, 2, 8, 1,
     4096, 5625.397},
    {"h100_sxm", "trtllm-1.3.0rc20", "fp8_block", "balanced", 7168, 2048, 8,
     256, 32, 128, 148.283},
    {"b200_sxm", "sglang-0.5.14", "bfloat16", "balanced", 4096, 2048, 8, 256, 1,
     64, 2028.199},
    {"l40s", "vllm-0.24.0", "fp8_block", "balanced", 7168, 2048, 8, 256, 1, 32,
     8323.462},
};

START_TEST(measured_rows_are_their_own_price)
{
    moe_silicon *s = tables();
    const moe_ffn_key key = {golden[_i].gpu,
                             golden[_i].stack,
                             NULL,
                             golden[_i].dtype,
                             golden[_i].distribution,
                             golden[_i].hidden,
                             golden[_i].inter,
                             golden[_i].top_k,
                             golden[_i].experts,
                             golden[_i].ep,
                             false};
    const moe_curve c = curve_of(s, &key);
    moe_price price = moe_curve_price(&c, golden[_i].tokens);
    ck_assert_int_eq(price.source, MOE_PRICE_TABULATED);
    ck_assert_double_lt(price.relative_error, 0.05);
    ck_assert_double_eq_tol(1e6 * price.time_s / golden[_i].time_us, 1, 1e-3);
    moe_silicon_close(s);
}
END_TEST

/* Call check() for the curve of every table. */
static void each_curve(void (*check)(const moe_curve *c))
{
    moe_silicon *s = tables();
    for (size_t i = 0; i < moe_silicon_n_ffn(s); i++) {
        moe_ffn_key key;
        if (!moe_silicon_ffn_key(s, i, &key))
            continue;
        const moe_curve c = curve_of(s, &key);
        ck_assert(c.measured);
        check(&c);
    }
    moe_silicon_close(s);
}

static double price_s(const moe_curve *c, double tokens)
{
    moe_price p = moe_curve_price(c, tokens);
    ck_assert(isfinite(p.time_s) && p.time_s > 0);
    ck_assert(isfinite(p.error_p90) && p.relative_error > 0);
    ck_assert_double_gt(p.error_p90, p.relative_error);
    return p.time_s;
}

static void check_continuous(const moe_curve *c)
{
    for (size_t i = 0; i < c->n; i++) {
        double at = price_s(c, c->tokens[i]);
        double below = price_s(c, c->tokens[i] * (1 - 1e-7));
        double above = price_s(c, c->tokens[i] * (1 + 1e-7));
        ck_assert_double_eq_tol(below / at, 1, 1e-5);
        ck_assert_double_eq_tol(above / at, 1, 1e-5);
    }
}

START_TEST(prices_are_continuous_at_measured_points_and_edges)
{
    each_curve(check_continuous);
}
END_TEST

/* Between two measured points the price stays between them, but for what the
 * model says of tiles and active experts. */
static void check_between(const moe_curve *c)
{
    for (size_t i = 0; i + 1 < c->n; i++) {
        double a = price_s(c, c->tokens[i]), b = price_s(c, c->tokens[i + 1]);
        for (int k = 1; k < 8; k++) {
            double t = c->tokens[i] + k * (c->tokens[i + 1] - c->tokens[i]) / 8;
            moe_price p = moe_curve_price(c, t);
            ck_assert_int_eq(p.source, c->slow[i] || c->slow[i + 1]
                                           ? MOE_PRICE_SLOW_KERNEL
                                           : MOE_PRICE_INTERPOLATED);
            ck_assert_double_ge(p.time_s, 0.8 * fmin(a, b));
            ck_assert_double_le(p.time_s, 1.25 * fmax(a, b));
        }
    }
}

START_TEST(interpolated_prices_lie_between_measured_ones)
{
    each_curve(check_between);
}
END_TEST

/* Rows that contradicted others, of three kernels: the machine took this
 * long, and what lies between them takes as long, too. */
static const struct {
    const char *stack, *dtype;
    int hidden, inter, top_k, experts, ep;
    double tokens, time_us;
} slow_rows[] = {
    {"trtllm-1.3.0rc20", "fp8", 5120, 8192, 1, 16, 1, 32, 3378},
    {"trtllm-1.3.0rc20", "bf16", 5120, 8192, 1, 16, 2, 64, 3734},
    {"vllm-0.24.0", "fp8", 4096, 14336, 2, 8, 1, 80, 2406},
};

START_TEST(slow_kernels_are_priced_and_named)
{
    moe_silicon *s = tables();
    moe_ffn_key key = mixtral("h100_sxm", slow_rows[_i].stack);
    key.dtype = slow_rows[_i].dtype;
    key.hidden = slow_rows[_i].hidden;
    key.inter = slow_rows[_i].inter;
    key.top_k = slow_rows[_i].top_k;
    key.experts = slow_rows[_i].experts;
    key.ep = slow_rows[_i].ep;
    const moe_curve c = curve_of(s, &key);
    const moe_price row = moe_curve_price(&c, slow_rows[_i].tokens);
    const moe_price next = moe_curve_price(&c, 1.05 * slow_rows[_i].tokens);
    ck_assert_double_eq_tol(1e6 * row.time_s / slow_rows[_i].time_us, 1, 2e-3);
    ck_assert_int_eq(row.source, MOE_PRICE_SLOW_KERNEL);
    ck_assert_int_eq(next.source, MOE_PRICE_SLOW_KERNEL);
    moe_silicon_close(s);
}
END_TEST

static void check_beyond(const moe_curve *c)
{
    const double end = c->tokens[c->n - 1];
    double last = price_s(c, end);
    double error = moe_curve_price(c, end).relative_error;
    for (int octave = 1; octave <= 6; octave++) {
        moe_price p = moe_curve_price(c, ldexp(end, octave));
        ck_assert_int_eq(p.source, c->slow[c->n - 1] ? MOE_PRICE_SLOW_KERNEL
                                                     : MOE_PRICE_EXTRAPOLATED);
        ck_assert_double_ge(p.time_s, last);
        ck_assert_double_gt(p.relative_error, error);
        last = p.time_s;
        error = p.relative_error;
    }
}

START_TEST(beyond_the_table_time_and_doubt_grow)
{
    each_curve(check_beyond);
}
END_TEST

/* gpt-oss-20b on an A100: measured shapes of that stack reach 74 to 113 TFLOP/s
 * at 8192 tokens, and so must one between them. */
START_TEST(shapes_never_measured_are_as_fast_as_others)
{
    moe_silicon *s = tables();
    moe_ffn_key key = mixtral("a100_sxm", "sglang-0.5.10");
    key.hidden = key.inter = 2880;
    key.top_k = 4;
    key.experts = 32;
    const moe_curve c = curve_of(s, &key);
    const double flop = 8192.0 * 4 * 3 * 2 * 2880 * 2880;
    const double rate = flop / price_s(&c, 8192);
    ck_assert_double_gt(rate, 70e12);
    ck_assert_double_lt(rate, 120e12);
    moe_silicon_close(s);
}
END_TEST

/* Rows far apart in memory, as balanced loads were measured, are slower than
 * rows side by side: skewed calls bound by how much, on all stacks. The largest
 * factor is DeepSeek-V3's on an A100. */
START_TEST(grouped_rows_take_no_longer_than_skewed_ones)
{
    moe_silicon *s = tables();
    double most = 1;
    for (size_t i = 0; i < moe_silicon_n_ffn(s); i++) {
        moe_ffn_key key, skewed;
        if (!moe_silicon_ffn_key(s, i, &key) ||
            strcmp(key.distribution, "balanced") != 0)
            continue;
        const moe_curve apart = curve_of(s, &key);
        skewed = key;
        skewed.distribution = "power_law_1.01";
        key.grouped = true;
        const moe_curve c = curve_of(s, &key);
        moe_curve k;
        if (moe_silicon_ffn(s, &skewed, NULL, &k, NULL) != MOE_OK)
            k.measured = false;
        for (size_t p = 0; p < c.n; p++) {
            const double rows = c.tokens[p] * key.top_k / key.experts;
            const double is_s = price_s(&c, c.tokens[p]);
            const double was_s = price_s(&apart, c.tokens[p]);
            double want_s = was_s;
            for (size_t q = 0; k.measured && q < k.n && rows >= 64; q++)
                if (!(fabs(k.tokens[q] - c.tokens[p]) > 0) && !k.slow[q])
                    want_s = fmin(was_s, price_s(&k, k.tokens[q]));
            ck_assert_double_eq_tol(is_s / want_s, 1, 1e-5);
            if (strcmp(key.gpu, "a100_sxm") == 0)
                most = fmax(most, was_s / is_s);
        }
    }
    ck_assert_double_eq_tol(most, 1.54, 0.01);
    moe_silicon_close(s);
}
END_TEST

START_TEST(shapes_never_measured_are_extrapolated)
{
    moe_silicon *s = tables();
    moe_rng rng = moe_rng_at(3, MOE_RNG_TEST, 0, 0, 0);
    for (int trial = 0; trial < 50; trial++) {
        moe_ffn_key key = mixtral("h100_sxm", "vllm-0.24.0");
        key.hidden = 512 + (int)moe_rng_below(&rng, 16000);
        key.inter = 256 + (int)moe_rng_below(&rng, 20000);
        key.experts = 4 + (int)moe_rng_below(&rng, 500);
        key.top_k = 1 + (int)moe_rng_below(&rng, 4);
        key.ep = 1 + (int)moe_rng_below(&rng, (uint64_t)key.experts);
        const moe_curve c = curve_of(s, &key);
        for (double t = 1; t < 1e6; t *= 3) {
            price_s(&c, t);
            ck_assert_int_eq(moe_curve_price(&c, t).source,
                             MOE_PRICE_EXTRAPOLATED);
        }
    }
    moe_silicon_close(s);
}
END_TEST

/* Of the kernels of wide expert parallelism one shape was measured. */
START_TEST(nothing_is_known_of_a_kernel_without_its_only_shape)
{
    moe_silicon *s = tables();
    const moe_ffn_key key = {.gpu = "h100_sxm",
                             .stack = "sglang-0.5.10-deepep-ll",
                             .dtype = "fp8_block",
                             .hidden = 7168,
                             .inter = 2048,
                             .top_k = 8,
                             .experts = 256,
                             .ep = 64};
    moe_curve c;
    ck_assert_int_eq(moe_silicon_ffn(s, &key, NULL, &c, NULL), MOE_OK);
    ck_assert(c.measured);
    ck_assert_int_ne(moe_silicon_ffn_unseen(s, &key, &c, NULL), MOE_OK);
    moe_silicon_close(s);
}
END_TEST

/* ---- what there is not ---- */

static const struct {
    const char *gpu, *stack, *dtype, *distribution, *says, *lists;
} unknown[] = {
    {"h300", "vllm-0.24.0", "fp8", "balanced", "gpu: no measured 'h300'",
     "a100_sxm"},
    {"l40s", "vllm-9", "fp8", "balanced", "stack: no measured 'vllm-9'",
     "vllm-0.24.0"},
    {"l40s", "trtllm-1.0.0", "fp8", "balanced", "stack: no measured",
     "sglang-0.5.14"},
    {"a100_sxm", "sglang-0.5.10", "fp8", "balanced", "dtype: no measured 'fp8'",
     "bfloat16"},
    {"a100_sxm", "sglang-0.5.10", "bf16", "zipf",
     "distribution: no measured 'zipf'", "power_law_1.2"},
};

START_TEST(unknown_names_are_answered_with_what_there_is)
{
    moe_silicon *s = tables();
    moe_error err = {0};
    moe_curve c;
    moe_ffn_key key = mixtral(unknown[_i].gpu, unknown[_i].stack);
    key.dtype = unknown[_i].dtype;
    key.distribution = unknown[_i].distribution;
    ck_assert_int_eq(moe_silicon_ffn(s, &key, NULL, &c, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, unknown[_i].says) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, unknown[_i].lists) != NULL, "%s", err.text);
    moe_silicon_close(s);
}
END_TEST

START_TEST(impossible_shapes_are_refused)
{
    moe_silicon *s = tables();
    moe_curve c;
    moe_ffn_key key = mixtral("l40s", "vllm-0.24.0");
    key.ep = 9;
    ck_assert_int_eq(moe_silicon_ffn(s, &key, NULL, &c, NULL), MOE_USAGE);
    key = mixtral("l40s", "vllm-0.24.0");
    key.top_k = 9;
    ck_assert_int_eq(moe_silicon_ffn(s, &key, NULL, &c, NULL), MOE_USAGE);
    key = mixtral("l40s", "vllm-0.24.0");
    key.hidden = 0;
    ck_assert_int_eq(moe_silicon_ffn(s, &key, NULL, &c, NULL), MOE_USAGE);
    moe_silicon_close(s);
}
END_TEST

/* ---- collectives, attention, GEMM ---- */

START_TEST(collectives_are_lines_between_measurements)
{
    moe_silicon *s = tables();
    moe_link link;
    ck_assert_int_eq(
        moe_silicon_link(s, "all_reduce", "a100_sxm", NULL, &link, NULL),
        MOE_OK);
    moe_price a = moe_link_price(&link, 4, 1 << 28);
    moe_price b = moe_link_price(&link, 4, 1 << 29);
    moe_price middle = moe_link_price(&link, 4, 1.5 * (1 << 28));
    ck_assert_double_eq_tol(1e6 * b.time_s, 3716, 1);
    ck_assert_int_eq(b.source, MOE_PRICE_TABULATED);
    ck_assert_int_eq(middle.source, MOE_PRICE_INTERPOLATED);
    ck_assert_double_eq_tol(2 * middle.time_s / (a.time_s + b.time_s), 1, 1e-9);
    moe_price three = moe_link_price(&link, 3, 1 << 29);
    ck_assert_double_lt(three.time_s, b.time_s);
    ck_assert_int_eq(three.source, MOE_PRICE_INTERPOLATED);
    moe_price beyond = moe_link_price(&link, 4, 1ll << 31);
    ck_assert_int_eq(beyond.source, MOE_PRICE_EXTRAPOLATED);
    ck_assert_double_eq_tol(beyond.time_s / b.time_s, 4, 0.3);
    ck_assert_int_eq(moe_link_price(&link, 16, 1 << 20).source,
                     MOE_PRICE_EXTRAPOLATED);
    moe_error err = {0};
    ck_assert_int_eq(
        moe_silicon_link(s, "all_reduce", "a100_sxm", "2.0", &link, &err),
        MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "2.27.3"));
    moe_silicon_close(s);
}
END_TEST

START_TEST(dense_kernels_are_their_own_price)
{
    moe_silicon *s = tables();
    moe_silicon_dense *gemm =
        moe_silicon_dense_new(s, "gemm", "a100_sxm", "sglang-0.5.10", NULL);
    moe_silicon_dense *attention =
        moe_silicon_dense_new(s, "attention", "a100_sxm", NULL, NULL);
    ck_assert_ptr_nonnull(gemm);
    ck_assert_ptr_nonnull(attention);
    moe_price p =
        moe_silicon_gemm(gemm, &(moe_gemm){2049, 4096, 7168, true}, NULL);
    ck_assert_int_eq(p.source, MOE_PRICE_TABULATED);
    ck_assert_double_eq_tol(1e6 * p.time_s, 533.565, 0.01);
    p = moe_silicon_gemm(gemm, &(moe_gemm){2049, 5000, 7168, true}, NULL);
    ck_assert_int_eq(p.source, MOE_PRICE_INTERPOLATED);
    p = moe_silicon_gemm(gemm, &(moe_gemm){128, 8, 4096, true}, NULL);
    ck_assert_int_eq(p.source, MOE_PRICE_EXTRAPOLATED);
    p = moe_silicon_attention(attention, &(moe_prefill){4, 16384, 64, 2, 128},
                              NULL);
    ck_assert_int_eq(p.source, MOE_PRICE_TABULATED);
    ck_assert_double_eq_tol(1e6 * p.time_s, 85644.07, 0.1);
    p = moe_silicon_attention(attention, &(moe_prefill){4, 700, 64, 2, 64},
                              NULL);
    ck_assert_int_eq(p.source, MOE_PRICE_EXTRAPOLATED);
    moe_error err = {0};
    ck_assert_ptr_null(
        moe_silicon_dense_new(s, "gemm", "h100_sxm", "trtllm-1", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "vllm-0.24.0"));
    moe_silicon_dense_free(gemm);
    moe_silicon_dense_free(attention);
    moe_silicon_close(s);
}
END_TEST

/* ---- the cost model ---- */

static pricing priced(const char *model, const char *cluster)
{
    pricing p;
    moe_error err = {0};
    pricing_read(&p, model, cluster);
    pricing_open(&p, "silicon", &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    return p;
}

static double ffn(const pricing *p, uint32_t a, uint32_t b)
{
    const uint32_t rows[] = {a, b};
    return p->cost->ffn(p->state, rows, 2).time_s;
}

/* Of a call of that many rows in all: those that are not of the two experts are
 * one each of others. */
static double ffn_of(const pricing *p, uint32_t *rows, size_t all, uint32_t a,
                     uint32_t b)
{
    const size_t others = all - a - b;
    rows[others] = a;
    rows[others + 1] = b;
    const double time_s = p->cost->ffn(p->state, rows, others + 2).time_s;
    rows[others] = rows[others + 1] = 1;
    return time_s;
}

/* A call as a whole slows down with its rows; with equally many, what an expert
 * adds does not depend on another. */
START_TEST(unequal_experts_add_up_beside_one_launch)
{
    enum { ALL = 200000 };
    static uint32_t rows[ALL + 2];
    pricing p = priced("mixtral-8x7b", "h100-nvlink");
    const uint32_t sizes[] = {7, 64, 300, 5000, 100000};
    for (size_t i = 0; i < MOE_ARRAY_LEN(rows); i++)
        rows[i] = 1;
    for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++)
        for (size_t k = 0; k < MOE_ARRAY_LEN(sizes); k++) {
            const double more = ffn_of(&p, rows, ALL, sizes[i], sizes[k]) -
                                ffn_of(&p, rows, ALL, 0, sizes[k]);
            const double same = ffn_of(&p, rows, ALL, sizes[i], 40) -
                                ffn_of(&p, rows, ALL, 0, 40);
            ck_assert_double_eq_tol(more / same, 1, 1e-6);
        }
    pricing_close(&p);
}
END_TEST

START_TEST(all_experts_alike_take_the_measured_time)
{
    pricing p = priced("mixtral-8x7b", "h100-nvlink");
    uint32_t rows[8];
    for (int i = 0; i < 8; i++)
        rows[i] = 1024; /* 4096 tokens */
    moe_price price = p.cost->ffn(p.state, rows, 8);
    ck_assert_double_eq_tol(1e6 * price.time_s / 5625.397, 1, 5e-3);
    ck_assert_double_lt(price.relative_error, 0.15);
    ck_assert_int_eq(price.source, MOE_PRICE_INTERPOLATED);
    pricing_close(&p);
}
END_TEST

START_TEST(faster_memory_helps_small_batches_only)
{
    pricing h100 = priced("mixtral-8x7b", "h100-nvlink");
    pricing h200 = priced("mixtral-8x7b", "h200-nvlink");
    double small = ffn(&h200, 8, 8) / ffn(&h100, 8, 8);
    double large = ffn(&h200, 8192, 8192) / ffn(&h100, 8192, 8192);
    ck_assert_double_lt(small, 0.8);
    ck_assert_double_gt(small, 3.35 / 4.8 - 1e-3);
    ck_assert_double_gt(large, 0.9);
    const uint32_t rows[] = {8};
    ck_assert_int_eq(h200.cost->ffn(h200.state, rows, 1).source,
                     MOE_PRICE_SCALED);
    const moe_exchange x = {8, 1, 1e6, 0};
    ck_assert_int_eq(h200.cost->alltoall(h200.state, &x).source,
                     MOE_PRICE_SCALED);
    pricing_close(&h100);
    pricing_close(&h200);
}
END_TEST

/* Rows as measured, and what the roofline makes of them elsewhere: all experts
 * are active, an expert of Mixtral has 3 x 4096 x 14336 weights. */
static const struct {
    double tokens, bits, bandwidth;
} targets[] = {
    {64, 16, 4.8 / 3.35}, {1024, 16, 4.8 / 3.35}, {16384, 16, 4.8 / 3.35},
    {64, 4.25, 1},        {1024, 4.25, 1},        {16384, 4.25, 1},
    {256, 8, 0.5},
};

START_TEST(part_of_a_time_that_is_traffic_changes)
{
    static const double sheet = 3.35e12, experts = 8, top_k = 2;
    const double tokens = targets[_i].tokens, bits = targets[_i].bits;
    const double weights = experts * 3 * 4096 * 14336;
    const double rows = 2 * tokens * top_k * (2 * 4096 + 3 * 14336);
    const moe_ffn_key key = mixtral("h100_sxm", "vllm-0.24.0");
    const moe_ffn_change change = {.weight_bytes = bits / 8,
                                   .sheet = sheet,
                                   .bandwidth = targets[_i].bandwidth};
    moe_curve was, is;
    moe_error err = {0};
    moe_silicon *s = moe_silicon_open(NULL, &err);
    moe_silicon_ffn(s, &key, NULL, &was, &err);
    moe_silicon_ffn(s, &key, &change, &is, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    const double before_s = moe_curve_price(&was, tokens).time_s;
    const double f = fmin(1, (2 * weights + rows) / (0.9 * sheet) / before_s);
    const double by = (weights * bits / 8 + rows) / (2 * weights + rows);
    ck_assert_double_eq_tol(moe_curve_price(&is, tokens).time_s / before_s,
                            1 - f + f * by / targets[_i].bandwidth, 1e-9);
    moe_silicon_close(s);
}
END_TEST

/* 256 tokens on all 32 experts: bytes take 54 % of what was measured, and 27 %
 * of them are left. */
START_TEST(narrow_weights_are_read_faster)
{
    uint32_t rows[32];
    double time_s[2];
    for (int i = 0; i < 32; i++)
        rows[i] = 256 * 4 / 32;
    for (int narrow = 0; narrow < 2; narrow++) {
        pricing p;
        moe_error err = {0};
        pricing_read(&p, "gpt-oss-20b", "a100-nvlink");
        p.model.weight_bits = narrow ? 4.25 : 16;
        pricing_open(&p, NULL, &err);
        ck_assert_msg(err.status == MOE_OK, "%s", err.text);
        time_s[narrow] = p.cost->ffn(p.state, rows, 32).time_s;
        pricing_close(&p);
    }
    ck_assert_double_eq_tol(time_s[1] / time_s[0], 1 - 0.54 + 0.54 * 0.27,
                            0.02);
}
END_TEST

START_TEST(stand_ins_are_never_silent)
{
    pricing p = priced("deepseek-v3", "a100-nvlink"); /* fp8 on bf16 tables */
    const uint32_t rows[] = {64, 64};
    const moe_price one = p.cost->ffn(p.state, rows, 1);
    const moe_price two = p.cost->ffn(p.state, rows, 2);
    const double expert_s = two.time_s - one.time_s; /* without the launch */
    ck_assert_int_eq(one.source, MOE_PRICE_SCALED);
    ck_assert_double_gt(one.relative_error * one.time_s, 0.5 * expert_s);
    ck_assert_double_gt(one.relative_error, 0.3);
    pricing_close(&p);
}
END_TEST

START_TEST(a_stack_that_is_not_measured_is_refused)
{
    pricing p;
    moe_error err = {0};
    pricing_read(&p, "mixtral-8x7b", "a100-nvlink");
    snprintf(p.cluster.stack, sizeof p.cluster.stack, "vllm-0.24.0");
    ck_assert_int_eq(pricing_open(&p, "silicon", &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, "sglang-0.5.10, trtllm-1.0.0") != NULL, "%s",
                  err.text);
    pricing_close(&p);
}
END_TEST

/* Rows of silicon/wide_ep_moe.csv with even loads: the tables that price these
 * stacks, and others of the same kernels. */
static const struct {
    const char *stack;
    uint32_t rows;
    size_t experts; /* of the rank */
    double us, within;
} ranks[] = {{"sglang-0.5.10-deepep-normal", 4096, 32, 11098.51, 0.02},
             {"sglang-0.5.10-deepep-normal", 1024, 32, 2902.71, 1e-3},
             {"sglang-0.5.10-deepep-normal", 4096, 16, 5482.19,
              0.05}, /* half of 4096 of 64 */
             {"sglang-0.5.10-deepep-normal", 1, 1, 400.85, 0.05},
             {"sglang-0.5.10-deepep-ll", 1024, 1, 92.49, 0.1},
             {"sglang-0.5.10-deepep-ll", 32, 1, 35.43, 0.05},
             {"sglang-0.5.10-deepep-ll", 128, 8, 161.84, 0.03},
             {"sglang-0.5.10-deepep-ll", 128, 4, 92.41, 1e-3},
             {"sglang-0.5.10-deepep-ll", 8, 32, 530.38, 0.03},
             {"sglang-0.5.10-deepep-ll", 512, 2, 94.37, 0.05}};

START_TEST(ranks_of_wide_groups_take_the_measured_time)
{
    pricing p;
    moe_error err = {0};
    uint32_t rows[32];
    pricing_read(&p, "deepseek-v3", "h100-nvlink");
    ck_assert_int_eq(moe_cluster_set_stack(&p.cluster, ranks[_i].stack, &err),
                     MOE_OK);
    ck_assert_msg(pricing_open(&p, NULL, &err) == MOE_OK, "%s", err.text);
    for (size_t i = 0; i < ranks[_i].experts; i++)
        rows[i] = ranks[_i].rows;
    const double us =
        1e6 * p.cost->ffn(p.state, rows, ranks[_i].experts).time_s;
    ck_assert_msg(fabs(us / ranks[_i].us - 1) < ranks[_i].within,
                  "%g us, not %g", us, ranks[_i].us);
    pricing_close(&p);
}
END_TEST

START_TEST(nodes_cost_what_their_links_do)
{
    pricing p = priced("mixtral-8x7b", "h100-nvlink");
    const moe_exchange one = {8, 1, 1e7, 0}, two = {16, 2, 1e7, 1e7};
    double near = p.cost->alltoall(p.state, &one).time_s;
    moe_price far = p.cost->alltoall(p.state, &two);
    ck_assert_double_gt(far.time_s, near);
    ck_assert_double_ge(far.time_s, 1e7 / (0.9 * 50e9));
    ck_assert_int_eq(far.source, MOE_PRICE_EXTRAPOLATED);
    ck_assert_double_gt(p.cost->allreduce(p.state, &two, 1e7).time_s,
                        p.cost->allreduce(p.state, &one, 1e7).time_s);
    ck_assert_double_gt(p.cost->tree(p.state, &two, 1e3).time_s,
                        p.cost->tree(p.state, &one, 1e3).time_s);
    pricing_close(&p);
}
END_TEST

START_TEST(other_links_scale_what_was_measured)
{
    pricing p = priced("mixtral-8x7b", "a100-nvlink");
    const moe_cluster *c = &p.cluster;
    const moe_exchange large = {4, 1, 3e8, 0}, small = {4, 1, 3e2, 0};
    const moe_price price = p.cost->alltoall(p.state, &large);
    const double least_s = p.cost->alltoall(p.state, &small).time_s;
    const uint32_t rows[] = {64};
    const double ffn_s = p.cost->ffn(p.state, rows, 1).time_s;
    p.cost->set_links(p.state, c->link_bandwidth / 4, c->network_bandwidth);
    moe_price slow = p.cost->alltoall(p.state, &large);
    ck_assert_double_eq_tol(slow.time_s, 4 * price.time_s - 3 * least_s,
                            1e-3 * slow.time_s);
    ck_assert_int_eq(slow.source, MOE_PRICE_SCALED);
    ck_assert_double_gt(slow.relative_error, price.relative_error);
    ck_assert_double_eq_tol(p.cost->alltoall(p.state, &small).time_s, least_s,
                            1e-3 * least_s);
    ck_assert_double_eq(p.cost->ffn(p.state, rows, 1).time_s, ffn_s);
    p.cost->set_links(p.state, c->link_bandwidth, c->network_bandwidth);
    ck_assert_double_eq(p.cost->alltoall(p.state, &large).time_s, price.time_s);
    pricing_close(&p);
}
END_TEST

/* ---- bad tables ---- */

static void copy_tables(const char *to, size_t limit)
{
    char from[512], buffer[65536];
    moe_error err = {0};
    moe_profile_find("silicon", "tables", ".h5", from, sizeof from, &err);
    ck_assert_int_eq(err.status, MOE_OK);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    ck_assert(in != NULL && out != NULL);
    size_t n;
    while (limit > 0 && (n = fread(buffer, 1, sizeof buffer, in)) > 0) {
        n = n < limit ? n : limit;
        ck_assert_uint_eq(fwrite(buffer, 1, n, out), n);
        limit -= n;
    }
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}

static void refused(const char *path, const char *says)
{
    moe_error err = {0};
    ck_assert_ptr_null(moe_silicon_open(path, &err));
    ck_assert_int_eq(moe_status_exit_code(err.status), 2);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
}

static const struct {
    const char *group, *dataset;
    hsize_t row;
    double value;
    const char *says;
} damages[] = {
    {"moe", "latency_us", 5, -3, "not above zero"},
    {"moe", "latency_us", 5, NAN, "not above zero"},
    {"moe", "latency_us", 5, 4e-4, "cannot be microseconds"},
    {"moe", "latency_us", 0, 9e6, "less work took"},
    {"moe", "x", 5, 1, "does not rise"},
    {"moe", "hidden", 7, 0, "hidden is 0"},
    {"moe", "gpu", 7, 250, "gpu is 250"},
    {"moe", "first", 1, 0, "has 0 rows"},
    {"moe", "first", 1, 65, "has 65 rows"},
    {"collectives", "first", 1, 65, "has 65 rows"},
    {"gemm", "first", 1, 129, "has 129 rows"},
    {"gemm", "latency_us", 3, -1, "gemm"},
    {"moe_fit", "parameters", 0, -1, "parameter 0 of fit 0"},
};

/* An H800 is an H100 with links of 200 instead of 450 GB/s. */
START_TEST(links_of_a_relative_are_scaled)
{
    pricing h100, h800;
    moe_error err = {0};
    moe_exchange x = {.gpus = 8, .nodes = 1, .node_bytes = 1e9};
    pricing_read(&h100, "mixtral-8x7b", "h100-nvlink");
    pricing_read(&h800, "mixtral-8x7b", "h800-nvlink");
    ck_assert_int_eq(pricing_open(&h100, NULL, &err), MOE_OK);
    ck_assert_int_eq(pricing_open(&h800, NULL, &err), MOE_OK);
    const double near_s = h100.cost->alltoall(h100.state, &x).time_s;
    const moe_price far = h800.cost->alltoall(h800.state, &x);
    ck_assert_double_eq_tol(far.time_s / near_s, 2.25, 0.05);
    ck_assert_int_eq(far.source, MOE_PRICE_SCALED);
    const uint32_t rows[] = {512, 512};
    ck_assert_double_eq(h800.cost->ffn(h800.state, rows, 2).time_s,
                        h100.cost->ffn(h100.state, rows, 2).time_s);
    pricing_close(&h100);
    pricing_close(&h800);
}
END_TEST

START_TEST(damaged_tables_are_refused)
{
    char path[300];
    moe_error err = {0};
    moe_h5_quiet();
    snprintf(path, sizeof path, "%s/t.h5", test_dir);
    copy_tables(path, SIZE_MAX);
    hid_t file = moe_h5_open(path, true, &err);
    hid_t group = moe_h5_open_group(file, damages[_i].group, &err);
    hid_t dataset = moe_h5_open_dataset(group, damages[_i].dataset, &err);
    const moe_h5_block one = {{damages[_i].row, 0}, {1, 1}};
    moe_h5_write_block(dataset, &one, H5T_NATIVE_DOUBLE, &damages[_i].value,
                       H5P_DEFAULT, &err);
    moe_h5_close(dataset);
    moe_h5_close(group);
    moe_h5_close_file(file, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    refused(path, damages[_i].says);
}
END_TEST

/* Make all of these columns what they are in row 0. */
static void level_columns(const char *path, const char *group,
                          const char *const *columns)
{
    moe_error err = {0};
    hid_t file = moe_h5_open(path, true, &err);
    hid_t at = moe_h5_open_group(file, group, &err);
    for (; *columns != NULL; columns++) {
        hsize_t n = 0;
        hid_t dataset = moe_h5_open_dataset(at, *columns, &err);
        moe_h5_dims(at, *columns, 1, &n, &err);
        int32_t *x = moe_h5_read(at, *columns, H5T_NATIVE_INT32, sizeof *x,
                                 (size_t)n, &err);
        for (hsize_t i = 0; x != NULL && i < n; i++)
            x[i] = x[0];
        moe_h5_write_block(dataset, &(moe_h5_block){.count = {n}},
                           H5T_NATIVE_INT32, x, H5P_DEFAULT, &err);
        free(x);
        moe_h5_close(dataset);
    }
    moe_h5_close(at);
    moe_h5_close_file(file, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
}

START_TEST(more_tables_than_can_be_told_apart_are_refused)
{
    static const char *const link[] = {"gpu", "nccl", "op", NULL};
    static const char *const gemm[] = {"gpu", "stack", "n", NULL};
    char path[300];
    moe_error err = {0};
    moe_link out;
    snprintf(path, sizeof path, "%s/t.h5", test_dir);
    copy_tables(path, SIZE_MAX);
    level_columns(path, "collectives", link);
    level_columns(path, "gemm", gemm);
    moe_silicon *s = moe_silicon_open(path, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    ck_assert_int_eq(
        moe_silicon_link(s, "all_gather", "a100_sxm", NULL, &out, &err),
        MOE_FORMAT);
    ck_assert_msg(strstr(err.text, "more than 4 GPU counts") != NULL, "%s",
                  err.text);
    err = (moe_error){0};
    ck_assert_ptr_null(
        moe_silicon_dense_new(s, "gemm", "a100_sxm", NULL, &err));
    ck_assert_msg(strstr(err.text, "sizes of another") != NULL, "%s", err.text);
    moe_silicon_close(s);
}
END_TEST

/* Nanoseconds in place of microseconds. */
START_TEST(other_units_are_refused)
{
    static const char *const groups[] = {"moe", "gemm", "attention",
                                         "collectives"};
    char path[300], words[64];
    moe_error err = {0};
    moe_h5_quiet();
    snprintf(path, sizeof path, "%s/t.h5", test_dir);
    copy_tables(path, SIZE_MAX);
    hid_t file = moe_h5_open(path, true, &err);
    hid_t group = moe_h5_open_group(file, groups[_i], &err);
    hid_t dataset = moe_h5_open_dataset(group, "latency_us", &err);
    hsize_t n = 0;
    moe_h5_dims(group, "latency_us", 1, &n, &err);
    float *us = moe_h5_read(group, "latency_us", H5T_NATIVE_FLOAT, sizeof *us,
                            (size_t)n, &err);
    for (hsize_t r = 0; us != NULL && r < n; r++)
        us[r] = fminf(us[r] * 1000, 9e7F);
    moe_h5_write_block(dataset, &(moe_h5_block){.count = {n}}, H5T_NATIVE_FLOAT,
                       us, H5P_DEFAULT, &err);
    free(us);
    moe_h5_close(dataset);
    moe_h5_close(group);
    moe_h5_close_file(file, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    snprintf(words, sizeof words, "%s: the fastest row", groups[_i]);
    refused(path, words);
}
END_TEST

START_TEST(incomplete_tables_are_refused)
{
    char path[300];
    moe_error err = {0};
    moe_h5_quiet();
    snprintf(path, sizeof path, "%s/t.h5", test_dir);
    copy_tables(path, 100000);
    refused(path, path);
    copy_tables(path, SIZE_MAX);
    hid_t file = moe_h5_open(path, true, &err);
    ck_assert_int_ge(H5Ldelete(file, "moe/experts", H5P_DEFAULT), 0);
    moe_h5_close_file(file, &err);
    refused(path, "experts");
    FILE *text = fopen(path, "w");
    fputs("gpu,stack\n", text);
    fclose(text);
    refused(path, "HDF5");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("silicon");
    MOE_TEST_LOOP(suite, measured_rows_are_their_own_price,
                  MOE_ARRAY_LEN(golden));
    MOE_TEST(suite, prices_are_continuous_at_measured_points_and_edges);
    MOE_TEST(suite, interpolated_prices_lie_between_measured_ones);
    MOE_TEST(suite, beyond_the_table_time_and_doubt_grow);
    MOE_TEST_LOOP(suite, slow_kernels_are_priced_and_named,
                  MOE_ARRAY_LEN(slow_rows));
    MOE_TEST(suite, shapes_never_measured_are_extrapolated);
    MOE_TEST(suite, nothing_is_known_of_a_kernel_without_its_only_shape);
    MOE_TEST(suite, grouped_rows_take_no_longer_than_skewed_ones);
    MOE_TEST(suite, shapes_never_measured_are_as_fast_as_others);
    MOE_TEST_LOOP(suite, unknown_names_are_answered_with_what_there_is,
                  MOE_ARRAY_LEN(unknown));
    MOE_TEST(suite, impossible_shapes_are_refused);
    MOE_TEST(suite, collectives_are_lines_between_measurements);
    MOE_TEST(suite, dense_kernels_are_their_own_price);
    MOE_TEST(suite, unequal_experts_add_up_beside_one_launch);
    MOE_TEST(suite, all_experts_alike_take_the_measured_time);
    MOE_TEST(suite, faster_memory_helps_small_batches_only);
    MOE_TEST_LOOP(suite, part_of_a_time_that_is_traffic_changes,
                  MOE_ARRAY_LEN(targets));
    MOE_TEST(suite, narrow_weights_are_read_faster);
    MOE_TEST(suite, stand_ins_are_never_silent);
    MOE_TEST(suite, a_stack_that_is_not_measured_is_refused);
    MOE_TEST_LOOP(suite, ranks_of_wide_groups_take_the_measured_time,
                  MOE_ARRAY_LEN(ranks));
    MOE_TEST(suite, nodes_cost_what_their_links_do);
    MOE_TEST(suite, other_links_scale_what_was_measured);
    MOE_TEST(suite, links_of_a_relative_are_scaled);
    MOE_TEST_LOOP(suite, damaged_tables_are_refused, MOE_ARRAY_LEN(damages));
    MOE_TEST_LOOP(suite, other_units_are_refused, 4);
    MOE_TEST(suite, more_tables_than_can_be_told_apart_are_refused);
    MOE_TEST(suite, incomplete_tables_are_refused);
    return suite;
}
