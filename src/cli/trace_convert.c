/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "moegps/replace.h"
#include "parse.h"
#include "trace.h"

/* ---- import ---- */

typedef struct {
    const char *file, *output;
    moe_parsed_split split;
    int order; /* moe_trace_order; -1: as the file has it */
    bool force;
    moe_trace trace; /* filled by options, then by the file */
} import_options;

static const char *const kinds[] = {
    [MOE_TRACE_TOKENS] = "token", [MOE_TRACE_LOADS] = "load", NULL};

static const char *const orders[] = {
    [MOE_ORDER_NONE] = "none", [MOE_ORDER_TIME] = "time", NULL};

#define TEXT(name, member, value, text)                        \
    {                                                          \
        .key = name, .type = MOE_OPT_TEXT, .initial = value,   \
        MOE_OPT_AT(import_options, trace.member), .help = text \
    }
#define AT(member) MOE_OPT_AT(import_options, member)
static const moe_opt import_rows[] = {
    TEXT("model", model, NULL, "model that it was recorded from"),
    MOE_ARGS_INT("experts", trace.experts, NULL, 1, MOE_MAX_EXPERTS,
                 "experts per layer"),
    MOE_ARGS_INT("top_k", trace.top_k, NULL, 1, MOE_MAX_TOP_K,
                 "experts per token"),
    MOE_ARGS_OUTPUT(NULL, "FILE", "trace file"),
    MOE_ARGS_WORD("kind", trace.kind, "load", kinds,
                  ".npy: load, [steps][layers][experts] pairs, or token, "
                  "[layers][tokens][top_k] experts"),
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
    {.key = "FILE", .type = MOE_OPT_STRING, AT(file)}, {.key = NULL}};
#undef AT
#undef TEXT

static const moe_args import_args = {
    .name = "moegps trace import",
    .help = "Make a trace from a table, FILE.csv or FILE.npy. CSV columns are "
            "layer,token,expert0,... (and, where known, sequence, split, "
            "order, token_id, position, gate0,...) or step,layer,expert,count "
            "(and split, order).",
    .rows = import_rows,
    .arguments = import_arguments};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* What the file leaves open, and what the options say otherwise. */
static void arrange(const import_options *o, bool has_split, moe_trace *t)
{
    if (o->order >= 0)
        t->order = (moe_trace_order)o->order;
    if (o->split.text != NULL || (!has_split && t->order == MOE_ORDER_TIME))
        moe_trace_divide(t, &o->split.how);
}

static void import(import_options *o, moe_error *err)
{
    moe_trace *t = &o->trace;
    bool has_split = false;
    if (t->top_k > t->experts)
        moe_fail(err, MOE_USAGE, "--top-k: %d distinct experts of only %d",
                 t->top_k, t->experts);
    moe_replace_check(o->output, o->force, err);
    if (err->status != MOE_OK)
        return;
    if (ends_with(o->file, ".npy"))
        moe_trace_from_npy(o->file, t, err);
    else
        moe_trace_from_csv(o->file, t, &has_split, err);
    if (err->status == MOE_OK) {
        arrange(o, has_split, t);
        moe_trace_save(o->output, o->force, t, err);
    }
    moe_trace_free(t);
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

/* ---- export ---- */

typedef struct {
    const char *name, *output;
    bool csv, npy, force;
} export_options;

#define AT(member) MOE_OPT_AT(export_options, member)
static const moe_opt export_rows[] = {
    MOE_ARGS_FLAG("csv", csv, "all columns that `trace import` knows"),
    MOE_ARGS_FLAG("npy", npy,
                  "load: [steps][layers][experts] uint32 pairs; token: "
                  "[layers][tokens][top_k] uint16 experts; neither parts nor "
                  "order"),
    MOE_ARGS_OUTPUT(NULL, "FILE|-", "- is standard output"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt export_arguments[] = {
    {.key = "FILE|NAME", .type = MOE_OPT_STRING, AT(name)}, {.key = NULL}};
#undef AT

static const moe_args export_args = {.name = "moegps trace export",
                                     .help = "Write a trace as a table.",
                                     .rows = export_rows,
                                     .arguments = export_arguments};

static void export(const export_options *o, moe_error *err)
{
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_replace to;
    if (o->csv == o->npy)
        moe_fail(err, MOE_USAGE, "--csv and --npy: one of them is needed");
    moe_replace_check(o->output, o->force, err);
    if (err->status != MOE_OK || moe_trace_by_name(o->name, &t, err) != MOE_OK)
        return;
    FILE *out = moe_replace_open(&to, o->output, o->force, err);
    if (out != NULL) {
        if (o->csv)
            moe_trace_to_csv(&t, out, err);
        else
            moe_trace_to_npy(&t, out, err);
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
