/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/date.h"
#include "moegps/mem.h"
#include "strategies.h"
#include "sweep_fields.h"
#include "version.h"

const moe_sweep_text moe_sweep_texts[] = {
    {"run_id", "id of the run", offsetof(moe_view, run_id), 64, false},
    {"path", "its result file", offsetof(moe_view, path), 1024, false},
    {"title", "what was run", offsetof(moe_view, title), 256, false},
    {"date", "when it began", offsetof(moe_view, date), 32, false},
    {"source", "version of the program", offsetof(moe_view, source), 128,
     false},
    {"status", "how it ended", offsetof(moe_view, status), 32, false},
    {"validation", "outcome of its checks", offsetof(moe_view, validation), 16,
     false},
    {"validation_text", "what was checked", offsetof(moe_view, validation_text),
     512, false},
    {"cluster", "emulated cluster", offsetof(moe_view, cluster), 64, false},
    {"serving", "how the model is served", offsetof(moe_view, serving), 256,
     true},
    {"links", "how links compare with the cluster's",
     offsetof(moe_view, pace.links), 512, true},
    {"timer", "how exactly deadlines are kept", offsetof(moe_view, pace.timer),
     256, true},
    {"progress", "who makes it", offsetof(moe_view, pace.progress), 64, true},
    {NULL, NULL, 0, 0, false},
};

const moe_sweep_number moe_sweep_numbers[] = {
    {"gpus", "emulated GPUs", offsetof(moe_view, dims.gpus)},
    {"ranks", "MPI ranks", offsetof(moe_view, dims.ranks)},
    {"nodes", "hosts the ranks ran on", offsetof(moe_view, nodes)},
    {"layers", "layers measured", offsetof(moe_view, dims.layers)},
    {"experts", "experts of a layer", offsetof(moe_view, dims.experts)},
    {"slots", "slots of a GPU", offsetof(moe_view, dims.slots)},
    {"warmup", "warm-up iterations", offsetof(moe_view, dims.warmup)},
    {"iterations", "iterations asked for", offsetof(moe_view, dims.iterations)},
    {"measured", "iterations measured", offsetof(moe_view, measured)},
    {"period", "iterations of a sample", offsetof(moe_view, period)},
    {"top_k", "experts of a token", offsetof(moe_view, top_k)},
    {NULL, NULL, 0},
};

const moe_sweep_real moe_sweep_reals[] = {
    {"scale", "divisor of executed sizes; above 1 wall times are no result",
     offsetof(moe_view, scale), 0},
    {"passes", "batches that share what is independent",
     offsetof(moe_view, passes), 1},
    {"dilation", "of paced phases", offsetof(moe_view, pace.dilation), 0},
    {NULL, NULL, 0, 0},
};

/* ---- what belongs together ---- */

/* Settings that a sweep is made of, and labels. */
static bool may_differ(const char *line, size_t n)
{
    static const char *const keys[] = {
        "cluster:", "output:",  "trace:",      "batch:", "seq:",
        "seed:",    "threads:", "iterations:", "warmup:"};
    const size_t indent = strspn(line, " ");
    for (size_t k = 0; k < MOE_ARRAY_LEN(keys); k++)
        if (n > indent && strncmp(line + indent, keys[k], strlen(keys[k])) == 0)
            return true;
    return false;
}

static void compare_settings(const moe_view *a, const moe_view *b,
                             moe_error *err)
{
    const char *x = a->config, *y = b->config;
    while ((*x != '\0' || *y != '\0') && err->status == MOE_OK) {
        const size_t n = strcspn(x, "\n"), m = strcspn(y, "\n");
        const bool same = n == m && memcmp(x, y, n) == 0;
        if (!same && !(may_differ(x, n) && may_differ(y, m)))
            moe_fail(err, MOE_MISMATCH,
                     "%s: cannot be merged with %s: '%.*s' there, '%.*s' here",
                     b->path, a->path, (int)(n < 120 ? n : 120), x,
                     (int)(m < 120 ? m : 120), y);
        x += n + (x[n] != '\0');
        y += m + (y[m] != '\0');
    }
}

static void check_run(const moe_view *v, moe_error *err)
{
    if (strcmp(v->validation, "fail") == 0)
        moe_fail(err, MOE_INVALID, "%s: validation failed: %s", v->path,
                 v->validation_text);
    if (strcmp(v->status, "complete") != 0)
        moe_fail(err, MOE_MISMATCH,
                 "%s: is not complete (%s, %d of %d iterations): finish it "
                 "with moegps run --resume, or leave it out",
                 v->path, v->status, v->measured, v->dims.iterations);
}

