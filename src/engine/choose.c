/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A strategy that chooses: its candidates take turns with one set of weights,
 * and those that wait are tried on some batches. All that a candidate does in
 * a try it does with an iteration of its own beside the one in progress, so
 * that the same code serves both. */

/* ---- who runs ---- */

moe_runner *moe_engine_runner(const moe_engine *e, int s)
{
    moe_runner *r = &e->runner[s];
    return r->choice != NULL ? &r->choice->candidate[r->choice->in_use] : r;
}

moe_status moe_engine_choice_init(moe_engine *e, moe_runner *r, moe_error *err)
{
    const moe_experiment *x = e->p.experiment;
    moe_choice *c = moe_array_new(1, sizeof *c, err);
    if (c == NULL)
        return err->status;
    r->choice = c;
    c->candidate = e->runner + x->n_strategies;
    while (c->candidate->index != r->index)
        c->candidate++;
    c->n = r->spec->n_candidates;
    moe_chooser_init(&c->rule, c->n, r->spec->hysteresis,
                     (double)r->spec->try_every * x->emulation.rebalance_every);
    bool keep_home = true;
    for (int k = 0; k < c->n; k++)
        keep_home = keep_home && c->candidate[k].spec->planner->keeps_home;
    return moe_runner_hold_weights(e, &c->candidate[0], keep_home, err);
}

/* Go on from another's placement. */
static void place(const moe_engine *e, moe_runner *r, const moe_plan *plan)
{
    moe_plan_copy(&r->plan, plan);
    moe_plan_copy(&r->next, plan);
    if (!r->spec->planner->plans) {
        moe_plan_set_home(&r->plan, &e->layout);
        moe_plan_set_home(&r->next, &e->layout);
    }
    for (int l = 0; l < e->p.n_layers; l++) {
        const moe_plan_layer layer = moe_plan_at(&r->plan, l);
        moe_replicas_index(&r->replicas[l], &layer);
    }
    moe_engine_forget_planned(e, r);
}

/* The placement that a candidate has come to in its tries becomes the one in
 * force; the other waits there. Weights still have to come there. */
static void hand_over(const moe_engine *e, moe_runner *from, moe_runner *to)
{
    if (from == to)
        return;
    moe_plan_copy(&to->next, &to->plan);
    moe_plan_copy(&to->plan, &from->plan);
    to->arrives = true;
    place(e, from, &to->next);
    to->weights = from->weights;
    from->weights = NULL;
}

moe_runner *moe_engine_turn(moe_engine *e, int s)
{
    moe_choice *c = e->runner[s].choice;
    moe_runner *was = moe_engine_runner(e, s);
    if (c == NULL || c->chosen == c->in_use)
        return was;
    c->in_use = c->chosen;
    hand_over(e, was, moe_engine_runner(e, s));
    return moe_engine_runner(e, s);
}

/* ---- tries ---- */

static void swap_iterations(moe_engine *e)
{
    const moe_iteration it = e->it;
    e->it = e->trial;
    e->trial = it;
    e->it.batch = it.batch;
}

/* What a try took is part of the iteration in progress, but for what it would
 * have taken had it been in use. */
static void add_trial(moe_engine *e, moe_choice *c, int k, double predict_s)
{
    static const moe_phase phases[] = {MOE_PHASE_PREDICT, MOE_PHASE_COLLECT,
                                       MOE_PHASE_PLAN, MOE_PHASE_BROADCAST};
    const moe_iteration *t = &e->trial;
    c->steps[k] = 0;
    for (int l = 0; l < e->p.n_layers; l++) {
        for (size_t j = 0; j < MOE_ARRAY_LEN(phases); j++) {
            const moe_phase p = phases[j];
            e->it.times[l].wall[p] += t->times[l].wall[p];
            e->it.times[l].cpu[p] += t->times[l].cpu[p];
            e->it.times[l].wait[p] += t->times[l].wait[p];
        }
        c->steps[k] += (int64_t)t->planner_steps[l];
    }
    c->tried[k] = (int16_t)(t->predicts + t->collects);
    c->bytes[k] = (int64_t)t->wire_bytes;
    e->it.tried += t->collects;
    e->it.tried_steps += c->steps[k];
    e->it.tried_bytes += c->bytes[k];
    e->it.tried_s += predict_s;
}

/* Coordinate as a candidate beside the iteration in progress. */
static void coordinate_beside(moe_engine *e, moe_runner *r)
{
    swap_iterations(e);
    moe_iteration_clear(e, &e->it);
    moe_engine_coordinate(e, r);
    moe_engine_coordinate_rest(e, r);
    moe_engine_share_planner_work(e);
    swap_iterations(e);
}

