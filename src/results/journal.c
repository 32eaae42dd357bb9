/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* What is no block: sums over a run, and what a run needs to go on. */

/* Swap the first two dimensions of [n][m] rows of `size` bytes. */
static void transpose(const void *from, void *to, size_t n, size_t m,
                      size_t size)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            memcpy((char *)to + (j * n + i) * size,
                   (const char *)from + (i * m + j) * size, size);
}

/* Bring every rank's bytes sent to rank 0. @return [s][source][destination],
 * the caller frees it; NULL on other ranks and after an error. Collective. */
static int64_t *gather_traffic(moe_ctx *ctx, const moe_ledger *ledger,
                               moe_field_id id)
{
    const void *mine = moe_field_data(&moe_fields[id], ledger);
    const size_t strategies = (size_t)ledger->dims.strategies;
    const size_t gpus = (size_t)ledger->dims.gpus, n = strategies * gpus;
    int64_t *all = NULL, *dense = NULL;
    if (ctx->rank == 0) {
        all = moe_array_new(n * (size_t)ctx->size, sizeof *all, &ctx->err);
        dense = moe_array_new(n * (size_t)ctx->size, sizeof *dense, &ctx->err);
    }
    moe_to_int(n, "traffic of a rank", &ctx->err);
    if (moe_agree(ctx) == MOE_OK) {
        MOE_MPI(MPI_Gather(mine, (int)n, MPI_INT64_T, all, (int)n, MPI_INT64_T,
                           0, ctx->comm));
        if (ctx->rank == 0)
            transpose(all, dense, gpus, strategies, gpus * sizeof *dense);
    }
    free(all);
    return dense;
}

/* Write all of a field. */
static void put_whole(moe_ctx *ctx, const moe_blocks *blocks, moe_field_id id,
                      const moe_ledger_dims *dims, const void *data)
{
    moe_h5_block all = {.start = {0}};
    for (int d = 0; d < moe_field_rank(&moe_fields[id]); d++)
        all.count[d] = moe_dims_extent(dims, moe_fields[id].dims[d]);
    moe_blocks_put(ctx, blocks, id, &all, data);
}

void moe_blocks_write_end(moe_ctx *ctx, const moe_blocks *blocks,
                          const moe_ledger *ledger)
{
    const moe_ledger_dims *dims = &ledger->dims;
    if (ctx->rank == 0 && dims->warmup > 0)
        put_whole(ctx, blocks, MOE_FIELD_WARMUP_TIME, dims,
                  ledger->warmup_time);
    for (int t = 0; t < MOE_N_TRAFFIC; t++) {
        int64_t *bytes = gather_traffic(ctx, ledger, moe_traffic_field(t));
        if (ctx->rank == 0 && ctx->err.status == MOE_OK)
            put_whole(ctx, blocks, moe_traffic_field(t), dims, bytes);
        free(bytes);
    }
}

/* Where a copy of the journal is. */
static moe_h5_block journal_block(const moe_ledger_dims *dims, int copy)
{
    const hsize_t gpus = (hsize_t)dims->gpus;
    return (moe_h5_block){.start = {(hsize_t)copy},
                          .count = {1, (hsize_t)dims->strategies, gpus, gpus}};
}

void moe_blocks_write_journal(moe_ctx *ctx, const moe_blocks *blocks,
                              const moe_ledger *ledger)
{
    const moe_h5_block block = journal_block(&ledger->dims, 1 - blocks->copy);
    for (int t = 0; t < MOE_N_TRAFFIC; t++) {
        int64_t *bytes = gather_traffic(ctx, ledger, moe_traffic_field(t));
        if (ctx->rank == 0 && ctx->err.status == MOE_OK)
            moe_h5_write_block(blocks->journal[t], &block, H5T_NATIVE_INT64,
                               bytes, H5P_DEFAULT, &ctx->err);
        free(bytes);
    }
}

void moe_blocks_mark(moe_ctx *ctx, moe_blocks *blocks, int done)
{
    const moe_h5_block both = {.count = {2}};
    blocks->copy = 1 - blocks->copy;
    const int64_t mark[] = {done, blocks->copy};
    if (ctx->rank == 0)
        moe_h5_write_block(blocks->progress, &both, H5T_NATIVE_INT64, mark,
                           H5P_DEFAULT, &ctx->err);
}

/* Read iterations [first, end) of a field that rank 0 holds. */
static void read_iterations(const moe_blocks *blocks, moe_field_id id,
                            int first, int end, const moe_ledger *ledger,
                            moe_error *err)
{
    const moe_field *field = &moe_fields[id];
    const moe_ledger_dims *dims = &ledger->dims;
    moe_h5_block block = {.start = {0}};
    const bool per_strategy = strcmp(field->dims[0], "strategy") == 0;
    const size_t row =
        moe_field_inner(field, dims) * moe_element_size(field->element);
    for (int d = 0; field->dims[d] != NULL; d++)
        block.count[d] = moe_dims_extent(dims, field->dims[d]);
    block.start[per_strategy] = (hsize_t)first;
    block.count[per_strategy] = (hsize_t)(end - first);
    for (int s = 0; s < (per_strategy ? dims->strategies : 1); s++) {
        const size_t at = (size_t)s * (size_t)dims->iterations + (size_t)first;
        if (per_strategy) {
            block.start[0] = (hsize_t)s;
            block.count[0] = 1;
        }
        moe_h5_read_block(
            blocks->dataset[id], &block, moe_element_mem_type(field->element),
            (char *)moe_field_data(field, ledger) + at * row, err);
    }
}

