/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/shared.h"

#include <stdint.h>

#include "moegps/mem.h"

enum { BCAST_BYTES = 1 << 28 }; /* per call; counts are int */

char *moe_shared_open(moe_ctx *ctx, size_t bytes, const char *what,
                      MPI_Win *win_out)
{
    char *base = NULL;
    MPI_Aint mine = 0;
    if (ctx->node_rank == 0)
        mine = (MPI_Aint)(bytes + MOE_ALIGNMENT);
    int rc = MPI_Win_allocate_shared(mine, 1, MPI_INFO_NULL, ctx->node_comm,
                                     &base, win_out);
    if (rc != MPI_SUCCESS) {
        *win_out = MPI_WIN_NULL;
        moe_fail(&ctx->err, MOE_NOMEM,
                 "%s: no shared memory window of %.1f MiB (is /dev/shm "
                 "large enough?)",
                 what, (double)bytes / (1 << 20));
        return NULL;
    }
    int unit = 0;
    MPI_Aint size = 0;
    MOE_MPI(MPI_Win_shared_query(*win_out, 0, &size, &unit, &base));
    /* Segments are mapped at pages, so every rank skips the same bytes. */
    const uintptr_t at = (uintptr_t)base;
    return base + (MOE_ALIGNMENT - at % MOE_ALIGNMENT) % MOE_ALIGNMENT;
}

void moe_shared_bcast(moe_ctx *ctx, char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += BCAST_BYTES) {
        size_t now = bytes - at < BCAST_BYTES ? bytes - at : BCAST_BYTES;
        MOE_MPI(MPI_Bcast(data + at, (int)now, MPI_BYTE, 0, ctx->lead_comm));
    }
}