/* Settings name them, too, but a file may have been changed. */
static void compare_strategies(const moe_view *a, const moe_view *b,
                               moe_error *err)
{
    const int n = a->dims.strategies;
    if (b->dims.strategies != n)
        moe_fail(err, MOE_MISMATCH,
                 "%s: cannot be merged with %s: it has %d strategies, not %d",
                 b->path, a->path, b->dims.strategies, n);
    for (int s = 0; s < n && err->status == MOE_OK; s++)
        if (strcmp(a->strategy[s].name, b->strategy[s].name) != 0)
            moe_fail(err, MOE_MISMATCH,
                     "%s: cannot be merged with %s: its strategy %d is %.64s, "
                     "not %.64s",
                     b->path, a->path, s, b->strategy[s].name,
                     a->strategy[s].name);
}

static void compare_runs(const moe_view *a, const moe_view *b, moe_error *err)
{
    const struct {
        const char *what, *x, *y;
    } texts[] = {
        {"model", a->model, b->model},
        {"trace", a->trace_sha256, b->trace_sha256},
        {"reference", a->reference, b->reference},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++)
        if (strcmp(texts[i].x, texts[i].y) != 0)
            moe_fail(err, MOE_MISMATCH,
                     "%s: cannot be merged with %s: its %s is %.64s, not %.64s",
                     b->path, a->path, texts[i].what, texts[i].y, texts[i].x);
    if (strcmp(a->run_id, b->run_id) == 0)
        moe_fail(err, MOE_MISMATCH, "%s: is the same run as %s", b->path,
                 a->path);
    compare_settings(a, b, err);
    compare_strategies(a, b, err);
}

moe_status moe_sweep_check(const moe_view *views, size_t n, moe_error *err)
{
    moe_error local = {0};
    for (size_t i = 0; i < n && local.status == MOE_OK; i++)
        check_run(&views[i], &local);
    for (size_t i = 1; i < n && local.status == MOE_OK; i++)
        compare_runs(&views[0], &views[i], &local);
    for (size_t i = 1; i < n && local.status == MOE_OK; i++)
        for (size_t j = 1; j < i && local.status == MOE_OK; j++)
            if (strcmp(views[i].run_id, views[j].run_id) == 0)
                moe_fail(&local, MOE_MISMATCH, "%s: is the same run as %s",
                         views[i].path, views[j].path);
    return moe_pass(err, &local);
}

/* ---- writing ---- */

typedef struct {
    hid_t group;
    const moe_view *views;
    size_t n, strategies, iterations; /* iterations: most of any run */
    moe_error *err;
} writer;

static void put_scales(const writer *w)
{
    const char *strategies[MOE_MAX_STRATEGIES];
    const char *phases[MOE_N_PHASES], *clocks[MOE_N_CLOCKS];
    for (size_t s = 0; s < w->strategies; s++)
        strategies[s] = w->views[0].strategy[s].name;
    for (int p = 0; p < MOE_N_PHASES; p++)
        phases[p] = moe_phase_name((moe_phase)p);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        clocks[c] = moe_clock_name((moe_clock)c);
    moe_h5_scale(w->group, "run", w->n, NULL, "run, by number of GPUs", w->err);
    moe_h5_scale_text(w->group, "strategy", w->strategies, strategies,
                      "predictor, planner and split", w->err);
    moe_metrics_write_scale(w->group, w->err);
    moe_h5_scale_text(w->group, "phase", MOE_N_PHASES, phases,
                      "phase of a layer, in order", w->err);
    moe_h5_scale_text(w->group, "clock", MOE_N_CLOCKS, clocks,
                      "measured, CPU time, modelled", w->err);
    moe_h5_scale(w->group, "iteration", w->iterations, NULL,
                 "measured iteration", w->err);
}

