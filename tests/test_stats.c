/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/stats.h"

#include <math.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

/* Largest k with P(B <= k) <= 0.025, B binomial(n, 1/2), in exact rationals;
 * n = 100 is the 40th and 61st sample of the textbooks. */
static const struct {
    size_t n, low, high;
} ci_ranks[] = {
    {6, 0, 5},      {7, 0, 6},        {8, 0, 7},        {9, 1, 7},
    {10, 1, 8},     {11, 1, 9},       {12, 2, 9},       {15, 3, 11},
    {17, 4, 12},    {20, 5, 14},      {25, 7, 17},      {30, 9, 20},
    {50, 17, 32},   {99, 39, 59},     {100, 39, 60},    {101, 40, 60},
    {200, 85, 114}, {1000, 468, 531}, {1075, 504, 570}, {3000, 1445, 1554},
};

START_TEST(median_ci_ranks_equal_binomial_tails)
{
    size_t low = 0, high = 0;
    moe_median_ci_ranks(ci_ranks[_i].n, &low, &high);
    ck_assert_uint_eq(low, ci_ranks[_i].low);
    ck_assert_uint_eq(high, ci_ranks[_i].high);
}
END_TEST

/* Golden: numpy median, mean, std(ddof=1), min, max. */
static const struct {
    double x[8];
    size_t n;
    size_t kept;
    double median, ci_low, ci_high, mean, sd, min, max;
} summaries[] = {
    {{0}, 0, 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN},
    {{NAN, NAN}, 2, 0, NAN, NAN, NAN, NAN, NAN, NAN, NAN},
    {{7}, 1, 1, 7, NAN, NAN, 7, NAN, 7, 7},
    {{3, 1, 2}, 3, 3, 2, NAN, NAN, 2, 1, 1, 3},
    {{4, 1, 3, 2}, 4, 4, 2.5, NAN, NAN, 2.5, 1.2909944487358056, 1, 4},
    {{1e9 + 1, 1e9 + 2, 1e9 + 3},
     3,
     3,
     1e9 + 2,
     NAN,
     NAN,
     1e9 + 2,
     1,
     1e9 + 1,
     1e9 + 3},
    {{.5, NAN, .25, 1, 2, 4, 8, 16},
     8,
     7,
     2,
     .25,
     16,
     4.535714285714286,
     5.734451026160096,
     .25,
     16},
};

static void assert_close(double found, double expected)
{
    if (isnan(expected))
        ck_assert_double_nan(found);
    else
        ck_assert_double_eq_tol(found, expected, 1e-13 * fabs(expected));
}

START_TEST(summary_equals_numpy)
{
    moe_summary s;
    ck_assert_int_eq(moe_summarise(summaries[_i].x, summaries[_i].n, &s, NULL),
                     MOE_OK);
    ck_assert_uint_eq(s.n, summaries[_i].kept);
    assert_close(s.median, summaries[_i].median);
    assert_close(s.ci_low, summaries[_i].ci_low);
    assert_close(s.ci_high, summaries[_i].ci_high);
    assert_close(s.mean, summaries[_i].mean);
    assert_close(s.sd, summaries[_i].sd);
    assert_close(s.min, summaries[_i].min);
    assert_close(s.max, summaries[_i].max);
    ck_assert_double_nan(s.p50);
    ck_assert_double_nan(s.p99);
}
END_TEST

/* A permutation of 1..n. */
static void permuted(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (double)((i * 37) % n) + 1;
}

START_TEST(percentiles_need_a_hundred_samples)
{
    double x[100];
    moe_summary s;
    permuted(x, 100);
    ck_assert_int_eq(moe_summarise(x, 100, &s, NULL), MOE_OK);
    ck_assert_double_eq(s.p50, 50);
    ck_assert_double_eq(s.p90, 90);
    ck_assert_double_eq(s.p99, 99);
    ck_assert_double_eq(s.median, 50.5);
    ck_assert_double_eq(s.ci_low, 40);
    ck_assert_double_eq(s.ci_high, 61);
    assert_close(s.sd, 29.011491975882016);
    ck_assert_int_eq(moe_summarise(x, 99, &s, NULL), MOE_OK);
    ck_assert_double_nan(s.p50);
    ck_assert_double_nan(s.p90);
    ck_assert_double_nan(s.p99);
}
END_TEST

START_TEST(summary_leaves_samples_alone)
{
    double x[3] = {3, 1, 2};
    moe_summary s;
    ck_assert_int_eq(moe_summarise(x, 3, &s, NULL), MOE_OK);
    ck_assert_double_eq(x[0], 3);
    ck_assert_double_eq(x[2], 2);
}
END_TEST

/* Golden: numpy.quantile([2, 1, 4, 7, 3], q). */
static const struct {
    double q, value;
} quantiles[] = {{0, 1}, {.1, 1.4}, {.25, 2}, {.5, 3}, {.9, 5.8}, {1, 7}};

START_TEST(quantile_equals_numpy)
{
    const double sorted[] = {1, 2, 3, 4, 7};
    ck_assert_double_eq_tol(moe_quantile_sorted(sorted, 5, quantiles[_i].q),
                            quantiles[_i].value, 1e-14);
}
END_TEST

