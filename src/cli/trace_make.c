/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args_old.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/model.h"
#include "moegps/profile.h"
#include "moegps/synth.h"

enum { KEY_FIRST_ROW = 1000, MAX_ROWS = 32 }; /* keys of moe_synth_options */
enum { KEY_OUTPUT = 'o', KEY_FORCE = 'f', KEY_SEQS = 1, KEY_LAYERS, KEY_SPLIT };

typedef struct {
    moe_synth_params params;
    bool sized[3]; /* layers, experts, top_k were given */
    moe_trace_output out;
} synth_options;

/* argp options made of moe_synth_options, so that nothing is said twice. */
typedef struct {
    struct argp_option option[MAX_ROWS + 4];
    char name[MAX_ROWS][32], help[MAX_ROWS][192];
} synth_table;

static void fill_table(synth_table *table)
{
    int n = 0;
    for (const moe_opt *row = moe_synth_options; row->key != NULL; row++, n++) {
        snprintf(table->name[n], sizeof table->name[n], "%s", row->key);
        for (char *c = table->name[n]; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        char allowed[96] = "";
        if (row->choices != NULL)
            moe_opt_allowed(row, allowed, sizeof allowed);
        snprintf(table->help[n], sizeof table->help[n], "%s%s%s (%s)",
                 row->help, allowed[0] != '\0' ? ": " : "", allowed,
                 row->initial[0] != '\0' ? row->initial : "none");
        table->option[n] = (struct argp_option){
            table->name[n],
            KEY_FIRST_ROW + n,
            row->choices != NULL || row->type == MOE_OPT_TEXT ? "WORD" : "N",
            0,
            table->help[n],
            0};
    }
    table->option[n++] =
        (struct argp_option){"output", KEY_OUTPUT, "FILE", 0, "trace file", 0};
    table->option[n++] = (struct argp_option){
        "force", KEY_FORCE, NULL, 0, "replace an existing file", 0};
    table->option[n] = (struct argp_option)MOE_ARGS_HELP;
}

/* Sizes that were not given are those of the named model, if there is a
 * profile of it. */
static void size_by_model(synth_options *o, moe_error *err)
{
    char path[1024], *text = NULL;
    moe_error unknown = {0};
    moe_model m;
    if (moe_profile_find("models", o->params.model, ".yaml", path, sizeof path,
                         &unknown) != MOE_OK ||
        moe_read_text(path, &text, err) != MOE_OK)
        return;
    if (moe_model_parse(text, path, &m, err) == MOE_OK) {
        snprintf(o->params.model, sizeof o->params.model, "%s", m.name);
        o->params.layers = o->sized[0] ? o->params.layers : m.layers;
        o->params.experts = o->sized[1] ? o->params.experts : m.experts;
        o->params.top_k = o->sized[2] ? o->params.top_k : m.top_k;
    }
    free(text);
}

static moe_status take_synth(int key, char *arg, void *input, moe_error *err)
{
    static const char *const sizes[] = {"layers", "experts", "top_k"};
    synth_options *o = input;
    if (key == KEY_OUTPUT)
        o->out.path = arg;
    else if (key == KEY_FORCE)
        o->out.force = true;
    else if (key >= KEY_FIRST_ROW) {
        const moe_opt *row = &moe_synth_options[key - KEY_FIRST_ROW];
        for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++)
            o->sized[i] = o->sized[i] || strcmp(row->key, sizes[i]) == 0;
        return moe_opt_parse(row, arg, &o->params, err);
    } else
        return moe_fail(err, MOE_USAGE, "'%s': no argument is expected", arg);
    return MOE_OK;
}

int moe_cmd_trace_synth(int argc, char **argv)
{
    moe_error err = {0};
    bool help = false;
    static synth_options o;
    synth_table table;
    memset(&table, 0, sizeof table);
    fill_table(&table);
    const moe_args_old args = {
        .name = "moegps trace synth",
        .args = "-o FILE",
        .help = "Make a trace. Equal options make equal traces. In brackets: "
                "what an option is without you.",
        .options = table.option,
        .take = take_synth};
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_opt_defaults(moe_synth_options, &o.params);
    moe_args_old_parse(&args, argc, argv, &o, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK)
        size_by_model(&o, &err);
    if (err.status == MOE_OK &&
        moe_trace_output_check(&o.out, &err) == MOE_OK &&
        moe_synth(&o.params, &t, &err) == MOE_OK)
        moe_trace_output_write(&o.out, &t, &err);
    moe_trace_free(&t);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}

typedef struct {
    const char *name, *seqs, *layers, *split;
    moe_trace_output out;
} slice_options;

static moe_status take_slice(int key, char *arg, void *input, moe_error *err)
{
    slice_options *o = input;
    switch (key) {
    case KEY_OUTPUT:
        o->out.path = arg;
        return MOE_OK;
    case KEY_FORCE:
        o->out.force = true;
        return MOE_OK;
    case KEY_SEQS:
        o->seqs = arg;
        return MOE_OK;
    case KEY_LAYERS:
        o->layers = arg;
        return MOE_OK;
    case KEY_SPLIT:
        o->split = arg;
        return MOE_OK;
    default:
        if (o->name != NULL)
            return moe_fail(err, MOE_USAGE, "'%s': one trace only", arg);
        o->name = arg;
        return MOE_OK;
    }
}

