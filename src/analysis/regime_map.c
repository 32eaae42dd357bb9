/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/regime_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/map_sweep.h"
#include "moegps/verdict.h"

enum {
    SKEWS = 13,
    BANDWIDTHS = 9,
    FEW_GPUS = 16,     /* up to here ... */
    MANY_SAMPLES = 15, /* ... so many ways to place the experts, as in advice;
                          many GPUs average by themselves */
    FEW_SAMPLES = 3
};

static const double REACH = 3.0; /* skewness: times the run's excess over 1, */
static const double LEAST = 2.0; /* ... and at least up to here */
static const double STEP = 2.0;  /* between bandwidths */
static const double MARGIN = 1.001; /* below what a model can have */

/* What the sweep is of; it borrows them. */
typedef struct ground {
    moe_model model;
    moe_cluster cluster;
    double skew[SKEWS], bandwidth[BANDWIDTHS];
    double accuracy;
    int batch, n_skew;
} ground;

/* @return a number among the facts; 0: it is not there. */
static int number_of(const moe_detail *detail, moe_fact fact)
{
    return (int)strtol(moe_detail_fact(detail, fact), NULL, 10);
}

/* The least error of a distribution that a strategy predicted; tokens' errors
 * are told by their recall. */
static double error_of(const moe_view *v)
{
    double least = NAN;
    for (int s = 0; s < v->dims.strategies; s++)
        if (moe_contends(v, s, MOE_BUILDABLE_NO_TOKENS))
            least = fmin(least, v->strategy[s].error.median);
    return isnan(least) ? 0.0 : least;
}

/* Share of the copies of a strategy that travelled at each plan. */
static double moving_of(const moe_view *v, int s, const ground *g)
{
    const int asked = v->strategy[s].facts.slots;
    const double slots = asked > 0 ? asked : v->dims.slots;
    const double copies = slots * v->dims.gpus - g->model.experts;
    const double moved = v->strategy[s].moved_bytes * v->period /
                         moe_model_expert_bytes(&g->model);
    return copies > 0 && moved < copies ? moved / copies : 1.0;
}

static void lay_out(ground *g, const moe_view *v)
{
    const double skew = v->strategy[v->reference_index].skewness.median;
    const double most = (double)g->model.experts / g->model.top_k / MARGIN;
    const double end = fmin(most, fmax(LEAST, 1 + REACH * (skew - 1)));
    g->n_skew = end > 1 ? SKEWS : 1;
    for (int k = 0; k < g->n_skew; k++)
        g->skew[k] = 1 + (end - 1) * k / (SKEWS - 1);
    for (int j = 0; j < BANDWIDTHS; j++)
        g->bandwidth[j] =
            g->cluster.link_bandwidth * pow(STEP, j - BANDWIDTHS / 2);
}

static moe_advise_params ask(ground *g, const moe_view *v,
                             const moe_break_even *b)
{
    const moe_layout layout = {v->dims.gpus, g->cluster.gpus_per_node};
    moe_advise_params p;
    moe_advise_params_init(&p);
    p.model = &g->model;
    p.gpus = v->dims.gpus;
    p.seq = (int)fmax(1, v->tokens / g->batch + 0.5);
    p.samples = v->dims.gpus <= FEW_GPUS ? MANY_SAMPLES : FEW_SAMPLES;
    p.error = error_of(v);
    p.slots = v->dims.slots;
    if (p.slots <= moe_layout_home_slots(&layout, g->model.experts))
        p.slots = 0; /* nothing was duplicated */
    p.dials.rebalance_every = v->period;
    p.dials.overhead_share = 0.1; /* as advice assumes */
    if (b->strategy >= 0) {
        p.dials.overhead_share = 0;
        p.dials.overhead_s = b->predict_s;
        p.dials.moving = moving_of(v, b->strategy, g);
        p.dials.accuracy = b->recall;
    }
    g->accuracy = p.dials.accuracy;
    return p;
}

static void sweep(moe_map *map, const moe_view *v, const moe_detail *detail,
                  const moe_break_even *b, moe_error *err)
{
    ground g = {.batch = number_of(detail, MOE_FACT_BATCH)};
    if (detail->model_profile == NULL || detail->cluster_profile == NULL ||
        isnan(v->tokens) || g.batch < 1) {
        moe_fail(err, MOE_USAGE, "the file has no profiles");
        return;
    }
    moe_model_parse(detail->model_profile, v->model, &g.model, err);
    moe_cluster_parse(detail->cluster_profile, v->cluster, &g.cluster, err);
    if (err->status != MOE_OK)
        return;
    const int per_node = number_of(detail, MOE_FACT_GPUS_PER_NODE);
    g.cluster.gpus_per_node = per_node > 0 ? per_node : g.cluster.gpus_per_node;
    lay_out(&g, v);
    const moe_map_params p = {.advise = ask(&g, v, b),
                              .cluster = &g.cluster,
                              .skew = g.skew,
                              .bandwidth = g.bandwidth,
                              .accuracy = &g.accuracy,
                              .batch = &g.batch,
                              .n_cluster = 1,
                              .n_skew = g.n_skew,
                              .n_accuracy = 1,
                              .n_batch = 1,
                              .n_bandwidth = BANDWIDTHS};
    moe_map_sweep(map, &p, err);
}

static moe_advise_strategy winner_near(const moe_map *map, double skew)
{
    moe_map_cell x = {.error = MOE_ADVISE_TYPICAL, .bandwidth = BANDWIDTHS / 2};
    for (int k = 1; k < map->n_skew; k++)
        if (fabs(map->skew[k] - skew) < fabs(map->skew[x.skew] - skew))
            x.skew = k;
    return (moe_advise_strategy)map->winner[moe_map_at(map, &x)];
}

moe_status moe_regime_map_init(moe_regime_map *out, const moe_view *v,
                               const moe_detail *detail,
                               const moe_break_even *b, moe_error *err)
{
    moe_error local = {0};
    *out = (moe_regime_map){.known = false};
    sweep(&out->map, v, detail, b, &local);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    if (moe_map_slice_init(&out->slice, &out->map, MOE_ADVISE_TYPICAL, 0, 0,
                           &local) != MOE_OK) {
        moe_map_fini(&out->map);
        return moe_pass(err, &local);
    }
    out->here =
        winner_near(&out->map, v->strategy[v->reference_index].skewness.median);
    out->known = true;
    return MOE_OK;
}

void moe_regime_map_fini(moe_regime_map *map)
{
    if (map->known) {
        moe_map_slice_fini(&map->slice);
        moe_map_fini(&map->map);
    }
    *map = (moe_regime_map){.known = false};
}
