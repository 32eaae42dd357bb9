/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "hedge_internal.h"

/* Steps from one placement to a better one: an expert of a GPU that is the
 * busiest in some sample changes places with one of another GPU, or moves to
 * an empty slot; a replica of it takes an empty slot or that of a replica that
 * is needed less; or a replica of it goes. Scores of steps never promise too
 * much: GPUs that only lose load count with what they had. */

/* A step has to lower the score by this much. */
static const float LEAST = 1e-5F;
enum {
    CRITICAL = 3,          /* GPUs that a step may start from */
    WORK = 2 * 1000 * 1000 /* pairs of slots looked at, at most */
};

typedef struct {
    int from, to; /* slots; to -1: the replica in `from` goes */
    bool adds;    /* a replica; else they change places */
    float score;
} climb_step;

static void add_load(float *sum, const float *load, float part, int n)
{
    for (int i = 0; i < n; i++)
        sum[i] += part * load[i];
}

/* Load of a GPU, and its mean. */
static void sum_up(moe_hedge *h, int gpu)
{
    const int n = h->samples->stride, slots = h->p.slots;
    float *sum = moe_hedge_sum(h, gpu);
    memset(sum, 0, (size_t)n * sizeof *sum);
    h->busy[gpu] = 0;
    for (int t = gpu * slots; t < (gpu + 1) * slots; t++) {
        const int e = h->at->expert[t];
        if (e < 0)
            continue;
        const float part = 1.0F / (float)h->at->copies[e];
        add_load(sum, moe_hedge_load(h, e), part, n);
        h->busy[gpu] += part * h->mean[e];
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

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

/* @return the mean over samples of the largest of three. */
static float mean_of_largest(const moe_hedge *h, const float *a, const float *b,
                             const float *c)
{
    const moe_samples *s = h->samples;
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < s->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++)
            lane[k] +=
                s->weight[i + k] * larger(a[i + k], larger(b[i + k], c[i + k]));
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* The same of `rest`, of from + part of an expert, of to - it. */
static float mean_with_swap(const moe_hedge *h, const float *from,
                            const float *to, const float *load, float part)
{
    const moe_samples *s = h->samples;
    const float *rest = h->rest;
    float lane[MOE_SAMPLE_LANES] = {0};
    for (int i = 0; i < s->stride; i += MOE_SAMPLE_LANES)
        for (int k = 0; k < MOE_SAMPLE_LANES; k++) {
            const float d = part * load[i + k];
            lane[k] +=
                s->weight[i + k] *
                larger(rest[i + k], larger(from[i + k] + d, to[i + k] - d));
        }
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* Who is the busiest, in samples of how much weight? @return the score. */
static float find_critical(moe_hedge *h)
{
    const moe_samples *s = h->samples;
    float score = 0;
    memset(h->critical, 0, (size_t)h->p.gpus * sizeof *h->critical);
    for (int i = 0; i < s->n; i++) {
        int most = 0;
        for (int g = 1; g < h->p.gpus; g++)
            if (h->sum[g * s->stride + i] > h->sum[most * s->stride + i])
                most = g;
        h->critical[most] += s->weight[i];
        score += s->weight[i] * h->sum[most * s->stride + i];
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
            h->rest[i] = larger(h->rest[i], sum[i]);
    }
    h->steps += (uint64_t)(h->p.gpus * n);
}

/* @return the price of an expert on a GPU. */
static float price_of(const moe_hedge *h, int gpu, int expert)
{
    return moe_hedge_held(h, gpu, expert) ? 0 : (float)h->p.price;
}

/* `left`, `right`: a and b as they would be without what changes places. */
static void look_at_swaps(moe_hedge *h, int t, int b, climb_step *best)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, a = t / x->slots, e = x->expert[t];
    const float part = 1.0F / (float)x->copies[e], mean = part * h->mean[e];
    float *left = h->line, *right = h->line + MOE_SAMPLES;
    if (moe_share_find(x, b, e) >= 0)
        return;
    memcpy(right, moe_hedge_sum(h, b), (size_t)n * sizeof *right);
    add_load(right, moe_hedge_load(h, e), part, n);
    const float price = price_of(h, b, e) - price_of(h, a, e);
    for (int u = b * x->slots; u < (b + 1) * x->slots; u++) {
        const int f = x->expert[u];
        float score;
        h->steps++;
        if (f < 0) {
            score = mean_of_largest(h, h->rest, left, right) + price;
        } else {
            const float of_f = 1.0F / (float)x->copies[f];
            const float back = of_f * h->mean[f];
            if (back >= mean || h->busy[b] + mean - back >= h->busy[a] ||
                moe_share_find(x, a, f) >= 0)
                continue;
            h->steps += (uint64_t)n;
            score = mean_with_swap(h, left, right, moe_hedge_load(h, f), of_f) +
                    price + price_of(h, a, f) - price_of(h, b, f);
        }
        if (score < best->score)
            *best = (climb_step){t, u, false, score};
    }
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
            add_load(left, load, more, n);
            continue;
        }
        for (int i = 0; i < n; i++)
            rest[i] = larger(rest[i], sum[i] + more * load[i]);
    }
    h->steps += (uint64_t)(x->copies[f] * n);
    return rest;
}

