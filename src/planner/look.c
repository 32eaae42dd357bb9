/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "step_score.h"

/* The best step that relieves a GPU. Weighted sums over the samples in which it
 * is the busiest bound every score from below: the mean of a maximum is no less
 * than the maximum of means, and elsewhere the busiest GPU stays. A bound takes
 * a few operations, for several GPUs at once; a score, several for every sample.
 * So only steps whose bound is below the best score so far are scored. */

enum { LANES = MOE_HEDGE_LANES };

/* What bounds of steps from one GPU have in common. */
typedef struct {
    int gpu;
    float elsewhere; /* score of the other samples */
    float level;     /* the GPU's load in its samples, */
    float others;    /* and that of the busiest of the others */
} site;

/* @return the sum of x in the samples that `weight` picks. */
MOE_WITHIN float pick(const moe_hedge *h, const float *weight, const float *x)
{
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < h->samples->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++)
            lane[k] += weight[i + k] * x[i + k];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* What each expert is worth in one replica, and asks for when it leaves a slot
 * for the GPU, or for nowhere; the last one stands for empty slots. */
MOE_WITHIN void weigh_experts(moe_hedge *h, int gpu)
{
    const moe_share *x = h->at;
    const int n = x->experts;
    const int *restrict copies = x->copies;
    const uint8_t *restrict held = h->held + (size_t)gpu * (size_t)n;
    float *restrict worth = h->worth, *restrict fee = h->fee;
    float *restrict last = h->last;
    const float price = h->price;
    for (int e = 0; e < n; e++)
        worth[e] /= (float)copies[e];
    for (int e = 0; e < n; e++)
        last[e] = copies[e] > 1 ? 0 : INFINITY;
    for (int e = 0; e < n; e++)
        fee[e] = held[e] != 0 ? 0 : price;
    for (int t = gpu * x->slots; t < (gpu + 1) * x->slots; t++)
        if (x->expert[t] >= 0)
            fee[x->expert[t]] = INFINITY;
    h->steps += (uint64_t)x->experts;
}

/* What is in each slot. */
MOE_WITHIN void weigh_slots(moe_hedge *h)
{
    const int n = h->p.slots * h->row;
    const int *restrict held = h->expert;
    const float *restrict back = h->back, *restrict worth = h->worth;
    const float *restrict fee = h->fee, *restrict last = h->last;
    float *restrict piece = h->piece, *restrict swaps = h->swaps;
    float *restrict replaces = h->replaces;
    for (int i = 0; i < n; i++) {
        piece[i] = worth[held[i]];
        swaps[i] = fee[held[i]] - back[i];
        replaces[i] = last[held[i]] - back[i];
    }
    h->steps += (uint64_t)(h->p.gpus * h->p.slots);
}

MOE_WITHIN site weigh(moe_hedge *h, int gpu, float score)
{
    const moe_samples *s = h->samples;
    float weight[MOE_SAMPLES] = {0};
    memset(h->worth, 0, (size_t)h->p.experts * sizeof *h->worth);
    for (int i = 0; i < s->n; i++) {
        if (h->busiest[i] != gpu)
            continue;
        const float *share = s->share + (size_t)i * (size_t)h->p.experts;
        weight[i] = s->weight[i];
        for (int e = 0; e < h->p.experts; e++)
            h->worth[e] += weight[i] * share[e];
        h->steps += (uint64_t)h->p.experts / 4;
    }
    for (int g = 0; g < h->p.gpus; g++)
        h->level[g] = pick(h, weight, moe_hedge_sum(h, g));
    h->steps += (uint64_t)s->stride * (uint64_t)h->p.gpus / 4;
    return (site){.gpu = gpu,
                  .elsewhere = score - h->level[gpu],
                  .level = h->level[gpu],
                  .others = pick(h, weight, h->rest)};
}

/* The price of an expert on every GPU that may take it. */
MOE_WITHIN void price_entry(moe_hedge *h, const site *s, int expert)
{
    const moe_share *x = h->at;
    for (int g = 0; g < x->gpus; g++)
        h->entry[g] =
            h->level[g] < s->level ? moe_hedge_price(h, g, expert) : INFINITY;
    for (int t = x->head[expert]; t >= 0; t = x->next[t])
        h->entry[t / x->slots] = INFINITY;
    for (int g = x->gpus; g < h->row; g++)
        h->entry[g] = INFINITY;
    h->steps += (uint64_t)(x->gpus + x->copies[expert]);
}

MOE_WITHIN void take_better(moe_hedge_step w, moe_hedge_step *best)
{
    if (w.score < best->score)
        *best = w;
}

/* Steps of one kind with an expert of the GPU. */
typedef struct {
    bool adds;
    float comes;      /* to the other GPU, */
    float remains;    /* and on this one, before what comes back */
    float least;      /* of the busiest of the others */
    float pays;       /* what leaves its slot */
    const float *fee; /* [slots][gpus] of what leaves the other slot */
} steps;

