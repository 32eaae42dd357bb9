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
    p->match =
        moe_array_new(g * 2 * (size_t)p->leaves, sizeof *p->match, &local);
    for (int i = 0; local.status == MOE_OK && i < groups * 2 * p->leaves; i++)
        p->match[i] = (moe_peak_match){INT64_MIN, -1};
    return moe_pass(err, &local);
}

void moe_peak_fini(moe_peak *p)
{
    free(p->key);
    free(p->match);
    *p = (moe_peak){0};
}

/* The match at a node of one tournament. The right side is behind; where nobody
 * is, that is on the right. */
static void play(moe_peak_match *m, int node)
{
    m[node] = m[2 * node + (m[2 * node + 1].key > m[2 * node].key)];
}

void moe_peak_begin(moe_peak *p)
{
    for (int g = 0; g < p->groups; g++) {
        moe_peak_match *m = p->match + g * 2 * p->leaves;
        for (int i = 0; i < p->size; i++)
            m[p->leaves + i] =
                (moe_peak_match){p->key[g * p->size + i], g * p->size + i};
        for (int node = p->leaves; node-- > 1;)
            play(m, node);
    }
}

/* Who wins is as good as random, and a branch for it would cost more than all
 * else: so there is none. Of equals the left side wins. */
void moe_peak_set(moe_peak *p, int i, int64_t key)
{
    moe_peak_match *m = p->match + i / p->size * 2 * p->leaves;
    moe_peak_match first = {key, i};
    int node = p->leaves + i % p->size;
    p->key[i] = key;
    m[node] = first;
    for (; node > 1; node /= 2) {
        const moe_peak_match other = m[node ^ 1];
        const int32_t before = m[node / 2].winner;
        const int64_t lost = -(int64_t)(other.key + node % 2 > first.key);
        first.key ^= (first.key ^ other.key) & lost;
        first.winner ^= (first.winner ^ other.winner) & (int32_t)lost;
        m[node / 2] = first;
        if (first.winner == before && before != i)
            return;
    }
}
