/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/conf.h"
#include "moegps/mem.h"
#include "moegps/serving.h"
#include "moegps/sweep.h"
#include "reader.h"
#include "strategies.h"
#include "sweep_fields.h"

static const double MANY = 1e30; /* -MANY: as low as numbers get */

typedef struct {
    hid_t file, group;
    moe_view *views;
    size_t n, strategies, iterations;
    moe_error *err;
} reader;

static bool failed(const reader *r)
{
    return r->err->status != MOE_OK;
}

static size_t extent(const reader *r, const char *scale)
{
    hsize_t n = 0;
    moe_h5_dims(r->group, scale, 1, &n, r->err);
    if (!failed(r) && (n == 0 || n > 1000000))
        moe_fail(r->err, MOE_FORMAT, "dimension '%s' has %llu values", scale,
                 (unsigned long long)n);
    return (size_t)n;
}

/* A text of each run needs no more memory than the file should. */
static void check_extent(const reader *r, const char *name)
{
    if (extent(r, name) != r->n)
        moe_fail(r->err, MOE_FORMAT, "dataset '%s' does not fit", name);
}

static void get_text(const reader *r, const moe_sweep_text *text)
{
    size_t n = 0;
    if (text->later && !moe_h5_exists(r->group, text->name))
        return;
    check_extent(r, text->name);
    char **all = moe_h5_read_strings(r->group, text->name, &n, r->err);
    for (size_t i = 0; all != NULL && i < r->n; i++)
        snprintf((char *)&r->views[i] + text->offset, text->size, "%s", all[i]);
    moe_h5_free_strings(all, r->n);
}

static void get_configs(const reader *r)
{
    size_t n = 0;
    check_extent(r, "config");
    char **all = moe_h5_read_texts(r->group, "config", &n, r->err);
    for (size_t i = 0; all != NULL && i < r->n; i++)
        r->views[i].config = moe_strdup(all[i], r->err);
    moe_h5_free_strings(all, r->n);
}

static const char *setting(const moe_conf *map, const char *key)
{
    const moe_conf *node = moe_conf_get(map, key);
    return node != NULL && node->text != NULL ? node->text : "";
}

/* A number that a file of an older version does not have. */
static void fill_in(const moe_conf *map, const char *key, double *x)
{
    const double set = strtod(setting(map, key), NULL);
    if (!(*x > 0) && isfinite(set))
        *x = set;
}

/* What the settings say of a run, which sweeps do not repeat. Settings that are
 * not understood, as of another version, say nothing. */
static void read_settings(moe_view *v)
{
    moe_conf *root = NULL;
    moe_serving serving;
    const moe_conf_target rows = {moe_serving_options, &serving};
    const moe_conf_schema of_serving = {"serving", &rows, 1, NULL};
    if (v->config == NULL ||
        moe_conf_parse(v->config, v->path, &root, NULL) != MOE_OK)
        return;
    const moe_conf *emulation = moe_conf_get(root, "emulation");
    for (int k = 0; k < MOE_N_PACES; k++)
        v->pace.phase[k] =
            strcmp(setting(emulation, moe_pace_name(k)), "paced") == 0;
    snprintf(v->ffn, sizeof v->ffn, "%s", setting(emulation, "ffn"));
    fill_in(emulation, "scale", &v->scale);
    fill_in(emulation, "dilation", &v->pace.dilation);
    if (v->serving[0] == '\0' &&
        moe_conf_read(root, moe_conf_get(root, "serving"), &of_serving, NULL) ==
            MOE_OK)
        moe_serving_text(&serving, v->serving, sizeof v->serving);
    moe_conf_free(root);
}

static void get_number(const reader *r, const char *name, size_t offset)
{
    int32_t *x =
        moe_h5_read(r->group, name, H5T_NATIVE_INT32, sizeof *x, r->n, r->err);
    for (size_t i = 0; x != NULL && i < r->n; i++)
        memcpy((char *)&r->views[i] + offset, &x[i], sizeof x[i]);
    free(x);
}

/* Read [runs][inner] doubles, none below `min`; the caller frees them. */
static double *get_reals(const reader *r, const char *name, size_t inner,
                         double min)
{
    const size_t n = r->n * inner;
    double *x =
        moe_h5_read(r->group, name, H5T_NATIVE_DOUBLE, sizeof *x, n, r->err);
    if (x != NULL)
        moe_numbers_check(name, x, n, min, r->err);
    return x;
}

static void get_real(const reader *r, const moe_sweep_real *real)
{
    double *x = moe_h5_exists(r->group, real->name)
                    ? get_reals(r, real->name, 1, 0)
                    : NULL;
    for (size_t i = 0; i < r->n && !failed(r); i++)
        memcpy((char *)&r->views[i] + real->offset,
               x != NULL ? &x[i] : &real->unknown, sizeof *x);
    free(x);
}

