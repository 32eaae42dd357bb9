/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "load_page.h"
#include "moegps/bulk.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/outlast.h"
#include "moegps/replace.h"
#include "recorded.h"

enum { WHOLE = 2, N_PARTS = 3, TEXT_WIDTH = 64 };

static const char *const parts[N_PARTS] = {
    [MOE_PART_TRAIN] = "train", [MOE_PART_TEST] = "test", [WHOLE] = "whole"};

/* Pairs of the most popular expert / mean pairs per expert; NaN: no pairs. */
typedef struct {
    double skewness[N_PARTS];
    int popular; /* the most popular expert of the whole trace */
} layer_info;

typedef struct {
    moe_trace trace;
    uint64_t n_seqs[N_PARTS], n_tokens[N_PARTS];
    layer_info *layer;             /* [layers] */
    double skewness[N_PARTS];      /* mean over layers */
    double step_skewness[N_PARTS]; /* load traces: mean over steps, layers */
} trace_info;

typedef struct {
    const char *name, *json, *output;
    bool layers, force;
} options;

static double skewness(const uint64_t *pairs, int n, int *popular_out)
{
    uint64_t sum = 0;
    int most = 0;
    for (int e = 0; e < n; e++) {
        sum += pairs[e];
        most = pairs[e] > pairs[most] ? e : most;
    }
    if (popular_out != NULL)
        *popular_out = most;
    return sum > 0 ? (double)pairs[most] * n / (double)sum : NAN;
}

/* Pairs of a step, by part. @param pairs  [layers][WHOLE][experts] */
static void count_step(const moe_trace *t, uint64_t step, uint64_t *pairs,
                       trace_info *info)
{
    const size_t n_e = (size_t)t->experts, n_l = (size_t)t->layers;
    const uint32_t *row = t->counts + step * n_l * n_e;
    const size_t part = t->seq_part[step];
    for (size_t l = 0; l < n_l; l++, row += n_e) {
        uint64_t wide[MOE_MAX_EXPERTS];
        for (size_t e = 0; e < n_e; e++) {
            wide[e] = row[e];
            pairs[(l * WHOLE + part) * n_e + e] += row[e];
        }
        info->step_skewness[part] += skewness(wide, t->experts, NULL);
        moe_bulk_passed(row, n_e * sizeof *row);
    }
}

/* Pairs of a layer's tokens, by part. @param pairs  [WHOLE][experts] */
static void count_layer(const moe_trace *t, size_t layer, uint64_t *pairs)
{
    const size_t k = (size_t)t->top_k;
    const uint16_t *row = t->experts_of + layer * t->n_tokens * k;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        const uint64_t first = t->seq_offset[s], end = t->seq_offset[s + 1];
        uint64_t *to = pairs + t->seq_part[s] * (size_t)t->experts;
        for (size_t j = first * k; j < end * k; j++)
            to[row[j]]++;
        moe_bulk_passed(row + first * k, (end - first) * k * sizeof *row);
    }
}

/* @param pairs  [layers][WHOLE][experts] of 0 */
static void count(trace_info *info, uint64_t *pairs)
{
    const moe_trace *t = &info->trace;
    const size_t n_e = (size_t)t->experts;
    if (t->kind == MOE_TRACE_TOKENS) {
        for (size_t l = 0; l < (size_t)t->layers; l++)
            count_layer(t, l, pairs + l * WHOLE * n_e);
        for (int p = 0; p < N_PARTS; p++)
            info->step_skewness[p] = NAN;
        return;
    }
    for (uint64_t s = 0; s < t->n_seqs; s++)
        count_step(t, s, pairs, info);
    info->step_skewness[WHOLE] = info->step_skewness[MOE_PART_TRAIN] +
                                 info->step_skewness[MOE_PART_TEST];
    for (int p = 0; p < N_PARTS; p++)
        info->step_skewness[p] =
            info->n_seqs[p] > 0
                ? info->step_skewness[p] / ((double)info->n_seqs[p] * t->layers)
                : NAN;
}

