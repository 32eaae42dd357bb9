/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/progress.h"
#include "moegps/replace.h"
#include "parse.h"
#include "trace.h"

typedef struct {
    const char *trace, *train, *test, *predictors, *load, *model, *cluster,
        *json, *csv;
    int batch, seq, gpus, repeats, lookahead;
    int order; /* moe_batch_order */
    bool per_layer, force;
    uint64_t seed;
} settings;

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_TRACE("", "in jobs/traces, or a path"),
    MOE_ARGS_STRING("train", train, "", "FILE|NAME",
                    "instead of --trace, with --test: learn from the training "
                    "part of this one"),
    MOE_ARGS_STRING("test", test, "", "FILE|NAME",
                    "... and ask about the test part of this one"),
    MOE_ARGS_PREDICTORS("with options after colons: token,ema:alpha=0.2"),
    MOE_ARGS_STRING(
        "load", load, "", "FILE|NAME",
        "predictor file of moegps train: a path, or in jobs/predictors"),
    MOE_ARGS_INT("batch", batch, "1", 1, 1 << 20, "sequences of a batch"),
    MOE_ARGS_INT("seq", seq, "512", 0, 1 << 20,
                 "tokens of each; 0: sequences or steps whole"),
    MOE_ARGS_STRING("cluster", cluster, "", "FILE|NAME",
                    "price the predictors on its GPUs"),
    MOE_ARGS_STRING("model", model, "", "FILE|NAME",
                    "that is priced; default: the trace's"),
    MOE_ARGS_INT("gpus", gpus, "4", 1, 65536,
                 "that share a batch, for the price"),
    MOE_ARGS_INT("lookahead", lookahead, "1", 1, 4096,
                 "layers that are foretold ahead by predictors that look at "
                 "earlier layers"),
    MOE_ARGS_INT("repeats", repeats, "15", 1, 10000,
                 "of the timing of a batch"),
    MOE_ARGS_ORDER(order),
    MOE_ARGS_SEED(seed, "of batches and resamples"),
    MOE_ARGS_FLAG("layers", per_layer, "a line for every layer, too"),
    MOE_ARGS_JSON,
    MOE_ARGS_CSV("write CSV"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps evaluate",
    .example = "moegps evaluate --trace mixtral-8x7b-tokens --predictors "
               "token,frequency",
    .help = "Say how well predictors foretell the test part of a trace, and "
            "what they cost: error of the distribution, beside what chance "
            "alone would make it; accuracy of tokens; time.",
    .rows = rows};

/* ---- predictors as they are typed ---- */

