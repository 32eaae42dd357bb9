/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Bytes of all ranks' columns that one rank may hold at a time. */
static const size_t GATHER_BYTES = (size_t)64 << 20;

/* Part of the layers that a rank writes for all ranks. A column of the last
 * dimension alone would be single numbers, strewn over the file: 80 times
 * slower to write through MPI-IO (4 ranks, 4 MiB: 280 ms). */
typedef struct layer_range {
    size_t first, n;
} layer_range;

/* The iterations being written, and memory for them: [strategy][iteration of
 * the block][inner], densely. */
typedef struct block_writer {
    const moe_blocks *to;
    const moe_ledger *ledger;
    size_t first, n; /* iterations */
    void *mine;      /* this rank's column, or what rank 0 holds */
    void *all;       /* writers: [rank] parts of columns as received */
    void *dense;     /* writers: the columns interleaved */
    int *counts;     /* mpio: send counts, displacements, receive counts,
                        displacements, [size] each */
    double *sum[MOE_N_CLOCKS]; /* to be reduced: per layer; gpu per phase */
    double *most;              /* rank 0: reduced */
    double *time;              /* rank 0: layer times */
} block_writer;

static size_t n_strategies(const block_writer *b)
{
    return (size_t)b->ledger->dims.strategies;
}

/* Fields without a strategy dimension are as if they had one strategy. */
static size_t outer(const block_writer *b, const moe_field *field)
{
    return strcmp(field->dims[0], "strategy") == 0 ? n_strategies(b) : 1;
}

static layer_range all_layers(const block_writer *b)
{
    return (layer_range){0, (size_t)b->ledger->dims.layers};
}

/* Layers of one rank; none, where there are more ranks than layers. */
static layer_range layers_of(const block_writer *b, int rank, int size)
{
    size_t layers = (size_t)b->ledger->dims.layers, n = (size_t)size;
    size_t first = layers * (size_t)rank / n;
    return (layer_range){first, layers * ((size_t)rank + 1) / n - first};
}

/* Copy the block's iterations of some layers of a field from the ledger.
 * @return where the copy ends. */
static char *pack(const block_writer *b, const moe_field *field,
                  layer_range range, char *to)
{
    const moe_ledger_dims *dims = &b->ledger->dims;
    size_t row =
        moe_field_inner(field, dims) * moe_element_size(field->element);
    const char *from = moe_field_data(field, b->ledger);
    size_t layer = row / (size_t)dims->layers, bytes = range.n * layer;
    for (size_t s = 0; s < outer(b, field); s++)
        for (size_t i = b->first; i < b->first + b->n; i++, to += bytes)
            memcpy(to,
                   from + (s * (size_t)dims->iterations + i) * row +
                       range.first * layer,
                   bytes);
    return to;
}

/* Copy the block's iterations of a field that rank 0 holds. */
static void pack_whole(const block_writer *b, const moe_field *field)
{
    size_t row = moe_field_inner(field, &b->ledger->dims) *
                 moe_element_size(field->element);
    const char *from = moe_field_data(field, b->ledger);
    char *to = b->mine;
    for (size_t s = 0; s < outer(b, field); s++)
        memcpy(to + s * b->n * row,
               from + (s * (size_t)b->ledger->dims.iterations + b->first) * row,
               b->n * row);
}

void moe_blocks_put(moe_ctx *ctx, const moe_blocks *blocks, moe_field_id id,
                    const moe_h5_block *block, const void *data)
{
    const moe_field *field = &moe_fields[id];
    const hid_t xfer =
        field->holder == MOE_HELD_BY_RANKS ? blocks->xfer : H5P_DEFAULT;
    moe_error one = {0};
    moe_h5_write_block(blocks->dataset[id], block,
                       moe_element_mem_type(field->element), data, xfer, &one);
    if (one.status != MOE_OK)
        moe_fail(&ctx->err, one.status, "/%s/%s: %s", field->group, field->name,
                 one.text);
}

