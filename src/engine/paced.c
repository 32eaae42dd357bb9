/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>

static const moe_phase phase_of[MOE_N_PACES] = {
    [MOE_PACE_ATTENTION] = MOE_PHASE_ATTENTION, [MOE_PACE_FFN] = MOE_PHASE_FFN};

/* ---- set-up ---- */

static bool advance(void *arg)
{
    const bool travels = moe_parts_advance(arg);
    return moe_beside_advance(arg) || travels;
}

/* The thread that makes progress calls MPI, while nobody else does. */
static void check_threads(const moe_emulation *em, moe_error *err)
{
    int level = 0;
    MOE_MPI(MPI_Query_thread(&level));
    if (em->progress == MOE_PROGRESS_THREAD && level < MPI_THREAD_SERIALIZED)
        moe_fail(err, MOE_USAGE,
                 "emulation.progress: thread needs an MPI library that another "
                 "thread may call in turn (MPI_THREAD_SERIALIZED)");
}

size_t moe_engine_held_bytes(const moe_engine *e)
{
    return e->ffn->paced ? sizeof(moe_expert_tag)
                         : moe_ffn_weight_bytes(&e->shape);
}

size_t moe_engine_flow_bytes(const moe_engine *e)
{
    const moe_model *m = e->p.model;
    const double share = (double)e->shape.hidden * e->shape.inter /
                         ((double)m->hidden * m->intermediate);
    return e->ffn->paced ? (size_t)ceil(moe_model_expert_bytes(m) * share) : 0;
}

static void make_flow(moe_engine *e, moe_error *err)
{
    const size_t l = (size_t)e->p.n_layers, g = (size_t)e->layout.gpus;
    const moe_flow_params params = {.gpu = e->gpu,
                                    .layers = e->p.n_layers,
                                    .slots = e->max_slots,
                                    .bytes = moe_engine_flow_bytes(e),
                                    /* where a candidate arrives and plans */
                                    .max_moves =
                                        2 * l * g * (size_t)e->max_slots};
    if (e->pacing->computes && e->gpu >= 0)
        moe_flow_new(&params, &e->pacing->flow, err);
}

void moe_pacing_init(moe_engine *e)
{
    const moe_emulation *em = &e->p.experiment->emulation;
    moe_error *err = &e->ctx->err;
    if (!moe_emulation_is_paced(em))
        return;
    e->pacing = moe_array_new(1, sizeof *e->pacing, err);
    moe_pacing *p = e->pacing;
    if (p == NULL)
        return;
    p->meeting = MPI_COMM_NULL;
    p->dilation = em->dilation;
    p->attends = em->attention == MOE_ATTEND_PACED;
    p->computes = e->ffn->paced;
    const moe_pacer_params params = {.progress = advance,
                                     .arg = e,
                                     .by = em->progress,
                                     .interval_s = 1e-6 * em->poll_interval_us};
    check_threads(em, err);
    moe_pacer_new(&params, &p->pacer, err);
    p->beside = moe_beside_new(e, err);
    make_flow(e, err);
}

void moe_pacing_connect(moe_engine *e)
{
    if (e->pacing == NULL)
        return;
    moe_beside_connect(e->pacing->beside, e->ctx->comm);
    if (e->gpu >= 0)
        MOE_MPI(MPI_Comm_dup(e->gpu_comm, &e->pacing->meeting));
    if (e->pacing->flow != NULL)
        moe_flow_connect(e->pacing->flow, e->gpu_comm);
}

void moe_pacing_fini(moe_engine *e)
{
    moe_pacing *p = e->pacing;
    if (p == NULL)
        return;
    if (p->meeting != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&p->meeting));
    moe_flow_free(p->flow);
    moe_beside_free(p->beside);
    moe_pacer_free(p->pacer);
    free(p);
}

void moe_pacing_begin(moe_engine *e)
{
    if (e->pacing == NULL)
        return;
    e->it.beside = true;
    MOE_MPI(MPI_Barrier(e->ctx->comm));
}

double moe_pacing_undilated(const moe_engine *e, double s)
{
    return e->pacing != NULL ? s / e->pacing->dilation : s;
}

/* ---- prices ---- */

double moe_pacing_attention_s(const moe_layer_cost *cost)
{
    return cost->step_s[MOE_STEP_ATTENTION] + cost->step_s[MOE_STEP_REDUCE] +
           cost->step_s[MOE_STEP_ROUTE];
}

