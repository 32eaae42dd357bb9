/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "moegps/h5.h"
#include "moegps/h5_try.h"
#include "moegps/status.h"
#include "subcommands.h"
#include "version.h"

static const moe_subcommand commands[] = {
    {"run", moe_cmd_run, "run an experiment, under mpirun or srun"},
    {"train", moe_cmd_train, "train predictors on a routing trace"},
    {"report", moe_cmd_report, "show result files as tables, CSV or JSON"},
    {"compare", moe_cmd_compare, "compare two result files, with intervals"},
    {"merge", moe_cmd_merge, "bring runs into one file"},
    {"trace", moe_cmd_trace, "show, make, cut and convert routing traces"},
    {"evaluate", moe_cmd_evaluate,
     "say how good predictors are, and their cost"},
    {"cost", moe_cmd_cost, "price kernels and collectives from measurements"},
    {"advise", moe_cmd_advise, "say which strategy to use, and how sure"},
    {"map", moe_cmd_map, "show which strategy wins where"},
    {"calibrate", moe_cmd_calibrate,
     "tables and a profile of a cluster's own measurements"},
    {"plan", moe_cmd_plan, "plan replicas for given loads, offline"},
    {"list", moe_cmd_list, "name predictors, planners, models, options, ..."},
    {"doctor", moe_cmd_doctor, "say what this machine and build can do"},
    {NULL, NULL, NULL}};

static const moe_subcommands program = {
    .name = "moegps",
    .help = "Which way of predicting expert load is worth its cost?",
    .of = commands};

/* A command that could not say what it found has failed, too. */
static int said(int code)
{
    errno = 0;
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != 0)
        return code;
    fprintf(stderr, "moegps: standard output: %s\n",
            errno != 0 ? strerror(errno) : "cannot write");
    return moe_status_exit_code(MOE_IO);
}

/* @return what is started to try a file: this program by its own name, as under
 * a debugger /proc/self/exe is that; but that where the file was removed. */
static const char *this_program(void)
{
    static const char self[] = "/proc/self/exe";
    static char path[4096];
    const ssize_t len = readlink(self, path, sizeof path - 1);
    return len > 0 && access(path, X_OK) == 0 ? path : self;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], MOE_H5_TRY_COMMAND) == 0)
        return moe_h5_try_main(argv[2]);
    signal(SIGXFSZ, SIG_IGN); /* a limit of file sizes is an error, not death */
    moe_h5_quiet();
    moe_h5_try_with(this_program(), MOE_TABLES_SHA256);
    if (argc < 2) {
        moe_subcommands_help(&program, stderr);
        return moe_status_exit_code(MOE_USAGE);
    }
    return said(moe_subcommands_run(&program, argc, argv));
}
