/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

/* Rank 0 has the plans of the last iteration from the file. */
static void fill_plan(const moe_ledger *ledger, int s, int i, moe_plan *plan)
{
    const size_t room = (size_t)ledger->dims.slots;
    for (int l = 0; l < plan->layers; l++) {
        const moe_plan_layer p = moe_plan_at(plan, l);
        const size_t at = moe_ledger_at(ledger, s, i, l) * (size_t)p.gpus;
        for (int g = 0; g < p.gpus; g++)
            for (int k = 0; k < p.slots; k++) {
                const size_t from = (at + (size_t)g) * room + (size_t)k;
                const int to = g * p.slots + k;
                p.expert[to] = ledger->slot_expert[from];
                p.quota[to] =
                    (uint32_t)(ledger->slot_quota[from] * MOE_QUOTA_ONE);
            }
    }
}

/* What a file says is checked before ranks rely on it. */
static void check_plan(const moe_plan *plan, moe_error *err)
{
    for (int l = 0; l < plan->layers && err->status == MOE_OK; l++) {
        const moe_plan_layer p = moe_plan_at(plan, l);
        if (moe_plan_layer_check(&p, err) != MOE_OK)
            moe_error_prefix(err, "plan in the result file");
    }
}

static void restore_plan(moe_engine *e, moe_runner *r, int done,
                         const moe_ledger *ledger)
{
    moe_ctx *ctx = e->ctx;
    const int n = r->next.layers * r->next.gpus * r->next.slots;
    if (ctx->rank == 0) {
        fill_plan(ledger, r->index, done - 1, &r->next);
        check_plan(&r->next, &ctx->err);
    }
    if (moe_agree(ctx) != MOE_OK)
        return;
    MOE_MPI(MPI_Bcast(r->next.expert, n, MPI_INT16_T, 0, ctx->comm));
    MOE_MPI(MPI_Bcast(r->next.quota, n, MPI_UINT32_T, 0, ctx->comm));
    moe_engine_migrate(e, r);
}

/* Online predictors learn again what they had learned. */
static void observe_again(moe_engine *e, int done, const moe_ledger *ledger)
{
    const int n = e->batch->layers * e->batch->experts;
    for (int i = 0; i < done; i++) {
        for (int x = 0; e->ctx->rank == 0 && x < n; x++)
            e->batch->true_pairs[x] = ledger->true_pairs[i * n + x];
        MOE_MPI(
            MPI_Bcast(e->batch->true_pairs, n, MPI_INT64_T, 0, e->ctx->comm));
        for (int r = 0; r < e->n_runners; r++)
            if (e->runner[r].spec->predictor->observe != NULL)
                e->runner[r].spec->predictor->observe(e->runner[r].predictor,
                                                      e->batch);
    }
}

moe_status moe_engine_resume(moe_engine *e, int done, const moe_ledger *ledger)
{
    for (int r = 0; r < e->n_runners && e->ctx->err.status == MOE_OK; r++)
        if (e->runner[r].spec->planner->plans)
            restore_plan(e, &e->runner[r], done, ledger);
    if (moe_agree(e->ctx) == MOE_OK)
        observe_again(e, done, ledger);
    return e->ctx->err.status;
}
