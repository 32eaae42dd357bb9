/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moegps/mem.h"
#include "moegps/report.h"
#include "moegps/view.h"

enum { MAX_NOTES = 48 };

/* Make the result file's folder; those above it must be there. */
static void make_folder(moe_run_job *r)
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
moe_status moe_run_prepare_output(moe_run_job *r)
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

/* Facts for /config, as text. The list lives as long as `room`. */
typedef struct {
    moe_results_note note[MAX_NOTES];
    char room[MAX_NOTES][1024];
    size_t n;
} run_notes;

static void add_note(run_notes *n, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add_note(run_notes *n, const char *key, const char *fmt, ...)
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
static void note_routing(const moe_run_job *r, run_notes *n)
{
    char text[1024] = "";
    size_t len = 0;
    for (int i = 0; i < r->experiment.n_strategies; i++)
        len += (size_t)snprintf(
            text + len, sizeof text - len, "%s%s", i > 0 ? ", " : "",
            r->experiment.strategy[i].direct ? "direct" : "dispatch");
    add_note(n, "routing", "%s", text);
}

static void note_facts(const moe_run_job *r, run_notes *n)
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
    add_note(n, "threads", "%d", moe_run_threads_of(r));
    add_note(n, "coordination", "%s",
             e->coordination == MOE_CENTRAL ? "central" : "replicated");
    note_routing(r, n);
    add_note(n, "rebalance_every", "%d", e->rebalance_every);
    add_note(n, "gpus_per_node", "%d", r->cluster.gpus_per_node);
}

/* Plans made ahead are made again from the last round's predictions. */
static int history_of(const moe_run_job *r)
{
    for (int i = 0; i < r->experiment.n_strategies; i++)
        if (r->experiment.strategy[i].plan_ahead)
            return r->experiment.emulation.rebalance_every;
    return 0;
}

moe_status moe_run_create_results(moe_run_job *r)
{
    const moe_ledger_dims dims = moe_engine_dims(r->engine);
    const char *names[64];
    int32_t layers[RUN_MAX_LAYERS];
    char title[256];
    run_notes notes = {.n = 0};
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

int moe_run_threads_of(const moe_run_job *r)
{
    const int asked = r->experiment.emulation.threads;
    return asked > 0 ? asked : r->topo.threads;
}

void moe_run_print_report(moe_run_job *r)
{
    const bool json_only = r->o.json != NULL && strcmp(r->o.json, "-") == 0;
    moe_view view = {0};
    moe_error err = {0};
    if (moe_view_read(r->out, &view, &err) == MOE_OK) {
        moe_report_set set = {.views = &view, .n = 1};
        moe_report_set_look(&set, &err);
        if (!json_only)
            moe_report_print(&set, 0, stdout);
        moe_report_write(r->o.json, moe_report_json, &set, r->o.force, &err);
        moe_report_set_fini(&set);
    }
    if (r->ctx.err.status == MOE_OK)
        r->ctx.err = err;
    moe_view_free(&view);
    moe_note(&r->ctx, "results in %s", r->out);
}

/* What would run, for --dry-run. */
void moe_run_print_plan(const moe_run_job *r)
{
    const moe_ledger_dims d = moe_engine_dims(r->engine);
    const moe_ffn_shape *shape = moe_engine_shape(r->engine);
    const double expert = (double)moe_ffn_weight_bytes(shape);
    double slots = 0;
    for (int i = 0; i < d.strategies; i++)
        slots += r->experiment.strategy[i].slots;
    printf("%s", r->resolved);
    printf("# %d GPUs, %d ranks, %d nodes, %d threads per rank\n", d.gpus,
           r->ctx.size, r->ctx.n_nodes, moe_run_threads_of(r));
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
