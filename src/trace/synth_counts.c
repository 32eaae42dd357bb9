/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/synth.h"

#include <float.h>
#include <math.h>

/* Variances of independent counts that, given their sum, have those of the
 * experts of one token: c with c - c^2 / sum c = p (1 - p) (Deville and Tille
 * 2005), until they stay. @return their sum. */
static double count_variances(const double *inclusion, int n, double *out)
{
    enum { ROUNDS = 20 }; /* gains a binary digit each, at worst */
    double alone[MOE_MAX_EXPERTS], sum = 0;
    for (int e = 0; e < n; e++) {
        out[e] = alone[e] = inclusion[e] * (1 - fmin(inclusion[e], 1));
        sum += out[e];
    }
    bool moved = sum > 0;
    for (int round = 1; round < ROUNDS && moved; round++) {
        int other = 0;
        const double before = sum;
        for (int e = 0; e < n; e++) { /* in vectors */
            const double c = out[e];
            out[e] = alone[e] + c * c / before;
            other |= (out[e] < c) | (out[e] > c);
        }
        sum = 0;
        for (int e = 0; e < n; e++)
            sum += out[e];
        moved = other != 0;
    }
    return sum;
}

/* @return the count that a standard normal z stands for among those of a
 * binomial distribution of p <= 1/2: its quantile. */
static double binomial_quantile(double trials, double p, double z)
{
    const double below = 0.5 * erfc(-z / sqrt(2));
    double share = exp(trials * log1p(-p)), sum = share;
    double x = 0;
    while (sum < below && x < trials) {
        share *= (trials - x) / (x + 1) * p / (1 - p);
        sum += share;
        x++;
        if (share < DBL_EPSILON * sum && x > trials * p)
            break; /* what is left is rounding */
    }
    return x;
}

/* @return a whole number with a mean and a variance: binomial, or beyond some
 * hundred as good as normal. */
static double draw_count(double mean, double variance, double z)
{
    static const double NORMAL = 100.0;
    if (!(variance > 0) || !(mean > 0))
        return floor(fmax(mean, 0) + 0.5);
    const double p = fmax(1 - variance / mean, 1e-9);
    const double trials = floor(mean / p + 0.5);
    if (fmin(mean, trials - mean) > NORMAL)
        return floor(mean + sqrt(variance) * z + 0.5);
    return p <= 0.5 ? binomial_quantile(trials, fmin(mean / trials, 0.5), z)
                    : trials - binomial_quantile(
                                   trials,
                                   fmin(fmax(1 - mean / trials, 0), 0.5), -z);
}

void moe_synth_draw_counts(const double *inclusion, int n, int k,
                           uint32_t tokens, moe_rng *rng, uint32_t *counts_out)
{
    double c[MOE_MAX_EXPERTS];
    double open = count_variances(inclusion, n, c), ahead = 0;
    int64_t left = (int64_t)tokens * k;
    for (int e = 0; e < n; e++) {
        /* What earlier experts have too many of, later ones have too few. */
        const double part = open > 0 ? fmin(c[e] / open, 1) : 0;
        const double mean = tokens * inclusion[e] - part * ahead;
        const double most = (double)(left < tokens ? left : tokens);
        const double least = (double)left - (double)tokens * (n - 1 - e);
        const double x =
            draw_count(mean, tokens * c[e] * (1 - part), moe_rng_normal(rng));
        counts_out[e] = (uint32_t)fmin(fmax(x, fmax(least, 0)), most);
        ahead += counts_out[e] - tokens * inclusion[e];
        left -= counts_out[e];
        open -= c[e];
    }
}
