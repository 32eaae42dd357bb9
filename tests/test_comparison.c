/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/comparison.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "made_view.h"

enum { S = 3, N = 12 };

static moe_status compare(const moe_view *a, const moe_view *b, moe_clock clock,
                          const char *reference, moe_comparison *out,
                          moe_error *err)
{
    const moe_comparison_side side[2] = {{a, 1}, {b, 1}};
    return moe_compare(side, clock, reference, out, err);
}

static const double times[S] = {1, 2, 4};

/* B is A, slower by these factors. */
static const struct {
    const char *reference; /* NULL: times are compared: the gpu clock */
    double factor[S];
    double ratio[S];
    int worst; /* row, at a threshold of 5 % */
} slower[] = {
    {NULL, {1, 1, 1}, {1, 1, 1}, -1},
    {NULL, {2, 1, 3}, {2, 1, 3}, 2},
    {NULL, {1.04, 0.5, 1}, {1.04, 0.5, 1}, -1},
    {"s0", {2, 2, 2}, {1, 1, 1}, -1}, /* the machine is slower */
    {"s0", {2, 3, 2}, {1, 1.5, 1}, 1},
    {"s1", {1, 2, 2}, {0.5, 1, 1}, -1},
};

START_TEST(ratios_are_those_that_were_made)
{
    for (int paired = 0; paired < 2; paired++) {
        double of_b[S];
        moe_comparison c;
        for (int s = 0; s < S; s++)
            of_b[s] = times[s] * slower[_i].factor[s];
        moe_view a = made_view(S, N, times), b = made_view(S, N, of_b);
        for (int i = 0; i < N && paired == 0; i++)
            b.batch_hash[i] += 1000; /* other batches */
        ck_assert_int_eq(
            compare(&a, &b, MOE_CLOCK_GPU, slower[_i].reference, &c, NULL),
            MOE_OK);
        ck_assert_int_eq(c.paired, paired);
        ck_assert_uint_eq(c.n_pairs, paired == 1 ? N : 0);
        ck_assert_int_eq(c.n_rows, S);
        ck_assert_str_eq(c.differs, "");
        for (int s = 0; s < S; s++) {
            ck_assert_double_eq_tol(c.row[s].ratio.ratio, slower[_i].ratio[s],
                                    1e-12);
            ck_assert_double_eq_tol(c.row[s].time_b_s / c.row[s].time_a_s,
                                    slower[_i].ratio[s], 1e-12);
        }
        ck_assert_int_eq(moe_comparison_worst(&c, 0.05), slower[_i].worst);
        moe_comparison_fini(&c);
        moe_view_free(&a);
        moe_view_free(&b);
    }
}
END_TEST

START_TEST(what_else_differs_is_said)
{
    moe_view a = made_view(2, N, times), b = made_view(2, N, times);
    moe_comparison c;
    strcpy(a.cluster, "h100");
    strcpy(b.cluster, "a100");
    b.dims.gpus = 8;
    strcpy(b.strategy[1].name, "other");
    free(a.config);
    free(b.config);
    a.config = moe_strdup("cluster: h100\nseed: 1\nseq: 4\n", NULL);
    b.config = moe_strdup("cluster: a100\nseed: 2\nseq: 4\n", NULL);
    ck_assert_int_eq(compare(&a, &b, MOE_CLOCK_WALL, NULL, &c, NULL), MOE_OK);
    ck_assert_int_eq(c.n_rows, 1);
    ck_assert_str_eq(c.differs,
                     "cluster (h100, a100), GPUs (4, 8), strategy s1 (only in "
                     "A), strategy other (only in B), setting (seed: 1, seed: "
                     "2)");
    moe_comparison_fini(&c);
    moe_view_free(&a);
    moe_view_free(&b);
}
END_TEST

/* Settings of two runs: a block that one lacks shifts no other line. */
static const struct {
    const char *a, *b, *says;
} settings[] = {
    {"seq: 4\nseed: 1\n", "seq: 4\nseed: 1\n", ""},
    {"seq: 4\nserving:\nseed: 1\n", "seq: 4\nseed: 1\n",
     "setting (serving:, -)"},
    {"seq: 4\n", "seq: 4\nserving:\n  phase: decode\n",
     "setting (-, serving:), setting (-, phase: decode)"},
    {"seq: 4\nseed: 1\n", "phase: x\nseq: 5\nseed: 1\n",
     "setting (-, phase: x), setting (seq: 4, seq: 5)"},
    {"", "seq: 4\n", "setting (-, seq: 4)"},
};

START_TEST(settings_are_compared_by_key)
{
    moe_view a = made_view(2, N, times), b = made_view(2, N, times);
    moe_comparison c;
    free(a.config);
    free(b.config);
    a.config = moe_strdup(settings[_i].a, NULL);
    b.config = moe_strdup(settings[_i].b, NULL);
    ck_assert_int_eq(compare(&a, &b, MOE_CLOCK_WALL, NULL, &c, NULL), MOE_OK);
    ck_assert_str_eq(c.differs, settings[_i].says);
    moe_comparison_fini(&c);
    moe_view_free(&a);
    moe_view_free(&b);
}
END_TEST

static const struct {
    const char *model, *names[2], *reference;
    moe_status status;
    const char *says;
} refusals[] = {
    {"tiny", {"s0", "s1"}, NULL, MOE_OK, NULL},
    {"other", {"s0", "s1"}, NULL, MOE_MISMATCH, "their times cannot be"},
    {"tiny", {"x", "y"}, NULL, MOE_MISMATCH, "no strategy in common"},
    {"tiny", {"s0", "y"}, "s1", MOE_USAGE, "b.h5 has no strategy 's1'"},
    {"tiny", {"s0", "y"}, "y", MOE_USAGE, "x.h5 has no strategy 'y'"},
};

START_TEST(what_cannot_be_compared_is_refused)
{
    moe_view a = made_view(2, N, times), b = made_view(2, N, times);
    moe_comparison c = {.row = NULL};
    moe_error err = {0};
    strcpy(b.path, "b.h5");
    strcpy(b.model, refusals[_i].model);
    for (int s = 0; s < 2; s++)
        strcpy(b.strategy[s].name, refusals[_i].names[s]);
    ck_assert_int_eq(
        compare(&a, &b, MOE_CLOCK_GPU, refusals[_i].reference, &c, &err),
        refusals[_i].status);
    if (refusals[_i].says != NULL)
        ck_assert_msg(strstr(err.text, refusals[_i].says) != NULL, "%s",
                      err.text);
    moe_comparison_fini(&c);
    moe_view_free(&a);
    moe_view_free(&b);
}
END_TEST

START_TEST(wall_counts_where_no_rank_shares_a_core)
{
    moe_view v[2] = {{.oversubscribed = (_i & 1) != 0},
                     {.oversubscribed = (_i & 2) != 0}};
    ck_assert_int_eq(
        moe_comparison_clock((moe_comparison_side[]){{&v[0], 1}, {&v[1], 1}}),
        _i == 0 ? MOE_CLOCK_WALL : MOE_CLOCK_GPU);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("comparison");
    MOE_TEST_LOOP(suite, ratios_are_those_that_were_made,
                  MOE_ARRAY_LEN(slower));
    MOE_TEST(suite, what_else_differs_is_said);
    MOE_TEST_LOOP(suite, settings_are_compared_by_key, MOE_ARRAY_LEN(settings));
    MOE_TEST_LOOP(suite, what_cannot_be_compared_is_refused,
                  MOE_ARRAY_LEN(refusals));
    MOE_TEST_LOOP(suite, wall_counts_where_no_rank_shares_a_core, 4);
    return suite;
}
