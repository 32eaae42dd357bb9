/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Bytes that rank 0 may hold of all ranks' columns at a time. */
static const size_t GATHER_BYTES = (size_t)64 << 20;

/* The iterations being written, and memory for them: [strategy][iteration of
 * the block][inner], densely. */
typedef struct moe_block {
    const moe_blocks *to;
    const moe_ledger *ledger;
    size_t first, n;           /* iterations */
    void *mine;                /* this rank's column, or what rank 0 holds */
    void *all;                 /* serial, rank 0: [rank] columns as gathered */
    void *dense;               /* serial, rank 0: the columns interleaved */
    double *sum[MOE_N_CLOCKS]; /* to be reduced: per layer; gpu per phase */
    double *most;              /* rank 0: reduced */
    double *time;              /* rank 0: layer times */
} moe_block;

static size_t n_strategies(const moe_block *b)
{
    return (size_t)b->ledger->dims.strategies;
}

/* Fields without a strategy dimension are as if they had one strategy. */
static size_t outer(const moe_block *b, const moe_field *field)
{
    return strcmp(field->dims[0], "strategy") == 0 ? n_strategies(b) : 1;
}

static size_t elements(const moe_block *b, const moe_field *field)
{
    return outer(b, field) * b->n * moe_field_inner(field, &b->ledger->dims);
}

/* Copy the block's iterations of a field from the ledger. */
static void pack(moe_block *b, const moe_field *field)
{
    const moe_ledger_dims *dims = &b->ledger->dims;
    size_t row =
        moe_field_inner(field, dims) * moe_element_size(field->element);
    const char *from = moe_field_data(field, b->ledger);
    char *to = b->mine;
    for (size_t s = 0; s < outer(b, field); s++)
        memcpy(to + s * b->n * row,
               from + (s * (size_t)dims->iterations + b->first) * row,
               b->n * row);
}

/* Where the block lies in the file; `rank` < 0 means all ranks' columns. */
static void place(const moe_block *b, const moe_field *field, int rank,
                  hsize_t *start, hsize_t *count)
{
    for (int d = 0; field->dims[d] != NULL; d++) {
        start[d] = 0;
        count[d] = moe_dims_extent(&b->ledger->dims, field->dims[d]);
        if (strcmp(field->dims[d], "iteration") == 0) {
            start[d] = b->first;
            count[d] = b->n;
        } else if (strcmp(field->dims[d], "rank") == 0 && rank >= 0) {
            start[d] = (hsize_t)rank;
            count[d] = 1;
        }
    }
}

/* Each write has its own error, as a rank that skips a collective call
 * because of an earlier one would leave the others waiting. */
static void write_field(moe_ctx *ctx, const moe_block *b, moe_field_id id,
                        int rank, const void *data, hid_t xfer)
{
    hsize_t start[MOE_H5_MAX_RANK], count[MOE_H5_MAX_RANK];
    const moe_field *field = &moe_fields[id];
    moe_error one = {0};
    place(b, field, rank, start, count);
    moe_h5_write_block(b->to->dataset[id], start, count,
                       moe_element_mem_type(field->element), data, xfer, &one);
    if (one.status != MOE_OK)
        moe_fail(&ctx->err, one.status, "/%s/%s: %s", field->group, field->name,
                 one.text);
}

/* [ranks][n] becomes [n][ranks]. */
static void interleave(const void *from, void *to, size_t ranks, size_t n,
                       size_t size)
{
    const char *source = from;
    char *target = to;
    for (size_t r = 0; r < ranks; r++)
        for (size_t j = 0; j < n; j++)
            memcpy(target + (j * ranks + r) * size, source + (r * n + j) * size,
                   size);
}

static void write_columns(moe_ctx *ctx, moe_block *b, moe_field_id id)
{
    const moe_field *field = &moe_fields[id];
    pack(b, field);
    if (b->to->mpio) {
        write_field(ctx, b, id, ctx->rank, b->mine, b->to->xfer);
        return;
    }
    size_t n = elements(b, field);
    MPI_Datatype type = moe_element_mpi_type(field->element);
    MOE_MPI(
        MPI_Gather(b->mine, (int)n, type, b->all, (int)n, type, 0, ctx->comm));
    if (ctx->rank != 0)
        return;
    interleave(b->all, b->dense, (size_t)ctx->size, n,
               moe_element_size(field->element));
    write_field(ctx, b, id, -1, b->dense, H5P_DEFAULT);
}

