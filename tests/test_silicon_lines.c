/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/cluster/silicon_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/stats.h"

/* A row of each kind; sizes in the order of moe_line_names, the axis last. */
typedef struct {
    const char *kind, *texts[4];
    double size[MOE_LINE_SIZES];
    double time_us;
} row;

static const row measured[] = {
    {"ep_exchange",
     {"h100_sxm", "deepep-normal-sglang-0.5.6.post2", "dispatch"},
     {8, 64, 7168, 8, 256, 24, 4096},
     6680.0},
    {"ep_exchange",
     {"h100_sxm", "deepep-ll-sglang-0.5.6.post2", "combine"},
     {4, 32, 7168, 8, 256, 0, 128},
     263.27},
    {"ep_exchange",
     {"gb200", "trtllm-1.3.0rc10-nvlinktwosided-fp8", "dispatch"},
     {1, 64, 7168, 8, 256, 0, 32768},
     4035.74},
    {"decode_attention",
     {"h100_sxm", "vllm-0.24.0", "bfloat16"},
     {32, 8, 128, 32, 0, 8192},
     354.35},
    {"mla", {"h100_sxm", "sglang-0.5.14", "decode"}, {128, 64, 4096}, 223.52},
    {"wide_ep_moe",
     {"h100_sxm", "trtllm-1.3.0rc10-wideep", "fp8_block", "power_law_1.01"},
     {6144, 2048, 8, 256, 256, 2, 1, 2},
     166.89},
};