/* @return what the iteration takes under the candidate, s. @param way  from
 * where weights are, instead of its own moves; NULL: its own. */
static double try_candidate(moe_engine *e, moe_choice *c, int k,
                            const moe_plan *way, bool moves)
{
    moe_runner *r = &c->candidate[k];
    coordinate_beside(e, r);
    swap_iterations(e);
    if (way != NULL)
        moe_engine_note_way(e, way, &r->plan);
    for (int l = 0; l < e->p.n_layers; l++)
        moe_engine_layer(e, r, l, NULL, NULL, NULL);
    const double time_s = moe_engine_price_s(e, r, moves);
    const double predict_s = moe_engine_predict_s(e, r);
    swap_iterations(e);
    add_trial(e, c, k, predict_s);
    return time_s;
}

/* All candidates on this batch; the one in use as it was, but without the
 * first copies that it got in the first iteration. */
static void price_all(moe_engine *e, moe_choice *c, bool arrive, bool moves)
{
    moe_runner *in_use = &c->candidate[c->in_use];
    double *own = &c->estimate_s[c->in_use];
    *own = moe_engine_price_s(e, in_use, e->it.batch->iteration > 0);
    if (arrive) {
        MOE_MPI(MPI_Bcast(own, 1, MPI_DOUBLE, 0, e->ctx->comm));
        moe_chooser_notice(&c->rule, *own);
    }
    for (int k = 0; k < c->n; k++)
        if (k != c->in_use && moe_chooser_tries(&c->rule, k))
            c->estimate_s[k] =
                try_candidate(e, c, k, arrive ? &in_use->plan : NULL, moves);
    /* CPUs may round differently. */
    MOE_MPI(MPI_Bcast(c->estimate_s, c->n, MPI_DOUBLE, 0, e->ctx->comm));
}

/* ---- when ---- */

/* Where an iteration is in a try. */
typedef enum moment {
    NO_TRY,
    ARRIVES, /* candidates plan: the price has the way there */
    SETTLES, /* the rest of that round */
    STAYS,   /* they plan again: what it is like to be there */
    LAST     /* iteration of that round */
} moment;

static moment moment_of(const moe_engine *e, int s, uint64_t iteration)
{
    const uint64_t every = (uint64_t)e->p.experiment->emulation.rebalance_every;
    const uint64_t tries = (uint64_t)e->p.experiment->strategy[s].try_every;
    const uint64_t round = iteration / every % tries, at = iteration % every;
    if (round > 1)
        return NO_TRY;
    if (round == 0)
        return at == 0 ? ARRIVES : SETTLES;
    return at + 1 == every ? LAST : STAYS;
}

/* In the first iteration, of warm-up, all begin at home, and the best has its
 * copies come at once, as every strategy has there. */
static void start(moe_engine *e, int s)
{
    moe_choice *c = e->runner[s].choice;
    price_all(e, c, false, false);
    c->chosen = moe_chooser_start(&c->rule, c->estimate_s);
    if (c->chosen == c->in_use)
        return;
    moe_runner *r = moe_engine_turn(e, s);
    moe_iteration_clear(e, &e->it);
    moe_engine_coordinate(e, r);
    moe_engine_coordinate_rest(e, r);
    moe_engine_share_planner_work(e);
    for (int l = 0; l < e->p.n_layers; l++)
        moe_engine_layer(e, r, l, NULL, NULL, NULL);
}

/* What the rule makes of the prices of an iteration. */
static void apply_rule(moe_choice *c, moment m)
{
    if (m == ARRIVES)
        moe_chooser_begin(&c->rule, c->estimate_s);
    else
        moe_chooser_add(&c->rule, c->estimate_s);
    if (m == LAST)
        c->chosen = moe_chooser_decide(&c->rule, c->in_use);
}

void moe_engine_choose(moe_engine *e, int s)
{
    moe_choice *c = e->runner[s].choice;
    if (c == NULL)
        return;
    const moment m = moment_of(e, s, e->it.batch->iteration);
    moe_engine_share_planner_work(e);
    if (e->it.batch->iteration == 0)
        start(e, s);
    for (int k = 0; k < c->n; k++)
        c->estimate_s[k] = NAN;
    memset(c->tried, 0, sizeof c->tried);
    memset(c->steps, 0, sizeof c->steps);
    memset(c->bytes, 0, sizeof c->bytes);
    if (m == NO_TRY || m == SETTLES)
        return;
    price_all(e, c, m == ARRIVES, true);
    apply_rule(c, m);
}

