/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ctx.h"
#include "moegps/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void moe_mpi_check(int rc, const char *call, const char *file, int line)
{
    if (rc == MPI_SUCCESS)
        return;
    char text[MPI_MAX_ERROR_STRING] = "unknown MPI error";
    int len = 0, rank = -1;
    MPI_Error_string(rc, text, &len);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    fprintf(stderr, "moegps: rank %d: %s:%d: %s: %s\n", rank, file, line, call,
            text);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Nodes are numbered in the order of their first ranks, so that node numbers
 * do not depend on how the launcher names hosts. */
static void find_nodes(moe_ctx *ctx)
{
    MOE_MPI(MPI_Comm_split_type(ctx->comm, MPI_COMM_TYPE_SHARED, ctx->rank,
                                MPI_INFO_NULL, &ctx->node_comm));
    MOE_MPI(MPI_Comm_rank(ctx->node_comm, &ctx->node_rank));
    MOE_MPI(MPI_Comm_size(ctx->node_comm, &ctx->node_size));
    int color = ctx->node_rank == 0 ? 0 : MPI_UNDEFINED;
    MOE_MPI(MPI_Comm_split(ctx->comm, color, ctx->rank, &ctx->lead_comm));
    int node[2] = {0, 0};
    if (ctx->lead_comm != MPI_COMM_NULL) {
        MOE_MPI(MPI_Comm_rank(ctx->lead_comm, &node[0]));
        MOE_MPI(MPI_Comm_size(ctx->lead_comm, &node[1]));
    }
    MOE_MPI(MPI_Bcast(node, 2, MPI_INT, 0, ctx->node_comm));
    ctx->node = node[0];
    ctx->n_nodes = node[1];
}

void moe_ctx_init(moe_ctx *ctx, MPI_Comm comm)
{
    memset(ctx, 0, sizeof *ctx);
    ctx->node_comm = ctx->lead_comm = MPI_COMM_NULL;
    MOE_MPI(MPI_Comm_dup(comm, &ctx->comm));
    MOE_MPI(MPI_Comm_set_errhandler(ctx->comm, MPI_ERRORS_RETURN));
    MOE_MPI(MPI_Comm_rank(ctx->comm, &ctx->rank));
    MOE_MPI(MPI_Comm_size(ctx->comm, &ctx->size));
    find_nodes(ctx);
    const char *slurm = getenv("SLURMD_NODENAME");
    if (slurm != NULL)
        snprintf(ctx->host, sizeof ctx->host, "%s", slurm);
    else if (gethostname(ctx->host, sizeof ctx->host - 1) != 0)
        snprintf(ctx->host, sizeof ctx->host, "unknown");
}

void moe_ctx_fini(moe_ctx *ctx)
{
    for (size_t i = 0; i < ctx->n_warnings; i++)
        free(ctx->warnings[i]);
    free(ctx->warnings);
    if (ctx->lead_comm != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&ctx->lead_comm));
    MOE_MPI(MPI_Comm_free(&ctx->node_comm));
    MOE_MPI(MPI_Comm_free(&ctx->comm));
}

moe_status moe_agree(moe_ctx *ctx)
{
    struct {
        int status, rank;
    } mine = {(int)ctx->err.status, ctx->rank}, worst;
    MOE_MPI(MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MAXLOC, ctx->comm));
    if (worst.status == MOE_OK)
        return MOE_OK;
    moe_error theirs = ctx->err;
    MOE_MPI(MPI_Bcast(theirs.text, sizeof theirs.text, MPI_CHAR, worst.rank,
                      ctx->comm));
    int alike =
        mine.status == worst.status && strcmp(theirs.text, ctx->err.text) == 0;
    int all_alike = 0;
    MOE_MPI(MPI_Allreduce(&alike, &all_alike, 1, MPI_INT, MPI_MIN, ctx->comm));
    if (!all_alike) { /* only that rank knows its host */
        if (ctx->rank == worst.rank)
            moe_error_prefix(&theirs, "rank %d (%s)", ctx->rank, ctx->host);
        MOE_MPI(MPI_Bcast(theirs.text, sizeof theirs.text, MPI_CHAR, worst.rank,
                          ctx->comm));
    }
    theirs.status = (moe_status)worst.status;
    ctx->err = theirs;
    return theirs.status;
}

