/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "moegps/synth.h"

/* Whether the sum of a row counts no pairs of tokens. */
static bool is_share(double pairs, int top_k)
{
    return pairs < top_k || pairs != floor(pairs);
}

/* @return share of a binomial's variance that is left when `tokens` are drawn
 * from as many as the pairs are of, none twice; 1 for shares. */
static double variance_left(double pairs, int top_k, double tokens)
{
    const double of = pairs / top_k;
    if (is_share(pairs, top_k))
        return 1;
    return of > tokens ? (of - tokens) / (of - 1) : 0;
}

/* @param q, counts  [n] scratch */
static void draw_row(double *load, int n, int top_k, uint32_t tokens,
                     moe_rng *rng, double *q, uint32_t *counts)
{
    double pairs = 0;
    for (int e = 0; e < n; e++)
        pairs += load[e];
    const double left = variance_left(pairs, top_k, tokens);
    moe_synth_inclusion(load, n, top_k, q);
    moe_synth_draw_counts(q, n, top_k, tokens, rng, counts);
    for (int e = 0; e < n; e++)
        q[e] += sqrt(left) * (counts[e] / (double)tokens - q[e]);
    moe_synth_apportion(q, n, top_k, tokens, counts);
    for (int e = 0; e < n; e++)
        load[e] = counts[e];
}

int moe_recording_passes(const moe_recording *r, int top_k, uint32_t tokens)
{
    const size_t n_e = (size_t)r->experts, rows = r->steps * (size_t)r->layers;
    double sum = 0;
    for (size_t i = 0; i < rows; i++) {
        double pairs = 0;
        for (size_t e = 0; e < n_e; e++)
            pairs += r->load[i * n_e + e];
        if (is_share(pairs, top_k))
            return 1;
        sum += pairs;
    }
    const double passes = sum / (double)rows / top_k / tokens;
    return (int)fmin(fmax(round(passes), 1), INT_MAX);
}

moe_status moe_recording_draw(moe_recording *r, int top_k, uint32_t tokens,
                              uint64_t seed, moe_error *err)
{
    moe_error local = {0};
    const size_t n_e = (size_t)r->experts, rows = r->steps * (size_t)r->layers;
    double *q = moe_array_new(n_e, sizeof *q, &local);
    uint32_t *counts = moe_array_new(n_e, sizeof *counts, &local);
    for (size_t i = 0; local.status == MOE_OK && i < rows; i++) {
        moe_rng rng = moe_rng_at(seed, MOE_RNG_DRAW, i / (size_t)r->layers,
                                 i % (size_t)r->layers, 0);
        double sum = 0;
        moe_bulk_passed(r->load + i * n_e, n_e * sizeof *r->load);
        for (size_t e = 0; e < n_e; e++)
            sum += r->load[i * n_e + e];
        if (sum > 0)
            draw_row(r->load + i * n_e, r->experts, top_k, tokens, &rng, q,
                     counts);
        else
            moe_fail(&local, MOE_FORMAT, "step %lld, layer %d has no load",
                     (long long)r->step_number[i / (size_t)r->layers],
                     r->layer_number[i % (size_t)r->layers]);
    }
    free(q);
    free(counts);
    return moe_pass(err, &local);
}
