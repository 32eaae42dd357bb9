/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mpi.h>

#include "args.h"
#include "moegps/ctx.h"
#include "moegps/engine.h"
#include "moegps/h5.h"
#include "moegps/learned.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/progress.h"
#include "moegps/report.h"
#include "moegps/results.h"
#include "moegps/stop.h"
#include "moegps/watchdog.h"

enum { MAX_STRATEGIES = 64 }; /* as many as an experiment may have */
enum { MAX_SETS = 64, MAX_LAYERS = 4096, MAX_NOTES = 48 };

/* Seconds between flushes of the result file. */
static const double FLUSH_EVERY_S = 5.0;

enum {
    KEY_SET = 's',
    KEY_OUT = 'o',
    KEY_JSON = 'j',
    KEY_QUIET = 'q',
    KEY_DRY = 256,
    KEY_FORCE,
    KEY_RESUME,
    KEY_MAX_TIME,
    KEY_WATCHDOG,
    KEY_INJECT
};

typedef struct {
    const char *experiment, *out, *json, *inject;
    const char *sets[MAX_SETS];
    int n_sets;
    double max_time_s, watchdog_s; /* 0: none */
    bool dry_run, force, resume, quiet;
} options_t;

static const struct argp_option options[] = {
    {"set", KEY_SET, "KEY=VALUE", 0,
     "change a setting, as in workload.batch=4 or strategies.oracle.slots=5",
     0},
    {"out", KEY_OUT, "FILE", 0, "result file, instead of the experiment's", 0},
    {"json", KEY_JSON, "FILE", 0, "also write the report as JSON; - is stdout",
     0},
    {"dry-run", KEY_DRY, NULL, 0,
     "check everything, print what would run and the memory it needs", 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing result file", 0},
    {"resume", KEY_RESUME, NULL, 0,
     "go on with the result file of a run that was stopped or killed; start "
     "anew without one; do nothing if it is complete",
     0},
    {"max-time", KEY_MAX_TIME, "TIME", 0,
     "stop in order, with exit code 75, before this much time has passed: "
     "s, or M:S, H:M:S",
     0},
    {"watchdog", KEY_WATCHDOG, "S", 0,
     "end the run when set-up or an iteration takes longer than this: a rank "
     "hangs",
     0},
    {"inject", KEY_INJECT, "SITE:RANK", 0,
     "make one call fail, see `moegps list sites`", 0},
    {"quiet", KEY_QUIET, NULL, 0, "no progress and no notes", 0},
    MOE_ARGS_HELP,
    {0}};

/* Seconds, or minutes and hours before them, as Slurm writes times. */
static moe_status parse_time(const char *option, const char *text,
                             double *s_out, moe_error *err)
{
    double total = 0;
    const char *at = text;
    for (int part = 0; part < 3; part++) {
        char *end;
        const double x = strtod(at, &end);
        const bool more = *end == ':' && part < 2;
        if (end == at || !(x >= 0 && x < 1e9) || (*end != '\0' && !more))
            break;
        total = 60 * total + x;
        at = end + 1;
        if (!more && total > 0) {
            *s_out = total;
            return MOE_OK;
        }
    }
    return moe_fail(err, MOE_USAGE,
                    "%s '%s': a time above 0 is needed, as in 90, 1:30 or "
                    "0:01:30",
                    option, text);
}

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    options_t *o = input;
    switch (key) {
    case KEY_SET:
        if (o->n_sets == MAX_SETS)
            return moe_fail(err, MOE_USAGE, "at most %d --set", MAX_SETS);
        o->sets[o->n_sets++] = arg;
        break;
    case KEY_OUT:
        o->out = arg;
        break;
    case KEY_JSON:
        o->json = arg;
        break;
    case KEY_DRY:
        o->dry_run = true;
        break;
    case KEY_FORCE:
        o->force = true;
        break;
    case KEY_RESUME:
        o->resume = true;
        break;
    case KEY_MAX_TIME:
        return parse_time("--max-time", arg, &o->max_time_s, err);
    case KEY_WATCHDOG:
        return parse_time("--watchdog", arg, &o->watchdog_s, err);
    case KEY_INJECT:
        o->inject = arg;
        break;
    case KEY_QUIET:
        o->quiet = true;
        break;
    default:
        if (o->experiment != NULL)
            return moe_fail(err, MOE_USAGE, "'%s': one experiment file only",
                            arg);
        o->experiment = arg;
        break;
    }
    return MOE_OK;
}

