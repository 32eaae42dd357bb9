/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "moegps/document.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/replace.h"

/* One number of a row, as CSV and JSON name it. */
typedef struct {
    const char *name;
    size_t offset; /* of a moe_estimate, or of a double */
    bool plain;    /* a double: has no interval */
} metric;

#define ROW(member) offsetof(moe_evaluation_row, member)
static const metric metrics[] = {{"skewness", ROW(skewness), true},
                                 {"error", ROW(error), false},
                                 {"error_floor", ROW(error_floor), true},
                                 {"batch_error", ROW(batch_error), false},
                                 {"batch_error_floor", ROW(batch_floor), true},
                                 {"top1", ROW(top1), false},
                                 {"recall", ROW(recall), false},
                                 {"calibration", ROW(calibration), false}};

static moe_estimate value_of(const moe_evaluation_row *row, const metric *f)
{
    moe_estimate x = {NAN, NAN, NAN};
    memcpy(&x, (const char *)row + f->offset,
           f->plain ? sizeof x.value : sizeof x);
    return x;
}

/* ---- tables ---- */

static void percent(moe_table *t, double value)
{
    if (isnan(value))
        moe_table_cell(t, "n/a");
    else
        moe_table_cell(t, "%.2f", 100 * value);
}

static void estimate(moe_table *t, const moe_estimate *x)
{
    if (isnan(x->value) || isnan(x->ci_low))
        percent(t, x->value);
    else
        moe_table_cell(t, "%.2f (%.2f..%.2f)", 100 * x->value, 100 * x->ci_low,
                       100 * x->ci_high);
}

static void row_cells(moe_table *t, const moe_evaluation_row *row)
{
    estimate(t, &row->error);
    percent(t, row->error_floor);
    estimate(t, &row->batch_error);
    percent(t, row->batch_floor);
    estimate(t, &row->top1);
    estimate(t, &row->recall);
    estimate(t, &row->calibration);
}

#define ACCURACY_COLUMNS                                                    \
    {"error", "% (95 % CI)", MOE_RIGHT}, {"by chance", "%", MOE_RIGHT},     \
        {"per batch", "% (95 % CI)", MOE_RIGHT},                            \
        {"by chance", "%", MOE_RIGHT}, {"top-1", "% of tokens", MOE_RIGHT}, \
        {"recall", "% of experts", MOE_RIGHT},                              \
    {                                                                       \
        "calibration", "% of pairs", MOE_RIGHT                              \
    }

static void say_accuracy(moe_document *doc, const moe_evaluate_report *r)
{
    static const moe_column columns[] = {{"predictor", NULL, MOE_LEFT},
                                         ACCURACY_COLUMNS};
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Accuracy, means over layers. error: sum over experts of "
                "|foretold - true share|, of all test tokens together and "
                "per batch (median); by chance: of the true distribution, if "
                "tokens were drawn from it at random, each alone; "
                "calibration: sum over ten bins of "
                "probability of |foretold - true pairs|");
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < r->n; i++) {
        moe_table_cell(t, "%s", r->subject[i].label);
        row_cells(t, &r->subject[i].result.mean);
    }
}

static moe_price_source least_certain(const moe_evaluate_report *r)
{
    moe_price_source worst = MOE_PRICE_TABULATED;
    for (size_t i = 0; i < r->n; i++)
        if (r->subject[i].result.price_source > worst)
            worst = r->subject[i].result.price_source;
    return worst;
}

static const char *sight_of(const moe_predictor *p, char *text, size_t size)
{
    return p->knows_future ? "the truth"
                           : moe_horizon_text(p->sees, text, size);
}

static void horizon_cells(moe_table *t, const moe_evaluate_subject *s)
{
    char text[256];
    if (s->result.lookahead == MOE_LOOKAHEAD_ALL)
        moe_table_cell(t, "all");
    else
        moe_table_cell(t, "%d", s->result.lookahead);
    moe_table_cell(t, "%s", sight_of(s->predictor, text, sizeof text));
}

static void say_costs(moe_document *doc, const moe_evaluate_report *r)
{
    static const moe_column columns[] = {
        {"predictor", NULL, MOE_LEFT},
        {"numbers", "held", MOE_RIGHT},
        {"FLOP", "per token and layer", MOE_RIGHT},
        {"CPU time", "per token and layer, median", MOE_RIGHT},
        {"min .. max", NULL, MOE_RIGHT},
        {"set-up", "CPU time", MOE_RIGHT},
        {"gpu clock", "per layer and batch", MOE_RIGHT},
        {"plan", "layers ahead", MOE_RIGHT},
        {"looks at", NULL, MOE_LEFT}};
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Cost. CPU time: measured on this machine, all threads "
                "together");
    if (r->priced)
        fprintf(moe_doc_words(doc),
                "; gpu clock: modelled, %s prices, one of %d GPUs of %s",
                moe_price_source_name(least_certain(r)), r->gpus,
                r->cluster.name);
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < r->n; i++) {
        const moe_evaluation *v = &r->subject[i].result;
        moe_table_cell(t, "%s", r->subject[i].label);
        moe_table_cell(t, "%zu", v->parameters);
        moe_table_put(t, moe_digits_cell(v->flops, 4));
        moe_table_put(t, moe_time_cell(v->cpu_s.median));
        moe_table_interval(t, moe_time_cell, v->cpu_s.min, v->cpu_s.max);
        moe_table_put(t, moe_time_cell(v->train_cpu_s));
        moe_table_put(t, moe_time_cell(v->price_s));
        horizon_cells(t, &r->subject[i]);
    }
}