/* @param pairs  [WHOLE][experts] of a layer */
static void describe_layer(const uint64_t *pairs, int experts, layer_info *out)
{
    uint64_t whole[MOE_MAX_EXPERTS];
    for (int e = 0; e < experts; e++)
        whole[e] = pairs[e] + pairs[experts + e];
    for (int p = 0; p < WHOLE; p++)
        out->skewness[p] = skewness(pairs + p * experts, experts, NULL);
    out->skewness[WHOLE] = skewness(whole, experts, &out->popular);
}

static moe_status describe(const char *name, trace_info *info, moe_error *err)
{
    moe_trace *t = &info->trace;
    moe_status status = moe_trace_by_name(name, t, err);
    if (status != MOE_OK)
        return status;
    const size_t n_e = (size_t)t->experts;
    uint64_t *pairs =
        moe_array_new((size_t)t->layers * WHOLE * n_e, sizeof *pairs, err);
    info->layer = moe_array_new((size_t)t->layers, sizeof *info->layer, err);
    if (pairs == NULL || info->layer == NULL) {
        free(pairs);
        return MOE_NOMEM;
    }
    for (uint64_t s = 0; s < t->n_seqs; s++)
        info->n_seqs[t->seq_part[s]]++;
    info->n_seqs[WHOLE] = t->n_seqs;
    for (int p = 0; p < WHOLE; p++)
        info->n_tokens[p] = moe_trace_part_tokens(t, (moe_split_part)p);
    info->n_tokens[WHOLE] = t->n_tokens;
    count(info, pairs);
    for (int l = 0; l < t->layers; l++) {
        describe_layer(pairs + (size_t)l * WHOLE * n_e, t->experts,
                       &info->layer[l]);
        for (int p = 0; p < N_PARTS; p++)
            info->skewness[p] += info->layer[l].skewness[p] / t->layers;
    }
    free(pairs);
    return MOE_OK;
}

/* Print a text behind its label, broken at spaces. */
static void print_text(const char *label, const char *text)
{
    while (*text != '\0') {
        size_t n = strlen(text);
        if (n > TEXT_WIDTH) {
            n = TEXT_WIDTH;
            while (n > 0 && text[n] != ' ')
                n--;
            if (n == 0) /* one long word */
                n = strcspn(text, " ");
        }
        printf("%-13s%.*s\n", label, (int)n, text);
        label = "";
        text += n + (text[n] == ' ');
    }
}

/* @param width  as printf's. */
static void print_number(double value, int width)
{
    if (isnan(value))
        printf("%*s", width, "n/a");
    else
        printf("%*.3f", width, value);
}

static void print_skewness(const char *label, const double *value,
                           const char *what)
{
    printf("%-13s", label);
    print_number(value[WHOLE], 0);
    fputs(" (", stdout);
    print_number(value[MOE_PART_TRAIN], 0);
    fputs(" train, ", stdout);
    print_number(value[MOE_PART_TEST], 0);
    printf(" test), %s\n", what);
}

static void print_info(const trace_info *info)
{
    const moe_trace *t = &info->trace;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    printf("%-13s%s\n", "kind", tokens ? "token" : "load");
    printf("%-13s%s\n", "model", t->model);
    printf("%-13s%d", "layers", t->layers);
    for (int l = 0; t->has_layer_number && l < t->layers; l++)
        printf("%s%d", l == 0 ? ": " : ", ", t->layer_number[l]);
    putchar('\n');
    printf("%-13s%d, %d per token%s\n", "experts", t->experts, t->top_k,
           t->ordered ? ", by falling gate weight" : "");
    printf("%-13s%s\n", "order", moe_trace_order_name(t->order));
    printf("%-13s%" PRIu64 " (%" PRIu64 " train, %" PRIu64 " test)\n",
           tokens ? "sequences" : "steps", info->n_seqs[WHOLE],
           info->n_seqs[MOE_PART_TRAIN], info->n_seqs[MOE_PART_TEST]);
    printf("%-13s%" PRIu64 " (%" PRIu64 " train, %" PRIu64 " test)%s%s\n",
           "tokens", info->n_tokens[WHOLE], info->n_tokens[MOE_PART_TRAIN],
           info->n_tokens[MOE_PART_TEST],
           t->has_position ? ", with positions" : "",
           t->has_gate ? ", with gate weights" : "");
    if (t->vocab_size > 0)
        printf("%-13s%" PRIu32 " token ids%s\n", "vocabulary", t->vocab_size,
               t->vocab != NULL ? ", with texts" : "");
    print_skewness("skewness", info->skewness, "mean over layers");
    if (!tokens)
        print_skewness("", info->step_skewness, "mean over steps, layers");
    print_text("source", t->source);
    print_text("licence", t->licence);
    print_text("note", t->note);
    printf("%-13s%s\n", "sha256", t->sha256);
}