static void get_root(const reader *r)
{
    char reference[64] = "";
    for (size_t i = 0; i < r->n && !failed(r); i++) {
        moe_view *v = &r->views[i];
        moe_h5_get_text(r->file, "model", v->model, sizeof v->model, r->err);
        moe_h5_get_text(r->file, "trace", v->trace, sizeof v->trace, r->err);
        moe_h5_get_text(r->file, "trace_sha256", v->trace_sha256,
                        sizeof v->trace_sha256, r->err);
        moe_h5_get_text(r->file, "reference", reference, sizeof reference,
                        r->err);
        snprintf(v->reference, sizeof v->reference, "%s", reference);
    }
}

static void get_strategies(const reader *r)
{
    size_t n = 0;
    if (!failed(r) && r->strategies > MOE_MAX_STRATEGIES)
        moe_fail(r->err, MOE_FORMAT, "has %zu strategies, at most %d are read",
                 r->strategies, MOE_MAX_STRATEGIES);
    char **names = moe_h5_read_strings(r->group, "strategy", &n, r->err);
    for (size_t i = 0; i < r->n && !failed(r); i++) {
        moe_view *v = &r->views[i];
        v->dims.strategies = (int)n;
        v->strategy = moe_array_new(n, sizeof *v->strategy, r->err);
        for (size_t s = 0; s < n && !failed(r); s++) {
            snprintf(v->strategy[s].name, sizeof v->strategy[s].name, "%s",
                     names[s]);
            if (strcmp(names[s], v->reference) == 0)
                v->reference_index = (int)s;
        }
    }
    moe_h5_free_strings(names, n);
}

static void get_runs(const reader *r)
{
    for (const moe_sweep_text *t = moe_sweep_texts; t->name != NULL; t++)
        get_text(r, t);
    for (const moe_sweep_number *x = moe_sweep_numbers; x->name != NULL; x++)
        get_number(r, x->name, x->offset);
    for (const moe_sweep_real *x = moe_sweep_reals; x->name != NULL; x++)
        get_real(r, x);
    get_configs(r);
    double *tokens = get_reals(r, "tokens", 1, 0);
    double *shared = get_reals(r, "oversubscribed", 1, -1);
    for (size_t i = 0; i < r->n && !failed(r); i++) {
        moe_view *v = &r->views[i];
        v->tokens = tokens[i];
        v->oversubscribed = shared[i] > 0;
        v->valid = strcmp(v->validation, "pass") == 0;
        read_settings(v);
        moe_sizes_check(v, r->err);
        if ((size_t)v->dims.iterations > r->iterations)
            moe_fail(r->err, MOE_FORMAT,
                     "has impossible sizes: %d iterations, of at most %zu",
                     v->dims.iterations, r->iterations);
        moe_error_prefix(r->err, "run %zu", i);
    }
    free(shared);
    free(tokens);
}

/* @return samples of a statistic: not more than there were iterations.
 * @param rs  number of run and strategy */
static size_t count_of(const reader *r, size_t rs, double count)
{
    if (count >= 0 && count <= r->views[rs / r->strategies].dims.iterations)
        return (size_t)count;
    moe_fail(r->err, MOE_FORMAT, "run %zu has statistics of %g samples",
             rs / r->strategies, count);
    return 0;
}

/* A file of a newer version may have metrics that are not known here. */
static void get_statistics(const reader *r)
{
    size_t n = 0;
    extent(r, "metric");
    char **names = moe_h5_read_strings(r->group, "metric", &n, r->err);
    const moe_metric *m;
    for (size_t rs = 0; rs < r->n * r->strategies && !failed(r); rs++)
        r->views[rs / r->strategies].strategy[rs % r->strategies].late.median =
            NAN; /* of older files */
    for (size_t i = 0; i < MOE_N_STATISTICS && !failed(r); i++) {
        const moe_statistic *f = &moe_statistics[i];
        double *x = get_reals(r, f->name, r->strategies * n, -MANY);
        double *counts = get_reals(r, "n", r->strategies * n, 0);
        for (size_t j = 0; j < n && !failed(r); j++)
            for (size_t k = 0; (m = moe_metric_at(k)) != NULL; k++)
                for (size_t rs = 0; strcmp(m->name, names[j]) == 0 &&
                                    rs < r->n * r->strategies;
                     rs++) {
                    moe_strategy_view *y = &r->views[rs / r->strategies]
                                                .strategy[rs % r->strategies];
                    const size_t count = count_of(r, rs, counts[rs * n + j]);
                    moe_statistic_set(f, m, y, x[rs * n + j]);
                    if (!m->mean_only)
                        memcpy((char *)y + m->offset + offsetof(moe_summary, n),
                               &count, sizeof count);
                    if (m->ratio != MOE_NO_RATIO)
                        memcpy((char *)y + m->ratio + offsetof(moe_ratio, n),
                               &count, sizeof count);
                }
        free(counts);
        free(x);
    }
    moe_h5_free_strings(names, n);
}

