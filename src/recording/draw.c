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

/* What a row is drawn with. */
typedef struct {
    int n, top_k; /* experts, of a token */
    uint32_t tokens;
    double *q;        /* [n] scratch, as the next */
    uint32_t *counts; /* [n] */
} drawing;

static void draw_row(const drawing *d, double *load, moe_rng *rng)
{
    double pairs = 0;
    for (int e = 0; e < d->n; e++)
        pairs += load[e];
    const double left = variance_left(pairs, d->top_k, d->tokens);
    moe_synth_inclusion(load, d->n, d->top_k, d->q);
    moe_synth_draw_counts(d->q, d->n, d->top_k, d->tokens, rng, d->counts);
    for (int e = 0; e < d->n; e++)
        d->q[e] += sqrt(left) * (d->counts[e] / (double)d->tokens - d->q[e]);
    moe_synth_apportion(d->q, d->n, d->top_k, d->tokens, d->counts);
    for (int e = 0; e < d->n; e++)
        load[e] = d->counts[e];
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
    const drawing d = {r->experts, top_k, tokens,
                       moe_array_new(n_e, sizeof *d.q, &local),
                       moe_array_new(n_e, sizeof *d.counts, &local)};
    for (size_t i = 0; local.status == MOE_OK && i < rows; i++) {
        moe_rng rng = moe_rng_at(seed, MOE_RNG_DRAW, i / (size_t)r->layers,
                                 i % (size_t)r->layers, 0);
        double sum = 0;
        moe_bulk_passed(r->load + i * n_e, n_e * sizeof *r->load);
        for (size_t e = 0; e < n_e; e++)
            sum += r->load[i * n_e + e];
        if (sum > 0)
            draw_row(&d, r->load + i * n_e, &rng);
        else
            moe_fail(&local, MOE_FORMAT, "step %lld, layer %d has no load",
                     (long long)r->step_number[i / (size_t)r->layers],
                     r->layer_number[i % (size_t)r->layers]);
    }
    free(d.q);
    free(d.counts);
    return moe_pass(err, &local);
}