static moe_status take_subject(const char *text, moe_evaluate_subject *out,
                               moe_error *err)
{
    moe_error local = {0};
    moe_parsed_predictor parsed = {.predictor = NULL};
    snprintf(out->label, sizeof out->label, "%s", text);
    if (moe_parse_predictor(text, &parsed, &local) != MOE_OK)
        return moe_fail(err, local.status, "--predictors: %s", local.text);
    out->predictor = parsed.predictor;
    out->params = parsed.params;
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

static bool to_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

static moe_status check_given(const settings *s, moe_error *err)
{
    const bool pair = s->train != NULL && s->test != NULL;
    if (pair ? s->trace != NULL
             : s->trace == NULL || s->train != NULL || s->test != NULL)
        return moe_fail(err, MOE_USAGE,
                        "either --trace is needed or --train and --test");
    if (s->model != NULL && s->cluster == NULL)
        return moe_fail(err, MOE_USAGE, "--model goes with --cluster");
    moe_replace_check(s->json, s->force, err);
    return moe_replace_check(s->csv, s->force, err);
}

/* The GPU that predictors are priced on. */
static moe_status read_pricer(const settings *s, const moe_trace *trace,
                              moe_evaluate_report *r, moe_error *err)
{
    const char *name = s->model != NULL ? s->model : trace->model;
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

/* What training made. A predictor that has seen the test tokens is not judged
 * by them. */
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

/* How far all are, in percent. */
typedef struct {
    moe_progress shown;
    size_t before, of; /* predictors */
} progress;

static void show_progress(void *arg, double done)
{
    progress *p = arg;
    moe_progress_step(&p->shown,
                      (int)(100 * ((double)p->before + done) / (double)p->of));
}

static moe_status evaluate_one(const settings *s, const moe_evaluate_report *r,
                               moe_evaluate_subject *subject, progress *shown,
                               moe_error *err)
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
        .order = (moe_batch_order)s->order,
        .seed = s->seed,
        .learned = r->learned.n_parts > 0 ? &r->learned : NULL,
        .lookahead = s->lookahead,
        .repeats = s->repeats,
        .pricer = s->cluster != NULL ? &r->pricer : NULL,
        .step = show_progress,
        .arg = shown};
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

static void tell(const settings *s, const moe_evaluate_report *r,
                 moe_error *err)
{
    if (!to_stdout(s->json) && !to_stdout(s->csv)) {
        moe_document *doc = moe_document_new(err);
        if (doc != NULL)
            moe_evaluate_say(doc, r);
        moe_document_say(doc, stdout, err);
    }
    if (s->csv != NULL)
        moe_evaluate_write_csv(r, s->csv, s->force, err);
    if (s->json != NULL)
        moe_evaluate_write_json(r, s->json, s->force, err);
}

static void release(moe_evaluate_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->subject[i].params);
        moe_evaluation_fini(&r->subject[i].result);
    }
    free(r->subject);
    moe_learned_free(&r->learned);
    moe_cost_free(r->pricer.cost, r->cost_state);
}

/* One trace, or the training part of one and the test part of another. */
static void read_traces(const settings *s, moe_trace *trace, moe_error *err)
{
    moe_trace train = {.shared = MPI_WIN_NULL};
    moe_trace test = {.shared = MPI_WIN_NULL};
    if (s->trace != NULL)
        moe_trace_by_name(s->trace, trace, err);
    else if (moe_trace_by_name(s->train, &train, err) == MOE_OK &&
             moe_trace_by_name(s->test, &test, err) == MOE_OK)
        moe_trace_join(&train, &test, trace, err);
    moe_trace_free(&train);
    moe_trace_free(&test);
}

static void evaluate(const settings *s, moe_error *err)
{
    char pair[512] = "";
    moe_trace trace = {.shared = MPI_WIN_NULL};
    moe_evaluate_report r = {.trace = &trace,
                             .trace_name = s->trace,
                             .batch = s->batch,
                             .seq = s->seq,
                             .gpus = s->gpus,
                             .seed = s->seed,
                             .priced = s->cluster != NULL,
                             .per_layer = s->per_layer,
                             .learned = {.shared = MPI_WIN_NULL}};
    if (s->trace == NULL && s->train != NULL && s->test != NULL) {
        snprintf(pair, sizeof pair, "%s, trained on %s", s->test, s->train);
        r.trace_name = pair;
    }
    if (check_given(s, err) == MOE_OK && take_subjects(s, &r, err) == MOE_OK)
        read_traces(s, &trace, err);
    if (err->status == MOE_OK && s->load != NULL)
        read_learned(s, &trace, &r, err);
    if (err->status == MOE_OK && r.priced)
        read_pricer(s, &trace, &r, err);
    progress shown = {.of = r.n};
    moe_progress_begin(&shown.shown, "percent", 100, true);
    for (; shown.before < r.n && err->status == MOE_OK; shown.before++)
        evaluate_one(s, &r, &r.subject[shown.before], &shown, err);
    moe_progress_end(&shown.shown);
    if (err->status == MOE_OK)
        tell(s, &r, err);
    release(&r);
    moe_trace_free(&trace);
}

int moe_cmd_evaluate(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        evaluate(&s, &err);
    return moe_args_end(&args, &s, &err);
}