void moe_pacing_load(moe_engine *e)
{
    moe_pacing *p = e->pacing;
    if (p == NULL || e->gpu < 0)
        return;
    const moe_pricer pricer = moe_engine_pricer(e);
    moe_layer_work work = {.numbers = 0};
    moe_layer_cost cost;
    moe_engine_attend(e, &work);
    moe_layer_cost_common(&pricer, &work, &cost);
    p->attention_s = moe_pacing_attention_s(&cost);
    p->shared_s = cost.step_s[MOE_STEP_SHARED];
}

/* ---- phases ---- */

static moe_stamp wait_out(moe_engine *e, int layer, moe_pace pace,
                          moe_stamp start, double modelled_s)
{
    const moe_pacing *p = e->pacing;
    moe_layer_pace *of = &e->it.paces[layer];
    const double deadline_s = start.wall + modelled_s * p->dilation;
    moe_pacer_wait(p->pacer, deadline_s);
    const moe_stamp end =
        moe_engine_charge(e, phase_of[pace], layer, layer + 1, start);
    /* By that reading: what is charged is what was asked for, and late. */
    const double late_s = fmax(end.wall - deadline_s, 0);
    /* A planner that ran on beyond the deadline is what kept the rank. */
    const double planned_s =
        fmin(fmax(moe_beside_planned_s(e) - deadline_s, 0), late_s);
    e->it.times[layer].wall[phase_of[pace]] -= planned_s;
    e->it.times[layer].wall[MOE_PHASE_PLAN] += planned_s;
    of->asked_s[pace] += modelled_s;
    of->late_s[pace] += late_s - planned_s;
    return end;
}

moe_stamp moe_pacing_attend(moe_engine *e, int layer, moe_stamp start)
{
    return e->pacing->attends ? wait_out(e, layer, MOE_PACE_ATTENTION, start,
                                         e->pacing->attention_s / e->n_parts)
                              : start;
}

moe_stamp moe_pacing_share(moe_engine *e, int layer, moe_stamp start)
{
    return e->pacing->shared_s > 0 ? wait_out(e, layer, MOE_PACE_FFN, start,
                                              e->pacing->shared_s / e->n_parts)
                                   : start;
}

moe_stamp moe_pacing_compute(moe_engine *e, const moe_runner *r,
                             const moe_part *p, int layer, moe_stamp start)
{
    const uint32_t *rows = moe_dispatch_get_rows(p->dispatch).of_slot;
    const moe_price experts =
        e->cost->ffn(e->cost_state, rows, (size_t)r->slots);
    moe_inject(e->ctx, MOE_SITE_FFN);
    return wait_out(e, layer, MOE_PACE_FFN, start, experts.time_s);
}

/* What is about to end is looked at again at once; after that ranks that share
 * the core have their turn, which may cost this one some time. */
enum { LOOKS = 64 };

static void look(moe_engine *e, int looked)
{
    advance(e);
    if (looked > LOOKS)
        sched_yield();
}

void moe_pacing_meet(moe_engine *e, int layer, moe_phase phase)
{
    moe_layer_times *t = &e->it.times[layer];
    const double start_s = moe_clock_wall();
    MPI_Request all;
    int here = 0;
    if (e->pacing == NULL || !e->it.beside)
        return;
    MOE_MPI(MPI_Ibarrier(e->pacing->meeting, &all));
    for (int looked = 0;; looked++) {
        MOE_MPI(MPI_Test(&all, &here, MPI_STATUS_IGNORE));
        if (here)
            break;
        look(e, looked);
    }
    const double waited_s = moe_clock_wall() - start_s;
    t->wait[phase] += waited_s;
    t->wall[phase] -= waited_s; /* charged as a whole */
}

static void note_senders(moe_engine *e, const moe_part *p)
{
    const moe_sender *of = moe_watch_senders(p->watch);
    moe_sender *s = e->it.senders + p->layer * e->layout.gpus;
    for (int g = 0; g < e->layout.gpus; g++, s++, of++) {
        s->bytes += of->bytes;
        s->late_s += of->late_s;
        s->transfer_s += of->transfer_s;
    }
}

