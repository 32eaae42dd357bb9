/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/shared.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

enum { BCAST_BYTES = 1 << 28 }; /* per call; counts are int */

/* @return the window's aligned base in this rank's address space. */
static char *base_of(MPI_Win win)
{
    char *base = NULL;
    int unit = 0;
    MPI_Aint size = 0;
    MOE_MPI(MPI_Win_shared_query(win, 0, &size, &unit, &base));
    /* Segments are mapped at pages, so every rank skips the same bytes. */
    return base +
           (MOE_ALIGNMENT - (uintptr_t)base % MOE_ALIGNMENT) % MOE_ALIGNMENT;
}

moe_status moe_shared_new(moe_ctx *ctx, size_t bytes, const char *what,
                          moe_shared *out)
{
    char *base = NULL;
    MPI_Win win = MPI_WIN_NULL;
    const size_t mine = ctx->node_rank == 0 ? bytes + MOE_ALIGNMENT : 0;
    const int rc = MPI_Win_allocate_shared((MPI_Aint)mine, 1, MPI_INFO_NULL,
                                           ctx->node_comm, &base, &win);
    if (rc != MPI_SUCCESS) {
        win = MPI_WIN_NULL;
        moe_fail(&ctx->err, MOE_NOMEM,
                 "%s: no shared memory window of %.1f MiB (is /dev/shm "
                 "large enough?)",
                 what, (double)bytes / (1 << 20));
    }
    if (moe_agree(ctx) != MOE_OK) {
        if (win != MPI_WIN_NULL)
            MOE_MPI(MPI_Win_free(&win));
        return ctx->err.status;
    }
    *out = (moe_shared){.data = base_of(win), .bytes = bytes, .win = win};
    MOE_MPI(MPI_Win_fence(0, win));
    return MOE_OK;
}

void moe_shared_spread(moe_ctx *ctx, moe_shared *shared, size_t at,
                       size_t bytes)
{
    if (ctx->lead_comm == MPI_COMM_NULL)
        return;
    const size_t end = at + bytes;
    for (; at < end; at += BCAST_BYTES) {
        const size_t now = end - at < BCAST_BYTES ? end - at : BCAST_BYTES;
        MOE_MPI(MPI_Bcast(shared->data + at, (int)now, MPI_BYTE, 0,
                          ctx->lead_comm));
    }
}

void moe_shared_ready(moe_shared *shared)
{
    MOE_MPI(MPI_Win_fence(0, shared->win));
}

moe_status moe_shared_file(moe_ctx *ctx, const char *path, moe_shared *out)
{
    char *data = NULL;
    size_t read = 0;
    if (ctx->rank == 0)
        moe_read_bytes(path, &data, &read, &ctx->err);
    uint64_t bytes = read;
    moe_shared shared = {0};
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Bcast(&bytes, 1, MPI_UINT64_T, 0, ctx->comm));
    if (moe_shared_new(ctx, bytes, path, &shared) != MOE_OK)
        goto out;
    if (ctx->rank == 0)
        memcpy(shared.data, data, bytes);
    moe_shared_spread(ctx, &shared, 0, bytes);
    moe_shared_ready(&shared);
    *out = shared;
out:
    free(data);
    return ctx->err.status;
}

void moe_shared_free(moe_shared *shared)
{
    if (shared->data != NULL)
        MOE_MPI(MPI_Win_free(&shared->win));
    *shared = (moe_shared){0};
}
