/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moegps/date.h"
#include "moegps/mem.h"

/* Rank 0's part of going on with a file: is it there, and is it ours? */

moe_resume_kind moe_resume_find(const moe_resume *resume, moe_error *err)
{
    const char *path = resume->path, *partial = resume->partial;
    char status[32] = "";
    moe_error local = {0};
    const bool published = access(path, F_OK) == 0;
    if (access(partial, F_OK) == 0) {
        if (published)
            moe_fail(err, MOE_EXISTS,
                     "%s: exists, and so does %s; remove the one that is not "
                     "wanted",
                     path, partial);
        return MOE_RESUME_PARTIAL;
    }
    if (!published)
        return MOE_RESUME_NOTHING;
    hid_t file = moe_h5_open(path, false, &local);
    if (local.status == MOE_OK) {
        moe_h5_get_text(file, "status", status, sizeof status, &local);
        moe_h5_close_file(file, &local);
    }
    if (local.status != MOE_OK)
        moe_fail(err, local.status, "%s%s%s", file >= 0 ? path : "",
                 file >= 0 ? ": " : "", local.text);
    return strcmp(status, "complete") == 0 ? MOE_RESUME_COMPLETE
                                           : MOE_RESUME_INTERRUPTED;
}

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

/* Say where two experiments differ first. */
static void compare_settings(const char *ours, const char *theirs,
                             moe_error *err)
{
    while (*ours != '\0' || *theirs != '\0') {
        const size_t n = line_length(ours), m = line_length(theirs);
        if (n != m || memcmp(ours, theirs, n) != 0) {
            moe_fail(err, MOE_MISMATCH,
                     "is of another experiment: it has '%.*s', this one "
                     "'%.*s'",
                     (int)(m < 160 ? m : 160), theirs, (int)(n < 160 ? n : 160),
                     ours);
            return;
        }
        ours += n + (ours[n] != '\0');
        theirs += m + (theirs[m] != '\0');
    }
}

static void compare_texts(hid_t file, const moe_results_meta *meta,
                          moe_error *err)
{
    const struct {
        const char *name, *ours;
    } texts[] = {
        {"config/resolved", meta->config_resolved},
        {"config/model_profile", meta->model_profile},
        {"config/cluster_profile", meta->cluster_profile},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++) {
        char *theirs = moe_h5_read_text(file, texts[i].name, err);
        if (theirs != NULL)
            compare_settings(texts[i].ours, theirs, err);
        free(theirs);
    }
}

/* What decides the numbers, beside the settings. */
static void compare_facts(hid_t file, const moe_results_meta *meta,
                          moe_error *err)
{
    static const moe_fact facts[] = {MOE_FACT_TRACE_SHA256,
                                     MOE_FACT_EXECUTED_DTYPE};
    char theirs[MOE_FACT_LEN] = "";
    hid_t group = moe_h5_open_group(file, "config", err);
    for (size_t k = 0; k < MOE_ARRAY_LEN(facts); k++) {
        const char *name = moe_fact_name(facts[k]);
        const char *ours = meta->facts->text[facts[k]];
        if (*ours == '\0')
            continue;
        moe_h5_get_text(group, name, theirs, sizeof theirs, err);
        if (strcmp(theirs, ours) != 0)
            moe_fail(err, MOE_MISMATCH,
                     "is of another run: its %s is %.80s, now %.80s", name,
                     theirs, ours);
    }
    moe_h5_close(group);
}

static void compare_sizes(hid_t file, const moe_ledger_dims *dims,
                          moe_error *err)
{
    static const struct {
        const char *scale, *what;
        size_t offset;
    } sizes[] = {
        {"timing/rank", "ranks", offsetof(moe_ledger_dims, ranks)},
        {"traffic/source", "GPUs", offsetof(moe_ledger_dims, gpus)},
        {"timing/strategy", "strategies",
         offsetof(moe_ledger_dims, strategies)},
        {"timing/iteration", "iterations",
         offsetof(moe_ledger_dims, iterations)},
        {"timing/layer", "layers", offsetof(moe_ledger_dims, layers)},
        {"load/expert", "experts", offsetof(moe_ledger_dims, experts)},
        {"plan/slot", "slots", offsetof(moe_ledger_dims, slots)},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++) {
        hsize_t n = 0;
        int now;
        memcpy(&now, (const char *)dims + sizes[i].offset, sizeof now);
        moe_h5_dims(file, sizes[i].scale, 1, &n, err);
        if (err->status == MOE_OK && n != (hsize_t)now)
            moe_fail(err, MOE_MISMATCH,
                     "is of a run with %llu %s, this one has %d",
                     (unsigned long long)n, sizes[i].what, now);
    }
}