static int layer_number(const moe_evaluate_report *r, const moe_evaluation *v,
                        int l)
{
    return moe_trace_layer_number(r->trace, v->layers[l]);
}

static void say_layers(moe_document *doc, const moe_evaluate_report *r)
{
    static const moe_column columns[] = {{"layer", NULL, MOE_RIGHT},
                                         {"skewness", NULL, MOE_RIGHT},
                                         ACCURACY_COLUMNS};
    for (size_t i = 0; i < r->n; i++) {
        const moe_evaluation *v = &r->subject[i].result;
        moe_doc_say(doc, MOE_DOC_CAPTION, "%s, layer by layer",
                    r->subject[i].label);
        moe_table *t =
            moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
        for (int l = 0; l < v->n_layers; l++) {
            moe_table_cell(t, "%d", layer_number(r, v, l));
            moe_table_put(t, moe_number_cell(v->layer[l].skewness));
            row_cells(t, &v->layer[l]);
        }
    }
}

void moe_evaluate_say(moe_document *doc, const moe_evaluate_report *r)
{
    const moe_evaluation *v = &r->subject[0].result;
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "%s, test part: %" PRIu64 " tokens of %" PRIu64
                " %s, %d layers, skewness %.2f (mean over layers)",
                r->trace_name, v->tokens, v->sequences,
                r->trace->kind == MOE_TRACE_TOKENS ? "sequences" : "steps",
                v->n_layers, v->mean.skewness);
    moe_doc_say(doc, MOE_DOC_UNDER, "batches: %" PRIu64 " of %.0f tokens, %s",
                v->batches, v->batch_tokens,
                v->recorded ? "in recorded order" : "shuffled");
    if (v->clusters > 0)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "intervals: over %d clusters of the trace, each left out "
                    "once; per batch: over batches",
                    v->clusters);
    say_accuracy(doc, r);
    say_costs(doc, r);
    if (r->per_layer)
        say_layers(doc, r);
}

/* ---- CSV ---- */

static void csv_number(double x, FILE *out)
{
    enum { DIGITS = 7 };
    fprintf(out, ",%s", isnan(x) ? "" : moe_digits_cell(x, DIGITS).text);
}

static void csv_head(FILE *out)
{
    fputs("predictor,layer", out);
    for (size_t f = 0; f < MOE_ARRAY_LEN(metrics); f++) {
        const char *name = metrics[f].name;
        fprintf(out, ",%s", name);
        if (!metrics[f].plain)
            fprintf(out, ",%s_ci_low,%s_ci_high", name, name);
    }
    fputs(",numbers,flop_per_token_layer,cpu_per_token_layer_s,setup_cpu_s,"
          "gpu_clock_per_layer_s\n",
          out);
}

/* @param l  -1: means over layers */
static void csv_row(const moe_evaluate_report *r, const moe_evaluate_subject *s,
                    int l, FILE *out)
{
    const moe_evaluation *v = &s->result;
    const moe_evaluation_row *row = l < 0 ? &v->mean : &v->layer[l];
    moe_plain_csv(s->label, out);
    fputc(',', out);
    if (l >= 0)
        fprintf(out, "%d", layer_number(r, v, l));
    for (size_t f = 0; f < MOE_ARRAY_LEN(metrics); f++) {
        const moe_estimate x = value_of(row, &metrics[f]);
        csv_number(x.value, out);
        if (metrics[f].plain)
            continue;
        csv_number(x.ci_low, out);
        csv_number(x.ci_high, out);
    }
    fprintf(out, ",%zu", v->parameters);
    csv_number(v->flops, out);
    csv_number(v->cpu_s.median, out);
    csv_number(v->train_cpu_s, out);
    csv_number(v->price_s, out);
    fputc('\n', out);
}

moe_status moe_evaluate_write_csv(const moe_evaluate_report *r,
                                  const char *path, bool force, moe_error *err)
{
    moe_replace to;
    FILE *out = moe_replace_open(&to, path, force, err);
    if (out == NULL)
        return err->status;
    csv_head(out);
    for (size_t i = 0; i < r->n; i++)
        for (int l = -1; l < r->subject[i].result.n_layers; l++)
            csv_row(r, &r->subject[i], l, out);
    return moe_replace_close(&to, out, err);
}