static const moe_args args = {
    .name = "moegps run",
    .args = "EXPERIMENT.yaml",
    .help = "Run an experiment: every strategy on the same batches of a real "
            "trace, each MPI rank one GPU. Start it with mpirun or srun.",
    .options = options,
    .take = take};

/* Everything a run holds; released in one place. */
typedef struct {
    moe_ctx ctx;
    options_t o;
    moe_experiment experiment;
    moe_model model;
    moe_cluster cluster;
    moe_trace trace;
    moe_learned file[MAX_STRATEGIES];           /* distinct predictor files */
    const moe_learned *learned[MAX_STRATEGIES]; /* of each strategy, or NULL */
    int n_files;
    moe_topo topo;
    int layers[MAX_LAYERS], n_layers;
    char *input, *resolved, *command_line;
    char *model_profile, *cluster_profile;
    char out[1024];
    moe_engine *engine;
    moe_ledger ledger;
    moe_results *results;
    moe_watchdog *watchdog;
    int done; /* iterations that the file had already */
} run_t;

static moe_status parse_arguments(run_t *r, int argc, char **argv)
{
    moe_error *err = &r->ctx.err;
    bool help = false;
    if (moe_args_parse(&args, argc, argv, &r->o, &help, err) != MOE_OK)
        return err->status;
    r->ctx.quiet = r->o.quiet;
    if (r->o.experiment == NULL)
        return moe_fail(err, MOE_USAGE,
                        "an experiment file is missing, as in `moegps run "
                        "jobs/demo.yaml`");
    if (r->o.resume && r->o.force)
        moe_fail(err, MOE_USAGE,
                 "--resume goes on with a file and --force replaces it: give "
                 "one of them");
    if (r->o.inject != NULL)
        moe_injection_parse(r->o.inject, &r->ctx.injection, err);
    if (r->ctx.injection.armed && r->ctx.injection.rank >= r->ctx.size)
        moe_fail(err, MOE_USAGE, "--inject '%s': there are %d ranks",
                 r->o.inject, r->ctx.size);
    return err->status;
}