START_TEST(quantile_survives_infinity)
{
    const double sorted[] = {1, INFINITY};
    ck_assert_double_eq(moe_quantile_sorted(sorted, 2, 0), 1);
    ck_assert(isinf(moe_quantile_sorted(sorted, 2, 0.5)));
}
END_TEST

START_TEST(ratio_pairs_samples_and_skips_missing_ones)
{
    /* Medians alone would say 10/8; the pairs say 2. */
    const double a[] = {2, 20, 10, NAN, 4, 40, 8, 0};
    const double b[] = {1, 10, 5, 1, 2, NAN, 8, 0};
    moe_ratio r;
    ck_assert_int_eq(moe_paired_ratio(a, b, 8, &r, NULL), MOE_OK);
    ck_assert_uint_eq(r.n, 5);
    ck_assert_double_eq(r.ratio, 2);
    ck_assert_double_nan(r.ci_low);
    ck_assert_double_nan(r.ci_high);
}
END_TEST

START_TEST(ratio_has_an_interval_from_six_pairs)
{
    const double a[] = {1, 2, 3, 4, 5, 6};
    const double b[] = {1, 1, 1, 1, 1, 1};
    moe_ratio r;
    ck_assert_int_eq(moe_paired_ratio(a, b, 6, &r, NULL), MOE_OK);
    ck_assert_double_eq(r.ratio, 3.5);
    ck_assert_double_eq(r.ci_low, 1);
    ck_assert_double_eq(r.ci_high, 6);
}
END_TEST

START_TEST(nothing_has_no_ratio)
{
    moe_ratio r;
    ck_assert_int_eq(moe_paired_ratio(NULL, NULL, 0, &r, NULL), MOE_OK);
    ck_assert_uint_eq(r.n, 0);
    ck_assert_double_nan(r.ratio);
}
END_TEST

/* Two samples of normal draws, 5 and 4 on average. */
static void draw(double *a, double *b, size_t n, uint64_t seed)
{
    moe_rng rng = moe_rng_at(seed, MOE_RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < n; i++) {
        a[i] = 5 + 0.5 * moe_rng_normal(&rng);
        b[i] = 4 + 0.5 * moe_rng_normal(&rng);
    }
}

/* 95 % of intervals hold the true ratio; of 200 experiments at least 181 do
 * with a probability of 0.996. */
START_TEST(bootstrap_intervals_cover_the_true_ratio)
{
    int covered = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        double a[40], b[40];
        moe_ratio r;
        draw(a, b, 40, seed);
        ck_assert_int_eq(moe_unpaired_ratio(a, 40, b, 40, &r, NULL), MOE_OK);
        ck_assert(r.ci_low <= r.ratio && r.ratio <= r.ci_high);
        covered += r.ci_low <= 1.25 && 1.25 <= r.ci_high;
    }
    ck_assert_int_ge(covered, 181);
    ck_assert_int_lt(covered, 200); /* nor is everything covered */
}
END_TEST

START_TEST(bootstrap_interval_narrows_with_samples)
{
    double a[400], b[400], width[2];
    const size_t n[] = {25, 400};
    for (size_t i = 0; i < 2; i++) {
        moe_ratio r;
        draw(a, b, n[i], 7);
        moe_unpaired_ratio(a, n[i], b, n[i], &r, NULL);
        width[i] = r.ci_high - r.ci_low;
    }
    ck_assert_double_lt(width[1], width[0] / 2.5); /* 4 in the limit */
}
END_TEST

START_TEST(unpaired_samples_may_be_few_or_missing)
{
    const double a[] = {4, NAN, 2, 6, 8, 10, 12}, b[] = {2, 1, 3};
    moe_ratio r;
    ck_assert_int_eq(moe_unpaired_ratio(a, 7, b, 3, &r, NULL), MOE_OK);
    ck_assert_uint_eq(r.n, 3);
    ck_assert_double_eq(r.ratio, 3.5);
    ck_assert_double_nan(r.ci_low);
    ck_assert_int_eq(moe_unpaired_ratio(a, 7, b, 0, &r, NULL), MOE_OK);
    ck_assert_double_nan(r.ratio);
    ck_assert_int_eq(moe_unpaired_ratio(a, 7, a, 7, &r, NULL), MOE_OK);
    ck_assert_double_eq(r.ratio, 1);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("stats");
    MOE_TEST_LOOP(suite, median_ci_ranks_equal_binomial_tails,
                  MOE_ARRAY_LEN(ci_ranks));
    MOE_TEST_LOOP(suite, summary_equals_numpy, MOE_ARRAY_LEN(summaries));
    MOE_TEST(suite, percentiles_need_a_hundred_samples);
    MOE_TEST(suite, summary_leaves_samples_alone);
    MOE_TEST_LOOP(suite, quantile_equals_numpy, MOE_ARRAY_LEN(quantiles));
    MOE_TEST(suite, quantile_survives_infinity);
    MOE_TEST(suite, ratio_pairs_samples_and_skips_missing_ones);
    MOE_TEST(suite, ratio_has_an_interval_from_six_pairs);
    MOE_TEST(suite, nothing_has_no_ratio);
    MOE_TEST(suite, bootstrap_intervals_cover_the_true_ratio);
    MOE_TEST(suite, bootstrap_interval_narrows_with_samples);
    MOE_TEST(suite, unpaired_samples_may_be_few_or_missing);
    return suite;
}
