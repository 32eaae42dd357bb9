/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "hedge_internal.h"

/* The best step that relieves a GPU. Weighted sums over the samples in which it
 * is the busiest bound every score from below: the mean of a maximum is no less
 * than the maximum of means, and elsewhere the busiest GPU stays. A bound takes
 * a few operations, for several GPUs at once; a score, several for every sample.
 * So only steps whose bound is below the best score so far are scored. */

/* What bounds of steps from one GPU have in common. */
typedef struct {
    int gpu;
    float elsewhere; /* score of the other samples */
    float level;     /* the GPU's load in its samples, */
    float others;    /* and that of the busiest of the others */
} site;

/* @return the sum of x in the samples that `weight` picks. */
static float pick(const moe_hedge *h, const float *weight, const float *x)
{
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < h->samples->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++)
            lane[k] += weight[i + k] * x[i + k];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* What each expert is worth in one replica, and asks for when it leaves a slot
 * for the GPU, or for nowhere; the last one stands for empty slots. */
static void weigh_experts(moe_hedge *h, int gpu)
{
    const moe_share *x = h->at;
    const int n = x->experts;
    const int *restrict copies = x->copies;
    const bool *restrict held = h->held + (size_t)gpu * (size_t)n;
    float *restrict worth = h->worth, *restrict fee = h->fee;
    float *restrict last = h->last;
    const float price = h->price;
    for (int e = 0; e < n; e++)
        worth[e] /= (float)copies[e];
    for (int e = 0; e < n; e++)
        last[e] = copies[e] > 1 ? 0 : INFINITY;
    for (int e = 0; e < n; e++)
        fee[e] = held[e] ? 0 : price;
    for (int t = gpu * x->slots; t < (gpu + 1) * x->slots; t++)
        if (x->expert[t] >= 0)
            fee[x->expert[t]] = INFINITY;
    h->steps += (uint64_t)x->experts;
}

/* Slots by their place on the GPU, so that those of all GPUs are together. */
static void weigh_slots(moe_hedge *h)
{
    const moe_share *x = h->at;
    const int gpus = x->gpus, slots = x->slots, none = x->experts;
    for (int k = 0; k < slots; k++)
        for (int g = 0; g < gpus; g++) {
            const int t = g * slots + k, at = k * gpus + g;
            const int e = x->expert[t] < 0 ? none : x->expert[t];
            h->piece[at] = h->worth[e];
            h->beside[at] = h->level[g] - h->worth[e];
            h->swaps[at] = h->fee[e] - h->back[t];
            h->replaces[at] = h->last[e] - h->back[t];
        }
    h->steps += (uint64_t)(gpus * slots);
}

static site weigh(moe_hedge *h, int gpu, float score)
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
static void price_entry(moe_hedge *h, const site *s, int expert)
{
    const moe_share *x = h->at;
    for (int g = 0; g < x->gpus; g++)
        h->entry[g] =
            h->level[g] < s->level ? moe_hedge_price(h, g, expert) : INFINITY;
    for (int t = x->head[expert]; t >= 0; t = x->next[t])
        h->entry[t / x->slots] = INFINITY;
    h->steps += (uint64_t)(x->gpus + x->copies[expert]);
}

/* Bounds of swaps of an expert's replica for what is in the GPUs' slots of one
 * place. @return whether any is below `limit`. */
static bool bound_swaps(moe_hedge *h, const site *s, int k, float own,
                        float limit)
{
    const int n = h->p.gpus;
    const float *restrict piece = h->piece + k * n;
    const float *restrict beside = h->beside + k * n;
    const float *restrict fee = h->swaps + k * n, *restrict entry = h->entry;
    float *restrict out = h->bound;
    const float from = s->level - own, others = s->others, base = s->elsewhere;
    int any = 0;
    for (int g = 0; g < n; g++) {
        const float peak = moe_larger(from + piece[g], beside[g] + own);
        out[g] = base + entry[g] + fee[g] + moe_larger(peak, others);
        any |= out[g] < limit;
    }
    return any != 0;
}

/* The same of one more replica there.
 *  @param least  what the busiest of the other GPUs has then
 *  @param left   what every replica has */
static bool bound_copies(moe_hedge *h, const site *s, int k, float least,
                         float left, float limit)
{
    const int n = h->p.gpus;
    const float *restrict beside = h->beside + k * n;
    const float *restrict fee = h->replaces + k * n, *restrict entry = h->entry;
    float *restrict out = h->bound;
    const float base = s->elsewhere;
    int any = 0;
    for (int g = 0; g < n; g++) {
        out[g] = base + entry[g] + fee[g] + moe_larger(least, beside[g] + left);
        any |= out[g] < limit;
    }
    return any != 0;
}

static void look_at(moe_hedge *h, moe_hedge_step w, moe_hedge_step *best)
{
    w.score = moe_hedge_score(h, &w);
    if (w.score < best->score)
        *best = w;
}

/* Score steps of one kind to slots of place k. */
static void look_at_place(moe_hedge *h, moe_hedge_step w, int k, float leave,
                          moe_hedge_step *best)
{
    for (int g = 0; g < h->p.gpus; g++)
        if (h->bound[g] < best->score + leave) {
            w.to = g * h->p.slots + k;
            look_at(h, w, best);
        }
}

/* Steps with the expert in slot t. */
static void look_from(moe_hedge *h, const site *s, int t, moe_hedge_step *best)
{
    const moe_share *x = h->at;
    const int e = x->expert[t];
    const float c = (float)x->copies[e], own = h->worth[e];
    const float left = own * c / (c + 1), leave = h->back[t];
    const float gone = moe_larger(s->level - own, s->others);
    const float halved = moe_larger(s->level - (own - left), s->others);
    moe_hedge_step w = {.from = t, .to = -1};
    if (c > 1)
        look_at(h, w, best);
    if (s->elsewhere + gone >= best->score + leave + h->price)
        return;
    price_entry(h, s, e);
    for (int k = 0; k < x->slots; k++) {
        if (bound_swaps(h, s, k, own, best->score + leave))
            look_at_place(h, (moe_hedge_step){.from = t}, k, leave, best);
        if (s->elsewhere + halved < best->score + h->price &&
            bound_copies(h, s, k, halved, left, best->score))
            look_at_place(h, (moe_hedge_step){.from = t, .adds = true}, k, 0,
                          best);
    }
    h->steps += (uint64_t)(x->gpus * x->slots);
}

/* Slots of the GPU in use, those with the smallest part first.
 * @return how many. */
static int sort_slots(moe_hedge *h, int gpu)
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
void moe_hedge_look(moe_hedge *h, int gpu, float score, moe_hedge_step *best)
{
    const site s = weigh(h, gpu, score);
    weigh_experts(h, gpu);
    weigh_slots(h);
    const int n = sort_slots(h, gpu);
    for (int i = 0; i < n; i++)
        look_from(h, &s, h->turn[i], best);
}