/* ---- the ledger ---- */

/* Index of [s][i][strategy 0] in the fields over candidates. */
static size_t cell(const moe_ledger *ledger, int s, int i)
{
    return ((size_t)s * (size_t)ledger->dims.iterations + (size_t)i) *
           (size_t)ledger->dims.candidates;
}

void moe_engine_choice_record(const moe_engine *e, int s, int i,
                              moe_ledger *ledger)
{
    const moe_choice *c = e->runner[s].choice;
    if (c == NULL || e->ctx->rank != 0)
        return;
    for (int k = 0; k < c->n; k++) {
        const size_t at = cell(ledger, s, i) +
                          (size_t)e->p.experiment->strategy[s].candidate[k];
        ledger->used[at] = (int16_t)(k == c->in_use ? 1 + e->it.collects : 0);
        ledger->tried[at] = c->tried[k];
        ledger->try_steps[at] = c->steps[k];
        ledger->try_bytes[at] = c->bytes[k];
        ledger->chosen[at] = k == c->chosen;
        ledger->estimate[at] = c->estimate_s[k];
    }
}

/* Rank 0 has them from the file. @return whether they can be of a run. */
static bool read_record(const moe_engine *e, int s, int i, moment m,
                        const moe_ledger *ledger, moe_choice *c)
{
    int used = 0, chosen = 0;
    for (int k = 0; k < c->n; k++) {
        const size_t at = cell(ledger, s, i) +
                          (size_t)e->p.experiment->strategy[s].candidate[k];
        c->estimate_s[k] = ledger->estimate[at];
        if (ledger->used[at] > 0) {
            c->in_use = k;
            used++;
        }
        if (ledger->chosen[at] == 1) {
            c->chosen = k;
            chosen++;
        }
    }
    if (used != 1 || chosen != 1)
        return false;
    if (m == NO_TRY || m == SETTLES)
        return true;
    if (m == ARRIVES)
        moe_chooser_notice(&c->rule, c->estimate_s[c->in_use]);
    for (int k = 0; k < c->n; k++)
        if ((k == c->in_use || moe_chooser_tries(&c->rule, k)) &&
            !(c->estimate_s[k] > 0 && isfinite(c->estimate_s[k])))
            return false;
    return true;
}

static void take_record(moe_engine *e, int s, int i, moment m,
                        const moe_ledger *ledger)
{
    moe_choice *c = e->runner[s].choice;
    if (e->ctx->rank == 0 && !read_record(e, s, i, m, ledger, c))
        moe_fail(&e->ctx->err, MOE_FORMAT,
                 "the result file does not say what strategy %s chose",
                 e->p.experiment->strategy[s].name);
    int both[2] = {c->in_use, c->chosen};
    MOE_MPI(MPI_Bcast(both, 2, MPI_INT, 0, e->ctx->comm));
    MOE_MPI(MPI_Bcast(c->estimate_s, c->n, MPI_DOUBLE, 0, e->ctx->comm));
    c->in_use = both[0];
    c->chosen = both[1];
}

void moe_engine_choice_restore(moe_engine *e, int s, int i,
                               const moe_ledger *ledger)
{
    moe_choice *c = e->runner[s].choice;
    moe_runner *was = moe_engine_runner(e, s);
    const moment m = moment_of(e, s, e->it.batch->iteration);
    take_record(e, s, i, m, ledger);
    hand_over(e, was, moe_engine_runner(e, s));
    if (m == NO_TRY || m == SETTLES || e->ctx->err.status != MOE_OK)
        return;
    bool tries[MOE_MAX_STRATEGIES];
    if (e->ctx->rank != 0 && m == ARRIVES) /* rank 0 has, in read_record() */
        moe_chooser_notice(&c->rule, c->estimate_s[c->in_use]);
    for (int k = 0; k < c->n; k++)
        tries[k] = k != c->in_use && moe_chooser_tries(&c->rule, k);
    const int chosen = c->chosen;
    apply_rule(c, m);
    c->chosen = chosen;
    if (e->it.batch->iteration %
            (uint64_t)e->p.experiment->emulation.rebalance_every !=
        0)
        return;
    if (moe_engine_load_batch(e, e->it.batch->iteration) != MOE_OK)
        return;
    for (int k = 0; k < c->n; k++)
        if (tries[k])
            coordinate_beside(e, &c->candidate[k]);
}
