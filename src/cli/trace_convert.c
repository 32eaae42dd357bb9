/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args_old.h"
#include "trace.h"

enum {
    KEY_OUTPUT = 'o',
    KEY_FORCE = 'f',
    KEY_MODEL = 1,
    KEY_EXPERTS,
    KEY_TOP_K,
    KEY_KIND,
    KEY_ORDERED,
    KEY_SPLIT,
    KEY_SOURCE,
    KEY_LICENCE,
    KEY_NOTE,
    KEY_CSV,
    KEY_NPY
};

typedef struct {
    const char *name, *split;
    moe_trace_output out;
    moe_trace trace; /* filled by options, then by the file */
} import_options;

static moe_status take_text(const char *what, const char *text, char *out,
                            size_t size, moe_error *err)
{
    if (strlen(text) >= size)
        return moe_fail(err, MOE_USAGE, "--%s: longer than %zu bytes", what,
                        size - 1);
    snprintf(out, size, "%s", text);
    return MOE_OK;
}

static moe_status take_size(const char *what, const char *text, int high,
                            int *out, moe_error *err)
{
    uint64_t value = 0;
    moe_status status =
        moe_trace_parse_u64(text, what, 1, (uint64_t)high, &value, err);
    if (status == MOE_OK)
        *out = (int)value;
    return status;
}

static moe_status take_kind(const char *text, moe_trace_kind *out,
                            moe_error *err)
{
    if (strcmp(text, "token") != 0 && strcmp(text, "load") != 0)
        return moe_fail(err, MOE_USAGE, "--kind: '%s' is not token or load",
                        text);
    *out = text[0] == 't' ? MOE_TRACE_TOKENS : MOE_TRACE_LOADS;
    return MOE_OK;
}

static moe_status take_import(int key, char *arg, void *input, moe_error *err)
{
    import_options *o = input;
    moe_trace *t = &o->trace;
    switch (key) {
    case KEY_OUTPUT:
        o->out.path = arg;
        return MOE_OK;
    case KEY_FORCE:
        o->out.force = true;
        return MOE_OK;
    case KEY_MODEL:
        return take_text("model", arg, t->model, sizeof t->model, err);
    case KEY_SOURCE:
        return take_text("source", arg, t->source, sizeof t->source, err);
    case KEY_LICENCE:
        return take_text("licence", arg, t->licence, sizeof t->licence, err);
    case KEY_NOTE:
        return take_text("note", arg, t->note, sizeof t->note, err);
    case KEY_EXPERTS:
        return take_size("--experts", arg, MOE_MAX_EXPERTS, &t->experts, err);
    case KEY_TOP_K:
        return take_size("--top-k", arg, MOE_MAX_TOP_K, &t->top_k, err);
    case KEY_KIND:
        return take_kind(arg, &t->kind, err);
    case KEY_ORDERED:
        t->ordered = true;
        return MOE_OK;
    case KEY_SPLIT:
        o->split = arg;
        return MOE_OK;
    default:
        if (o->name != NULL)
            return moe_fail(err, MOE_USAGE, "'%s': one file only", arg);
        o->name = arg;
        return MOE_OK;
    }
}

