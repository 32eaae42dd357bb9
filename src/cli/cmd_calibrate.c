/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "calibrate.h"
#include "moegps/cluster.h"
#include "moegps/launched.h"
#include "moegps/profile.h"
#include "moegps/replace.h"
#include "moegps/silicon_update.h"

#define AT(member) MOE_OPT_AT(moe_calibrate_settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_OUTPUT(NULL, "TABLES.h5",
                    "tables; the profile that uses them is written beside "
                    "them, as TABLES.yaml"),
    MOE_ARGS_STRING("profile", profile, NULL, "FILE|NAME",
                    "of the cluster that was measured"),
    MOE_ARGS_FLAG("mpi", mpi,
                  "measure the exchange and the collectives of this machine "
                  "instead, by MPI, as runs do them: start with mpirun -n N"),
    MOE_ARGS_WORD("op", op, "auto", moe_calibrate_ops,
                  "collective that a file is of, where it does not say"),
    MOE_ARGS_INT("ranks", measured.ranks, "0", 0, 1 << 20,
                 "GPUs that took part in a collective, where a file does not "
                 "say; 0: it says"),
    MOE_ARGS_STRING("model", model, "", "FILE|NAME",
                    "whose experts a fused kernel computed"),
    MOE_ARGS_INT("ep", measured.ep, "1", 1, 4096, "GPUs that shared them"),
    MOE_ARGS_FLAG("add", add,
                  "keep what TABLES.h5 has from before, and replace only what "
                  "is measured anew; without, tables begin as bundled"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "FILE", .type = MOE_OPT_STRINGS, .initial = "", AT(files)},
    {.key = NULL}};
#undef AT

static const moe_args args = {
    .name = "moegps calibrate",
    .example =
        "moegps calibrate --profile h100-nvlink alltoall.txt -o tables.h5",
    .help = "Make tables and a profile of a cluster's own measurements, which "
            "`cost: silicon` then prices by: what nccl-tests, OSU, DeepEP's "
            "tests and fused-MoE benchmarks print, or CSV in the columns of "
            "`cost` with latency_us. What was not measured stays as bundled. "
            "Says how far each row is from the price that the others make.",
    .rows = rows,
    .arguments = arguments};

static void calibrate(moe_calibrate_settings *s, moe_error *err)
{
    moe_measurements m = {0};
    for (int i = 0; i < s->files.n && err->status == MOE_OK; i++)
        moe_measured_read(s->files.text[i], &s->measured, &m, err);
    if (err->status == MOE_OK)
        moe_calibrate_write(s, &m, err);
    moe_measurements_fini(&m);
}

/* Under mpirun: all ranks are told the same, and rank 0 speaks. */
static int calibrate_mpi(int argc, char **argv)
{
    int provided = 0;
    moe_ctx ctx;
    moe_args mine = args;
    moe_calibrate_settings s = {.op = 0};
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    mine.silent = ctx.rank != 0;
    moe_status status = MOE_OK;
    if (moe_args_parse(&mine, argc, argv, &s, &ctx.err))
        status = moe_calibrate_mpi(&ctx, &s);
    else
        status = ctx.err.status;
    if (status != MOE_OK && ctx.rank == 0)
        fprintf(stderr, "moegps: %s\n", ctx.err.text);
    moe_opt_release(rows, &s);
    moe_opt_release(arguments, &s);
    moe_ctx_fini(&ctx);
    fflush(stdout);
    MPI_Finalize();
    return moe_status_exit_code(status);
}

/* Files are read by one process. @return whether a launcher started several. */
static bool refuse_ranks(moe_error *err)
{
    if (moe_launched_ranks() < 2)
        return false;
    moe_fail(err, MOE_USAGE,
             "calibrate: files are read by one process: start it without "
             "mpirun or srun (--mpi measures with all ranks)");
    if (moe_launched_rank() == 0)
        fprintf(stderr, "moegps: %s\n", err->text);
    else
        *err = (moe_error){0}; /* a launcher that sees a failure ends rank 0 */
    return true;
}

int moe_cmd_calibrate(int argc, char **argv)
{
    moe_error err = {0};
    moe_calibrate_settings s = {.op = 0};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--mpi") == 0)
            return calibrate_mpi(argc, argv);
    if (refuse_ranks(&err))
        return moe_status_exit_code(err.status);
    if (moe_args_parse(&args, argc, argv, &s, &err) &&
        moe_calibrate_check(&s, &err) == MOE_OK)
        calibrate(&s, &err);
    return moe_args_end(&args, &s, &err);
}
