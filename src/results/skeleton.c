/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "moegps/date.h"
#include "moegps/mem.h"
#include "strategies.h"
#include "version.h"

enum { UUID_LEN = 37 }; /* bytes with NUL */

/* A group of measured data, and what H5Web draws first of it. */
static const struct {
    const char *name, *signal;
    const char *axes[4]; /* of the signal; ".": no coordinate to draw with */
} groups[] = {
    {"timing", "layer_time_wall", {".", "iteration", "layer"}},
    {"load", "true_pairs", {"iteration", "layer", "expert"}},
    {"prediction", "error", {".", "iteration", "layer"}},
    {"plan", "moved_bytes", {".", "iteration", "layer"}},
    {"regret", "actual", {".", "iteration", "layer"}},
    {"traffic", "dispatch_bytes", {".", "source", "destination"}},
    {"choice", "estimate", {".", "iteration", "candidate"}},
    {"work", "slot_pairs", {".", "iteration", "layer"}},
    {"paced", "late", {".", "iteration", "layer"}},
};

static const struct {
    const char *name, *long_name;
} scales[] = {
    {"strategy", "predictor, planner and split"},
    {"iteration", "measured iteration"},
    {"layer", "MoE layer of the model"},
    {"phase", "phase of a layer, in order"},
    {"rank", "MPI rank"},
    {"expert", "expert of a layer"},
    {"warmup", "warm-up iteration"},
    {"gpu", "emulated GPU"},
    {"slot", "place for an expert's weights"},
    {"source", "GPU that sends"},
    {"destination", "GPU that receives"},
    {"link", "within a node, or between nodes"},
    {"candidate", "strategy that another may use"},
    {"pace", "phase that takes its modelled time"},
    {"beside", "phase that runs beside the layers"},
    {"travel", "phase whose rows travel"},
    {"sender", "GPU that sends"},
};

/* Version 4 UUID: random except for six bits. */
static void make_uuid(char *text)
{
    unsigned char b[16] = {0};
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        memcpy(b, &(time_t){time(NULL)}, sizeof(time_t));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof b; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        text += snprintf(text, 4, "%s%02x", dash ? "-" : "", b[i]);
    }
}

static void write_root(hid_t file, const moe_results_meta *meta, moe_error *err)
{
    char uuid[UUID_LEN], date[MOE_DATE_LEN];
    make_uuid(uuid);
    moe_date_now(date);
    moe_h5_put_text(file, "schema", MOE_RESULTS_SCHEMA, err);
    moe_h5_put_text(file, "schema_version", MOE_RESULTS_SCHEMA_VERSION, err);
    moe_h5_put_text(file, "run_id", uuid, err);
    moe_h5_put_text(file, "title", meta->title, err);
    moe_h5_put_text(file, "date_created", date, err);
    moe_h5_put_text(file, "source", "moe-gps " MOE_VERSION, err);
    moe_h5_put_text(file, "status", "running", err);
    moe_h5_put_text(file, "validation", "not_run", err);
    moe_h5_put_text(file, "validation_text", "the run did not end", err);
    moe_h5_put_text(file, "reference", meta->reference, err);
    moe_h5_put_text(file, "NX_class", "NXroot", err);
    moe_h5_put_text(file, "default", "timing", err);
}

static const char *scale_text(const char *name)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(scales); i++)
        if (strcmp(scales[i].name, name) == 0)
            return scales[i].long_name;
    return NULL;
}

static const char *phase_name(int phase)
{
    return moe_phase_name((moe_phase)phase);
}

/* @return what the places of a scale are called; NULL: they have numbers. */
static const char *(*scale_names(const char *name))(int)
{
    static const struct {
        const char *scale, *(*names)(int);
    } known[] = {{"phase", phase_name},
                 {"link", moe_link_name},
                 {"pace", moe_pace_name},
                 {"beside", moe_beside_name},
                 {"travel", moe_travel_name}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(known); i++)
        if (strcmp(known[i].scale, name) == 0)
            return known[i].names;
    return NULL;
}

static void write_scale(hid_t group, const char *name,
                        const moe_results_meta *meta,
                        const moe_ledger_dims *dims, moe_error *err)
{
    const char *words[MOE_N_PHASES]; /* the longest of them */
    size_t n = moe_dims_extent(dims, name);
    const char *text = scale_text(name);
    const char *(*names)(int) = scale_names(name);
    if (strcmp(name, "strategy") == 0 || strcmp(name, "candidate") == 0) {
        moe_h5_scale_text(group, name, n, meta->strategies, text, err);
    } else if (names != NULL) {
        for (size_t k = 0; k < n; k++)
            words[k] = names((int)k);
        moe_h5_scale_text(group, name, n, words, text, err);
    } else {
        bool layer = strcmp(name, "layer") == 0;
        moe_h5_scale(group, name, n, layer ? meta->layers : NULL, text, err);
    }
}

