/* SPDX-License-Identifier: Apache-2.0 */
#include "hedge_internal.h"

/* A placement from nothing: every expert is worth its mean load and z standard
 * deviations; replicas go to the expert with most per replica, at most one for
 * every GPU; then experts, most per replica first, to the GPUs that have least
 * so far. */

/* Heaps of experts and GPUs: the first is the one wanted; ties go to the
 * lower number, so that the order is one. */
static bool expert_first(const moe_hedge *h, int a, int b)
{
    const float x = h->part[a], y = h->part[b];
    return x > y || (x == y && a < b);
}

static void sift_expert(moe_hedge *h, int at, int n)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n &&
            expert_first(h, h->order[child + 1], h->order[child]))
            child++;
        if (expert_first(h, h->order[at], h->order[child]))
            return;
        const int swap = h->order[at];
        h->order[at] = h->order[child];
        h->order[child] = swap;
        h->steps += 4;
    }
}

/* Count replicas; a heap of experts that may have more is left behind. */
static void replicate(moe_hedge *h)
{
    int n = h->p.experts;
    for (int e = 0; e < n; e++) {
        h->copies[e] = 1;
        h->part[e] = h->value[e];
        h->order[e] = e;
    }
    for (int i = n / 2; i-- > 0;)
        sift_expert(h, i, n);
    int spare = h->p.gpus * h->p.slots - n;
    while (spare > 0 && n > 0) {
        int *first = &h->order[0];
        if (h->copies[*first] < h->p.gpus) {
            h->part[*first] = h->value[*first] / (float)++h->copies[*first];
            spare--;
        } else {
            *first = h->order[--n];
        }
        sift_expert(h, 0, n);
    }
}

/* By falling part. */
static void sort_experts(moe_hedge *h)
{
    int n = h->p.experts;
    for (int e = 0; e < n; e++)
        h->order[e] = e;
    for (int i = n / 2; i-- > 0;)
        sift_expert(h, i, n);
    while (n > 1) {
        const int first = h->order[0];
        h->order[0] = h->order[--n];
        h->order[n] = first;
        sift_expert(h, 0, n);
    }
    for (int i = 0, j = h->p.experts - 1; i < j; i++, j--) {
        const int swap = h->order[i];
        h->order[i] = h->order[j];
        h->order[j] = swap;
    }
}

static bool gpu_first(moe_hedge_pack a, moe_hedge_pack b)
{
    return a.weight < b.weight || (a.weight == b.weight && a.gpu < b.gpu);
}

static void push_gpu(moe_hedge *h, int *n, moe_hedge_pack pack)
{
    int at = (*n)++;
    for (; at > 0 && gpu_first(pack, h->heap[(at - 1) / 2]); at = (at - 1) / 2)
        h->heap[at] = h->heap[(at - 1) / 2];
    h->heap[at] = pack;
    h->steps += 4;
}

static moe_hedge_pack pop_gpu(moe_hedge *h, int *n)
{
    const moe_hedge_pack first = h->heap[0], last = h->heap[--*n];
    int at = 0;
    for (int child; (child = 2 * at + 1) < *n; at = child) {
        if (child + 1 < *n && gpu_first(h->heap[child + 1], h->heap[child]))
            child++;
        if (gpu_first(last, h->heap[child]))
            break;
        h->heap[at] = h->heap[child];
        h->steps += 4;
    }
    h->heap[at] = last;
    return first;
}

/* Replicas that find no GPU with room are left out. */
static void pack(moe_hedge *h, int16_t *expert_out)
{
    const int slots = h->p.slots;
    int n = 0;
    for (int g = 0; g < h->p.gpus; g++) {
        h->room[g] = slots;
        push_gpu(h, &n, (moe_hedge_pack){0, g});
    }
    for (int t = 0; t < h->p.gpus * slots; t++)
        expert_out[t] = -1;
    for (int i = 0; i < h->p.experts; i++) {
        const int e = h->order[i];
        int taken = 0;
        while (taken < h->copies[e] && n > 0)
            h->out[taken++] = pop_gpu(h, &n);
        for (int k = 0; k < taken; k++) {
            moe_hedge_pack x = h->out[k];
            expert_out[x.gpu * slots + --h->room[x.gpu]] = (int16_t)e;
            x.weight += h->part[e];
            if (h->room[x.gpu] > 0)
                push_gpu(h, &n, x);
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
