/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "hedge_internal.h"

/* What a step would make of the score, without taking it. Scores never promise
 * too much: GPUs that only lose load count with what they had. */

/* @return the mean over samples of the largest of three. */
static float mean_of_largest(const moe_hedge *h, const float *a, const float *b,
                             const float *c)
{
    const moe_samples *s = h->samples;
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < s->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++)
            lane[k] += s->weight[i + k] *
                       moe_larger(a[i + k], moe_larger(b[i + k], c[i + k]));
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* What is in slots t and u changes places. */
static float score_of_swap(moe_hedge *h, int t, int u)
{
    const moe_share *x = h->at;
    const moe_samples *s = h->samples;
    const int a = t / x->slots, b = u / x->slots;
    const int e = x->expert[t], f = x->expert[u] >= 0 ? x->expert[u] : e;
    const float *from = moe_hedge_sum(h, a), *to = moe_hedge_sum(h, b);
    const float *of_e = moe_hedge_load(h, e), *of_f = moe_hedge_load(h, f);
    const float part = 1.0F / (float)x->copies[e];
    const float back = x->expert[u] >= 0 ? 1.0F / (float)x->copies[f] : 0;
    float price = moe_hedge_price(h, b, e) - moe_hedge_price(h, a, e);
    float lane[MOE_SAMPLE_LANES] = {0};
    if (x->expert[u] >= 0)
        price += moe_hedge_price(h, a, f) - moe_hedge_price(h, b, f);
    for (int i = 0; i < s->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++) {
            const float d = part * of_e[i + k] - back * of_f[i + k];
            lane[k] += s->weight[i + k] *
                       moe_larger(h->rest[i + k],
                                  moe_larger(from[i + k] - d, to[i + k] + d));
        }
    return (lane[0] + lane[1]) + (lane[2] + lane[3]) + price;
}

/* The other holders of f, one replica of which goes from slot u.
 * @return the busiest of h->rest and them, in h->line[3]. */
static const float *without_replica(moe_hedge *h, int u, float *left, int a)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, f = x->expert[u];
    const float c = (float)x->copies[f], more = 1.0F / (c - 1) - 1.0F / c;
    const float *load = moe_hedge_load(h, f);
    float *rest = h->line + 3 * MOE_SAMPLES;
    memcpy(rest, h->rest, (size_t)n * sizeof *rest);
    for (int v = x->head[f]; v >= 0; v = x->next[v]) {
        const float *sum = moe_hedge_sum(h, v / x->slots);
        if (v == u)
            continue;
        if (v / x->slots == a) {
            moe_add_load(left, left, load, more, n);
            continue;
        }
        for (int i = 0; i < n; i += MOE_SAMPLE_LANES) {
            float lane[MOE_SAMPLE_LANES];
            for (int k = 0; k < MOE_SAMPLE_LANES; k++)
                lane[k] =
                    moe_larger(rest[i + k], sum[i + k] + more * load[i + k]);
            memcpy(rest + i, lane, sizeof lane);
        }
    }
    h->steps += (uint64_t)(x->copies[f] * n);
    return rest;
}

/* A replica of what is in slot t, in slot u. */
static float score_of_replica(moe_hedge *h, int t, int u)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, a = t / x->slots, b = u / x->slots;
    const int e = x->expert[t], f = x->expert[u];
    const float c = (float)x->copies[e];
    float *left = h->line + MOE_SAMPLES, *right = h->line + 2 * MOE_SAMPLES;
    const float *load = moe_hedge_load(h, e), *rest = h->rest;
    moe_add_load(left, moe_hedge_sum(h, a), load, 1 / (c + 1) - 1 / c, n);
    moe_add_load(right, moe_hedge_sum(h, b), load, 1 / (c + 1), n);
    float price = moe_hedge_price(h, b, e);
    if (f >= 0) {
        moe_add_load(right, right, moe_hedge_load(h, f),
                     -1.0F / (float)x->copies[f], n);
        rest = without_replica(h, u, left, a);
        price -= moe_hedge_price(h, b, f);
    }
    return mean_of_largest(h, rest, left, right) + price;
}

/* The replica in slot t goes. */
static float score_of_removal(moe_hedge *h, int t)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, a = t / x->slots, e = x->expert[t];
    float *left = h->line;
    moe_add_load(left, moe_hedge_sum(h, a), moe_hedge_load(h, e),
                 -1.0F / (float)x->copies[e], n);
    const float *rest = without_replica(h, t, left, a);
    return mean_of_largest(h, rest, left, left) - moe_hedge_price(h, a, e);
}

float moe_hedge_score(moe_hedge *h, const moe_hedge_step *w)
{
    h->steps += 2 * (uint64_t)h->samples->stride;
    if (w->to < 0)
        return score_of_removal(h, w->from);
    return w->adds ? score_of_replica(h, w->from, w->to)
                   : score_of_swap(h, w->from, w->to);
}
