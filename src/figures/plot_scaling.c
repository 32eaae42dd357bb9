/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>

#include "../report/cells.h"
#include "plot_frame.h"

static bool present(const moe_plot_scene *scene)
{
    return scene->analysis->scaling.strategies > 0;
}

/* The wall clock counts only where it does in all runs. */
static moe_clock clock_of(const moe_plot_scene *scene)
{
    for (size_t i = 0; i < scene->analysis->n; i++)
        if (scene->analysis->run[i].view->oversubscribed)
            return MOE_CLOCK_GPU;
    return MOE_CLOCK_WALL;
}

static const char *name_of(const moe_plot_scene *scene, int s)
{
    return scene->run->view->strategy[s].name;
}

static const moe_scaling_curve *curve_of(const moe_plot_scene *scene, int s)
{
    return &scene->analysis->scaling.curve[clock_of(scene)][s];
}

static void put_csv(const moe_plot_scene *scene, FILE *out)
{
    fputs("series,strategy,gpus,nodes,runs,n,time_s,ci_low_s,ci_high_s,"
          "efficiency,efficiency_ci_low,efficiency_ci_high\n",
          out);
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        const moe_scaling_curve *curve = curve_of(scene, s);
        for (size_t i = 0; i < curve->n_points; i++) {
            const moe_scaling_point *p = &curve->point[i];
            const double values[] = {
                p->time.median,       p->time.ci_low,
                p->time.ci_high,      p->efficiency.ratio,
                p->efficiency.ci_low, p->efficiency.ci_high};
            fprintf(out, "%d,%s,%d,%d,%d,%zu", s,
                    moe_plot_label_of(name_of(scene, s)).text, p->gpus,
                    p->nodes, p->runs, p->time.n);
            for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
                moe_plot_number(values[k], out);
            fputc('\n', out);
        }
    }
}

static bool on_nodes(const moe_plot_scene *scene)
{
    for (size_t i = 0; i < scene->analysis->n; i++)
        if (scene->analysis->run[i].view->nodes > 1)
            return true;
    return false;
}

/* Ticks at the numbers of GPUs that were run, and nodes if there are many. */
static void put_gpus(const moe_plot_scene *scene, FILE *out)
{
    const bool nodes = on_nodes(scene);
    moe_axis axis = moe_axis_empty;
    fprintf(out, "set xlabel '%s'\nset logscale x 2\nset xtics (",
            nodes ? "GPUs, on nodes" : "GPUs");
    for (size_t i = 0; i < scene->analysis->n; i++) {
        const moe_view *v = scene->analysis->run[i].view;
        fprintf(out, "%s\"%d", i > 0 ? ", " : "", v->dims.gpus);
        if (nodes)
            fprintf(out, "\\n%d node%s", v->nodes, v->nodes == 1 ? "" : "s");
        fprintf(out, "\" %d", v->dims.gpus);
        moe_axis_take(&axis, v->dims.gpus);
    }
    fprintf(out, ")\nset xrange [%.9g:%.9g]\n", axis.low / 1.1,
            axis.high * 1.1);
}

/* From 0 to the most of all curves. */
static moe_axis find_axis(const moe_plot_scene *scene, bool efficiency)
{
    moe_axis axis = {0, 0};
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        const moe_scaling_curve *curve = curve_of(scene, s);
        for (size_t i = 0; i < curve->n_points; i++) {
            const moe_scaling_point *p = &curve->point[i];
            moe_axis_take(&axis,
                          efficiency ? p->efficiency.ratio : p->time.median);
            moe_axis_take(&axis,
                          efficiency ? p->efficiency.ci_high : p->time.ci_high);
        }
    }
    return axis;
}

/* @param column  of the CSV file, with its interval in the next two. */
static void put_curves(const moe_plot_scene *scene, int column, double factor,
                       FILE *out)
{
    put_gpus(scene, out);
    fputs("plot ", out);
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        fprintf(out,
                "%s\\\n  data every ::1 using ($1 == %d ? $3 : NaN):($%d * %g)"
                " with linespoints pointtype 7 pointsize 0.6 ",
                s > 0 ? ", " : "", s, column, factor);
        moe_plot_series(s, out);
        fprintf(out,
                ", \\\n  data every ::1 using ($1 == %d ? $3 : NaN):($%d * %g)"
                ":(0):(($%d - $%d) * %g) with vectors heads size screen "
                "0.008,90 linewidth 2 linecolor rgb colour[%d]",
                s, column + 1, factor, column + 2, column + 1, factor,
                moe_plot_series_colour(s));
    }
    fputc('\n', out);
}

static void time_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    moe_plot_head_series(head, scene);
    head->y_name = clock_of(scene) == MOE_CLOCK_GPU
                       ? "time of a layer (gpu clock, modelled)"
                       : "time of a layer (wall clock, measured)";
}

static void time_script(const moe_plot_scene *scene, FILE *out)
{
    moe_axis axis = find_axis(scene, false);
    const moe_plot_unit unit = moe_plot_time_unit(axis.high);
    axis.high *= unit.per_s;
    moe_axis_put(&axis, "y", 6, out);
    fprintf(out, "set format y '%%h %s'\n", unit.name);
    put_curves(scene, 7, unit.per_s, out);
}

static void efficiency_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    moe_plot_head_series(head, scene);
    head->y_name = "efficiency, %";
}

static void efficiency_script(const moe_plot_scene *scene, FILE *out)
{
    moe_axis axis = find_axis(scene, true);
    axis.high *= 100;
    moe_axis_put(&axis, "y", 6, out);
    put_curves(scene, 10, 100, out);
}

/* The end of every curve, of time or of efficiency. */
static void say_ends(const moe_plot_scene *scene, bool efficiency, FILE *out)
{
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        const moe_scaling_curve *curve = curve_of(scene, s);
        const moe_scaling_point *last = &curve->point[curve->n_points - 1];
        fprintf(out, "%s %s %s", s > 0 ? "," : "", name_of(scene, s),
                efficiency ? moe_percent_cell(last->efficiency.ratio).text
                           : moe_time_cell(last->time.median).text);
        if (s == 0)
            fprintf(out, " on %d GPUs", last->gpus);
    }
    fputc('.', out);
}

static void time_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = clock_of(scene);
    fprintf(out, "Time of a layer against the number of GPUs, %s clock (%s):",
            moe_clock_name(clock), moe_clock_origin(clock));
    say_ends(scene, false, out);
}

static void efficiency_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = clock_of(scene);
    fprintf(out,
            "Tokens per second and GPU over that of the fewest GPUs, %s "
            "clock (%s):",
            moe_clock_name(clock), moe_clock_origin(clock));
    say_ends(scene, true, out);
}

const moe_plot moe_plot_scaling = {
    .name = "scaling",
    .title = "Time against the number of GPUs",
    .overall = true,
    .present = present,
    .csv = put_csv,
    .head = time_head,
    .script = time_script,
    .say = time_say,
    .height = moe_plot_plain_height,
};

const moe_plot moe_plot_efficiency = {
    .name = "efficiency",
    .title = "Efficiency against the number of GPUs",
    .overall = true,
    .present = present,
    .csv = put_csv,
    .head = efficiency_head,
    .script = efficiency_script,
    .say = efficiency_say,
    .height = moe_plot_plain_height,
};
