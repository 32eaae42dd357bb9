/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/analysis.h"

#include <string.h>

#include "harness.h"
#include "made_view.h"
#include "moegps/h5.h"

enum { RUNS = MOE_ANALYSIS_SENSITIVITIES + 1, N = 12 };

/* s1 is fastest: it takes 0.2 s less in ffn and 0.1 s more in migrate. */
static void make_runs(moe_view *v)
{
    for (int r = 0; r < RUNS; r++) {
        v[r] = made_view(3, N, (const double[]){1, 0.8, 1.2});
        v[r].dims.gpus = 4 + r;
        v[r].oversubscribed = true; /* so that the gpu clock counts */
        for (int s = 0; s < 3; s++)
            for (int c = 0; c < MOE_N_CLOCKS; c++)
                for (int p = 0; p < MOE_N_PHASES; p++)
                    v[r].strategy[s].phase[c][p] = 0.1;
        v[r].strategy[1].phase[MOE_CLOCK_GPU][MOE_PHASE_FFN] = -0.1;
        v[r].strategy[1].phase[MOE_CLOCK_GPU][MOE_PHASE_MIGRATE] = 0.2;
    }
}

static void free_runs(moe_view *v)
{
    for (int r = 0; r < RUNS; r++)
        moe_view_free(&v[r]);
}

START_TEST(every_run_is_judged_on_the_clock_that_counts)
{
    moe_view v[RUNS];
    moe_analysis a = {0};
    make_runs(v);
    ck_assert_int_eq(moe_analysis_init(&a, v, RUNS, 0, NULL), MOE_OK);
    ck_assert_uint_eq(a.n, RUNS);
    for (int r = 0; r < RUNS; r++) {
        const moe_run_analysis *run = &a.run[r];
        ck_assert_ptr_eq(run->view, &v[r]);
        ck_assert_int_eq(run->verdict.clock, MOE_CLOCK_GPU);
        ck_assert_int_eq(run->verdict.best, 1);
        ck_assert_int_eq(run->verdict.second, 0);
        ck_assert_int_eq(run->gap[1][0].phase, MOE_PHASE_FFN);
        ck_assert_double_eq_tol(run->gap[1][0].gap_s, -0.2, 1e-12);
        ck_assert_int_eq(run->gap[1][1].phase, MOE_PHASE_MIGRATE);
        ck_assert_double_eq_tol(run->gap[1][1].gap_s, 0.1, 1e-12);
        ck_assert_int_eq(run->gap[0][0].phase, -1);
        ck_assert(!run->sensitivity.analysed);
        ck_assert(!run->detailed);
        ck_assert(!run->regime.known);
    }
    moe_analysis_fini(&a);
    ck_assert_ptr_null(a.run);
    free_runs(v);
}
END_TEST

/* What needs the runs' files is left out where they are gone, and says why;
 * sensitivity only of as many runs as are quick. */
static const struct {
    size_t runs;
    bool analysed;
} wanted[] = {{1, true}, {RUNS - 1, true}, {RUNS, false}};

/* One run has cores enough, and another winner on the wall clock. */
START_TEST(runs_are_judged_together_by_one_clock)
{
    moe_view v[RUNS];
    moe_analysis a = {0};
    make_runs(v);
    moe_strategy_view *slow = &v[0].strategy[2];
    v[0].oversubscribed = false;
    for (int i = 0; i < N; i++)
        slow->layer_time[MOE_CLOCK_WALL][i] *= 0.5;
    ck_assert_int_eq(moe_summarise(slow->layer_time[MOE_CLOCK_WALL], N, 1,
                                   &slow->summary[MOE_CLOCK_WALL], NULL),
                     MOE_OK);
    ck_assert_int_eq(moe_analysis_init(&a, v, RUNS, 0, NULL), MOE_OK);
    ck_assert_int_eq(a.run[0].verdict.clock, MOE_CLOCK_WALL);
    ck_assert_int_eq(a.run[0].verdict.best, 2);
    ck_assert_int_eq(a.scaling.clock, MOE_CLOCK_GPU);
    ck_assert_uint_eq(a.scaling.n_winners, RUNS);
    for (int r = 0; r < RUNS; r++)
        ck_assert_str_eq(a.scaling.winner[r].best, "s1");
    moe_analysis_fini(&a);
    free_runs(v);
}
END_TEST

START_TEST(what_cannot_be_known_is_no_error)
{
    const int all =
        MOE_WANT_SENSITIVITY | MOE_WANT_DETAIL | MOE_WANT_REGIME_MAP;
    moe_view v[RUNS];
    moe_analysis a = {0};
    moe_h5_quiet();
    make_runs(v);
    for (int r = 0; r < RUNS; r++)
        snprintf(v[r].path, sizeof v[r].path, "%s/gone.h5", test_dir);
    ck_assert_int_eq(moe_analysis_init(&a, v, wanted[_i].runs, all, NULL),
                     MOE_OK);
    for (size_t r = 0; r < a.n; r++) {
        const moe_run_analysis *run = &a.run[r];
        ck_assert_int_eq(run->sensitivity.analysed, wanted[_i].analysed);
        ck_assert(!run->sensitivity.known);
        ck_assert_int_eq(run->sensitivity.why_not[0] != '\0',
                         wanted[_i].analysed);
        ck_assert(!run->detailed);
        ck_assert_ptr_nonnull(strstr(run->no_detail.text, "gone.h5"));
        ck_assert(!run->regime.known);
    }
    moe_analysis_fini(&a);
    free_runs(v);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("analysis");
    MOE_TEST(suite, every_run_is_judged_on_the_clock_that_counts);
    MOE_TEST(suite, runs_are_judged_together_by_one_clock);
    MOE_TEST_LOOP(suite, what_cannot_be_known_is_no_error,
                  sizeof wanted / sizeof *wanted);
    return suite;
}
