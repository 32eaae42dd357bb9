/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>

#include "forms.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/replace.h"

/* What a row says of a strategy. */
typedef struct csv_metric {
    const char *name, *unit;
    moe_summary summary;
    moe_ratio ratio;
} csv_metric;

/* The median of something that has no more statistics than that, in s. */
static csv_metric lone_median(const char *name, double median)
{
    csv_metric m = {name, "s", {.median = median}, {0, NAN, NAN, NAN}};
    moe_summary *s = &m.summary;
    s->ci_low = s->ci_high = s->mean = s->sd = s->min = s->max = NAN;
    s->p50 = s->p90 = s->p99 = NAN;
    return m;
}

static void csv_row(FILE *out, const moe_view *view, const moe_strategy_view *y,
                    const csv_metric *m)
{
    const char *const texts[] = {view->run_id, y->name, m->name, m->unit};
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++) {
        moe_plain_csv(texts[i], out);
        fputc(',', out);
    }
    fprintf(out, "%zu", m->summary.n);
    for (size_t f = 0; f < MOE_N_STATISTICS; f++) {
        const double value =
            moe_statistic_of(&moe_statistics[f], &m->summary, &m->ratio);
        fputc(',', out);
        if (isfinite(value))
            fprintf(out, "%.12g", value);
    }
    fputc('\n', out);
}

static void csv_strategy(FILE *out, const moe_view *view,
                         const moe_strategy_view *y)
{
    const moe_metric *m;
    for (size_t i = 0; (m = moe_metric_at(i)) != NULL; i++) {
        const csv_metric row = {m->name, m->unit, moe_metric_summary(m, y),
                                moe_metric_ratio(m, y)};
        csv_row(out, view, y, &row);
    }
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        for (int p = 0; p < MOE_N_PHASES; p++) {
            char name[64];
            snprintf(name, sizeof name, "phase_%s_%s",
                     moe_clock_name((moe_clock)c),
                     moe_phase_name((moe_phase)p));
            const csv_metric row = lone_median(name, y->phase[c][p]);
            csv_row(out, view, y, &row);
        }
    const csv_metric hidden = lone_median("hidden_gpu", y->hidden);
    const csv_metric wait = lone_median("wait_wall", y->wait);
    csv_row(out, view, y, &hidden);
    csv_row(out, view, y, &wait);
}

moe_status moe_report_csv(const moe_analysis *a, FILE *out, moe_error *err)
{
    (void)err;
    if (a->n == 0 && a->n_maps > 0)
        return moe_maps_csv(a->map, a->n_maps, out);
    fputs("run_id,strategy,metric,unit,n", out);
    for (size_t f = 0; f < MOE_N_STATISTICS; f++)
        fprintf(out, ",%s", moe_statistics[f].name);
    fputc('\n', out);
    for (size_t i = 0; i < a->n; i++)
        for (int s = 0; s < a->run[i].view->dims.strategies; s++)
            csv_strategy(out, a->run[i].view, &a->run[i].view->strategy[s]);
    return MOE_OK;
}

static json_t *json_metric(const moe_metric *m, const moe_strategy_view *y,
                           moe_error *err)
{
    json_t *object = json_object();
    moe_summary s = moe_metric_summary(m, y);
    moe_ratio r = moe_metric_ratio(m, y);
    moe_json_put_text(object, "unit", m->unit, err);
    moe_json_put_integer(object, "n", (int64_t)s.n, err);
    for (size_t f = 0; f < MOE_N_STATISTICS; f++)
        if (!moe_statistics[f].of_ratio || m->ratio != MOE_NO_RATIO)
            moe_json_put(
                object, moe_statistics[f].name,
                moe_json_number(moe_statistic_of(&moe_statistics[f], &s, &r)),
                err);
    return object;
}

static json_t *json_phases(const double *phase, moe_error *err)
{
    json_t *object = json_object();
    for (int p = 0; p < MOE_N_PHASES; p++)
        moe_json_put_number(object, moe_phase_name((moe_phase)p), phase[p],
                            err);
    return object;
}

