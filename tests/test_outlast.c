/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/outlast.h"

#include "harness.h"

enum { STEPS = 4, LAYERS = 2, EXPERTS = 4, GPUS = 2, SLOTS = 2 };

/* Layer 0 turns from expert 0 to expert 3 and back; layer 1 stays. */
static const double load[STEPS][LAYERS][EXPERTS] = {
    {{6, 2, 2, 0}, {1, 1, 1, 1}},
    {{0, 2, 2, 6}, {2, 2, 2, 2}},
    {{6, 2, 2, 0}, {1, 1, 1, 1}},
    {{0, 2, 2, 6}, {3, 3, 3, 3}}};

START_TEST(lags_are_fewer_than_steps)
{
    ck_assert_int_eq(moe_outlast_lags(1), 0);
    ck_assert_int_eq(moe_outlast_lags(4), 3);
    ck_assert_int_eq(moe_outlast_lags(1000), MOE_OUTLAST_LAGS);
}
END_TEST

/* 6 of 10 pairs change in one of two layers, every other step. */
START_TEST(drift_is_the_distance_of_shares)
{
    double drift[MOE_OUTLAST_LAGS];
    moe_outlast_drift(&load[0][0][0], STEPS, LAYERS, EXPERTS, drift);
    ck_assert_double_eq_tol(drift[0], 0.3, 1e-12);
    ck_assert_double_eq_tol(drift[1], 0, 1e-12);
    ck_assert_double_eq_tol(drift[2], 0.3, 1e-12);
}
END_TEST

/* The home placement has 8 and 2 pairs, or 2 and 8, of layer 0, at any age. */
START_TEST(a_plan_is_scored_on_later_steps)
{
    const moe_layout layout = {GPUS, GPUS};
    const moe_planner_env env = {
        .layout = layout, .experts = EXPERTS, .slots = SLOTS};
    double good[MOE_OUTLAST_LAGS];
    moe_plan home;
    moe_error err = {0};
    ck_assert_int_eq(moe_plan_init(&home, LAYERS, EXPERTS, GPUS, SLOTS, &err),
                     MOE_OK);
    moe_plan_set_home(&home, &layout);
    const moe_planner *planner = moe_planner_find("static");
    char params[256] = {0};
    moe_opt_defaults(planner->opts, params);
    const moe_study_params how = {.planner = planner,
                                  .params = params,
                                  .env = &env,
                                  .previous = &home,
                                  .load = &load[0][0][0],
                                  .steps = STEPS,
                                  .layers = LAYERS};
    ck_assert_int_eq(moe_outlast_plans(&how, good, &err), MOE_OK);
    for (int lag = 0; lag < moe_outlast_lags(STEPS); lag++)
        ck_assert_double_eq_tol(good[lag], (5. / 8 + 1) / 2, 1e-12);
    moe_plan_fini(&home);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("outlast");
    MOE_TEST(suite, lags_are_fewer_than_steps);
    MOE_TEST(suite, drift_is_the_distance_of_shares);
    MOE_TEST(suite, a_plan_is_scored_on_later_steps);
    return suite;
}
