/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

/* Which stage of a strategy leaves load on the busiest GPU. Rank 0 asks, once
 * an iteration is over, so that no clock sees it. Pairs are whole, and so are
 * all levels: an optimum that is no whole number is rounded up. */

static moe_regret_reference *find_reference(const moe_engine *e, int slots)
{
    for (int i = 0; i < e->regrets.n_references; i++)
        if (e->regrets.reference[i].slots == slots)
            return &e->regrets.reference[i];
    return NULL;
}

static void make_reference(moe_engine *e, int slots, moe_error *err)
{
    const size_t l = (size_t)e->p.n_layers;
    moe_regret_reference *ref = &e->regrets.reference[e->regrets.n_references];
    const moe_planner_env env = {
        .layout = e->layout, .experts = e->p.model->experts, .slots = slots};
    ref->regret = moe_regret_new(&env, err);
    if (ref->regret == NULL)
        return;
    ref->slots = slots;
    ref->iteration = UINT64_MAX;
    e->regrets.n_references++; /* from here on fini finds it */
    ref->best = moe_array_new(l, sizeof *ref->best, err);
    ref->bound = moe_array_new(l, sizeof *ref->bound, err);
    moe_plan_init(&ref->plan, 1, env.experts, env.layout.gpus, slots, err);
}

moe_status moe_engine_regret_init(moe_engine *e, moe_error *err)
{
    if (!e->p.experiment->emulation.regret)
        return MOE_OK;
    e->regrets.busiest =
        moe_array_new((size_t)e->p.n_layers, sizeof *e->regrets.busiest, err);
    if (e->ctx->rank != 0)
        return err->status;
    e->regrets.load = moe_array_new((size_t)e->p.model->experts,
                                    sizeof *e->regrets.load, err);
    e->regrets.reference =
        moe_array_new((size_t)e->n_runners, sizeof *e->regrets.reference, err);
    for (int i = 0; i < e->n_runners && err->status == MOE_OK; i++) {
        moe_runner *r = &e->runner[i];
        if (r->choice != NULL)
            continue;
        if (find_reference(e, r->slots) == NULL)
            make_reference(e, r->slots, err);
        if (!r->spec->planner->plans || err->status != MOE_OK)
            continue;
        moe_runner_new_planner(e, r, &r->oracle_planner, err);
        moe_plan_init(&r->plan_before, e->p.n_layers, e->p.model->experts,
                      e->layout.gpus, r->slots, err);
    }
    return err->status;
}

void moe_engine_regret_fini(moe_engine *e)
{
    for (int i = 0; i < e->regrets.n_references; i++) {
        moe_regret_free(e->regrets.reference[i].regret);
        moe_plan_fini(&e->regrets.reference[i].plan);
        free(e->regrets.reference[i].best);
        free(e->regrets.reference[i].bound);
    }
    free(e->regrets.reference);
    free(e->regrets.load);
    free(e->regrets.busiest);
}

void moe_engine_regret_begin(moe_runner *r)
{
    if (r->oracle_planner != NULL)
        moe_plan_copy(&r->plan_before, &r->plan);
}

static int32_t whole(double pairs)
{
    return (int32_t)ceil(pairs);
}

static const double *true_load(const moe_engine *e, int layer)
{
    const int n = e->it.batch->experts;
    for (int x = 0; x < n; x++)
        e->regrets.load[x] = (double)e->it.batch->true_pairs[layer * n + x];
    return e->regrets.load;
}

/* Strategies with as many slots share these: they depend on the load alone. */
static void measure_load(const moe_engine *e, moe_regret_reference *ref)
{
    if (ref->iteration == e->it.batch->iteration)
        return;
    ref->iteration = e->it.batch->iteration;
    for (int l = 0; l < e->p.n_layers; l++) {
        const double *load = true_load(e, l);
        ref->best[l] = whole(moe_regret_best(ref->regret, load));
        ref->bound[l] = whole(moe_regret_bound(ref->regret, load));
    }
}

/* What the strategy's planner would have made of the true load, from the
 * placement with which the iteration began. */
static int32_t ask_oracle_planner(const moe_engine *e, const moe_runner *r,
                                  moe_regret_reference *ref, int layer,
                                  const double *load)
{
    moe_error *err = &e->ctx->err;
    const moe_plan_layer before = moe_plan_at(&r->plan_before, layer);
    moe_plan_layer next = moe_plan_at(&ref->plan, 0);
    const moe_planner_task task = {.load = load, .current = &before};
    if (r->spec->planner->plan(r->oracle_planner, &task, &next, err) !=
        MOE_OK) {
        moe_error_prefix(err, "strategy %s: its plan of the true load",
                         r->spec->name);
        return -1;
    }
    return whole(
        moe_regret_busiest(ref->regret, &next, load, MOE_DIVISION_MINMAX));
}

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static void record_layer(const moe_engine *e, const moe_runner *r,
                         moe_regret_reference *ref, int layer, int32_t *level)
{
    const double *load = true_load(e, layer);
    const moe_plan_layer plan = moe_plan_at(&r->plan, layer);
    level[MOE_LEVEL_ACTUAL] = (int32_t)e->regrets.busiest[layer];
    level[MOE_LEVEL_MINMAX] = whole(
        moe_regret_busiest(ref->regret, &plan, load, MOE_DIVISION_MINMAX));
    level[MOE_LEVEL_ORACLE_PLAN] =
        r->oracle_planner != NULL ? ask_oracle_planner(e, r, ref, layer, load)
                                  : level[MOE_LEVEL_MINMAX];
    level[MOE_LEVEL_BEST] =
        least(ref->best[layer],
              least(level[MOE_LEVEL_MINMAX], level[MOE_LEVEL_ORACLE_PLAN]));
    level[MOE_LEVEL_BOUND] = ref->bound[layer];
}

void moe_engine_regret_record(const moe_engine *e, const moe_runner *r, int i,
                              moe_ledger *ledger)
{
    if (!e->p.experiment->emulation.regret)
        return;
    const bool root = e->ctx->rank == 0;
    for (int l = 0; l < e->p.n_layers; l++)
        e->regrets.busiest[l] = e->gpu >= 0 ? e->it.facts[l].rows : 0;
    MOE_MPI(MPI_Reduce(root ? MPI_IN_PLACE : e->regrets.busiest,
                       e->regrets.busiest, e->p.n_layers, MPI_UINT64_T, MPI_MAX,
                       0, e->ctx->comm));
    if (!root)
        return;
    moe_regret_reference *ref = find_reference(e, r->slots);
    measure_load(e, ref);
    for (int l = 0; l < e->p.n_layers && e->ctx->err.status == MOE_OK; l++) {
        int32_t level[MOE_N_LEVELS];
        const size_t at = moe_ledger_at(ledger, r->index, i, l);
        record_layer(e, r, ref, l, level);
        for (int v = 0; v < MOE_N_LEVELS; v++)
            moe_ledger_busiest(ledger, (moe_level)v)[at] = level[v];
    }
}
