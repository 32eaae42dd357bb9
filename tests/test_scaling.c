/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/scaling.h"

#include <string.h>

#include "harness.h"
#include "made_view.h"

enum { RUNS = 4, N = 12 };

/* In no order. Twice the GPUs take 0.625 of the time for as many tokens, and
 * four times the GPUs 0.5 of it for twice the tokens. */
static void make_runs(moe_view *v)
{
    static const int gpus[RUNS] = {16, 4, 8, 4};
    static const double time_s[RUNS] = {0.5, 1, 0.625, 1};
    for (int r = 0; r < RUNS; r++) {
        v[r] = made_view(2, N, (const double[]){time_s[r], 3 * time_s[r]});
        v[r].dims.gpus = gpus[r];
        v[r].nodes = gpus[r] / 4;
        v[r].tokens = r == 0 ? 200 : 100;
    }
}

static void free_runs(moe_view *v)
{
    for (int r = 0; r < RUNS; r++)
        moe_view_free(&v[r]);
}

START_TEST(efficiency_is_tokens_per_second_and_gpu)
{
    static const int gpus[] = {4, 8, 16}, runs[] = {2, 1, 1};
    static const double efficiency[] = {1, 0.8, 1};
    moe_view v[RUNS];
    moe_scaling all;
    make_runs(v);
    ck_assert_int_eq(moe_scaling_init(&all, v, RUNS, NULL), MOE_OK);
    ck_assert_int_eq(all.strategies, 2);
    ck_assert_int_eq(all.clock, MOE_CLOCK_WALL);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        for (int s = 0; s < 2; s++) {
            const moe_scaling_curve *curve = &all.curve[c][s];
            ck_assert_uint_eq(curve->n_points, 3);
            for (size_t i = 0; i < 3; i++) {
                const moe_scaling_point *p = &curve->point[i];
                ck_assert_int_eq(p->gpus, gpus[i]);
                ck_assert_int_eq(p->nodes, gpus[i] / 4);
                ck_assert_int_eq(p->runs, runs[i]);
                ck_assert_uint_eq(p->n, (size_t)runs[i] * N);
                ck_assert_double_eq_tol(p->efficiency.ratio, efficiency[i],
                                        1e-12);
            }
            ck_assert_double_nan(curve->point[0].efficiency.ci_low);
            ck_assert_double_le(curve->point[1].efficiency.ci_low, 0.8);
        }
    moe_scaling_fini(&all);
    free_runs(v);
}
END_TEST

START_TEST(runs_that_lack_a_strategy_are_left_out)
{
    moe_view v[RUNS];
    moe_scaling all;
    make_runs(v);
    strcpy(v[2].strategy[1].name, "other");
    v[3].oversubscribed = true;
    ck_assert_int_eq(moe_scaling_init(&all, v, RUNS, NULL), MOE_OK);
    ck_assert_int_eq(all.clock, MOE_CLOCK_GPU);
    ck_assert_uint_eq(all.curve[MOE_CLOCK_GPU][0].n_points, 3);
    ck_assert_uint_eq(all.curve[MOE_CLOCK_GPU][1].n_points, 2);
    ck_assert_int_eq(all.curve[MOE_CLOCK_GPU][1].point[1].gpus, 16);
    moe_scaling_fini(&all);
    free_runs(v);
}
END_TEST

/* 0: one run; 1: one number of GPUs; 2: two models. */
START_TEST(there_may_be_nothing_to_compare)
{
    moe_view v[RUNS];
    moe_scaling all;
    make_runs(v);
    for (int r = 0; r < RUNS && _i == 1; r++)
        v[r].dims.gpus = 4;
    if (_i == 2)
        strcpy(v[3].model, "other");
    ck_assert_int_eq(moe_scaling_init(&all, v, _i == 0 ? 1 : RUNS, NULL),
                     MOE_OK);
    ck_assert_int_eq(all.strategies, 0);
    moe_scaling_fini(&all);
    free_runs(v);
}
END_TEST

/* Runs of one number of GPUs agree, have no verdict, or differ. */
START_TEST(winners_are_by_number_of_gpus)
{
    static const moe_verdict verdicts[RUNS] = {
        {.best = 1},
        {.best = 0},
        {.best = 0, .doubt = MOE_DOUBT_OVERLAP},
        {.best = 0, .doubt = MOE_DOUBT_FEW},
    };
    moe_view v[RUNS];
    moe_scaling all;
    make_runs(v);
    ck_assert_int_eq(moe_scaling_init(&all, v, RUNS, NULL), MOE_OK);
    for (int r = 0; r < RUNS; r++)
        ck_assert_int_eq(moe_scaling_judge(&all, &v[r], &verdicts[r], NULL),
                         MOE_OK);
    ck_assert_uint_eq(all.n_winners, 3);
    ck_assert_int_eq(all.winner[0].gpus, 4);
    ck_assert_ptr_eq(all.winner[0].best, v[1].strategy[0].name);
    ck_assert_int_eq(all.winner[1].gpus, 8);
    ck_assert_ptr_null(all.winner[1].best);
    ck_assert_int_eq(all.winner[1].doubt, MOE_DOUBT_OVERLAP);
    ck_assert_int_eq(all.winner[2].gpus, 16);
    ck_assert_int_eq(all.winner[2].nodes, 4);
    ck_assert_ptr_eq(all.winner[2].best, v[0].strategy[1].name);

    const moe_verdict other = {.best = 1};
    ck_assert_int_eq(moe_scaling_judge(&all, &v[3], &other, NULL), MOE_OK);
    ck_assert_ptr_null(all.winner[0].best);
    ck_assert(all.winner[0].differ);
    ck_assert_int_eq(moe_scaling_judge(&all, &v[3], &other, NULL), MOE_OK);
    ck_assert_ptr_null(all.winner[0].best);
    moe_scaling_fini(&all);
    free_runs(v);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("scaling");
    MOE_TEST(suite, winners_are_by_number_of_gpus);
    MOE_TEST(suite, efficiency_is_tokens_per_second_and_gpu);
    MOE_TEST(suite, runs_that_lack_a_strategy_are_left_out);
    MOE_TEST_LOOP(suite, there_may_be_nothing_to_compare, 3);
    return suite;
}
