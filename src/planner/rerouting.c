/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "share_internal.h"

/* Blocking flows in the level graph (Dinitz 1970): chains of thousands of GPUs
 * are found together instead of one search for each. Levels count down to
 * GPUs that have room: an expert is one above its nearest such GPU, a GPU that
 * has load of it one above that. */

static void measure_levels(moe_share *s)
{
    int n = 0;
    for (int e = 0; e < s->experts; e++)
        s->expert_level[e] = -1;
    for (int g = 0; g < s->gpus; g++) {
        s->level[g] = s->load[g] < s->limit[g] ? 0 : -1;
        if (s->level[g] == 0)
            s->queue[n++] = g;
    }
    for (int i = 0; i < n; i++) {
        const int g = s->queue[i];
        for (int t = g * s->slots; t < (g + 1) * s->slots; t++) {
            const int e = s->expert[t];
            if (e < 0 || s->copies[e] < 2 || s->expert_level[e] >= 0)
                continue;
            s->expert_level[e] = s->level[g] + 1;
            s->steps += (uint64_t)s->copies[e];
            for (int k = s->head[e]; k >= 0; k = s->next[k]) {
                const int a = k / s->slots;
                if (s->level[a] >= 0 || s->part[k] == 0)
                    continue;
                s->level[a] = s->level[g] + 2;
                s->queue[n++] = a;
            }
        }
    }
    s->steps += (uint64_t)n * (uint64_t)s->slots + (uint64_t)s->gpus;
    for (int g = 0; g < s->gpus; g++)
        s->slot_at[g] = g * s->slots;
    memcpy(s->copy_at, s->head, (size_t)s->experts * sizeof *s->copy_at);
}

/* @return a slot one level down from GPU g, whose slot out[] then names, or
 * -1. Slots passed lead nowhere for anybody. */
static int descend(moe_share *s, int g)
{
    for (int *t = &s->slot_at[g]; *t < (g + 1) * s->slots; ++*t) {
        const int e = s->expert[*t];
        s->steps++;
        if (e < 0 || s->part[*t] == 0 || s->expert_level[e] != s->level[g] - 1)
            continue;
        for (int32_t *k = &s->copy_at[e]; *k >= 0; *k = s->next[*k]) {
            const int b = *k / s->slots;
            s->steps++;
            if (s->level[b] == s->level[g] - 2 &&
                (s->level[b] > 0 || s->load[b] < s->limit[b])) {
                s->out[b] = *t;
                s->in[b] = *k;
                return *k;
            }
        }
    }
    return -1;
}

/* Follow levels down from a GPU above its limit. @return the GPU with room,
 * from which out[] leads back; -1: there is none. */
static int find_chain(moe_share *s, int from)
{
    int g = from;
    while (s->level[g] > 0) {
        const int k = descend(s, g);
        if (k >= 0) {
            g = k / s->slots;
            continue;
        }
        if (g == from)
            return -1;
        s->level[g] = -1;
        g = s->out[g] / s->slots;
    }
    return g;
}

void moe_share_flow(moe_share *s)
{
    for (bool moved = true; moved;) {
        moved = false;
        measure_levels(s);
        for (int g = 0; g < s->gpus; g++)
            while (s->load[g] > s->limit[g] && s->level[g] > 0) {
                const int last = find_chain(s, g);
                if (last < 0)
                    break;
                moe_share_move_along(s, g, last);
                moved = true;
            }
    }
}

int64_t moe_share_push(moe_share *s)
{
    int64_t left = 0;
    s->steps += (uint64_t)s->gpus;
    moe_share_unmark(s);
    if (s->gpus > MOE_SHARE_MANY)
        moe_share_flow(s);
    for (int g = 0; g < s->gpus; g++) {
        while (s->load[g] > s->limit[g] && moe_share_relieve(s, g) >= 0) {
        }
        if (s->load[g] > s->limit[g])
            left += s->load[g] - s->limit[g];
    }
    memcpy(s->stuck, s->reached, (size_t)s->gpus * sizeof *s->stuck);
    return left;
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* @return the limit that the marked GPUs, or all, need at least. */
static int64_t need_of(const moe_share *s, bool all)
{
    int64_t load = 0, n = 0;
    for (int g = 0; g < s->gpus; g++)
        if (all || s->stuck[g]) {
            load += s->load[g];
            n++;
        }
    return divide_up(load, n);
}

int64_t moe_share_minmax(moe_share *s)
{
    int64_t limit = need_of(s, true);
    for (;; limit = need_of(s, false)) {
        for (int g = 0; g < s->gpus; g++)
            s->limit[g] = limit;
        if (moe_share_push(s) == 0)
            return limit;
    }
}

int64_t moe_share_part(const moe_share *s, const moe_replica *replica)
{
    return s->part[replica->gpu * s->slots + replica->slot];
}
