/* SPDX-License-Identifier: Apache-2.0 */
#include "rename.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

moe_status moe_rename_init(moe_rename *r, int gpus, int slots, moe_error *err)
{
    const size_t g = (size_t)gpus;
    moe_error local = {0};
    *r = (moe_rename){.gpus = gpus, .slots = slots};
    r->overlap = moe_array_new(g, sizeof *r->overlap, &local);
    r->bound = moe_array_new(g, sizeof *r->bound, &local);
    r->name = moe_array_new(g, sizeof *r->name, &local);
    r->taken = moe_array_new(g, sizeof *r->taken, &local);
    return moe_pass(err, &local);
}

void moe_rename_fini(moe_rename *r)
{
    free(r->overlap);
    free(r->bound);
    free(r->name);
    free(r->taken);
    *r = (moe_rename){0};
}

/* @return the name that is free and of whose GPU most is on this one, the
 * lowest of equals; -1: nothing in common with any. */
static int most_alike(moe_rename *r, const moe_replicas *old,
                      const int16_t *expert, int first, int end)
{
    int best = -1;
    for (int k = 0; k < r->slots; k++) {
        const int e = expert[k];
        for (uint32_t i = e >= 0 ? old->first[e] : 0;
             e >= 0 && i < old->first[e + 1]; i++) {
            const int g = old->replica[i].gpu;
            r->steps++;
            if (g < first || g >= end || r->taken[g])
                continue;
            r->overlap[g]++;
            if (best < 0 || r->overlap[g] > r->overlap[best] ||
                (r->overlap[g] == r->overlap[best] && g < best))
                best = g;
        }
    }
    return best;
}

static void forget(moe_rename *r, const moe_replicas *old,
                   const int16_t *expert)
{
    for (int k = 0; k < r->slots; k++)
        if (expert[k] >= 0)
            for (uint32_t i = old->first[expert[k]];
                 i < old->first[expert[k] + 1]; i++)
                r->overlap[old->replica[i].gpu] = 0;
}

/* A GPU finds the name that it has most in common with, if that is as much as
 * `common`; what it can find only gets less. */
static void find_name(moe_rename *r, const moe_replicas *old,
                      const int16_t *made, int gpu, int domain, int common)
{
    const int16_t *expert = made + (size_t)gpu * (size_t)r->slots;
    const int first = gpu / domain * domain;
    const int best = most_alike(r, old, expert, first, first + domain);
    r->bound[gpu] = best >= 0 ? r->overlap[best] : 0;
    forget(r, old, expert);
    if (best < 0 || r->bound[gpu] < common)
        return;
    r->name[gpu] = best;
    r->taken[best] = true;
}

/* Those that have nothing in common with any that is left. */
static void name_rest(moe_rename *r, int domain)
{
    for (int first = 0; first < r->gpus; first += domain)
        for (int g = first, next = first; g < first + domain; g++) {
            if (r->name[g] >= 0)
                continue;
            while (r->taken[next])
                next++;
            r->name[g] = next;
            r->taken[next] = true;
        }
}

void moe_rename_gpus(moe_rename *r, const moe_replicas *old,
                     const int16_t *made, int domain, int16_t *out)
{
    const size_t slots = (size_t)r->slots;
    for (int g = 0; g < r->gpus; g++) {
        r->overlap[g] = 0;
        r->bound[g] = r->slots;
        r->name[g] = -1;
        r->taken[g] = false;
    }
    for (int common = r->slots; common > 0; common--)
        for (int g = 0; g < r->gpus; g++)
            if (r->name[g] < 0 && r->bound[g] >= common)
                find_name(r, old, made, g, domain, common);
    name_rest(r, domain);
    for (int g = 0; g < r->gpus; g++)
        memcpy(out + (size_t)r->name[g] * slots, made + (size_t)g * slots,
               slots * sizeof *out);
    r->steps += (uint64_t)r->gpus * slots;
}
