/* SPDX-License-Identifier: Apache-2.0 */
#include "share_internal.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

static size_t n_slots(const moe_share *s)
{
    return (size_t)s->gpus * (size_t)s->slots;
}

moe_share *moe_share_new(int experts, int gpus, int slots, moe_error *err)
{
    const size_t e = (size_t)experts, g = (size_t)gpus;
    const size_t n = g * (size_t)slots;
    moe_error local = {0};
    moe_share *s = moe_array_new(1, sizeof *s, &local);
    if (s == NULL)
        goto out;
    *s = (moe_share){
        .experts = experts, .gpus = gpus, .slots = slots, .patience = INT_MAX};
    s->expert = moe_array_new(n, sizeof *s->expert, &local);
    s->part = moe_array_new(n, sizeof *s->part, &local);
    s->load = moe_array_new(g, sizeof *s->load, &local);
    s->limit = moe_array_new(g, sizeof *s->limit, &local);
    s->copies = moe_array_new(e, sizeof *s->copies, &local);
    s->stuck = moe_array_new(g, sizeof *s->stuck, &local);
    s->head = moe_array_new(e, sizeof *s->head, &local);
    s->next = moe_array_new(n, sizeof *s->next, &local);
    s->out = moe_array_new(g, sizeof *s->out, &local);
    s->in = moe_array_new(g, sizeof *s->in, &local);
    s->queue = moe_array_new(g, sizeof *s->queue, &local);
    s->asked = moe_array_new(e, sizeof *s->asked, &local);
    s->reached = moe_array_new(g, sizeof *s->reached, &local);
    s->follow = moe_array_new(e, sizeof *s->follow, &local);
    s->level = moe_array_new(g, sizeof *s->level, &local);
    s->expert_level = moe_array_new(e, sizeof *s->expert_level, &local);
    s->slot_at = moe_array_new(g, sizeof *s->slot_at, &local);
    s->copy_at = moe_array_new(e, sizeof *s->copy_at, &local);
out:
    if (moe_pass(err, &local) == MOE_OK)
        return s;
    moe_share_free(s);
    return NULL;
}

void moe_share_free(moe_share *s)
{
    if (s == NULL)
        return;
    void *arrays[] = {s->expert,  s->part,    s->load,  s->limit,
                      s->copies,  s->stuck,   s->head,  s->next,
                      s->out,     s->in,      s->queue, s->asked,
                      s->reached, s->follow,  s->level, s->expert_level,
                      s->slot_at, s->copy_at, s};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
}

/* ---- placement ---- */

void moe_share_put(moe_share *s, int slot, int expert, int64_t part)
{
    assert(s->expert[slot] < 0);
    s->expert[slot] = (int16_t)expert;
    s->next[slot] = s->head[expert];
    s->head[expert] = slot;
    s->copies[expert]++;
    s->part[slot] = part;
    s->load[slot / s->slots] += part;
}

int64_t moe_share_take(moe_share *s, int slot)
{
    const int64_t part = s->part[slot];
    int32_t *link = &s->head[s->expert[slot]];
    while (*link != slot)
        link = &s->next[*link];
    *link = s->next[slot];
    s->copies[s->expert[slot]]--;
    s->expert[slot] = -1;
    s->part[slot] = 0;
    s->load[slot / s->slots] -= part;
    return part;
}

void moe_share_give(moe_share *s, int from_slot, int to_slot, int64_t load)
{
    assert(s->expert[from_slot] == s->expert[to_slot] &&
           s->part[from_slot] >= load);
    s->part[from_slot] -= load;
    s->load[from_slot / s->slots] -= load;
    s->part[to_slot] += load;
    s->load[to_slot / s->slots] += load;
}

int moe_share_find(const moe_share *s, int gpu, int expert)
{
    const int first = gpu * s->slots, end = first + s->slots;
    if (s->copies[expert] > s->slots) { /* the shorter way */
        for (int t = first; t < end; t++)
            if (s->expert[t] == expert)
                return t;
        return -1;
    }
    for (int t = s->head[expert]; t >= 0; t = s->next[t])
        if (t >= first && t < end)
            return t;
    return -1;
}

int moe_share_free_slot(const moe_share *s, int gpu)
{
    for (int t = gpu * s->slots; t < (gpu + 1) * s->slots; t++)
        if (s->expert[t] < 0)
            return t;
    return -1;
}

int moe_share_room(const moe_share *s, int gpu)
{
    const int t = moe_share_free_slot(s, gpu);
    if (t >= 0)
        return t;
    for (int k = gpu * s->slots; k < (gpu + 1) * s->slots; k++)
        if (s->part[k] == 0 && s->copies[s->expert[k]] > 1)
            return k;
    return -1;
}

/* ---- start ---- */

/* Exact arithmetic, finer than quotas, and far from overflow. */
enum { LOAD_BITS = 44 };

