/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

/* Which stage of a strategy leaves load on the busiest GPU. Rank 0 asks, once
 * an iteration is over, so that no clock sees it. Pairs are whole, and so are
 * all levels: an optimum that is no whole number is rounded up. */

static moe_yardstick *find_yardstick(moe_engine *e, int slots)
{
    for (int y = 0; y < e->n_yardsticks; y++)
        if (e->yardstick[y].slots == slots)
            return &e->yardstick[y];
    return NULL;
}

static void make_yardstick(moe_engine *e, int slots, moe_error *err)
{
    const size_t l = (size_t)e->p.n_layers;
    moe_yardstick *y = &e->yardstick[e->n_yardsticks];
    const moe_planner_env env = {
        .layout = e->layout, .experts = e->p.model->experts, .slots = slots};
    if (moe_regret_init(&y->regret, &env, err) != MOE_OK)
        return;
    y->slots = slots;
    y->iteration = UINT64_MAX;
    e->n_yardsticks++; /* from here on fini finds it */
    y->best = moe_array_new(l, sizeof *y->best, err);
    y->bound = moe_array_new(l, sizeof *y->bound, err);
    moe_plan_init(&y->plan, 1, env.experts, env.layout.gpus, slots, err);
}

moe_status moe_engine_regret_init(moe_engine *e, moe_error *err)
{
    if (!e->p.experiment->emulation.regret || e->ctx->rank != 0)
        return MOE_OK;
    e->yardstick =
        moe_array_new((size_t)e->n_runners, sizeof *e->yardstick, err);
    for (int i = 0; i < e->n_runners && err->status == MOE_OK; i++) {
        moe_runner *r = &e->runner[i];
        if (find_yardstick(e, r->slots) == NULL)
            make_yardstick(e, r->slots, err);
        if (!r->spec->planner->plans || err->status != MOE_OK)
            continue;
        moe_runner_new_planner(e, r, &r->twin, err);
        moe_plan_init(&r->found, e->p.n_layers, e->p.model->experts,
                      e->layout.gpus, r->slots, err);
    }
    return err->status;
}

void moe_engine_regret_fini(moe_engine *e)
{
    for (int y = 0; y < e->n_yardsticks; y++) {
        moe_regret_fini(&e->yardstick[y].regret);
        moe_plan_fini(&e->yardstick[y].plan);
        free(e->yardstick[y].best);
        free(e->yardstick[y].bound);
    }
    free(e->yardstick);
}

void moe_engine_regret_begin(moe_runner *r)
{
    if (r->twin != NULL)
        moe_plan_copy(&r->found, &r->plan);
}

static int32_t whole(double pairs)
{
    return (int32_t)ceil(pairs);
}

static const double *true_load(moe_engine *e, int layer)
{
    const int n = e->batch->experts;
    for (int x = 0; x < n; x++)
        e->load[x] = (double)e->batch->true_pairs[layer * n + x];
    return e->load;
}

/* Strategies with as many slots share these: they depend on the load alone. */
static void measure_load(moe_engine *e, moe_yardstick *y)
{
    if (y->iteration == e->batch->iteration)
        return;
    y->iteration = e->batch->iteration;
    for (int l = 0; l < e->p.n_layers; l++) {
        const double *load = true_load(e, l);
        y->best[l] = whole(moe_regret_best(&y->regret, load));
        y->bound[l] = whole(moe_regret_bound(&y->regret, load));
    }
}

/* What the strategy's planner would have made of the true load, from the
 * placement with which the iteration began. */
static int32_t ask_twin(moe_engine *e, const moe_runner *r, moe_yardstick *y,
                        int layer, const double *load)
{
    moe_error *err = &e->ctx->err;
    const moe_plan_layer found = moe_plan_at(&r->found, layer);
    moe_plan_layer next = moe_plan_at(&y->plan, 0);
    if (r->spec->planner->plan(r->twin, load, &found, &next, err) != MOE_OK) {
        moe_error_prefix(err, "strategy %s: its plan of the true load",
                         r->spec->name);
        return -1;
    }
    return whole(moe_regret_busiest(&y->regret, &next, load, MOE_BY_MINMAX));
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static void record_layer(moe_engine *e, const moe_runner *r, moe_yardstick *y,
                         int layer, int32_t *level)
{
    const double *load = true_load(e, layer);
    const moe_plan_layer plan = moe_plan_at(&r->plan, layer);
    level[MOE_LEVEL_ACTUAL] = (int32_t)e->tally[layer];
    level[MOE_LEVEL_MINMAX] =
        whole(moe_regret_busiest(&y->regret, &plan, load, MOE_BY_MINMAX));
    level[MOE_LEVEL_ORACLE_PLAN] = r->twin != NULL
                                       ? ask_twin(e, r, y, layer, load)
                                       : level[MOE_LEVEL_MINMAX];
    level[MOE_LEVEL_BEST] =
        least(y->best[layer],
              least(level[MOE_LEVEL_MINMAX], level[MOE_LEVEL_ORACLE_PLAN]));
    level[MOE_LEVEL_BOUND] = y->bound[layer];
}

void moe_engine_regret_record(moe_engine *e, const moe_runner *r, int i,
                              moe_ledger *ledger)
{
    if (!e->p.experiment->emulation.regret)
        return;
    const bool root = e->ctx->rank == 0;
    for (int l = 0; l < e->p.n_layers; l++)
        e->tally[l] = e->gpu >= 0 ? e->facts[l].rows : 0;
    MOE_MPI(MPI_Reduce(root ? MPI_IN_PLACE : e->tally, e->tally, e->p.n_layers,
                       MPI_UINT64_T, MPI_MAX, 0, e->ctx->comm));
    if (!root)
        return;
    moe_yardstick *y = find_yardstick(e, r->slots);
    measure_load(e, y);
    for (int l = 0; l < e->p.n_layers && e->ctx->err.status == MOE_OK; l++) {
        int32_t level[MOE_N_LEVELS];
        const size_t at = moe_ledger_at(ledger, r->index, i, l);
        record_layer(e, r, y, l, level);
        for (int v = 0; v < MOE_N_LEVELS; v++)
            moe_ledger_busiest(ledger, (moe_level)v)[at] = level[v];
    }
}
