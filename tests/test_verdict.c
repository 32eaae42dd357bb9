/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/verdict.h"

#include "harness.h"
#include "made_view.h"

static const struct {
    bool knows_future, foretells_tokens;
    bool contends[6]; /* by moe_contenders */
} who[] = {
    {false, false, {true, true, false, true, false, false}},
    {false, true, {true, true, true, false, false, false}},
    {true, false, {true, false, false, false, true, false}},
    {true, true, {true, false, false, false, true, true}},
};

START_TEST(contenders_are_told_by_what_they_foretell)
{
    moe_view v = made_view(1, 1, (const double[]){1});
    v.strategy[0].facts.knows_future = who[_i].knows_future;
    v.strategy[0].facts.foretells_tokens = who[_i].foretells_tokens;
    for (int c = 0; c < 6; c++)
        ck_assert_int_eq(moe_contends(&v, 0, (moe_contenders)c),
                         who[_i].contends[c]);
    moe_view_free(&v);
}
END_TEST

static const struct {
    double time_s[4];
    int least;
} leasts[] = {
    {{3, 1, 2, 4}, 1},     {{2, 1, 1, 2}, 1},          {{NAN, 5, NAN, 4}, 3},
    {{1, NAN, NAN, 2}, 0}, {{NAN, NAN, NAN, NAN}, -1},
};

START_TEST(least_is_the_first_of_those_that_are_known)
{
    ck_assert_int_eq(moe_least(leasts[_i].time_s, 4), leasts[_i].least);
}
END_TEST

/* Times, the oracle, and who is judged to be what. */
static const struct {
    double time_s[4];
    int oracle; /* -1: none */
    int best, second;
    double margin;
} runs[] = {
    {{4, 2, 3, 1}, 3, 1, 2, 1.5},
    {{4, 2, 3, 1}, -1, 3, 1, 2},
    {{2, NAN, NAN, 1}, 3, 0, -1, NAN},
    {{NAN, NAN, NAN, 1}, 3, -1, -1, NAN},
};

START_TEST(verdict_is_of_those_that_can_be_built)
{
    moe_view v = made_view(4, 9, runs[_i].time_s);
    if (runs[_i].oracle >= 0)
        v.strategy[runs[_i].oracle].facts.knows_future = true;
    for (int shared = 0; shared < 2; shared++) {
        moe_verdict verdict;
        v.oversubscribed = shared == 1;
        ck_assert_int_eq(moe_verdict_find(&v, &verdict, NULL), MOE_OK);
        ck_assert_int_eq(verdict.clock,
                         shared == 1 ? MOE_CLOCK_GPU : MOE_CLOCK_WALL);
        ck_assert_int_eq(verdict.best, runs[_i].best);
        ck_assert_int_eq(verdict.second, runs[_i].second);
        ck_assert_int_eq(verdict.oracle, runs[_i].oracle);
        if (isnan(runs[_i].margin))
            ck_assert_double_nan(verdict.margin.ratio);
        else
            ck_assert_double_eq_tol(verdict.margin.ratio, runs[_i].margin,
                                    1e-12);
        ck_assert_uint_eq(verdict.margin.n, verdict.second >= 0 ? 9 : 0);
    }
    moe_view_free(&v);
}
END_TEST

START_TEST(predictors_of_tokens_are_ordered_by_recall)
{
    static const double recall[] = {0.5, NAN, 0.9, 0.2, 0.7};
    moe_view v = made_view(5, 1, (const double[]){1, 1, 1, 1, 1});
    for (int s = 0; s < 5; s++) {
        v.strategy[s].recall.median = recall[s];
        v.strategy[s].facts.foretells_tokens = true;
    }
    v.strategy[4].facts.knows_future = true;
    const moe_strategies all = moe_by_recall(&v, MOE_BUILDABLE_TOKENS);
    ck_assert_int_eq(all.n, 3);
    ck_assert_int_eq(all.at[0], 3);
    ck_assert_int_eq(all.at[1], 0);
    ck_assert_int_eq(all.at[2], 2);
    moe_view_free(&v);
}
END_TEST

START_TEST(phases_that_differ_most_come_first)
{
    double a[MOE_N_PHASES] = {0}, b[MOE_N_PHASES] = {0};
    moe_phase_gap gap[4];
    a[MOE_PHASE_FFN] = 3, b[MOE_PHASE_FFN] = 5;
    a[MOE_PHASE_PLAN] = 4, b[MOE_PHASE_PLAN] = 1;
    a[MOE_PHASE_ROUTE] = NAN, b[MOE_PHASE_ROUTE] = 9;
    a[MOE_PHASE_COMBINE] = 1;
    moe_phase_gaps(a, b, gap, 4);
    ck_assert_int_eq(gap[0].phase, MOE_PHASE_PLAN);
    ck_assert_double_eq(gap[0].gap_s, 3);
    ck_assert_int_eq(gap[1].phase, MOE_PHASE_FFN);
    ck_assert_double_eq(gap[1].gap_s, -2);
    ck_assert_int_eq(gap[2].phase, MOE_PHASE_COMBINE);
    ck_assert_int_eq(gap[3].phase, -1);
}
END_TEST

