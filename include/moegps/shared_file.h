/** shared_file.h: a file's bytes, one copy per node. */
#ifndef MOEGPS_SHARED_FILE_H
#define MOEGPS_SHARED_FILE_H

#include <mpi.h>
#include <stddef.h>

#include "moegps/ctx.h"

typedef struct moe_shared_bytes {
    const char *data; /* [bytes] in this rank's address space; NULL: none */
    size_t bytes;
    MPI_Win win;
} moe_shared_bytes;

/** Read a whole file on rank 0 and share it. Collective over ctx.
 *  @param out  release with moe_shared_file_free(). Untouched on error.
 *  @return merged status: MOE_OK, MOE_USAGE (cannot be read), MOE_NOMEM. */
moe_status moe_shared_file(moe_ctx *ctx, const char *path,
                           moe_shared_bytes *out);

/** Release. Collective over ctx; a zero-initialised one is fine, on all
 *  ranks then. */
void moe_shared_file_free(moe_shared_bytes *file);

#endif
