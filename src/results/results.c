/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/results.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "moegps/mem.h"

/* Above this many bytes of ranks' columns all ranks write. */
static const uint64_t MPIO_BYTES = (uint64_t)1 << 30;

struct moe_results {
    char *path, *partial, *beside; /* the last: for changes */
    hid_t file;                    /* serial: on rank 0; shared: on all */
    bool shared;                   /* open with MPI-IO */
    moe_blocks blocks;
    bool force;
    bool locked;     /* rank 0: PATH.partial.lock is ours */
    struct stat own; /* rank 0: of the file that was made or opened */
    bool broken; /* a write failed: the file is left as it was flushed last */
    char io[64]; /* MPI-IO component; "": not known */
};

static uint64_t field_bytes(const moe_ledger_dims *dims, int from, int to)
{
    uint64_t bytes = 0;
    for (int f = from; f < to; f++) {
        uint64_t n = moe_element_size(moe_fields[f].element);
        for (int d = 0; moe_fields[f].dims[d] != NULL; d++)
            n *= moe_dims_extent(dims, moe_fields[f].dims[d]);
        bytes += n;
    }
    return bytes;
}

static void release(moe_results *r)
{
    if (r == NULL)
        return;
    if (r->locked)
        moe_lock_drop(r->partial);
    free(r->beside);
    free(r->partial);
    free(r->path);
    free(r);
}

static char *with_ending(const char *path, const char *ending, moe_error *err)
{
    const size_t size = strlen(path) + strlen(ending) + 1;
    char *text = moe_array_new(size, 1, err);
    if (text != NULL)
        snprintf(text, size, "%s%s", path, ending);
    return text;
}

static moe_results *new_results(const char *path, bool force, moe_error *err)
{
    moe_results *r = moe_array_new(1, sizeof *r, err);
    if (r == NULL)
        return NULL;
    r->path = moe_strdup(path, err);
    r->partial = with_ending(path, ".partial", err);
    r->beside = with_ending(path, ".partial.new", err);
    r->force = force;
    r->file = H5I_INVALID_HID;
    r->blocks.xfer = H5P_DEFAULT;
    for (int f = 0; f < MOE_N_FIELDS; f++)
        r->blocks.dataset[f] = H5I_INVALID_HID;
    r->blocks.progress = H5I_INVALID_HID;
    for (int t = 0; t < MOE_N_TRAFFIC; t++)
        r->blocks.journal[t] = H5I_INVALID_HID;
    return r;
}

/* Open a dataset to write; one of a file that goes on may have been replaced by
 * others, and numbers that are read as another kind are cut. */
static hid_t open_as(const moe_results *r, const char *path, hid_t type,
                     moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(r->file, path, err);
    hid_t found = dataset >= 0 ? H5Dget_type(dataset) : H5I_INVALID_HID;
    if (dataset >= 0 && H5Tequal(found, type) <= 0)
        moe_fail(err, MOE_FORMAT, "%s: dataset '%s' has another type",
                 r->partial, path);
    moe_h5_close(found);
    return dataset;
}

static void open_datasets(moe_results *r, const moe_ledger_dims *dims,
                          moe_error *err)
{
    char path[128];
    for (int f = 0; f < MOE_N_FIELDS; f++) {
        const moe_field *field = &moe_fields[f];
        if (!moe_field_present(field, dims))
            continue;
        snprintf(path, sizeof path, "%s/%s", field->group, field->name);
        r->blocks.dataset[f] =
            open_as(r, path, moe_element_file_type(field->element), err);
    }
    r->blocks.progress = open_as(r, "resume/progress", H5T_STD_I64LE, err);
    for (int t = 0; t < MOE_N_TRAFFIC; t++) {
        snprintf(path, sizeof path, "resume/%s",
                 moe_fields[moe_traffic_field(t)].name);
        r->blocks.journal[t] = open_as(r, path, H5T_STD_I64LE, err);
    }
}