/* Never measured must not win a maximum. */
static double or_least(double x)
{
    return isnan(x) ? -INFINITY : x;
}

static double or_nan(double x)
{
    return x == -INFINITY ? (double)NAN : x;
}

/* a + b where what was not measured adds nothing; NaN if neither was. */
static double add(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : a + b;
}

/* This rank's part of the layer times: sums over phases on the wall and cpu
 * clock, the exposed time of each phase on the gpu clock. */
static void sum_phases(moe_block *b)
{
    const moe_ledger *ledger = b->ledger;
    size_t layers = (size_t)ledger->dims.layers, j = 0;
    for (size_t s = 0; s < n_strategies(b); s++)
        for (size_t il = 0; il < b->n * layers; il++, j++) {
            size_t at =
                ((s * (size_t)ledger->dims.iterations + b->first) * layers +
                 il) *
                MOE_N_PHASES;
            double wall = NAN, cpu = NAN;
            for (size_t p = 0; p < MOE_N_PHASES; p++) {
                wall =
                    add(wall, add(ledger->wall[at + p], ledger->wait[at + p]));
                cpu = add(cpu, ledger->cpu[at + p]);
                b->sum[MOE_CLOCK_GPU][j * MOE_N_PHASES + p] =
                    or_least(ledger->exposed[at + p]);
            }
            b->sum[MOE_CLOCK_WALL][j] = or_least(wall);
            b->sum[MOE_CLOCK_CPU][j] = or_least(cpu);
        }
}

/* Rank 0: sums of `inner` consecutive values each; `strict` sums are NaN
 * when one value is. */
static void sum_up(const double *from, size_t inner, bool strict, double *to,
                   size_t n)
{
    for (size_t j = 0; j < n; j++) {
        double sum = or_nan(from[j * inner]);
        for (size_t k = 1; k < inner; k++) {
            double x = or_nan(from[j * inner + k]);
            sum = strict ? sum + x : add(sum, x);
        }
        to[j] = sum;
    }
}

static void write_derived(moe_ctx *ctx, moe_block *b)
{
    size_t layers = (size_t)b->ledger->dims.layers;
    size_t n = n_strategies(b) * b->n * layers;
    sum_phases(b);
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        size_t inner = c == MOE_CLOCK_GPU ? MOE_N_PHASES : 1;
        MOE_MPI(MPI_Reduce(b->sum[c], b->most, (int)(n * inner), MPI_DOUBLE,
                           MPI_MAX, 0, ctx->comm));
        if (ctx->rank != 0)
            continue;
        sum_up(b->most, inner, false, b->time, n);
        write_field(ctx, b, MOE_FIELD_LAYER_WALL + (moe_field_id)c, -1, b->time,
                    H5P_DEFAULT);
        sum_up(b->time, layers, true, b->most, n / layers);
        write_field(ctx, b, MOE_FIELD_ITERATION_WALL + (moe_field_id)c, -1,
                    b->most, H5P_DEFAULT);
    }
}

static void write_block(moe_ctx *ctx, moe_block *b)
{
    for (int f = 0; f < MOE_N_FIELDS; f++) {
        const moe_field *field = &moe_fields[f];
        if (!moe_field_present(field, &b->ledger->dims))
            continue;
        if (field->holder == MOE_HELD_BY_RANKS) {
            write_columns(ctx, b, (moe_field_id)f);
        } else if (field->holder == MOE_HELD_BY_ROOT && ctx->rank == 0) {
            pack(b, field);
            write_field(ctx, b, (moe_field_id)f, -1, b->mine, H5P_DEFAULT);
        }
    }
    write_derived(ctx, b);
}

/* Bytes of one iteration of the largest field that `holder` has. */
static size_t largest(const moe_ledger *ledger, moe_holder holder)
{
    size_t most = 0;
    for (int f = 0; f < MOE_N_FIELDS; f++) {
        const moe_field *field = &moe_fields[f];
        size_t bytes = (size_t)ledger->dims.strategies *
                       moe_field_inner(field, &ledger->dims) *
                       moe_element_size(field->element);
        if (field->holder == holder && bytes > most)
            most = bytes;
    }
    return most;
}

