/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/learned.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/shared.h"

/* A flat copy: the parts as they are, then the hashes, then every array, each
 * aligned. The header travels beside it. */

static size_t align_up(size_t x)
{
    return (x + MOE_ALIGNMENT - 1) / MOE_ALIGNMENT * MOE_ALIGNMENT;
}

/* Walk over a flat copy; fill it unless `read` is NULL, and let `l`, whose
 * parts are a copy, point into it unless `l` is NULL. @return its bytes. */
static size_t walk(const moe_learned *sizes, char *flat,
                   const moe_learned *read, moe_learned *l)
{
    size_t at = align_up((size_t)sizes->n_parts * sizeof *sizes->part);
    const size_t hashes = sizes->n_seen * sizeof *sizes->seen;
    if (read != NULL)
        memcpy(flat + at, read->seen, hashes);
    if (l != NULL)
        l->seen = (uint64_t *)(void *)(flat + at);
    at += align_up(hashes);
    for (int p = 0; p < sizes->n_parts; p++)
        for (int a = 0; a < sizes->part[p].n_arrays; a++) {
            const size_t bytes =
                moe_learned_elements(&sizes->part[p].array[a]) * sizeof(float);
            if (read != NULL)
                memcpy(flat + at, read->part[p].array[a].data, bytes);
            if (l != NULL)
                l->part[p].array[a].data = (float *)(void *)(flat + at);
            at += align_up(bytes);
        }
    return at;
}

static void read_whole(const char *path, moe_learned *read, moe_error *err)
{
    if (moe_learned_read(path, read, err) != MOE_OK)
        return;
    for (int p = 0; p < read->n_parts; p++)
        if (!read->part[p].complete)
            moe_fail(err, MOE_FORMAT,
                     "%s: training of predictor %s was not finished "
                     "(moegps train --resume does it)",
                     path, read->part[p].predictor);
}

/* Header and parts of rank 0's, without its pointers. */
static moe_status share_header(moe_ctx *ctx, const moe_learned *read,
                               moe_learned *l)
{
    *l = *read;
    MOE_MPI(MPI_Bcast(l, (int)sizeof *l, MPI_BYTE, 0, ctx->comm));
    l->seen = NULL;
    l->shared = MPI_WIN_NULL;
    l->borrowed = true;
    l->part = moe_array_new((size_t)l->n_parts, sizeof *l->part, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    const size_t bytes = (size_t)l->n_parts * sizeof *l->part;
    if (ctx->rank == 0 && bytes > 0)
        memcpy(l->part, read->part, bytes);
    MOE_MPI(MPI_Bcast(l->part, (int)bytes, MPI_BYTE, 0, ctx->comm));
    return MOE_OK;
}

moe_status moe_learned_load(moe_ctx *ctx, const char *path, moe_learned *out)
{
    moe_learned read = {.shared = MPI_WIN_NULL}, l = read;
    if (ctx->rank == 0)
        read_whole(path, &read, &ctx->err);
    if (moe_agree(ctx) != MOE_OK || share_header(ctx, &read, &l) != MOE_OK)
        goto out;
    const size_t bytes = walk(&l, NULL, NULL, NULL);
    char *flat = moe_shared_open(ctx, bytes, "predictors", &l.shared);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Win_fence(0, l.shared));
    if (ctx->rank == 0)
        walk(&l, flat, &read, NULL);
    if (ctx->lead_comm != MPI_COMM_NULL)
        moe_shared_bcast(ctx, flat, bytes);
    MOE_MPI(MPI_Win_fence(0, l.shared));
    walk(&l, flat, NULL, &l);
    *out = l;
    l = (moe_learned){.shared = MPI_WIN_NULL};
out:
    moe_learned_free(&l);
    moe_learned_free(&read);
    return ctx->err.status;
}
