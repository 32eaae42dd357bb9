/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plots.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gnuplot.h"
#include "moegps/mem.h"
#include "moegps/palette.h"
#include "plot.h"
#include "templates.h"
#include "script.h"

static const moe_plot_type *const types[MOE_N_PLOTS] = {
    [MOE_PLOT_SCALING] = &moe_plot_scaling,
    [MOE_PLOT_EFFICIENCY] = &moe_plot_efficiency,
    [MOE_PLOT_SPEEDUP] = &moe_plot_speedup,
    [MOE_PLOT_PHASES] = &moe_plot_phases,
    [MOE_PLOT_ECDF] = &moe_plot_ecdf,
    [MOE_PLOT_SAMPLES] = &moe_plot_samples,
    [MOE_PLOT_ACCURACY] = &moe_plot_accuracy,
    [MOE_PLOT_OVERHEAD] = &moe_plot_overhead,
    [MOE_PLOT_EXPERTS] = &moe_plot_experts,
    [MOE_PLOT_REGRET] = &moe_plot_regret,
    [MOE_PLOT_STAGES] = &moe_plot_stages,
    [MOE_PLOT_LAYERS] = &moe_plot_layers,
    [MOE_PLOT_GPUS] = &moe_plot_gpus,
    [MOE_PLOT_STRAGGLERS] = &moe_plot_stragglers,
    [MOE_PLOT_TRAFFIC] = &moe_plot_traffic,
    [MOE_PLOT_REGIME] = &moe_plot_regime,
    [MOE_PLOT_MAP] = &moe_plot_map,
    [MOE_PLOT_UNEVEN] = &moe_plot_uneven,
    [MOE_PLOT_DRIFT] = &moe_plot_drift,
};

/* Largest SVG that is read back: pages stay small enough to mail. */
static const long SVG_BYTES = 1L << 20;

/* ---- files ---- */

/* @return FOLDER/NAME.ENDING to write; NULL: with an error. */
static FILE *create(const char *folder, const char *name, const char *ending,
                    moe_error *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.%s", folder, name, ending) < 0) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    FILE *out = fopen(path, "w");
    if (out == NULL)
        moe_fail(err, MOE_IO, "%s: %s", path, strerror(errno));
    free(path);
    return out;
}

static void finish(FILE *out, const char *name, moe_error *err)
{
    if (ferror(out) | fclose(out))
        moe_fail(err, MOE_IO, "figure %s: %s", name, strerror(errno));
}

static void put_template(const char *name, FILE *out)
{
    if (name != NULL)
        fputs(moe_template(name), out);
}

/* Write colour[10], grey and faint: 0xRRGGBB. */
static void put_palette(FILE *out)
{
    int colour[MOE_PALETTE_FAINT - 1];
    for (int i = 1; i < MOE_PALETTE_FAINT; i++)
        colour[i - 1] = moe_palette[i].light;
    moe_script_integers(out, "colour", colour, MOE_PALETTE_FAINT - 1);
    moe_script_number(out, "grey", moe_palette[MOE_PALETTE_GREY].light);
    moe_script_number(out, "faint", moe_palette[MOE_PALETTE_FAINT].light);
}

/* Variables, then what they are for. */
static void put_script(const moe_plot_type *type, const char *name,
                       const moe_plot_subject *x, const moe_plot_data *data,
                       FILE *out)
{
    fprintf(out,
            "# %s\n# `gnuplot %s.gp` draws %s.svg and %s.pdf from %s.csv.\n\n",
            type->title, name, name, name, name);
    moe_script_text(out, "figure", "%s", name);
    put_palette(out);
    type->script(x, data, out);
    fputc('\n', out);
    put_template("frame", out);
    for (int i = 0; i < MOE_PLOT_TEMPLATES; i++)
        put_template(type->template[i], out);
    put_template("copy", out);
}

