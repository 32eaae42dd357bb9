/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/regret.h"

#include <math.h>
#include <stdlib.h>

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

enum { MAX_E = 64 };

static const struct {
    int gpus, experts, slots; /* per GPU */
    double load[4], bound;
} bounds[] = {
    {2, 4, 4, {4, 3, 2, 1}, 5}, /* the mean */
    {2, 4, 2, {9, 1, 1, 1}, 9}, /* no replica */
    {2, 3, 2, {9, 2, 1}, 6},    /* one replica: 9 / 2 is below the mean */
    {4, 4, 1, {5, 4, 2, 1}, 5}, /* no replica */
    {3, 2, 1, {9, 6}, 5},       /* one replica: 9 / 2, 15 / 3 */
    {3, 2, 1, {12, 2}, 6},      /* 12 / 2 */
    {4, 3, 1, {6, 6, 0}, 4},    /* 6 / 2, 12 / 3 */
    {2, 2, 2, {0, 0}, 0},
};

START_TEST(bounds_worked_out_by_hand)
{
    const moe_planner_env env = {.layout = {bounds[_i].gpus, 8},
                                 .experts = bounds[_i].experts,
                                 .slots = bounds[_i].slots};
    moe_regret *r;
    r = moe_regret_new(&env, NULL);
    ck_assert_ptr_nonnull(r);
    ck_assert_double_eq_tol(moe_regret_bound(r, bounds[_i].load),
                            bounds[_i].bound, 1e-12);
    moe_regret_free(r);
}
END_TEST

START_TEST(divisions_worked_out_by_hand)
{
    /* Expert 0 on both GPUs, a quarter of it on GPU 1; expert 1 on GPU 1. */
    int16_t expert[4] = {0, -1, 0, 1};
    uint32_t quota[4] = {3u << 28, 0, 1u << 28, 1u << 30};
    const moe_plan_layer layer = {2, 2, 2, expert, quota};
    const double load[2] = {12, 2};
    const moe_planner_env env = {.layout = {2, 2}, .experts = 2, .slots = 2};
    moe_regret *r;
    r = moe_regret_new(&env, NULL);
    ck_assert_ptr_nonnull(r);
    static const double right[] = {9, 8, 7};
    for (int by = 0; by < MOE_N_DIVISIONS; by++)
        ck_assert_double_eq_tol(
            moe_regret_busiest(r, &layer, load, (moe_division)by), right[by],
            1e-9);
    ck_assert_double_eq_tol(moe_regret_best(r, load), 7, 1e-9);
    moe_regret_free(r);
}
END_TEST

START_TEST(the_chain_of_regrets_holds_for_any_plan)
{
    for (uint64_t round = 0; round < 200; round++) {
        moe_rng rng = moe_rng_at(7, MOE_RNG_TEST, 0, 0, round);
        moe_planner_env env = {.layout = {1 + random_below(&rng, 12), 4},
                               .experts = 1 + random_below(&rng, MAX_E)};
        env.slots = moe_layout_home_slots(&env.layout, env.experts) +
                    random_below(&rng, 4);
        double load[MAX_E], tiny = 0;
        for (int e = 0; e < env.experts; e++)
            tiny += load[e] = floor(50 * exp(1.5 * moe_rng_normal(&rng)));
        tiny = 1e-9 * (tiny + 1);
        moe_regret *r;
        moe_plan plan;
        r = moe_regret_new(&env, NULL);
        moe_plan_init(&plan, 1, env.experts, env.layout.gpus, env.slots, NULL);
        moe_plan_layer layer = moe_plan_at(&plan, 0);
        random_layer(&rng, &env.layout, round % 2 == 0, &layer);
        double busiest[MOE_N_DIVISIONS];
        for (int by = 0; by < MOE_N_DIVISIONS; by++)
            busiest[by] = moe_regret_busiest(r, &layer, load, (moe_division)by);
        const double best = moe_regret_best(r, load);
        ck_assert_double_le(moe_regret_bound(r, load), best + tiny);
        ck_assert_double_le(best, busiest[MOE_DIVISION_MINMAX] + tiny);
        ck_assert_double_le(busiest[MOE_DIVISION_MINMAX],
                            busiest[MOE_DIVISION_QUOTA] + tiny);
        ck_assert_double_le(busiest[MOE_DIVISION_MINMAX],
                            busiest[MOE_DIVISION_EQUAL] + tiny);
        moe_plan_fini(&plan);
        moe_regret_free(r);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("regret");
    MOE_TEST_LOOP(suite, bounds_worked_out_by_hand, MOE_ARRAY_LEN(bounds));
    MOE_TEST(suite, divisions_worked_out_by_hand);
    MOE_TEST(suite, the_chain_of_regrets_holds_for_any_plan);
    return suite;
}
