/* SPDX-License-Identifier: Apache-2.0 */
#include "peak.h"

#include <stdlib.h>

#include "moegps/mem.h"

moe_status moe_peak_init(moe_peak *p, int groups, int size, moe_error *err)
{
    moe_error local = {0};
    *p = (moe_peak){.groups = groups, .size = size, .leaves = 1};
    while (p->leaves < size)
        p->leaves *= 2;
    const size_t g = (size_t)groups;
    p->key = moe_array_new(g * (size_t)size, sizeof *p->key, &local);
    p->winner =
        moe_array_new(g * 2 * (size_t)p->leaves, sizeof *p->winner, &local);
    for (int i = 0; local.status == MOE_OK && i < groups * 2 * p->leaves; i++)
        p->winner[i] = -1;
    for (int i = 0; local.status == MOE_OK && i < groups * size; i++)
        p->winner[(i / size * 2 + 1) * p->leaves + i % size] = i;
    return moe_pass(err, &local);
}

void moe_peak_fini(moe_peak *p)
{
    free(p->key);
    free(p->winner);
    *p = (moe_peak){0};
}

/* The match at a node of one tournament; the right side is behind. */
static void play(const moe_peak *p, int32_t *winner, int node)
{
    const int32_t a = winner[2 * node], b = winner[2 * node + 1];
    winner[node] = b >= 0 && p->key[b] > p->key[a] ? b : a;
}

void moe_peak_begin(moe_peak *p)
{
    for (int g = 0; g < p->groups; g++)
        for (int node = p->leaves; node-- > 1;)
            play(p, p->winner + g * 2 * p->leaves, node);
}

void moe_peak_set(moe_peak *p, int i, int64_t key)
{
    int32_t *winner = p->winner + i / p->size * 2 * p->leaves;
    p->key[i] = key;
    for (int node = (p->leaves + i % p->size) / 2; node > 0; node /= 2) {
        const int32_t before = winner[node];
        play(p, winner, node);
        if (winner[node] == before && before != i)
            return;
    }
}