static void write_files(const moe_plot_type *type, moe_plot *plot,
                        const moe_plot_subject *x, const char *folder,
                        moe_error *err)
{
    const char *name = plot->name;
    size_t size;
    moe_plot_data data = {.out = create(folder, name, "csv", err)};
    if (data.out == NULL)
        return;
    data.tips = open_memstream(&plot->tips, &size);
    type->data(x, &data);
    plot->n_tips = data.n_tips;
    if (data.tips == NULL || fclose(data.tips) != 0)
        moe_fail(err, MOE_NOMEM, "out of memory");
    fputc('\n', data.out);
    finish(data.out, name, err);
    FILE *script = create(folder, name, "gp", err);
    if (script == NULL)
        return;
    put_script(type, name, x, &data, script);
    finish(script, name, err);
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

/* ---- figures ---- */

/* Write and draw a figure that has its name and title. */
static void draw(moe_plot *plot, const moe_plot_subject *x, const char *folder,
                 moe_plots *all, moe_error *err)
{
    char script[sizeof plot->name + 4], reason[256];
    write_files(types[plot->kind], plot, x, folder, err);
    all->n++;
    if (err->status != MOE_OK || !all->gnuplot)
        return;
    snprintf(script, sizeof script, "%s.gp", plot->name);
    const bool drawn = moe_gnuplot_run(folder, script, reason, sizeof reason);
    plot->svg = read_svg(folder, plot->name);
    if (drawn && plot->svg == NULL)
        snprintf(reason, sizeof reason, "its SVG is missing or too large");
    if (plot->svg == NULL || !drawn)
        plot->failure = moe_strdup(reason, err);
}

static void draw_of_run(moe_plot_kind kind, const moe_plot_subject *x,
                        const char *folder, moe_plots *all, moe_error *err)
{
    const moe_plot_type *type = types[kind];
    moe_plot *plot = &all->item[all->n];
    plot->kind = kind;
    plot->of = type->of;
    plot->number = (size_t)(x->run - x->analysis->run);
    if (type->of == MOE_PLOT_OF_ALL || x->analysis->n == 1)
        snprintf(plot->name, sizeof plot->name, "%s", type->name);
    else
        snprintf(plot->name, sizeof plot->name, "run%zu_%s", plot->number + 1,
                 type->name);
    snprintf(plot->title, sizeof plot->title, "%s", type->title);
    draw(plot, x, folder, all, err);
}

/* "map", "map2", "map_1_a100_nvlink", ...: numbers keep them apart, and of a
 * cluster's name only what is safe for files and for gnuplot stays. */
static void name_slice(const moe_plot_subject *x, moe_plot *plot)
{
    const moe_map *map = x->slice->map;
    char *to = plot->name, *end = plot->name + sizeof plot->name;
    to += snprintf(to, (size_t)(end - to), "map");
    if (x->analysis->n_maps > 1)
        to += snprintf(to, (size_t)(end - to), "%zu", plot->number + 1);
    if (moe_map_slices(map) > 1)
        to += snprintf(to, (size_t)(end - to), "_%zu", plot->slice + 1);
    if (map->own_links || map->n_cluster == 1)
        return;
    snprintf(to, (size_t)(end - to), "_%.24s",
             map->cluster[x->slice->rest.cluster].name);
    for (; *to != '\0'; to++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789",
                   *to) == NULL)
            *to = '_';
}

static void draw_slice(const moe_analysis *a, size_t number, size_t i,
                       const char *folder, moe_plots *all, moe_error *err)
{
    moe_map_slice slice;
    char part[160];
    const moe_plot_subject x = {
        .analysis = a, .slice = &slice, .skew = NAN, .bandwidth = NAN};
    if (err->status != MOE_OK ||
        moe_map_slice_init(&slice, &a->map[number], MOE_ADVISE_TYPICAL, i,
                           MOE_PLOT_CELLS, err) != MOE_OK)
        return;
    moe_plot *plot = &all->item[all->n];
    plot->kind = MOE_PLOT_MAP;
    plot->of = MOE_PLOT_OF_MAP;
    plot->number = number;
    plot->slice = i;
    name_slice(&x, plot);
    moe_map_slice_name(&slice, part, sizeof part);
    snprintf(plot->title, sizeof plot->title, "%s%s%s", moe_plot_map.title,
             part[0] != '\0' ? ", " : "", part);
    draw(plot, &x, folder, all, err);
    moe_map_slice_fini(&slice);
}

