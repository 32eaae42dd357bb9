/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "timed_internal.h"

/* A step has to save this share of the slowest GPU's time. */
static const double STEP = 1e-4;
enum {
    PARTNERS = 4, /* fastest GPUs that a step considers */
    RANK = 4      /* steps of planning that it takes to rank one */
};

/* @return extra exposed time of an expert that comes to a GPU. */
static double travel(const moe_timed *s, int expert, int gpu)
{
    const size_t e = (size_t)expert, n = (size_t)s->share->experts;
    if (s->had[(size_t)gpu * n + e])
        return 0;
    const int node = moe_layout_node(&s->pricer.layout, gpu);
    const int near = s->near[(size_t)node * n + e];
    return moe_timed_arrival_s(s, gpu, near, !near) -
           moe_timed_arrival_s(s, gpu, 0, 0);
}

/* Steps are first ranked by the pairs of the busier of both GPUs, which takes no
 * price; the best of them are priced. */
static void rank(moe_timed *s, moe_timed_step w, int64_t busier)
{
    int at = s->n_ranked;
    s->share->steps += RANK;
    if (at == s->most_ranked && busier >= s->ranked[at - 1].busier)
        return;
    at -= at == s->most_ranked;
    for (; at > 0 && s->ranked[at - 1].busier > busier; at--)
        s->ranked[at] = s->ranked[at - 1];
    w.busier = busier;
    s->ranked[at] = w;
    s->n_ranked += s->n_ranked < s->most_ranked;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void try_give(moe_timed *s, int from, int to, int64_t amount, bool moves)
{
    const moe_share *x = s->share;
    const int e = x->expert[from], a = from / x->slots;
    if (amount <= 0 ||
        (moe_share_find(x, to, e) < 0 && (!moves || moe_share_room(x, to) < 0)))
        return;
    rank(s,
         (moe_timed_step){.from = from, .to = to, .with = -1, .amount = amount},
         larger(x->load[a] - amount, x->load[to] + amount));
}

static void try_swap(moe_timed *s, int from, int with)
{
    const moe_share *x = s->share;
    const int e = x->expert[from], f = x->expert[with];
    const int a = from / x->slots, b = with / x->slots;
    if (f < 0 || moe_share_find(x, b, e) >= 0 || moe_share_find(x, a, f) >= 0)
        return;
    const int64_t d = x->part[from] - x->part[with];
    rank(s, (moe_timed_step){.from = from, .to = b, .with = with},
         larger(x->load[a] - d, x->load[b] + d));
}

static double time_of_give(moe_timed *s, const moe_timed_step *w, double least)
{
    const moe_share *x = s->share;
    const int e = x->expert[w->from];
    const int there = moe_share_find(x, w->to, e);
    double time_s = there < 0 ? moe_timed_gpu_s(s, w->to, -1, 0, w->amount)
                              : moe_timed_gpu_s(s, w->to, there,
                                                x->part[there] + w->amount, 0);
    if (time_s >= least)
        return time_s;
    time_s = fmax(time_s, moe_timed_gpu_s(s, w->from / x->slots, w->from,
                                          x->part[w->from] - w->amount, 0));
    return there < 0 ? time_s + travel(s, e, w->to) : time_s;
}

static double time_of_swap(moe_timed *s, const moe_timed_step *w, double least)
{
    const moe_share *x = s->share;
    const int a = w->from / x->slots;
    const double time_s =
        fmax(moe_timed_gpu_s(s, a, w->from, x->part[w->with], 0),
             moe_timed_gpu_s(s, w->to, w->with, x->part[w->from], 0));
    if (time_s >= least)
        return time_s;
    return time_s + travel(s, x->expert[w->from], w->to) +
           travel(s, x->expert[w->with], a);
}

/* Begin a list of so many steps. */
static void rank_anew(moe_timed *s, int most)
{
    s->n_ranked = 0;
    s->most_ranked = most;
}

static void price_ranked(moe_timed *s, moe_timed_step *best)
{
    for (int i = 0; i < s->n_ranked; i++) {
        moe_timed_step *w = &s->ranked[i];
        w->time_s = w->with >= 0 ? time_of_swap(s, w, best->time_s)
                                 : time_of_give(s, w, best->time_s);
        if (w->time_s < best->time_s)
            *best = *w;
    }
}

/* The slot of b whose swap with `from` would halve the difference best. */
static int partner_slot(const moe_share *x, int from, int b)
{
    const int64_t half = (x->load[from / x->slots] - x->load[b]) / 2;
    const int64_t want = x->part[from] - half;
    int best = b * x->slots;
    for (int u = best + 1; u < (b + 1) * x->slots; u++)
        if (llabs(x->part[u] - want) < llabs(x->part[best] - want))
            best = u;
    return best;
}

static void try_partner(moe_timed *s, int a, int b, bool moves)
{
    const moe_share *x = s->share;
    const int64_t half = (x->load[a] - x->load[b]) / 2;
    for (int t = a * x->slots; t < (a + 1) * x->slots; t++) {
        if (x->part[t] == 0)
            continue;
        try_give(s, t, b, x->part[t], moves);
        if (half < x->part[t])
            try_give(s, t, b, half, moves);
        if (moves)
            try_swap(s, t, partner_slot(x, t, b));
    }
}

/* GPUs that share an expert with a; load goes there for nothing. */
static void try_holders(moe_timed *s, int a)
{
    const moe_share *x = s->share;
    for (int t = a * x->slots; t < (a + 1) * x->slots; t++) {
        const int e = x->expert[t];
        if (e < 0 || x->part[t] == 0 || x->copies[e] < 2)
            continue;
        for (int v = x->head[e]; v >= 0; v = x->next[v]) {
            const int b = v / x->slots;
            const int64_t half = (x->load[a] - x->load[b]) / 2;
            if (b == a)
                continue;
            try_give(s, t, b, x->part[t], false);
            if (half < x->part[t])
                try_give(s, t, b, half, false);
        }
    }
}

void moe_timed_note_arrival(moe_timed *s, int expert, int gpu)
{
    const size_t e = (size_t)expert, n = (size_t)s->share->experts;
    const int node = moe_layout_node(&s->pricer.layout, gpu);
    if (!s->had[(size_t)gpu * n + e])
        s->coming[2 * gpu + !s->near[(size_t)node * n + e]]++;
}

static void carry_out(moe_timed *s, const moe_timed_step *w)
{
    moe_share *x = s->share;
    const int e = x->expert[w->from], a = w->from / x->slots;
    if (w->with >= 0) {
        const int f = x->expert[w->with];
        const int64_t of_e = moe_share_take(x, w->from);
        const int64_t of_f = moe_share_take(x, w->with);
        moe_share_put(x, w->from, f, of_f);
        moe_share_put(x, w->with, e, of_e);
        moe_timed_note_arrival(s, f, a);
        moe_timed_note_arrival(s, e, w->to);
    } else {
        int to = moe_share_find(x, w->to, e);
        if (to < 0) {
            to = moe_share_room(x, w->to);
            if (x->expert[to] >= 0)
                moe_share_take(x, to);
            moe_share_put(x, to, e, 0);
            moe_timed_note_arrival(s, e, w->to);
        }
        moe_share_give(x, w->from, to, w->amount);
    }
    moe_timed_renew(s, a);
    moe_timed_renew(s, w->to);
}

/* Consider the fastest GPUs, least time first. */
static void try_fastest(moe_timed *s, int a)
{
    int tried[PARTNERS + 1], n = 1;
    tried[0] = a;
    moe_peak_set(&s->fast, a, INT64_MIN);
    for (; n <= PARTNERS && n < s->share->gpus; n++) {
        tried[n] = moe_peak_first(&s->fast, 0);
        moe_peak_set(&s->fast, tried[n], INT64_MIN);
        try_partner(s, a, tried[n], true);
    }
    while (n-- > 0)
        moe_peak_set(&s->fast, tried[n], -moe_timed_order(s->time_s[tried[n]]));
}

/* Consider all GPUs and all swaps that bring both nearer to each other. */
static void try_all(moe_timed *s, int a, double most)
{
    const moe_share *x = s->share;
    for (int b = 0; b < x->gpus; b++) {
        if (s->time_s[b] >= most)
            continue;
        try_partner(s, a, b, true);
        for (int t = a * x->slots; t < (a + 1) * x->slots; t++)
            for (int u = b * x->slots; u < (b + 1) * x->slots; u++)
                if (x->part[t] > x->part[u] &&
                    x->part[t] - x->part[u] < x->load[a] - x->load[b])
                    try_swap(s, t, u);
    }
}

/* Step while the slowest GPU gets faster. @return its time. */
double moe_timed_descend(moe_timed *s, bool moves)
{
    double most = moe_timed_slowest_s(s);
    for (size_t i = 0;
         i < 4 * moe_timed_slots(s) && (double)s->share->steps < s->budget;
         i++) {
        const int a = moe_peak_first(&s->slow, 0);
        most = s->time_s[a];
        moe_timed_step best = {.from = -1, .time_s = most * (1 - STEP)};
        rank_anew(s, MOE_TIMED_RANKED);
        try_holders(s, a);
        if (moves)
            try_fastest(s, a);
        price_ranked(s, &best);
        if (moves && best.from < 0) {
            rank_anew(s, MOE_TIMED_ALL_RANKED);
            try_all(s, a, best.time_s);
            price_ranked(s, &best);
        }
        if (best.from < 0)
            break;
        carry_out(s, &best);
    }
    return most;
}
