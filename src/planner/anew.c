/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "hedge_internal.h"

/* A placement from nothing: every expert is worth its mean load and z standard
 * deviations; replicas go to the expert with most per replica, at most one for
 * every GPU; then experts, most per replica first, to the GPUs that have least
 * so far. */

/* Heaps of experts and GPUs hold keys: what orders them, which is no less than 0
 * and whose bits are then ordered as it is; and the number, ties going to the
 * lower one. Of experts the largest key comes first, of GPUs the smallest. */
static uint64_t key_of(float value, uint32_t tie)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint64_t)bits << 32 | tie;
}

static uint64_t expert_key(const moe_hedge *h, int expert)
{
    return key_of(h->part[expert], ~(uint32_t)expert);
}

static int expert_of(uint64_t key)
{
    return (int)~(uint32_t)key;
}

static int gpu_of(uint64_t key)
{
    return (int)(uint32_t)key;
}

static float weight_of(uint64_t key)
{
    const uint32_t bits = (uint32_t)(key >> 32);
    float weight;
    memcpy(&weight, &bits, sizeof weight);
    return weight;
}

static void sift_expert(moe_hedge *h, int at, int n)
{
    uint64_t *order = h->order;
    const uint64_t moved = order[at];
    for (int child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && order[child + 1] > order[child];
        if (moved > order[child])
            break;
        order[at] = order[child];
        h->steps += 4;
    }
    order[at] = moved;
}

/* Count replicas; a heap of experts that may have more is left behind. */
static void replicate(moe_hedge *h)
{
    int n = h->p.experts;
    for (int e = 0; e < n; e++) {
        h->copies[e] = 1;
        h->part[e] = h->value[e];
        h->order[e] = expert_key(h, e);
    }
    for (int i = n / 2; i-- > 0;)
        sift_expert(h, i, n);
    int spare = h->p.gpus * h->p.slots - n;
    while (spare > 0 && n > 0) {
        const int e = expert_of(h->order[0]);
        if (h->copies[e] < h->p.gpus) {
            h->part[e] = h->value[e] / (float)++h->copies[e];
            h->order[0] = expert_key(h, e);
            spare--;
        } else {
            h->order[0] = h->order[--n];
        }
        sift_expert(h, 0, n);
    }
}

/* By falling part. */
static void sort_experts(moe_hedge *h)
{
    int n = h->p.experts;
    for (int e = 0; e < n; e++)
        h->order[e] = expert_key(h, e);
    for (int i = n / 2; i-- > 0;)
        sift_expert(h, i, n);
    while (n > 1) {
        const uint64_t first = h->order[0];
        h->order[0] = h->order[--n];
        h->order[n] = first;
        sift_expert(h, 0, n);
    }
    for (int i = 0, j = h->p.experts - 1; i < j; i++, j--) {
        const uint64_t swap = h->order[i];
        h->order[i] = h->order[j];
        h->order[j] = swap;
    }
}

static void push_gpu(moe_hedge *h, int *n, uint64_t key)
{
    int at = (*n)++;
    for (; at > 0 && key < h->heap[(at - 1) / 2]; at = (at - 1) / 2)
        h->heap[at] = h->heap[(at - 1) / 2];
    h->heap[at] = key;
    h->steps += 4;
}

static uint64_t pop_gpu(moe_hedge *h, int *n)
{
    uint64_t *heap = h->heap;
    const uint64_t first = heap[0], last = heap[--*n];
    int at = 0;
    for (int child; (child = 2 * at + 1) < *n; at = child) {
        child += child + 1 < *n && heap[child + 1] < heap[child];
        if (last < heap[child])
            break;
        heap[at] = heap[child];
        h->steps += 4;
    }
    heap[at] = last;
    return first;
}

/* Replicas that find no GPU with room are left out. */
static void pack(moe_hedge *h, int16_t *expert_out)
{
    const int slots = h->p.slots;
    int n = 0;
    for (int g = 0; g < h->p.gpus; g++) {
        h->room[g] = slots;
        push_gpu(h, &n, key_of(0, (uint32_t)g));
    }
    for (int t = 0; t < h->p.gpus * slots; t++)
        expert_out[t] = -1;
    for (int i = 0; i < h->p.experts; i++) {
        const int e = expert_of(h->order[i]);
        int taken = 0;
        while (taken < h->copies[e] && n > 0)
            h->out[taken++] = pop_gpu(h, &n);
        for (int k = 0; k < taken; k++) {
            const int g = gpu_of(h->out[k]);
            expert_out[g * slots + --h->room[g]] = (int16_t)e;
            if (h->room[g] > 0)
                push_gpu(
                    h, &n,
                    key_of(weight_of(h->out[k]) + h->part[e], (uint32_t)g));
        }
    }
}

void moe_hedge_build(moe_hedge *h, double z)
{
    for (int e = 0; e < h->p.experts; e++)
        h->value[e] = h->mean[e] + (float)z * h->spread[e];
    replicate(h);
    sort_experts(h);
    pack(h, h->packed);
    h->rename.steps = 0;
    moe_rename_gpus(&h->rename, &h->in_force, h->packed, h->p.gpus, h->anew);
    h->steps += h->rename.steps;
}
