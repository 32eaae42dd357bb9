/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "moegps/mem.h"
#include "moegps/table.h"

/* The figures of a moe_summary by name, for CSV and JSON alike. */
static const struct {
    const char *name;
    size_t offset;
} figures[] = {{"median", offsetof(moe_summary, median)},
               {"ci_low", offsetof(moe_summary, ci_low)},
               {"ci_high", offsetof(moe_summary, ci_high)},
               {"mean", offsetof(moe_summary, mean)},
               {"sd", offsetof(moe_summary, sd)},
               {"min", offsetof(moe_summary, min)},
               {"p50", offsetof(moe_summary, p50)},
               {"p90", offsetof(moe_summary, p90)},
               {"p99", offsetof(moe_summary, p99)},
               {"max", offsetof(moe_summary, max)}};

static double figure(const moe_summary *s, size_t i)
{
    double value;
    memcpy(&value, (const char *)s + figures[i].offset, sizeof value);
    return value;
}

/* JSON has no NaN: what is not known is null. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *metric_json(const moe_metric *m, const moe_strategy_view *x)
{
    const moe_summary s = moe_metric_summary(m, x);
    json_t *out = json_object();
    json_object_set_new(out, "unit", json_string(m->unit));
    json_object_set_new(out, "n", json_integer((json_int_t)s.n));
    for (size_t i = 0; i < MOE_ARRAY_LEN(figures); i++)
        json_object_set_new(out, figures[i].name, number(figure(&s, i)));
    if (m->ratio != MOE_NO_RATIO) {
        const moe_ratio r = moe_metric_ratio(m, x);
        json_object_set_new(out, "ratio", number(r.ratio));
        json_object_set_new(out, "ratio_ci_low", number(r.ci_low));
        json_object_set_new(out, "ratio_ci_high", number(r.ci_high));
    }
    return out;
}

static json_t *phases_json(const moe_strategy_view *x)
{
    json_t *out = json_object();
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        json_t *of_clock = json_object();
        for (int p = 0; p < MOE_N_PHASES; p++)
            json_object_set_new(of_clock, moe_phase_name((moe_phase)p),
                                number(x->phase[c][p]));
        json_object_set_new(out, moe_clock_name((moe_clock)c), of_clock);
    }
    json_object_set_new(out, "gpu_hidden", number(x->hidden));
    json_object_set_new(out, "wait", number(x->wait));
    return out;
}

static json_t *strategy_json(const moe_strategy_view *x)
{
    json_t *out = json_object(), *metrics = json_object();
    for (size_t i = 0; moe_metric_at(i) != NULL; i++)
        json_object_set_new(metrics, moe_metric_at(i)->name,
                            metric_json(moe_metric_at(i), x));
    json_object_set_new(out, "name", json_string(x->name));
    json_object_set_new(out, "metrics", metrics);
    json_object_set_new(out, "phases_s", phases_json(x));
    return out;
}

static json_t *run_json(const moe_view *v)
{
    json_t *out = json_object(), *warnings = json_array(),
           *strategies = json_array();
    for (size_t i = 0; i < v->n_warnings; i++)
        json_array_append_new(warnings, json_string(v->warnings[i]));
    for (int s = 0; s < v->dims.strategies; s++)
        json_array_append_new(strategies, strategy_json(&v->strategy[s]));
    const struct {
        const char *key, *text;
    } texts[] = {{"path", v->path},
                 {"run_id", v->run_id},
                 {"title", v->title},
                 {"date", v->date},
                 {"source", v->source},
                 {"status", v->status},
                 {"result", moe_report_result(v)},
                 {"validation", v->validation},
                 {"validation_text", v->validation_text},
                 {"model", v->model},
                 {"cluster", v->cluster},
                 {"trace", v->trace},
                 {"reference", v->reference}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++)
        json_object_set_new(out, texts[i].key, json_string(texts[i].text));
    json_object_set_new(out, "gpus", json_integer(v->dims.gpus));
    json_object_set_new(out, "ranks", json_integer(v->dims.ranks));
    json_object_set_new(out, "nodes", json_integer(v->nodes));
    json_object_set_new(out, "layers", json_integer(v->dims.layers));
    json_object_set_new(out, "iterations", json_integer(v->dims.iterations));
    json_object_set_new(out, "measured", json_integer(v->measured));
    json_object_set_new(out, "oversubscribed", json_boolean(v->oversubscribed));
    json_object_set_new(out, "gpu_clock_is_modelled", json_true());
    json_object_set_new(out, "warnings", warnings);
    json_object_set_new(out, "strategies", strategies);
    return out;
}

/* Open a file to replace, or stdout for "-". */
static FILE *open_out(const char *path, moe_error *err)
{
    if (strcmp(path, "-") == 0)
        return stdout;
    FILE *out = fopen(path, "w");
    if (out == NULL)
        moe_fail(err, MOE_IO, "%s: cannot write: %s", path, strerror(errno));
    return out;
}