static const struct argp_option import_table[] = {
    {"model", KEY_MODEL, "NAME", 0, "model that it was recorded from", 0},
    {"experts", KEY_EXPERTS, "N", 0, "experts per layer", 0},
    {"top-k", KEY_TOP_K, "N", 0, "experts per token", 0},
    {"kind", KEY_KIND, "WORD", 0,
     ".npy: load, [steps][layers][experts] pairs, or token, "
     "[layers][tokens][top_k] experts (load)",
     0},
    {"ordered", KEY_ORDERED, NULL, 0,
     "experts of a token come by falling gate weight", 0},
    {"split", KEY_SPLIT, "train=SHARE[,seed=N]", 0,
     "draw train and test (as in the file, else all train)", 0},
    {"source", KEY_SOURCE, "TEXT", 0, "where the numbers come from", 0},
    {"licence", KEY_LICENCE, "SPDX", 0, "licence of the numbers", 0},
    {"note", KEY_NOTE, "TEXT", 0, "how they were made", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "trace file", 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing file", 0},
    MOE_ARGS_HELP,
    {0}};

static const moe_args_old import_args = {
    .name = "moegps trace import",
    .args = "FILE.csv|FILE.npy --model NAME --experts N --top-k N -o FILE",
    .help = "Make a trace from a table. CSV columns are layer,token,expert0,..."
            " (and, where known, sequence, split, token_id, position, "
            "gate0,...) or step,layer,expert,count (and split).",
    .options = import_table,
    .take = take_import};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static moe_status check_import(const import_options *o, moe_error *err)
{
    const char *missing = o->name == NULL             ? "FILE"
                          : o->trace.model[0] == '\0' ? "--model"
                          : o->trace.experts == 0     ? "--experts"
                          : o->trace.top_k == 0       ? "--top-k"
                                                      : NULL;
    if (missing != NULL)
        return moe_fail(err, MOE_USAGE, "%s is missing (see %s --help)",
                        missing, import_args.name);
    if (o->trace.top_k > o->trace.experts)
        return moe_fail(err, MOE_USAGE,
                        "--top-k: %d distinct experts of only %d",
                        o->trace.top_k, o->trace.experts);
    return moe_trace_output_check(&o->out, err);
}

static moe_status import(import_options *o, moe_error *err)
{
    double test_share = 0;
    uint64_t seed = 1;
    moe_trace *t = &o->trace;
    if (check_import(o, err) != MOE_OK ||
        (o->split != NULL &&
         moe_trace_parse_split(o->split, &test_share, &seed, err) != MOE_OK))
        return err->status;
    const moe_status status = ends_with(o->name, ".npy")
                                  ? moe_trace_from_npy(o->name, t, err)
                                  : moe_trace_from_csv(o->name, t, err);
    if (status == MOE_OK &&
        (o->split == NULL ||
         moe_trace_split(t, test_share, seed, err) == MOE_OK))
        moe_trace_output_write(&o->out, t, err);
    moe_trace_free(t);
    return err->status;
}

int moe_cmd_trace_import(int argc, char **argv)
{
    moe_error err = {0};
    import_options o = {
        .trace = {.kind = MOE_TRACE_LOADS, .shared = MPI_WIN_NULL}};
    bool help = false;
    moe_args_old_parse(&import_args, argc, argv, &o, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK)
        import(&o, &err);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}

typedef struct {
    const char *name;
    int format; /* KEY_CSV or KEY_NPY; 0: not given */
    moe_trace_output out;
} export_options;

static moe_status take_export(int key, char *arg, void *input, moe_error *err)
{
    export_options *o = input;
    switch (key) {
    case KEY_OUTPUT:
        o->out.path = arg;
        return MOE_OK;
    case KEY_FORCE:
        o->out.force = true;
        return MOE_OK;
    case KEY_CSV:
    case KEY_NPY:
        if (o->format != 0 && o->format != key)
            return moe_fail(err, MOE_USAGE, "--csv and --npy: one of them");
        o->format = key;
        return MOE_OK;
    default:
        if (o->name != NULL)
            return moe_fail(err, MOE_USAGE, "'%s': one trace only", arg);
        o->name = arg;
        return MOE_OK;
    }
}

static const struct argp_option export_table[] = {
    {"csv", KEY_CSV, NULL, 0, "all columns that `trace import` knows", 0},
    {"npy", KEY_NPY, NULL, 0,
     "load: [steps][layers][experts] uint32 pairs; token: "
     "[layers][tokens][top_k] uint16 experts",
     0},
    {"output", KEY_OUTPUT, "FILE", 0, "- is stdout", 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing file", 0},
    MOE_ARGS_HELP,
    {0}};

static const moe_args_old export_args = {.name = "moegps trace export",
                                         .args =
                                             "FILE_OR_NAME --csv|--npy -o FILE",
                                         .help = "Write a trace as a table.",
                                         .options = export_table,
                                         .take = take_export};

/* The file appears under its name when it is whole. */
static moe_status export_to(const moe_trace *t, int format,
                            const moe_trace_output *out, moe_error *err)
{
    const bool to_stdout = strcmp(out->path, "-") == 0;
    char partial[PATH_MAX];
    int n = snprintf(partial, sizeof partial, "%s.partial", out->path);
    if (n < 0 || (size_t)n >= sizeof partial)
        return moe_fail(err, MOE_USAGE, "%s: path is too long", out->path);
    FILE *f = to_stdout ? stdout : fopen(partial, "wb");
    if (f == NULL)
        return moe_fail(err, MOE_IO, "%s: cannot create: %s", partial,
                        strerror(errno));
    moe_status status = format == KEY_CSV ? moe_trace_to_csv(t, f, err)
                                          : moe_trace_to_npy(t, f, err);
    if (to_stdout)
        return status;
    if (fclose(f) != 0 || (status == MOE_OK && rename(partial, out->path) != 0))
        status = moe_fail(err, MOE_IO, "%s: cannot write: %s", out->path,
                          strerror(errno));
    if (status != MOE_OK)
        unlink(partial);
    return status;
}

int moe_cmd_trace_export(int argc, char **argv)
{
    moe_error err = {0};
    export_options o = {0};
    bool help = false;
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_args_old_parse(&export_args, argc, argv, &o, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK && o.name == NULL)
        moe_fail(&err, MOE_USAGE, "no trace given (see %s --help)",
                 export_args.name);
    if (err.status == MOE_OK && o.format == 0)
        moe_fail(&err, MOE_USAGE, "no format given: --csv or --npy");
    if (err.status == MOE_OK &&
        moe_trace_output_check(&o.out, &err) == MOE_OK &&
        moe_trace_by_name(o.name, &t, &err) == MOE_OK)
        export_to(&t, o.format, &o.out, &err);
    moe_trace_free(&t);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