/* A replica of what is in slot t, in slot u. */
static void look_at_replica(moe_hedge *h, int t, int u, climb_step *best)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride, a = t / x->slots, b = u / x->slots;
    const int e = x->expert[t], f = x->expert[u];
    const float c = (float)x->copies[e];
    float *left = h->line + MOE_SAMPLES, *right = h->line + 2 * MOE_SAMPLES;
    const float *load = moe_hedge_load(h, e), *rest = h->rest;
    memcpy(left, moe_hedge_sum(h, a), (size_t)n * sizeof *left);
    memcpy(right, moe_hedge_sum(h, b), (size_t)n * sizeof *right);
    add_load(left, load, 1 / (c + 1) - 1 / c, n);
    add_load(right, load, 1 / (c + 1), n);
    float price = price_of(h, b, e);
    if (f >= 0) {
        add_load(right, moe_hedge_load(h, f), -1.0F / (float)x->copies[f], n);
        rest = without_replica(h, u, left, a);
        price -= price_of(h, b, f);
    }
    h->steps += 4 * (uint64_t)n;
    const float score = mean_of_largest(h, rest, left, right) + price;
    if (score < best->score)
        *best = (climb_step){t, u, true, score};
}

static void look_at_replicas(moe_hedge *h, int t, int b, climb_step *best)
{
    const moe_share *x = h->at;
    const int a = t / x->slots, e = x->expert[t];
    const float mean = h->mean[e] / (float)(x->copies[e] + 1);
    if (moe_share_find(x, b, e) >= 0)
        return;
    bool empty = false; /* one empty slot is like another */
    for (int u = b * x->slots; u < (b + 1) * x->slots; u++) {
        const int f = x->expert[u];
        h->steps++;
        if (f >= 0 ? x->copies[f] < 2 || f == e : empty)
            continue;
        empty = empty || f < 0;
        const float back = f >= 0 ? h->mean[f] / (float)x->copies[f] : 0;
        if (h->busy[b] + mean - back < h->busy[a])
            look_at_replica(h, t, u, best);
    }
}

/* The replica in slot t goes. */
static void look_at_removal(moe_hedge *h, int t, climb_step *best)
{
    const moe_share *x = h->at;
    const int a = t / x->slots, e = x->expert[t];
    float *left = h->line; /* without e already */
    const float *rest = without_replica(h, t, left, a);
    const float score =
        mean_of_largest(h, rest, left, left) - price_of(h, a, e);
    if (score < best->score)
        *best = (climb_step){t, -1, false, score};
}

static void look_from(moe_hedge *h, int a, climb_step *best)
{
    const moe_share *x = h->at;
    const int n = h->samples->stride;
    note_rest(h, a);
    for (int t = a * x->slots; t < (a + 1) * x->slots; t++) {
        const int e = x->expert[t];
        if (e < 0)
            continue;
        memcpy(h->line, moe_hedge_sum(h, a), (size_t)n * sizeof *h->line);
        add_load(h->line, moe_hedge_load(h, e), -1.0F / (float)x->copies[e], n);
        for (int b = 0; b < x->gpus; b++) {
            if (b == a || h->busy[b] >= h->busy[a])
                continue;
            look_at_swaps(h, t, b, best);
            look_at_replicas(h, t, b, best);
        }
        if (x->copies[e] > 1)
            look_at_removal(h, t, best);
    }
}

static void sum_up_holders(moe_hedge *h, int expert)
{
    for (int t = h->at->head[expert]; t >= 0; t = h->at->next[t])
        sum_up(h, t / h->p.slots);
}

static void carry_out(moe_hedge *h, const climb_step *w)
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
            price += price_of(h, t / h->p.slots, h->at->expert[t]);
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
        climb_step best = {.from = -1, .score = score - LEAST};
        for (int i = 0; i < CRITICAL && best.from < 0; i++) {
            const int a = next_critical(h);
            if (a < 0)
                break;
            look_from(h, a, &best);
        }
        if (best.from < 0)
            break;
        carry_out(h, &best);
        score = find_critical(h);
    }
    return (double)score + (double)price_now(h);
}