static void find_latest(moe_view *v)
{
    v->pace.late = NAN;
    for (int s = 0; s < v->dims.strategies; s++)
        v->pace.late = fmax(v->pace.late, v->strategy[s].late.median);
}

/* Iterations measured must be those that have times. */
static void check_samples(const reader *r, size_t i)
{
    const moe_view *v = &r->views[i];
    int measured = 0;
    for (int k = 0; k < v->dims.iterations && !failed(r); k++) {
        bool all = true;
        for (int s = 0; s < v->dims.strategies; s++)
            for (int c = 0; c < MOE_N_CLOCKS; c++) {
                const double x = v->strategy[s].layer_time[c][k];
                moe_layer_time_check(x, c, r->err);
                all = all && !(c == MOE_CLOCK_WALL && isnan(x));
            }
        measured += all;
    }
    if (!failed(r) && measured != v->measured)
        moe_fail(r->err, MOE_FORMAT, "says %d iterations and has times of %d",
                 v->measured, measured);
    moe_error_prefix(r->err, "run %zu", i);
}

static void get_samples(const reader *r)
{
    const size_t n = r->iterations;
    double *x =
        get_reals(r, "layer_time", MOE_N_CLOCKS * r->strategies * n, -MANY);
    const double *at = x;
    for (size_t i = 0; i < r->n && !failed(r); i++)
        for (int c = 0; c < MOE_N_CLOCKS; c++)
            for (size_t s = 0; s < r->strategies && !failed(r); s++, at += n) {
                const size_t own = (size_t)r->views[i].dims.iterations;
                double *to = moe_array_new(own, sizeof *to, r->err);
                if (to != NULL)
                    memcpy(to, at, own * sizeof *to);
                r->views[i].strategy[s].layer_time[c] = to;
            }
    for (size_t i = 0; i < r->n && !failed(r); i++)
        check_samples(r, i);
    free(x);
}

static void get_phases(const reader *r)
{
    enum { N = MOE_N_CLOCKS * MOE_N_PHASES };
    double *x = get_reals(r, "phase_time", r->strategies * N, 0);
    double *hidden = get_reals(r, "hidden", r->strategies, -MANY);
    double *wait = get_reals(r, "wait", r->strategies, 0);
    for (size_t j = 0; j < r->n * r->strategies && !failed(r); j++) {
        moe_strategy_view *y =
            &r->views[j / r->strategies].strategy[j % r->strategies];
        memcpy(y->phase, x + j * N, sizeof y->phase);
        y->hidden = hidden[j];
        y->wait = wait[j];
        for (int p = 0; p < MOE_N_PHASES; p++) /* not kept in sweeps */
            for (int k = 0; k < MOE_N_PRICE_SOURCES; k++)
                y->source[p][k] = NAN;
    }
    free(wait);
    free(hidden);
    free(x);
}

static const moe_h5_schema schema = {.name = MOE_SWEEP_SCHEMA,
                                     .version = MOE_SWEEP_SCHEMA_VERSION,
                                     .noun = "a sweep",
                                     .older = true};

moe_status moe_sweep_read(const char *path, moe_view **views_out, size_t *n_out,
                          moe_error *err)
{
    moe_error local = {0};
    reader r = {.err = &local};
    r.file = moe_h5_open(path, false, &local);
    if (r.file < 0) /* the sentence names the file already */
        return moe_pass(err, &local);
    moe_h5_check_schema(r.file, &schema, &local);
    r.group = moe_h5_open_group(r.file, "runs", &local);
    r.n = extent(&r, "run");
    r.strategies = extent(&r, "strategy");
    r.iterations = extent(&r, "iteration");
    r.views = moe_array_new(r.n, sizeof *r.views, &local);
    if (!failed(&r)) {
        get_root(&r);
        get_strategies(&r);
        get_runs(&r);
        get_statistics(&r);
        get_samples(&r);
        get_phases(&r);
        for (size_t i = 0; i < r.n && !failed(&r); i++)
            find_latest(&r.views[i]);
        for (size_t i = 0; i < r.n; i++)
            moe_strategies_read(r.file, &r.views[i], &local);
    }
    moe_h5_close(r.group);
    moe_h5_close_file(r.file, &(moe_error){0});
    if (!failed(&r)) {
        *views_out = r.views;
        *n_out = r.n;
        return MOE_OK;
    }
    moe_views_free(r.views, r.n);
    return moe_fail(err, local.status, "%s: %s", path, local.text);
}
