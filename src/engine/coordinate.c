/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Predict .. migrate, of layers [first, end): of all before layer 0, where one
 * collective serves all and each layer is charged its part, or with a lookahead
 * of one beside an earlier one. */

static int n_layers(const moe_engine *e)
{
    return e->p.n_layers;
}

moe_status moe_engine_coordination_init(moe_engine *e, moe_error *err)
{
    moe_coordination_scratch *c = &e->coordination;
    const size_t l = (size_t)n_layers(e), x = (size_t)e->p.model->experts;
    const moe_plan widest = {
        .layers = n_layers(e), .gpus = e->layout.gpus, .slots = e->max_slots};
    c->load_sum = moe_array_new(l * x, sizeof *c->load_sum, err);
    const size_t threads = (size_t)moe_engine_planner_threads(e);
    c->load = moe_array_new(threads * (MOE_PLANNER_PAST + 1) * x,
                            sizeof *c->load, err);
    c->share = moe_array_new(l * x, sizeof *c->share, err);
    c->past = moe_array_new(threads * MOE_PLANNER_PAST, sizeof *c->past, err);
    c->moves = moe_array_new(l * (size_t)e->layout.gpus * (size_t)e->max_slots,
                             sizeof *c->moves, err);
    c->wire = moe_array_new(moe_plan_wire_max(&widest), 1, err);
    moe_to_int(l * x, "layers times experts", err);
    moe_to_int(moe_plan_wire_max(&widest), "bytes of a plan", err);
    return err->status;
}

void moe_engine_coordination_fini(moe_engine *e)
{
    free(e->coordination.wire);
    free(e->coordination.moves);
    free(e->coordination.share);
    free(e->coordination.past);
    free(e->coordination.load);
    free(e->coordination.load_sum);
}

static void predict(moe_engine *e, moe_runner *r, int first, int end)
{
    const moe_stamp start = moe_stamp_now();
    const size_t n_e = (size_t)e->it.batch->experts;
    const size_t pairs = e->it.batch->own * (size_t)e->it.batch->top_k;
    for (int l = first; l < end; l++) {
        const moe_predicted out = {
            .tokens = e->it.predicted_experts + (size_t)l * pairs,
            .share = e->coordination.share + (size_t)l * n_e,
            .load = e->it.predicted_load + (size_t)l * n_e};
        moe_predictor_load(r->spec->predictor, r->forecast, r->predictor,
                           e->it.batch, l, &out);
    }
    moe_inject(e->ctx, MOE_SITE_PREDICT);
    moe_engine_charge(e, MOE_PHASE_PREDICT, first, end, start);
    e->it.predicts = true;
}

static void collect(moe_engine *e, moe_runner *r, int first, int end)
{
    e->it.collects = true;
    if (moe_beside_takes(e, r, MOE_PHASE_COLLECT, first, end))
        return;
    moe_engine_barrier(e, e->ctx->comm, MOE_PHASE_COLLECT, first, end);
    const moe_stamp start = moe_stamp_now();
    const int n = (end - first) * e->it.batch->experts;
    const size_t at = (size_t)first * (size_t)e->it.batch->experts;
    const uint64_t *own = e->it.predicted_load + at;
    uint64_t *sum = e->coordination.load_sum + at;
    if (moe_engine_replicated(e))
        MOE_MPI(
            MPI_Allreduce(own, sum, n, MPI_UINT64_T, MPI_SUM, e->ctx->comm));
    else
        MOE_MPI(MPI_Reduce(own, sum, n, MPI_UINT64_T, MPI_SUM, e->coordinator,
                           e->ctx->comm));
    moe_engine_charge(e, MOE_PHASE_COLLECT, first, end, start);
}

