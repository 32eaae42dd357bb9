/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/shared.h"

/* Where the arrays of a trace lie in a window. */
typedef struct {
    size_t at[N_ARRAYS], bytes[N_ARRAYS];
    size_t total;
} layout;

static size_t align_up(size_t x)
{
    return (x + MOE_ALIGNMENT - 1) / MOE_ALIGNMENT * MOE_ALIGNMENT;
}

static layout lay_out(const moe_trace *t)
{
    layout lo = {.total = 0};
    for (moe_trace_array a = 0; a < N_ARRAYS; a++) {
        size_t n = 0;
        /* rank 0 holds these arrays, so their sizes fit */
        (void)moe_trace_elements(t, a, &n);
        lo.at[a] = lo.total;
        lo.bytes[a] = n * moe_trace_element_size(a);
        lo.total += align_up(lo.bytes[a]);
    }
    return lo;
}

/* All that is not an array, from rank 0. */
static void share_header(moe_ctx *ctx, const moe_trace *read, moe_trace *out)
{
    if (ctx->rank == 0) {
        *out = *read;
        for (moe_trace_array a = 0; a < N_ARRAYS; a++)
            moe_trace_set(out, a, NULL);
        out->vocab = NULL;
        out->vocab_bytes = 0;
    }
    MOE_MPI(MPI_Bcast(out, (int)sizeof *out, MPI_BYTE, 0, ctx->comm));
    out->shared = MPI_WIN_NULL;
}

/* Rank 0 gives up each array as soon as it is in the window, so that the
 * trace is never twice in its memory for long. */
static void fill_window(moe_ctx *ctx, moe_trace *read, const layout *lo,
                        char *base)
{
    for (moe_trace_array a = 0; a < N_ARRAYS; a++) {
        if (lo->bytes[a] == 0)
            continue;
        if (ctx->rank == 0) {
            moe_bulk_copy(base + lo->at[a], moe_trace_get(read, a),
                          lo->bytes[a]);
            moe_bulk_free(moe_trace_get(read, a));
            moe_trace_set(read, a, NULL);
        }
        moe_shared_bcast(ctx, base + lo->at[a], lo->bytes[a]);
    }
}

moe_status moe_trace_load(moe_ctx *ctx, const char *path, moe_trace *trace_out)
{
    moe_trace read = {.shared = MPI_WIN_NULL};
    moe_trace t = {.shared = MPI_WIN_NULL};
    if (ctx->rank == 0)
        moe_trace_read(path, &read, &ctx->err);
    moe_inject(ctx, MOE_SITE_TRACE);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    share_header(ctx, &read, &t);
    const layout lo = lay_out(&t);
    char *base = moe_shared_open(ctx, lo.total, "trace", &t.shared);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Win_fence(0, t.shared));
    if (ctx->lead_comm != MPI_COMM_NULL)
        fill_window(ctx, &read, &lo, base);
    MOE_MPI(MPI_Win_fence(0, t.shared));
    for (moe_trace_array a = 0; a < N_ARRAYS; a++)
        moe_trace_set(&t, a, lo.bytes[a] > 0 ? base + lo.at[a] : NULL);
    *trace_out = t;
    t = (moe_trace){.shared = MPI_WIN_NULL};
out:
    moe_trace_free(&t);
    moe_trace_free(&read);
    return ctx->err.status;
}
