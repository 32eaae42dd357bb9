/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "hedge_internal.h"

/* Steps from one placement to a better one: an expert of a GPU that is the
 * busiest in some sample changes places with one of another GPU, or moves to
 * an empty slot; a replica of it takes an empty slot or that of a replica that
 * is needed less; or a replica of it goes. */

enum {
    CRITICAL = 3,          /* GPUs that a step may start from */
    WORK = 2 * 1000 * 1000 /* pairs of slots looked at, at most */
};

/* Load of a GPU, what it holds, and the price of it. */
static void sum_up(moe_hedge *h, int gpu)
{
    const int n = h->samples->stride, slots = h->p.slots;
    float *sum = moe_hedge_sum(h, gpu);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int t = gpu * slots; t < (gpu + 1) * slots; t++) {
        const int e = h->at->expert[t], place = moe_hedge_place(h, t);
        h->expert[place] = e >= 0 ? e : h->p.experts;
        h->back[place] = e >= 0 ? moe_hedge_price(h, gpu, e) : 0;
        if (e < 0)
            continue;
        const float part = 1.0F / (float)h->at->copies[e];
        moe_add_load(sum, sum, moe_hedge_load(h, e), part, n);
    }
    h->steps += (uint64_t)(slots * n);
}

void moe_hedge_begin(moe_hedge *h, const int16_t *expert)
{
    moe_share *x = h->at;
    for (int t = 0; t < h->p.gpus * h->p.slots; t++)
        x->expert[t] = -1;
    memset(x->part, 0,
           (size_t)h->p.gpus * (size_t)h->p.slots * sizeof *x->part);
    memset(x->load, 0, (size_t)h->p.gpus * sizeof *x->load);
    memset(x->copies, 0, (size_t)h->p.experts * sizeof *x->copies);
    memset(x->head, 0xff, (size_t)h->p.experts * sizeof *x->head);
    for (int t = h->p.gpus * h->p.slots - 1; t >= 0; t--)
        if (expert[t] >= 0)
            moe_share_put(x, t, expert[t], 0);
    for (int g = 0; g < h->p.gpus; g++)
        sum_up(h, g);
}

/* Who is the busiest, in samples of how much weight? @return the score. */
static float find_critical(moe_hedge *h)
{
    const moe_samples *s = h->samples;
    float score = 0, most[MOE_SAMPLES] = {0};
    memset(h->critical, 0, (size_t)h->p.gpus * sizeof *h->critical);
    memset(h->busiest, 0, sizeof h->busiest);
    for (int g = 0; g < h->p.gpus; g++) {
        const float *sum = moe_hedge_sum(h, g);
        for (int i = 0; i < s->stride; i++) {
            h->busiest[i] = sum[i] > most[i] ? g : h->busiest[i];
            most[i] = moe_larger(sum[i], most[i]);
        }
    }
    for (int i = 0; i < s->n; i++) {
        h->critical[h->busiest[i]] += s->weight[i];
        score += s->weight[i] * most[i];
    }
    h->steps += (uint64_t)(h->p.gpus * s->n);
    return score;
}

/* The busiest of all GPUs but one, in every sample. */
static void note_rest(moe_hedge *h, int gpu)
{
    const int n = h->samples->stride;
    memset(h->rest, 0, (size_t)n * sizeof *h->rest);
    for (int g = 0; g < h->p.gpus; g++) {
        const float *sum = moe_hedge_sum(h, g);
        for (int i = 0; i < n && g != gpu; i++)
            h->rest[i] = moe_larger(h->rest[i], sum[i]);
    }
    h->steps += (uint64_t)(h->p.gpus * n);
}

static void sum_up_holders(moe_hedge *h, int expert)
{
    for (int t = h->at->head[expert]; t >= 0; t = h->at->next[t])
        sum_up(h, t / h->p.slots);
}

static void carry_out(moe_hedge *h, const moe_hedge_step *w)
{
    moe_share *x = h->at;
    const int e = x->expert[w->from], f = w->to >= 0 ? x->expert[w->to] : -1;
    if (f >= 0)
        moe_share_take(x, w->to);
    if (!w->adds)
        moe_share_take(x, w->from);
    if (w->to >= 0)
        moe_share_put(x, w->to, e, 0);
    if (!w->adds && f >= 0)
        moe_share_put(x, w->from, f, 0);
    sum_up(h, w->from / x->slots);
    if (w->to >= 0)
        sum_up(h, w->to / x->slots);
    if (w->adds || w->to < 0)
        sum_up_holders(h, e);
    if (w->adds && f >= 0)
        sum_up_holders(h, f);
}

static float price_now(const moe_hedge *h)
{
    float price = 0;
    for (int t = 0; t < h->p.gpus * h->p.slots; t++)
        if (h->at->expert[t] >= 0)
            price += moe_hedge_price(h, t / h->p.slots, h->at->expert[t]);
    return price;
}

/* @return the GPU that is critical in most weight, and not any more. */
static int next_critical(moe_hedge *h)
{
    int a = 0;
    for (int g = 1; g < h->p.gpus; g++)
        if (h->critical[g] > h->critical[a])
            a = g;
    if (!(h->critical[a] > 0))
        return -1;
    h->critical[a] = 0;
    return a;
}

double moe_hedge_climb(moe_hedge *h)
{
    const uint64_t end = h->steps + WORK;
    float score = find_critical(h);
    while (h->steps < end) {
        moe_hedge_step best = {.from = -1, .score = score - h->least};
        for (int i = 0; i < CRITICAL && best.from < 0; i++) {
            const int a = next_critical(h);
            if (a < 0)
                break;
            note_rest(h, a);
            moe_hedge_look(h, a, score, &best);
        }
        if (best.from < 0)
            break;
        carry_out(h, &best);
        score = find_critical(h);
    }
    return (double)score + (double)price_now(h);
}
