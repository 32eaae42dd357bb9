/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "moegps/mem.h"

/* Where a layer's time goes, what strategies win, and how it scatters. */

static const char *origin(moe_clock clock)
{
    return clock == MOE_CLOCK_GPU ? "modelled" : "measured";
}

static const moe_strategy_view *strategy(const moe_plot_scene *scene, int s)
{
    return &scene->run->view->strategy[s];
}

static bool measured(const moe_plot_scene *scene)
{
    return scene->run->verdict.best >= 0;
}

/* ---- phases ---- */

/* Rows of a phase follow each other; exposed phases are stacked to the right
 * of 0, what attention hides is to the left. */
static void phases_csv(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    fputs("row,strategy,phase_number,phase,from_s,to_s\n", out);
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_strategy_view *y = strategy(scene, s);
        const char *name = moe_plot_label_of(y->name).text;
        double from = 0;
        for (int p = 0; p < MOE_N_PHASES; p++) {
            const double to = from + fmax(0, y->phase[clock][p]);
            if (to > from)
                fprintf(out, "%d,%s,%d,%s,%.9g,%.9g\n", s, name, p,
                        moe_phase_name((moe_phase)p), from, to);
            from = to;
        }
        if (clock == MOE_CLOCK_GPU && y->hidden > 0)
            fprintf(out, "%d,%s,%d,hidden,%.9g,0\n", s, name, MOE_N_PHASES,
                    -y->hidden);
    }
}

/* @return whether any strategy spends visible time in the phase. */
static bool has_phase(const moe_plot_scene *scene, int phase)
{
    const moe_clock clock = scene->run->verdict.clock;
    for (int s = 0; s < scene->run->view->dims.strategies; s++)
        if (strategy(scene, s)->phase[clock][phase] > 0)
            return true;
    return false;
}

static bool has_hidden(const moe_plot_scene *scene)
{
    for (int s = 0; s < scene->run->view->dims.strategies; s++)
        if (strategy(scene, s)->hidden > 0)
            return scene->run->verdict.clock == MOE_CLOCK_GPU;
    return false;
}

static void phases_script(const moe_plot_scene *scene, FILE *out)
{
    moe_plot_rows(scene, out);
    fprintf(out, "set xlabel 'time of a layer, ms (%s clock, %s)'\nplot ",
            moe_clock_name(scene->run->verdict.clock),
            origin(scene->run->verdict.clock));
    const char *comma = "";
    for (int p = 0; p <= MOE_N_PHASES; p++) {
        const bool hidden = p == MOE_N_PHASES;
        if (hidden ? !has_hidden(scene) : !has_phase(scene, p))
            continue;
        fprintf(out,
                "%s\\\n  data every ::1 using ($3 == %d ? ($5 + $6) * 500 : "
                "NaN):1:($5 * 1e3):($6 * 1e3):($1 - 0.35):($1 + 0.35) with "
                "boxxyerror linecolor rgb ",
                comma, p);
        if (hidden)
            fputs("'#bbbbbb' title 'hidden by attention'", out);
        else
            fprintf(out, "colour[%d] title '%s'", p + 1,
                    moe_phase_name((moe_phase)p));
        comma = ", ";
    }
    fputc('\n', out);
}

static void phases_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out, "Stacked medians of the phases of a layer, %s clock (%s)%s.",
            moe_clock_name(clock), origin(clock),
            has_hidden(scene) ? "; what attention hides is left of 0" : "");
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_strategy_view *y = strategy(scene, s);
        int most = -1;
        for (int p = 0; p < MOE_N_PHASES; p++)
            if (y->phase[clock][p] > (most < 0 ? 0 : y->phase[clock][most]))
                most = p;
        if (most >= 0)
            fprintf(out, " %s: mostly %s, %s.", y->name,
                    moe_phase_name((moe_phase)most),
                    moe_time_cell(y->phase[clock][most]).text);
    }
}

const moe_plot moe_plot_phases = {
    .name = "phases",
    .title = "Where the time of a layer goes",
    .present = measured,
    .csv = phases_csv,
    .script = phases_script,
    .say = phases_say,
    .height = moe_plot_rows_height,
};

/* ---- speed-up ---- */

static bool several(const moe_plot_scene *scene)
{
    return measured(scene) && scene->run->view->dims.strategies > 1;
}

static void speedup_csv(const moe_plot_scene *scene, FILE *out)
{
    fputs("row,strategy,n,speedup,ci_low,ci_high\n", out);
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_strategy_view *y = strategy(scene, s);
        const moe_ratio *r = &y->speedup[scene->run->verdict.clock];
        fprintf(out, "%d,%s,%zu", s, moe_plot_label_of(y->name).text, r->n);
        moe_plot_number(r->ratio, out);
        moe_plot_number(r->ci_low, out);
        moe_plot_number(r->ci_high, out);
        fputc('\n', out);
    }
}

