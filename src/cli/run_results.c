/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "moegps/launched.h"
#include "moegps/mem.h"
#include "args.h"
#include "moegps/replace.h"
#include "moegps/report.h"
#include "moegps/view.h"

/* The result file's path, and its folder, before anything expensive. */
moe_status moe_run_prepare_output(moe_run_job *r)
{
    moe_ctx *ctx = &r->ctx;
    const int gpus = moe_engine_dims(r->engine).gpus;
    const size_t len = r->o.output != NULL ? strlen(r->o.output) : 0;
    if (r->o.output == NULL)
        moe_experiment_output(&r->experiment, gpus, r->out, sizeof r->out,
                              &ctx->err);
    else if (len == 0 || len >= sizeof r->out)
        moe_fail(&ctx->err, MOE_USAGE,
                 "--output: path of %zu characters, 1 to %zu are allowed", len,
                 sizeof r->out - 1);
    else
        memcpy(r->out, r->o.output, len + 1);
    if (ctx->rank == 0 && ctx->err.status == MOE_OK && !r->o.dry_run)
        moe_replace_folders(r->out, &ctx->err);
    if (ctx->rank == 0)
        moe_args_apart(r->out, "trace", r->experiment.trace_name, &ctx->err);
    if (ctx->rank == 0 && ctx->err.status == MOE_OK)
        moe_replace_check(r->o.json, r->o.force, &ctx->err);
    return moe_agree(ctx);
}

moe_status moe_run_create_results(moe_run_job *r)
{
    const moe_ledger_dims dims = moe_engine_dims(r->engine);
    const char *names[MOE_MAX_STRATEGIES];
    moe_strategy_facts strategy_facts[MOE_MAX_STRATEGIES];
    char title[256];
    moe_facts facts = {0};
    for (int i = 0; i < dims.strategies; i++) {
        names[i] = r->experiment.strategy[i].name;
        moe_experiment_strategy_facts(&r->experiment.strategy[i],
                                      &strategy_facts[i]);
    }
    moe_engine_describe(r->engine, &facts);
    snprintf(title, sizeof title, "%s on %d x %s, trace %.96s", r->model.name,
             dims.gpus, r->cluster.name, r->experiment.trace_name);
    const moe_results_meta meta = {.title = title,
                                   .config_input = r->input,
                                   .config_resolved = r->resolved,
                                   .model_profile = r->model_profile,
                                   .cluster_profile = r->cluster_profile,
                                   .command_line = r->command_line,
                                   .facts = &facts,
                                   .strategies = names,
                                   .strategy_facts = strategy_facts,
                                   .reference = r->experiment.reference,
                                   .layers = r->layers,
                                   .topo = &r->topo,
                                   .gpu = moe_engine_gpu(r->engine),
                                   .history = moe_engine_history(r->engine),
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

static void print_text(const moe_run_analysis *run, bool foms, moe_error *err)
{
    moe_document *doc = moe_document_new(err);
    moe_doc_show_foms(doc, foms);
    if (doc != NULL)
        moe_report_run(doc, run,
                       (moe_report_extent){
                           .warned = moe_launched_on_terminal(STDOUT_FILENO) &&
                                     moe_launched_on_terminal(STDERR_FILENO)});
    moe_document_say(doc, stdout, err);
}

void moe_run_print_report(moe_run_job *r)
{
    const bool json_only = r->o.json != NULL && strcmp(r->o.json, "-") == 0;
    moe_view view = {0};
    moe_error err = {0};
    if (moe_view_read(r->out, &view, &err) == MOE_OK) {
        moe_analysis a = {0};
        moe_analysis_init(&a, &view, 1, MOE_WANT_SENSITIVITY, &err);
        if (!json_only && err.status == MOE_OK)
            print_text(&a.run[0], r->o.fom, &err);
        moe_report_write(r->o.json, moe_report_json, &a, r->o.force, &err);
        moe_analysis_fini(&a);
    }
    if (r->ctx.err.status == MOE_OK)
        r->ctx.err = err;
    moe_view_free(&view);
    moe_note(&r->ctx, "results in %s", r->out);
}

/* What would run, for --dry-run. */
void moe_run_print_plan(moe_run_job *r)
{
    double expert_s;
    const moe_ledger_dims d = moe_engine_dims(r->engine);
    const moe_ffn_shape *shape = moe_engine_shape(r->engine);
    const moe_engine_bytes bytes = moe_engine_memory(r->engine);
    printf("%s", r->resolved);
    if (r->o.ranks > 0)
        printf("# as if started on %d ranks: %d GPUs, %d threads per rank\n",
               d.ranks, d.gpus, moe_run_threads_of(r));
    else
        printf("# %d GPUs, %d ranks, %d nodes, %d threads per rank\n", d.gpus,
               d.ranks, r->ctx.n_nodes, moe_run_threads_of(r));
    printf("# %d layers, %d experts, top %d, at most %" PRIu64
           " tokens per iteration\n",
           d.layers, d.experts, r->model.top_k,
           moe_engine_max_tokens(r->engine));
    printf("# executed: hidden %d, intermediate %d, %s; full: %d, %d\n",
           shape->hidden, shape->inter,
           shape->dtype == MOE_DTYPE_BF16 ? "bf16" : "f32", r->model.hidden,
           r->model.intermediate);
    printf("# memory: expert weights at most %.2f GiB in all ranks together, "
           "rows about %.1f MiB and measurements %.1f MiB per rank (rank 0: "
           "%.1f MiB)\n",
           bytes.weights / (1 << 30), bytes.rows / (1 << 20),
           bytes.measurements / (1 << 20), bytes.root_measurements / (1 << 20));
    if (moe_engine_expert_time(r->engine, &expert_s, &r->ctx.err) == MOE_OK &&
        expert_s >= 0)
        printf(
            d.paced && strcmp(r->experiment.emulation.ffn, "paced") == 0
                ? "# time: paced phases take about %.3g s, by the cost "
                  "model and the dilation; exchange, weights that they do "
                  "not hide and waiting come on top\n"
                : "# time: experts take about %.3g s, by the CPU time of one "
                  "layer here; exchange and waiting come on top\n",
            expert_s);
    printf("# output: %s\n", r->out);
}
