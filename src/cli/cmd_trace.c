/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "moegps/h5.h"
#include "moegps/profile.h"
#include "moegps/replace.h"
#include "recorded.h"
#include "subcommands.h"

/* By its first bytes, as all formats are told apart. */
static bool is_hdf5(const char *path)
{
    char head[4] = "";
    FILE *file = fopen(path, "rb");
    const bool read = file != NULL && fread(head, 1, 4, file) == 4;
    if (file != NULL)
        fclose(file);
    return !read || memcmp(head, "\x89HDF", 4) == 0;
}

moe_status moe_trace_path(const char *name, char *path, size_t size,
                          moe_error *err)
{
    return moe_profile_find("traces", name, ".h5", path, size, err);
}

moe_status moe_trace_by_name(const char *name, moe_trace *out, moe_error *err)
{
    char path[PATH_MAX];
    if (moe_trace_path(name, path, sizeof path, err) != MOE_OK)
        return err->status;
    return is_hdf5(path) ? moe_trace_read(path, out, err)
                         : moe_recorded_trace(path, out, err);
}

moe_status moe_trace_save(const char *path, bool force, moe_trace *trace,
                          moe_error *err)
{
    moe_replace to;
    if (moe_replace_begin(&to, path, force, err) != MOE_OK)
        return err->status;
    moe_trace_write(to.beside, trace, err);
    return moe_replace_commit(&to, err);
}

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