static void print_layers(const trace_info *info)
{
    printf("\n%5s%7s%7s%7s%9s\n", "layer", "whole", "train", "test", "popular");
    for (int l = 0; l < info->trace.layers; l++) {
        const layer_info *layer = &info->layer[l];
        printf("%5d", moe_trace_layer_number(&info->trace, l));
        print_number(layer->skewness[WHOLE], 7);
        print_number(layer->skewness[MOE_PART_TRAIN], 7);
        print_number(layer->skewness[MOE_PART_TEST], 7);
        printf("%9d\n", layer->popular);
    }
}

/* JSON has no NaN. */
static json_t *reals(const double *value, moe_error *err)
{
    json_t *object = json_object();
    for (int p = 0; p < N_PARTS; p++)
        moe_json_put(object, parts[p], moe_json_number(value[p]), err);
    return object;
}

static json_t *integers(const uint64_t *value, moe_error *err)
{
    json_t *object = json_object();
    for (int p = 0; p < N_PARTS; p++)
        moe_json_put_integer(object, parts[p], (json_int_t)value[p], err);
    return object;
}

static json_t *to_json(const trace_info *info, moe_error *err)
{
    const moe_trace *t = &info->trace;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    json_t *layers = json_array();
    for (int l = 0; l < t->layers; l++) {
        json_t *row =
            json_pack("{s:i, s:o, s:i}", "layer", moe_trace_layer_number(t, l),
                      "skewness", reals(info->layer[l].skewness, err),
                      "popular_expert", info->layer[l].popular);
        moe_json_add(layers, row, err);
    }
    json_t *root = json_pack(
        "{s:s, s:o, s:i, s:i, s:i, s:b, s:o, s:o, s:I, s:b, s:b}", "kind",
        tokens ? "token" : "load", "model", moe_json_text(t->model), "layers",
        t->layers, "experts", t->experts, "top_k", t->top_k, "ordered",
        (int)t->ordered, tokens ? "sequences" : "steps",
        integers(info->n_seqs, err), "tokens", integers(info->n_tokens, err),
        "vocab_size", (json_int_t)t->vocab_size, "has_position",
        (int)t->has_position, "has_gate", (int)t->has_gate);
    moe_json_put(root, "skewness", reals(info->skewness, err), err);
    if (!tokens)
        moe_json_put(root, "step_skewness", reals(info->step_skewness, err),
                     err);
    moe_json_put(root, "per_layer", layers, err);
    moe_json_put_text(root, "order", moe_trace_order_name(t->order), err);
    moe_json_put_text(root, "source", t->source, err);
    moe_json_put_text(root, "licence", t->licence, err);
    moe_json_put_text(root, "note", t->note, err);
    moe_json_put_text(root, "sha256", t->sha256, err);
    return root;
}

/* What `trace check` says of it. */
static void print_check(const char *name, moe_error *err)
{
    const moe_recording_options any = {.kind = MOE_RECORDING_ANY};
    char path[PATH_MAX];
    moe_remarks lines = {0};
    moe_recording r = {.kind = MOE_RECORDING_ANY};
    if (moe_trace_path(name, path, sizeof path, err) != MOE_OK ||
        moe_recording_read(path, &any, &r, err) != MOE_OK)
        return;
    moe_recorded_check(&r, &lines, err);
    for (size_t i = 0; i < lines.n; i++) {
        char *what = strchr(lines.text[i], ':');
        *what = '\0';
        print_text(lines.text[i], what + 2);
    }
    moe_remarks_fini(&lines);
    moe_recording_fini(&r);
}

