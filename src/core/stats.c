/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/rng.h"

enum { RESAMPLES = 10000 }; /* of a bootstrap */

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
    assert(n >= MOE_STATS_MIN_CI);
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

/* Median of sorted samples and the interval around it. */
static void median_ci(const double *sorted, size_t n, double *median,
                      double *ci_low, double *ci_high)
{
    *median = *ci_low = *ci_high = NAN;
    if (n == 0)
        return;
    *median = moe_quantile_sorted(sorted, n, 0.5);
    if (n < MOE_STATS_MIN_CI)
        return;
    size_t low = 0, high = 0;
    moe_median_ci_ranks(n, &low, &high);
    *ci_low = sorted[low];
    *ci_high = sorted[high];
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

moe_status moe_summarise(const double *x, size_t n, moe_summary *out,
                         moe_error *err)
{
    size_t kept = 0;
    moe_error local = {0};
    double *sorted = sorted_copy(x, n, &kept, &local);
    if (sorted == NULL)
        return moe_pass(err, &local);
    moe_summary s = {.n = kept, .min = NAN, .max = NAN};
    s.p50 = s.p90 = s.p99 = NAN;
    median_ci(sorted, kept, &s.median, &s.ci_low, &s.ci_high);
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
    *out = s;
    return MOE_OK;
}

moe_status moe_paired_ratio(const double *a, const double *b, size_t n,
                            moe_ratio *out, moe_error *err)
{
    moe_error local = {0};
    size_t kept = 0;
    double *sorted = NULL;
    double *ratio = moe_array_new(n, sizeof *ratio, &local);
    for (size_t i = 0; ratio != NULL && i < n; i++)
        ratio[i] = a[i] / b[i]; /* 0/0 is NaN, and left out with the others */
    if (ratio != NULL)
        sorted = sorted_copy(ratio, n, &kept, &local);
    if (sorted != NULL) {
        moe_ratio r = {.n = kept};
        median_ci(sorted, kept, &r.ratio, &r.ci_low, &r.ci_high);
        *out = r;
    }
    free(sorted);
    free(ratio);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    return MOE_OK;
}

/* Median of n draws with replacement from sorted samples, without sorting:
 * the k-th smallest index drawn is found by counting. */
static double resampled_median(const double *sorted, size_t n, moe_rng *rng,
                               uint32_t *drawn)
{
    memset(drawn, 0, n * sizeof *drawn);
    for (size_t i = 0; i < n; i++)
        drawn[moe_rng_below(rng, n)]++;
    const size_t low = (n - 1) / 2, high = n / 2;
    double sum = 0;
    size_t before = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t after = before + drawn[i];
        sum += (before <= low && low < after) ? sorted[i] / 2 : 0;
        sum += (before <= high && high < after) ? sorted[i] / 2 : 0;
        before = after;
    }
    return sum;
}

/* Samples that can be drawn again; sorted. */
typedef struct samples {
    const double *x;
    size_t n;
} samples;

/* @param ratio  [RESAMPLES] scratch
 * @param drawn  scratch, as many as the larger has samples */
static void bootstrap(samples a, samples b, double *ratio, uint32_t *drawn,
                      moe_ratio *out)
{
    moe_rng rng = moe_rng_at(0, MOE_RNG_STATS, 0, 0, 0);
    for (size_t i = 0; i < RESAMPLES; i++) {
        const double up = resampled_median(a.x, a.n, &rng, drawn);
        ratio[i] = up / resampled_median(b.x, b.n, &rng, drawn);
    }
    qsort(ratio, RESAMPLES, sizeof *ratio, compare_reals);
    out->ci_low = moe_quantile_sorted(ratio, RESAMPLES, HALF_ALPHA);
    out->ci_high = moe_quantile_sorted(ratio, RESAMPLES, 1 - HALF_ALPHA);
}

moe_status moe_unpaired_ratio(const double *a, size_t n_a, const double *b,
                              size_t n_b, moe_ratio *out, moe_error *err)
{
    moe_error local = {0};
    size_t kept_a = 0, kept_b = 0;
    const size_t most = n_a > n_b ? n_a : n_b;
    double *x = sorted_copy(a, n_a, &kept_a, &local);
    double *y = sorted_copy(b, n_b, &kept_b, &local);
    double *ratio = moe_array_new(RESAMPLES, sizeof *ratio, &local);
    uint32_t *drawn = moe_array_new(most, sizeof *drawn, &local);
    if (local.status == MOE_OK) {
        *out = (moe_ratio){.n = kept_a < kept_b ? kept_a : kept_b,
                           .ratio = NAN,
                           .ci_low = NAN,
                           .ci_high = NAN};
        if (out->n > 0)
            out->ratio = moe_quantile_sorted(x, kept_a, 0.5) /
                         moe_quantile_sorted(y, kept_b, 0.5);
        if (out->n >= MOE_STATS_MIN_CI)
            bootstrap((samples){x, kept_a}, (samples){y, kept_b}, ratio, drawn,
                      out);
    }
    free(drawn);
    free(ratio);
    free(y);
    free(x);
    return moe_pass(err, &local);
}
