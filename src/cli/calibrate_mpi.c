/* SPDX-License-Identifier: Apache-2.0 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "calibrate.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "moegps/topo.h"

/* This machine's interconnect, by the exchange that runs do: MPI_Alltoallv of
 * rows, equally many to each rank, and by the collectives that are priced. The
 * slowest rank's time counts, as all wait for it. */

enum {
    ROW_BYTES = 256,
    LEAST_ROWS = 1,        /* to each rank */
    MOST_BYTES = 16 << 20, /* of a rank's buffer */
    WARMUP = 3,
    SAMPLES = 21,
    MOST_COUNTS = 4 /* numbers of ranks that a table has */
};

/* Ranks that take part, and what they exchange. */
typedef struct {
    MPI_Comm comm;
    int ranks;
    MPI_Datatype row;
    char *send, *recv;
    int *count, *at; /* [ranks] rows, and their places */
} exchange;

static const char *const ops[] = {"alltoall", "all_reduce", "all_gather"};
enum { ALLTOALL, ALL_REDUCE, ALL_GATHER };

/* @param rows  to each rank */
static void exchange_once(const exchange *x, int op, int rows)
{
    const int floats = rows * ROW_BYTES * x->ranks / (int)sizeof(float);
    if (op == ALLTOALL)
        MOE_MPI(MPI_Alltoallv(x->send, x->count, x->at, x->row, x->recv,
                              x->count, x->at, x->row, x->comm));
    else if (op == ALL_REDUCE)
        MOE_MPI(MPI_Allreduce(x->send, x->recv, floats, MPI_FLOAT, MPI_SUM,
                              x->comm));
    else
        MOE_MPI(MPI_Allgather(x->send, rows, x->row, x->recv, rows, x->row,
                              x->comm));
}

/* @return median microseconds of the slowest rank. */
static double time_of(const exchange *x, int op, int rows)
{
    double sample[SAMPLES];
    for (int r = 0; r < x->ranks; r++) {
        x->count[r] = rows;
        x->at[r] = r * rows;
    }
    for (int i = -WARMUP; i < SAMPLES; i++) {
        double own_s, most_s;
        MOE_MPI(MPI_Barrier(x->comm));
        own_s = MPI_Wtime();
        exchange_once(x, op, rows);
        own_s = MPI_Wtime() - own_s;
        MOE_MPI(
            MPI_Allreduce(&own_s, &most_s, 1, MPI_DOUBLE, MPI_MAX, x->comm));
        if (i >= 0)
            sample[i] = 1e6 * most_s;
    }
    return moe_median_sorting(sample, SAMPLES);
}

static void measure(const exchange *x, const moe_measured_options *options,
                    moe_measurements *out, moe_error *err)
{
    for (int op = 0; op < (int)MOE_ARRAY_LEN(ops); op++)
        for (int rows = LEAST_ROWS; rows * ROW_BYTES * x->ranks <= MOST_BYTES;
             rows *= 2) {
            moe_measurement row = {.group = &moe_measured_collectives,
                                   .number = {x->ranks},
                                   .x = (double)rows * ROW_BYTES * x->ranks,
                                   .time_us = time_of(x, op, rows),
                                   .path = "--mpi"};
            snprintf(row.text[0], sizeof row.text[0], "%s", options->gpu);
            snprintf(row.text[1], sizeof row.text[1], MOE_MEASURED_BY_MPI);
            snprintf(row.text[2], sizeof row.text[2], "%s", ops[op]);
            moe_measured_add(out, &row, err);
        }
}

/* The first ranks alone, others wait. */
static void measure_count(moe_ctx *ctx, int ranks,
                          const moe_measured_options *options,
                          moe_measurements *out)
{
    exchange x = {.ranks = ranks, .comm = MPI_COMM_NULL};
    const bool in = ctx->rank < ranks;
    MOE_MPI(
        MPI_Comm_split(ctx->comm, in ? 0 : MPI_UNDEFINED, ctx->rank, &x.comm));
    x.send = moe_array_new(MOST_BYTES, 1, &ctx->err);
    x.recv = moe_array_new(MOST_BYTES, 1, &ctx->err);
    x.count = moe_array_new((size_t)ranks, sizeof *x.count, &ctx->err);
    x.at = moe_array_new((size_t)ranks, sizeof *x.at, &ctx->err);
    if (moe_agree(ctx) == MOE_OK && in) {
        MOE_MPI(MPI_Type_contiguous(ROW_BYTES, MPI_BYTE, &x.row));
        MOE_MPI(MPI_Type_commit(&x.row));
        measure(&x, options, out, &ctx->err);
        MOE_MPI(MPI_Type_free(&x.row));
    }
    if (x.comm != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&x.comm));
    free(x.send);
    free(x.recv);
    free(x.count);
    free(x.at);
    moe_agree(ctx);
}

/* All ranks, half of them, a quarter, ... */
static void measure_all(moe_ctx *ctx, const moe_measured_options *options,
                        moe_measurements *out)
{
    int counts = 0;
    if (ctx->size < 2)
        moe_fail(&ctx->err, MOE_USAGE,
                 "--mpi: one rank exchanges nothing: start with mpirun -n N or "
                 "srun -n N");
    for (int ranks = ctx->size;
         ranks >= 2 && counts < MOST_COUNTS && ctx->err.status == MOE_OK;
         ranks /= 2, counts++)
        measure_count(ctx, ranks, options, out);
    moe_remark(&out->said,
               "--mpi: %d ranks on %d node%s, %d on the first; "
               "rows of %d bytes, equally many to each; the median "
               "of %d times of the slowest rank; tables name %s, the "
               "profile's GPU: none was measured",
               ctx->size, ctx->n_nodes, ctx->n_nodes == 1 ? "" : "s",
               ctx->node_size, ROW_BYTES, SAMPLES, options->gpu);
}

moe_status moe_calibrate_mpi(moe_ctx *ctx, moe_calibrate_settings *s)
{
    moe_measurements m = {0};
    moe_topo topo;
    if (ctx->rank == 0)
        moe_calibrate_check(s, &ctx->err);
    if (moe_agree(ctx) != MOE_OK || moe_topo_discover(ctx, &topo) != MOE_OK)
        return ctx->err.status;
    moe_topo_warn(ctx, &topo, false);
    if (ctx->rank != 0)
        s->measured.gpu = "";
    measure_all(ctx, &s->measured, &m);
    if (ctx->rank == 0 && ctx->err.status == MOE_OK)
        moe_calibrate_write(s, &m, &ctx->err);
    moe_measurements_fini(&m);
    return moe_agree(ctx);
}
