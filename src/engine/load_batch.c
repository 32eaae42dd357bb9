/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

/* Load the batch and learn its true load; not timed: a serving system has
 * its tokens before the iteration begins. */
moe_status moe_engine_load_batch(moe_engine *e, uint64_t iteration)
{
    moe_inject(e->ctx, MOE_SITE_BATCH);
    if (moe_agree(e->ctx) != MOE_OK)
        return e->ctx->err.status;
    e->it.batch = moe_batcher_load(e->batcher, iteration);
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, e->it.batch->true_pairs,
                          e->it.batch->layers * e->it.batch->experts,
                          MPI_INT64_T, MPI_SUM, e->ctx->comm));
    if (e->gpu >= 0)
        e->ffn->fill_rows(e->ffn_state, e->it.batch, e->rows);
    moe_pacing_load(e);
    return MOE_OK;
}
