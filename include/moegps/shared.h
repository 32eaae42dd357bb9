/** shared.h: one copy of read-only data per node. */
#ifndef MOEGPS_SHARED_H
#define MOEGPS_SHARED_H

#include <stddef.h>

#include "moegps/ctx.h"

/** Allocate a window of one segment per node, in shared memory. Collective
 *  over ctx->node_comm; bytes equal on all ranks.
 *  @param what     named in the message: "trace".
 *  @param win_out  release with MPI_Win_free(), collective; MPI_WIN_NULL on
 *                  error.
 *  @return the segment in this rank's address space, aligned to
 *  MOE_ALIGNMENT; NULL with MOE_NOMEM in ctx->err. */
char *moe_shared_open(moe_ctx *ctx, size_t bytes, const char *what,
                      MPI_Win *win_out);

/** Send rank 0's bytes to the first rank of every node. Collective over
 *  ctx->lead_comm; any length. */
void moe_shared_bcast(moe_ctx *ctx, char *data, size_t bytes);

#endif