static void speedup_script(const moe_plot_scene *scene, FILE *out)
{
    moe_plot_rows(scene, out);
    fprintf(out,
            "set xlabel 'speed-up, 95 %% interval (%s clock, %s)'\n"
            "unset key\n"
            "set arrow from 1, graph 0 to 1, graph 1 nohead dashtype 2 "
            "linecolor rgb '#888888'\n"
            "plot data every ::1 using 4:1 with points pointtype 7 pointsize "
            "0.8 linecolor rgb colour[1], \\\n"
            "  data every ::1 using 4:1:5:6 with xerrorbars pointtype 7 "
            "pointsize 0.8 linewidth 2 linecolor rgb colour[1]\n",
            moe_clock_name(scene->run->verdict.clock),
            origin(scene->run->verdict.clock));
}

static void speedup_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_view *v = scene->run->view;
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out, "Speed-up over %s on the %s clock (%s), with 95 %% intervals:",
            v->strategy[v->reference_index].name, moe_clock_name(clock),
            origin(clock));
    for (int s = 0; s < v->dims.strategies; s++)
        fprintf(out, "%s %s %s (%s)", s > 0 ? "," : "", v->strategy[s].name,
                moe_number_cell(v->strategy[s].speedup[clock].ratio).text,
                moe_interval_cell(
                    moe_number_cell(v->strategy[s].speedup[clock].ci_low),
                    moe_number_cell(v->strategy[s].speedup[clock].ci_high))
                    .text);
    fputc('.', out);
}

const moe_plot moe_plot_speedup = {
    .name = "speedup",
    .title = "Speed-up with its confidence",
    .present = several,
    .csv = speedup_csv,
    .script = speedup_script,
    .say = speedup_say,
    .height = moe_plot_rows_height,
};

/* ---- distribution of samples ---- */

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Put the present samples first, sorted. @return how many. */
static size_t sorted_samples(const moe_plot_scene *scene, int s, double *x)
{
    const moe_view *v = scene->run->view;
    size_t n = 0;
    moe_view_samples(v, s, scene->run->verdict.clock, x);
    for (int i = 0; i < v->dims.iterations; i++)
        if (!isnan(x[i]))
            x[n++] = x[i];
    qsort(x, n, sizeof *x, rising);
    return n;
}

static void ecdf_csv(const moe_plot_scene *scene, FILE *out)
{
    enum { POINTS = 500 }; /* of a curve: more cannot be seen */
    const moe_view *v = scene->run->view;
    double *x = moe_array_new((size_t)v->dims.iterations, sizeof *x, NULL);
    fputs("series,strategy,time_s,share\n", out);
    for (int s = 0; x != NULL && s < moe_plot_strategies(scene); s++) {
        const size_t n = sorted_samples(scene, s, x);
        const size_t step = n / POINTS + 1;
        for (size_t i = 0; i < n; i++)
            if (i % step == 0 || i + 1 == n)
                fprintf(out, "%d,%s,%.9g,%.9g\n", s,
                        moe_plot_label_of(v->strategy[s].name).text, x[i],
                        (double)(i + 1) / (double)n);
    }
    free(x);
}

static void ecdf_script(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out,
            "set xlabel 'time of a layer, ms (%s clock, %s)'\nset ylabel "
            "'share of samples'\nset yrange [0:1]\nplot ",
            moe_clock_name(clock), origin(clock));
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        fprintf(out,
                "%s\\\n  data every ::1 using ($1 == %d ? $3 * 1e3 : NaN):4 "
                "with steps linewidth 2 linecolor rgb colour[%d] title '%s'",
                s > 0 ? ", " : "", s, s + 1,
                moe_plot_label_of(strategy(scene, s)->name).text);
    fputc('\n', out);
}

static void ecdf_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out,
            "Cumulative distribution of layer times, %s clock (%s). Least to "
            "largest sample:",
            moe_clock_name(clock), origin(clock));
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        const moe_summary *t = &strategy(scene, s)->summary[clock];
        fprintf(out, "%s %s %s (n = %zu)", s > 0 ? "," : "",
                strategy(scene, s)->name,
                moe_interval_cell(moe_time_cell(t->min), moe_time_cell(t->max))
                    .text,
                t->n);
    }
    fputc('.', out);
}

const moe_plot moe_plot_ecdf = {
    .name = "ecdf",
    .title = "How times scatter over iterations",
    .present = measured,
    .csv = ecdf_csv,
    .script = ecdf_script,
    .say = ecdf_say,
    .height = moe_plot_plain_height,
};
