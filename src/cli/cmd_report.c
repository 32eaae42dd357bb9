/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args_old.h"
#include "moegps/mem.h"
#include "moegps/report.h"

enum { KEY_CSV = 256, KEY_JSON, KEY_FORCE, KEY_LAYERS, KEY_RANKS };

typedef struct {
    const char **files; /* [n_files], into argv */
    size_t n_files;
    const char *csv, *json; /* NULL: not asked for; "-": standard output */
    const char *folder;     /* NULL: not asked for */
    bool force;
    moe_report_drill drill;
} settings;

/* What the files hold; owned. */
typedef struct {
    moe_view *views;
    moe_map *maps;
    size_t n, n_maps;
} contents;

static const struct argp_option options[] = {
    {"output", 'o', "DIR", 0,
     "write a folder: one HTML page that needs nothing else, figures, CSV and "
     "JSON",
     0},
    {"csv", KEY_CSV, "FILE|-", 0, "write a row per strategy and metric", 0},
    {"json", KEY_JSON, "FILE|-", 0,
     "write one JSON object; - prints it and nothing else", 0},
    {"layers", KEY_LAYERS, NULL, 0, "print the time of every layer instead", 0},
    {"ranks", KEY_RANKS, NULL, 0, "print how busy every rank was instead", 0},
    {"force", KEY_FORCE, NULL, 0,
     "replace FILE if it exists, write into DIR if it is not empty", 0},
    MOE_ARGS_HELP,
    {0},
};

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    settings *s = input;
    (void)err;
    switch (key) {
    case 'o':
        s->folder = arg;
        break;
    case KEY_CSV:
        s->csv = arg;
        break;
    case KEY_JSON:
        s->json = arg;
        break;
    case KEY_LAYERS:
        s->drill.layers = true;
        break;
    case KEY_RANKS:
        s->drill.ranks = true;
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
    .name = "moegps report",
    .args = "RESULTS.h5...",
    .help = "Show result files, and those of moegps map, as tables, a page, "
            "CSV or JSON. Files of runs that were interrupted or killed "
            "(RESULTS.h5.partial) are fine. Exit code 3 if a run failed its "
            "validation.",
    .options = options,
    .take = take,
};

static bool to_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

static void print_drill(const moe_analysis *a, moe_report_drill drill,
                        moe_error *err)
{
    for (size_t i = 0; i < a->n && err->status == MOE_OK; i++) {
        const moe_view *view = a->run[i].view;
        printf("%s%s\n", i > 0 ? "\n" : "", view->path);
        if (moe_report_detail(&a->run[i], drill, stdout, err) == MOE_OK)
            printf("\nRESULT: %s\n", moe_report_result(view));
    }
}

static void print_tables(const moe_analysis *a, moe_error *err)
{
    moe_report_scaling(a, stdout);
    for (size_t i = 0; i < a->n; i++) {
        if (i > 0)
            putchar('\n');
        moe_report_print(&a->run[i], stdout);
    }
    for (size_t i = 0; i < a->n_maps; i++) {
        if (a->n + i > 0)
            putchar('\n');
        moe_report_map(&a->map[i], stdout, err);
    }
}

static void print(const settings *s, const contents *all, moe_error *err)
{
    const bool drill = s->drill.layers || s->drill.ranks;
    const bool text = !to_stdout(s->csv) && !to_stdout(s->json);
    moe_analysis a;
    int wanted = 0;
    if (s->json != NULL || s->folder != NULL || (text && !drill))
        wanted |= MOE_WANT_SENSITIVITY;
    if (s->folder != NULL || (text && drill))
        wanted |= MOE_WANT_DETAIL;
    if (s->folder != NULL)
        wanted |= MOE_WANT_REGIME_MAP;
    if (moe_analysis_init(&a, all->views, all->n, wanted, err) != MOE_OK)
        return;
    a.map = all->maps;
    a.n_maps = all->n_maps;
    moe_report_write(s->csv, moe_report_csv, &a, s->force, err);
    moe_report_write(s->json, moe_report_json, &a, s->force, err);
    if (s->folder != NULL && err->status == MOE_OK &&
        moe_report_folder(s->folder, &a, s->force, err) == MOE_OK)
        fprintf(stderr, "moegps: the page is %s%sreport.html\n", s->folder,
                s->folder[strlen(s->folder) - 1] == '/' ? "" : "/");
    if (text && drill && err->status == MOE_OK)
        print_drill(&a, s->drill, err);
    else if (text && err->status == MOE_OK)
        print_tables(&a, err);
    if (fflush(stdout) != 0 || ferror(stdout))
        moe_fail(err, MOE_IO, "standard output: cannot write");
    moe_analysis_fini(&a);
}

static void check(const settings *s, moe_error *err)
{
    if (s->n_files == 0)
        moe_fail(err, MOE_USAGE, "which file? (see moegps report --help)");
    else if (to_stdout(s->csv) && to_stdout(s->json))
        moe_fail(err, MOE_USAGE,
                 "--csv and --json cannot both print on standard output");
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
    all->maps = moe_array_new(s->n_files, sizeof *all->maps, err);
    for (size_t f = 0; f < s->n_files && err->status == MOE_OK; f++)
        if (!moe_map_is(s->files[f]))
            moe_views_append(s->files[f], &all->views, &all->n, err);
        else if (moe_map_read(s->files[f], &all->maps[all->n_maps], err) ==
                 MOE_OK)
            all->n_maps++;
    if (err->status == MOE_OK)
        check_maps(s, all, err);
}

int moe_cmd_report(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    bool help = false;
    contents all = {0};
    s.files = moe_array_new((size_t)argc, sizeof *s.files, &err);
    if (s.files != NULL)
        moe_args_old_parse(&args, argc, argv, &s, &help, &err);
    if (help || err.status != MOE_OK)
        goto out;
    check(&s, &err);
    if (err.status == MOE_OK)
        read_all(&s, &all, &err);
    if (err.status == MOE_OK)
        print(&s, &all, &err);
    for (size_t i = 0; i < all.n && err.status == MOE_OK; i++)
        if (strcmp(moe_report_result(&all.views[i]), "INVALID") == 0)
            moe_fail(&err, MOE_INVALID, "%s: validation failed: %s",
                     all.views[i].path, all.views[i].validation_text);
out:
    moe_views_free(all.views, all.n);
    for (size_t i = 0; i < all.n_maps; i++)
        moe_map_fini(&all.maps[i]);
    free(all.maps);
    free(s.files);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