/* Ranks that do not plan pass through with time 0. */
static uint64_t plan(moe_engine *e, moe_runner *r, int first, int end)
{
    const moe_stamp start = moe_stamp_now();
    const uint64_t bytes = moe_coordination_plan(e, r, first, end);
    if (r->planner != NULL)
        moe_engine_charge(e, MOE_PHASE_PLAN, first, end, start);
    return bytes;
}

static void confirm(moe_engine *e, moe_runner *r, int first, int end)
{
    uint64_t most[3];
    moe_coordination_hash(e, r, first, end, most);
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, most, 3, MPI_UINT64_T, MPI_MAX,
                          e->ctx->comm));
    moe_coordination_confirm(e, r, first, end, most);
}

/* The coordinator tells its plan, as differences to the one in force. */
static void tell(moe_engine *e, moe_runner *r, uint64_t bytes)
{
    MOE_MPI(MPI_Bcast(&bytes, 1, MPI_UINT64_T, e->coordinator, e->ctx->comm));
    e->it.wire_bytes += bytes;
    if (bytes == 0)
        return;
    MOE_MPI(MPI_Bcast(e->coordination.wire, (int)bytes, MPI_BYTE,
                      e->coordinator, e->ctx->comm));
    if (r->planner == NULL)
        moe_plan_decode(&r->next, e->coordination.wire, bytes, &e->ctx->err);
}

void moe_engine_plan(moe_engine *e, moe_runner *r, int first, int end)
{
    if (moe_beside_takes(e, r, MOE_PHASE_PLAN, first, end))
        return;
    const uint64_t bytes = plan(e, r, first, end);
    moe_engine_barrier(e, e->ctx->comm, MOE_PHASE_BROADCAST, first, end);
    const moe_stamp start = moe_stamp_now();
    if (moe_engine_replicated(e))
        confirm(e, r, first, end);
    else
        tell(e, r, bytes);
    moe_engine_charge(e, MOE_PHASE_BROADCAST, first, end, start);
}

static void migrate(moe_engine *e, moe_runner *r, int first, int end)
{
    if (moe_beside_takes(e, r, MOE_PHASE_MIGRATE, first, end))
        return;
    moe_engine_barrier(e, e->ctx->comm, MOE_PHASE_MIGRATE, first, end);
    const moe_stamp start = moe_stamp_now();
    const size_t n = moe_coordination_moves(e, r, first, end);
    if (r->weights != NULL) { /* else a candidate is tried */
        moe_slots_migrate(r->weights, e->coordination.moves, n, e->gpu_comm);
        moe_pacing_migrate(e, e->coordination.moves, n);
    }
    moe_engine_charge(e, MOE_PHASE_MIGRATE, first, end, start);
    moe_coordination_apply(e, r, first, end, n);
}

void moe_engine_migrate(moe_engine *e, moe_runner *r)
{
    migrate(e, r, 0, n_layers(e));
}

void moe_engine_note_way(moe_engine *e, const moe_plan *from,
                         const moe_plan *to)
{
    for (int l = 0; l < n_layers(e); l++) {
        moe_layer_facts *f = &e->it.facts[l];
        f->moved = 0;
        for (int far = 0; far < 2; far++)
            f->move_sent[far] = f->move_received[far] = 0;
    }
    moe_coordination_note(e, moe_plan_moves(from, to, 0, n_layers(e),
                                            &e->layout, e->coordination.moves));
}

static size_t n_shares(const moe_engine *e)
{
    return (size_t)n_layers(e) * (size_t)e->p.model->experts;
}

/* Whether the last plan was made for the same shares of all experts: all ranks
 * know without talking that nothing is to be told. */
static bool unchanged(const moe_engine *e, const moe_runner *r)
{
    const double *now = e->coordination.share, *then = r->planned_share;
    for (size_t j = 0; then != NULL && j < n_shares(e); j++)
        if (now[j] != then[j])
            return false;
    return then != NULL;
}

