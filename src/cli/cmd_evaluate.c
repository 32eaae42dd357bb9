/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "advise.h"
#include "args_old.h"
#include "commands.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "trace.h"

typedef struct {
    char trace[1024], predictors[4096], model[256], cluster[256];
    char load[1024], json[1024], csv[1024];
    int batch, seq, gpus, repeats;
    bool per_layer, force;
    uint64_t seed;
} settings;

#define AT(member) MOE_OPT_AT(settings, member)

static const moe_opt rows[] = {
    MOE_ARGS_TEXT("trace", trace, "", "in jobs/traces, or a path"),
    MOE_ARGS_TEXT("predictors", predictors, "",
                  "with options after colons: token,ema:alpha=0.2"),
    MOE_ARGS_TEXT(
        "load", load, "",
        "predictor file of moegps train: a path, or in jobs/predictors"),
    MOE_ARGS_INT("batch", batch, "1", 1, 1 << 20,
                 "sequences of a batch; default 1"),
    MOE_ARGS_INT("seq", seq, "512", 0, 1 << 20,
                 "tokens of each; 0: sequences or steps whole; default 512"),
    MOE_ARGS_TEXT("cluster", cluster, "", "price the predictors on its GPUs"),
    MOE_ARGS_TEXT("model", model, "", "that is priced; default: the trace's"),
    MOE_ARGS_INT("gpus", gpus, "4", 1, 65536,
                 "that share a batch, for the price; default 4"),
    MOE_ARGS_INT("repeats", repeats, "15", 1, 10000,
                 "of the timing of a batch; default 15"),
    {.key = "seed",
     .type = MOE_OPT_U64,
     .initial = "1",
     .max = 1.8e19,
     AT(seed),
     .help = "of batches and resamples; default 1"},
    MOE_ARGS_FLAG("layers", per_layer, "a line for every layer, too"),
    MOE_ARGS_TEXT("json", json, "",
                  "write JSON; - is stdout, and then only JSON"),
    MOE_ARGS_TEXT("csv", csv, "", "write CSV; - is stdout, and then only CSV"),
    MOE_ARGS_FLAG("force", force, "replace existing JSON and CSV files"),
    {.key = NULL}};

/* ---- predictors as they are typed ---- */

static moe_status unknown(const char *name, moe_error *err)
{
    char known[512] = "";
    for (size_t i = 0, at = 0; moe_predictor_at(i) != NULL; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s",
                               i > 0 ? ", " : "", moe_predictor_at(i)->name);
    return moe_fail(err, MOE_USAGE,
                    "--predictors: no predictor '%s' (allowed: %s)", name,
                    known);
}

static moe_status set_option(const moe_predictor *p, void *params, char *text,
                             moe_error *err)
{
    char *value = strchr(text, '=');
    if (value == NULL)
        return moe_fail(err, MOE_USAGE,
                        "--predictors: %s: '%s' is not OPTION=VALUE", p->name,
                        text);
    *value++ = '\0';
    const moe_opt *row = moe_opt_find(p->opts, text);
    if (row == NULL)
        return moe_fail(err, MOE_USAGE,
                        "--predictors: %s has no option '%s' (see moegps list "
                        "predictors)",
                        p->name, text);
    moe_error local = {0};
    if (moe_opt_parse(row, value, params, &local) == MOE_OK)
        return MOE_OK;
    return moe_fail(err, local.status, "--predictors: %s: %s", p->name,
                    local.text);
}

/* @param text  NAME[:OPTION=VALUE]...; cut up. */
static moe_status take_subject(char *text, moe_evaluate_subject *out,
                               moe_error *err)
{
    char *save = NULL;
    snprintf(out->label, sizeof out->label, "%s", text);
    const char *name = strtok_r(text, ":", &save);
    out->predictor = moe_predictor_find(name != NULL ? name : "");
    if (out->predictor == NULL)
        return unknown(name != NULL ? name : "", err);
    out->params = moe_array_new(1, out->predictor->params_size, err);
    if (out->params == NULL)
        return MOE_NOMEM;
    if (out->predictor->opts != NULL)
        moe_opt_defaults(out->predictor->opts, out->params);
    for (char *o = strtok_r(NULL, ":", &save); o != NULL;
         o = strtok_r(NULL, ":", &save))
        if (set_option(out->predictor, out->params, o, err) != MOE_OK)
            return err->status;
    return MOE_OK;
}

static moe_status take_subjects(const settings *s, moe_evaluate_report *r,
                                moe_error *err)
{
    char *text = moe_strdup(s->predictors, err), *save = NULL;
    size_t most = 1;
    for (const char *c = s->predictors; *c != '\0'; c++)
        most += *c == ',';
    r->subject = moe_array_new(most, sizeof *r->subject, err);
    for (char *item = text != NULL ? strtok_r(text, ",", &save) : NULL;
         item != NULL && err->status == MOE_OK;
         item = strtok_r(NULL, ",", &save))
        take_subject(item, &r->subject[r->n++], err);
    free(text);
    if (err->status == MOE_OK && r->n == 0)
        moe_fail(err, MOE_USAGE, "--predictors: '%s' names none",
                 s->predictors);
    return err->status;
}

/* ---- the evaluation ---- */