/* Append what is left of a file. @return MOE_OK, MOE_NOMEM, MOE_USAGE. */
static moe_status read_all(FILE *f, const char *path, char **text,
                           size_t *len_out, moe_error *err)
{
    size_t len = 0, room = 0;
    for (;;) {
        if (room - len < 4097) {
            room = room > 0 ? 2 * room : 8192;
            char *bigger = realloc(*text, room);
            if (bigger == NULL)
                return moe_fail(err, MOE_NOMEM, "%s: out of memory", path);
            *text = bigger;
        }
        size_t n = fread(*text + len, 1, room - len - 1, f);
        len += n;
        if (n == 0)
            break;
    }
    if (ferror(f))
        return moe_fail(err, MOE_USAGE, "%s: cannot read: %s", path,
                        strerror(errno));
    (*text)[len] = '\0';
    *len_out = len;
    return MOE_OK;
}

moe_status moe_read_bytes(const char *path, char **data_out, size_t *bytes_out,
                          moe_error *err)
{
    moe_error local = {0};
    char *data = NULL;
    size_t bytes = 0;
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    read_all(f, path, &data, &bytes, &local);
    fclose(f);
    if (local.status != MOE_OK) {
        free(data);
        return moe_pass(err, &local);
    }
    *data_out = data;
    *bytes_out = bytes;
    return MOE_OK;
}

moe_status moe_read_text(const char *path, char **text_out, moe_error *err)
{
    moe_error local = {0};
    char *text = NULL;
    size_t len = 0;
    if (moe_read_bytes(path, &text, &len, &local) == MOE_OK &&
        strlen(text) != len)
        moe_fail(&local, MOE_USAGE, "%s: is not a text", path);
    if (local.status != MOE_OK) {
        free(text);
        return moe_pass(err, &local);
    }
    *text_out = text;
    return MOE_OK;
}

moe_status moe_ctx_read_text(moe_ctx *ctx, const char *path, char **text_out)
{
    char *text = NULL;
    int len = 0;
    if (ctx->rank == 0 && moe_read_text(path, &text, &ctx->err) == MOE_OK)
        len = moe_to_int(strlen(text) + 1, path, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Bcast(&len, 1, MPI_INT, 0, ctx->comm));
    if (ctx->rank != 0)
        text = moe_array_new((size_t)len, 1, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Bcast(text, len, MPI_CHAR, 0, ctx->comm));
    *text_out = text;
    text = NULL;
out:
    free(text);
    return ctx->err.status;
}

void moe_note(const moe_ctx *ctx, const char *fmt, ...)
{
    if (ctx->rank != 0 || ctx->quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    fputs("moegps: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void moe_warn(moe_ctx *ctx, const char *fmt, ...)
{
    if (ctx->rank != 0)
        return;
    char text[MOE_ERROR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < ctx->n_warnings; i++)
        if (strcmp(ctx->warnings[i], text) == 0)
            return;
    fprintf(stderr, "moegps: warning: %s\n", text);
    char **list = realloc(ctx->warnings, (ctx->n_warnings + 1) * sizeof *list);
    if (list == NULL)
        return;
    ctx->warnings = list;
    list[ctx->n_warnings] = moe_strdup(text, NULL);
    if (list[ctx->n_warnings] != NULL)
        ctx->n_warnings++;
}

bool moe_inject_here(moe_ctx *ctx, moe_site site)
{
    const moe_injection *in = &ctx->injection;
    const bool here = in->armed && in->site == site && in->rank == ctx->rank;
    ctx->injected = ctx->injected || here;
    return here;
}

bool moe_inject(moe_ctx *ctx, moe_site site)
{
    if (!moe_inject_here(ctx, site))
        return false;
    moe_fail(&ctx->err, MOE_INJECTED, "%s: injected fault",
             moe_site_name(site));
    return true;
}
