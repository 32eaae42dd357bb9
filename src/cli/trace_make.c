/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/mem.h"
#include "moegps/model.h"
#include "moegps/profile.h"
#include "moegps/ranges.h"
#include "moegps/replace.h"
#include "moegps/synth.h"
#include "moegps/text.h"
#include "parse.h"

/* ---- synth ---- */

typedef struct {
    moe_synth_params params; /* first, for moe_synth_options */
    const char *output;
    bool force;
} synth_options;

#define AT(member) MOE_OPT_AT(synth_options, member)
static const moe_opt synth_rows[] = {
    MOE_ARGS_OUTPUT(NULL, "FILE", "trace file"), MOE_ARGS_FORCE, {.key = NULL}};
#undef AT

/* Sizes that were not given are those of the named model, if there is a
 * profile of it.
 * @param given  [moe_synth_options] which were. */
static void size_by_model(moe_synth_params *p, const bool *given,
                          moe_error *err)
{
    char path[1024];
    moe_error unknown = {0};
    moe_model m;
    if (moe_profile_find("models", p->model, ".yaml", path, sizeof path,
                         &unknown) != MOE_OK ||
        moe_model_read(p->model, &m, err) != MOE_OK)
        return;
    const struct {
        const char *key;
        int *to, size;
    } sizes[] = {{"layers", &p->layers, m.layers},
                 {"experts", &p->experts, m.experts},
                 {"top_k", &p->top_k, m.top_k}};
    snprintf(p->model, sizeof p->model, "%s", m.name);
    for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++)
        if (!given[moe_opt_find(moe_synth_options, sizes[i].key) -
                   moe_synth_options])
            *sizes[i].to = sizes[i].size;
}

static void synth(synth_options *o, const bool *given, moe_error *err)
{
    moe_trace t = {.shared = MPI_WIN_NULL};
    size_by_model(&o->params, given, err);
    moe_replace_check(o->output, o->force, err);
    if (err->status == MOE_OK && moe_synth(&o->params, &t, err) == MOE_OK)
        moe_trace_save(o->output, o->force, &t, err);
    moe_trace_free(&t);
}

int moe_cmd_trace_synth(int argc, char **argv)
{
    moe_error err = {0};
    bool given[MOE_ARGS_MAX_ROWS];
    synth_options o = {.output = NULL};
    const moe_args args = {.name = "moegps trace synth",
                           .example = "moegps trace synth --kind load --sigma "
                                      "0.8 --drift 0.05 -o synth.h5",
                           .help =
                               "Make a trace. Equal options make equal traces.",
                           .rows = moe_synth_options,
                           .more = synth_rows,
                           .given = given};
    if (moe_args_parse(&args, argc, argv, &o, &err))
        synth(&o, given, &err);
    return moe_args_end(&args, &o, &err);
}

/* ---- slice ---- */

/* FIRST:END, of which one or both may be missing. */
typedef struct {
    const char *text; /* as typed; NULL: all */
    uint64_t first, end;
} seq_range;

typedef struct {
    const char *name, *layers, *output;
    seq_range seqs, tokens;
    moe_parsed_split split;
    bool force;
} slice_options;

static moe_status parse_seqs(const char *text, void *out, moe_error *err)
{
    seq_range range = {.text = text, .end = UINT64_MAX};
    const char *at = text;
    bool ok = *at == ':' || moe_parse_digits(&at, &range.first);
    ok = ok && *at++ == ':';
    ok = ok && (*at == '\0' || moe_parse_digits(&at, &range.end));
    if (!ok || *at != '\0')
        return moe_fail(err, MOE_USAGE, "'%s' is not FIRST:END", text);
    *(seq_range *)out = range;
    return MOE_OK;
}

