/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "moegps/model.h"
#include "moegps/profile.h"
#include "moegps/replace.h"
#include "parse.h"
#include "recorded.h"
#include "trace.h"

/* ---- import ---- */

typedef struct {
    moe_recorded recorded;
    const char *output;
    moe_parsed_split split;
    int order; /* moe_trace_order; -1: as the file has it */
    int kind;  /* moe_recording_kind */
    bool force;
    moe_trace trace; /* filled by options, then by the files */
} import_options;

static const char *const kinds[] = {[MOE_RECORDING_ANY] = "auto",
                                    [MOE_RECORDING_LOADS] = "load",
                                    [MOE_RECORDING_TOKENS] = "token",
                                    NULL};

static const char *const orders[] = {
    [MOE_ORDER_NONE] = "none", [MOE_ORDER_TIME] = "time", NULL};

#define TEXT(name, member, value, text)                        \
    {                                                          \
        .key = name, .type = MOE_OPT_TEXT, .initial = value,   \
        MOE_OPT_AT(import_options, trace.member), .help = text \
    }
#define AT(member) MOE_OPT_AT(import_options, member)
static const moe_opt import_rows[] = {
    TEXT("model", model, NULL,
         "model that it was recorded from; a profile of this name says what "
         "the options below leave out"),
    MOE_ARGS_INT("experts", recorded.experts, "", 1, MOE_MAX_EXPERTS,
                 "experts per layer"),
    MOE_ARGS_INT("top_k", trace.top_k, "", 1, MOE_MAX_TOP_K,
                 "experts per token"),
    MOE_ARGS_OUTPUT(NULL, "FILE", "trace file"),
    MOE_ARGS_WORD("kind", kind, "auto", kinds,
                  "of an array: loads, [steps][layers][experts] pairs, or "
                  "experts of tokens; auto: as its sizes say"),
    MOE_ARGS_RECORDED(recorded),
    {.key = "test",
     .form = "FILE",
     .type = MOE_OPT_STRINGS,
     .initial = "",
     AT(recorded.test),
     .help = "a recording that follows, and is the test part"},
    MOE_ARGS_FLAG("ordered", trace.ordered,
                  "experts of a token come by falling gate weight"),
    {.key = "order",
     .type = MOE_OPT_ENUM,
     .initial = "",
     .choices = orders,
     AT(order),
     .help = "of sequences or steps; default: as the file says, else time for "
             "steps and for numbered sequences"},
    MOE_ARGS_SPLIT("default: as in the file, else tail=0.3 where the order is "
                   "time, or all train"),
    TEXT("source", source, "", "where the numbers come from"),
    TEXT("licence", licence, "", "licence of the numbers, as SPDX has it"),
    TEXT("note", note, "", "how they were made"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt import_arguments[] = {
    {.key = "FILE", .type = MOE_OPT_STRINGS, AT(recorded.files)},
    {.key = NULL}};
#undef AT
#undef TEXT

static const moe_args import_args = {
    .name = "moegps trace import",
    .example = "moegps trace import loads.csv --model mixtral-8x7b -o trace.h5",
    .help = "Make a trace of recordings: tables, .npy, JSON, safetensors, "
            "HDF5, and what engines write. Table columns are "
            "layer,token,expert0,... (and, where known, sequence, split, "
            "order, token_id, position, gate0,...) or step,layer,expert,count "
            "(and split, order).",
    .rows = import_rows,
    .arguments = import_arguments};

/* What the file leaves open, and what the options say otherwise. */
static void arrange(const import_options *o, bool has_split, moe_trace *t)
{
    if (o->order >= 0)
        t->order = (moe_trace_order)o->order;
    if (o->split.text != NULL || (!has_split && t->order == MOE_ORDER_TIME))
        moe_trace_divide(t, &o->split.how);
}

/* Sizes that were not given are those of the named profile, if there is one. */
static void size_by_model(import_options *o, moe_recording_options *to,
                          moe_error *err)
{
    char path[PATH_MAX];
    moe_error unknown = {0};
    moe_model m;
    moe_trace *t = &o->trace;
    to->experts = o->recorded.experts;
    if (moe_profile_find("models", t->model, ".yaml", path, sizeof path,
                         &unknown) == MOE_OK &&
        moe_model_read(t->model, &m, err) == MOE_OK) {
        snprintf(t->model, sizeof t->model, "%s", m.name);
        to->layers = m.layers;
        t->top_k = t->top_k != 0 ? t->top_k : m.top_k;
        to->experts = to->experts != 0 ? to->experts : m.experts;
    }
    to->top_k = t->top_k;
    if (t->top_k > to->experts && to->experts > 0)
        moe_fail(err, MOE_USAGE, "--top-k: %d distinct experts of only %d",
                 t->top_k, to->experts);
}

static void make(import_options *o, const moe_recording_options *read,
                 moe_recording *r, moe_error *err)
{
    moe_trace *t = &o->trace;
    const bool has_split = r->seq_part != NULL;
    if (t->top_k == 0)
        t->top_k = r->top_k;
    if (t->top_k == 0)
        moe_fail(err, MOE_USAGE,
                 "--top-k is needed: how many experts a token of model '%s' "
                 "chooses",
                 t->model);
    if (err->status == MOE_OK &&
        moe_recording_to_trace(r, read->layers, t, err) != MOE_OK)
        moe_error_prefix(err, "%s", o->recorded.files.text[0]);
    if (err->status != MOE_OK)
        return;
    arrange(o, has_split, t);
    moe_trace_save(o->output, o->force, t, err);
}

static void import(import_options *o, moe_error *err)
{
    moe_recording r = {.kind = MOE_RECORDING_ANY};
    moe_recording_options read = {.kind = (moe_recording_kind)o->kind};
    size_by_model(o, &read, err);
    moe_replace_check(o->output, o->force, err);
    if (err->status != MOE_OK ||
        moe_recorded_read(&o->recorded, &read, &r, err) != MOE_OK)
        return;
    moe_remarks found = {0};
    moe_recorded_check(&r, &found, err);
    make(o, &read, &r, err);
    if (err->status == MOE_OK)
        moe_recorded_print(moe_recorded_name(&o->recorded), &r, &found);
    moe_remarks_fini(&found);
    moe_recording_fini(&r);
    moe_trace_free(&o->trace);
}

int moe_cmd_trace_import(int argc, char **argv)
{
    moe_error err = {0};
    import_options o = {.split.how = moe_trace_split_default,
                        .order = -1,
                        .trace = {.shared = MPI_WIN_NULL}};
    if (moe_args_parse(&import_args, argc, argv, &o, &err))
        import(&o, &err);
    return moe_args_end(&import_args, &o, &err);
}

/* ---- check ---- */

typedef struct {
    moe_recorded recorded;
    const char *model;
    int kind, top_k;
} check_options;

#define AT(member) MOE_OPT_AT(check_options, member)
static const moe_opt check_rows[] = {
    MOE_ARGS_STRING("model", model, "", "FILE|NAME", "that it is of"),
    MOE_ARGS_INT("experts", recorded.experts, "", 1, MOE_MAX_EXPERTS,
                 "experts per layer"),
    MOE_ARGS_INT("top_k", top_k, "", 1, MOE_MAX_TOP_K, "experts per token"),
    MOE_ARGS_WORD("kind", kind, "auto", kinds, "of an array"),
    MOE_ARGS_RECORDED(recorded),
    {.key = NULL}};

static const moe_opt check_arguments[] = {
    {.key = "FILE", .type = MOE_OPT_STRINGS, AT(recorded.files)},
    {.key = NULL}};
#undef AT

static const moe_args check_args = {
    .name = "moegps trace check",
    .example = "moegps trace check loads.csv",
    .help = "Look for what usually spoils recordings, and say what to do: "
            "dummy tokens, layers of other tokens, data-parallel copies, what "
            "cannot be split or learned from; and what can be benchmarked.",
    .rows = check_rows,
    .arguments = check_arguments};

static void check(check_options *o, moe_error *err)
{
    moe_model m;
    moe_remarks found = {0};
    moe_recording r = {.kind = MOE_RECORDING_ANY};
    moe_recording_options read = {.kind = (moe_recording_kind)o->kind,
                                  .top_k = o->top_k};
    if (o->model != NULL && moe_model_read(o->model, &m, err) == MOE_OK) {
        read.experts = m.experts;
        read.layers = m.layers;
        read.top_k = read.top_k != 0 ? read.top_k : m.top_k;
    }
    if (err->status != MOE_OK ||
        moe_recorded_read(&o->recorded, &read, &r, err) != MOE_OK)
        return;
    moe_recorded_check(&r, &found, err);
    if (err->status == MOE_OK)
        moe_recorded_print(moe_recorded_name(&o->recorded), &r, &found);
    moe_remarks_fini(&found);
    moe_recording_fini(&r);
}

int moe_cmd_trace_check(int argc, char **argv)
{
    moe_error err = {0};
    check_options o = {.top_k = 0};
    if (moe_args_parse(&check_args, argc, argv, &o, &err))
        check(&o, &err);
    return moe_args_end(&check_args, &o, &err);
}

/* ---- export ---- */

typedef struct {
    const char *name, *output;
    bool csv, npy, json, force;
    int axes; /* moe_axes */
} export_options;

#define AT(member) MOE_OPT_AT(export_options, member)
static const moe_opt export_rows[] = {
    MOE_ARGS_FLAG("csv", csv, "all columns that `trace import` knows"),
    MOE_ARGS_FLAG("npy", npy,
                  "load: [steps][layers][experts] uint32 pairs; token: "
                  "[layers][tokens][top_k] uint16 experts; neither parts nor "
                  "order"),
    MOE_ARGS_FLAG("logical_count", json, "JSON of loads, as SGLang plans on"),
    {.key = "axes",
     .type = MOE_OPT_ENUM,
     .initial = "",
     .choices = moe_axes_names,
     AT(axes),
     .help = "with --npy: tokens,layers,k is what engines return and replay"},
    MOE_ARGS_OUTPUT(NULL, "FILE|-", "- is standard output"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt export_arguments[] = {
    {.key = "FILE|NAME", .type = MOE_OPT_STRING, AT(name)}, {.key = NULL}};
#undef AT

static const moe_args export_args = {
    .name = "moegps trace export",
    .example = "moegps trace export mixtral-8x7b-tokens --csv -o tokens.csv",
    .help = "Write a trace as a table.",
    .rows = export_rows,
    .arguments = export_arguments};

static void export(const export_options *o, moe_error *err)
{
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_replace to;
    if ((int)o->csv + (int)o->npy + (int)o->json != 1)
        moe_fail(err, MOE_USAGE,
                 "--csv, --npy and --logical-count: one of them is needed");
    moe_replace_check(o->output, o->force, err);
    if (err->status != MOE_OK || moe_trace_by_name(o->name, &t, err) != MOE_OK)
        return;
    FILE *out = moe_replace_open(&to, o->output, o->force, err);
    if (out != NULL) {
        if (o->csv)
            moe_trace_to_csv(&t, out, err);
        else if (o->json)
            moe_trace_to_json(&t, out, err);
        else
            moe_trace_to_npy(&t, o->axes == MOE_AXES_TOKENS_LAYERS, out, err);
        moe_replace_close(&to, out, err);
    }
    moe_trace_free(&t);
}

int moe_cmd_trace_export(int argc, char **argv)
{
    moe_error err = {0};
    export_options o = {0};
    if (moe_args_parse(&export_args, argc, argv, &o, &err))
        export(&o, &err);
    return moe_args_end(&export_args, &o, &err);
}
