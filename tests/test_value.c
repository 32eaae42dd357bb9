/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "pricing.h"

enum { EXPERTS = 4, GPUS = 2, SLOTS = 3 };

static const moe_planner_env plain = {
    .layout = {GPUS, GPUS}, .experts = EXPERTS, .slots = SLOTS};
static const double load[EXPERTS] = {40, 10, 10, 20};

/* Expert 0 on both GPUs, a quarter of it on the second. */
static int16_t placed[] = {0, 1, -1, 2, 3, 0};
static uint32_t quota[] = {
    UINT32_C(3) << 28, UINT32_C(1) << 30, 0,
    UINT32_C(1) << 30, UINT32_C(1) << 30, UINT32_C(1) << 28};
static const moe_plan_layer layer = {EXPERTS, GPUS, SLOTS, placed, quota};

/* By hand: 30 + 10 and 30 + 10; 20 + 10 and 30 + 20; 40 and 40. */
static const struct {
    moe_division by;
    double imbalance;
} divided[] = {{MOE_DIVISION_QUOTA, 1},
               {MOE_DIVISION_EQUAL, 1.25},
               {MOE_DIVISION_MINMAX, 1}};

START_TEST(loads_are_divided_as_the_split_does)
{
    moe_value *v = moe_value_new(&plain, NULL);
    ck_assert_double_eq_tol(
        moe_value_imbalance(v, &layer, load, divided[_i].by),
        divided[_i].imbalance, 1e-9);
    ck_assert(isnan(moe_value_layer_s(v, &layer, load, divided[_i].by)));
    moe_value_free(v);
}
END_TEST

START_TEST(the_slowest_gpu_has_its_experts_and_its_exchange)
{
    pricing p;
    pricing_read(&p, "mixtral-8x7b", "a100-nvlink");
    ck_assert_int_eq(pricing_open(&p, NULL, NULL), MOE_OK);
    const moe_pricer pricer = pricing_on(&p, GPUS, GPUS);
    moe_planner_env env = plain;
    env.pricer = &pricer;
    moe_value *v = moe_value_new(&env, NULL);
    const uint32_t rows[] = {10, 20, 20}; /* of GPU 1, shared equally */
    const double expected = p.cost->ffn(p.state, rows, 3).time_s +
                            moe_value_exchange_s(&pricer, 50);
    ck_assert_double_eq_tol(
        moe_value_layer_s(v, &layer, load, MOE_DIVISION_EQUAL), expected,
        1e-12);
    moe_value_free(v);
    pricing_close(&p);
}
END_TEST

static void make_plan(moe_plan *plan, const int16_t *expert)
{
    ck_assert_int_eq(moe_plan_init(plan, 1, EXPERTS, 4, 2, NULL), MOE_OK);
    memcpy(plan->expert, expert, 8 * sizeof *expert);
}

/* Nodes of two GPUs: weights come from the own node, from who has sent least;
 * what no GPU has comes from nowhere. */
START_TEST(weights_come_from_the_own_node_first)
{
    const int16_t before[] = {0, 1, 0, 2, 1, -1, 2, -1};
    const int16_t after[] = {0, 2, 1, 0, 1, 0, 3, 2};
    const moe_layout layout = {4, 2};
    static const moe_arrival expected[] = {
        {0, 2, 0, 1}, {0, 1, 1, 0}, {0, 0, 2, 0}, {0, 3, 3, -1}};
    moe_plan from, to;
    size_t n = 0;
    make_plan(&from, before);
    make_plan(&to, after);
    moe_arrival *moves = moe_value_moves(&from, &to, &layout, &n, NULL);
    ck_assert_uint_eq(n, MOE_ARRAY_LEN(expected));
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(moves[i].expert, expected[i].expert);
        ck_assert_int_eq(moves[i].gpu, expected[i].gpu);
        ck_assert_int_eq(moves[i].from, expected[i].from);
    }
    pricing p;
    pricing_read(&p, "mixtral-8x7b", "a100-nvlink");
    ck_assert_int_eq(pricing_open(&p, NULL, NULL), MOE_OK);
    const moe_pricer pricer = pricing_on(&p, 4, 2);
    moe_exchange x = moe_pricer_everyone(&pricer);
    x.node_bytes = x.network_bytes = moe_model_expert_bytes(&p.model);
    ck_assert_double_eq_tol(moe_value_moves_s(&pricer, moves, n).time_s,
                            p.cost->transfer(p.state, &x).time_s,
                            1e-12); /* of GPU 0 */
    pricing_close(&p);
    free(moves);
    moe_plan_fini(&from);
    moe_plan_fini(&to);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("value");
    MOE_TEST_LOOP(suite, loads_are_divided_as_the_split_does,
                  MOE_ARRAY_LEN(divided));
    MOE_TEST(suite, the_slowest_gpu_has_its_experts_and_its_exchange);
    MOE_TEST(suite, weights_come_from_the_own_node_first);
    return suite;
}