static void block_fini(moe_block *b)
{
    free(b->time);
    free(b->most);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        free(b->sum[c]);
    free(b->dense);
    free(b->all);
    free(b->mine);
}

/* Reserve memory for blocks of n iterations. */
static void block_init(moe_ctx *ctx, moe_block *b, size_t n)
{
    const moe_ledger *ledger = b->ledger;
    size_t column = largest(ledger, MOE_HELD_BY_RANKS) * n;
    size_t whole = largest(ledger, MOE_HELD_BY_ROOT) * n;
    size_t times = n_strategies(b) * n * (size_t)ledger->dims.layers;
    size_t mine = ctx->rank == 0 && whole > column ? whole : column;
    b->mine = moe_array_new(mine, 1, &ctx->err);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        b->sum[c] =
            moe_array_new(times * (c == MOE_CLOCK_GPU ? MOE_N_PHASES : 1),
                          sizeof(double), &ctx->err);
    moe_to_int(column, "columns of a rank", &ctx->err);
    if (ctx->rank != 0)
        return;
    b->most = moe_array_new(times * MOE_N_PHASES, sizeof(double), &ctx->err);
    b->time = moe_array_new(times, sizeof(double), &ctx->err);
    if (b->to->mpio)
        return;
    b->all = moe_array_new(column, (size_t)ctx->size, &ctx->err);
    b->dense = moe_array_new(column, (size_t)ctx->size, &ctx->err);
}

void moe_blocks_write(moe_ctx *ctx, const moe_blocks *blocks,
                      const moe_ledger *ledger, int first, int end)
{
    assert(0 <= first && first <= end && end <= ledger->dims.iterations);
    size_t left = (size_t)(end - first);
    size_t one = largest(ledger, MOE_HELD_BY_RANKS) * (size_t)ctx->size;
    size_t most = GATHER_BYTES / one > 0 ? GATHER_BYTES / one : 1;
    size_t step = left < most ? left : most;
    moe_block b = {.to = blocks, .ledger = ledger, .first = (size_t)first};
    block_init(ctx, &b, step);
    if (moe_agree(ctx) == MOE_OK)
        for (; left > 0; left -= b.n, b.first += b.n) {
            b.n = left < step ? left : step;
            write_block(ctx, &b);
        }
    block_fini(&b);
}

static void write_traffic(moe_ctx *ctx, const moe_block *b)
{
    size_t gpus = (size_t)b->ledger->dims.gpus;
    size_t n = n_strategies(b) * gpus, ranks = (size_t)ctx->size;
    int64_t *all = NULL, *dense = NULL;
    if (ctx->rank == 0) {
        all = moe_array_new(n * ranks, sizeof *all, &ctx->err);
        dense = moe_array_new(n * ranks, sizeof *dense, &ctx->err);
    }
    moe_to_int(n, "traffic of a rank", &ctx->err);
    if (moe_agree(ctx) == MOE_OK) {
        MOE_MPI(MPI_Gather(b->ledger->dispatch_bytes, (int)n, MPI_INT64_T, all,
                           (int)n, MPI_INT64_T, 0, ctx->comm));
        if (ctx->rank == 0) { /* [rank][s][g] becomes [s][source][g] */
            for (size_t s = 0; s < n_strategies(b); s++)
                for (size_t g = 0; g < gpus; g++)
                    memcpy(dense + (s * gpus + g) * gpus,
                           all + (g * n_strategies(b) + s) * gpus,
                           gpus * sizeof *dense);
            write_field(ctx, b, MOE_FIELD_DISPATCH_BYTES, -1, dense,
                        H5P_DEFAULT);
        }
    }
    free(dense);
    free(all);
}

void moe_blocks_write_end(moe_ctx *ctx, const moe_blocks *blocks,
                          const moe_ledger *ledger)
{
    moe_block b = {.to = blocks, .ledger = ledger};
    if (ctx->rank == 0 && ledger->dims.warmup > 0)
        write_field(ctx, &b, MOE_FIELD_WARMUP_TIME, -1, ledger->warmup_wall,
                    H5P_DEFAULT);
    write_traffic(ctx, &b);
}