static moe_lines *lines_of(const row *r)
{
    moe_error err = {0};
    moe_silicon *s = moe_silicon_open(NULL, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    moe_lines *l = moe_lines_new(s, r->kind, r->texts, &err);
    moe_silicon_close(s);
    ck_assert_msg(l != NULL, "%s", err.text);
    return l;
}

static int sizes_of(const row *r)
{
    moe_line_names names;
    ck_assert(moe_line_names_of(r->kind, &names));
    return names.sizes;
}

static moe_price price_at(const moe_lines *l, const double *size)
{
    moe_error err = {0};
    moe_price p = {0};
    ck_assert_msg(moe_lines_price(l, size, &p, &err) == MOE_OK, "%s", err.text);
    ck_assert(isfinite(p.time_s) && p.time_s > 0);
    ck_assert(isfinite(p.relative_error) && p.relative_error > 0);
    return p;
}

START_TEST(measured_rows_are_their_own_price)
{
    moe_lines *l = lines_of(&measured[_i]);
    const moe_price p = price_at(l, measured[_i].size);
    ck_assert_int_eq(p.source, MOE_PRICE_TABULATED);
    ck_assert_double_eq_tol(1e6 * p.time_s / measured[_i].time_us, 1, 1e-6);
    moe_lines_free(l);
}
END_TEST

/* A little less of any size: never tabulated, hardly another time. Wide EP is
 * not here: each of its rows has a draw of loads of its own. */
START_TEST(prices_move_little_with_each_size)
{
    moe_lines *l = lines_of(&measured[_i]);
    for (int i = 0; i < sizes_of(&measured[_i]); i++) {
        double size[MOE_LINE_SIZES];
        memcpy(size, measured[_i].size, sizeof size);
        size[i] *= 1 - 1e-3;
        if (!(size[i] > 1))
            continue;
        const moe_price p = price_at(l, size);
        ck_assert_int_ne(p.source, MOE_PRICE_TABULATED);
        ck_assert_double_eq_tol(1e6 * p.time_s / measured[_i].time_us, 1, 0.1);
    }
    moe_lines_free(l);
}
END_TEST

/* What each kind promises of rows that it is not given. */
static const double row_median[] = {0.05, 0.05, 0.05, 0.03, 0.03, 0.06};

START_TEST(rows_left_out_are_met)
{
    moe_lines *l = lines_of(&measured[_i]);
    double *e = calloc(moe_lines_rows(l), sizeof *e);
    const size_t n = moe_lines_leave_out(l, MOE_LEFT_ROW, 0, e);
    ck_assert_uint_gt(n, 10);
    ck_assert_double_lt(moe_median_sorting(e, n), row_median[_i]);
    free(e);
    moe_lines_free(l);
}
END_TEST

START_TEST(beyond_what_was_measured_time_and_doubt_grow)
{
    moe_lines *l = lines_of(&measured[0]);
    double size[MOE_LINE_SIZES];
    memcpy(size, measured[0].size, sizeof size);
    moe_price last = price_at(l, size);
    for (int doublings = 1; doublings <= 5; doublings++) {
        size[6] = 32768 * exp2(doublings);
        const moe_price p = price_at(l, size);
        ck_assert_int_eq(p.source, MOE_PRICE_EXTRAPOLATED);
        ck_assert_double_gt(p.time_s, 1.5 * last.time_s);
        ck_assert_double_gt(p.relative_error, last.relative_error);
        last = p;
    }
    moe_lines_free(l);
}
END_TEST

START_TEST(more_nodes_than_measured_are_extrapolated)
{
    moe_lines *l = lines_of(&measured[0]);
    double size[] = {16, 128, 7168, 8, 256, 24, 4096};
    const moe_price p = price_at(l, size);
    ck_assert_int_eq(p.source, MOE_PRICE_EXTRAPOLATED);
    ck_assert_double_gt(p.relative_error, 0.3);
    size[0] = 4;
    size[1] = 32;
    size[2] = 5120;
    ck_assert_int_ne(price_at(l, size).source, MOE_PRICE_TABULATED);
    moe_lines_free(l);
}
END_TEST

static const struct {
    row r;
    const char *words;
} impossible[] = {
    {{"ep_exchange",
      {"h100_sxm", "deepep-ll-sglang-0.5.6.post2", "dispatch"},
      {2, 16, 7168, 8, 256, 0, 257},
      0},
     "tokens_per_gpu: 257, but low-latency kernels take at most 256 across "
     "nodes (deepep-normal takes more)"},
    {{"ep_exchange",
      {"h100_sxm", "deepep-ll-sglang-0.5.12", "dispatch"},
      {1, 8, 7168, 8, 256, 0, 1025},
      0},
     "at most 1024 inside a node"},
    {{"ep_exchange",
      {"h100_sxm", "deepep-normal-sglang-0.5.12", "dispatch"},
      {1, 8, 7168, 8, 256, 0, 8},
      0},
     "sms: deepep-normal runs on some SMs, 0 given"},
    {{"ep_exchange",
      {"gb200", "trtllm-1.3.0rc10-nvlinktwosided-fp8", "combine"},
      {1, 8, 7168, 8, 256, 16, 8},
      0},
     "sms: no parameter of this kernel (allowed: 0)"},
    {{"ep_exchange",
      {"h100_sxm", "deepep-normal-sglang-0.5.12", "dispatch"},
      {1, 8, 7168, 9, 8, 20, 8},
      0},
     "top_k: 9 of 8 experts"},
    {{"decode_attention",
      {"l40s", "sglang-0.5.14", NULL},
      {8, 16, 128, 1, 0, 8},
      0},
     "kv_heads: 16 is more than heads, 8"},
    {{"wide_ep_moe",
      {"h100_sxm", "trtllm-1.3.0rc10-wideep", "fp8_block", "power_law_1.2"},
      {7168, 2048, 8, 256, 288, 8, 0, 8},
      0},
     "eplb: 0 with 288 slots for 256 experts"},
};

START_TEST(sizes_that_a_kernel_does_not_take_are_refused)
{
    moe_error err = {0};
    moe_price p = {0};
    moe_lines *l = lines_of(&impossible[_i].r);
    ck_assert_int_eq(moe_lines_price(l, impossible[_i].r.size, &p, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, impossible[_i].words) != NULL, "%s",
                  err.text);
    moe_lines_free(l);
}
END_TEST

/* In a window of 128 tokens, 65,536 cached ones cost what 4096 do. */
START_TEST(a_window_bounds_what_is_read)
{
    const row r = {"decode_attention",
                   {"h100_sxm", "vllm-0.24.0", "bfloat16"},
                   {64, 8, 64, 64, 128, 4096},
                   0};
    moe_lines *l = lines_of(&r);
    double size[MOE_LINE_SIZES];
    memcpy(size, r.size, sizeof size);
    const double near_s = price_at(l, size).time_s;
    size[5] = 1 << 20;
    ck_assert_double_eq_tol(price_at(l, size).time_s / near_s, 1, 0.1);
    size[4] = 0;
    ck_assert_double_gt(price_at(l, size).time_s, 50 * near_s);
    moe_lines_free(l);
}
END_TEST

/* 8 of 256 experts on 8 GPUs: 1 - C(224, 8) / C(256, 8) of each. */
START_TEST(tokens_reach_fewer_gpus_than_experts)
{
    ck_assert_double_eq_tol(moe_exchange_destinations(8, 256, 8), 5.29465,
                            1e-3);
    ck_assert_double_eq_tol(moe_exchange_destinations(1, 256, 8), 1, 1e-12);
    ck_assert_double_eq_tol(moe_exchange_destinations(4, 8, 8), 4, 1e-12);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("silicon_lines");
    const int n = MOE_ARRAY_LEN(measured);
    MOE_TEST_LOOP(suite, measured_rows_are_their_own_price, n);
    MOE_TEST_LOOP(suite, prices_move_little_with_each_size, n - 1);
    MOE_TEST_LOOP(suite, rows_left_out_are_met, n);
    MOE_TEST(suite, beyond_what_was_measured_time_and_doubt_grow);
    MOE_TEST(suite, more_nodes_than_measured_are_extrapolated);
    MOE_TEST_LOOP(suite, sizes_that_a_kernel_does_not_take_are_refused,
                  MOE_ARRAY_LEN(impossible));
    MOE_TEST(suite, a_window_bounds_what_is_read);
    MOE_TEST(suite, tokens_reach_fewer_gpus_than_experts);
    return suite;
}