/* No run has written less than nothing. */
static void refuse_negative(const char *name, int64_t value, moe_error *err)
{
    if (value < 0)
        moe_fail(err, MOE_FORMAT, "is damaged: it has %lld in '%s'",
                 (long long)value, name);
}

/* Rank 0: loads and the plans in force. @return iterations done. */
static int restore_root(moe_blocks *blocks, const moe_ledger *ledger,
                        int history, moe_error *err)
{
    const moe_h5_block both = {.count = {2}};
    int64_t mark[2] = {0, 0};
    moe_h5_read_block(blocks->progress, &both, H5T_NATIVE_INT64, mark, err);
    if (err->status == MOE_OK && (mark[0] < 0 || mark[1] < 0 || mark[1] > 1 ||
                                  mark[0] > ledger->dims.iterations))
        moe_fail(
            err, MOE_FORMAT, "is damaged: its progress is %lld of %d, %lld",
            (long long)mark[0], ledger->dims.iterations, (long long)mark[1]);
    if (err->status != MOE_OK || mark[0] == 0)
        return 0;
    const int done = (int)mark[0];
    blocks->copy = (int)mark[1];
    read_iterations(blocks, MOE_FIELD_TRUE_PAIRS, 0, done, ledger, err);
    const size_t pairs =
        (size_t)done *
        moe_field_inner(&moe_fields[MOE_FIELD_TRUE_PAIRS], &ledger->dims);
    for (size_t j = 0; j < pairs && err->status == MOE_OK; j++)
        refuse_negative("true_pairs", ledger->true_pairs[j], err);
    const int from = history > 0 && done > history ? done - history : 0;
    if (history > 0) {
        read_iterations(blocks, MOE_FIELD_PREDICTED_PAIRS, from, done, ledger,
                        err);
        read_iterations(blocks, MOE_FIELD_PLANNER_STEPS, from, done, ledger,
                        err);
    }
    read_iterations(blocks, MOE_FIELD_SLOT_EXPERT, done - 1, done, ledger, err);
    read_iterations(blocks, MOE_FIELD_SLOT_QUOTA, done - 1, done, ledger, err);
    for (int f = MOE_FIELD_USED; f <= MOE_FIELD_ESTIMATE; f++)
        if (moe_field_present(&moe_fields[f], &ledger->dims))
            read_iterations(blocks, (moe_field_id)f, 0, done, ledger, err);
    return done;
}

/* Give every rank its bytes sent so far. Collective. */
static void restore_traffic(moe_ctx *ctx, const moe_blocks *blocks, int t,
                            const moe_ledger *ledger)
{
    const moe_h5_block block = journal_block(&ledger->dims, blocks->copy);
    const size_t strategies = (size_t)ledger->dims.strategies;
    const size_t gpus = (size_t)ledger->dims.gpus, n = strategies * gpus;
    const size_t all = ctx->rank == 0 ? n * (size_t)ctx->size : 0;
    int64_t *dense = moe_array_new(all, sizeof *dense, &ctx->err);
    int64_t *by_rank = moe_array_new(all, sizeof *by_rank, &ctx->err);
    if (moe_agree(ctx) == MOE_OK) {
        if (ctx->rank == 0) {
            moe_h5_read_block(blocks->journal[t], &block, H5T_NATIVE_INT64,
                              dense, &ctx->err);
            for (size_t j = 0; j < n * gpus && ctx->err.status == MOE_OK; j++)
                refuse_negative(moe_fields[moe_traffic_field(t)].name, dense[j],
                                &ctx->err);
            /* A dedicated coordinator, the last rank, sends nothing. */
            transpose(dense, by_rank, strategies, gpus, gpus * sizeof *dense);
        }
        MOE_MPI(MPI_Scatter(
            by_rank, (int)n, MPI_INT64_T,
            moe_field_data(&moe_fields[moe_traffic_field(t)], ledger), (int)n,
            MPI_INT64_T, 0, ctx->comm));
    }
    free(by_rank);
    free(dense);
}

int moe_blocks_restore(moe_ctx *ctx, moe_blocks *blocks, moe_ledger *ledger,
                       int history)
{
    int both[] = {0, 0};
    if (ctx->rank == 0)
        both[0] = restore_root(blocks, ledger, history, &ctx->err);
    both[1] = blocks->copy;
    if (moe_agree(ctx) != MOE_OK)
        return 0;
    MOE_MPI(MPI_Bcast(both, 2, MPI_INT, 0, ctx->comm));
    blocks->copy = both[1];
    for (int t = 0; t < MOE_N_TRAFFIC && both[0] > 0; t++)
        restore_traffic(ctx, blocks, t, ledger);
    return both[0];
}
