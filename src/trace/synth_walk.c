/* SPDX-License-Identifier: Apache-2.0 */
#include "synth_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

moe_rng moe_synth_rng(const moe_synth_params *p, moe_synth_stream what,
                      uint64_t seq, int layer, uint64_t token)
{
    return moe_rng_at(p->seed, MOE_RNG_SYNTH, (uint64_t)what << 56 | seq,
                      (uint64_t)layer, token);
}

void moe_synth_inclusion(const double *weight, int n, int k, double *out)
{
    double left = k;
    for (int e = 0; e < n; e++)
        out[e] = 0;
    for (;;) { /* each round but the last caps an expert: k rounds at most */
        double sum = 0;
        int open = 0, capped = 0;
        for (int e = 0; e < n; e++) {
            sum += out[e] < 1 ? weight[e] : 0;
            open += out[e] < 1;
        }
        for (int e = 0; e < n; e++)
            if (out[e] < 1 && sum > 0 && weight[e] / sum * left >= 1) {
                out[e] = 1;
                capped++;
            }
        if (capped == 0) {
            for (int e = 0; e < n; e++)
                if (out[e] < 1) /* without weight left: all alike */
                    out[e] = sum > 0 ? weight[e] / sum * left : left / open;
            return;
        }
        left -= capped;
        if (left <= 0)
            return;
    }
}

typedef struct {
    double rest;
    int expert;
} remainder_of;

static int by_remainder(const void *a, const void *b)
{
    const remainder_of *x = a, *y = b;
    if (x->rest != y->rest)
        return x->rest > y->rest ? -1 : 1;
    return x->expert - y->expert;
}

void moe_synth_apportion(const double *inclusion, int n, int k, uint32_t tokens,
                         uint32_t *counts_out)
{
    remainder_of order[MOE_MAX_EXPERTS];
    int64_t left = (int64_t)tokens * k;
    for (int e = 0; e < n; e++) {
        double x = fmin(inclusion[e], 1) * tokens;
        counts_out[e] = (uint32_t)x;
        order[e] = (remainder_of){x - floor(x), e};
        left -= counts_out[e];
    }
    qsort(order, (size_t)n, sizeof order[0], by_remainder);
    /* Rounding can leave more than one round, or one pair too many. */
    while (left != 0)
        for (int j = 0; j < n && left != 0; j++) {
            uint32_t *c = &counts_out[order[left > 0 ? j : n - 1 - j].expert];
            if (left > 0 && *c < tokens) {
                (*c)++;
                left--;
            } else if (left < 0 && *c > 0) {
                (*c)--;
                left++;
            }
        }
}

static moe_status parse_shares(const moe_synth_params *p, double *shares,
                               moe_error *err)
{
    const char *at = p->shares;
    int positive = 0;
    for (int e = 0; e < p->experts; e++) {
        char *end = NULL;
        shares[e] = strtod(at, &end);
        if (end == at || !isfinite(shares[e]) || shares[e] < 0 ||
            *end != (e + 1 < p->experts ? ',' : '\0'))
            return moe_fail(err, MOE_USAGE,
                            "shares: expected %d comma-separated numbers >= 0, "
                            "wrong at number %d",
                            p->experts, e + 1);
        positive += shares[e] > 0;
        at = end + 1;
    }
    if (positive < p->top_k)
        return moe_fail(err, MOE_USAGE,
                        "shares: %d experts have a share, but a token needs %d",
                        positive, p->top_k);
    return MOE_OK;
}

moe_status moe_synth_walk_init(moe_synth_walk *walk, const moe_synth_params *p,
                               moe_error *err)
{
    const size_t n = (size_t)p->experts;
    moe_error local = {0};
    walk->shares = moe_array_new(n, sizeof *walk->shares, &local);
    walk->level = moe_array_new(n, sizeof *walk->level, &local);
    walk->weight = moe_array_new(n, sizeof *walk->weight, &local);
    walk->inclusion = moe_array_new(n, sizeof *walk->inclusion, &local);
    if (local.status == MOE_OK && p->shape == MOE_SYNTH_SHARES)
        parse_shares(p, walk->shares, &local);
    return moe_pass(err, &local);
}

void moe_synth_walk_fini(moe_synth_walk *walk)
{
    free(walk->shares);
    free(walk->level);
    free(walk->weight);
    free(walk->inclusion);
}

static void start(moe_synth_walk *walk, const moe_synth_params *p, int layer)
{
    moe_rng rng = moe_synth_rng(p, MOE_DRAW_POPULARITY, 0, layer, 0);
    for (int e = 0; e < p->experts; e++)
        walk->level[e] =
            p->shape == MOE_SYNTH_LOGNORMAL ? p->sigma * moe_rng_normal(&rng)
            : p->shape == MOE_SYNTH_ZIPF    ? -p->exponent * log(e + 1)
                                            : log(walk->shares[e]);
    if (p->shape == MOE_SYNTH_ZIPF)
        moe_rng_shuffle(&rng, walk->level, (size_t)p->experts,
                        sizeof *walk->level);
}

void moe_synth_walk_to(moe_synth_walk *walk, const moe_synth_params *p,
                       int layer, uint64_t seq)
{
    if (seq == 0) {
        start(walk, p, layer);
    } else if (p->drift > 0) {
        moe_rng rng = moe_synth_rng(p, MOE_DRAW_DRIFT, seq, layer, 0);
        for (int e = 0; e < p->experts; e++)
            walk->level[e] += p->drift * moe_rng_normal(&rng);
    }
    double most = -INFINITY;
    for (int e = 0; e < p->experts; e++)
        most = fmax(most, walk->level[e]);
    for (int e = 0; e < p->experts; e++)
        walk->weight[e] = exp(walk->level[e] - most);
    moe_synth_inclusion(walk->weight, p->experts, p->top_k, walk->inclusion);
}
