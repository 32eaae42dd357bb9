/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The gpu clock: what the emulated GPUs would have taken for what this
 * iteration actually did, at the model's full size. Every rank prices its own
 * GPU; the slowest of each stage are found together, and all ranks make the
 * same timeline of them. */

static void slowest(void *in, void *inout, int *n, MPI_Datatype *type)
{
    const moe_layer_cost *a = in;
    moe_layer_cost *b = inout;
    (void)type;
    for (int i = 0; i < *n; i++)
        moe_layer_cost_merge(&b[i], &a[i]);
}

moe_status moe_engine_pricing_init(moe_engine *e, moe_error *err)
{
    moe_pricing_scratch *s = &e->pricing;
    const size_t l = (size_t)e->p.n_layers;
    s->own = moe_array_new(l, sizeof *s->own, err);
    s->worst = moe_array_new(l, sizeof *s->worst, err);
    s->exposed_s = moe_array_new(l, sizeof *s->exposed_s, err);
    s->ahead = moe_array_new(l, sizeof *s->ahead, err);
    s->plan_s = moe_array_new(l, sizeof *s->plan_s, err);
    if (err->status != MOE_OK)
        return err->status;
    MOE_MPI(MPI_Type_contiguous((int)sizeof(moe_layer_cost), MPI_BYTE,
                                &s->cost_type));
    MOE_MPI(MPI_Type_commit(&s->cost_type));
    MOE_MPI(MPI_Op_create(slowest, 1, &s->slowest));
    return moe_iteration_pricer_new(e->p.model->layers, &s->pricer, err);
}

void moe_engine_pricing_fini(moe_engine *e)
{
    moe_pricing_scratch *s = &e->pricing;
    if (s->pricer != NULL) {
        MOE_MPI(MPI_Op_free(&s->slowest));
        MOE_MPI(MPI_Type_free(&s->cost_type));
    }
    moe_iteration_pricer_free(s->pricer);
    free(s->plan_s);
    free(s->ahead);
    free(s->exposed_s);
    free(s->worst);
    free(s->own);
}

/* Products by which this GPU predicts its own tokens of one layer. */
static int predictor_work(const moe_engine *e, const moe_runner *r,
                          moe_gemm_run *runs)
{
    const moe_predictor *p = r->spec->predictor;
    const double tokens = (double)e->it.batch->own;
    const double share = tokens / (double)e->it.batch->tokens;
    if (!e->it.predicts || p->work == NULL || e->it.batch->own == 0)
        return 0;
    return p->work(r->predictor, tokens,
                   e->p.experiment->workload.batch * share, runs);
}

double moe_engine_predict_s(const moe_engine *e, const moe_runner *r)
{
    moe_gemm_run runs[MOE_PREDICT_GEMMS];
    const int n = predictor_work(e, r, runs);
    double sum_s = 0;
    for (int k = 0; k < n && e->gpu >= 0; k++)
        sum_s +=
            e->cost->gemm(e->cost_state, &runs[k].shape).time_s * runs[k].times;
    return sum_s;
}

double moe_engine_sequences(const moe_engine *e, double tokens)
{
    const bool steps = e->p.experiment->serving.phase == MOE_SERVE_DECODE &&
                       e->p.trace->kind == MOE_TRACE_LOADS;
    return steps ? tokens : e->p.experiment->workload.batch;
}

void moe_engine_attend(const moe_engine *e, moe_layer_work *w)
{
    const moe_batch *b = e->it.batch;
    w->tokens = (double)b->tokens;
    w->sequences = moe_engine_sequences(e, w->tokens);
    moe_layer_attend(&e->p.experiment->serving, &b->all, &b->mine, w);
}

static moe_layer_work work_of(const moe_engine *e, const moe_runner *r, int l)
{
    const moe_layer_facts *f = &e->it.facts[l];
    const double tokens = (double)e->it.batch->tokens;
    moe_layer_work w = {
        .predict_s = e->it.tried_s,
        .ahead_rows = (double)e->pricing.ahead[l] / tokens,
        .numbers = f->numbers,
        .solve_s = r->spec->split->solves
                       ? f->numbers * e->p.cluster->split_solver_s
                       : 0,
        .move_bytes = {fmax(f->move_sent[0], f->move_received[0]),
                       fmax(f->move_sent[1], f->move_received[1])},
        .dispatch_bytes = {f->dispatch_bytes[0], f->dispatch_bytes[1]},
        .combine_bytes = {f->combine_bytes[0], f->combine_bytes[1]},
        .direct = r->direct,
        .rows = e->it.slot_rows + (size_t)l * (size_t)e->max_slots,
        .slots = (size_t)r->slots};
    moe_engine_attend(e, &w);
    return w;
}

/* Rows that went ahead, of all ranks. */
static void sum_ahead(const moe_engine *e)
{
    for (int l = 0; l < e->p.n_layers; l++)
        e->pricing.ahead[l] = e->it.facts[l].ahead_tokens;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, e->pricing.ahead, e->p.n_layers,
                          MPI_UINT64_T, MPI_SUM, e->ctx->comm));
}