/* Write the block's iterations of some layers of a field. */
static void write_field(moe_ctx *ctx, const block_writer *b, moe_field_id id,
                        layer_range range, const void *data)
{
    moe_h5_block block = {.start = {0}};
    const moe_field *field = &moe_fields[id];
    for (int d = 0; field->dims[d] != NULL; d++) {
        block.count[d] = moe_dims_extent(&b->ledger->dims, field->dims[d]);
        if (strcmp(field->dims[d], "iteration") == 0) {
            block.start[d] = b->first;
            block.count[d] = b->n;
        } else if (strcmp(field->dims[d], "layer") == 0) {
            block.start[d] = range.first;
            block.count[d] = range.n;
        }
    }
    moe_blocks_put(ctx, b->to, id, &block, data);
}

/* [ranks][n] becomes [n][ranks]. */
static void interleave(const void *from, void *to, size_t ranks, size_t n,
                       size_t size)
{
    const char *source = from;
    char *target = to;
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < ranks; r++, target += size)
            memcpy(target, source + (r * n + j) * size, size);
}

/* Send every rank its layers of this rank's column. @return the layers that
 * this rank got. */
static layer_range exchange(moe_ctx *ctx, block_writer *b,
                            const moe_field *field)
{
    int *send = b->counts, *send_at = send + ctx->size;
    int *receive = send_at + ctx->size, *receive_at = receive + ctx->size;
    layer_range mine = layers_of(b, ctx->rank, ctx->size);
    MPI_Datatype type = moe_element_mpi_type(field->element);
    size_t per_layer = outer(b, field) * b->n *
                       moe_field_inner(field, &b->ledger->dims) /
                       (size_t)b->ledger->dims.layers;
    char *end = b->mine;
    int sent = 0;
    for (int r = 0; r < ctx->size; r++) {
        layer_range range = layers_of(b, r, ctx->size);
        end = pack(b, field, range, end);
        send_at[r] = sent;
        send[r] = (int)(range.n * per_layer);
        sent += send[r];
        receive[r] = (int)(mine.n * per_layer);
        receive_at[r] = r * receive[r];
    }
    MOE_MPI(MPI_Alltoallv(b->mine, send, send_at, type, b->all, receive,
                          receive_at, type, ctx->comm));
    return mine;
}

/* Bring all ranks' columns to rank 0. @return the layers this rank got. */
static layer_range gather(moe_ctx *ctx, block_writer *b, const moe_field *field)
{
    int n = (int)(outer(b, field) * b->n *
                  moe_field_inner(field, &b->ledger->dims));
    MPI_Datatype type = moe_element_mpi_type(field->element);
    pack(b, field, all_layers(b), b->mine);
    MOE_MPI(MPI_Gather(b->mine, n, type, b->all, n, type, 0, ctx->comm));
    return ctx->rank == 0 ? all_layers(b) : (layer_range){0};
}

static void write_columns(moe_ctx *ctx, block_writer *b, moe_field_id id)
{
    const moe_field *field = &moe_fields[id];
    layer_range range =
        b->to->mpio ? exchange(ctx, b, field) : gather(ctx, b, field);
    size_t n = outer(b, field) * b->n *
               moe_field_inner(field, &b->ledger->dims) /
               (size_t)b->ledger->dims.layers * range.n;
    if (range.n > 0)
        interleave(b->all, b->dense, (size_t)ctx->size, n,
                   moe_element_size(field->element));
    if (range.n > 0 || b->to->mpio)
        write_field(ctx, b, id, range, b->dense);
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
static void sum_phases(block_writer *b)
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

static void write_derived(moe_ctx *ctx, block_writer *b)
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
        write_field(ctx, b, MOE_FIELD_LAYER_WALL + (moe_field_id)c,
                    all_layers(b), b->time);
        sum_up(b->time, layers, true, b->most, n / layers);
        write_field(ctx, b, MOE_FIELD_ITERATION_WALL + (moe_field_id)c,
                    all_layers(b), b->most);
    }
}

