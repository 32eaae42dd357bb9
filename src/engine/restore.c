/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>

/* Of an expert and a batch: far beyond any, and exact in fixed point. */
static const double MOST_PAIRS = 1e12;

/* Rank 0 has the plans of the last iteration from the file. */
static void fill_plan(const moe_ledger *ledger, int s, int i, moe_plan *plan,
                      moe_error *err)
{
    const size_t most = (size_t)ledger->dims.slots; /* of any strategy */
    for (int l = 0; l < plan->layers; l++) {
        const moe_plan_layer p = moe_plan_at(plan, l);
        const size_t at = moe_ledger_at(ledger, s, i, l) * (size_t)p.gpus;
        for (int g = 0; g < p.gpus; g++)
            for (int k = 0; k < p.slots; k++) {
                const size_t from = (at + (size_t)g) * most + (size_t)k;
                const int to = g * p.slots + k;
                const double quota = ledger->slot_quota[from];
                if (!(quota >= 0 && quota <= 1))
                    moe_fail(err, MOE_FORMAT, "a slot's quota is %g", quota);
                p.expert[to] = ledger->slot_expert[from];
                p.quota[to] =
                    (uint32_t)(fmin(fmax(quota, 0), 1) * MOE_QUOTA_ONE);
            }
    }
}

/* @return the iteration of the last round; negative: it was in warm-up. */
static int last_round(const moe_engine *e, int done)
{
    const moe_experiment *x = e->p.experiment;
    return done - 1 -
           (x->workload.warmup + done - 1) % x->emulation.rebalance_every;
}

/* Whether a round made a plan: it does not while its forecast is unchanged. */
static bool has_planned(const moe_engine *e, const moe_runner *r, int i,
                        const moe_ledger *ledger)
{
    const int64_t *steps =
        ledger->planner_steps + moe_ledger_at(ledger, r->index, i, 0);
    for (int l = 0; l < e->p.n_layers; l++)
        if (steps[l] > 0)
            return true;
    return false;
}

/* A plan made ahead is not in the file: make it again, from the loads that
 * were predicted in the last round. */
static void restore_next(moe_engine *e, moe_runner *r, int last,
                         const moe_ledger *ledger)
{
    const size_t n = (size_t)e->p.n_layers * (size_t)e->p.model->experts;
    int planned = e->ctx->rank == 0 && has_planned(e, r, last, ledger);
    MOE_MPI(MPI_Bcast(&planned, 1, MPI_INT, 0, e->ctx->comm));
    if (!planned)
        return;
    const double *pairs = e->ctx->rank == 0
                              ? ledger->predicted_pairs +
                                    moe_ledger_at(ledger, r->index, last, 0) *
                                        (size_t)e->p.model->experts
                              : NULL;
    for (size_t j = 0; pairs != NULL && j < n; j++)
        if (!(pairs[j] >= 0 && pairs[j] <= MOST_PAIRS))
            moe_fail(&e->ctx->err, MOE_FORMAT,
                     "the result file predicts %g pairs of an expert",
                     pairs[j]);
    if (moe_agree(e->ctx) != MOE_OK)
        return;
    for (size_t j = 0; pairs != NULL && j < n; j++)
        e->coordination.load_sum[j] =
            (uint64_t)llround(pairs[j] * MOE_LOAD_ONE);
    MOE_MPI(MPI_Bcast(e->coordination.load_sum, (int)n, MPI_UINT64_T, 0,
                      e->ctx->comm));
    moe_engine_plan(e, r, 0, e->p.n_layers);
}

/* What a file says is checked before ranks rely on it: a plan that cannot be is
 * the file's fault, not the run's. */
static void check_plan(const moe_plan *plan, moe_error *err)
{
    for (int l = 0; l < plan->layers && err->status == MOE_OK; l++) {
        const moe_plan_layer p = moe_plan_at(plan, l);
        if (moe_plan_layer_check(&p, err) != MOE_OK)
            err->status = MOE_FORMAT;
    }
    moe_error_prefix(err, "plan in the result file");
}

