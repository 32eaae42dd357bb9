/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

#include "args_old.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/run.h"
#include "moegps/stop.h"
#include "run.h"

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
    moe_run_options *o = input;
    switch (key) {
    case KEY_SET:
        if (o->n_sets == RUN_MAX_SETS)
            return moe_fail(err, MOE_USAGE, "at most %d --set", RUN_MAX_SETS);
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

static const moe_args_old args = {
    .name = "moegps run",
    .args = "EXPERIMENT.yaml",
    .help = "Run an experiment: every strategy on the same batches of a real "
            "trace, each MPI rank one GPU. Start it with mpirun or srun.",
    .options = options,
    .take = take};

static moe_status parse_arguments(moe_run_job *r, int argc, char **argv)
{
    moe_error *err = &r->ctx.err;
    bool help = false;
    if (moe_args_old_parse(&args, argc, argv, &r->o, &help, err) != MOE_OK)
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

static void join_command_line(moe_run_job *r, int argc, char **argv)
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

static moe_status make_engine(moe_run_job *r)
{
    const moe_engine_params params = {.experiment = &r->experiment,
                                      .model = &r->model,
                                      .cluster = &r->cluster,
                                      .trace = &r->trace,
                                      .layers = r->layers,
                                      .n_layers = r->n_layers,
                                      .threads = moe_run_threads_of(r),
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

static moe_status run_all(moe_run_job *r, int argc, char **argv)
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
    if (moe_run_read_inputs(r) != MOE_OK ||
        moe_topo_discover(ctx, &r->topo) != MOE_OK)
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
    if (make_engine(r) != MOE_OK || moe_run_prepare_output(r) != MOE_OK)
        return ctx->err.status;
    if (r->o.dry_run) {
        if (ctx->rank == 0)
            moe_run_print_plan(r);
        return MOE_OK;
    }
    if (moe_run_create_results(r) != MOE_OK)
        return ctx->err.status;
    moe_status done = MOE_OK;
    if (r->results == NULL)
        moe_note(ctx, "%s is complete already", r->out);
    else
        done = run_iterations(r);
    if (ctx->rank == 0 &&
        (done == MOE_OK || done == MOE_INVALID || done == MOE_INTERRUPTED))
        moe_run_print_report(r);
    return moe_agree(ctx);
}

static void release(moe_run_job *r)
{
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
    moe_run_job *r = calloc(1, sizeof *r);
    if (r == NULL)
        return 1;
    r->trace.shared = MPI_WIN_NULL;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    moe_h5_quiet();
    moe_ctx_init(&r->ctx, MPI_COMM_WORLD);
    moe_status status = MOE_OK;
    bool help = wants_help(argc, argv);
    if (help && r->ctx.rank == 0)
        moe_args_old_parse(&args, argc, argv, &r->o, &help, &r->ctx.err);
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
