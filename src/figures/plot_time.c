/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>

#include "../report/cells.h"
#include "plot_frame.h"

/* Where a layer's time goes, and what strategies win. */

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

static void phases_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    for (int p = 0; p < MOE_N_PHASES; p++)
        if (has_phase(scene, p))
            moe_plot_head_add(head, moe_phase_name((moe_phase)p), MOE_LOOK_BOX,
                              p + 1, 0);
    if (has_hidden(scene))
        moe_plot_head_add(head, "hidden", MOE_LOOK_BOX, MOE_PLOT_GREY, 0);
}

/* From what is hidden to the end of the longest stack. */
static moe_axis phases_axis(const moe_plot_scene *scene)
{
    const moe_clock clock = scene->run->verdict.clock;
    moe_axis axis = moe_axis_empty;
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_strategy_view *y = strategy(scene, s);
        double end = 0;
        for (int p = 0; p < MOE_N_PHASES; p++)
            end += fmax(0, y->phase[clock][p]);
        moe_axis_take(&axis, end);
        moe_axis_take(&axis, has_hidden(scene) ? -fmax(0, y->hidden) : 0);
    }
    return axis;
}

static void phases_script(const moe_plot_scene *scene, FILE *out)
{
    moe_axis axis = phases_axis(scene);
    const moe_plot_unit unit = moe_plot_time_unit(axis.high);
    axis.low *= unit.per_s;
    axis.high *= unit.per_s;
    moe_plot_rows(scene, out);
    moe_axis_put(&axis, "x", moe_plot_rows_ticks(scene), out);
    fprintf(out,
            "set xlabel 'time of a layer, %s (%s clock, %s)'\nunit = %g\n"
            "plot ",
            unit.name, moe_clock_name(scene->run->verdict.clock),
            moe_clock_origin(scene->run->verdict.clock), unit.per_s);
    const char *comma = "";
    for (int p = 0; p <= MOE_N_PHASES; p++) {
        const bool hidden = p == MOE_N_PHASES;
        if (hidden ? !has_hidden(scene) : !has_phase(scene, p))
            continue;
        fprintf(out,
                "%s\\\n  data every ::1 using ($3 == %d ? ($5 + $6) / 2 * unit "
                ": NaN):1:($5 * unit):($6 * unit):($1 - 0.35):($1 + 0.35) with "
                "boxxyerror linecolor rgb ",
                comma, p);
        if (hidden)
            fputs("'#bbbbbb'", out);
        else
            fprintf(out, "colour[%d]", p + 1);
        comma = ", ";
    }
    fputc('\n', out);
}

static void phases_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out, "Stacked medians of the phases of a layer, %s clock (%s)%s.",
            moe_clock_name(clock), moe_clock_origin(clock),
            has_hidden(scene) ? "; what attention hides is left of 0 (of "
                                "plans made ahead, what the whole layer hides)"
                              : "");
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
    .head = phases_head,
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

static void speedup_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    (void)scene;
    moe_plot_head_add(head, "interval without 1", MOE_LOOK_POINT, 1, 7);
    moe_plot_head_add(head, "with 1 or none", MOE_LOOK_POINT, 1, 6);
}

static moe_axis speedup_axis(const moe_plot_scene *scene)
{
    moe_axis axis = {1, 1};
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const moe_ratio *r =
            &strategy(scene, s)->speedup[scene->run->verdict.clock];
        moe_axis_take(&axis, r->ratio);
        moe_axis_take(&axis, r->ci_low);
        moe_axis_take(&axis, r->ci_high);
    }
    return axis;
}

/* Numbers are beside the rows; a full point is one that noise does not
 * explain. */
static void speedup_script(const moe_plot_scene *scene, FILE *out)
{
    const moe_axis axis = speedup_axis(scene);
    moe_plot_rows(scene, out);
    moe_axis_put(&axis, "x", moe_plot_rows_ticks(scene), out);
    fprintf(out,
            "set xlabel 'speed-up, 95 %% interval (%s clock, %s)'\n"
            "set rmargin at screen 0.89\n"
            "set arrow from 1, graph 0 to 1, graph 1 nohead dashtype 2 "
            "linecolor rgb '#888888'\n"
            "sure(low, high) = low > 1 || high < 1\n"
            "plot data every ::1 using 4:1 with points pointtype 6 pointsize "
            "0.8 linewidth 2 linecolor rgb colour[1], \\\n"
            "  data every ::1 using (sure($5, $6) ? NaN : $4):1:5:6 with "
            "xerrorbars pointtype 6 pointsize 0.8 linewidth 2 linecolor rgb "
            "colour[1], \\\n"
            "  data every ::1 using (sure($5, $6) ? $4 : NaN):1:5:6 with "
            "xerrorbars pointtype 7 pointsize 0.8 linewidth 2 linecolor rgb "
            "colour[1], \\\n"
            "  data every ::1 using (%.9g):1:(sprintf('%%.2f', $4)) with "
            "labels left offset 0.5,0 noenhanced font ',12'\n",
            moe_clock_name(scene->run->verdict.clock),
            moe_clock_origin(scene->run->verdict.clock),
            moe_axis_ends(&axis).high);
}

static void speedup_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_view *v = scene->run->view;
    const moe_clock clock = scene->run->verdict.clock;
    fprintf(out, "Speed-up over %s on the %s clock (%s), with 95 %% intervals:",
            v->strategy[v->reference_index].name, moe_clock_name(clock),
            moe_clock_origin(clock));
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
    .head = speedup_head,
    .script = speedup_script,
    .say = speedup_say,
    .height = moe_plot_rows_height,
};
