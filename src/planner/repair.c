/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"

#include <stdbool.h>

typedef struct {
    moe_share *share;
    int domains;
    int64_t fine; /* load that is not worth a step */
} site;

int moe_repair_domain(const moe_share *share, int domains, int gpu)
{
    return gpu / (share->gpus / domains);
}

static int domain_of(const site *s, int gpu)
{
    return moe_repair_domain(s->share, s->domains, gpu);
}

static int64_t above(const moe_share *x, int gpu)
{
    return x->load[gpu] - x->limit[gpu];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void clear_slot(moe_share *x, int slot)
{
    if (x->expert[slot] >= 0)
        moe_share_take(x, slot);
}

/* @return the GPU furthest above its limit. */
static int find_busiest(const moe_share *x)
{
    int a = 0;
    for (int g = 1; g < x->gpus; g++)
        if (above(x, g) > above(x, a))
            a = g;
    return a;
}

static int largest_part(const moe_share *x, int gpu)
{
    int best = gpu * x->slots;
    for (int t = best + 1; t < (gpu + 1) * x->slots; t++)
        if (x->part[t] > x->part[best])
            best = t;
    return best;
}

/* Give the GPU that has most room and a slot a replica of the largest expert
 * of `a`. @return whether it was worth it. */
static bool add_replica(const site *s, int a)
{
    moe_share *x = s->share;
    int b = -1, room = -1;
    x->steps += (uint64_t)x->gpus;
    for (int g = 0; g < x->gpus; g++) {
        if (x->stuck[g] || domain_of(s, g) != domain_of(s, a) ||
            -above(x, g) <= s->fine || (b >= 0 && above(x, g) >= above(x, b)))
            continue;
        const int t = moe_share_room(x, g);
        if (t < 0)
            continue;
        b = g;
        room = t;
    }
    if (b < 0)
        return false;
    const int t = largest_part(x, a);
    const int64_t amount = least(least(x->part[t], -above(x, b)), above(x, a));
    if (amount <= s->fine)
        return false;
    clear_slot(x, room);
    moe_share_put(x, room, x->expert[t], 0);
    moe_share_give(x, t, room, amount);
    return true;
}

typedef struct {
    int from, to; /* slots */
    int room;     /* slot beside `from`, which keeps a part then; -1 */
    int64_t gain; /* less load above limits */
} swap;

/* @return load that a swap takes off the limits of a and b. */
static int64_t gain_of(int64_t over_a, int64_t room_b, int64_t difference)
{
    const int64_t rest = over_a > difference ? over_a - difference : 0;
    const int64_t new_b = difference > room_b ? difference - room_b : 0;
    return over_a - rest - new_b;
}

static void look_for_swap(moe_share *x, int a, int b, swap *best)
{
    x->steps += (uint64_t)x->slots * (uint64_t)x->slots;
    for (int t = a * x->slots; t < (a + 1) * x->slots; t++)
        for (int u = b * x->slots; u < (b + 1) * x->slots; u++) {
            if (x->part[t] <= x->part[u] || x->expert[u] < 0)
                continue;
            const int64_t gain =
                gain_of(above(x, a), -above(x, b), x->part[t] - x->part[u]);
            if (gain > best->gain && moe_share_find(x, b, x->expert[t]) < 0 &&
                moe_share_find(x, a, x->expert[u]) < 0)
                *best = (swap){t, u, -1, gain};
        }
}

/* With a free slot on `a` it can take b's smallest part and give b as much of
 * its largest expert as fills b. */
static void look_for_trade(const moe_share *x, int a, int b, int room,
                           swap *best)
{
    const int t = largest_part(x, a);
    int u = -1;
    for (int k = b * x->slots; k < (b + 1) * x->slots; k++)
        if (x->expert[k] >= 0 && (u < 0 || x->part[k] < x->part[u]))
            u = k;
    if (u < 0)
        return;
    const int64_t gain =
        least(least(above(x, a), -above(x, b)), x->part[t] - x->part[u]);
    if (gain > best->gain && moe_share_find(x, b, x->expert[t]) < 0 &&
        moe_share_find(x, a, x->expert[u]) < 0)
        *best = (swap){t, u, room, gain};
}

static void carry_out(moe_share *x, const swap *w)
{
    const int e = x->expert[w->from], f = x->expert[w->to];
    const int64_t of_f = moe_share_take(x, w->to);
    if (w->room >= 0) {
        clear_slot(x, w->room);
        moe_share_put(x, w->room, f, of_f);
        moe_share_put(x, w->to, e, 0);
        moe_share_give(x, w->from, w->to, of_f + w->gain);
    } else {
        const int64_t of_e = moe_share_take(x, w->from);
        moe_share_put(x, w->from, f, of_f);
        moe_share_put(x, w->to, e, of_e);
    }
}

static bool swap_experts(const site *s, int a)
{
    moe_share *x = s->share;
    swap best = {-1, -1, -1, s->fine};
    const int room = moe_share_room(x, a);
    for (int b = 0; b < x->gpus; b++)
        if (!x->stuck[b] && domain_of(s, b) == domain_of(s, a) &&
            -above(x, b) > best.gain) {
            look_for_swap(x, a, b, &best);
            if (room >= 0)
                look_for_trade(x, a, b, room, &best);
        }
    if (best.from >= 0)
        carry_out(x, &best);
    return best.from >= 0;
}

void moe_repair(moe_share *share, int domains, int64_t fine)
{
    const site s = {share, domains, fine};
    for (int step = 0; step < 4 * share->gpus * share->slots; step++) {
        if (moe_share_push(share) <= fine)
            return;
        const int a = find_busiest(share);
        if (!add_replica(&s, a) && !swap_experts(&s, a))
            return;
    }
}

/* Replicas with small parts give way, so that repair finds room. */
void moe_repair_thin(moe_share *x, int domains, const int64_t *target)
{
    const site on = {x, domains, 0}, *s = &on;
    for (int t = 0; t < x->gpus * x->slots; t++) {
        const int e = x->expert[t];
        if (e < 0 || x->copies[e] < 2 ||
            x->part[t] > target[domain_of(s, t / x->slots)] / 8)
            continue;
        int to = -1;
        for (int k = x->head[e]; k >= 0; k = x->next[k])
            if (k != t &&
                (to < 0 || x->load[k / x->slots] < x->load[to / x->slots]))
                to = k;
        moe_share_give(x, t, to, x->part[t]);
        moe_share_take(x, t);
    }
}

/* @return the slot whose expert `gpu` had before or else the one with the
 * largest part, of experts that it may have and has not; -1. */
static int choose_filler(const site *s, const moe_plan_layer *current, int gpu)
{
    moe_share *x = s->share;
    int best = -1;
    x->steps += (uint64_t)x->gpus * (uint64_t)x->slots;
    for (int k = gpu * x->slots; k < (gpu + 1) * x->slots; k++) {
        const int e = current->expert[k];
        if (e >= 0 && moe_share_find(x, gpu, e) < 0 && x->head[e] >= 0 &&
            domain_of(s, x->head[e] / x->slots) == domain_of(s, gpu))
            return x->head[e];
    }
    for (int t = 0; t < x->gpus * x->slots; t++)
        if (x->expert[t] >= 0 && (best < 0 || x->part[t] > x->part[best]) &&
            domain_of(s, t / x->slots) == domain_of(s, gpu) &&
            moe_share_find(x, gpu, x->expert[t]) < 0)
            best = t;
    return best;
}

void moe_repair_fill(moe_share *x, int domains, const moe_plan_layer *current)
{
    const site on = {x, domains, 0}, *s = &on;
    for (int g = 0; g < x->gpus; g++)
        for (int room; (room = moe_share_free_slot(x, g)) >= 0;) {
            const int from = choose_filler(s, current, g);
            if (from < 0)
                break;
            moe_share_put(x, room, x->expert[from], 0);
            moe_share_give(x, from, room, x->part[from] / 2);
        }
    moe_share_minmax(x);
}