#define AT(member) MOE_OPT_AT(slice_options, member)
static const moe_opt slice_rows[] = {
    MOE_ARGS_CALL("seqs", seqs, "", parse_seqs, "FIRST:END",
                  "sequences or steps to keep, END excluded; default: all"),
    MOE_ARGS_CALL("tokens", tokens, "", parse_seqs, "FIRST:END",
                  "tokens to keep, whose sequences are cut; default: all"),
    MOE_ARGS_STRING("layers", layers, "", "LIST",
                    "layers to keep, by number, as in 0,3,8-11; default: all"),
    MOE_ARGS_SPLIT(
        "default: tail=0.3 where the order is time and --seqs or --tokens "
        "cuts, "
        "else as they are"),
    MOE_ARGS_OUTPUT(NULL, "FILE", "trace file"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt slice_arguments[] = {
    {.key = "FILE|NAME", .type = MOE_OPT_STRING, AT(name)}, {.key = NULL}};
#undef AT

static const moe_args slice_args = {
    .name = "moegps trace slice",
    .example = "moegps trace slice gpt-oss-20b-mmlu --layers 0,12 -o slice.h5",
    .help = "Keep some sequences, tokens and layers of a trace. Sequences are "
            "numbered from 0 again; layers keep their numbers.",
    .rows = slice_rows,
    .arguments = slice_arguments};

/* The layers of the trace that have these numbers.
 * @param list  [n_layers of the trace] */
static moe_status find_layers(const char *text, const moe_trace *t, int *list,
                              moe_trace_range *range, moe_error *err)
{
    moe_ranges wanted = {0};
    const int most = moe_trace_layer_number(t, t->layers - 1);
    if (moe_ranges_parse(text, most, &wanted, err) != MOE_OK)
        moe_error_prefix(err, "--layers");
    for (size_t i = 0; err->status == MOE_OK && i < wanted.n; i++) {
        list[i] = moe_trace_find_layer(t, wanted.number[i]);
        if (list[i] < 0)
            moe_fail(err, MOE_USAGE, "--layers: the trace has no layer %d",
                     wanted.number[i]);
    }
    range->layers = list;
    range->n_layers = (int)wanted.n;
    moe_ranges_fini(&wanted);
    return err->status;
}

/* A piece of a series has a future of its own. */
static bool divides(const moe_trace *t, const slice_options *o)
{
    return o->split.text != NULL ||
           (t->order == MOE_ORDER_TIME &&
            (o->seqs.text != NULL || o->tokens.text != NULL));
}

static void append_note(moe_trace *t, const slice_options *o)
{
    moe_text_add(t->note, sizeof t->note, " ",
                 "Slice of %s: sequences %s, tokens %s, layers %s, split %s.",
                 o->name, o->seqs.text != NULL ? o->seqs.text : "all",
                 o->tokens.text != NULL ? o->tokens.text : "all",
                 o->layers != NULL ? o->layers : "all",
                 o->split.text != NULL ? o->split.text
                 : divides(t, o)       ? "tail=0.3"
                                       : "kept");
}

static void keep(const slice_options *o, const moe_trace *in, int *list,
                 moe_error *err)
{
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_trace_range range = {.end_seq = in->n_seqs};
    if (o->seqs.text != NULL)
        range.first_seq = o->seqs.first;
    if (o->seqs.text != NULL && o->seqs.end != UINT64_MAX)
        range.end_seq = o->seqs.end;
    if (o->tokens.text != NULL) {
        range.first_token = o->tokens.first;
        range.end_token =
            o->tokens.end != UINT64_MAX ? o->tokens.end : in->n_tokens;
    }
    if (o->layers != NULL)
        find_layers(o->layers, in, list, &range, err);
    if (err->status == MOE_OK &&
        moe_trace_slice(in, &range, &t, err) == MOE_OK) {
        if (divides(&t, o))
            moe_trace_divide(&t, &o->split.how);
        append_note(&t, o);
        moe_trace_save(o->output, o->force, &t, err);
    }
    moe_trace_free(&t);
}

static void slice(const slice_options *o, moe_error *err)
{
    moe_trace in = {.shared = MPI_WIN_NULL};
    if (moe_replace_check(o->output, o->force, err) != MOE_OK ||
        moe_trace_by_name(o->name, &in, err) != MOE_OK)
        return;
    int *list = moe_array_new((size_t)in.layers, sizeof *list, err);
    if (list != NULL)
        keep(o, &in, list, err);
    free(list);
    moe_trace_free(&in);
}

int moe_cmd_trace_slice(int argc, char **argv)
{
    moe_error err = {0};
    slice_options o = {.split.how = moe_trace_split_default};
    if (moe_args_parse(&slice_args, argc, argv, &o, &err))
        slice(&o, &err);
    return moe_args_end(&slice_args, &o, &err);
}
