/** step_score.h: what a step would make of the mean of max / mean load, without
 *  taking it and without its price. GPUs that only lose load count with what
 *  they had, so that it promises no more than it holds. Parts of
 *  moe_hedge_look(), for its clones.
 */
#ifndef MOEGPS_PLANNER_STEP_SCORE_H
#define MOEGPS_PLANNER_STEP_SCORE_H

#include "hedge_internal.h"
#include "moegps/wide.h"

/* @return the mean over samples of the largest of three. */
MOE_WITHIN float mean_of_largest(const moe_hedge *h, const float *a,
                                 const float *b, const float *c)
{
    const moe_samples *s = h->samples;
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < s->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++)
            lane[k] += s->weight[i + k] *
                       moe_larger(a[i + k], moe_larger(b[i + k], c[i + k]));
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* Steps that follow begin in this slot, which holds an expert. */
MOE_WITHIN void score_from(moe_hedge *h, int slot)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, e = x->expert[slot];
    const float c = (float)x->copies[e];
    const float *load = moe_hedge_load(h, e);
    moe_hedge_origin *o = &h->origin;
    o->slot = slot;
    o->gpu = slot / x->slots;
    o->expert = e;
    o->sum = moe_hedge_sum(h, o->gpu);
    for (int i = 0; i < n; i++)
        o->part[i] = 1.0F / c * load[i];
    for (int i = 0; i < n; i++)
        o->thinner[i] = 1 / (c + 1) * load[i];
    moe_add_load(o->halved, o->sum, load, 1 / (c + 1) - 1 / c, n);
}

/* The expert changes places with what is in slot u of GPU b, if anything. */
MOE_WITHIN float score_swap(moe_hedge *h, int b, int u)
{
    const moe_share *x = h->at;
    const moe_samples *s = h->samples;
    const moe_hedge_origin *o = &h->origin;
    const int f = x->expert[u] >= 0 ? x->expert[u] : o->expert;
    const float *from = o->sum, *to = moe_hedge_sum(h, b);
    const float *of_f = moe_hedge_load(h, f);
    const float back = x->expert[u] >= 0 ? 1.0F / (float)x->copies[f] : 0;
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < s->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++) {
            const float d = o->part[i + k] - back * of_f[i + k];
            lane[k] += s->weight[i + k] *
                       moe_larger(h->rest[i + k],
                                  moe_larger(from[i + k] - d, to[i + k] + d));
        }
    h->steps += 2 * (uint64_t)s->stride;
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* The other holders of f, one replica of which goes from slot u.
 * @return the busiest of h->rest and them, in h->line[2]. */
MOE_WITHIN const float *without_replica(moe_hedge *h, int u, float *left, int a)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, f = x->expert[u];
    const float c = (float)x->copies[f], more = 1.0F / (c - 1) - 1.0F / c;
    const float *load = moe_hedge_load(h, f);
    float *rest = h->line + 2 * MOE_SAMPLES;
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

/* A replica of it is put there instead. */
MOE_WITHIN float score_replica(moe_hedge *h, int b, int u)
{
    const moe_hedge_origin *o = &h->origin;
    const int n = h->samples->stride, f = h->at->expert[u];
    const float *left = o->halved, *rest = h->rest;
    float *right = h->line + MOE_SAMPLES;
    h->steps += 2 * (uint64_t)n;
    moe_add_load(right, moe_hedge_sum(h, b), o->thinner, 1, n);
    if (f >= 0) {
        moe_add_load(right, right, moe_hedge_load(h, f),
                     -1.0F / (float)h->at->copies[f], n);
        left = memcpy(h->line, left, (size_t)n * sizeof *left);
        rest = without_replica(h, u, h->line, o->gpu);
    }
    return mean_of_largest(h, rest, left, right);
}

/* It goes, of several. */
MOE_WITHIN float score_removal(moe_hedge *h)
{
    const moe_hedge_origin *o = &h->origin;
    const int n = h->samples->stride;
    float *left = h->line;
    moe_add_load(left, o->sum, o->part, -1, n);
    const float *rest = without_replica(h, o->slot, left, o->gpu);
    h->steps += 2 * (uint64_t)n;
    return mean_of_largest(h, rest, left, left);
}

#endif