/* What stands against a verdict, the first of all that do. */
static const struct {
    int strategies, iterations, gpus;
    double ratio; /* of the second strategy's times; 0: either is slower */
    moe_doubt doubt;
} doubtful[] = {
    {1, 24, 4, 1.5, MOE_DOUBT_ALONE}, {2, 24, 1, 1.5, MOE_DOUBT_ONE_GPU},
    {2, 5, 4, 1.5, MOE_DOUBT_FEW},    {2, 11, 4, 1.5, MOE_DOUBT_FEW},
    {2, 24, 4, 0, MOE_DOUBT_OVERLAP}, {2, 24, 4, 1.02, MOE_DOUBT_NONE},
    {2, 12, 4, 1.5, MOE_DOUBT_NONE},
};

START_TEST(doubts_stand_against_a_verdict)
{
    const double time_s[] = {1,
                             doubtful[_i].ratio > 0 ? doubtful[_i].ratio : 1};
    const int n = doubtful[_i].iterations;
    moe_view v = made_view(doubtful[_i].strategies, n, time_s);
    moe_verdict verdict;
    v.dims.gpus = doubtful[_i].gpus;
    for (int i = 0; i < n && !(doubtful[_i].ratio > 0); i++)
        v.strategy[1].layer_time[MOE_CLOCK_GPU][i] *=
            i % 5 < 3 ? 1.01 : 0.95; /* slower in the median of pairs */
    v.clock_asked = MOE_CLOCK_GPU + 1;
    ck_assert_int_eq(moe_verdict_find(&v, &verdict, NULL), MOE_OK);
    ck_assert_int_eq(verdict.doubt, doubtful[_i].doubt);
    moe_view_free(&v);
}
END_TEST

/* Whether attention and FFN were paced, how late they were, and whether ranks
 * shared cores or rows were scaled down: a paced run may share them, as far as
 * deadlines are kept. */
static const struct {
    bool attention, ffn;
    double late;
    bool shared;
    double scale;
    bool counts, is_result;
} paced[] = {
    {true, true, 0, true, 1, true, true},
    {true, true, 0.02, true, 1, true, true},
    {true, true, 0.0201, true, 1, false, false},
    {true, true, 0.0201, false, 1, false, false},
    {true, true, 0.129, true, 1, false, false},
    {true, true, NAN, false, 1, false, false},
    {true, true, 0, false, 8, true, false},
    {true, false, 0, true, 1, false, false},
    {false, true, 0, true, 1, false, false},
    {true, false, 0.5, false, 1, true, true},
    {false, false, NAN, false, 1, true, true},
    {false, false, NAN, true, 1, false, false},
};

START_TEST(a_paced_run_counts_as_far_as_deadlines_were_kept)
{
    moe_view v = made_view(2, 9, (const double[]){2, 1});
    moe_verdict verdict;
    v.pace.phase[MOE_PACE_ATTENTION] = paced[_i].attention;
    v.pace.phase[MOE_PACE_FFN] = paced[_i].ffn;
    v.pace.late = paced[_i].late;
    v.oversubscribed = paced[_i].shared;
    v.scale = paced[_i].scale;
    ck_assert_int_eq(moe_verdict_wall_counts(&v), paced[_i].counts);
    ck_assert_int_eq(moe_clock_is_result(&v, MOE_CLOCK_WALL),
                     paced[_i].is_result);
    ck_assert_int_eq(moe_verdict_find(&v, &verdict, NULL), MOE_OK);
    ck_assert_int_eq(verdict.clock,
                     paced[_i].is_result ? MOE_CLOCK_WALL : MOE_CLOCK_GPU);
    moe_view_free(&v);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("verdict");
    MOE_TEST_LOOP(suite, contenders_are_told_by_what_they_foretell,
                  MOE_ARRAY_LEN(who));
    MOE_TEST_LOOP(suite, least_is_the_first_of_those_that_are_known,
                  MOE_ARRAY_LEN(leasts));
    MOE_TEST_LOOP(suite, verdict_is_of_those_that_can_be_built,
                  MOE_ARRAY_LEN(runs));
    MOE_TEST_LOOP(suite, a_paced_run_counts_as_far_as_deadlines_were_kept,
                  MOE_ARRAY_LEN(paced));
    MOE_TEST(suite, predictors_of_tokens_are_ordered_by_recall);
    MOE_TEST(suite, phases_that_differ_most_come_first);
    MOE_TEST_LOOP(suite, doubts_stand_against_a_verdict,
                  MOE_ARRAY_LEN(doubtful));
    return suite;
}
