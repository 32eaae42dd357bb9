/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/view.h"

#include <limits.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/facts.h"
#include "moegps/mem.h"
#include "reader.h"
#include "strategies.h"

const char *const moe_clock_names[MOE_N_CLOCKS + 1] = {
    [MOE_CLOCK_WALL] = "wall",
    [MOE_CLOCK_CPU] = "cpu",
    [MOE_CLOCK_GPU] = "gpu",
};

const char *moe_clock_name(moe_clock clock)
{
    return moe_clock_names[clock];
}

const char *moe_clock_origin(moe_clock clock)
{
    return clock == MOE_CLOCK_GPU ? "modelled" : "measured";
}

static const moe_h5_schema schema = {.name = MOE_RESULTS_SCHEMA,
                                     .version = MOE_RESULTS_SCHEMA_VERSION,
                                     .noun = "a result file",
                                     .older = true};

static int extent(moe_reader *rd, const char *scale, bool optional)
{
    hsize_t n = 0;
    if (optional && !moe_h5_exists(rd->file, scale))
        return 0;
    moe_h5_dims(rd->file, scale, 1, &n, rd->err);
    if (!moe_reader_failed(rd) && (n == 0 || n > INT_MAX))
        moe_fail(rd->err, MOE_FORMAT, "dimension '%s' has %llu values", scale,
                 (unsigned long long)n);
    return (int)n;
}

static void read_dims(moe_reader *rd)
{
    moe_ledger_dims *d = &rd->view->dims;
    d->strategies = extent(rd, "timing/strategy", false);
    d->iterations = extent(rd, "timing/iteration", false);
    d->layers = extent(rd, "timing/layer", false);
    d->ranks = extent(rd, "timing/rank", false);
    d->warmup = extent(rd, "timing/warmup", true);
    d->experts = extent(rd, "load/expert", false);
    d->gpus = extent(rd, "traffic/source", false);
    d->slots = extent(rd, "plan/slot", true);
    d->candidates = extent(rd, "choice/candidate", true);
    d->paced = extent(rd, "paced/pace", true) > 0;
    if (!moe_reader_failed(rd) && d->strategies > MOE_MAX_STRATEGIES)
        moe_fail(rd->err, MOE_FORMAT, "has %d strategies, at most %d are read",
                 d->strategies, MOE_MAX_STRATEGIES);
}

/* A text that a file may lack. */
static void get_optional(hid_t obj, const char *name, char *text, size_t size)
{
    moe_error ignored = {0};
    text[0] = '\0';
    if (moe_h5_has(obj, name))
        moe_h5_get_text(obj, name, text, size, &ignored);
}

/* A plan that outlives the run is never paid for in it. */
static int read_period(const moe_reader *rd, hid_t config)
{
    moe_error ignored = {0};
    int64_t every = 1;
    const char *name = moe_fact_name(MOE_FACT_REBALANCE_EVERY);
    if (moe_h5_has(config, name))
        every = moe_h5_get_int(config, name, &ignored);
    return every >= 1 && every <= rd->view->dims.iterations ? (int)every : 1;
}

/* Older files do not say; more than one is what needs saying. */
static double read_shared(hid_t config, moe_fact fact)
{
    const char *name = moe_fact_name(fact);
    return moe_h5_has(config, name)
               ? moe_h5_get_real(config, name, &(moe_error){0})
               : 1;
}

static void read_identity(moe_reader *rd)
{
    moe_view *v = rd->view;
    const struct {
        const char *name;
        char *text;
        size_t size;
    } texts[] = {
        {"run_id", v->run_id, sizeof v->run_id},
        {"title", v->title, sizeof v->title},
        {"date_created", v->date, sizeof v->date},
        {"source", v->source, sizeof v->source},
        {"status", v->status, sizeof v->status},
        {"validation", v->validation, sizeof v->validation},
        {"validation_text", v->validation_text, sizeof v->validation_text},
        {"reference", v->reference, sizeof v->reference},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++)
        moe_h5_get_text(rd->file, texts[i].name, texts[i].text, texts[i].size,
                        rd->err);
    v->valid = strcmp(v->validation, "pass") == 0;
}

/* Names of phases, one behind the other. */
static void read_pace(hid_t config, moe_pace_view *pace)
{
    char paced[64];
    const char *dilation = moe_fact_name(MOE_FACT_DILATION);
    get_optional(config, moe_fact_name(MOE_FACT_PACED), paced, sizeof paced);
    for (int k = 0; k < MOE_N_PACES; k++)
        pace->phase[k] = strstr(paced, moe_pace_name(k)) != NULL;
    pace->dilation = moe_h5_has(config, dilation)
                         ? moe_h5_get_real(config, dilation, &(moe_error){0})
                         : 1;
}

