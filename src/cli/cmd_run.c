/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

#include "args.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/run.h"
#include "moegps/stop.h"
#include "run.h"

/* Seconds between flushes of the result file. */
static const double FLUSH_EVERY_S = 5.0;

/* Seconds, or minutes and hours before them, as Slurm writes times. */
static moe_status parse_time(const char *text, void *s_out, moe_error *err)
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
            *(double *)s_out = total;
            return MOE_OK;
        }
    }
    return moe_fail(err, MOE_USAGE,
                    "'%s' is not a time above 0, as in 90, 1:30 or 0:01:30",
                    text);
}

#define AT(member) MOE_OPT_AT(moe_run_options, member)
static const moe_opt rows[] = {
    MOE_ARGS_SET("change a setting, as in workload.batch=4 or "
                 "strategies.oracle.slots=5, or a key of a profile, as in "
                 "cluster.link_bandwidth=448GB/s or model.top_k=4"),
    MOE_ARGS_OUTPUT("", "FILE", "result file, instead of the experiment's"),
    MOE_ARGS_JSON,
    MOE_ARGS_FLAG(
        "dry-run", dry_run,
        "check everything, print what would run and the memory it needs"),
    MOE_ARGS_INT("ranks", ranks, "", 1, 65536,
                 "with --dry-run: as if started on so many ranks"),
    MOE_ARGS_FORCE,
    MOE_ARGS_FLAG("resume", resume,
                  "go on with the result file of a run that was stopped or "
                  "killed; start anew without one; do nothing if it is "
                  "complete"),
    MOE_ARGS_CALL("max-time", max_time_s, "", parse_time, "TIME",
                  "stop in order, with exit code 75, before this much time "
                  "has passed: s, or M:S, H:M:S"),
    MOE_ARGS_CALL("watchdog", watchdog_s, "", parse_time, "TIME",
                  "end the run when set-up or an iteration takes longer than "
                  "this: a rank hangs"),
    MOE_ARGS_CALL("inject", injection, "", moe_injection_parse, "SITE:RANK",
                  "make one call fail, see `moegps list sites`"),
    MOE_ARGS_FOM,
    MOE_ARGS_QUIET,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "EXPERIMENT.yaml", .type = MOE_OPT_STRING, AT(experiment)},
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps run",
    .example = "mpirun -n 4 moegps run jobs/demo.yaml -o run.h5",
    .help = "Run an experiment: every strategy on the same batches of a real "
            "trace, each MPI rank one GPU. Start it with mpirun or srun.",
    .rows = rows,
    .arguments = arguments};

static moe_status check_options(moe_run_job *r)
{
    moe_error *err = &r->ctx.err;
    const moe_injection *injection = &r->o.injection;
    r->ctx.quiet = r->o.quiet;
    r->ctx.injection = *injection;
    if (r->o.resume && r->o.force)
        moe_fail(err, MOE_USAGE,
                 "--resume goes on with a file and --force replaces it: give "
                 "one of them");
    if (r->o.ranks > 0 && (!r->o.dry_run || r->ctx.size > 1))
        moe_fail(err, MOE_USAGE,
                 "--ranks: only with --dry-run, without mpirun or srun; the "
                 "launcher decides how many ranks run");
    if (injection->armed && injection->rank >= r->ctx.size)
        moe_fail(err, MOE_USAGE, "--inject: rank %d: there are %d ranks",
                 injection->rank, r->ctx.size);
    return err->status;
}

static moe_status make_engine(moe_run_job *r)
{
    const moe_engine_params params = {.experiment = &r->experiment,
                                      .model = &r->model,
                                      .cluster = &r->cluster,
                                      .trace = &r->trace,
                                      .layers = r->layers,
                                      .n_layers = r->n_layers,
                                      .threads = moe_run_threads_of(r),
                                      .dry = r->o.dry_run,
                                      .ranks = r->o.ranks,
                                      .learned = r->learned};
    return moe_engine_new(&r->ctx, &params, &r->engine);
}

static moe_status write_results(void *to, moe_ctx *ctx,
                                const moe_ledger *ledger, int first, int end)
{
    moe_run_job *r = to;
    return moe_results_write(ctx, r->results, ledger, first, end);
}

static moe_status close_results(void *to, moe_ctx *ctx,
                                const moe_ledger *ledger, moe_run_state state,
                                const moe_validation *validation)
{
    moe_run_job *r = to;
    moe_results *results = r->results;
    r->results = NULL;
    return moe_results_close(ctx, results, ledger, state, validation);
}

static moe_status run_iterations(moe_run_job *r)
{
    char hint[sizeof r->out + 32];
    snprintf(hint, sizeof hint, "--resume goes on with %s", r->out);
    const moe_run_sink sink = {r, write_results, close_results};
    const moe_run_params params = {.engine = r->engine,
                                   .ledger = &r->ledger,
                                   .sink = &sink,
                                   .watchdog = r->watchdog,
                                   .done = r->done,
                                   .flush_every_s = FLUSH_EVERY_S,
                                   .resume_hint = hint};
    return moe_run(&r->ctx, &params);
}

