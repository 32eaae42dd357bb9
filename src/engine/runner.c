/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/h5_try.h"

static const moe_learned *learned_of(const moe_engine *e, const moe_runner *r)
{
    return e->p.learned != NULL
               ? e->p.learned[r->spec - e->p.experiment->strategy]
               : NULL;
}

static moe_status make_predictor(moe_engine *e, moe_runner *r, moe_error *err)
{
    const moe_workload *w = &e->p.experiment->workload;
    const moe_predictor_env env = {
        .trace = e->p.trace,
        .layers = e->trace_layer,
        .n_layers = e->p.n_layers,
        .seed = w->seed,
        .lookahead = r->spec->lookahead,
        .batch = w->batch,
        .seq = w->seq,
        .order = w->order,
        .max_own = moe_batcher_max_own(e->batcher),
        .file = {.data = r->file.data, .bytes = r->file.bytes},
        .learned = learned_of(e, r)};
    r->predictor = moe_predictor_new(r->spec->predictor, &env,
                                     r->spec->predictor_params, err);
    return err->status;
}

/* What a strategy's planner is told once; it copies *pricer. */
static moe_planner_env planner_env(const moe_engine *e, const moe_runner *r,
                                   const moe_pricer *pricer)
{
    return (moe_planner_env){
        .layout = e->layout,
        .experts = e->p.model->experts,
        .slots = r->slots,
        .pricer = pricer,
        .sequences = moe_engine_sequences(e, (double)moe_engine_max_tokens(e)),
        .interval = e->p.experiment->emulation.rebalance_every,
        .step_s = e->p.cluster->planner_step_s,
        .beside =
            r->spec->plan_ahead || r->spec->lookahead != MOE_LOOKAHEAD_ALL,
        .division = r->spec->split->division,
        .constant = r->spec->predictor->constant};
}

moe_status moe_runner_new_planner(const moe_engine *e, const moe_runner *r,
                                  void **state_out, moe_error *err)
{
    const moe_pricer pricer = moe_engine_pricer(e);
    const moe_planner_env env = planner_env(e, r, &pricer);
    *state_out =
        moe_planner_new(r->spec->planner, &env, r->spec->planner_params, err);
    return err->status;
}

static moe_status make_planner(moe_engine *e, moe_runner *r, moe_error *err)
{
    bool central =
        e->p.experiment->emulation.coordination == MOE_COORDINATION_CENTRAL;
    if (!r->spec->planner->plans || (central && e->ctx->rank != e->coordinator))
        return MOE_OK;
    const moe_pricer pricer = moe_engine_pricer(e);
    const moe_planner_env env = planner_env(e, r, &pricer);
    r->planner = moe_array_new(1, sizeof *r->planner, err);
    if (r->planner == NULL)
        return err->status;
    return moe_planner_team_init(r->planner, r->spec->planner, &env,
                                 r->spec->planner_params,
                                 moe_engine_planner_threads(e), err);
}

static moe_status make_plans(moe_engine *e, moe_runner *r, moe_error *err)
{
    const int l = e->p.n_layers, x = e->p.model->experts, g = e->layout.gpus;
    if (moe_plan_init(&r->plan, l, x, g, r->slots, err) != MOE_OK ||
        moe_plan_init(&r->next, l, x, g, r->slots, err) != MOE_OK)
        return err->status;
    moe_plan_set_home(&r->plan, &e->layout);
    moe_plan_set_home(&r->next, &e->layout);
    r->replicas = moe_array_new((size_t)l, sizeof *r->replicas, err);
    for (int i = 0; i < l && err->status == MOE_OK; i++) {
        moe_replicas_init(&r->replicas[i], x, g, r->slots, err);
        if (err->status == MOE_OK) {
            moe_plan_layer layer = moe_plan_at(&r->plan, i);
            moe_replicas_index(&r->replicas[i], &layer);
        }
    }
    return err->status;
}

static moe_status make_shares(const moe_engine *e, moe_runner *r,
                              moe_error *err)
{
    const size_t n = (size_t)e->p.n_layers * (size_t)e->p.model->experts;
    r->planned_share = moe_array_new(n, sizeof *r->planned_share, err);
    moe_engine_forget_planned(e, r);
    return err->status;
}