static json_t *json_strategy(const moe_strategy_view *y, moe_error *err)
{
    json_t *object = json_object(), *metrics = json_object();
    json_t *phases = json_object();
    const moe_metric *m;
    moe_json_put_text(object, "name", y->name, err);
    for (size_t i = 0; (m = moe_metric_at(i)) != NULL; i++)
        moe_json_put(metrics, m->name, json_metric(m, y, err), err);
    moe_json_put(object, "metrics", metrics, err);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        moe_json_put(phases, moe_clock_name((moe_clock)c),
                     json_phases(y->phase[c], err), err);
    moe_json_put(object, "phases_s", phases, err);
    moe_json_put_number(object, "hidden_gpu_s", y->hidden, err);
    moe_json_put_number(object, "wait_wall_s", y->wait, err);
    return object;
}

#define AT(key, member) MOE_JSON_MEMBER(key, moe_view, member)
static const moe_json_member file_members[] = {
    AT("path", path),
    AT("run_id", run_id),
    AT("title", title),
    AT("date_created", date),
    AT("source", source),
    AT("status", status),
    AT("validation", validation),
    AT("validation_text", validation_text)};

static const moe_json_member run_members[] = {
    AT("model", model),
    AT("cluster", cluster),
    AT("trace", trace),
    AT("reference", reference),
    AT("gpus", dims.gpus),
    AT("ranks", dims.ranks),
    AT("nodes", nodes),
    AT("layers", dims.layers),
    AT("experts", dims.experts),
    AT("iterations", dims.iterations),
    AT("measured", measured),
    AT("warmup", dims.warmup),
    AT("oversubscribed", oversubscribed)};
#undef AT

static json_t *json_run(const moe_run_analysis *run, moe_error *err)
{
    const moe_view *v = run->view;
    json_t *object = json_object(), *warnings = json_array();
    json_t *strategies = json_array();
    moe_json_put_members(object, file_members, MOE_ARRAY_LEN(file_members), v,
                         err);
    moe_json_put_text(object, "result", moe_report_result(v), err);
    moe_json_put_members(object, run_members, MOE_ARRAY_LEN(run_members), v,
                         err);
    for (size_t i = 0; i < v->n_warnings; i++)
        moe_json_add(warnings, moe_json_text(v->warnings[i]), err);
    moe_json_put(object, "warnings", warnings, err);
    for (int s = 0; s < v->dims.strategies; s++)
        moe_json_add(strategies, json_strategy(&v->strategy[s], err), err);
    moe_json_put(object, "strategies", strategies, err);
    if (run->n_choices > 0)
        moe_json_put(object, "choices", moe_choices_json(run, err), err);
    if (run->sensitivity.analysed)
        moe_json_put(object, "outlook", moe_sensitivity_json(run, err), err);
    return object;
}

moe_status moe_report_json(const moe_analysis *a, FILE *out, moe_error *err)
{
    json_t *root = json_object(), *runs = json_array();
    json_t *clocks = json_object();
    moe_json_put_text(root, "schema", MOE_REPORT_SCHEMA, err);
    moe_json_put_text(root, "schema_version", MOE_REPORT_SCHEMA_VERSION, err);
    moe_json_put_text(clocks, "wall", "measured", err);
    moe_json_put_text(clocks, "cpu", "measured", err);
    moe_json_put_text(clocks, "gpu", "modelled", err);
    moe_json_put(root, "clocks", clocks, err);
    for (size_t i = 0; i < a->n; i++)
        moe_json_add(runs, json_run(&a->run[i], err), err);
    moe_json_put(root, "runs", runs, err);
    if (a->n_maps > 0)
        moe_json_put(root, "maps", moe_maps_json(a->map, a->n_maps, err), err);
    moe_json_print(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12), out, err);
    return err->status;
}

moe_status moe_report_write(const char *path, moe_report_form form,
                            const moe_analysis *analysis, bool force,
                            moe_error *err)
{
    if (path == NULL || err->status != MOE_OK)
        return err->status;
    moe_replace to;
    FILE *out = moe_replace_open(&to, path, force, err);
    if (out == NULL)
        return err->status;
    form(analysis, out, err);
    return moe_replace_close(&to, out, err);
}
