/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/mem.h"
#include "moegps/report.h"
#include "moegps/view.h"

enum { KEY_JSON = 'j', KEY_CSV = 'c' };

typedef struct {
    const char **paths; /* [n_paths], room for all arguments */
    size_t n_paths;
    const char *json, *csv;
} options_t;

static const struct argp_option options[] = {
    {"json", KEY_JSON, "FILE", 0,
     "write every figure as JSON; - is stdout, and then nothing else is", 0},
    {"csv", KEY_CSV, "FILE", 0,
     "write every figure as CSV; - is stdout, and then nothing else is", 0},
    MOE_ARGS_HELP,
    {0}};

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    (void)err;
    options_t *o = input;
    switch (key) {
    case KEY_JSON:
        o->json = arg;
        break;
    case KEY_CSV:
        o->csv = arg;
        break;
    default:
        o->paths[o->n_paths++] = arg;
        break;
    }
    return MOE_OK;
}

static const moe_args args = {
    .name = "moegps report",
    .args = "RESULT.h5...",
    .help = "Show result files: time of a layer on three clocks, speed-up, "
            "load, traffic and phases of every strategy.",
    .options = options,
    .take = take};

static bool is_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

static void show(const moe_view *const *views, const options_t *o,
                 moe_error *err)
{
    if (o->json != NULL)
        moe_report_json(views, o->n_paths, o->json, err);
    if (o->csv != NULL && err->status == MOE_OK)
        moe_report_csv(views, o->n_paths, o->csv, err);
    if (is_stdout(o->json) || is_stdout(o->csv))
        return;
    for (size_t i = 0; i < o->n_paths; i++) {
        if (i > 0)
            putchar('\n');
        moe_report_print(views[i], stdout);
        if (strcmp(moe_report_result(views[i]), "INVALID") == 0)
            moe_fail(err, MOE_INVALID, "%s: %s", views[i]->path,
                     views[i]->validation_text);
    }
}

static void report(const options_t *o, moe_error *err)
{
    moe_view *view = moe_array_new(o->n_paths, sizeof *view, err);
    const moe_view **views = moe_array_new(o->n_paths, sizeof *views, err);
    size_t n = 0;
    while (err->status == MOE_OK && n < o->n_paths) {
        views[n] = &view[n];
        if (moe_view_read(o->paths[n], &view[n], err) == MOE_OK)
            n++;
    }
    if (err->status == MOE_OK)
        show(views, o, err);
    for (size_t i = 0; i < n; i++)
        moe_view_free(&view[i]);
    free(view);
    free(views);
}

int moe_cmd_report(int argc, char **argv)
{
    moe_error err = {0};
    bool help = false;
    options_t o = {.paths = moe_array_new((size_t)argc, sizeof *o.paths, &err)};
    if (o.paths != NULL)
        moe_args_parse(&args, argc, argv, &o, &help, &err);
    if (err.status == MOE_OK && !help && o.n_paths == 0)
        moe_fail(&err, MOE_USAGE,
                 "a result file is missing (see moegps report --help)");
    if (err.status == MOE_OK && is_stdout(o.json) && is_stdout(o.csv))
        moe_fail(&err, MOE_USAGE, "--json - and --csv -: one of them only");
    if (err.status == MOE_OK && !help)
        report(&o, &err);
    free(o.paths);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