/* Read a profile on rank 0, parse it everywhere. */
static moe_status read_profile(moe_ctx *ctx, const char *kind, const char *name,
                               char *path, char **text_out)
{
    if (ctx->rank == 0)
        moe_profile_find(kind, name, ".yaml", path, 1024, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    MOE_MPI(MPI_Bcast(path, 1024, MPI_CHAR, 0, ctx->comm));
    return moe_ctx_read_text(ctx, path, text_out);
}

static moe_status read_profiles(run_t *r)
{
    char path[1024] = "";
    moe_ctx *ctx = &r->ctx;
    if (read_profile(ctx, "models", r->experiment.model_name, path,
                     &r->model_profile) == MOE_OK)
        moe_model_parse(r->model_profile, path, &r->model, &ctx->err);
    if (moe_agree(ctx) == MOE_OK &&
        read_profile(ctx, "clusters", r->experiment.cluster_name, path,
                     &r->cluster_profile) == MOE_OK)
        moe_cluster_parse(r->cluster_profile, path, &r->cluster, &ctx->err);
    return moe_agree(ctx);
}

static moe_status read_trace(run_t *r)
{
    char path[1024] = "";
    moe_ctx *ctx = &r->ctx;
    if (ctx->rank == 0)
        moe_profile_find("traces", r->experiment.trace_name, ".h5", path,
                         sizeof path, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    return moe_trace_load(ctx, path, &r->trace);
}

/* All layers are those that the trace has. */
static void choose_layers(run_t *r)
{
    const moe_trace *t = &r->trace;
    const char *list = r->experiment.workload.layers;
    if (r->model.layers > MAX_LAYERS || t->layers > MAX_LAYERS) {
        moe_fail(&r->ctx.err, MOE_USAGE, "at most %d layers can be run",
                 MAX_LAYERS);
    } else if (t->has_layer_number && strcmp(list, "all") == 0) {
        r->n_layers = t->layers;
        memcpy(r->layers, t->layer_number,
               (size_t)t->layers * sizeof *r->layers);
    } else {
        moe_experiment_layers(list, r->model.layers, r->layers, &r->n_layers,
                              &r->ctx.err);
    }
}

/* The predictor files that strategies ask for, each once. */
static moe_status read_learned(run_t *r)
{
    moe_ctx *ctx = &r->ctx;
    const moe_experiment *x = &r->experiment;
    for (int i = 0; i < x->n_strategies; i++) {
        const char *name = x->strategy[i].load;
        char path[1024] = "";
        for (int j = 0; j < i && r->learned[i] == NULL; j++)
            if (strcmp(name, x->strategy[j].load) == 0)
                r->learned[i] = r->learned[j];
        if (name[0] == '\0' || r->learned[i] != NULL)
            continue;
        if (ctx->rank == 0)
            moe_profile_find("predictors", name, ".h5", path, sizeof path,
                             &ctx->err);
        if (moe_agree(ctx) != MOE_OK ||
            moe_learned_load(ctx, path, &r->file[r->n_files]) != MOE_OK)
            return ctx->err.status;
        r->learned[i] = &r->file[r->n_files++];
    }
    return MOE_OK;
}

static moe_status read_inputs(run_t *r)
{
    moe_ctx *ctx = &r->ctx;
    if (moe_ctx_read_text(ctx, r->o.experiment, &r->input) != MOE_OK)
        return ctx->err.status;
    moe_experiment_parse(r->input, r->o.experiment, r->o.sets, r->o.n_sets,
                         &r->experiment, &ctx->err);
    moe_inject(ctx, MOE_SITE_CONFIG);
    if (moe_agree(ctx) != MOE_OK || read_profiles(r) != MOE_OK)
        return ctx->err.status;
    r->resolved = moe_experiment_resolved(&r->experiment);
    if (moe_agree(ctx) != MOE_OK || read_trace(r) != MOE_OK)
        return ctx->err.status;
    choose_layers(r);
    return moe_agree(ctx) == MOE_OK ? read_learned(r) : ctx->err.status;
}

/* Make the result file's folder; those above it must be there. */
static void make_folder(run_t *r)
{
    struct stat info;
    char *slash = strrchr(r->out, '/');
    if (slash == NULL || slash == r->out)
        return;
    *slash = '\0';
    if (mkdir(r->out, 0777) != 0) {
        const int why = errno;
        if (stat(r->out, &info) != 0 || !S_ISDIR(info.st_mode))
            moe_fail(&r->ctx.err, MOE_IO, "%s: cannot create this folder: %s",
                     r->out, strerror(why));
    }
    *slash = '/';
}

/* The result file's path, and its folder, before anything expensive. */
static moe_status prepare_output(run_t *r)
{
    moe_ctx *ctx = &r->ctx;
    const int gpus = moe_engine_dims(r->engine).gpus;
    const size_t len = r->o.out != NULL ? strlen(r->o.out) : 0;
    if (r->o.out == NULL)
        moe_experiment_output(&r->experiment, gpus, r->out, sizeof r->out,
                              &ctx->err);
    else if (len == 0 || len >= sizeof r->out)
        moe_fail(&ctx->err, MOE_USAGE,
                 "--out: path of %zu characters, 1 to %zu are allowed", len,
                 sizeof r->out - 1);
    else
        memcpy(r->out, r->o.out, len + 1);
    if (ctx->rank == 0 && ctx->err.status == MOE_OK && !r->o.dry_run)
        make_folder(r);
    const char *json = r->o.json;
    if (ctx->rank == 0 && json != NULL && strcmp(json, "-") != 0 &&
        !r->o.force && access(json, F_OK) == 0)
        moe_fail(&ctx->err, MOE_EXISTS, "%s: exists (--force replaces it)",
                 json);
    return moe_agree(ctx);
}

static void join_command_line(run_t *r, int argc, char **argv)
{
    size_t size = 0;
    FILE *out = open_memstream(&r->command_line, &size);
    if (out == NULL)
        return;
    fputs("moegps run", out);
    for (int i = 1; i < argc; i++)
        fprintf(out, " %s", argv[i]);
    fclose(out);
}

static int threads_of(const run_t *r)
{
    const int asked = r->experiment.emulation.threads;
    return asked > 0 ? asked : r->topo.threads;
}

static moe_status make_engine(run_t *r)
{
    const moe_engine_params params = {.experiment = &r->experiment,
                                      .model = &r->model,
                                      .cluster = &r->cluster,
                                      .trace = &r->trace,
                                      .layers = r->layers,
                                      .n_layers = r->n_layers,
                                      .threads = threads_of(r),
                                      .learned = r->learned};
    return moe_engine_new(&r->ctx, &params, &r->engine);
}

/* Facts for /config, as text. The list lives as long as `room`. */
typedef struct {
    moe_results_note note[MAX_NOTES];
    char room[MAX_NOTES][1024];
    size_t n;
} notes_t;

static void add_note(notes_t *n, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add_note(notes_t *n, const char *key, const char *fmt, ...)
{
    if (n->n == MAX_NOTES)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(n->room[n->n], sizeof n->room[0], fmt, ap);
    va_end(ap);
    n->note[n->n] = (moe_results_note){key, n->room[n->n]};
    n->n++;
}

/* How each strategy routes, in their order. */
static void note_routing(const run_t *r, notes_t *n)
{
    char text[1024] = "";
    size_t len = 0;
    for (int i = 0; i < r->experiment.n_strategies; i++)
        len += (size_t)snprintf(
            text + len, sizeof text - len, "%s%s", i > 0 ? ", " : "",
            r->experiment.strategy[i].direct ? "direct" : "dispatch");
    add_note(n, "routing", "%s", text);
}

static void note_facts(const run_t *r, notes_t *n)
{
    const moe_workload *w = &r->experiment.workload;
    const moe_emulation *e = &r->experiment.emulation;
    const moe_ffn_shape *shape = moe_engine_shape(r->engine);
    add_note(n, "model", "%s", r->model.name);
    add_note(n, "cluster", "%s", r->cluster.name);
    add_note(n, "cost_model", "%s", r->cluster.cost);
    add_note(n, "trace", "%s", r->experiment.trace_name);
    add_note(n, "trace_sha256", "%s", r->trace.sha256);
    add_note(n, "experts", "%d", r->model.experts);
    add_note(n, "top_k", "%d", r->model.top_k);
    add_note(n, "batch", "%d", w->batch);
    add_note(n, "seq", "%d", w->seq);
    add_note(n, "max_tokens", "%" PRIu64, moe_engine_max_tokens(r->engine));
    add_note(n, "seed", "%" PRIu64, w->seed);
    add_note(n, "ffn", "%s", e->ffn);
    add_note(n, "scale", "%d", e->scale);
    add_note(n, "executed_dtype", "%s",
             shape->dtype == MOE_BF16 ? "bf16" : "f32");
    add_note(n, "executed_hidden", "%d", shape->hidden);
    add_note(n, "executed_intermediate", "%d", shape->inter);
    add_note(n, "full_hidden", "%d", r->model.hidden);
    add_note(n, "full_intermediate", "%d", r->model.intermediate);
    add_note(n, "executed_row_bytes", "%zu", moe_ffn_row_bytes(shape));
    add_note(n, "full_row_bytes", "%d",
             r->model.hidden * moe_dtype_size((moe_dtype)r->model.dtype));
    add_note(n, "threads", "%d", threads_of(r));
    add_note(n, "coordination", "%s",
             e->coordination == MOE_CENTRAL ? "central" : "replicated");
    note_routing(r, n);
    add_note(n, "rebalance_every", "%d", e->rebalance_every);
    add_note(n, "gpus_per_node", "%d", r->cluster.gpus_per_node);
}

/* Plans made ahead are made again from the last round's predictions. */
static int history_of(const run_t *r)
{
    for (int i = 0; i < r->experiment.n_strategies; i++)
        if (r->experiment.strategy[i].plan_ahead)
            return r->experiment.emulation.rebalance_every;
    return 0;
}

static moe_status create_results(run_t *r)
{
    const moe_ledger_dims dims = moe_engine_dims(r->engine);
    const char *names[64];
    int32_t layers[MAX_LAYERS];
    char title[256];
    notes_t notes = {.n = 0};
    for (int i = 0; i < dims.strategies; i++)
        names[i] = r->experiment.strategy[i].name;
    for (int l = 0; l < dims.layers; l++)
        layers[l] = r->layers[l];
    note_facts(r, &notes);
    snprintf(title, sizeof title, "%s on %d x %s, trace %.96s", r->model.name,
             dims.gpus, r->cluster.name, r->experiment.trace_name);
    const moe_results_meta meta = {.title = title,
                                   .config_input = r->input,
                                   .config_resolved = r->resolved,
                                   .model_profile = r->model_profile,
                                   .cluster_profile = r->cluster_profile,
                                   .command_line = r->command_line,
                                   .notes = notes.note,
                                   .n_notes = notes.n,
                                   .strategies = names,
                                   .reference = r->experiment.reference,
                                   .layers = layers,
                                   .topo = &r->topo,
                                   .gpu = moe_engine_gpu(r->engine),
                                   .history = history_of(r),
                                   .force = r->o.force};
    moe_ledger_init(&r->ledger, &dims, r->ctx.rank, &r->ctx.err);
    if (moe_agree(&r->ctx) != MOE_OK)
        return r->ctx.err.status;
    if (r->o.resume && moe_results_resume(&r->ctx, r->out, &meta, &r->ledger,
                                          &r->results, &r->done) != MOE_OK)
        return r->ctx.err.status;
    if (r->results != NULL || r->done == dims.iterations)
        return MOE_OK;
    return moe_results_create(&r->ctx, r->out, &meta, &r->ledger, &r->results);
}

/* Whether to flush now: rank 0's clock decides for all. */
static bool flush_due(run_t *r, double *last_s, bool at_end)
{
    int due = at_end;
    const double now = MPI_Wtime();
    if (r->ctx.rank == 0 && now - *last_s >= FLUSH_EVERY_S)
        due = 1;
    MOE_MPI(MPI_Bcast(&due, 1, MPI_INT, 0, r->ctx.comm));
    if (due)
        *last_s = now;
    return due != 0;
}

/* Stop in order? The longest step so far says whether another one fits. */
static bool stop_asked(run_t *r, int done, double longest_s)
{
    const char *why = moe_stop_asked(&r->ctx, longest_s);
    if (why == NULL)
        return false;
    moe_fail(&r->ctx.err, MOE_INTERRUPTED,
             "stopped by %s after %d of %d iterations; --resume goes on with "
             "%s",
             why, done, r->ledger.dims.iterations, r->out);
    return true;
}

static moe_status warm_up(run_t *r, moe_progress *progress)
{
    double longest_s = 0;
    moe_status s = MOE_OK;
    for (int w = 0; w < r->ledger.dims.warmup && s == MOE_OK; w++) {
        const double start = MPI_Wtime();
        moe_watchdog_feed(r->watchdog, w);
        s = moe_engine_warm_up(r->engine, w, &r->ledger);
        moe_progress_step(progress, w + 1);
        longest_s = fmax(longest_s, MPI_Wtime() - start);
        if (s == MOE_OK && stop_asked(r, r->done, longest_s))
            s = MOE_INTERRUPTED;
    }
    if (s == MOE_OK && r->done > 0)
        s = moe_engine_resume(r->engine, r->done, &r->ledger);
    return s;
}

static moe_status iterate(run_t *r, moe_progress *progress)
{
    const moe_ledger_dims *d = &r->ledger.dims;
    double last_s = MPI_Wtime(), longest_s = 0;
    int written = r->done;
    for (int i = r->done; i < d->iterations; i++) {
        const double start = MPI_Wtime();
        moe_watchdog_feed(r->watchdog, d->warmup + i);
        if (moe_engine_measure(r->engine, i, &r->ledger) != MOE_OK)
            return r->ctx.err.status;
        moe_progress_step(progress, d->warmup + i + 1);
        longest_s = fmax(longest_s, MPI_Wtime() - start);
        const bool last = i + 1 == d->iterations;
        const bool stop = !last && stop_asked(r, i + 1, longest_s);
        if (!flush_due(r, &last_s, last || stop))
            continue;
        const moe_error why = r->ctx.err;
        r->ctx.err = (moe_error){0};
        if (moe_results_write(&r->ctx, r->results, &r->ledger, written,
                              i + 1) != MOE_OK)
            return r->ctx.err.status;
        written = i + 1;
        r->ctx.err = why;
        if (stop)
            return why.status;
    }
    return MOE_OK;
}

static moe_status measure(run_t *r)
{
    const moe_ledger_dims *d = &r->ledger.dims;
    moe_progress progress;
    moe_progress_begin(&progress, "iterations", d->warmup + d->iterations,
                       r->ctx.rank == 0 && !r->ctx.quiet);
    moe_status s = warm_up(r, &progress);
    if (s == MOE_OK)
        s = iterate(r, &progress);
    moe_progress_end(&progress);
    return s;
}

/* Finish the file also after a failed check, so that it says so; the first
 * error stays the one that is reported. */
static moe_status finish(run_t *r, moe_status measured)
{
    const moe_error first = r->ctx.err;
    const moe_run_state state =
        measured == MOE_OK || measured == MOE_INVALID ? MOE_RUN_COMPLETE
        : measured == MOE_INTERRUPTED                 ? MOE_RUN_INTERRUPTED
                                                      : MOE_RUN_FAILED;
    r->ctx.err = (moe_error){0};
    moe_results_validation validation = *moe_engine_validation(r->engine);
    if (measured == MOE_INVALID) {
        validation.run = true;
        validation.passed = false;
        snprintf(validation.text, sizeof validation.text, "%.255s", first.text);
    }
    moe_status s =
        moe_results_close(&r->ctx, r->results, &r->ledger, state, &validation);
    r->results = NULL;
    if (measured != MOE_OK && (measured != MOE_INTERRUPTED || s == MOE_OK)) {
        r->ctx.err = first;
        return measured;
    }
    return s;
}

static void print_report(run_t *r)
{
    const bool json_only = r->o.json != NULL && strcmp(r->o.json, "-") == 0;
    moe_view view = {0};
    moe_error err = {0};
    if (moe_view_read(r->out, &view, &err) == MOE_OK) {
        if (!json_only)
            moe_report_print(&view, stdout);
        moe_report_write(r->o.json, moe_report_json, &view, 1, r->o.force,
                         &err);
    }
    if (r->ctx.err.status == MOE_OK)
        r->ctx.err = err;
    moe_view_free(&view);
    moe_note(&r->ctx, "results in %s", r->out);
}

/* What would run, for --dry-run. */
static void print_plan(const run_t *r)
{
    const moe_ledger_dims d = moe_engine_dims(r->engine);
    const moe_ffn_shape *shape = moe_engine_shape(r->engine);
    const double expert = (double)moe_ffn_weight_bytes(shape);
    double slots = 0;
    for (int i = 0; i < d.strategies; i++)
        slots += r->experiment.strategy[i].slots;
    printf("%s", r->resolved);
    printf("# %d GPUs, %d ranks, %d nodes, %d threads per rank\n", d.gpus,
           r->ctx.size, r->ctx.n_nodes, threads_of(r));
    printf("# %d layers, %d experts, top %d, at most %" PRIu64
           " tokens per iteration\n",
           d.layers, d.experts, r->model.top_k,
           moe_engine_max_tokens(r->engine));
    printf("# executed: hidden %d, intermediate %d, %s; full: %d, %d\n",
           shape->hidden, shape->inter,
           shape->dtype == MOE_BF16 ? "bf16" : "f32", r->model.hidden,
           r->model.intermediate);
    const double pairs =
        (double)moe_engine_max_tokens(r->engine) * r->model.top_k;
    printf("# memory: expert weights at most %.2f GiB in all ranks together, "
           "rows about %.1f MiB and measurements %.1f MiB per rank (rank 0: "
           "%.1f MiB)\n",
           expert * d.layers * (d.experts + slots * d.gpus) / (1 << 30),
           3.0 * pairs / d.gpus * (double)moe_ffn_row_bytes(shape) / (1 << 20),
           moe_ledger_bytes(&d, 1) / (1 << 20),
           moe_ledger_bytes(&d, 0) / (1 << 20));
    printf("# output: %s\n", r->out);
}

static moe_status run_all(run_t *r, int argc, char **argv)
{
    moe_ctx *ctx = &r->ctx;
    if (parse_arguments(r, argc, argv) != MOE_OK)
        return moe_agree(ctx);
    if (moe_watchdog_new(ctx, r->o.watchdog_s, &r->watchdog) != MOE_OK)
        return ctx->err.status;
    if (ctx->size == 1)
        moe_note(ctx, "one rank, so one GPU: nothing is exchanged; for more, "
                      "start with mpirun -n N or srun -n N");
    moe_stop_arm(r->o.max_time_s);
    join_command_line(r, argc, argv);
    if (read_inputs(r) != MOE_OK || moe_topo_discover(ctx, &r->topo) != MOE_OK)
        return ctx->err.status;
    moe_topo_warn(ctx, &r->topo);
    if (r->experiment.emulation.rebalance_every >
        r->experiment.workload.iterations)
        moe_warn(ctx,
                 "emulation.rebalance_every: %d is more than the %d iterations "
                 "measured: their times leave out what planning and moving "
                 "weights cost",
                 r->experiment.emulation.rebalance_every,
                 r->experiment.workload.iterations);
    if (make_engine(r) != MOE_OK || prepare_output(r) != MOE_OK)
        return ctx->err.status;
    if (r->o.dry_run) {
        if (ctx->rank == 0)
            print_plan(r);
        return MOE_OK;
    }
    if (create_results(r) != MOE_OK)
        return ctx->err.status;
    moe_status done = MOE_OK;
    if (r->results == NULL)
        moe_note(ctx, "%s is complete already", r->out);
    else
        done = finish(r, measure(r));
    if (ctx->rank == 0 &&
        (done == MOE_OK || done == MOE_INVALID || done == MOE_INTERRUPTED))
        print_report(r);
    return moe_agree(ctx);
}

static void release(run_t *r)
{
    moe_watchdog_free(r->watchdog);
    moe_engine_free(r->engine);
    moe_ledger_fini(&r->ledger);
    for (int f = 0; f < r->n_files; f++)
        moe_learned_free(&r->file[f]);
    moe_trace_free(&r->trace);
    moe_experiment_fini(&r->experiment);
    free(r->input);
    free(r->resolved);
    free(r->command_line);
    free(r->model_profile);
    free(r->cluster_profile);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-?") == 0)
            return true;
    return false;
}

int moe_cmd_run(int argc, char **argv)
{
    int provided = 0;
    run_t *r = calloc(1, sizeof *r);
    if (r == NULL)
        return 1;
    r->trace.shared = MPI_WIN_NULL;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    moe_h5_quiet();
    moe_ctx_init(&r->ctx, MPI_COMM_WORLD);
    moe_status status = MOE_OK;
    bool help = wants_help(argc, argv);
    if (help && r->ctx.rank == 0)
        moe_args_parse(&args, argc, argv, &r->o, &help, &r->ctx.err);
    else if (!help)
        status = run_all(r, argc, argv);
    if (status != MOE_OK && r->ctx.rank == 0)
        fprintf(stderr, "moegps: %s\n", r->ctx.err.text);
    release(r);
    moe_ctx_fini(&r->ctx);
    MPI_Finalize();
    free(r);
    return moe_status_exit_code(status);
}
