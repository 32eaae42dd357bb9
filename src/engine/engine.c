/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* What a strategy's predictors learn from the iteration that has ended here. */
void moe_engine_observe(moe_engine *e, int s)
{
    moe_runner *r = &e->runner[s];
    const int n = r->choice != NULL ? r->choice->n : 1;
    const moe_stamp start = moe_stamp_now();
    if (r->choice != NULL)
        r = r->choice->candidate;
    for (int k = 0; k < n; k++)
        if (r[k].spec->predictor->observe != NULL)
            r[k].spec->predictor->observe(r[k].predictor, e->it.batch);
    moe_engine_charge(e, MOE_PHASE_PREDICT, 0, e->p.n_layers, start);
}

/* The order of strategies in an iteration, so that none always runs in the
 * wake of the same other. */
static void shuffle_order(const moe_engine *e, int *order)
{
    const int n = e->p.experiment->n_strategies;
    for (int i = 0; i < n; i++)
        order[i] = i;
    moe_rng rng = moe_rng_at(e->p.experiment->workload.seed, MOE_RNG_ORDER,
                             e->it.batch->iteration, 0, 0);
    moe_rng_shuffle(&rng, order, (size_t)n, sizeof *order);
}

/* @return wall time of the iteration so far on the slowest rank, rank 0. */
static double slowest(const moe_engine *e)
{
    double own = 0.0, most = 0.0;
    for (int l = 0; l < e->p.n_layers; l++)
        for (int p = 0; p < MOE_N_PHASES; p++)
            own += moe_pacing_undilated(e, e->it.times[l].wall[p] +
                                               e->it.times[l].wait[p]);
    MOE_MPI(MPI_Reduce(&own, &most, 1, MPI_DOUBLE, MPI_MAX, 0, e->ctx->comm));
    return most;
}

/* One warm-up iteration of one strategy: its exact check, then as measured. */
static double warm_up_strategy(moe_engine *e, int s, bool compare)
{
    moe_runner *r = moe_engine_turn(e, s);
    moe_iteration_clear(e, &e->it);
    moe_engine_coordinate(e, r);
    for (int l = 0; l < e->p.n_layers; l++)
        moe_engine_check_layer(e, r, l);
    moe_engine_check_pairs(e, r);
    moe_engine_choose(e, s);
    r = moe_engine_runner(e, s); /* the first iteration chooses at once */
    moe_iteration_clear(e, &e->it);
    for (int l = 0; l < e->p.n_layers; l++) {
        moe_engine_layer(e, r, l, e->ffn, e->ffn_state, e->rows);
        if (!compare)
            continue;
        moe_engine_end_layers(e);
        moe_engine_check_output(e, r, l);
    }
    moe_engine_end_layers(e);
    moe_engine_observe(e, s);
    return slowest(e);
}

moe_status moe_engine_warm_up(moe_engine *e, int w, moe_ledger *ledger)
{
    const int last = e->p.experiment->workload.warmup - 1;
    const int reference = e->p.experiment->reference_index;
    if (moe_engine_load_batch(e, (uint64_t)w) != MOE_OK)
        return e->ctx->err.status;
    if (e->gpu >= 0)
        e->exact->fill_rows(e->exact_state, e->it.batch, e->exact_rows);
    const int n = e->p.experiment->n_strategies;
    for (int i = 0; i < n; i++) {
        /* The reference first: the others' outputs are compared with its. */
        const int s = (reference + i) % n;
        double wall_s = warm_up_strategy(e, s, w == last);
        if (ledger->warmup_time != NULL)
            ledger->warmup_time[s * ledger->dims.warmup + w] = wall_s;
    }
    return moe_engine_check_done(e);
}

moe_status moe_engine_measure(moe_engine *e, int i, moe_ledger *ledger)
{
    const int warmup = e->p.experiment->workload.warmup;
    int order[MOE_MAX_STRATEGIES];
    if (moe_engine_load_batch(e, (uint64_t)(warmup + i)) != MOE_OK)
        return e->ctx->err.status;
    shuffle_order(e, order);
    for (int at = 0; at < e->p.experiment->n_strategies; at++) {
        const int s = order[at];
        moe_runner *r = moe_engine_turn(e, s);
        moe_iteration_clear(e, &e->it);
        moe_engine_regret_begin(r);
        moe_pacing_begin(e);
        moe_engine_coordinate(e, r);
        for (int l = 0; l < e->p.n_layers; l++)
            moe_engine_layer(e, r, l, e->ffn, e->ffn_state, e->rows);
        moe_engine_end_layers(e);
        moe_beside_finish(e);
        moe_engine_share_planner_work(e);
        moe_engine_choose(e, s);
        moe_engine_observe(e, s);
        moe_engine_record(e, r, i, ledger);
        moe_engine_check_pairs(e, r);
        if (ledger->order != NULL)
            ledger->order[s * ledger->dims.iterations + i] = at;
    }
    return moe_agree(e->ctx);
}
