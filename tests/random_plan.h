/** random_plan.h: layers of plans that nobody would draw by hand. */
#ifndef MOEGPS_TESTS_RANDOM_PLAN_H
#define MOEGPS_TESTS_RANDOM_PLAN_H

#include <stdbool.h>

#include "moegps/plan.h"
#include "moegps/rng.h"

static inline int random_below(moe_rng *rng, int n)
{
    return (int)moe_rng_below(rng, (uint64_t)n);
}

static inline bool random_gpu_holds(const moe_plan_layer *layer, int gpu,
                                    int expert)
{
    for (int k = 0; k < layer->slots; k++)
        if (layer->expert[gpu * layer->slots + k] == expert)
            return true;
    return false;
}

/* Shares of every expert: any, some of them 0. */
static inline void random_quotas(moe_rng *rng, moe_plan_layer *layer)
{
    for (int e = 0; e < layer->experts; e++) {
        uint32_t left = MOE_QUOTA_ONE;
        int last = -1;
        for (int s = 0; s < layer->gpus * layer->slots; s++) {
            if (layer->expert[s] != e)
                continue;
            uint32_t part = random_below(rng, 4) == 0
                                ? 0
                                : (uint32_t)moe_rng_below(rng, left + 1);
            layer->quota[s] = part;
            left -= part;
            last = s;
        }
        layer->quota[last] += left;
    }
}

/** Fill a layer with every expert at least once and none twice on a GPU;
 *  about half of the slots that are left over stay empty.
 *  @param keep_home  home experts in their home slots, else anywhere. */
static inline void random_layer(moe_rng *rng, const moe_layout *layout,
                                bool keep_home, moe_plan_layer *layer)
{
    moe_plan_layer_set_home(layer, layout);
    const int n = layer->gpus * layer->slots;
    for (int s = n - 1; s > 0 && !keep_home; s--) {
        int j = random_below(rng, s + 1);
        int16_t e = layer->expert[s];
        layer->expert[s] = layer->expert[j];
        layer->expert[j] = e;
    }
    for (int s = 0; s < n; s++) {
        int e = random_below(rng, layer->experts);
        if (layer->expert[s] < 0 && random_below(rng, 2) == 0 &&
            !random_gpu_holds(layer, s / layer->slots, e))
            layer->expert[s] = (int16_t)e;
    }
    for (int s = 0; s < n; s++)
        layer->quota[s] = 0;
    random_quotas(rng, layer);
}

#endif
