/** stats.h: summaries that say how sure they are.
 *
 *  Medians come with distribution-free confidence intervals from order
 *  statistics; ratios are of paired samples. NaN samples (an iteration that
 *  was never measured) are left out and not counted.
 *  Source: Hoefler & Belli, SC'15, doi 10.1145/2807591.2807644, rules 5-8.
 */
#ifndef MOEGPS_STATS_H
#define MOEGPS_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

enum {
    MOE_STATS_MIN_CI = 6,    /* fewer samples give no 95 % interval */
    MOE_STATS_MIN_TAIL = 100 /* fewer samples give no 99th percentile */
};

typedef struct moe_summary {
    size_t n;               /* samples that are not NaN */
    double median;          /* mean of the middle two when n is even */
    double ci_low, ci_high; /* 95 % of the median; NaN below MOE_STATS_MIN_CI */
    double mean, sd;        /* sd with n - 1; NaN below 2 samples */
    double min, max;
    double p50, p90, p99; /* nearest rank; NaN below MOE_STATS_MIN_TAIL */
} moe_summary;

/** Summarise samples. Not collective; the samples are not changed.
 *  @param x  [n], any unit; n may be 0 (all fields NaN then).
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_summarise(const double *x, size_t n, moe_summary *out,
                         moe_error *err);

typedef struct moe_ratio {
    size_t n;               /* pairs with a ratio: neither NaN, not 0/0 */
    double ratio;           /* median over pairs of a[i] / b[i] */
    double ci_low, ci_high; /* 95 %; NaN below MOE_STATS_MIN_CI pairs */
} moe_ratio;

/** Ratio of paired samples: a[i] and b[i] were measured on the same batch.
 *  With a the reference's times it is the speed-up of b.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_paired_ratio(const double *a, const double *b, size_t n,
                            moe_ratio *out, moe_error *err);

/** Ratio of the medians of samples that are no pairs, with a bootstrap interval
 *  (10 000 resamples, percentiles, seed-exact). NaN samples are left out; n of
 *  the result is the smaller number of samples.
 *  @param a  [n_a]  @param b  [n_b]
 *  @return MOE_OK, MOE_NOMEM.   Source: Efron & Tibshirani 1993, section 13. */
moe_status moe_unpaired_ratio(const double *a, size_t n_a, const double *b,
                              size_t n_b, moe_ratio *out, moe_error *err);

/** Quantile of sorted samples by linear interpolation (type 7); n >= 1. */
double moe_quantile_sorted(const double *sorted, size_t n, double q);

/** @return the median of samples, which are sorted in place; n >= 1. */
double moe_median_sorting(double *x, size_t n);

/** Ranks of the order statistics that bound the median with at least 95 %
 *  confidence, 0-based; n >= MOE_STATS_MIN_CI.
 *  Source: binomial(n, 1/2) tail, Hahn & Meeker 1991, section 5.2. */
void moe_median_ci_ranks(size_t n, size_t *low_out, size_t *high_out);

#endif
