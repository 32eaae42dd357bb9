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

/* Count what every old GPU has in common with a new one. */
static void count_overlap(moe_rename *r, const moe_replicas *old,
                          const int16_t *expert)
{
    for (int k = 0; k < r->slots; k++) {
        const int e = expert[k];
        if (e < 0)
            continue;
        for (uint32_t i = old->first[e]; i < old->first[e + 1]; i++)
            r->overlap[old->replica[i].gpu]++;
        r->steps += old->first[e + 1] - old->first[e];
    }
}

/* Forget the counts. @return the most of a free name in [first, end), above the
 * complement of the lowest name that has it; below 2^32: nothing in common. */
static uint64_t take_most(moe_rename *r, const moe_replicas *old,
                          const int16_t *expert, int first, int end)
{
    uint64_t most = 0;
    for (int k = 0; k < r->slots; k++) {
        const int e = expert[k];
        for (uint32_t i = e >= 0 ? old->first[e] : 0;
             e >= 0 && i < old->first[e + 1]; i++) {
            const int g = old->replica[i].gpu;
            const bool free = (g >= first) & (g < end) & !r->taken[g];
            const uint64_t key = (uint64_t)r->overlap[g] << 32 | ~(uint32_t)g;
            r->overlap[g] = 0;
            most = free && key > most ? key : most;
        }
    }
    return most;
}

/* A GPU finds the name that it has most in common with, if that is as much as
 * `common`; what it can find only gets less. */
static void find_name(moe_rename *r, const moe_replicas *old,
                      const int16_t *made, int gpu, int domain, int common)
{
    const int16_t *expert = made + (size_t)gpu * (size_t)r->slots;
    const int first = gpu / domain * domain;
    count_overlap(r, old, expert);
    const uint64_t most = take_most(r, old, expert, first, first + domain);
    r->bound[gpu] = (int)(most >> 32);
    if (r->bound[gpu] < common)
        return;
    r->name[gpu] = (int)~(uint32_t)most;
    r->taken[r->name[gpu]] = true;
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