/* Bounds of those to slots of place k, of all GPUs.
 * @return whether any is below `limit`. */
MOE_WITHIN bool bound_place(moe_hedge *h, const site *s, const steps *x, int k,
                            float limit)
{
    const float *piece = h->piece + k * h->row, *fee = x->fee + k * h->row;
    const float *level = h->level, *entry = h->entry;
    const float base = s->elsewhere, comes = x->comes;
    const float remains = x->remains, least = x->least;
    float *bound = h->bound;
    const bool adds = x->adds;
    int low[LANES] = {0}, any = 0;
    for (int first = 0; first < h->row; first += LANES)
#pragma omp simd
        for (int j = 0; j < LANES; j++) {
            const int g = first + j;
            const float there = level[g] - piece[g] + comes;
            float peak = moe_larger(there, least);
            if (!adds)
                peak = moe_larger(peak, remains + piece[g]);
            bound[g] = base + entry[g] + fee[g] + peak;
            low[j] |= bound[g] < limit;
        }
    for (int j = 0; j < LANES; j++)
        any |= low[j];
    return any != 0;
}

/* Score the one to GPU g. */
MOE_WITHIN void consider(moe_hedge *h, const steps *x, int g, int k,
                         moe_hedge_step *best)
{
    const int t = g * h->p.slots + k;
    const float price = h->entry[g] + x->fee[k * h->row + g] - x->pays;
    const float load = x->adds ? score_replica(h, g, t) : score_swap(h, g, t);
    take_better((moe_hedge_step){h->origin.slot, t, x->adds, load + price},
                best);
}

/* Score those whose bound is low enough. */
MOE_WITHIN void look_at_place(moe_hedge *h, const site *s, const steps *x,
                              int k, moe_hedge_step *best)
{
    if (!bound_place(h, s, x, k, best->score + x->pays))
        return;
    for (int first = 0; first < h->row; first += LANES) {
        const float limit = best->score + x->pays, *bound = h->bound + first;
        int any = 0;
#pragma omp simd reduction(| : any)
        for (int j = 0; j < LANES; j++)
            any |= bound[j] < limit;
        for (int j = 0; any && j < LANES; j++)
            if (bound[j] < best->score + x->pays)
                consider(h, x, first + j, k, best);
    }
}

/* Steps with the expert in slot t. */
MOE_WITHIN void look_from(moe_hedge *h, const site *s, int t,
                          moe_hedge_step *best)
{
    const moe_share *x = h->at;
    const int e = x->expert[t];
    const float c = (float)x->copies[e], own = h->worth[e];
    const float left = own * c / (c + 1),
                leave = h->back[moe_hedge_place(h, t)];
    const float gone = moe_larger(s->level - own, s->others);
    const float halved = moe_larger(s->level - (own - left), s->others);
    const steps swap = {.comes = own,
                        .remains = s->level - own,
                        .least = s->others,
                        .pays = leave,
                        .fee = h->swaps};
    const steps copy = {
        .adds = true, .comes = left, .least = halved, .fee = h->replaces};
    score_from(h, t);
    if (c > 1)
        take_better((moe_hedge_step){t, -1, false, score_removal(h) - leave},
                    best);
    if (s->elsewhere + gone >= best->score + leave + h->price)
        return;
    price_entry(h, s, e);
    for (int k = 0; k < x->slots; k++) {
        look_at_place(h, s, &swap, k, best);
        if (s->elsewhere + halved < best->score + h->price)
            look_at_place(h, s, &copy, k, best);
    }
    h->steps += (uint64_t)(x->gpus * x->slots);
}

/* Slots of the GPU in use, those with the smallest part first.
 * @return how many. */
MOE_WITHIN int sort_slots(moe_hedge *h, int gpu)
{
    const moe_share *x = h->at;
    int n = 0;
    for (int t = gpu * x->slots; t < (gpu + 1) * x->slots; t++) {
        if (x->expert[t] < 0)
            continue;
        const float part = h->worth[x->expert[t]];
        int at = n++;
        for (; at > 0 && h->worth[x->expert[h->turn[at - 1]]] > part; at--)
            h->turn[at] = h->turn[at - 1];
        h->turn[at] = t;
    }
    return n;
}

/* Of equal steps the one that moves least comes first, and is taken. */
MOE_WIDE_EXACT void moe_hedge_look(moe_hedge *h, int gpu, float score,
                                   moe_hedge_step *best)
{
    const site s = weigh(h, gpu, score);
    weigh_experts(h, gpu);
    weigh_slots(h);
    const int n = sort_slots(h, gpu);
    for (int i = 0; i < n; i++)
        look_from(h, &s, h->turn[i], best);
}
