/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args_old.h"
#include "moegps/mem.h"
#include "moegps/sweep.h"

enum { KEY_OUT = 'o', KEY_SKIP = 256, KEY_FORCE };

typedef struct {
    const char **files; /* [n_files], into argv */
    size_t n_files;
    const char *out;
    bool skip, force;
} settings;

static const struct argp_option options[] = {
    {"out", KEY_OUT, "FILE", 0, "the sweep file to make", 0},
    {"skip-incomplete", KEY_SKIP, NULL, 0,
     "leave out runs that did not end, saying which; else they are an error",
     0},
    {"force", KEY_FORCE, NULL, 0, "replace FILE if it exists", 0},
    MOE_ARGS_HELP,
    {0},
};

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    settings *s = input;
    (void)err;
    switch (key) {
    case KEY_OUT:
        s->out = arg;
        break;
    case KEY_SKIP:
        s->skip = true;
        break;
    case KEY_FORCE:
        s->force = true;
        break;
    default:
        s->files[s->n_files++] = arg;
    }
    return MOE_OK;
}

static const moe_args_old args = {
    .name = "moegps merge",
    .args = "RUNS.h5...",
    .help = "Bring runs of one experiment - other numbers of GPUs, clusters, "
            "batches, seeds - into one file with a run dimension, for "
            "moegps report and for xarray.",
    .options = options,
    .take = take,
};

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

/* A sweep replaces another only once it is whole. */
static void write_file(const settings *s, const moe_view *views, size_t n,
                       moe_error *err)
{
    if (!s->force) {
        moe_sweep_write(s->out, views, n, err);
        return;
    }
    char path[4096];
    if (snprintf(path, sizeof path, "%s.new", s->out) >= (int)sizeof path) {
        moe_fail(err, MOE_USAGE, "%s: the path is too long", s->out);
        return;
    }
    unlink(path);
    if (moe_sweep_write(path, views, n, err) == MOE_OK &&
        rename(path, s->out) != 0)
        moe_fail(err, MOE_IO, "%s: cannot be replaced", s->out);
}

static void merge(const settings *s, moe_error *err)
{
    size_t n = 0;
    moe_view *views = NULL;
    for (size_t f = 0; f < s->n_files && err->status == MOE_OK; f++)
        moe_views_append(s->files[f], &views, &n, err);
    if (err->status == MOE_OK && s->skip)
        n = leave_out_incomplete(views, n);
    if (err->status == MOE_OK && n == 0)
        moe_fail(err, MOE_MISMATCH, "no run is complete");
    if (err->status == MOE_OK)
        qsort(views, n, sizeof *views, by_gpus);
    if (err->status == MOE_OK && moe_sweep_check(views, n, err) == MOE_OK)
        write_file(s, views, n, err);
    if (err->status == MOE_OK)
        fprintf(stderr, "moegps: %zu runs in %s\n", n, s->out);
    moe_views_free(views, n);
}

int moe_cmd_merge(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    bool help = false;
    s.files = moe_array_new((size_t)argc, sizeof *s.files, &err);
    if (s.files != NULL)
        moe_args_old_parse(&args, argc, argv, &s, &help, &err);
    if (!help && s.n_files == 0)
        moe_fail(&err, MOE_USAGE, "which runs? (see moegps merge --help)");
    if (!help && s.out == NULL)
        moe_fail(&err, MOE_USAGE, "-o FILE is missing");
    if (!help && err.status == MOE_OK && !s.force && access(s.out, F_OK) == 0)
        moe_fail(&err, MOE_EXISTS, "%s: exists (--force replaces it)", s.out);
    if (!help && err.status == MOE_OK)
        merge(&s, &err);
    free(s.files);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
