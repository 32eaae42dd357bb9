/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "moegps/mem.h"
#include "plot_frame.h"

extern char **environ;

/* In the order of the page. */
static const moe_plot *const plots[] = {
    &moe_plot_scaling,  &moe_plot_efficiency, &moe_plot_speedup,
    &moe_plot_phases,   &moe_plot_ecdf,       &moe_plot_accuracy,
    &moe_plot_overhead, &moe_plot_experts,    &moe_plot_regret,
    &moe_plot_stages,   &moe_plot_gpus,       &moe_plot_stragglers,
    &moe_plot_traffic,  &moe_plot_guide,
};

/* Largest SVG that is read back: pages stay small enough to mail. */
static const long SVG_BYTES = 1L << 20;

moe_plot_label moe_plot_label_of(const char *name)
{
    moe_plot_label label;
    snprintf(label.text, sizeof label.text, "%s", name);
    for (char *c = label.text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || strchr("'\"`\\", *c) != NULL)
            *c = ' ';
        else if (*c == ',')
            *c = ';';
    return label;
}

int moe_plot_strategies(const moe_plot_scene *scene)
{
    const int n = scene->run->view->dims.strategies;
    return n < MOE_PLOT_SERIES ? n : MOE_PLOT_SERIES;
}

void moe_plot_number(double x, FILE *out)
{
    fputc(',', out);
    if (isfinite(x))
        fprintf(out, "%.9g", x);
}

/* ---- files ---- */

/* Write NAME.ENDING; `put` writes its content. */
static void write_file(const char *folder, const char *name, const char *ending,
                       const moe_plot *plot, const moe_plot_scene *scene,
                       void (*put)(const moe_plot *plot,
                                   const moe_plot_scene *scene, FILE *out),
                       moe_error *err)
{
    char *path = NULL;
    if (err->status != MOE_OK)
        return;
    if (asprintf(&path, "%s/%s.%s", folder, name, ending) < 0) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return;
    }
    FILE *out = fopen(path, "w");
    if (out != NULL)
        put(plot, scene, out);
    if (out == NULL || ferror(out) | fclose(out))
        moe_fail(err, MOE_IO, "%s: %s", path, strerror(errno));
    free(path);
}

static void put_csv(const moe_plot *plot, const moe_plot_scene *scene,
                    FILE *out)
{
    plot->csv(scene, out);
}

/* Settings that figures share. */
static void put_settings(const moe_plot *plot, const char *name, int height,
                         FILE *out)
{
    fprintf(out,
            "# %s\n# `gnuplot %s.gp` draws %s.svg and %s.pdf from %s.csv.\n"
            "data = '%s.csv'\n"
            "set encoding utf8\n"
            "set datafile separator comma\n"
            "set terminal svg size %d,%d dynamic noenhanced "
            "font 'sans-serif,14' name '%s'\n"
            "set output '%s.svg'\n"
            "set border 3 linecolor rgb 'black'\n"
            "set tics nomirror out\n"
            "set grid linecolor rgb '#888888' linetype 1 linewidth 0.3\n"
            "set style fill solid 1 noborder\nunset key\n",
            plot->title, name, name, name, name, name, MOE_PLOT_WIDTH, height,
            name, name);
    /* Colours that differ for colour-blind eyes, on black and on white.
     * Source: Okabe & Ito 2008, jfly.uni-koeln.de/color. */
    fputs("array colour[10] = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', "
          "'#56b4e9', '#d55e00', '#b8a900', '#7f7f7f', '#8c564b', '#9467bd']\n",
          out);
}

