/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/status.h"
#include "version.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
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
    {"plan", moe_cmd_plan, "plan replicas for given loads, offline"},
    {"list", moe_cmd_list, "name predictors, planners, models, options, ..."},
    {"doctor", moe_cmd_doctor, "say what this machine and build can do"},
};

static void usage(FILE *out)
{
    fputs("Usage: moegps COMMAND [ARGUMENTS]\n"
          "Which way of predicting expert load is worth its cost?\n\n",
          out);
    for (size_t i = 0; i < MOE_ARRAY_LEN(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n`moegps COMMAND --help` explains a command; `moegps --version` "
          "names the build.\n",
          out);
}

/* A command that could not say what it found has failed, too. */
static int said(int code)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || code != 0)
        return code;
    fputs("moegps: standard output: cannot write\n", stderr);
    return moe_status_exit_code(MOE_IO);
}

int main(int argc, char **argv)
{
    moe_h5_quiet();
    if (argc < 2) {
        usage(stderr);
        return moe_status_exit_code(MOE_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("moegps " MOE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < MOE_ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return said(commands[i].run(argc - 1, argv + 1));
    fprintf(stderr, "moegps: no command '%s' (see moegps --help)\n", argv[1]);
    return moe_status_exit_code(MOE_USAGE);
}
