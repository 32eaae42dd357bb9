/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map_sweep.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "version.h"

/* All accuracies and cases at one place. What does not depend on the accuracy
 * is priced once. */
static void price_cell(moe_map *map, const moe_advise *a,
                       const moe_advise_dials *dials, moe_map_cell x)
{
    moe_advise_dials d = *dials;
    for (int c = 0; c < MOE_ADVISE_CASES; c++) {
        double t[MOE_ADVISE_STRATEGIES];
        x.error = (moe_advise_case)c;
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            if (s != MOE_ADVISE_TOKEN)
                t[s] =
                    moe_advise_layer_s(a, &d, (moe_advise_strategy)s, x.error);
        for (x.accuracy = 0; x.accuracy < map->n_accuracy; x.accuracy++) {
            const size_t at = moe_map_at(map, &x);
            d.accuracy = map->accuracy[x.accuracy];
            t[MOE_ADVISE_TOKEN] =
                moe_advise_layer_s(a, &d, MOE_ADVISE_TOKEN, x.error);
            memcpy(map->layer_s + at * MOE_ADVISE_STRATEGIES, t, sizeof t);
            map->winner[at] = (int32_t)moe_map_judge(t, &map->margin[at]);
        }
    }
}

static void sweep_bandwidth(moe_map *map, moe_advise *a,
                            const moe_advise_params *p, moe_map_cell x)
{
    for (x.bandwidth = 0; x.bandwidth < map->n_bandwidth; x.bandwidth++) {
        moe_advise_set_links(a, moe_map_bandwidth(map, x.cluster, x.bandwidth),
                             p->cluster->network_bandwidth);
        price_cell(map, a, &p->dials, x);
    }
}

/* One cluster: the first load brings the prices of all others. */
static moe_status sweep_cluster(moe_map *map, const moe_map_params *params,
                                int cluster, moe_error *err)
{
    moe_advise_params p = params->advise;
    moe_map_cell x = {.cluster = cluster};
    moe_advise *first = NULL;
    p.cluster = &params->cluster[cluster];
    for (x.batch = 0; x.batch < map->n_batch; x.batch++)
        for (x.skew = 0; x.skew < map->n_skew; x.skew++) {
            moe_advise *a = NULL;
            p.skew = p.trace == NULL ? map->skew[x.skew] : 0;
            p.batch = map->batch[x.batch];
            if (moe_advise_new_like(first, &p, &a, err) != MOE_OK)
                goto out;
            moe_advise_facts facts;
            moe_advise_facts_of(a, &facts);
            map->batch_skew[x.batch * map->n_skew + x.skew] = facts.skew;
            map->samples = facts.samples;
            if (p.trace != NULL)
                map->skew[0] += facts.skew / map->n_batch;
            sweep_bandwidth(map, a, &p, x);
            if (first == NULL)
                first = a;
            else
                moe_advise_free(a);
        }
out:
    moe_advise_free(first);
    return err->status;
}

static void take_settings(moe_map *map, const moe_map_params *p, moe_error *err)
{
    const moe_advise_params *a = &p->advise;
    snprintf(map->model, sizeof map->model, "%s", a->model->name);
    snprintf(map->version, sizeof map->version, "%s", MOE_VERSION);
    map->command_line = moe_strdup(p->command_line, err);
    moe_serving_text(&p->advise.serving, map->deployment,
                     sizeof map->deployment);
    map->gpus = a->gpus;
    map->seq = a->seq;
    map->slots =
        a->slots > 0 ? a->slots : moe_advise_slots(a->model->experts, a->gpus);
    if (p->trace != NULL) {
        snprintf(map->trace, sizeof map->trace, "%s", p->trace);
        snprintf(map->order, sizeof map->order, "%s",
                 moe_batch_orders[moe_batch_in_order(a->trace, a->order)
                                      ? MOE_BATCH_RECORDED
                                      : MOE_BATCH_SHUFFLED]);
    } else {
        map->samples = a->samples;
    }
    map->seed = a->seed;
    snprintf(map->split, sizeof map->split, "%s",
             a->split != NULL ? a->split->name : "quota");
    map->lookahead = a->dials.lookahead;
    map->rebalance_every = a->dials.rebalance_every;
    map->moving = a->dials.moving;
    map->overhead_s = a->dials.overhead_s;
    map->overhead_share = a->dials.overhead_share;
    map->paper = a->dials.paper;
    map->error = a->error;
    map->bottleneck = a->bottleneck;
    map->planner_s = moe_advise_fixed_planner_s(a);
}

/* Values along the dimensions. */
static void take_axes(moe_map *map, const moe_map_params *p)
{
    for (int c = 0; c < map->n_cluster; c++) {
        moe_map_cluster *to = &map->cluster[c];
        snprintf(to->name, sizeof to->name, "%s", p->cluster[c].name);
        snprintf(to->cost, sizeof to->cost, "%s", p->cluster[c].cost);
        for (int i = 0; i < map->n_bandwidth; i++)
            map->bandwidth[c * map->n_bandwidth + i] =
                map->own_links ? p->cluster[c].link_bandwidth : p->bandwidth[i];
    }
    for (int b = 0; b < map->n_batch; b++)
        map->batch[b] = p->batch[b];
    memcpy(map->accuracy, p->accuracy,
           (size_t)map->n_accuracy * sizeof *map->accuracy);
    if (p->trace == NULL)
        memcpy(map->skew, p->skew, (size_t)map->n_skew * sizeof *map->skew);
}

moe_status moe_map_sweep(moe_map *map, const moe_map_params *p, moe_error *err)
{
    moe_error local = {0};
    const bool own = p->n_bandwidth == 0;
    *map = (moe_map){.own_links = own,
                     .n_cluster = p->n_cluster,
                     .n_batch = p->n_batch,
                     .n_accuracy = p->n_accuracy,
                     .n_skew = p->trace != NULL ? 1 : p->n_skew,
                     .n_bandwidth = own ? 1 : p->n_bandwidth};
    if (moe_map_alloc(map, &local) == MOE_OK)
        take_axes(map, p);
    for (int c = 0; c < p->n_cluster && local.status == MOE_OK; c++)
        if (sweep_cluster(map, p, c, &local) != MOE_OK && p->n_cluster > 1)
            moe_error_prefix(&local, "%s", p->cluster[c].name);
    if (local.status == MOE_OK) /* a sweep has checked them */
        take_settings(map, p, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_map_fini(map);
    return moe_pass(err, &local);
}