/* r->next becomes the plan of iteration i in the file. */
static void read_plan(moe_engine *e, moe_runner *r, int i,
                      const moe_ledger *ledger)
{
    moe_ctx *ctx = e->ctx;
    const int n = r->next.layers * r->next.gpus * r->next.slots;
    if (ctx->rank == 0) {
        fill_plan(ledger, r->index, i, &r->next, &ctx->err);
        check_plan(&r->next, &ctx->err);
    }
    if (moe_agree(ctx) != MOE_OK)
        return;
    MOE_MPI(MPI_Bcast(r->next.expert, n, MPI_INT16_T, 0, ctx->comm));
    MOE_MPI(MPI_Bcast(r->next.quota, n, MPI_UINT32_T, 0, ctx->comm));
}

static void restore_plan(moe_engine *e, moe_runner *r, int done,
                         const moe_ledger *ledger)
{
    const int last = last_round(e, done);
    if (r->spec->plan_ahead && last < 0)
        return; /* both plans are of warm-up, which ran again */
    read_plan(e, r, done - 1, ledger);
    if (e->ctx->err.status != MOE_OK)
        return;
    moe_engine_migrate(e, r);
    if (r->spec->plan_ahead)
        restore_next(e, r, last, ledger);
}

/* Tokens of the batch whose loads these are. */
static uint64_t count_tokens(const moe_batch *batch)
{
    int64_t pairs = 0;
    for (int x = 0; x < batch->experts; x++)
        pairs += batch->true_pairs[x];
    return (uint64_t)(pairs / batch->top_k);
}

/* Loads of iteration i, from the file. */
static void load_again(moe_engine *e, int i, const moe_ledger *ledger)
{
    moe_batch *batch = e->it.batch;
    const int n = batch->layers * batch->experts;
    for (int x = 0; e->ctx->rank == 0 && x < n; x++)
        batch->true_pairs[x] = ledger->true_pairs[i * n + x];
    MOE_MPI(MPI_Bcast(batch->true_pairs, n, MPI_INT64_T, 0, e->ctx->comm));
    batch->tokens = count_tokens(batch);
    batch->iteration = (uint64_t)(e->p.experiment->workload.warmup + i);
}

/* Online predictors learn again what they had learned, what plans were made for
 * is known again, and so is what was chosen. */
static void observe_again(moe_engine *e, int first, int end,
                          const moe_ledger *ledger)
{
    const moe_experiment *x = e->p.experiment;
    for (int i = first; i < end && e->ctx->err.status == MOE_OK; i++) {
        load_again(e, i, ledger);
        for (int s = 0; s < x->n_strategies; s++) {
            if (e->runner[s].choice != NULL)
                moe_engine_choice_restore(e, s, i, ledger);
            if (e->it.batch->iteration %
                    (uint64_t)x->emulation.rebalance_every ==
                0)
                moe_engine_note_planned(e, moe_engine_runner(e, s));
            moe_engine_observe(e, s);
        }
        moe_agree(e->ctx);
    }
}

/* Weights that candidates share wait at home while it is found out who had
 * them, and where. */
static void send_home(moe_engine *e, moe_runner *r)
{
    moe_plan_set_home(&r->next, &e->layout);
    moe_engine_migrate(e, r);
}

static void restore_shared(moe_engine *e, moe_runner *r, int done,
                           const moe_ledger *ledger)
{
    moe_plan_set_home(&r->plan, &e->layout);
    restore_plan(e, r, done, ledger);
    r->arrives = false;
}

moe_status moe_engine_resume(moe_engine *e, int done, const moe_ledger *ledger)
{
    const int last = last_round(e, done) > 0 ? last_round(e, done) : 0;
    const int n = e->p.experiment->n_strategies;
    for (int s = 0; s < n; s++)
        if (e->runner[s].choice != NULL)
            send_home(e, moe_engine_runner(e, s));
    observe_again(e, 0, last, ledger); /* which the last plans were made of */
    for (int s = 0; s < n && e->ctx->err.status == MOE_OK; s++)
        if (e->runner[s].choice == NULL && e->runner[s].spec->planner->plans)
            restore_plan(e, &e->runner[s], done, ledger);
    if (moe_agree(e->ctx) == MOE_OK)
        observe_again(e, last, done, ledger);
    for (int s = 0; s < n && e->ctx->err.status == MOE_OK; s++)
        if (e->runner[s].choice != NULL)
            restore_shared(e, moe_engine_runner(e, s), done, ledger);
    return moe_agree(e->ctx);
}
