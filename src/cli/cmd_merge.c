/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/progress.h"
#include "moegps/replace.h"
#include "moegps/sweep.h"

typedef struct {
    moe_strings files;
    const char *output;
    bool skip, force;
} settings;

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_OUTPUT(NULL, "FILE", "the sweep file to make"),
    MOE_ARGS_FLAG("skip-incomplete", skip,
                  "leave out runs that did not end, saying which; else they "
                  "are an error"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "RUNS.h5", .type = MOE_OPT_STRINGS, AT(files)}, {.key = NULL}};

static const moe_args args = {
    .name = "moegps merge",
    .example = "moegps merge run.h5 wider.h5 -o sweep.h5",
    .help = "Bring runs of one experiment - other numbers of GPUs, clusters, "
            "batches, seeds - into one file with a run dimension, for "
            "moegps report and for xarray.",
    .rows = rows,
    .arguments = arguments};

static int by_gpus(const void *a, const void *b)
{
    const moe_view *x = a, *y = b;
    const int gpus = x->dims.gpus - y->dims.gpus;
    return gpus != 0 ? gpus : strcmp(x->path, y->path);
}

static size_t leave_out_incomplete(moe_view *views, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(views[i].status, "complete") == 0) {
            views[kept++] = views[i];
        } else {
            fprintf(stderr, "moegps: warning: %s: left out, it is %s\n",
                    views[i].path, views[i].status);
            moe_view_free(&views[i]);
        }
    return kept;
}

static void write_file(const settings *s, const moe_view *views, size_t n,
                       moe_error *err)
{
    moe_replace to;
    if (moe_replace_begin(&to, s->output, s->force, err) != MOE_OK)
        return;
    moe_sweep_write(to.beside, views, n, err);
    moe_replace_commit(&to, err);
}

static void merge(const settings *s, moe_error *err)
{
    size_t n = 0;
    moe_view *views = NULL;
    moe_progress progress;
    moe_replace_check(s->output, s->force, err);
    moe_progress_begin(&progress, "files", s->files.n, true);
    for (int f = 0; f < s->files.n && err->status == MOE_OK; f++) {
        moe_views_append(s->files.text[f], &views, &n, err);
        moe_progress_step(&progress, f + 1);
    }
    moe_progress_end(&progress);
    if (err->status == MOE_OK && s->skip)
        n = leave_out_incomplete(views, n);
    if (err->status == MOE_OK && n == 0)
        moe_fail(err, MOE_MISMATCH, "no run is complete");
    if (err->status == MOE_OK)
        qsort(views, n, sizeof *views, by_gpus);
    if (err->status == MOE_OK && moe_sweep_check(views, n, err) == MOE_OK)
        write_file(s, views, n, err);
    if (err->status == MOE_OK)
        fprintf(stderr, "moegps: %zu run%s in %s\n", n, n == 1 ? "" : "s",
                s->output);
    moe_views_free(views, n);
}

int moe_cmd_merge(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        merge(&s, &err);
    return moe_args_end(&args, &s, &err);
}
