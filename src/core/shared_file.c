/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/shared_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/shared.h"

moe_status moe_shared_file(moe_ctx *ctx, const char *path,
                           moe_shared_bytes *out)
{
    char *read = NULL, *base = NULL;
    size_t n = 0;
    MPI_Win win = MPI_WIN_NULL;
    if (ctx->rank == 0)
        moe_read_bytes(path, &read, &n, &ctx->err);
    uint64_t bytes = n;
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Bcast(&bytes, 1, MPI_UINT64_T, 0, ctx->comm));
    base = moe_shared_open(ctx, bytes, path, &win);
    if (moe_agree(ctx) != MOE_OK) {
        if (win != MPI_WIN_NULL)
            MOE_MPI(MPI_Win_free(&win));
        goto out;
    }
    MOE_MPI(MPI_Win_fence(0, win));
    if (ctx->rank == 0)
        memcpy(base, read, bytes);
    if (ctx->lead_comm != MPI_COMM_NULL)
        moe_shared_bcast(ctx, base, bytes);
    MOE_MPI(MPI_Win_fence(0, win));
    *out = (moe_shared_bytes){.data = base, .bytes = bytes, .win = win};
out:
    free(read);
    return ctx->err.status;
}

void moe_shared_file_free(moe_shared_bytes *file)
{
    if (file->data != NULL)
        MOE_MPI(MPI_Win_free(&file->win));
    *file = (moe_shared_bytes){0};
}
