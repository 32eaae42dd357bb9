/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/fill.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "moegps/mem.h"

double moe_fill_busiest(const double *load, const int *copies, int gpus,
                        int slots, const int16_t *expert)
{
    double most = 0;
    for (int g = 0; g < gpus; g++) {
        double sum = 0;
        for (int k = g * slots; k < (g + 1) * slots; k++)
            if (expert[k] >= 0)
                sum += load[expert[k]] / copies[expert[k]];
        most = sum > most ? sum : most;
    }
    return most;
}

static bool holds(const int16_t *gpu, int slots, int e)
{
    for (int k = 0; k < slots; k++)
        if (gpu[k] == e)
            return true;
    return false;
}

/* What one fill works on. */
typedef struct {
    const double *load;
    int experts, gpus, slots;
    int16_t *expert;
    int *copies;
} filling;

static double busiest(const filling *f)
{
    return moe_fill_busiest(f->load, f->copies, f->gpus, f->slots, f->expert);
}

/* The expert for one empty slot: least load on the busiest GPU, then most load
 * per copy, then the lowest number. @return -1: the GPU has all. */
static int choose(const filling *f, int slot)
{
    const int16_t *gpu = f->expert + slot / f->slots * f->slots;
    double least = INFINITY, share = -1;
    int best = -1;
    for (int e = 0; e < f->experts; e++) {
        if (holds(gpu, f->slots, e))
            continue;
        const double own = f->load[e] / f->copies[e];
        f->copies[e]++;
        f->expert[slot] = (int16_t)e;
        const double most = busiest(f);
        f->copies[e]--;
        if (most < least || (most <= least && own > share)) {
            best = e;
            least = most;
            share = own;
        }
    }
    f->expert[slot] = -1;
    return best;
}

/* Put what helps most into an empty slot. */
static void fill_slot(const filling *f, int slot)
{
    const int e = choose(f, slot);
    f->expert[slot] = (int16_t)(e >= 0 ? e : 0);
    f->copies[f->expert[slot]]++;
}

/* Fill every slot anew that was empty, as long as that helps: the first ones
 * did not know of the later ones. */
static void improve(const filling *f, const bool *was_empty)
{
    double before = INFINITY;
    for (double now = busiest(f); now < before; now = busiest(f)) {
        before = now;
        for (int k = 0; k < f->gpus * f->slots; k++)
            if (was_empty[k]) {
                f->copies[f->expert[k]]--;
                f->expert[k] = -1;
                fill_slot(f, k);
            }
    }
}

moe_status moe_fill(const double *load, int experts, int gpus, int slots,
                    int16_t *expert, moe_error *err)
{
    moe_error local = {0};
    const int n = gpus * slots;
    int *copies = moe_array_new((size_t)experts, sizeof *copies, &local);
    bool *was_empty = moe_array_new((size_t)n, sizeof *was_empty, &local);
    const filling f = {load, experts, gpus, slots, expert, copies};
    for (int k = 0; local.status == MOE_OK && k < n; k++) {
        was_empty[k] = expert[k] < 0;
        if (!was_empty[k])
            copies[expert[k]]++;
    }
    for (int k = 0; local.status == MOE_OK && k < n; k++)
        if (was_empty[k])
            fill_slot(&f, k);
    if (local.status == MOE_OK)
        improve(&f, was_empty);
    free(was_empty);
    free(copies);
    return moe_pass(err, &local);
}
