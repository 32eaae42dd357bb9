/** stats.h: summaries that say how sure they are.
 *
 *  Samples are given in the order in which they were taken. Medians come with
 *  confidence intervals from order statistics; ratios are of paired samples.
 *  NaN samples (an iteration that was never measured) are left out and not
 *  counted.
 *
 *  Batches that follow one another resemble each other, so n samples are worth
 *  fewer independent ones: n / passes / (1 + 2 sum_j (2 / pi) asin(r^j)), with
 *  r the lag-1 autocorrelation of the samples' ranks, at least 0, and `passes`
 *  how often their data were used. An interval is as wide as that number of
 *  independent samples allows: the order statistics at 1/2 -+ t / (2 sqrt m).
 *  Too few independent samples give none. Of simulated series of 12 and more
 *  independent samples, 40 and more with an autocorrelation of 0.3, 100 and
 *  more with 0.6, at least 92 % of intervals hold the median.
 *  Sources: Hoefler & Belli, SC'15, doi 10.1145/2807591.2807644, rules 5-8;
 *  autocorrelation of the signs of a Gaussian series: Sheppard 1899; its bias,
 *  (1 + 4 r) / n: Marriott & Pope, Biometrika 41 (1954).
 */
#ifndef MOEGPS_STATS_H
#define MOEGPS_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

enum {
    MOE_STATS_MIN_CI = 12,   /* fewer samples give no 95 % interval */
    MOE_STATS_MIN_WORTH = 6, /* nor do those worth fewer independent ones */
    MOE_STATS_MIN_RUNS = 3,  /* fewer repetitions say not how runs vary */
    MOE_STATS_MIN_TAIL = 100 /* fewer samples give no 99th percentile */
};

typedef struct moe_summary {
    size_t n;               /* samples that are not NaN */
    double worth;           /* independent samples that they amount to */
    double median;          /* mean of the middle two when n is even */
    double ci_low, ci_high; /* 95 % of the median; NaN: too few */
    double mean, sd;        /* sd with n - 1; NaN below 2 samples */
    double min, max;
    double p50, p90, p99; /* nearest rank; NaN below MOE_STATS_MIN_TAIL */
} moe_summary;

/** Summarise samples. Not collective; the samples are not changed.
 *  @param x       [n], any unit; n may be 0 (all fields NaN then).
 *  @param passes  how often their data were used, or how many samples are of
 *                 one cluster; 1 and less: once, one.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_summarise(const double *x, size_t n, double passes,
                         moe_summary *out, moe_error *err);

typedef struct moe_ratio {
    size_t n;               /* pairs with a ratio: neither NaN, not 0/0 */
    double ratio;           /* median over pairs of a[i] / b[i] */
    double ci_low, ci_high; /* 95 %; NaN: too few pairs */
} moe_ratio;

/** Ratio of paired samples: a[i] and b[i] were measured on the same batch.
 *  With a the reference's times it is the speed-up of b.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_paired_ratio(const double *a, const double *b, size_t n,
                            double passes, moe_ratio *out, moe_error *err);

/** Ratio of the sums of paired samples in the order of time: what differs from
 *  batch to batch, spikes included, as a residual a - ratio b of known
 *  autocorrelation. None below MOE_STATS_MIN_CI pairs, or MOE_STATS_MIN_WORTH
 *  independent ones.
 *  @param a, b  [n] none NaN, b > 0  @param residual  [n] scratch
 *  @param passes  as in moe_summarise()
 *  @param each  neighbours that share a cause that lasts so long, as batches
 *               share a plan: their sums are the samples. Others have 1.
 *  Source: Cochran, Sampling Techniques, 3rd ed. 1977, section 6.4; sums of
 *  neighbours: batch means, Law & Kelton, Simulation Modeling and Analysis. */
moe_ratio moe_sum_ratio(const double *a, const double *b, size_t n,
                        double passes, size_t each, double *residual);

/** Ratio of two medians of samples that are no pairs. Each way, the distances
 *  of the logarithms of both medians to the limits of their intervals add up
 *  as squares. n of the result is the smaller number of samples.
 *  Source: Zou & Donner, Statistics in Medicine 27 (2008) 1693. */
moe_ratio moe_unpaired_ratio(const moe_summary *a, const moe_summary *b);

/** Ratio of the geometric means of repeated runs, one value > 0 each, with an
 *  interval for what differs between runs (Welch's t of the logarithms); none
 *  below MOE_STATS_MIN_RUNS a side. n of the result is the smaller number.
 *  @param a  [n_a]  @param b  [n_b]
 *  Source: Welch, Biometrika 34 (1947) 28. */
moe_ratio moe_repeated_ratio(const double *a, size_t n_a, const double *b,
                             size_t n_b);

/** Quantile 0.975 of Student's t. @param df  >= 1, whole or not.
 *  Source: Abramowitz & Stegun 1964, 26.7.5; its table below 5. */
double moe_t975(double df);

/** How many samples of a correlated series are worth one independent sample,
 *  to a mean, by the lag-1 autocorrelation r of x: (1 + r) / (1 - r), r >= 0.
 *  @param x  [n] in the order of time, none NaN; n >= 6 */
double moe_mean_inflation(const double *x, size_t n);

/** @return mean, largest of those that are not NaN; NaN: all are. */
double moe_mean_known(const double *x, size_t n);
double moe_largest_known(const double *x, size_t n);

/** Quantile of sorted samples by linear interpolation (type 7); n >= 1. */
double moe_quantile_sorted(const double *sorted, size_t n, double q);

/** @return the median of samples, which are sorted in place; n >= 1. */
double moe_median_sorting(double *x, size_t n);

/** Ranks of the order statistics that bound the median with at least 95 %
 *  confidence, 0-based; samples independent, n >= 6.
 *  Source: binomial(n, 1/2) tail, Hahn & Meeker 1991, section 5.2. */
void moe_median_ci_ranks(size_t n, size_t *low_out, size_t *high_out);

#endif
