/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include "commands.h"
#include "moegps/h5.h"
#include "subcommands.h"

static const moe_subcommand words[] = {
    {"info", moe_cmd_trace_info,
     "say what a trace holds, and how skewed it is"},
    {"synth", moe_cmd_trace_synth, "make a trace with chosen skew and drift"},
    {"slice", moe_cmd_trace_slice,
     "keep some sequences and layers, split anew"},
    {"import", moe_cmd_trace_import, "make a trace of recordings"},
    {"check", moe_cmd_trace_check,
     "say what spoils a recording, and what to do"},
    {"export", moe_cmd_trace_export, "write a trace as CSV or a NumPy array"},
    {NULL, NULL, NULL}};

int moe_cmd_trace(int argc, char **argv)
{
    static const moe_subcommands all = {
        .name = "moegps trace",
        .help = "Look at routing traces, make them, convert them.",
        .of = words};
    moe_h5_quiet();
    return moe_subcommands_run(&all, argc, argv);
}