static void read_config(moe_reader *rd)
{
    moe_view *v = rd->view;
    const struct {
        moe_fact fact;
        char *text;
        size_t size;
    } texts[] = {
        {MOE_FACT_MODEL, v->model, sizeof v->model},
        {MOE_FACT_CLUSTER, v->cluster, sizeof v->cluster},
        {MOE_FACT_TRACE, v->trace, sizeof v->trace},
        {MOE_FACT_TRACE_SHA256, v->trace_sha256, sizeof v->trace_sha256},
        {MOE_FACT_FFN, v->ffn, sizeof v->ffn},
        {MOE_FACT_SERVING, v->serving, sizeof v->serving},
        {MOE_FACT_LINKS, v->pace.links, sizeof v->pace.links},
        {MOE_FACT_TIMER, v->pace.timer, sizeof v->pace.timer},
        {MOE_FACT_PROGRESS, v->pace.progress, sizeof v->pace.progress},
    };
    const char *scale = moe_fact_name(MOE_FACT_SCALE);
    const char *top_k = moe_fact_name(MOE_FACT_TOP_K);
    hid_t group = moe_h5_open_group(rd->file, "config", rd->err);
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++)
        get_optional(group, moe_fact_name(texts[i].fact), texts[i].text,
                     texts[i].size);
    if (!moe_reader_failed(rd))
        v->config = moe_h5_read_text(group, "resolved", rd->err);
    read_pace(group, &v->pace);
    v->period = read_period(rd, group);
    v->passes = fmax(read_shared(group, MOE_FACT_PASSES),
                     read_shared(group, MOE_FACT_ALIKE));
    if (moe_h5_has(group, scale))
        v->scale = moe_h5_get_real(group, scale, &(moe_error){0});
    if (moe_h5_has(group, top_k))
        v->top_k = moe_size_of(moe_h5_get_int(group, top_k, rd->err));
    moe_h5_close(group);
}

static void read_provenance(moe_reader *rd)
{
    moe_view *v = rd->view;
    hid_t group = moe_h5_open_group(rd->file, "provenance", rd->err);
    v->nodes = moe_size_of(moe_h5_get_int(group, "nodes", rd->err));
    moe_sizes_check(v, rd->err);
    int32_t *shared =
        moe_h5_read(group, "oversubscribed", H5T_NATIVE_INT32, sizeof *shared,
                    (size_t)v->dims.ranks, rd->err);
    for (int r = 0; shared != NULL && r < v->dims.ranks; r++)
        v->oversubscribed = v->oversubscribed || shared[r] > 0;
    free(shared);
    moe_h5_close(group);
    if (moe_h5_exists(rd->file, "log") && !moe_reader_failed(rd))
        v->warnings = moe_h5_read_strings(rd->file, "log/warning",
                                          &v->n_warnings, rd->err);
}

static void read_strategies(moe_reader *rd)
{
    moe_view *v = rd->view;
    size_t n = 0;
    char **names =
        moe_h5_read_strings(rd->file, "timing/strategy", &n, rd->err);
    v->strategy = moe_array_new(n, sizeof *v->strategy, rd->err);
    for (size_t s = 0; v->strategy != NULL && names != NULL && s < n; s++) {
        snprintf(v->strategy[s].name, sizeof v->strategy[s].name, "%s",
                 names[s]);
        if (strcmp(names[s], v->reference) == 0)
            v->reference_index = (int)s;
    }
    moe_h5_free_strings(names, n);
}

moe_status moe_view_read(const char *path, moe_view *out, moe_error *err)
{
    moe_view view = {0};
    moe_error local = {0};
    moe_reader rd = {.view = &view, .err = &local};
    snprintf(view.path, sizeof view.path, "%s", path);
    rd.file = moe_h5_open(path, false, &local);
    if (moe_reader_failed(&rd)) /* the sentence names the file already */
        return moe_pass(err, &local);
    moe_h5_check_schema(rd.file, &schema, rd.err);
    read_dims(&rd);
    read_identity(&rd);
    read_config(&rd);
    read_provenance(&rd);
    if (!moe_reader_failed(&rd))
        read_strategies(&rd);
    moe_reader_reduce(&rd);
    if (!moe_reader_failed(&rd))
        moe_prices_read(&rd);
    if (!moe_reader_failed(&rd))
        moe_pace_read(&rd);
    moe_strategies_read(rd.file, &view, &local);
    H5Fclose(rd.file);
    free(rd.buffer);
    if (moe_reader_failed(&rd)) {
        moe_view_free(&view);
        return moe_fail(err, local.status, "%s: %s", path, local.text);
    }
    *out = view;
    return MOE_OK;
}

int moe_view_strategy(const moe_view *view, const char *name)
{
    for (int s = 0; s < view->dims.strategies; s++)
        if (strcmp(view->strategy[s].name, name) == 0)
            return s;
    return -1;
}

void moe_view_free(moe_view *view)
{
    for (int s = 0; view->strategy != NULL && s < view->dims.strategies; s++)
        for (int c = 0; c < MOE_N_CLOCKS; c++)
            free(view->strategy[s].layer_time[c]);
    free(view->strategy);
    free(view->pace.route);
    free(view->config);
    free(view->batch_hash);
    moe_h5_free_strings(view->warnings, view->n_warnings);
    *view = (moe_view){0};
}

void moe_views_free(moe_view *views, size_t n)
{
    for (size_t i = 0; views != NULL && i < n; i++)
        moe_view_free(&views[i]);
    free(views);
}
