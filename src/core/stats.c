/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/stats.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

static const double HALF_ALPHA = 0.025; /* each tail of a 95 % interval */

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorted copy without NaN; the caller frees it. */
static double *sorted_copy(const double *x, size_t n, size_t *n_out,
                           moe_error *err)
{
    double *sorted = moe_array_new(n, sizeof *sorted, err);
    if (sorted == NULL)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            sorted[kept++] = x[i];
    qsort(sorted, kept, sizeof *sorted, compare_reals);
    *n_out = kept;
    return sorted;
}

double moe_quantile_sorted(const double *sorted, size_t n, double q)
{
    assert(n >= 1 && q >= 0 && q <= 1);
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n)
        return sorted[n - 1];
    double part = at - (double)below;
    if (part == 0) /* 0 * inf is NaN */
        return sorted[below];
    return sorted[below] + part * (sorted[below + 1] - sorted[below]);
}

double moe_median_sorting(double *x, size_t n)
{
    qsort(x, n, sizeof *x, compare_reals);
    return moe_quantile_sorted(x, n, 0.5);
}

/* Smallest sample with at least a share q of all samples at or below it. */
static double nearest_rank(const double *sorted, size_t n, double q)
{
    /* 0.9 * 100 is a little above 90 in binary: do not round that up. */
    double rank = ceil(q * (double)n - 1e-9);
    return sorted[rank < 1 ? 0 : (size_t)rank - 1];
}

void moe_median_ci_ranks(size_t n, size_t *low_out, size_t *high_out)
{
    assert(n >= 6);
    /* In logarithms, as 2^-n is 0 in a double beyond n = 1074. */
    double log_p = -(double)n * M_LN2, tail = exp(log_p);
    size_t low = 0;
    for (size_t k = 1; k < n / 2; k++) {
        log_p += log((double)(n - k + 1) / (double)k);
        tail += exp(log_p);
        if (tail > HALF_ALPHA)
            break;
        low = k;
    }
    *low_out = low;
    *high_out = n - 1 - low;
}

double moe_t975(double df)
{
    static const double few[] = {12.706, 4.303, 3.182, 2.776}; /* 1..4 */
    if (df < 5)
        return few[df < 2 ? 0 : (size_t)df - 1];
    static const double z = 1.959963984540054;
    const double z2 = z * z, g1 = z * (z2 + 1) / 4,
                 g2 = z * ((5 * z2 + 16) * z2 + 3) / 96,
                 g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    return z + (g1 + (g2 + g3 / df) / df) / df;
}

/* Lag-1 autocorrelation without its bias, within 0..MOST_CORRELATED: more
 * cannot be told from a trend. */
static double autocorrelation(const double *x, size_t n)
{
    static const double MOST_CORRELATED = 0.95;
    double mean = 0, square = 0, lag = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        square += (x[i] - mean) * (x[i] - mean);
        lag += i > 0 ? (x[i] - mean) * (x[i - 1] - mean) : 0;
    }
    const double one = 1 / (double)n;
    const double r = square > 0 ? (lag / square + one) / (1 - 4 * one) : 0;
    return fmin(fmax(r, 0), MOST_CORRELATED);
}

double moe_mean_known(const double *x, size_t n)
{
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) {
            sum += x[i];
            known++;
        }
    return known > 0 ? sum / (double)known : (double)NAN;
}

double moe_largest_known(const double *x, size_t n)
{
    double most = NAN;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, x[i]);
    return most;
}

double moe_mean_inflation(const double *x, size_t n)
{
    const double r = autocorrelation(x, n);
    return (1 + r) / (1 - r);
}

/* The same of a median: signs are less correlated than values. */
static double median_inflation(double r)
{
    double sum = 0;
    for (double power = r; power > 1e-6; power *= r)
        sum += M_2_PI * asin(power);
    return 1 + 2 * sum;
}

/* First of the sorted samples that are not below x, or above it. */
static size_t bound_of(const double *sorted, size_t n, double x, bool above)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (sorted[mid] < x || (above && sorted[mid] <= x))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Independent samples that x amounts to; ranks, as times have long tails. */
static double worth_of(const double *x, size_t n, const double *sorted,
                       size_t kept, double passes, double *rank)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            rank[at++] = (double)(bound_of(sorted, kept, x[i], false) +
                                  bound_of(sorted, kept, x[i], true));
    const double worth = (double)kept / fmax(passes, 1);
    return kept < MOE_STATS_MIN_CI
               ? worth
               : worth / median_inflation(autocorrelation(rank, kept));
}

/* Median of sorted samples, and the interval around it. */
static void median_ci(const double *sorted, size_t n, double worth,
                      double *median, double *ci_low, double *ci_high)
{
    *median = *ci_low = *ci_high = NAN;
    if (n == 0)
        return;
    *median = moe_quantile_sorted(sorted, n, 0.5);
    if (n < MOE_STATS_MIN_CI || worth < MOE_STATS_MIN_WORTH)
        return;
    const double half = moe_t975(worth - 1) / (2 * sqrt(worth));
    const double rank = floor((double)n * (0.5 - half));
    size_t low = 0, high = 0;
    moe_median_ci_ranks(n, &low, &high);
    if (rank < 0)
        return;
    low = rank < (double)low ? (size_t)rank : low;
    *ci_low = sorted[low];
    *ci_high = sorted[n - 1 - low];
}

/* Two passes: the textbook formula loses all digits of times that differ
 * little. */