static void close_datasets(moe_results *r)
{
    for (int f = 0; f < MOE_N_FIELDS; f++) {
        moe_h5_close(r->blocks.dataset[f]);
        r->blocks.dataset[f] = H5I_INVALID_HID;
    }
    moe_h5_close(r->blocks.progress);
    r->blocks.progress = H5I_INVALID_HID;
    for (int t = 0; t < MOE_N_TRAFFIC; t++) {
        moe_h5_close(r->blocks.journal[t]);
        r->blocks.journal[t] = H5I_INVALID_HID;
    }
    if (r->blocks.xfer != H5P_DEFAULT)
        moe_h5_close(r->blocks.xfer);
    r->blocks.xfer = H5P_DEFAULT;
}

/* All ranks see the file that rank 0 made: a condition of MPI-IO, and false
 * where every node has a disk of its own. Collective. */
static bool visible_to_all(moe_ctx *ctx, const char *path)
{
    int mine = access(path, F_OK) == 0, all = 0;
    MOE_MPI(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, ctx->comm));
    return all != 0;
}

/* Whether all ranks write. Collective, equal on all ranks.
 * @param file  that is there on rank 0. */
static bool choose_mpio(moe_ctx *ctx, const char *file,
                        const moe_results_meta *meta,
                        const moe_ledger_dims *dims)
{
    bool large = field_bytes(dims, 0, MOE_N_FIELDS) > MPIO_BYTES;
    if (meta->writer == MOE_WRITER_SERIAL ||
        (meta->writer == MOE_WRITER_AUTO && (!large || ctx->size == 1)))
        return false;
    bool visible = visible_to_all(ctx, file);
    if (!visible && meta->writer == MOE_WRITER_MPIO)
        moe_fail(&ctx->err, MOE_IO, "%s: is not visible on all nodes", file);
    return visible;
}

/* Name the component that serves MPI-IO, from the hints it shows. */
static void ask_io_component(moe_results *r)
{
    MPI_File *file = NULL;
    MPI_Info info = MPI_INFO_NULL;
    int n = 0;
    char key[MPI_MAX_INFO_KEY + 1];
    if (H5Fget_vfd_handle(r->file, H5P_DEFAULT, (void **)&file) < 0 ||
        file == NULL || MPI_File_get_info(*file, &info) != MPI_SUCCESS)
        return;
    snprintf(r->io, sizeof r->io, "ompio");
    MOE_MPI(MPI_Info_get_nkeys(info, &n));
    for (int i = 0; i < n; i++) {
        MOE_MPI(MPI_Info_get_nthkey(info, i, key));
        if (strncmp(key, "romio", 5) == 0)
            snprintf(r->io, sizeof r->io, "romio");
    }
    MOE_MPI(MPI_Info_free(&info));
}

/* Reopen the skeleton on all ranks. Collective; errors go to ctx->err. */
static void open_parallel(moe_ctx *ctx, moe_results *r)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_mpio(list, ctx->comm, MPI_INFO_NULL);
    H5Pset_all_coll_metadata_ops(list, true);
    H5Pset_coll_metadata_write(list, true);
    r->file = H5Fopen(r->partial, H5F_ACC_RDWR, list);
    moe_h5_close(list);
    if (r->file < 0) {
        moe_fail(&ctx->err, MOE_IO, "%s: cannot be opened with MPI-IO",
                 r->partial);
        return;
    }
    r->shared = true;
    r->blocks.xfer = H5Pcreate(H5P_DATASET_XFER);
    H5Pset_dxpl_mpio(r->blocks.xfer, H5FD_MPIO_COLLECTIVE);
    ask_io_component(r);
}