static void write_block(moe_ctx *ctx, block_writer *b)
{
    for (int f = 0; f < MOE_N_FIELDS; f++) {
        const moe_field *field = &moe_fields[f];
        if (!moe_field_present(field, &b->ledger->dims))
            continue;
        if (field->holder == MOE_HELD_BY_RANKS) {
            write_columns(ctx, b, (moe_field_id)f);
        } else if (field->holder == MOE_HELD_BY_ROOT && ctx->rank == 0) {
            pack_whole(b, field);
            write_field(ctx, b, (moe_field_id)f, all_layers(b), b->mine);
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

static void block_fini(block_writer *b)
{
    free(b->time);
    free(b->most);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        free(b->sum[c]);
    free(b->counts);
    free(b->dense);
    free(b->all);
    free(b->mine);
}

/* Layers that this rank writes. */
static size_t my_layers(const moe_ctx *ctx, const block_writer *b)
{
    if (b->to->mpio)
        return layers_of(b, ctx->rank, ctx->size).n;
    return ctx->rank == 0 ? all_layers(b).n : 0;
}

/* Reserve memory for blocks of n iterations. */
static void block_init(moe_ctx *ctx, block_writer *b, size_t n)
{
    const moe_ledger *ledger = b->ledger;
    size_t layers = (size_t)ledger->dims.layers, size = (size_t)ctx->size;
    size_t column = largest(ledger, MOE_HELD_BY_RANKS) * n;
    size_t whole = largest(ledger, MOE_HELD_BY_ROOT) * n;
    size_t times = n_strategies(b) * n * layers;
    size_t part = column / layers * my_layers(ctx, b);
    size_t mine = ctx->rank == 0 && whole > column ? whole : column;
    b->mine = moe_array_new(mine, 1, &ctx->err);
    b->all = moe_array_new(part, size, &ctx->err);
    b->dense = moe_array_new(part, size, &ctx->err);
    b->counts = moe_array_new(4 * size, sizeof *b->counts, &ctx->err);
    moe_to_int(column, "bytes of a rank's columns", &ctx->err);
    moe_to_int(part * size, "bytes of all ranks' columns", &ctx->err);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        b->sum[c] =
            moe_array_new(times * (c == MOE_CLOCK_GPU ? MOE_N_PHASES : 1),
                          sizeof(double), &ctx->err);
    if (ctx->rank != 0)
        return;
    b->most = moe_array_new(times * MOE_N_PHASES, sizeof(double), &ctx->err);
    b->time = moe_array_new(times, sizeof(double), &ctx->err);
}

/* Iterations per block, so that no rank holds too much of the others. */
static size_t block_size(const moe_ctx *ctx, const block_writer *b)
{
    size_t layers = all_layers(b).n, size = (size_t)ctx->size;
    size_t writers = !b->to->mpio ? 1 : size < layers ? size : layers;
    size_t one = largest(b->ledger, MOE_HELD_BY_RANKS) * size / writers;
    return GATHER_BYTES > one ? GATHER_BYTES / one : 1;
}

void moe_blocks_write(moe_ctx *ctx, const moe_blocks *blocks,
                      const moe_ledger *ledger, int first, int end)
{
    assert(0 <= first && first <= end && end <= ledger->dims.iterations);
    size_t left = (size_t)(end - first);
    block_writer b = {.to = blocks, .ledger = ledger, .first = (size_t)first};
    size_t most = block_size(ctx, &b), step = left < most ? left : most;
    block_init(ctx, &b, step);
    if (moe_agree(ctx) == MOE_OK)
        for (; left > 0; left -= b.n, b.first += b.n) {
            b.n = left < step ? left : step;
            write_block(ctx, &b);
        }
    block_fini(&b);
}