static void put_runs(const writer *w)
{
    const char **texts = moe_array_new(w->n, sizeof *texts, w->err);
    int32_t *numbers = moe_array_new(w->n, sizeof *numbers, w->err);
    double *tokens = moe_array_new(w->n, sizeof *tokens, w->err);
    moe_h5_spec spec = {.rank = 1, .dims = {"run"}, .units = "count"};
    for (const moe_sweep_text *t = moe_sweep_texts; t->name != NULL; t++) {
        for (size_t i = 0; texts != NULL && i < w->n; i++)
            texts[i] = (const char *)&w->views[i] + t->offset;
        spec.name = t->name;
        spec.long_name = t->long_name;
        moe_h5_write_strings(w->group, &spec, texts, w->err);
    }
    for (size_t i = 0; texts != NULL && i < w->n; i++)
        texts[i] = w->views[i].config;
    spec.name = "config";
    spec.long_name = "every setting, as YAML";
    moe_h5_write_strings(w->group, &spec, texts, w->err);
    spec.type = H5T_STD_I32LE;
    for (const moe_sweep_number *x = moe_sweep_numbers; x->name != NULL; x++) {
        for (size_t i = 0; numbers != NULL && i < w->n; i++)
            memcpy(&numbers[i], (const char *)&w->views[i] + x->offset,
                   sizeof numbers[i]);
        spec.name = x->name;
        spec.long_name = x->long_name;
        moe_h5_write(w->group, &spec, H5T_NATIVE_INT32, numbers, w->err);
    }
    for (size_t i = 0; numbers != NULL && i < w->n; i++)
        numbers[i] = w->views[i].oversubscribed;
    spec.name = "oversubscribed";
    spec.long_name = "1: ranks shared cores, wall times are no result";
    moe_h5_write(w->group, &spec, H5T_NATIVE_INT32, numbers, w->err);
    for (size_t i = 0; tokens != NULL && i < w->n; i++)
        tokens[i] = w->views[i].tokens;
    spec.name = "tokens";
    spec.long_name = "tokens of an iteration, mean";
    spec.type = H5T_IEEE_F64LE;
    moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, tokens, w->err);
    spec.units = "1";
    for (const moe_sweep_real *x = moe_sweep_reals; x->name != NULL; x++) {
        for (size_t i = 0; tokens != NULL && i < w->n; i++)
            memcpy(&tokens[i], (const char *)&w->views[i] + x->offset,
                   sizeof tokens[i]);
        spec.name = x->name;
        spec.long_name = x->long_name;
        moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, tokens, w->err);
    }
    free(tokens);
    free(numbers);
    free(texts);
}

static void put_statistics(const writer *w)
{
    size_t n_metrics = 0, j;
    while (moe_metric_at(n_metrics) != NULL)
        n_metrics++;
    double *x =
        moe_array_new(w->n * w->strategies * n_metrics, sizeof *x, w->err);
    moe_h5_spec spec = {.type = H5T_IEEE_F64LE,
                        .rank = 3,
                        .dims = {"run", "strategy", "metric"}};
    for (size_t i = 0; i < MOE_N_STATISTICS && x != NULL; i++) {
        const moe_statistic *f = &moe_statistics[i];
        j = 0;
        for (size_t r = 0; r < w->n; r++)
            for (size_t s = 0; s < w->strategies; s++)
                for (size_t m = 0; m < n_metrics; m++)
                    x[j++] = moe_statistic_get(f, moe_metric_at(m),
                                               &w->views[r].strategy[s]);
        spec.name = f->name;
        spec.long_name = f->long_name;
        moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, x, w->err);
    }
    j = 0;
    for (size_t r = 0; r < w->n && x != NULL; r++)
        for (size_t s = 0; s < w->strategies; s++)
            for (size_t m = 0; m < n_metrics; m++)
                x[j++] = (double)moe_metric_summary(moe_metric_at(m),
                                                    &w->views[r].strategy[s])
                             .n;
    spec.name = "n";
    spec.long_name = "samples of the metric";
    spec.type = H5T_STD_I32LE;
    spec.units = "count";
    moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, x, w->err);
    free(x);
}

/* Iterations of runs that had fewer are NaN. */
static void put_samples(const writer *w)
{
    const size_t all = w->n * MOE_N_CLOCKS * w->strategies * w->iterations;
    double *x = moe_array_new(all, sizeof *x, w->err), *at = x;
    const moe_h5_spec spec = {.name = "layer_time",
                              .type = H5T_IEEE_F64LE,
                              .rank = 4,
                              .dims = {"run", "clock", "strategy", "iteration"},
                              .units = "s",
                              .long_name = "time of a layer, mean over layers"};
    for (size_t r = 0; r < w->n && x != NULL; r++)
        for (int c = 0; c < MOE_N_CLOCKS; c++)
            for (size_t s = 0; s < w->strategies; s++)
                for (size_t i = 0; i < w->iterations; i++)
                    *at++ = i < (size_t)w->views[r].dims.iterations
                                ? w->views[r].strategy[s].layer_time[c][i]
                                : (double)NAN;
    moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, x, w->err);
    free(x);
}

