/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

static const char *const strategy_names[MOE_ADVISE_STRATEGIES] = {
    "baseline", "distribution-only", "token-to-expert", "oracle"};
static const char *const case_names[MOE_ADVISE_CASES] = {
    "optimistic", "typical", "pessimistic"};

const char *moe_advise_strategy_name(moe_advise_strategy s)
{
    return strategy_names[s];
}

const char *moe_advise_case_name(moe_advise_case c)
{
    return case_names[c];
}

double moe_map_bandwidth(const moe_map *map, int cluster, int bandwidth)
{
    return map->bandwidth[cluster * map->n_bandwidth + bandwidth];
}

size_t moe_map_cells(const moe_map *map)
{
    return (size_t)map->n_cluster * MOE_ADVISE_CASES * (size_t)map->n_batch *
           (size_t)map->n_accuracy * (size_t)map->n_skew *
           (size_t)map->n_bandwidth;
}

size_t moe_map_at(const moe_map *map, const moe_map_cell *x)
{
    size_t at = (size_t)x->cluster * MOE_ADVISE_CASES + (size_t)x->error;
    at = at * (size_t)map->n_batch + (size_t)x->batch;
    at = at * (size_t)map->n_accuracy + (size_t)x->accuracy;
    at = at * (size_t)map->n_skew + (size_t)x->skew;
    return at * (size_t)map->n_bandwidth + (size_t)x->bandwidth;
}

moe_status moe_map_alloc(moe_map *map, moe_error *err)
{
    const int sizes[] = {map->n_cluster, map->n_batch, map->n_accuracy,
                         map->n_skew, map->n_bandwidth};
    moe_error local = {0};
    size_t n = MOE_ADVISE_CASES;
    for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++) {
        n *= (size_t)sizes[i];
        if (sizes[i] < 1 || n > MOE_MAP_MAX_CELLS)
            return moe_fail(err, MOE_USAGE, "a map has 1 to %d cells",
                            MOE_MAP_MAX_CELLS);
    }
    const size_t links = (size_t)map->n_cluster * (size_t)map->n_bandwidth;
    const size_t own = (size_t)map->n_batch * (size_t)map->n_skew;
    const struct {
        void *to;
        size_t n, size;
    } arrays[] = {
        {&map->cluster, (size_t)map->n_cluster, sizeof *map->cluster},
        {&map->batch, (size_t)map->n_batch, sizeof *map->batch},
        {&map->accuracy, (size_t)map->n_accuracy, sizeof *map->accuracy},
        {&map->skew, (size_t)map->n_skew, sizeof *map->skew},
        {&map->batch_skew, own, sizeof *map->batch_skew},
        {&map->bandwidth, links, sizeof *map->bandwidth},
        {&map->layer_s, n * MOE_ADVISE_STRATEGIES, sizeof *map->layer_s},
        {&map->winner, n, sizeof *map->winner},
        {&map->margin, n, sizeof *map->margin},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++) {
        void *array = moe_array_new(arrays[i].n, arrays[i].size, &local);
        memcpy(arrays[i].to, &array, sizeof array);
    }
    for (size_t i = 0; map->batch_skew != NULL && i < own; i++)
        map->batch_skew[i] = NAN;
    return moe_pass(err, &local);
}

moe_advise_strategy moe_map_judge(const double *layer_s, double *margin_out)
{
    int best = 0;
    double second = INFINITY;
    for (int s = 1; s < MOE_ADVISE_ORACLE; s++)
        best = layer_s[s] < layer_s[best] ? s : best;
    for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
        if (s != best && layer_s[s] < second)
            second = layer_s[s];
    *margin_out = second / layer_s[best] - 1.0;
    return (moe_advise_strategy)best;
}

void moe_map_fini(moe_map *map)
{
    free(map->command_line);
    free(map->cluster);
    free(map->batch);
    free(map->accuracy);
    free(map->skew);
    free(map->batch_skew);
    free(map->bandwidth);
    free(map->layer_s);
    free(map->winner);
    free(map->margin);
    *map = (moe_map){0};
}