static void moments(const double *x, size_t n, double *mean, double *sd)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *mean = n > 0 ? sum / (double)n : NAN;
    for (size_t i = 0; i < n; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *sd = n > 1 ? sqrt(square / (double)(n - 1)) : NAN;
}

moe_status moe_summarise(const double *x, size_t n, double passes,
                         moe_summary *out, moe_error *err)
{
    size_t kept = 0;
    moe_error local = {0};
    double *rank = moe_array_new(n, sizeof *rank, &local);
    double *sorted = rank != NULL ? sorted_copy(x, n, &kept, &local) : NULL;
    if (sorted == NULL) {
        free(rank);
        return moe_pass(err, &local);
    }
    moe_summary s = {.n = kept, .min = NAN, .max = NAN};
    s.p50 = s.p90 = s.p99 = NAN;
    s.worth = worth_of(x, n, sorted, kept, passes, rank);
    median_ci(sorted, kept, s.worth, &s.median, &s.ci_low, &s.ci_high);
    moments(sorted, kept, &s.mean, &s.sd);
    if (kept > 0) {
        s.min = sorted[0];
        s.max = sorted[kept - 1];
    }
    if (kept >= MOE_STATS_MIN_TAIL) {
        s.p50 = nearest_rank(sorted, kept, 0.50);
        s.p90 = nearest_rank(sorted, kept, 0.90);
        s.p99 = nearest_rank(sorted, kept, 0.99);
    }
    free(sorted);
    free(rank);
    *out = s;
    return MOE_OK;
}

moe_status moe_paired_ratio(const double *a, const double *b, size_t n,
                            double passes, moe_ratio *out, moe_error *err)
{
    moe_error local = {0};
    moe_summary s;
    double *ratio = moe_array_new(n, sizeof *ratio, &local);
    for (size_t i = 0; ratio != NULL && i < n; i++)
        ratio[i] = a[i] / b[i]; /* 0/0 is NaN, and left out with the others */
    if (ratio != NULL && moe_summarise(ratio, n, passes, &s, &local) == MOE_OK)
        *out = (moe_ratio){s.n, s.median, s.ci_low, s.ci_high};
    free(ratio);
    return moe_pass(err, &local);
}

/* Sums of neighbours, in place. @return how many there are, whole. */
static size_t sum_neighbours(double *x, size_t n, size_t each)
{
    for (size_t i = 0; i < n / each; i++) {
        double sum = 0;
        for (size_t j = 0; j < each; j++)
            sum += x[i * each + j];
        x[i] = sum;
    }
    return n / each;
}

moe_ratio moe_sum_ratio(const double *a, const double *b, size_t n,
                        double passes, size_t each, double *residual)
{
    double sum_a = 0, sum_b = 0, mean, sd;
    for (size_t i = 0; i < n; i++) {
        sum_a += a[i];
        sum_b += b[i];
    }
    moe_ratio r = {n, sum_a / sum_b, NAN, NAN};
    for (size_t i = 0; i < n; i++)
        residual[i] = a[i] - r.ratio * b[i];
    n = sum_neighbours(residual, n, each);
    const double worth =
        n >= MOE_STATS_MIN_CI
            ? (double)n / fmax(passes, moe_mean_inflation(residual, n))
            : 0;
    if (worth < MOE_STATS_MIN_WORTH)
        return r;
    moments(residual, n, &mean, &sd);
    const double half =
        moe_t975(worth - 1) * sd / sqrt(worth) * (double)n / sum_b;
    r.ci_low = r.ratio - half;
    r.ci_high = r.ratio + half;
    return r;
}

moe_ratio moe_unpaired_ratio(const moe_summary *a, const moe_summary *b)
{
    const double ratio = a->median / b->median;
    const double down =
        hypot(log(a->median / a->ci_low), log(b->ci_high / b->median));
    const double up =
        hypot(log(a->ci_high / a->median), log(b->median / b->ci_low));
    return (moe_ratio){.n = a->n < b->n ? a->n : b->n,
                       .ratio = ratio,
                       .ci_low = ratio * exp(-down),
                       .ci_high = ratio * exp(up)};
}

/* Mean of logarithms, and the square of its standard error. */
static void log_mean(const double *x, size_t n, double *mean, double *square)
{
    double sum = 0;
    *mean = 0;
    for (size_t i = 0; i < n; i++)
        *mean += log(x[i]) / (double)n;
    for (size_t i = 0; i < n; i++)
        sum += (log(x[i]) - *mean) * (log(x[i]) - *mean);
    *square = n > 1 ? sum / (double)(n - 1) / (double)n : NAN;
}

moe_ratio moe_repeated_ratio(const double *a, size_t n_a, const double *b,
                             size_t n_b)
{
    double mean_a, mean_b, a2, b2;
    log_mean(a, n_a, &mean_a, &a2);
    log_mean(b, n_b, &mean_b, &b2);
    moe_ratio r = {.n = n_a < n_b ? n_a : n_b,
                   .ratio = exp(mean_a - mean_b),
                   .ci_low = NAN,
                   .ci_high = NAN};
    if (r.n < MOE_STATS_MIN_RUNS)
        return r;
    const double df =
        (a2 + b2) * (a2 + b2) /
        (a2 * a2 / (double)(n_a - 1) + b2 * b2 / (double)(n_b - 1));
    const double half = a2 + b2 > 0 ? moe_t975(df) * sqrt(a2 + b2) : 0;
    r.ci_low = r.ratio * exp(-half);
    r.ci_high = r.ratio * exp(half);
    return r;
}