/* A fault that no call met has tested nothing. Collective. */
static moe_status check_injection(moe_run_job *r)
{
    const moe_injection *in = &r->ctx.injection;
    int fired = r->ctx.injected;
    if (!in->armed)
        return MOE_OK;
    MOE_MPI(
        MPI_Allreduce(MPI_IN_PLACE, &fired, 1, MPI_INT, MPI_MAX, r->ctx.comm));
    if (!fired)
        moe_fail(&r->ctx.err, MOE_USAGE,
                 "--inject %s:%d: rank %d never came there",
                 moe_site_name(in->site), in->rank, in->rank);
    return r->ctx.err.status;
}

static moe_status run_all(moe_run_job *r)
{
    moe_ctx *ctx = &r->ctx;
    if (check_options(r) != MOE_OK)
        return moe_agree(ctx);
    const moe_status watched =
        moe_watchdog_new(ctx, r->o.watchdog_s, &r->watchdog);
    moe_watchdog_uncover();
    if (watched != MOE_OK)
        return watched;
    moe_stop_arm(r->o.max_time_s);
    if (moe_run_read_inputs(r) != MOE_OK ||
        moe_topo_discover(ctx, &r->topo) != MOE_OK)
        return ctx->err.status;
    if (ctx->size == 1 && r->o.ranks == 0) {
        char line[160];
        moe_topo_launcher(r->topo.cores, 4, line, sizeof line);
        moe_note(ctx,
                 "one rank, so one GPU: nothing is exchanged; for four: %s "
                 "moegps run %s",
                 line, r->o.experiment);
    }
    moe_topo_warn(ctx, &r->topo,
                  moe_emulation_is_paced(&r->experiment.emulation));
    if (r->experiment.emulation.rebalance_every >
        r->experiment.workload.iterations)
        moe_warn(ctx,
                 "emulation.rebalance_every: %d is more than the %d iterations "
                 "measured: their times leave out what planning and moving "
                 "weights cost",
                 r->experiment.emulation.rebalance_every,
                 r->experiment.workload.iterations);
    if (make_engine(r) != MOE_OK || moe_run_prepare_output(r) != MOE_OK)
        return ctx->err.status;
    if (r->o.dry_run) {
        if (ctx->rank == 0)
            moe_run_print_plan(r);
        return ctx->err.status;
    }
    if (moe_run_create_results(r) != MOE_OK)
        return ctx->err.status;
    moe_status done = MOE_OK;
    if (r->results == NULL)
        moe_note(ctx, "%s is complete already", r->out);
    else
        done = run_iterations(r);
    if (done == MOE_OK)
        done = check_injection(r);
    if (ctx->rank == 0 &&
        (done == MOE_OK || done == MOE_INVALID || done == MOE_INTERRUPTED))
        moe_run_print_report(r);
    return moe_agree(ctx);
}

static void release(moe_run_job *r)
{
    moe_opt_release(rows, &r->o);
    moe_watchdog_free(r->watchdog);
    moe_engine_free(r->engine);
    moe_ledger_fini(&r->ledger);
    for (int f = 0; f < r->n_files; f++)
        moe_learned_free(&r->file[f]);
    moe_trace_free(&r->trace);
    moe_experiment_fini(&r->experiment);
    free(r->layers);
    free(r->input);
    free(r->resolved);
    free(r->command_line);
    free(r->model_profile);
    free(r->cluster_profile);
}

/* All ranks are told the same, so they agree without asking. */
static moe_status parse_and_run(moe_run_job *r, int argc, char **argv)
{
    moe_args mine = args;
    mine.silent = r->ctx.rank != 0;
    r->command_line = moe_args_line(&args, argc, argv);
    if (!moe_args_parse(&mine, argc, argv, &r->o, &r->ctx.err))
        return r->ctx.err.status;
    return run_all(r);
}

/* @return the limit of --watchdog, which holds before ranks know each other;
 * what is wrong with the options is said when they do. */
static double watchdog_limit(int argc, char **argv)
{
    moe_args mine = args;
    moe_run_options o = {0};
    mine.silent = true;
    const bool parsed = moe_args_parse(&mine, argc, argv, &o, NULL);
    moe_opt_release(rows, &o);
    return parsed ? o.watchdog_s : 0;
}

int moe_cmd_run(int argc, char **argv)
{
    const double limit_s = watchdog_limit(argc, argv);
    int provided = 0;
    moe_run_job *r = calloc(1, sizeof *r);
    if (r == NULL)
        return 1;
    r->trace.shared = MPI_WIN_NULL;
    moe_watchdog_cover(limit_s, "MPI_Init");
    MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
    moe_h5_quiet();
    moe_ctx_init(&r->ctx, MPI_COMM_WORLD);
    const moe_status status = parse_and_run(r, argc, argv);
    const bool told = r->ctx.told && status == MOE_INTERRUPTED;
    if (status != MOE_OK && r->ctx.rank == 0 && !told)
        fprintf(stderr, "moegps: %s\n", r->ctx.err.text);
    moe_watchdog_cover(limit_s, "the end of the run");
    release(r);
    moe_ctx_fini(&r->ctx);
    fflush(stdout); /* a launcher may kill the rest when one rank has failed */
    MPI_Finalize();
    free(r);
    return moe_status_exit_code(status);
}
