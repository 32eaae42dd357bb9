/* SPDX-License-Identifier: Apache-2.0 */
#include "beside.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A phase that is queued. */
typedef struct {
    moe_runner *runner;
    moe_phase phase;
    int first, end; /* layers */
} job;

struct moe_beside {
    MPI_Comm comm;
    job *queue; /* [room]; queue[head] is in progress, once begun */
    size_t n, head, room;
    bool begun;
    double began_s;
    MPI_Request request;
    uint64_t bytes;   /* of a plan on the wire */
    uint64_t most[3]; /* by which plans are confirmed */
    size_t moves;     /* of the migration in progress */
    double planned_s; /* until when this rank planned */
    double *moving_s; /* [layers] since when weights of a layer flow; 0: no */
};

moe_beside *moe_beside_new(const moe_engine *e, moe_error *err)
{
    moe_error local = {0};
    moe_beside *b = moe_array_new(1, sizeof *b, &local);
    const size_t layers = (size_t)e->p.n_layers;
    if (b == NULL) {
        moe_pass(err, &local);
        return NULL;
    }
    b->comm = MPI_COMM_NULL;
    b->request = MPI_REQUEST_NULL;
    b->room = 4 * layers + 4;
    b->queue = moe_array_new(b->room, sizeof *b->queue, &local);
    b->moving_s = moe_array_new(layers, sizeof *b->moving_s, &local);
    if (local.status == MOE_OK)
        return b;
    moe_beside_free(b);
    moe_pass(err, &local);
    return NULL;
}

void moe_beside_connect(moe_beside *b, MPI_Comm comm)
{
    MOE_MPI(MPI_Comm_dup(comm, &b->comm));
}

void moe_beside_free(moe_beside *b)
{
    if (b == NULL)
        return;
    if (b->comm != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&b->comm));
    free(b->queue);
    free(b->moving_s);
    free(b);
}

bool moe_beside_takes(moe_engine *e, moe_runner *r, moe_phase phase, int first,
                      int end)
{
    if (!e->it.beside)
        return false;
    moe_beside *b = e->pacing->beside;
    if (b->head == b->n)
        b->head = b->n = 0;
    b->queue[b->n++] = (job){r, phase, first, end};
    return true;
}

/* ---- phases ---- */

static void begin_collect(moe_engine *e, const job *j)
{
    moe_beside *b = e->pacing->beside;
    const int n = (j->end - j->first) * e->it.batch->experts;
    const size_t at = (size_t)j->first * (size_t)e->it.batch->experts;
    const uint64_t *own = e->it.predicted_load + at;
    uint64_t *sum = e->coordination.load_sum + at;
    if (moe_engine_replicated(e))
        MOE_MPI(MPI_Iallreduce(own, sum, n, MPI_UINT64_T, MPI_SUM, b->comm,
                               &b->request));
    else
        MOE_MPI(MPI_Ireduce(own, sum, n, MPI_UINT64_T, MPI_SUM, e->coordinator,
                            b->comm, &b->request));
}

static void share(const moe_engine *e, const job *j, moe_phase phase,
                  double elapsed_s)
{
    for (int l = j->first; l < j->end; l++)
        e->it.paces[l].beside_s[(int)phase - MOE_BESIDE_FIRST] +=
            elapsed_s / (j->end - j->first);
}

/* The planner runs at once: it is this rank's own work. */
static void begin_plan(moe_engine *e, job *j)
{
    moe_beside *b = e->pacing->beside;
    const double start_s = moe_clock_wall();
    b->bytes = moe_coordination_plan(e, j->runner, j->first, j->end);
    if (j->runner->planner != NULL) {
        b->planned_s = moe_clock_wall();
        share(e, j, MOE_PHASE_PLAN, b->planned_s - start_s);
    }
    b->began_s = moe_clock_wall();
    j->phase = MOE_PHASE_BROADCAST;
    if (moe_engine_replicated(e)) {
        moe_coordination_hash(e, j->runner, j->first, j->end, b->most);
        MOE_MPI(MPI_Iallreduce(MPI_IN_PLACE, b->most, 3, MPI_UINT64_T, MPI_MAX,
                               b->comm, &b->request));
    } else {
        b->most[0] = 0; /* the length is told first */
        MOE_MPI(MPI_Ibcast(&b->bytes, 1, MPI_UINT64_T, e->coordinator, b->comm,
                           &b->request));
    }
}

/* @return whether the plan is known. */
static bool end_broadcast(moe_engine *e, const job *j)
{
    moe_beside *b = e->pacing->beside;
    if (moe_engine_replicated(e)) {
        moe_coordination_confirm(e, j->runner, j->first, j->end, b->most);
        return true;
    }
    if (b->most[0] == 0 && b->bytes > 0) {
        b->most[0] = 1;
        MOE_MPI(MPI_Ibcast(e->coordination.wire, (int)b->bytes, MPI_BYTE,
                           e->coordinator, b->comm, &b->request));
        return false;
    }
    e->it.wire_bytes += b->bytes;
    if (b->bytes > 0 && j->runner->planner == NULL)
        moe_plan_decode(&j->runner->next, e->coordination.wire, b->bytes,
                        &e->ctx->err);
    return true;
}