/* Create a dataset, and the scales it is the first to need. */
static void write_field(hid_t group, const moe_field *field,
                        const moe_results_meta *meta,
                        const moe_ledger_dims *dims, moe_error *err)
{
    moe_h5_spec spec = {.name = field->name,
                        .type = moe_element_file_type(field->element),
                        .rank = moe_field_rank(field),
                        .units = field->units,
                        .long_name = field->long_name};
    for (int d = 0; d < spec.rank; d++) {
        spec.dims[d] = field->dims[d];
        if (err->status == MOE_OK && !moe_h5_exists(group, field->dims[d]))
            write_scale(group, field->dims[d], meta, dims, err);
    }
    hid_t dataset = moe_h5_create_dataset(group, &spec, err);
    char words[128];
    int n_flags;
    moe_field_flags((moe_field_id)(field - moe_fields), words, sizeof words,
                    &n_flags);
    if (n_flags > 0)
        moe_h5_put_flags(dataset, spec.type, n_flags, words, err);
    moe_h5_close(dataset);
}

static bool has_fields(const char *group, const moe_ledger_dims *dims)
{
    for (int f = 0; f < MOE_N_FIELDS; f++)
        if (strcmp(moe_fields[f].group, group) == 0 &&
            moe_field_present(&moe_fields[f], dims))
            return true;
    return false;
}

static void write_groups(hid_t file, const moe_results_meta *meta,
                         const moe_ledger_dims *dims, moe_error *err)
{
    for (size_t g = 0; g < MOE_ARRAY_LEN(groups); g++) {
        if (!has_fields(groups[g].name, dims))
            continue;
        hid_t group = moe_h5_create_group(file, groups[g].name, err);
        moe_h5_put_text(group, "NX_class", "NXdata", err);
        moe_h5_put_text(group, "signal", groups[g].signal, err);
        moe_h5_put_list(group, "axes", groups[g].axes, 3, err);
        for (int f = 0; f < MOE_N_FIELDS; f++)
            if (strcmp(moe_fields[f].group, groups[g].name) == 0 &&
                moe_field_present(&moe_fields[f], dims))
                write_field(group, &moe_fields[f], meta, dims, err);
        moe_h5_close(group);
    }
}

/* What a run needs to go on where it was stopped. It is written in two copies
 * in turn; `progress` says which is in force, and is written last. */
static void write_resume(hid_t file, const moe_ledger_dims *dims,
                         moe_error *err)
{
    static const char *const items[] = {"iterations", "copy"};
    const int64_t none[] = {0, 0};
    const moe_h5_spec progress = {.name = "progress",
                                  .type = H5T_STD_I64LE,
                                  .rank = 1,
                                  .dims = {"item"},
                                  .units = "1",
                                  .long_name = "iterations in the file, copy "
                                               "of the journal in force"};
    moe_h5_spec journal = {
        .type = H5T_STD_I64LE,
        .rank = 4,
        .dims = {"copy", "strategy", "source", "destination"},
        .units = "B",
        .long_name = "sent so far"};
    hid_t group = moe_h5_create_group(file, "resume", err);
    moe_h5_scale_text(group, "item", 2, items, "what is counted", err);
    moe_h5_scale(group, "copy", 2, NULL, "copy of the journal", err);
    moe_h5_scale(group, "strategy", (size_t)dims->strategies, NULL,
                 "strategy, by number", err);
    moe_h5_scale(group, "source", (size_t)dims->gpus, NULL, "GPU that sends",
                 err);
    moe_h5_scale(group, "destination", (size_t)dims->gpus, NULL,
                 "GPU that receives", err);
    moe_h5_write(group, &progress, H5T_NATIVE_INT64, none, err);
    for (int t = 0; t < MOE_N_TRAFFIC; t++) {
        journal.name = moe_fields[moe_traffic_field(t)].name;
        moe_h5_close(moe_h5_create_dataset(group, &journal, err));
    }
    moe_h5_close(group);
}

void moe_log_write(hid_t file, const moe_ctx *ctx, moe_error *err)
{
    if (err->status != MOE_OK || ctx->n_warnings == 0)
        return;
    if (moe_h5_exists(file, "log") && H5Ldelete(file, "log", H5P_DEFAULT) < 0)
        moe_fail(err, MOE_IO, "cannot replace group 'log'");
    hid_t group = moe_h5_create_group(file, "log", err);
    moe_h5_scale_text(group, "warning", ctx->n_warnings,
                      (const char *const *)ctx->warnings, "said during the run",
                      err);
    moe_h5_close(group);
}

void moe_skeleton_write(hid_t file, const moe_ctx *ctx,
                        const moe_skeleton *skeleton, moe_error *err)
{
    const moe_results_meta *meta = skeleton->meta;
    const moe_ledger_dims *dims = skeleton->dims;
    write_root(file, meta, err);
    moe_provenance_write(file, ctx, skeleton, err);
    moe_strategies_write(file, meta->strategies, meta->strategy_facts,
                         (size_t)dims->strategies, err);
    write_groups(file, meta, dims, err);
    write_resume(file, dims, err);
    moe_summary_create(file, meta->strategies, (size_t)dims->strategies, err);
    moe_log_write(file, ctx, err);
}
