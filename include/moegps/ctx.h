/** ctx.h: who we are among the ranks, and how ranks fail together.
 *
 *  The rhythm is local - agree - collective: local functions may fail on any
 *  rank and write into ctx->err; moe_agree() makes the worst of these errors
 *  everybody's; collective calls follow only when all ranks are well.
 */
#ifndef MOEGPS_CTX_H
#define MOEGPS_CTX_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

#include "moegps/inject.h"
#include "moegps/status.h"

typedef struct moe_ctx {
    MPI_Comm comm;      /* all ranks; duplicated, MPI_ERRORS_RETURN */
    MPI_Comm node_comm; /* ranks that share memory with this one */
    MPI_Comm lead_comm; /* first rank of every node; MPI_COMM_NULL elsewhere */
    int rank, size;
    int node_rank, node_size;
    int node, n_nodes; /* nodes numbered by their first rank */
    char host[64];     /* SLURMD_NODENAME, else the host name */
    moe_error err;     /* this rank's first error */
    moe_injection injection;
    bool injected;   /* the injection was met */
    bool told;       /* what err says is on stderr already */
    bool quiet;      /* no progress and no notes on stderr */
    char **warnings; /* [n_warnings], rank 0 only; owned */
    size_t n_warnings;
} moe_ctx;

/** Set up from a communicator; MPI must be initialised. Collective over comm.
 *  Release with moe_ctx_fini(). MPI errors here abort, as there is no
 *  communicator yet to agree on. */
void moe_ctx_init(moe_ctx *ctx, MPI_Comm comm);

/** Release communicators and warnings. Collective. */
void moe_ctx_fini(moe_ctx *ctx);

/** Make the worst error of any rank the error of all. Collective.
 *  The lowest of the worst ranks explains: on return every rank's ctx->err
 *  holds `rank R (host): its sentence` (without that prefix when all ranks
 *  say the same, as with a bad option).
 *  @return the merged status, equal on all ranks. */
moe_status moe_agree(moe_ctx *ctx);

/** Read a whole text file on rank 0 and give it to all ranks. Collective.
 *  @param text_out  NUL-terminated, heap; the caller frees it.
 *  @return merged status. */
moe_status moe_ctx_read_text(moe_ctx *ctx, const char *path, char **text_out);

/** Read a whole file. Not collective.
 *  @param data_out  heap, a NUL after its end; the caller frees it. Untouched
 *  on error, as *bytes_out.
 *  @return MOE_OK, MOE_USAGE (cannot be read), MOE_NOMEM. */
moe_status moe_read_bytes(const char *path, char **data_out, size_t *bytes_out,
                          moe_error *err);

/** Read a whole text file. Not collective.
 *  @param text_out  as above; untouched on error.
 *  @return MOE_OK, MOE_USAGE (cannot be read, holds zero bytes), MOE_NOMEM;
 *  of this call, whatever `err` held before. */
moe_status moe_read_text(const char *path, char **text_out, moe_error *err);

/** Say something on stderr, rank 0 only, unless quiet. Not collective. */
void moe_note(const moe_ctx *ctx, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Warn: on stderr, and kept for the result file's /log. Rank 0 only.
 *  The same sentence is kept and said once. Not collective. */
void moe_warn(moe_ctx *ctx, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Fail at a named site if `--inject SITE:RANK` asks for it. Not collective.
 *  @return true after recording MOE_INJECTED in ctx->err. */
bool moe_inject(moe_ctx *ctx, moe_site site);

/** @return whether `--inject` names this site and rank; records no error. */
bool moe_inject_here(moe_ctx *ctx, moe_site site);

/** Abort with rank, call and MPI's text unless rc is MPI_SUCCESS. */
void moe_mpi_check(int rc, const char *call, const char *file, int line);

#define MOE_MPI(call) moe_mpi_check((call), #call, __FILE__, __LINE__)

#endif