static moe_status check_given(const settings *s, moe_error *err)
{
    const char *const outputs[] = {s->json, s->csv};
    if (*s->trace == '\0' || *s->predictors == '\0')
        return moe_fail(err, MOE_USAGE,
                        "--trace and --predictors are needed (see moegps "
                        "evaluate --help)");
    if (*s->model != '\0' && *s->cluster == '\0')
        return moe_fail(err, MOE_USAGE, "--model goes with --cluster");
    if (strcmp(s->json, "-") == 0 && strcmp(s->csv, "-") == 0)
        return moe_fail(err, MOE_USAGE,
                        "--json and --csv cannot both go to stdout");
    for (size_t i = 0; i < MOE_ARRAY_LEN(outputs); i++)
        if (*outputs[i] != '\0' && strcmp(outputs[i], "-") != 0)
            moe_trace_output_check(&(moe_trace_output){outputs[i], s->force},
                                   err);
    return err->status;
}

/* The GPU that predictors are priced on. */
static moe_status read_pricer(const settings *s, const moe_trace *trace,
                              moe_evaluate_report *r, moe_error *err)
{
    const char *name = *s->model != '\0' ? s->model : trace->model;
    if (moe_model_read(name, &r->model, err) != MOE_OK ||
        moe_cluster_read(s->cluster, &r->cluster, err) != MOE_OK)
        return err->status;
    const moe_cost *cost = moe_cost_find(r->cluster.cost);
    r->cost_state = moe_cost_new(cost, &r->model, &r->cluster, err);
    r->pricer = (moe_pricer){.cost = cost,
                             .state = r->cost_state,
                             .model = &r->model,
                             .layout = {s->gpus, r->cluster.gpus_per_node}};
    return err->status;
}

/* What training made; whoever saw the test tokens is not judged by them. */
static moe_status read_learned(const settings *s, const moe_trace *trace,
                               moe_evaluate_report *r, moe_error *err)
{
    char path[1024];
    if (moe_profile_find("predictors", s->load, ".h5", path, sizeof path,
                         err) != MOE_OK ||
        moe_learned_read(path, &r->learned, err) != MOE_OK)
        return err->status;
    return moe_learned_check(&r->learned, trace, err);
}

static moe_status evaluate_one(const settings *s, const moe_evaluate_report *r,
                               moe_evaluate_subject *subject, moe_error *err)
{
    const moe_predictor *p = subject->predictor;
    const char *path = p->file != NULL ? p->file(subject->params) : NULL;
    char *data = NULL;
    moe_evaluate_params params = {
        .trace = r->trace,
        .predictor = p,
        .params = subject->params,
        .batch = s->batch,
        .seq = s->seq,
        .seed = s->seed,
        .learned = r->learned.n_parts > 0 ? &r->learned : NULL,
        .repeats = s->repeats,
        .pricer = *s->cluster != '\0' ? &r->pricer : NULL};
    if (path != NULL && *path != '\0' &&
        moe_read_bytes(path, &data, &params.file.bytes, err) == MOE_OK) {
        params.file.path = path;
        params.file.data = data;
    }
    if (err->status == MOE_OK)
        moe_evaluate(&params, &subject->result, err);
    free(data);
    return err->status;
}

static moe_status evaluate(const settings *s, moe_error *err)
{
    moe_trace trace = {.shared = MPI_WIN_NULL};
    moe_evaluate_report r = {.trace = &trace,
                             .trace_name = s->trace,
                             .batch = s->batch,
                             .seq = s->seq,
                             .gpus = s->gpus,
                             .seed = s->seed,
                             .priced = *s->cluster != '\0',
                             .per_layer = s->per_layer,
                             .learned = {.shared = MPI_WIN_NULL}};
    if (check_given(s, err) == MOE_OK && take_subjects(s, &r, err) == MOE_OK)
        moe_trace_by_name(s->trace, &trace, err);
    if (err->status == MOE_OK && *s->load != '\0')
        read_learned(s, &trace, &r, err);
    if (err->status == MOE_OK && r.priced)
        read_pricer(s, &trace, &r, err);
    for (size_t i = 0; i < r.n && err->status == MOE_OK; i++)
        evaluate_one(s, &r, &r.subject[i], err);
    if (err->status == MOE_OK) {
        if (strcmp(s->json, "-") != 0 && strcmp(s->csv, "-") != 0)
            moe_evaluate_print(&r, stdout);
        if (*s->csv != '\0')
            moe_evaluate_write_csv(&r, s->csv, s->force, err);
        if (*s->json != '\0')
            moe_evaluate_write_json(&r, s->json, s->force, err);
        if (fflush(stdout) != 0)
            moe_fail(err, MOE_IO, "standard output: cannot write");
    }
    for (size_t i = 0; i < r.n; i++) {
        free(r.subject[i].params);
        moe_evaluation_fini(&r.subject[i].result);
    }
    free(r.subject);
    moe_learned_free(&r.learned);
    moe_cost_free(r.pricer.cost, r.cost_state);
    moe_trace_free(&trace);
    return err->status;
}

int moe_cmd_evaluate(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    bool help = false;
    static const moe_args_rows args = {
        .name = "moegps evaluate",
        .help = "Say how well predictors foretell the test part of a trace, "
                "and what they cost: error of the distribution, beside what "
                "chance alone would make it; accuracy of tokens; time.",
        .rows = rows};
    moe_args_rows_parse(&args, argc, argv, &s, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK)
        evaluate(&s, &err);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