/* ---- JSON ---- */

#define ESTIMATE(key, member) MOE_JSON_MEMBER(key, moe_estimate, member)
static json_t *row_json(const moe_evaluation_row *row, moe_error *err)
{
    static const moe_json_member members[] = {ESTIMATE("value", value),
                                              ESTIMATE("ci_low", ci_low),
                                              ESTIMATE("ci_high", ci_high)};
    json_t *o = json_object();
    for (size_t f = 0; f < MOE_ARRAY_LEN(metrics); f++) {
        const moe_estimate x = value_of(row, &metrics[f]);
        moe_json_put(
            o, metrics[f].name,
            metrics[f].plain
                ? moe_json_number(x.value)
                : moe_json_members(members, MOE_ARRAY_LEN(members), &x, err),
            err);
    }
    return o;
}

static json_t *layers_json(const moe_evaluate_report *r,
                           const moe_evaluation *v, moe_error *err)
{
    json_t *layers = json_array();
    for (int l = 0; l < v->n_layers; l++) {
        json_t *row = row_json(&v->layer[l], err);
        moe_json_put_integer(row, "layer", layer_number(r, v, l), err);
        moe_json_add(layers, row, err);
    }
    return layers;
}

#define CPU(key, member) MOE_JSON_MEMBER(key, moe_summary, member)
#define RESULT(key, member) MOE_JSON_MEMBER(key, moe_evaluation, member)
static json_t *subject_json(const moe_evaluate_report *r,
                            const moe_evaluate_subject *s, moe_error *err)
{
    static const moe_json_member cpu[] = {
        CPU("median", median), CPU("min", min), CPU("max", max), CPU("n", n)};
    static const moe_json_member size[] = {
        RESULT("numbers", parameters), RESULT("flop_per_token_layer", flops)};
    static const moe_json_member cost[] = {
        RESULT("setup_cpu_s", train_cpu_s),
        RESULT("gpu_clock_per_layer_s", price_s)};
    const moe_evaluation *v = &s->result;
    json_t *o = json_object();
    moe_json_put_text(o, "predictor", s->label, err);
    moe_json_put_text(o, "forecast",
                      v->forecast == MOE_FORECAST_TOKENS ? "tokens" : "load",
                      err);
    moe_json_put_members(o, size, MOE_ARRAY_LEN(size), v, err);
    moe_json_put(o, "cpu_per_token_layer_s",
                 moe_json_members(cpu, MOE_ARRAY_LEN(cpu), &v->cpu_s, err),
                 err);
    moe_json_put_members(o, cost, MOE_ARRAY_LEN(cost), v, err);
    char sight[256];
    moe_json_put_text(o, "looks_at",
                      sight_of(s->predictor, sight, sizeof sight), err);
    if (v->lookahead != MOE_LOOKAHEAD_ALL)
        moe_json_put_integer(o, "lookahead", v->lookahead, err);
    if (r->priced && v->price_s > 0)
        moe_json_put_text(o, "price_source",
                          moe_price_source_name(v->price_source), err);
    moe_json_put(o, "mean", row_json(&v->mean, err), err);
    moe_json_put(o, "per_layer", layers_json(r, v, err), err);
    return o;
}

#define ASKED(key, member) MOE_JSON_MEMBER(key, moe_evaluate_report, member)
moe_status moe_evaluate_write_json(const moe_evaluate_report *r,
                                   const char *path, bool force, moe_error *err)
{
    static const moe_json_member found[] = {
        RESULT("layers", n_layers),     RESULT("tokens", tokens),
        RESULT("sequences", sequences), RESULT("clusters", clusters),
        RESULT("batches", batches),     RESULT("batch_tokens", batch_tokens)};
    static const moe_json_member asked[] = {
        ASKED("batch", batch), ASKED("seq", seq), ASKED("seed", seed)};
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(15);
    json_t *root = json_object(), *all = json_array();
    moe_json_put_text(root, "trace", r->trace_name, err);
    moe_json_put_text(root, "trace_sha256", r->trace->sha256, err);
    moe_json_put_text(root, "model", r->trace->model, err);
    moe_json_put_members(root, found, MOE_ARRAY_LEN(found),
                         &r->subject[0].result, err);
    moe_json_put_text(root, "order",
                      r->subject[0].result.recorded ? "recorded" : "shuffled",
                      err);
    moe_json_put_members(root, asked, MOE_ARRAY_LEN(asked), r, err);
    if (r->priced) {
        moe_json_put_text(root, "cluster", r->cluster.name, err);
        moe_json_put_integer(root, "gpus", r->gpus, err);
    }
    for (size_t i = 0; i < r->n; i++)
        moe_json_add(all, subject_json(r, &r->subject[i], err), err);
    moe_json_put(root, "predictors", all, err);
    return moe_json_write(root, flags, path, force, err);
}
