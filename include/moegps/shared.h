/** shared.h: bytes that all ranks see, one copy per node.
 *
 *  Rank 0 fills its node's copy and spreads it to the first ranks of the other
 *  nodes; the ranks of a node read the same memory.
 */
#ifndef MOEGPS_SHARED_H
#define MOEGPS_SHARED_H

#include <mpi.h>
#include <stddef.h>

#include "moegps/ctx.h"

typedef struct moe_shared {
    char *data; /* [bytes], aligned to MOE_ALIGNMENT; this rank's address */
    size_t bytes;
    MPI_Win win;
} moe_shared;

/** Take memory on every node. Collective over ctx.
 *  @param bytes  equal on all ranks, may be 0.
 *  @param what   named in the message: "trace".
 *  @param out    release with moe_shared_free(). Untouched on error.
 *  @return merged status: MOE_OK, MOE_NOMEM. */
moe_status moe_shared_new(moe_ctx *ctx, size_t bytes, const char *what,
                          moe_shared *out);

/** Send part of rank 0's copy to the other nodes. Collective over the first
 *  ranks of nodes; the others may call it, too. */
void moe_shared_spread(moe_ctx *ctx, moe_shared *shared, size_t at,
                       size_t bytes);

/** Let all ranks see what was spread. Collective over ctx. */
void moe_shared_ready(moe_shared *shared);

/** Read a whole file on rank 0 and share it. Collective over ctx.
 *  @return merged status: MOE_OK, MOE_USAGE (cannot be read), MOE_NOMEM. */
moe_status moe_shared_file(moe_ctx *ctx, const char *path, moe_shared *out);

/** Release. Collective over ctx; a zero-initialised one is fine, on all
 *  ranks then. */
void moe_shared_free(moe_shared *shared);

#endif