/* A run in several parts says so: when each began, and where. */
static void note_resumption(hid_t file, const moe_ctx *ctx, moe_error *err)
{
    char key[48], text[256], date[MOE_DATE_LEN];
    const char *job = getenv("SLURM_JOB_ID");
    moe_date_now(date);
    hid_t group = moe_h5_open_group(file, "provenance", err);
    const int64_t n = moe_h5_has(group, "resumes")
                          ? moe_h5_get_int(group, "resumes", err) + 1
                          : 1;
    snprintf(key, sizeof key, "resume_%lld", (long long)n);
    snprintf(text, sizeof text, "%s, first rank on %s, %d nodes%s%.64s", date,
             ctx->host, ctx->n_nodes, job != NULL ? ", Slurm job " : "",
             job != NULL ? job : "");
    moe_h5_put_int(group, "resumes", n, err);
    moe_h5_put_text(group, key, text, err);
    moe_h5_close(group);
    moe_h5_put_text(file, "status", "running", err);
}

/* Mark the file as running. @return its id, open. */
static hid_t begin_part(const moe_resume *resume, const moe_ctx *ctx,
                        moe_error *err)
{
    const char *partial = resume->partial;
    moe_error local = {0};
    const char *where = moe_target_change(partial, resume->beside, &local);
    hid_t file = moe_h5_open(where, true, &local);
    if (file >= 0 && local.status == MOE_OK) {
        note_resumption(file, ctx, &local);
        moe_error_prefix(&local, "%s", partial);
        moe_target_flush(file, partial, &local);
    }
    moe_target_changed(where, partial, &local);
    if (moe_pass(err, &local) == MOE_OK)
        return file;
    moe_target_abandon(file);
    return H5I_INVALID_HID;
}

/* Other versions have other datasets. */
static void compare_schema(hid_t file, moe_error *err)
{
    char theirs[32] = "";
    moe_h5_get_text(file, "schema_version", theirs, sizeof theirs, err);
    if (err->status == MOE_OK &&
        strcmp(theirs, MOE_RESULTS_SCHEMA_VERSION) != 0)
        moe_fail(err, MOE_MISMATCH,
                 "has schema %s, this program goes on with %s", theirs,
                 MOE_RESULTS_SCHEMA_VERSION);
}

/* Whether a file is of this run. */
static void check_identity(hid_t file, const moe_results_meta *meta,
                           const moe_ledger_dims *dims, moe_error *err)
{
    if (!moe_h5_exists(file, "resume"))
        moe_fail(err, MOE_FORMAT,
                 "is not a result file that can be continued "
                 "(it has no /resume)");
    compare_schema(file, err);
    compare_sizes(file, dims, err);
    compare_texts(file, meta, err);
    compare_facts(file, meta, err);
}

hid_t moe_resume_open(const moe_resume *resume, moe_resume_kind kind,
                      const moe_ctx *ctx, moe_error *err)
{
    const char *partial = resume->partial;
    const char *from = kind == MOE_RESUME_PARTIAL ? partial : resume->path;
    const bool complete = kind == MOE_RESUME_COMPLETE;
    moe_error local = {0};
    struct stat was = {0};
    stat(from, &was);
    hid_t file = moe_h5_open(from, !complete, &local);
    if (local.status != MOE_OK) { /* the sentence names the file already */
        moe_pass(err, &local);
        return H5I_INVALID_HID;
    }
    check_identity(file, resume->meta, resume->dims, &local);
    if (local.status != MOE_OK || complete) {
        moe_h5_close_file(file, &(moe_error){0});
        if (local.status != MOE_OK)
            moe_fail(err, local.status, "%s: %s", from, local.text);
        return H5I_INVALID_HID;
    }
    moe_target_flush(file, from, err); /* is there room? */
    if (err->status != MOE_OK) {
        moe_target_abandon(file);
        return H5I_INVALID_HID;
    }
    moe_h5_close_file(file, err);
    if (kind == MOE_RESUME_INTERRUPTED && rename(from, partial) != 0) {
        moe_fail(err, MOE_IO, "%s: cannot be renamed to %s: %s", from, partial,
                 strerror(errno));
        if (truncate(from, was.st_size) != 0) /* that room is given back */
            moe_fail(err, MOE_IO, "%s: %s", from, strerror(errno));
    }
    return err->status == MOE_OK ? begin_part(resume, ctx, err)
                                 : H5I_INVALID_HID;
}