#define AT(member) MOE_OPT_AT(options, member)
static const moe_opt rows[] = {
    MOE_ARGS_OUTPUT("", "DIR",
                    "of loads, write a page, DIR/loads.html: how uneven they "
                    "are, and how they drift"),
    MOE_ARGS_JSON,
    MOE_ARGS_FLAG("layers", layers, "a line for every layer"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "FILE|NAME", .type = MOE_OPT_STRING, AT(name)}, {.key = NULL}};

static const moe_args args = {
    .name = "moegps trace info",
    .example = "moegps trace info mixtral-8x7b-mmlu",
    .help = "Say what a trace holds. Skewness is the pairs of the most popular "
            "expert over the mean pairs per expert.",
    .rows = rows,
    .arguments = arguments};

static void write_page(const options *o, const trace_info *info, moe_error *err)
{
    const moe_trace *t = &info->trace;
    const size_t n_rows = t->n_seqs * (size_t)t->layers;
    const size_t n_e = (size_t)t->experts;
    double drift[MOE_OUTLAST_LAGS];
    double *load = moe_bulk_new(n_rows * n_e, sizeof *load, err);
    double *uneven = moe_array_new(n_rows, sizeof *uneven, err);
    moe_document *doc = moe_document_new(err);
    for (size_t i = 0; err->status == MOE_OK && i < n_rows; i++) {
        double most = 0, sum = 0;
        for (size_t e = 0; e < n_e; e++) {
            load[i * n_e + e] = t->counts[i * n_e + e];
            most = fmax(most, load[i * n_e + e]);
            sum += load[i * n_e + e];
        }
        uneven[i] = most * t->experts / sum;
        moe_bulk_passed(t->counts + i * n_e, n_e * sizeof *t->counts);
        moe_bulk_passed(load + i * n_e, n_e * sizeof *load);
    }
    if (err->status == MOE_OK) {
        const moe_plot_loads loads = {.steps = (int)t->n_seqs,
                                      .layers = t->layers,
                                      .uneven = uneven,
                                      .lags = moe_outlast_lags(t->n_seqs),
                                      .drift = drift};
        moe_outlast_drift(load, t->n_seqs, t->layers, t->experts, drift);
        moe_doc_say(doc, MOE_DOC_TITLE, "Loads of %s", o->name);
        moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                    "%s: %llu steps, %d layers, %d experts, %d a token. "
                    "Uneven: the load of the busiest expert over the mean.",
                    t->model, (unsigned long long)t->n_seqs, t->layers,
                    t->experts, t->top_k);
        moe_load_page(o->output, "loads", o->force, doc, &loads, err);
    }
    moe_document_free(doc);
    free(uneven);
    moe_bulk_free(load);
}

static void tell(const options *o, moe_error *err)
{
    trace_info info = {.trace = {.shared = MPI_WIN_NULL}};
    moe_replace_check(o->json, o->force, err);
    if (o->output != NULL)
        moe_load_page_check(o->output, "loads", o->force, err);
    if (err->status == MOE_OK)
        describe(o->name, &info, err);
    if (err->status == MOE_OK && o->output != NULL && info.trace.counts == NULL)
        moe_fail(err, MOE_USAGE,
                 "--output: a page is of loads; this trace has tokens");
    if (err->status == MOE_OK &&
        (o->json == NULL || strcmp(o->json, "-") != 0)) {
        print_info(&info);
        print_check(o->name, err);
        if (o->layers)
            print_layers(&info);
    }
    if (err->status == MOE_OK && o->output != NULL)
        write_page(o, &info, err);
    if (err->status == MOE_OK && o->json != NULL)
        moe_json_write(to_json(&info, err),
                       JSON_INDENT(2) | JSON_REAL_PRECISION(15), o->json,
                       o->force, err);
    free(info.layer);
    moe_trace_free(&info.trace);
}

int moe_cmd_trace_info(int argc, char **argv)
{
    moe_error err = {0};
    options o = {0};
    if (moe_args_parse(&args, argc, argv, &o, &err))
        tell(&o, &err);
    return moe_args_end(&args, &o, &err);
}
