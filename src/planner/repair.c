/* SPDX-License-Identifier: Apache-2.0 */
#include "repair.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "moegps/mem.h"

/* GPUs that a chain is looked for from, of many: what lies farther is found
 * when all load is pushed, or gets a replica. */
enum { PATIENCE = 16 };

int moe_repair_domain(const moe_share *share, int domains, int gpu)
{
    return gpu / (share->gpus / domains);
}

static int domain_of(const moe_repair *r, int gpu)
{
    return moe_repair_domain(r->share, r->domains, gpu);
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

static int largest_part(const moe_share *x, int gpu)
{
    int best = gpu * x->slots;
    for (int t = best + 1; t < (gpu + 1) * x->slots; t++)
        if (x->part[t] > x->part[best])
            best = t;
    return best;
}

/* ---- who is furthest from its limit ---- */

moe_status moe_repair_init(moe_repair *r, moe_share *share, int domains,
                           moe_error *err)
{
    moe_error local = {0};
    *r = (moe_repair){.share = share, .domains = domains};
    moe_peak_init(&r->over, 1, share->gpus, &local);
    moe_peak_init(&r->room, domains, share->gpus / domains, &local);
    moe_peak_init(&r->part, domains, share->experts, &local);
    r->largest =
        moe_array_new((size_t)share->experts, sizeof *r->largest, &local);
    return moe_pass(err, &local);
}

void moe_repair_fini(moe_repair *r)
{
    moe_peak_fini(&r->over);
    moe_peak_fini(&r->room);
    moe_peak_fini(&r->part);
    free(r->largest);
}

/* Room counts where a slot can be had for it. */
static int64_t room_of(const moe_share *x, int gpu)
{
    return moe_share_room(x, gpu) >= 0 ? -above(x, gpu) : INT64_MIN;
}

static void rank_all(moe_repair *r)
{
    moe_share *x = r->share;
    for (int g = 0; g < x->gpus; g++) {
        r->over.key[g] = above(x, g);
        r->room.key[g] = room_of(x, g);
    }
    moe_peak_begin(&r->over);
    moe_peak_begin(&r->room);
    x->steps += 4 * (uint64_t)x->gpus;
}

/* After a GPU's parts have changed. */
static void rank(moe_repair *r, int gpu)
{
    const int64_t before = r->over.key[gpu], now = above(r->share, gpu);
    r->left += (now > 0 ? now : 0) - (before > 0 ? before : 0);
    if (now != before)
        moe_peak_set(&r->over, gpu, now);
    const int64_t room = room_of(r->share, gpu);
    if (room != r->room.key[gpu])
        moe_peak_set(&r->room, gpu, room);
    r->share->steps += 16;
}

/* ---- steps ---- */

/* Move load of `a` along a chain of replicas. @return whether there is one. */
static bool relieve(moe_repair *r, int a)
{
    moe_share *x = r->share;
    const int last = moe_share_relieve(x, a);
    if (last < 0)
        return false;
    for (int g = last; g != a; g = x->out[g] / x->slots)
        rank(r, g);
    rank(r, a);
    return true;
}

/* A slot is to be had as long as its expert has another copy, which may have
 * gone on another GPU since. @return the GPU with most room. */
static int roomiest(moe_repair *r, int domain)
{
    int b = moe_peak_first(&r->room, domain);
    while (r->room.key[b] > r->fine && moe_share_room(r->share, b) < 0) {
        rank(r, b);
        b = moe_peak_first(&r->room, domain);
    }
    return b;
}

/* Give the GPU that has most room and a slot a replica of the largest expert
 * of `a`, which has no outlet. @return whether it was worth it. */
static bool add_replica(moe_repair *r, int a)
{
    moe_share *x = r->share;
    const int b = roomiest(r, domain_of(r, a));
    const int t = largest_part(x, a);
    if (r->room.key[b] <= r->fine)
        return false;
    const int64_t amount = least(least(x->part[t], -above(x, b)), above(x, a));
    if (amount <= r->fine)
        return false;
    const int room = moe_share_room(x, b);
    assert(room >= 0);
    clear_slot(x, room);
    moe_share_put(x, room, x->expert[t], 0);
    moe_share_give(x, t, room, amount);
    rank(r, a);
    rank(r, b);
    if (above(x, b) < 0 || moe_share_outlet(x, b) >= 0)
        moe_share_unmark(x); /* it is one for others, too */
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

static bool swap_experts(moe_repair *r, int a)
{
    moe_share *x = r->share;
    swap best = {-1, -1, -1, r->fine};
    const int room = moe_share_room(x, a);
    x->steps += (uint64_t)x->gpus / 2;
    for (int b = 0; b < x->gpus; b++)
        if (-above(x, b) > best.gain && domain_of(r, b) == domain_of(r, a)) {
            look_for_swap(x, a, b, &best);
            if (room >= 0)
                look_for_trade(x, a, b, room, &best);
        }
    if (best.from < 0)
        return false;
    carry_out(x, &best);
    rank(r, a);
    rank(r, best.to / x->slots);
    moe_share_unmark(x);
    return true;
}

void moe_repair_run(moe_repair *r, int64_t fine)
{
    moe_share *x = r->share;
    r->fine = fine;
    r->left = moe_share_push(x);
    if (r->left <= fine)
        return;
    rank_all(r);
    x->patience = x->gpus > MOE_SHARE_MANY ? PATIENCE : INT_MAX;
    for (int step = 0; step < 4 * x->gpus * x->slots && r->left > fine;
         step++) {
        const int a = moe_peak_first(&r->over, 0);
        if (!relieve(r, a) && !add_replica(r, a) && !swap_experts(r, a))
            break;
    }
    x->patience = INT_MAX;
}

/* Replicas with small parts give way, so that repair finds room. */
void moe_repair_thin(moe_repair *r, const int64_t *target)
{
    moe_share *x = r->share;
    for (int t = 0; t < x->gpus * x->slots; t++) {
        const int e = x->expert[t];
        if (e < 0 || x->copies[e] < 2 ||
            x->part[t] > target[domain_of(r, t / x->slots)] / 8)
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

/* ---- what else fits in ---- */

/* @return the slot with the largest part of an expert, or -1. */
static int largest_copy(moe_share *x, int expert)
{
    int best = -1;
    x->steps += (uint64_t)x->copies[expert];
    for (int t = x->head[expert]; t >= 0; t = x->next[t])
        if (best < 0 || x->part[t] > x->part[best] ||
            (x->part[t] == x->part[best] && t < best))
            best = t;
    return best;
}

/* An expert is of the domain of its copies. */
static void rank_expert(moe_repair *r, int expert)
{
    moe_share *x = r->share;
    const int t = r->largest[expert] = largest_copy(x, expert);
    if (t >= 0)
        moe_peak_set(&r->part, domain_of(r, t / x->slots) * x->experts + expert,
                     x->part[t]);
    x->steps += 16;
}

static void rank_experts(moe_repair *r)
{
    moe_share *x = r->share;
    for (int i = 0; i < r->domains * x->experts; i++)
        r->part.key[i] = INT64_MIN;
    moe_peak_begin(&r->part);
    for (int e = 0; e < x->experts; e++)
        rank_expert(r, e);
}

/* Whether a GPU's own experts are among those that it may get. */
static void rank_own(moe_repair *r, int gpu, bool among)
{
    const moe_share *x = r->share;
    for (int t = gpu * x->slots; t < (gpu + 1) * x->slots; t++) {
        const int e = x->expert[t];
        if (e >= 0)
            moe_peak_set(&r->part, domain_of(r, gpu) * x->experts + e,
                         among ? x->part[r->largest[e]] : INT64_MIN);
    }
}

/* @return the slot whose expert `gpu` had before or else the one with the
 * largest part, of experts that it may have and has not; -1. */
static int choose_filler(moe_repair *r, const moe_plan_layer *current, int gpu)
{
    moe_share *x = r->share;
    x->steps += 16 * (uint64_t)x->slots;
    for (int k = gpu * x->slots; current != NULL && k < (gpu + 1) * x->slots;
         k++) {
        const int e = current->expert[k];
        if (e >= 0 && moe_share_find(x, gpu, e) < 0 && x->head[e] >= 0 &&
            domain_of(r, x->head[e] / x->slots) == domain_of(r, gpu))
            return x->head[e];
    }
    rank_own(r, gpu, false);
    const int i = moe_peak_first(&r->part, domain_of(r, gpu));
    const int best =
        r->part.key[i] > INT64_MIN ? r->largest[i % x->experts] : -1;
    rank_own(r, gpu, true);
    return best;
}

void moe_repair_fill(moe_repair *r, const moe_plan_layer *current)
{
    moe_share *x = r->share;
    rank_experts(r);
    for (int g = 0; g < x->gpus; g++)
        for (int room; (room = moe_share_free_slot(x, g)) >= 0;) {
            const int from = choose_filler(r, current, g);
            if (from < 0)
                break;
            moe_share_put(x, room, x->expert[from], 0);
            moe_share_give(x, from, room, x->part[from] / 2);
            rank_expert(r, x->expert[room]);
        }
    moe_share_minmax(x);
}