void moe_engine_note_planned(moe_engine *e, moe_runner *r)
{
    const size_t n_e = (size_t)e->p.model->experts;
    for (int l = 0; r->planned_share != NULL && l < n_layers(e); l++)
        r->spec->predictor->load(r->predictor, e->it.batch, l,
                                 r->planned_share + (size_t)l * n_e);
}

void moe_engine_forget_planned(const moe_engine *e, moe_runner *r)
{
    for (size_t j = 0; r->planned_share != NULL && j < n_shares(e); j++)
        r->planned_share[j] = NAN;
}

/* Plan these layers; weights move to what was planned now, or with plan_ahead
 * in the last round. */
static void plan_anew(moe_engine *e, moe_runner *r, int first, int end)
{
    const size_t n_e = (size_t)e->p.model->experts;
    collect(e, r, first, end);
    if (!r->spec->planner->plans)
        return;
    if (r->spec->plan_ahead)
        migrate(e, r, first, end);
    moe_engine_plan(e, r, first, end);
    if (!r->spec->plan_ahead)
        migrate(e, r, first, end);
    e->it.plans = true;
    if (r->planned_share != NULL)
        memcpy(r->planned_share + (size_t)first * n_e,
               e->coordination.share + (size_t)first * n_e,
               (size_t)(end - first) * n_e * sizeof *r->planned_share);
}

/* Forecasts of the load look at nothing of this batch: whether they have
 * changed is known before layer 0. */
static void begin_round(moe_engine *e, moe_runner *r)
{
    if (r->forecast != MOE_FORECAST_LOAD)
        return;
    predict(e, r, 0, n_layers(e));
    if (!unchanged(e, r))
        return;
    if (r->spec->plan_ahead) /* what the last round planned */
        moe_engine_migrate(e, r);
    e->it.due = false;
}

static void coordinate(moe_engine *e, moe_runner *r, int first, int end)
{
    /* Which rows go ahead is new with every batch. */
    if (r->forecast == MOE_FORECAST_TOKENS && (e->it.due || r->direct))
        predict(e, r, first, end);
    if (e->it.due)
        plan_anew(e, r, first, end);
    e->it.coordinated = end;
}

/* @return the layer beside which another is planned: the last that is at least
 * `lookahead` layers of the model before it; -1: none, before layer 0. */
static int planned_beside(const moe_engine *e, const moe_runner *r, int layer)
{
    const int *number = e->p.layers;
    int at = layer - 1;
    while (at >= 0 && number[layer] - number[at] < r->spec->lookahead)
        at--;
    return at;
}

void moe_engine_coordinate_beside(moe_engine *e, moe_runner *r, int layer,
                                  bool routed)
{
    const bool waits = moe_horizon_layers(r->spec->predictor->sees);
    for (int l = e->it.coordinated; l < n_layers(e); l++) {
        const int at = planned_beside(e, r, l);
        if (at > layer || (at == layer && waits && !routed))
            return;
        coordinate(e, r, l, l + 1);
    }
}

void moe_engine_coordinate(moe_engine *e, moe_runner *r)
{
    const uint64_t every = (uint64_t)e->p.experiment->emulation.rebalance_every;
    e->it.coordinated = 0;
    e->it.due =
        r->forecast != MOE_FORECAST_NONE && e->it.batch->iteration % every == 0;
    if (r->arrives)
        moe_engine_migrate(e, r);
    r->arrives = false;
    if (e->it.due)
        begin_round(e, r);
    if (r->spec->lookahead == MOE_LOOKAHEAD_ALL)
        coordinate(e, r, 0, n_layers(e));
    else
        moe_engine_coordinate_beside(e, r, -1, true);
}

void moe_engine_coordinate_rest(moe_engine *e, moe_runner *r)
{
    moe_engine_coordinate_beside(e, r, n_layers(e), true);
}

void moe_engine_share_planner_work(moe_engine *e)
{
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, e->it.planner_steps, 2 * n_layers(e),
                          MPI_DOUBLE, MPI_MAX, e->ctx->comm));
}