moe_status moe_runner_init(moe_engine *e, moe_runner *r, moe_error *err)
{
    const moe_strategy *s = r->spec;
    r->forecast = s->predictor->forecast(s->predictor_params);
    r->direct = s->direct;
    if (make_predictor(e, r, err) != MOE_OK ||
        make_planner(e, r, err) != MOE_OK || make_plans(e, r, err) != MOE_OK)
        return err->status;
    if (r->forecast == MOE_FORECAST_LOAD && s->planner->plans &&
        make_shares(e, r, err) != MOE_OK)
        return err->status;
    const moe_split_env env = {e->layout, e->p.model->experts, r->slots};
    r->split = moe_split_new(s->split, &env, s->split_params, err);
    return err->status;
}

moe_status moe_runner_hold_weights(const moe_engine *e, moe_runner *r,
                                   bool share_home, moe_error *err)
{
    if (e->gpu < 0 || e->p.dry)
        return MOE_OK;
    r->weights = moe_array_new(1, sizeof *r->weights, err);
    return r->weights != NULL
               ? moe_slots_init(r->weights, &e->home, r->slots, share_home, err)
               : err->status;
}

void moe_runner_fini(const moe_engine *e, moe_runner *r)
{
    moe_predictor_free(r->spec->predictor, r->predictor);
    if (r->planner != NULL)
        moe_planner_team_fini(r->planner);
    free(r->planner);
    moe_planner_free(r->spec->planner, r->oracle_planner);
    moe_split_free(r->spec->split, r->split);
    for (int l = 0; r->replicas != NULL && l < e->p.n_layers; l++)
        moe_replicas_fini(&r->replicas[l]);
    free(r->replicas);
    free(r->planned_share);
    moe_plan_fini(&r->plan);
    moe_plan_fini(&r->next);
    moe_plan_fini(&r->plan_before);
    if (r->weights != NULL)
        moe_slots_fini(r->weights);
    free(r->weights);
    free(r->choice);
}

/* ---- all of them ---- */

/* A runner for every strategy, then for every candidate of those that choose.
 */
static moe_status name_runners(moe_engine *e, moe_error *err)
{
    const moe_experiment *x = e->p.experiment;
    int n = x->n_strategies;
    for (int i = 0; i < x->n_strategies; i++)
        n += x->strategy[i].n_candidates;
    e->runner = moe_array_new((size_t)n, sizeof *e->runner, err);
    if (e->runner == NULL)
        return err->status;
    for (int i = 0; i < x->n_strategies; i++)
        e->runner[e->n_runners++] =
            (moe_runner){.spec = &x->strategy[i], .index = i};
    for (int i = 0; i < x->n_strategies; i++)
        for (int k = 0; k < x->strategy[i].n_candidates; k++)
            e->runner[e->n_runners++] = (moe_runner){
                .spec = &x->strategy[x->strategy[i].candidate[k]], .index = i};
    return MOE_OK;
}

/* Rank 0 alone touches the file system. */
moe_status moe_runners_share_files(moe_engine *e)
{
    moe_ctx *ctx = e->ctx;
    name_runners(e, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    for (int i = 0; i < e->n_runners; i++) {
        moe_runner *r = &e->runner[i];
        const char *path =
            r->spec->predictor->file != NULL
                ? r->spec->predictor->file(r->spec->predictor_params)
                : NULL;
        if (path == NULL || *path == '\0')
            continue;
        if (ctx->rank == 0)
            moe_h5_try(path, &ctx->err);
        if (moe_shared_file(ctx, path, &r->file) != MOE_OK) {
            moe_error_prefix(&ctx->err, "strategy %s", r->spec->name);
            return ctx->err.status;
        }
    }
    return MOE_OK;
}

void moe_runners_drop_files(moe_engine *e)
{
    for (int i = 0; i < e->n_runners; i++)
        moe_shared_file_free(&e->runner[i].file);
}