static void put_script(const moe_plot *plot, const moe_plot_scene *scene,
                       FILE *out)
{
    moe_plot_head head = {0};
    int height = plot->height(scene);
    if (plot->head != NULL) {
        plot->head(scene, &head);
        height += moe_plot_head_height(&head);
    }
    put_settings(plot, scene->name, height, out);
    if (plot->head != NULL)
        moe_plot_head_put(&head, height, out);
    plot->script(scene, out);
    /* A copy of the SVG: 100 pixels are an inch, and letters shrink likewise;
     * pdfcairo's own scale of them is 0.75. */
    fprintf(out,
            "set terminal pdfcairo size %.2f,%.2f noenhanced "
            "font 'sans,14' fontscale 0.54\n"
            "set output '%s.pdf'\nreplot\nset output\n",
            MOE_PLOT_WIDTH / 100.0, height / 100.0, scene->name);
}

/* ---- gnuplot ---- */

/* Run gnuplot in a folder, without the user's settings and silently.
 * @return its exit code; 127: there is none. */
static int run_gnuplot(const char *folder, char *argument)
{
    char *argv[] = {"gnuplot", "-d", argument, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int state = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    const int rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return 127;
    while (waitpid(pid, &state, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFEXITED(state) ? WEXITSTATUS(state) : 1;
}

/* @return the text of FOLDER/NAME.svg; NULL: there is none, or a part of it. */
static char *read_svg(const char *folder, const char *name)
{
    char *path = NULL, *text = NULL;
    FILE *in = asprintf(&path, "%s/%s.svg", folder, name) < 0
                   ? NULL
                   : fopen(path, "r");
    free(path);
    if (in == NULL)
        return NULL;
    fseek(in, 0, SEEK_END);
    const long size = ftell(in);
    rewind(in);
    if (size > 0 && size <= SVG_BYTES)
        text = moe_array_new((size_t)size + 1, 1, NULL);
    if (text != NULL && (fread(text, 1, (size_t)size, in) != (size_t)size ||
                         strstr(text, "</svg>") == NULL)) {
        free(text);
        text = NULL;
    }
    fclose(in);
    return text;
}

static void draw(const char *folder, moe_drawing *drawing, moe_drawings *all)
{
    char script[sizeof drawing->name + 4];
    snprintf(script, sizeof script, "%s.gp", drawing->name);
    const int rc = run_gnuplot(folder, script);
    drawing->svg = read_svg(folder, drawing->name);
    all->failed += rc != 0 || drawing->svg == NULL;
}

/* Write and draw the next figure, which has its name and title. */
static void make(const moe_plot *plot, moe_plot_scene *scene,
                 const char *folder, moe_drawings *all, moe_error *err)
{
    moe_drawing *x = &all->item[all->n];
    size_t size = 0;
    scene->name = x->name;
    FILE *out = open_memstream(&x->words, &size);
    if (out == NULL) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return;
    }
    plot->say(scene, out);
    fclose(out);
    all->n++;
    write_file(folder, x->name, "csv", plot, scene, put_csv, err);
    write_file(folder, x->name, "gp", plot, scene, put_script, err);
    if (err->status == MOE_OK && all->gnuplot)
        draw(folder, x, all);
}

static void make_of_run(const moe_plot *plot, moe_plot_scene *scene,
                        const char *folder, moe_drawings *all, moe_error *err)
{
    moe_drawing *x = &all->item[all->n];
    x->of = plot->overall ? MOE_DRAWN_ALL : MOE_DRAWN_RUN;
    x->number = (size_t)(scene->run - scene->analysis->run);
    if (plot->overall || scene->analysis->n == 1)
        snprintf(x->name, sizeof x->name, "%s", plot->name);
    else
        snprintf(x->name, sizeof x->name, "run%zu_%s", x->number + 1,
                 plot->name);
    snprintf(x->title, sizeof x->title, "%s", plot->title);
    make(plot, scene, folder, all, err);
}

/* "map", "map2", "map_1_a100_nvlink", ...: numbers keep them apart, and of a
 * cluster's name only what is safe for files and for gnuplot stays. */
static void name_slice(const moe_plot_scene *scene, size_t i, moe_drawing *x)
{
    const moe_map *map = scene->slice->map;
    char *to = x->name, *end = x->name + sizeof x->name;
    to += snprintf(to, (size_t)(end - to), "map");
    if (scene->analysis->n_maps > 1)
        to += snprintf(to, (size_t)(end - to), "%zu", x->number + 1);
    if (moe_map_slices(map) > 1)
        to += snprintf(to, (size_t)(end - to), "_%zu", i + 1);
    if (map->own_links || map->n_cluster == 1)
        return;
    snprintf(to, (size_t)(end - to), "_%.24s",
             map->cluster[scene->slice->rest.cluster].name);
    for (; *to != '\0'; to++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789",
                   *to) == NULL)
            *to = '_';
}

static void make_of_map(const moe_analysis *a, size_t number,
                        const char *folder, moe_drawings *all, moe_error *err)
{
    const moe_map *map = &a->map[number];
    const size_t n = moe_map_slices(map);
    for (size_t i = 0; i < n && i < MOE_PLOT_SLICES; i++) {
        moe_map_slice slice;
        char part[160];
        moe_plot_scene scene = {
            .analysis = a, .slice = &slice, .mark = {NAN, NAN}};
        if (err->status != MOE_OK ||
            moe_map_slice_init(&slice, map, MOE_ADVISE_TYPICAL, i,
                               MOE_PLOT_CELLS, err) != MOE_OK)
            return;
        moe_drawing *x = &all->item[all->n];
        x->of = MOE_DRAWN_MAP;
        x->number = number;
        name_slice(&scene, i, x);
        moe_map_slice_name(&slice, part, sizeof part);
        snprintf(x->title, sizeof x->title, "%s%s%s", moe_plot_map.title,
                 part[0] != '\0' ? ", " : "", part);
        make(&moe_plot_map, &scene, folder, all, err);
        moe_map_slice_fini(&slice);
    }
}

static moe_plot_scene scene_of(const moe_analysis *a,
                               const moe_run_analysis *run)
{
    const moe_view *v = run->view;
    moe_plot_scene scene = {.analysis = a, .run = run, .mark = {NAN, NAN}};
    if (run->regime.known) {
        scene.slice = &run->regime.slice;
        scene.mark.skew = v->strategy[v->reference_index].skewness.median;
        scene.mark.bandwidth = run->sensitivity.link_bandwidth;
    }
    return scene;
}

static bool wanted(const moe_plot *plot, const moe_plot_scene *scene)
{
    const moe_analysis *a = scene->analysis;
    const bool place =
        plot->overall ? scene->run == &a->run[0] : !plot->detail || a->n == 1;
    const bool known = !plot->detail || scene->run->detailed;
    return place && known && plot->present(scene);
}

moe_status moe_drawings_make(const moe_analysis *a, const char *folder,
                             moe_drawings *out, moe_error *err)
{
    moe_error local = {0};
    const size_t room =
        a->n * MOE_ARRAY_LEN(plots) + a->n_maps * MOE_PLOT_SLICES;
    moe_drawings all = {.gnuplot = run_gnuplot(folder, "--version") == 0};
    all.item = moe_array_new(room, sizeof *all.item, &local);
    for (size_t i = 0; i < a->n; i++)
        for (size_t p = 0; p < MOE_ARRAY_LEN(plots); p++) {
            moe_plot_scene scene = scene_of(a, &a->run[i]);
            if (local.status == MOE_OK && wanted(plots[p], &scene))
                make_of_run(plots[p], &scene, folder, &all, &local);
        }
    for (size_t i = 0; i < a->n_maps && local.status == MOE_OK; i++)
        make_of_map(a, i, folder, &all, &local);
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_drawings_fini(&all);
    return moe_pass(err, &local);
}

void moe_drawings_fini(moe_drawings *drawings)
{
    for (size_t i = 0; i < drawings->n; i++) {
        free(drawings->item[i].svg);
        free(drawings->item[i].words);
    }
    free(drawings->item);
    *drawings = (moe_drawings){0};
}