/* Rank 0: fill the new file; keep it open only for the serial writer. */
static void write_skeleton(moe_ctx *ctx, moe_results *r,
                           const moe_results_meta *meta,
                           const moe_ledger *ledger,
                           const moe_rank_facts *facts)
{
    const moe_skeleton skeleton = {.meta = meta,
                                   .dims = &ledger->dims,
                                   .facts = facts,
                                   .mpio = r->blocks.mpio};
    moe_skeleton_write(r->file, ctx, &skeleton, &ctx->err);
    moe_target_flush(r->file, r->partial, &ctx->err);
    if (r->blocks.mpio && ctx->err.status == MOE_OK) {
        moe_h5_close_file(r->file, &ctx->err);
        r->file = H5I_INVALID_HID;
    }
    moe_target_changed(r->beside, r->partial, &ctx->err);
}

/* Take a failed file back; gone for all when this returns. `made` on rank 0:
 * this call created it. Collective. */
static void discard(moe_ctx *ctx, moe_results *r, bool made)
{
    if (r != NULL) {
        close_datasets(r);
        if (r->shared)
            H5Fclose(r->file);
        else
            moe_target_abandon(r->file);
        if (made)
            unlink(r->partial);
        if (made)
            unlink(r->beside);
    }
    release(r);
    MOE_MPI(MPI_Barrier(ctx->comm));
}

/* @return facts of all ranks on rank 0, NULL elsewhere. Collective; errors go
 * to ctx->err. */
static moe_rank_facts *gather_facts(moe_ctx *ctx, const moe_results_meta *meta)
{
    moe_rank_facts mine, *all = NULL;
    moe_rank_facts_fill(&mine, ctx, meta);
    if (ctx->rank == 0)
        all = moe_array_new((size_t)ctx->size, sizeof *all, &ctx->err);
    if (moe_agree(ctx) != MOE_OK) {
        free(all);
        return NULL;
    }
    MOE_MPI(MPI_Gather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE,
                       0, ctx->comm));
    return all;
}

/* Rank 0: make the empty file, beside its name until it is whole.
 * @return whether that was done. */
static bool make_file(moe_ctx *ctx, moe_results *r, uint64_t bytes)
{
    r->locked = moe_lock_take(r->partial, &ctx->err);
    if (ctx->err.status == MOE_OK)
        moe_target_check(r->path, r->partial, bytes, r->force, &ctx->err);
    if (ctx->err.status == MOE_OK)
        unlink(r->beside); /* of a process that was killed */
    r->file = moe_h5_create(r->beside, &ctx->err);
    stat(r->beside, &r->own);
    return r->file >= 0;
}