static moe_plot_subject subject_of(const moe_analysis *a,
                                   const moe_run_analysis *run)
{
    const moe_view *v = run->view;
    moe_plot_subject x = {
        .analysis = a, .run = run, .skew = NAN, .bandwidth = NAN};
    if (run->regime.known) {
        x.slice = &run->regime.slice;
        x.skew = v->strategy[v->reference_index].skewness.median;
        x.bandwidth = run->sensitivity.link_bandwidth;
    }
    return x;
}

static bool wanted(const moe_plot_type *type, const moe_plot_subject *x)
{
    const moe_analysis *a = x->analysis;
    const bool place = type->of == MOE_PLOT_OF_ALL ? x->run == &a->run[0]
                                                   : !type->detail || a->n == 1;
    const bool known = !type->detail || x->run->detailed;
    return place && known && type->present(x);
}

moe_status moe_plots_draw(const moe_analysis *a, const char *folder,
                          moe_plots *out, moe_error *err)
{
    moe_error local = {0};
    char reason[256];
    const size_t room = a->n * MOE_N_PLOTS + a->n_maps * MOE_PLOT_SLICES;
    moe_plots all = {
        .gnuplot = moe_gnuplot_run(folder, "--version", reason, sizeof reason)};
    all.item = moe_array_new(room, sizeof *all.item, &local);
    for (size_t i = 0; i < a->n; i++)
        for (int kind = 0; kind < MOE_PLOT_MAP; kind++) {
            const moe_plot_subject x = subject_of(a, &a->run[i]);
            if (local.status == MOE_OK && wanted(types[kind], &x))
                draw_of_run((moe_plot_kind)kind, &x, folder, &all, &local);
        }
    for (size_t i = 0; i < a->n_maps; i++)
        for (size_t k = 0;
             k < moe_map_slices(&a->map[i]) && k < MOE_PLOT_SLICES; k++)
            draw_slice(a, i, k, folder, &all, &local);
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_plots_fini(&all);
    return moe_pass(err, &local);
}

moe_status moe_plots_draw_loads(const moe_plot_loads *loads, const char *folder,
                                moe_plots *out, moe_error *err)
{
    moe_error local = {0};
    char reason[256];
    const moe_plot_subject x = {.loads = loads};
    moe_plots all = {
        .gnuplot = moe_gnuplot_run(folder, "--version", reason, sizeof reason)};
    all.item = moe_array_new(2, sizeof *all.item, &local);
    for (int kind = MOE_PLOT_UNEVEN; kind <= MOE_PLOT_DRIFT; kind++) {
        if (local.status != MOE_OK || !types[kind]->present(&x))
            continue;
        moe_plot *plot = &all.item[all.n];
        plot->kind = (moe_plot_kind)kind;
        plot->of = MOE_PLOT_OF_LOADS;
        snprintf(plot->name, sizeof plot->name, "%s", types[kind]->name);
        snprintf(plot->title, sizeof plot->title, "%s", types[kind]->title);
        draw(plot, &x, folder, &all, &local);
    }
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_plots_fini(&all);
    return moe_pass(err, &local);
}

void moe_plots_fini(moe_plots *plots)
{
    for (size_t i = 0; i < plots->n; i++) {
        free(plots->item[i].svg);
        free(plots->item[i].tips);
        free(plots->item[i].failure);
    }
    free(plots->item);
    *plots = (moe_plots){0};
}
