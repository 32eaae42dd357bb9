/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/mem.h"
#include "moegps/report.h"

typedef struct {
    moe_strings files;
    const char *csv, *json, *output; /* NULL: not asked for */
    bool force, fom, all;
    int clock; /* moe_clock; -1: the one that counts */
    moe_report_drill drill;
} settings;

/* What the files hold; owned. */
typedef struct {
    moe_view *views;
    moe_map *maps;
    size_t n, n_maps;
} contents;

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_OUTPUT("", "DIR",
                    "write a folder: one HTML page that needs nothing else, "
                    "figures, CSV and JSON"),
    MOE_ARGS_CSV("write a row per strategy and metric"),
    MOE_ARGS_JSON,
    {.key = "clock",
     .letter = 'c',
     .type = MOE_OPT_ENUM,
     .initial = "",
     .choices = moe_clock_names,
     AT(clock),
     .help = "that the verdict is by; default: wall, or gpu where ranks shared "
             "cores or experts were scaled down"},
    MOE_ARGS_FLAG("all", all,
                  "print clocks, too, that are no result of the run"),
    MOE_ARGS_FLAG("layers", drill.layers,
                  "print the time of every layer instead"),
    MOE_ARGS_FLAG("ranks", drill.ranks,
                  "print how busy every rank was instead"),
    MOE_ARGS_FOM,
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "RESULTS.h5", .type = MOE_OPT_STRINGS, AT(files)}, {.key = NULL}};

static const moe_args args = {
    .name = "moegps report",
    .example = "moegps report run.h5 -o page",
    .help = "Show result files, and those of moegps map, as tables, a page, "
            "CSV or JSON. Files of runs that were interrupted or killed "
            "(RESULTS.h5.partial) are fine. With --force, a folder that is "
            "not empty is written into. Exit code 3 if a run failed its "
            "validation.",
    .rows = rows,
    .arguments = arguments};

static bool to_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

/* All that a terminal is told. */
static void say_all(moe_document *doc, const settings *s, const moe_analysis *a,
                    moe_error *err)
{
    const bool drill = s->drill.layers || s->drill.ranks;
    if (!drill)
        moe_report_scaling(doc, a, s->all);
    for (size_t i = 0; i < a->n && err->status == MOE_OK; i++)
        if (drill)
            moe_report_detail(doc, &a->run[i], s->drill, err);
        else
            moe_report_run(doc, &a->run[i], (moe_report_extent){.all = s->all});
    for (size_t i = 0; i < a->n_maps && err->status == MOE_OK; i++)
        moe_report_map(doc, &a->map[i], MOE_ADVISE_TYPICAL, err);
}

static void print_text(const settings *s, const moe_analysis *a, moe_error *err)
{
    moe_document *doc = err->status == MOE_OK ? moe_document_new(err) : NULL;
    moe_doc_show_foms(doc, s->fom);
    if (doc != NULL)
        say_all(doc, s, a, err);
    moe_document_say(doc, stdout, err);
}

static void print(const settings *s, const contents *all, moe_error *err)
{
    const bool drill = s->drill.layers || s->drill.ranks;
    const bool text = !to_stdout(s->csv) && !to_stdout(s->json);
    moe_analysis a;
    int wanted = 0;
    if (s->json != NULL || s->output != NULL || (text && !drill))
        wanted |= MOE_WANT_SENSITIVITY;
    if (s->output != NULL || (text && drill))
        wanted |= MOE_WANT_DETAIL;
    if (s->output != NULL)
        wanted |= MOE_WANT_REGIME_MAP;
    if (moe_analysis_init(&a, all->views, all->n, wanted, err) != MOE_OK)
        return;
    a.map = all->maps;
    a.n_maps = all->n_maps;
    moe_report_write(s->csv, moe_report_csv, &a, s->force, err);
    moe_report_write(s->json, moe_report_json, &a, s->force, err);
    if (s->output != NULL && err->status == MOE_OK &&
        moe_report_folder(s->output, &a, s->force, err) == MOE_OK)
        fprintf(stderr, "moegps: the page is %s%sreport.html\n", s->output,
                s->output[strlen(s->output) - 1] == '/' ? "" : "/");
    if (text)
        print_text(s, &a, err);
    moe_analysis_fini(&a);
}

/* What of a map is not to be had is refused before anything is written. */
static void check_maps(const settings *s, const contents *all, moe_error *err)
{
    if (all->n_maps == 0)
        return;
    if (s->drill.layers || s->drill.ranks)
        moe_fail(err, MOE_USAGE,
                 "%s: is a map; --layers and --ranks are of "
                 "runs",
                 all->maps[0].path);
    else if (s->csv != NULL && all->n > 0)
        moe_fail(err, MOE_USAGE,
                 "%s: is a map, whose rows have other columns than those of "
                 "runs: ask for --csv of one or the other",
                 all->maps[0].path);
}

/* Read all files; a sweep is several runs. */
static void read_all(const settings *s, contents *all, moe_error *err)
{
    all->maps = moe_array_new((size_t)s->files.n, sizeof *all->maps, err);
    for (int f = 0; f < s->files.n && err->status == MOE_OK; f++)
        if (!moe_map_is(s->files.text[f]))
            moe_views_append(s->files.text[f], &all->views, &all->n, err);
        else if (moe_map_read(s->files.text[f], &all->maps[all->n_maps], err) ==
                 MOE_OK)
            all->n_maps++;
    if (err->status == MOE_OK)
        check_maps(s, all, err);
}

static void report(const settings *s, moe_error *err)
{
    contents all = {0};
    read_all(s, &all, err);
    for (size_t i = 0; i < all.n; i++)
        all.views[i].clock_asked = s->clock + 1;
    if (err->status == MOE_OK)
        print(s, &all, err);
    for (size_t i = 0; i < all.n && err->status == MOE_OK; i++)
        if (strcmp(moe_report_result(&all.views[i]), "INVALID") == 0)
            moe_fail(err, MOE_INVALID, "%s: validation failed: %s",
                     all.views[i].path, all.views[i].validation_text);
    moe_views_free(all.views, all.n);
    for (size_t i = 0; i < all.n_maps; i++)
        moe_map_fini(&all.maps[i]);
    free(all.maps);
}

int moe_cmd_report(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {.clock = -1};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        report(&s, &err);
    return moe_args_end(&args, &s, &err);
}
