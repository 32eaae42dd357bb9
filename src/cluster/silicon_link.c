/* SPDX-License-Identifier: Apache-2.0 */

/* Collectives: straight lines between measured sizes, as a collective is a
 * latency plus bytes over a bandwidth, piecewise. Left out one by one, points
 * are met within 2.1 % (median); lines on logarithms miss them by 3.1 %. */

#include <math.h>
#include <string.h>

#include "silicon_internal.h"

/* Guesses of errors, see silicon_error.c. Of a measured point: neighbours among the smallest sizes, where only the
 * latency counts, scatter by 1 to 3 %. */
static const double REPEAT_ERROR = 0.02;
/* Left-out points have neighbours twice as far as a point in between. */
static const double GAP_FACTOR = 0.5;
/* Of a GPU count that was not measured: per octave away from those that
 * were; doubling GPUs changes times by 10 to 25 % on switches. */
static const double COUNT_ERROR = 0.2;
/* Of another GPU with the same links: 252 collectives of an H200 were missed by
 * those of an H100 by 2.3 % (median) and 9.2 % (90th percentile). */
static const double SCALED_ERROR = 0.02;

static void load_count(const moe_silicon *s, size_t table, moe_link *link)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_LINK];
    const size_t c = link->n_counts++;
    link->count[c].gpus = t->column[LINK_GPUS][table];
    size_t n = 0;
    for (int32_t r = t->first[table]; r < t->first[table + 1]; r++) {
        link->count[c].bytes[n] = t->x[r];
        link->count[c].time_us[n] = t->time_us[r];
        link->count[c].error[n++] = 0;
    }
    link->count[c].n = n;
    for (size_t i = 1; i + 1 < n; i++) {
        const double *x = link->count[c].bytes, *y = link->count[c].time_us;
        double w = (x[i] - x[i - 1]) / (x[i + 1] - x[i - 1]);
        double us = y[i - 1] + w * (y[i + 1] - y[i - 1]);
        link->count[c].error[i] = fabs(us / y[i] - 1);
    }
}

static void sort_counts(moe_link *link)
{
    for (size_t i = 1; i < link->n_counts; i++)
        for (size_t j = i; j > 0; j--)
            if (link->count[j].gpus < link->count[j - 1].gpus) {
                moe_link swap = {0};
                swap.count[0] = link->count[j];
                link->count[j] = link->count[j - 1];
                link->count[j - 1] = swap.count[0];
            }
}

moe_status moe_silicon_link(const moe_silicon *s, const char *op,
                            const char *gpu, const char *nccl, moe_link *out,
                            moe_error *err)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_LINK];
    int codes[3];
    if (moe_silicon_find(s, MOE_SILICON_LINK, (const char *[]){gpu, nccl, op},
                         3, codes, err) != MOE_OK)
        return MOE_USAGE;
    moe_link link = {0};
    for (size_t i = 0; i < t->n; i++) {
        if (t->column[LINK_GPU][i] != codes[LINK_GPU] ||
            t->column[LINK_OP][i] != codes[LINK_OP])
            continue;
        if (t->column[LINK_NCCL][i] != codes[LINK_NCCL])
            continue;
        if (link.n_counts == MOE_LINK_COUNTS)
            return moe_fail(err, MOE_FORMAT,
                            "%s on %s: more than %d GPU counts", op, gpu,
                            MOE_LINK_COUNTS);
        load_count(s, i, &link);
    }
    sort_counts(&link);
    *out = link;
    return MOE_OK;
}

void moe_link_smooth(moe_link *link)
{
    for (size_t c = 0; c < link->n_counts; c++)
        moe_silicon_rise(link->count[c].time_us, link->count[c].n);
}

/* A time, and a guess of its error. */
typedef struct {
    double us, guess;
    moe_price_source source;
} reading;

/* At one measured GPU count: the latency below the first size, the bandwidth
 * of the last two above the last. */
static reading read_at(const moe_link *link, size_t c, double bytes)
{
    const double *x = link->count[c].bytes, *y = link->count[c].time_us;
    const double *e = link->count[c].error;
    const size_t n = link->count[c].n, last = n - 1;
    size_t i;
    double w;
    moe_silicon_bracket(x, n, bytes, &i, &w);
    size_t next = n > 1 ? i + 1 : i;
    reading r = {y[i] + w * (y[next] - y[i]),
                 REPEAT_ERROR + GAP_FACTOR * 0.5 * (e[i] + e[next]),
                 MOE_PRICE_INTERPOLATED};
    if (bytes > x[last]) {
        double slope = n > 1 ? (y[last] - y[last - 1]) / (x[last] - x[last - 1])
                             : y[last] / x[last];
        r.us += slope * (bytes - x[last]);
        r.source = MOE_PRICE_EXTRAPOLATED;
    } else if (bytes < x[0]) {
        r.source = MOE_PRICE_EXTRAPOLATED;
    } else if (w == 0 || w == 1) {
        r.source = MOE_PRICE_TABULATED;
        r.guess = REPEAT_ERROR;
    }
    return r;
}

moe_price moe_link_price(const moe_link *link, double gpus, double bytes)
{
    double counts[MOE_LINK_COUNTS], w;
    size_t c;
    for (size_t i = 0; i < link->n_counts; i++)
        counts[i] = log2(link->count[i].gpus);
    moe_silicon_bracket(counts, link->n_counts, log2(gpus), &c, &w);
    if (w == 1 && ++c > 0)
        w = 0;
    reading r = read_at(link, c, bytes);
    if (w > 0) {
        const reading far = read_at(link, c + 1, bytes);
        r.us = exp(log(r.us) * (1 - w) + log(far.us) * w);
        r.guess = fmax(r.guess, far.guess) + COUNT_ERROR * fmin(w, 1 - w);
        r.source = r.source > far.source ? r.source : far.source;
        if (r.source == MOE_PRICE_TABULATED)
            r.source = MOE_PRICE_INTERPOLATED;
    }
    double beyond =
        fmax(log2(gpus) - counts[link->n_counts - 1], counts[0] - log2(gpus));
    if (beyond > 0) {
        r.source = MOE_PRICE_EXTRAPOLATED;
        r.guess += COUNT_ERROR * beyond;
    }
    if (link->of_relative) {
        r.source = MOE_PRICE_SCALED;
        r.guess += SCALED_ERROR;
    }
    return moe_silicon_price(MOE_SILICON_LINK, r.us * 1e-6, r.source, r.guess);
}