/* This GPU's layers, and of every layer the slowest GPUs. */
static void price_layers(const moe_engine *e, const moe_runner *r, bool moves)
{
    const moe_pricing_scratch *s = &e->pricing;
    const moe_pricer pricer = moe_engine_pricer(e);
    moe_gemm_run runs[MOE_PREDICT_GEMMS];
    const int n_runs = predictor_work(e, r, runs);
    for (int l = 0; l < e->p.n_layers; l++) {
        moe_layer_work work = work_of(e, r, l);
        work.predict = runs;
        work.n_predict = n_runs;
        if (!moves)
            work.move_bytes[0] = work.move_bytes[1] = 0;
        moe_layer_cost_init(&s->own[l]);
        if (e->gpu >= 0)
            moe_layer_cost_of(&pricer, &work, &s->own[l]);
    }
    MOE_MPI(MPI_Allreduce(s->own, s->worst, e->p.n_layers, s->cost_type,
                          s->slowest, e->ctx->comm));
}

static moe_iteration_work iteration_of(const moe_engine *e, const moe_runner *r)
{
    const moe_pricer pricer = moe_engine_pricer(e);
    for (int l = 0; l < e->p.n_layers; l++)
        e->pricing.plan_s[l] =
            e->it.planner_steps[l] * e->p.cluster->planner_step_s;
    const double all = (double)e->p.model->layers / e->p.n_layers;
    const moe_coordination_work c = {
        .collects = e->it.collects,
        .plans = e->it.plans,
        .central =
            e->p.experiment->emulation.coordination == MOE_COORDINATION_CENTRAL,
        .lookahead = r->spec->lookahead,
        .sees_layers = moe_horizon_layers(r->spec->predictor->sees),
        .next_iteration = r->spec->plan_ahead,
        /* of the layers that were measured */
        .plan_bytes =
            (double)e->it.wire_bytes * e->p.model->layers / e->p.n_layers,
        .plan_s = e->pricing.plan_s,
        .tried = e->it.tried,
        .tried_bytes = (double)e->it.tried_bytes * all,
        .tried_s =
            (double)e->it.tried_steps * all * e->p.cluster->planner_step_s};
    moe_iteration_work w = {.cost = e->pricing.worst,
                            .n = e->p.n_layers,
                            .layers = e->p.model->layers,
                            .slowdown = e->p.cluster->overlap_slowdown};
    moe_coordination_cost_of(&pricer, &c, &w.coordination);
    return w;
}

/* Where prices of a phase are from; -1: it took no time, or host time. */
static int16_t source_of(const moe_iteration_work *w, const moe_layer_cost *own,
                         moe_phase phase)
{
    if (phase == MOE_PHASE_COLLECT)
        return (int16_t)w->coordination.collect.source;
    if (phase == MOE_PHASE_BROADCAST)
        return (int16_t)w->coordination.broadcast.source;
    const moe_price_source s = moe_layer_cost_source(own, phase);
    return s == MOE_N_PRICE_SOURCES ? -1 : (int16_t)s;
}

/* One layer: what each phase takes this GPU, and its part of the critical path:
 * the slowest GPU has what the timeline gives the phase, others in proportion. */
static void record_layer(const moe_engine *e, const moe_iteration_work *w,
                         int l, moe_ledger *ledger, size_t at)
{
    const moe_layer_cost *own = &e->pricing.own[l], *worst = &w->cost[l];
    double gpu_s[MOE_N_PHASES], most_s[MOE_N_PHASES];
    for (int p = 0; p < MOE_N_PHASES; p++) {
        gpu_s[p] = moe_layer_cost_phase_s(own, (moe_phase)p);
        most_s[p] = worst->most_s[p];
    }
    moe_iteration_coordination_s(w, l, gpu_s);
    moe_iteration_coordination_s(w, l, most_s);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        const double exposed_s = e->pricing.exposed_s[l][p];
        const bool any = e->gpu >= 0 && gpu_s[p] > 0;
        ledger->gpu[at + (size_t)p] = any ? gpu_s[p] : 0;
        ledger->exposed[at + (size_t)p] =
            any ? exposed_s * (gpu_s[p] / most_s[p]) : 0;
        ledger->price_source[at + (size_t)p] =
            any ? source_of(w, own, (moe_phase)p) : -1;
    }
}

/* What all GPUs share, on rank 0. */
static void record_shared(const moe_engine *e, int l, moe_ledger *ledger,
                          size_t cell)
{
    double sum = moe_layer_cost_barrier_s(&e->pricing.worst[l]);
    for (int p = 0; p < MOE_N_PHASES; p++)
        sum += e->pricing.exposed_s[l][p];
    ledger->layer_barriers[cell] = sum;
    ledger->ahead_rows[cell] =
        (double)e->pricing.ahead[l] / (double)e->it.batch->tokens;
    ledger->numbered[cell] = (int16_t)e->it.facts[l].numbers;
}

double moe_engine_price_s(const moe_engine *e, const moe_runner *r, bool moves)
{
    sum_ahead(e);
    price_layers(e, r, moves);
    const moe_iteration_work w = iteration_of(e, r);
    return moe_iteration_price_of(e->pricing.pricer, &w, NULL).length_s *
           e->p.n_layers / e->p.model->layers;
}

void moe_engine_price(const moe_engine *e, const moe_runner *r, int i,
                      moe_ledger *ledger)
{
    sum_ahead(e);
    price_layers(e, r, true);
    const moe_iteration_work w = iteration_of(e, r);
    moe_iteration_price_of(e->pricing.pricer, &w, e->pricing.exposed_s);
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        record_layer(e, &w, l, ledger, cell * MOE_N_PHASES);
        if (e->ctx->rank == 0)
            record_shared(e, l, ledger, cell);
    }
}