moe_status moe_results_create(moe_ctx *ctx, const char *path,
                              const moe_results_meta *meta,
                              const moe_ledger *ledger,
                              moe_results **results_out)
{
    assert(ledger->dims.ranks == ctx->size);
    signal(SIGXFSZ, SIG_IGN);
    bool made = false;
    moe_rank_facts *facts = NULL;
    moe_results *r = new_results(path, meta->force, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    if (ctx->rank == 0)
        made = make_file(ctx, r, field_bytes(&ledger->dims, 0, MOE_N_FIELDS));
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    r->blocks.mpio = choose_mpio(ctx, r->beside, meta, &ledger->dims);
    facts = gather_facts(ctx, meta);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    if (ctx->rank == 0)
        write_skeleton(ctx, r, meta, ledger, facts);
    moe_inject(ctx, MOE_SITE_CREATE);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    if (r->blocks.mpio)
        open_parallel(ctx, r);
    if (moe_agree(ctx) == MOE_OK && r->file >= 0)
        open_datasets(r, &ledger->dims, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    *results_out = r;
out:
    free(facts);
    if (ctx->err.status != MOE_OK)
        discard(ctx, r, made);
    return ctx->err.status;
}

/* Rank 0: open the file that exists. */
static moe_resume_kind open_earlier(moe_ctx *ctx, moe_results *r,
                                    const moe_results_meta *meta,
                                    const moe_ledger *ledger)
{
    const moe_resume resume = {.path = r->path,
                               .partial = r->partial,
                               .beside = r->beside,
                               .meta = meta,
                               .dims = &ledger->dims};
    r->locked = moe_lock_take(r->partial, &ctx->err);
    if (ctx->err.status != MOE_OK)
        return MOE_RESUME_NOTHING;
    const moe_resume_kind kind = moe_resume_find(&resume, &ctx->err);
    if (kind != MOE_RESUME_NOTHING && ctx->err.status == MOE_OK)
        r->file = moe_resume_open(&resume, kind, ctx, &ctx->err);
    stat(r->partial, &r->own);
    return kind;
}

/* Open a file that rank 0 has open as the run's own. Collective. */
static void reopen(moe_ctx *ctx, moe_results *r, const moe_results_meta *meta,
                   moe_ledger *ledger, int *done_out)
{
    r->blocks.mpio = choose_mpio(ctx, r->partial, meta, &ledger->dims);
    if (r->blocks.mpio && ctx->rank == 0) {
        moe_h5_close_file(r->file, &ctx->err);
        r->file = H5I_INVALID_HID;
    }
    if (moe_agree(ctx) == MOE_OK && r->blocks.mpio)
        open_parallel(ctx, r);
    if (moe_agree(ctx) == MOE_OK && r->file >= 0)
        open_datasets(r, &ledger->dims, &ctx->err);
    if (moe_agree(ctx) == MOE_OK) {
        *done_out = moe_blocks_restore(ctx, &r->blocks, ledger, meta->history);
        moe_error_prefix(&ctx->err, "%s", r->partial);
    }
    if (moe_agree(ctx) != MOE_OK) {
        close_datasets(r);
        moe_h5_close_file(r->file, &(moe_error){0});
        r->file = H5I_INVALID_HID;
    }
}

moe_status moe_results_resume(moe_ctx *ctx, const char *path,
                              const moe_results_meta *meta, moe_ledger *ledger,
                              moe_results **results_out, int *done_out)
{
    signal(SIGXFSZ, SIG_IGN);
    *results_out = NULL;
    *done_out = 0;
    int kind = MOE_RESUME_NOTHING;
    moe_results *r = new_results(path, meta->force, &ctx->err);
    if (moe_agree(ctx) == MOE_OK && ctx->rank == 0)
        kind = (int)open_earlier(ctx, r, meta, ledger);
    if (moe_agree(ctx) == MOE_OK) {
        MOE_MPI(MPI_Bcast(&kind, 1, MPI_INT, 0, ctx->comm));
        if (kind == MOE_RESUME_COMPLETE)
            *done_out = ledger->dims.iterations;
        else if (kind != MOE_RESUME_NOTHING)
            reopen(ctx, r, meta, ledger, done_out);
    }
    const bool there =
        kind != MOE_RESUME_NOTHING && kind != MOE_RESUME_COMPLETE;
    if (there && ctx->err.status == MOE_OK)
        *results_out = r;
    else
        release(r);
    return ctx->err.status;
}

/* Collective with MPI-IO; errors go to ctx->err. */
static void flush(moe_ctx *ctx, moe_results *r)
{
    if (r->file >= 0 && H5Fflush(r->file, H5F_SCOPE_GLOBAL) < 0)
        moe_fail(&ctx->err, MOE_IO, "%s: cannot write", r->partial);
}

moe_status moe_results_write(moe_ctx *ctx, moe_results *results,
                             const moe_ledger *ledger, int first, int end)
{
    moe_inject(ctx, MOE_SITE_WRITE);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    moe_blocks_write(ctx, &results->blocks, ledger, first, end);
    moe_blocks_write_journal(ctx, &results->blocks, ledger);
    flush(ctx, results);
    if (moe_agree(ctx) == MOE_OK) {
        moe_blocks_mark(ctx, &results->blocks, end);
        flush(ctx, results);
    }
    results->broken = moe_agree(ctx) != MOE_OK || results->broken;
    return ctx->err.status;
}

static const char *state_name(moe_run_state state)
{
    static const char *const names[] = {
        [MOE_RUN_COMPLETE] = "complete",
        [MOE_RUN_INTERRUPTED] = "interrupted",
        [MOE_RUN_FAILED] = "failed",
    };
    return names[state];
}

static void put_outcome(hid_t file, const moe_results *r, moe_run_state state,
                        const moe_validation *validation, moe_error *err)
{
    const char *outcome = !validation->run     ? "not_run"
                          : validation->passed ? "pass"
                                               : "fail";
    moe_h5_put_text(file, "validation", outcome, err);
    moe_h5_put_text(file, "validation_text", validation->text, err);
    moe_h5_put_real(file, "max_output_error", validation->max_output_error,
                    err);
    if (r->io[0] != '\0') {
        hid_t group = moe_h5_open_group(file, "provenance", err);
        moe_h5_put_text(group, "mpi_io_component", r->io, err);
        moe_h5_close(group);
    }
    moe_h5_put_text(file, "status", state_name(state), err);
}

/* What has the file's name now must be the file that was written: a lock can be
 * removed by hand. */
static void check_own(const moe_results *r, moe_error *err)
{
    struct stat now;
    if (stat(r->partial, &now) != 0 || now.st_dev != r->own.st_dev ||
        now.st_ino != r->own.st_ino)
        moe_fail(err, MOE_IO,
                 "%s: was removed or replaced while this run wrote it",
                 r->partial);
}

/* Rank 0: complete the closed file, and give it its name. The summary is
 * computed by the reader that everybody uses, so that it cannot differ. */
static void finish(moe_ctx *ctx, const moe_results *r, moe_run_state state,
                   const moe_validation *validation)
{
    moe_error *err = &ctx->err;
    moe_view view = {0};
    check_own(r, err);
    const char *where = moe_target_change(r->partial, r->beside, err);
    if (err->status == MOE_OK)
        moe_view_read(where, &view, err);
    hid_t file = moe_h5_open(where, true, err);
    if (file >= 0) {
        moe_summary_write(file, &view, err);
        moe_log_write(file, ctx, err);
        put_outcome(file, r, state, validation, err);
        moe_target_flush(file, r->partial, err);
        if (err->status == MOE_OK)
            moe_h5_close_file(file, err);
        else
            moe_target_abandon(file);
    }
    moe_view_free(&view);
    check_own(r, err);
    moe_target_changed(where, r->partial, err);
    if (state != MOE_RUN_FAILED)
        moe_target_publish(r->path, r->partial, r->force, err);
}

/* Write what is left, and close on all ranks. Collective. */
static void close_file(moe_ctx *ctx, moe_results *r, const moe_ledger *ledger)
{
    if (!r->broken) {
        moe_blocks_write_end(ctx, &r->blocks, ledger);
        flush(ctx, r);
        r->broken = moe_agree(ctx) != MOE_OK;
    }
    close_datasets(r);
    if (!r->broken || r->shared)
        moe_h5_close_file(r->file, &ctx->err);
    else
        moe_target_abandon(r->file);
}

moe_status moe_results_close(moe_ctx *ctx, moe_results *results,
                             const moe_ledger *ledger, moe_run_state state,
                             const moe_validation *validation)
{
    if (results == NULL)
        return ctx->err.status;
    moe_error before = ctx->err;
    ctx->err = (moe_error){0};
    close_file(ctx, results, ledger);
    moe_inject(ctx, MOE_SITE_FINISH);
    if (moe_agree(ctx) == MOE_OK && !results->broken && ctx->rank == 0)
        finish(ctx, results, state, validation);
    moe_agree(ctx);
    if (before.status != MOE_OK)
        ctx->err = before;
    release(results);
    return ctx->err.status;
}