/* Tags are few bytes and go from slot to slot; matrices flow. */
static void begin_migrate(moe_engine *e, const job *j)
{
    moe_beside *b = e->pacing->beside;
    moe_runner *r = j->runner;
    b->moves = moe_coordination_moves(e, r, j->first, j->end);
    if (r->weights != NULL)
        moe_slots_begin(r->weights, e->coordination.moves, b->moves,
                        e->gpu_comm);
    if (e->pacing->flow == NULL)
        return;
    moe_flow_add(e->pacing->flow, e->coordination.moves, b->moves);
    for (int l = j->first; l < j->end; l++)
        if (moe_flow_expects(e->pacing->flow, l))
            b->moving_s[l] = b->began_s;
}

static void begin(moe_engine *e, job *j)
{
    moe_beside *b = e->pacing->beside;
    b->begun = true;
    b->began_s = moe_clock_wall();
    if (j->phase == MOE_PHASE_COLLECT)
        begin_collect(e, j);
    else if (j->phase == MOE_PHASE_PLAN)
        begin_plan(e, j);
    else
        begin_migrate(e, j);
}

/* @return whether the job in progress has ended. */
static bool has_ended(moe_engine *e, const job *j)
{
    moe_beside *b = e->pacing->beside;
    int done = 1;
    if (j->phase == MOE_PHASE_MIGRATE) {
        if (j->runner->weights != NULL &&
            !moe_slots_test(j->runner->weights, e->coordination.moves,
                            b->moves))
            return false;
        moe_coordination_apply(e, j->runner, j->first, j->end, b->moves);
        return true;
    }
    MOE_MPI(MPI_Test(&b->request, &done, MPI_STATUS_IGNORE));
    return done && (j->phase == MOE_PHASE_COLLECT || end_broadcast(e, j));
}

/* ---- on and on ---- */

static bool advance_queue(moe_engine *e)
{
    moe_beside *b = e->pacing->beside;
    while (b->head < b->n) {
        job *j = &b->queue[b->head];
        if (!b->begun)
            begin(e, j);
        if (!has_ended(e, j))
            return true;
        if (j->phase != MOE_PHASE_MIGRATE)
            share(e, j, j->phase, moe_clock_wall() - b->began_s);
        b->begun = false;
        b->head++;
    }
    return false;
}

bool moe_beside_advance(moe_engine *e)
{
    if (!e->it.beside)
        return false;
    const bool queued = advance_queue(e);
    return (e->pacing->flow != NULL &&
            !moe_flow_advance(e->pacing->flow, false, &e->ctx->err)) ||
           queued;
}

/* @return the phase that a layer waits for; MOE_N_PHASES: none. */
static moe_phase awaited(const moe_engine *e, int layer)
{
    const moe_beside *b = e->pacing->beside;
    for (size_t i = b->head; i < b->n; i++)
        if (b->queue[i].phase == MOE_PHASE_MIGRATE &&
            b->queue[i].first <= layer && layer < b->queue[i].end)
            return b->queue[b->head].phase;
    return e->pacing->flow != NULL && moe_flow_expects(e->pacing->flow, layer)
               ? MOE_PHASE_MIGRATE
               : MOE_N_PHASES;
}

moe_stamp moe_beside_need(moe_engine *e, int layer, moe_stamp at)
{
    while (e->it.beside) {
        const moe_phase phase = awaited(e, layer);
        if (phase == MOE_N_PHASES)
            break;
        moe_beside_advance(e);
        sched_yield();
        at = moe_engine_charge(e, phase, layer, layer + 1, at);
    }
    return at;
}

void moe_beside_finish(moe_engine *e)
{
    const int last = e->p.n_layers - 1;
    moe_stamp at = moe_stamp_now();
    if (!e->it.beside)
        return;
    while (moe_beside_advance(e)) {
        const moe_beside *b = e->pacing->beside;
        const moe_phase phase =
            b->head < b->n ? b->queue[b->head].phase : MOE_PHASE_MIGRATE;
        sched_yield();
        at = moe_engine_charge(e, phase, last, last + 1, at);
    }
    moe_beside *b = e->pacing->beside;
    for (int l = 0; l <= last; l++) {
        const double arrived_s = e->pacing->flow != NULL
                                     ? moe_flow_arrived_s(e->pacing->flow, l)
                                     : 0;
        if (b->moving_s[l] > 0 && arrived_s > b->moving_s[l])
            e->it.paces[l].beside_s[MOE_PHASE_MIGRATE - MOE_BESIDE_FIRST] +=
                arrived_s - b->moving_s[l];
        b->moving_s[l] = 0;
    }
}

double moe_beside_planned_s(const moe_engine *e)
{
    return e->pacing->beside->planned_s;
}