void moe_pacing_await(moe_engine *e, moe_part *p)
{
    if (!p->due)
        return;
    const double start_s = e->n_parts > 1 ? moe_clock_wall() : p->posted_s;
    p->due = false;
    moe_watch_want(p->watch, start_s);
    for (int looked = 0; p->travels; looked++)
        look(e, looked);
    const double late_s = moe_watch_late_s(p->watch);
    moe_layer_times *t = &e->it.times[p->layer];
    t->wait[p->phase] += late_s;
    t->wall[p->phase] -= late_s; /* charged as a whole */
    note_senders(e, p);
    if (p->phase == MOE_PHASE_ATTENTION)
        return;
    moe_layer_pace *pace = &e->it.paces[p->layer];
    const int x = p->phase == MOE_PHASE_COMBINE ? MOE_EXCHANGE_COMBINE
                                                : MOE_EXCHANGE_DISPATCH;
    pace->travel_s[x] += p->arrived_s - p->posted_s;
    pace->exposed_s[x] += fmax(p->arrived_s - start_s, 0);
}

void moe_pacing_migrate(moe_engine *e, const moe_move *moves, size_t n)
{
    moe_flow *flow = e->pacing != NULL ? e->pacing->flow : NULL;
    if (flow == NULL)
        return;
    moe_flow_add(flow, moves, n);
    while (!moe_flow_advance(flow, true, &e->ctx->err))
        sched_yield();
}

/* ---- the ledger ---- */

static void record_layers(const moe_engine *e, const moe_runner *r, int i,
                          moe_ledger *ledger)
{
    for (int l = 0; l < e->p.n_layers; l++) {
        const moe_layer_pace *of = &e->it.paces[l];
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        for (size_t k = 0; k < MOE_N_PACES; k++) {
            ledger->pace_asked[cell * MOE_N_PACES + k] = of->asked_s[k];
            ledger->pace_late[cell * MOE_N_PACES + k] =
                moe_pacing_undilated(e, of->late_s[k]);
        }
        for (size_t k = 0; k < MOE_N_BESIDES; k++)
            ledger->beside[cell * MOE_N_BESIDES + k] =
                moe_pacing_undilated(e, of->beside_s[k]);
        for (size_t k = 0; k < MOE_N_TRAVELS; k++) {
            ledger->travel[cell * MOE_N_TRAVELS + k] =
                moe_pacing_undilated(e, of->travel_s[k]);
            ledger->travel_exposed[cell * MOE_N_TRAVELS + k] =
                moe_pacing_undilated(e, of->exposed_s[k]);
        }
    }
}

static void record_senders(const moe_engine *e, const moe_runner *r, int i,
                           moe_ledger *ledger)
{
    const size_t n = (size_t)e->p.n_layers * (size_t)e->layout.gpus;
    const size_t at =
        moe_ledger_at(ledger, r->index, i, 0) * (size_t)e->layout.gpus;
    for (size_t k = 0; k < n; k++) {
        const moe_sender *s = &e->it.senders[k];
        ledger->sender_bytes[at + k] = s->bytes;
        ledger->sender_time[at + k] = moe_pacing_undilated(e, s->transfer_s);
        ledger->sender_late[at + k] = moe_pacing_undilated(e, s->late_s);
    }
}

void moe_pacing_record(const moe_engine *e, const moe_runner *r, int i,
                       moe_ledger *ledger)
{
    if (e->pacing == NULL || e->gpu < 0)
        return;
    record_layers(e, r, i, ledger);
    if (e->layout.gpus <= MOE_MOST_SENDERS)
        record_senders(e, r, i, ledger);
}

void moe_pacing_describe(const moe_engine *e, moe_facts *facts)
{
    const moe_pacing *p = e->pacing;
    const moe_emulation *em = &e->p.experiment->emulation;
    if (p == NULL)
        return;
    moe_facts_set(facts, MOE_FACT_PACED, "%s%s%s",
                  p->attends ? moe_pace_name(MOE_PACE_ATTENTION) : "",
                  p->attends && p->computes ? ", " : "",
                  p->computes ? moe_pace_name(MOE_PACE_FFN) : "");
    moe_facts_set(facts, MOE_FACT_DILATION, "%.6g", p->dilation);
    moe_facts_set(facts, MOE_FACT_LINKS, "%s", p->links);
    moe_facts_set(
        facts, MOE_FACT_TIMER,
        "Before the run %d waits of %.3g us on each rank ended %.2f us "
        "late in the median and %.1f us in the 99th percentile, on "
        "the worst rank",
        p->error.n, 1e6 * p->error.phase_s, 1e6 * p->error.median_s,
        1e6 * p->error.p99_s);
    moe_facts_set(facts, MOE_FACT_PROGRESS, "%s, every %g us",
                  em->progress == MOE_PROGRESS_THREAD ? "thread" : "poll",
                  em->poll_interval_us);
}