static moe_status close_out(FILE *out, const char *path, bool failed,
                            moe_error *err)
{
    failed = fflush(out) != 0 || ferror(out) != 0 || failed;
    if (out != stdout)
        failed = fclose(out) != 0 || failed;
    return failed ? moe_fail(err, MOE_IO, "%s: cannot write: %s", path,
                             strerror(errno))
                  : MOE_OK;
}

moe_status moe_report_json(const moe_view *const *views, size_t n,
                           const char *path, moe_error *err)
{
    json_t *root = json_object(), *runs = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(runs, run_json(views[i]));
    json_object_set_new(root, "schema", json_string("moe-gps-report"));
    json_object_set_new(root, "schema_version",
                        json_string(MOE_REPORT_JSON_VERSION));
    json_object_set_new(root, "runs", runs);
    FILE *out = open_out(path, err);
    if (out == NULL) {
        json_decref(root);
        return MOE_IO;
    }
    bool failed =
        json_dumpf(root, out, JSON_INDENT(2)) != 0 || fputc('\n', out) == EOF;
    json_decref(root);
    return close_out(out, path, failed, err);
}

static void csv_row(moe_table *t, const moe_view *v, const moe_strategy_view *x,
                    const moe_metric *m)
{
    const moe_summary s = moe_metric_summary(m, x);
    const moe_ratio r = moe_metric_ratio(m, x);
    moe_table_cell(t, "%s", v->run_id);
    moe_table_cell(t, "%s", v->model);
    moe_table_cell(t, "%s", v->cluster);
    moe_table_cell(t, "%d", v->dims.gpus);
    moe_table_cell(t, "%s", x->name);
    moe_table_cell(t, "%s", m->name);
    moe_table_cell(t, "%s", m->unit);
    moe_table_cell(t, "%zu", s.n);
    for (size_t i = 0; i < MOE_ARRAY_LEN(figures); i++)
        moe_table_cell(t, isnan(figure(&s, i)) ? "n/a" : "%.9g", figure(&s, i));
    const double ratio[] = {r.ratio, r.ci_low, r.ci_high};
    for (size_t i = 0; i < MOE_ARRAY_LEN(ratio); i++)
        moe_table_cell(t, isnan(ratio[i]) ? "n/a" : "%.9g", ratio[i]);
}

moe_status moe_report_csv(const moe_view *const *views, size_t n,
                          const char *path, moe_error *err)
{
    enum { FIXED = 8, N_FIGURES = MOE_ARRAY_LEN(figures), N_RATIO = 3 };
    static const char *const first[FIXED] = {"run_id", "model",    "cluster",
                                             "gpus",   "strategy", "metric",
                                             "unit",   "n"};
    static const char *const last[N_RATIO] = {"ratio", "ratio_ci_low",
                                              "ratio_ci_high"};
    moe_column columns[FIXED + N_FIGURES + N_RATIO];
    for (size_t i = 0; i < MOE_ARRAY_LEN(columns); i++) {
        const char *name = i < FIXED ? first[i]
                           : i < FIXED + N_FIGURES
                               ? figures[i - FIXED].name
                               : last[i - FIXED - N_FIGURES];
        columns[i] = (moe_column){name, NULL, MOE_LEFT};
    }
    moe_table *t = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < n; i++)
        for (int s = 0; s < views[i]->dims.strategies; s++)
            for (size_t m = 0; moe_metric_at(m) != NULL; m++)
                csv_row(t, views[i], &views[i]->strategy[s], moe_metric_at(m));
    FILE *out = open_out(path, err);
    if (out != NULL) {
        moe_table_csv(t, out);
        close_out(out, path, t == NULL, err);
    }
    moe_table_free(t);
    return out != NULL ? err->status : MOE_IO;
}