int moe_share_scale(const double *load, int n, int64_t *scaled_out)
{
    double sum = 0;
    int exponent = 0;
    for (int e = 0; e < n; e++)
        sum += load[e];
    (void)frexp(sum, &exponent);
    const int bits = LOAD_BITS - exponent;
    for (int e = 0; e < n; e++)
        scaled_out[e] = llround(ldexp(load[e], bits));
    return bits;
}

static void clear(moe_share *s)
{
    memset(s->part, 0, n_slots(s) * sizeof *s->part);
    memset(s->load, 0, (size_t)s->gpus * sizeof *s->load);
    memset(s->copies, 0, (size_t)s->experts * sizeof *s->copies);
    memset(s->head, 0xff, (size_t)s->experts * sizeof *s->head);
    memset(s->expert, 0xff, n_slots(s) * sizeof *s->expert);
}

static void divide_equally(moe_share *s, const int64_t *load)
{
    for (int e = 0; e < s->experts; e++) {
        assert((s->copies[e] > 0 || load[e] == 0) && "load without a place");
        int64_t left = load[e];
        int copies = s->copies[e];
        for (int t = s->head[e]; t >= 0; t = s->next[t], copies--) {
            s->part[t] = left / copies;
            left -= s->part[t];
            s->load[t / s->slots] += s->part[t];
        }
    }
}

void moe_share_begin(moe_share *s, const int16_t *expert, const int64_t *load)
{
    s->steps += n_slots(s);
    clear(s);
    for (int t = (int)n_slots(s) - 1; t >= 0; t--)
        if (expert[t] >= 0)
            moe_share_put(s, t, expert[t], 0);
    divide_equally(s, load);
}

void moe_share_begin_replicas(moe_share *s, const moe_replicas *replicas,
                              const int64_t *load)
{
    clear(s);
    for (int e = 0; e < replicas->experts; e++)
        for (uint32_t r = replicas->first[e + 1]; r > replicas->first[e]; r--) {
            const moe_replica *at = &replicas->replica[r - 1];
            moe_share_put(s, at->gpu * s->slots + at->slot, e, 0);
        }
    divide_equally(s, load);
}

/* ---- flow ---- */

/* Reach what a GPU's experts can move to.
 * @return a GPU below its limit, or -1; *n counts reached GPUs, *asked
 * experts. */
static int spread(moe_share *s, int gpu, int *n, int *asked)
{
    s->steps += (uint64_t)s->slots;
    for (int t = gpu * s->slots; t < (gpu + 1) * s->slots; t++) {
        const int e = s->expert[t];
        if (e < 0 || s->copies[e] < 2 || s->part[t] == 0 || s->follow[e])
            continue;
        s->follow[e] = true;
        s->asked[(*asked)++] = e;
        s->steps += (uint64_t)s->copies[e];
        for (int to = s->head[e]; to >= 0; to = s->next[to]) {
            const int b = to / s->slots;
            if (s->reached[b])
                continue;
            s->reached[b] = true;
            s->out[b] = t;
            s->in[b] = to;
            s->queue[(*n)++] = b;
            if (s->load[b] < s->limit[b])
                return b;
        }
    }
    return -1;
}

void moe_share_move_along(moe_share *s, int gpu, int last)
{
    int64_t amount = s->load[gpu] - s->limit[gpu];
    int64_t room = s->limit[last] - s->load[last];
    amount = room < amount ? room : amount;
    for (int g = last; g != gpu; g = s->out[g] / s->slots)
        if (s->part[s->out[g]] < amount)
            amount = s->part[s->out[g]];
    for (int g = last; g != gpu; g = s->out[g] / s->slots)
        moe_share_give(s, s->out[g], s->in[g], amount);
}

static void unmark(moe_share *s, int n, int asked)
{
    for (int i = 0; i < n; i++)
        s->reached[s->queue[i]] = false;
    for (int i = 0; i < asked; i++)
        s->follow[s->asked[i]] = false;
}

int moe_share_outlet(moe_share *s, int gpu)
{
    int n = 0, asked = 0, last = -1;
    if (s->reached[gpu])
        return -1;
    s->queue[n++] = gpu;
    s->reached[gpu] = true;
    for (int i = 0; i < n && i < s->patience && last < 0; i++)
        last = spread(s, s->queue[i], &n, &asked);
    if (last >= 0)
        unmark(s, n, asked);
    return last;
}

int moe_share_relieve(moe_share *s, int gpu)
{
    const int last = moe_share_outlet(s, gpu);
    if (last >= 0)
        moe_share_move_along(s, gpu, last);
    return last;
}

void moe_share_unmark(moe_share *s)
{
    memset(s->reached, 0, (size_t)s->gpus * sizeof *s->reached);
    memset(s->follow, 0, (size_t)s->experts * sizeof *s->follow);
}