static void put_phases(const writer *w)
{
    const size_t rows = w->n * w->strategies;
    double *x =
        moe_array_new(rows * MOE_N_CLOCKS * MOE_N_PHASES, sizeof *x, w->err);
    moe_h5_spec spec = {.name = "phase_time",
                        .type = H5T_IEEE_F64LE,
                        .rank = 4,
                        .dims = {"run", "strategy", "clock", "phase"},
                        .units = "s",
                        .long_name = "median time of a phase; gpu: exposed"};
    for (size_t j = 0; j < rows && x != NULL; j++)
        memcpy(x + j * MOE_N_CLOCKS * MOE_N_PHASES,
               w->views[j / w->strategies].strategy[j % w->strategies].phase,
               sizeof w->views[0].strategy[0].phase);
    moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, x, w->err);
    spec.rank = 2;
    spec.name = "hidden";
    spec.long_name = "gpu clock: what attention hides";
    for (size_t j = 0; j < rows && x != NULL; j++)
        x[j] = w->views[j / w->strategies].strategy[j % w->strategies].hidden;
    moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, x, w->err);
    spec.name = "wait";
    spec.long_name = "wall clock: barrier time, mean over ranks";
    for (size_t j = 0; j < rows && x != NULL; j++)
        x[j] = w->views[j / w->strategies].strategy[j % w->strategies].wait;
    moe_h5_write(w->group, &spec, H5T_NATIVE_DOUBLE, x, w->err);
    free(x);
}

/* Settings of strategies are alike in all runs of a sweep. */
static void put_strategies(hid_t file, const moe_view *view, moe_error *err)
{
    const size_t n = (size_t)view->dims.strategies;
    const char **names = moe_array_new(n, sizeof *names, err);
    moe_strategy_facts *facts = moe_array_new(n, sizeof *facts, err);
    for (size_t s = 0; names != NULL && facts != NULL && s < n; s++) {
        names[s] = view->strategy[s].name;
        facts[s] = view->strategy[s].facts;
    }
    if (err->status == MOE_OK)
        moe_strategies_write(file, names, facts, n, err);
    free(facts);
    free(names);
}

static void put_root(hid_t file, const moe_view *view, size_t n, moe_error *err)
{
    char date[MOE_DATE_LEN], title[512];
    moe_date_now(date);
    snprintf(title, sizeof title, "%zu runs of %s, trace %s", n, view->model,
             view->trace);
    moe_h5_put_text(file, "schema", MOE_SWEEP_SCHEMA, err);
    moe_h5_put_text(file, "schema_version", MOE_SWEEP_SCHEMA_VERSION, err);
    moe_h5_put_text(file, "title", title, err);
    moe_h5_put_text(file, "date_created", date, err);
    moe_h5_put_text(file, "source", "moe-gps " MOE_VERSION, err);
    moe_h5_put_text(file, "model", view->model, err);
    moe_h5_put_text(file, "trace", view->trace, err);
    moe_h5_put_text(file, "trace_sha256", view->trace_sha256, err);
    moe_h5_put_text(file, "reference", view->reference, err);
}

moe_status moe_sweep_write(const char *path, const moe_view *views, size_t n,
                           moe_error *err)
{
    moe_error local = {0};
    writer w = {.views = views,
                .n = n,
                .strategies = (size_t)views[0].dims.strategies,
                .err = &local};
    for (size_t r = 0; r < n; r++)
        if ((size_t)views[r].dims.iterations > w.iterations)
            w.iterations = (size_t)views[r].dims.iterations;
    hid_t file = moe_h5_create(path, &local);
    if (file < 0)
        return moe_pass(err, &local);
    put_root(file, &views[0], n, &local);
    put_strategies(file, &views[0], &local);
    w.group = moe_h5_create_group(file, "runs", &local);
    put_scales(&w);
    put_runs(&w);
    put_statistics(&w);
    put_samples(&w);
    put_phases(&w);
    moe_h5_close(w.group);
    moe_h5_finish(file, path, &local);
    return moe_pass(err, &local);
}