/* A run of digits; moves on behind it. @return false: there is none. */
static bool digits(const char **at, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

/* `a:b`, `a:`, `:b` */
static moe_status parse_seqs(const char *text, moe_trace_range *range,
                             moe_error *err)
{
    const char *at = text;
    bool ok = *at == ':' || digits(&at, &range->first_seq);
    ok = ok && *at++ == ':';
    ok = ok && (*at == '\0' || digits(&at, &range->end_seq)) && *at == '\0';
    if (ok)
        return MOE_OK;
    return moe_fail(err, MOE_USAGE, "--seqs: '%s' is not FIRST:END", text);
}

/* `0,3,8-11`
 * @param list  [n_layers of the trace]; a longer list has one twice */
static moe_status parse_layers(const char *text, int n_layers, int *list,
                               moe_trace_range *range, moe_error *err)
{
    const char *at = text;
    int n = 0;
    do {
        uint64_t first = 0, last = 0;
        if (!digits(&at, &first))
            goto bad;
        last = first;
        if (*at == '-' && (at++, !digits(&at, &last)))
            goto bad;
        if (last >= (uint64_t)n_layers || first > last)
            return moe_fail(err, MOE_USAGE,
                            "--layers: '%s': not all are in 0..%d", text,
                            n_layers - 1);
        for (uint64_t l = first; l <= last; l++) {
            if (n == n_layers)
                return moe_fail(err, MOE_USAGE,
                                "--layers: '%s' has a layer twice", text);
            list[n++] = (int)l;
        }
    } while (*at == ',' && at++);
    if (*at != '\0')
        goto bad;
    range->layers = list;
    range->n_layers = n;
    return MOE_OK;
bad:
    return moe_fail(err, MOE_USAGE,
                    "--layers: '%s' is not a list as in 0,3,8-11", text);
}

static void append_note(moe_trace *t, const slice_options *o)
{
    size_t used = strlen(t->note);
    snprintf(t->note + used, sizeof t->note - used,
             "%sSlice of %s: sequences %s, layers %s, split %s.",
             used > 0 ? " " : "", o->name, o->seqs != NULL ? o->seqs : "all",
             o->layers != NULL ? o->layers : "all",
             o->split != NULL ? o->split : "kept");
}

static moe_status slice(const slice_options *o, moe_error *err)
{
    moe_trace in = {.shared = MPI_WIN_NULL}, t = {.shared = MPI_WIN_NULL};
    int *list = NULL;
    double test_share = 0;
    uint64_t seed = 1;
    if (moe_trace_output_check(&o->out, err) != MOE_OK ||
        (o->split != NULL &&
         moe_trace_parse_split(o->split, &test_share, &seed, err) != MOE_OK) ||
        moe_trace_by_name(o->name, &in, err) != MOE_OK)
        goto out;
    moe_trace_range range = {.end_seq = in.n_seqs};
    if (o->seqs != NULL && parse_seqs(o->seqs, &range, err) != MOE_OK)
        goto out;
    list = moe_array_new((size_t)in.layers, sizeof *list, err);
    if (list == NULL ||
        (o->layers != NULL &&
         parse_layers(o->layers, in.layers, list, &range, err) != MOE_OK))
        goto out;
    if (moe_trace_slice(&in, &range, &t, err) != MOE_OK ||
        (o->split != NULL &&
         moe_trace_split(&t, test_share, seed, err) != MOE_OK))
        goto out;
    append_note(&t, o);
    moe_trace_output_write(&o->out, &t, err);
out:
    free(list);
    moe_trace_free(&t);
    moe_trace_free(&in);
    return err->status;
}

static const struct argp_option slice_table[] = {
    {"seqs", KEY_SEQS, "FIRST:END", 0,
     "sequences or steps to keep, END excluded (all)", 0},
    {"layers", KEY_LAYERS, "LIST", 0, "layers to keep, as in 0,3,8-11 (all)",
     0},
    {"split", KEY_SPLIT, "train=SHARE[,seed=N]", 0,
     "draw train and test anew (kept)", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "trace file", 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing file", 0},
    MOE_ARGS_HELP,
    {0}};

static const moe_args_old slice_args = {
    .name = "moegps trace slice",
    .args = "FILE_OR_NAME -o FILE",
    .help = "Keep some sequences and layers of a trace; both are numbered from "
            "0 again.",
    .options = slice_table,
    .take = take_slice};

int moe_cmd_trace_slice(int argc, char **argv)
{
    moe_error err = {0};
    slice_options o = {0};
    bool help = false;
    moe_args_old_parse(&slice_args, argc, argv, &o, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK && o.name == NULL)
        moe_fail(&err, MOE_USAGE, "no trace given (see %s --help)",
                 slice_args.name);
    if (err.status == MOE_OK)
        slice(&o, &err);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
