/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "../report/cells.h"
#include "plot_frame.h"

/* What every stage loses, stacked per strategy: of balance, as the run counted
 * it, or of time, priced anew. Losses add up; a stage that by chance did better
 * than what it is held against goes to the left. */

enum { MOST = 5, GREY = 8 /* of the colours */ };

typedef struct stack {
    const char *(*name)(int stage);
    double (*lost)(const moe_plot_scene *scene, int s, int stage);
    int n, first_colour; /* stages; colour of the first */
    double origin;
    const char *x_name, *columns; /* of the CSV file */
    double unit;                  /* of the axis over the file's */
} stack;

static const moe_strategy_view *strategy(const moe_plot_scene *scene, int s)
{
    return &scene->run->view->strategy[s];
}

static int strategies(const moe_plot_scene *scene)
{
    return scene->run->view->dims.strategies;
}

/* Add a stage to the end that it belongs to. @return where it begins. */
static double stack_up(double end[2], double lost)
{
    double *at = &end[lost < 0];
    const double from = *at;
    *at += isnan(lost) ? 0 : lost;
    return from;
}

static void put_csv(const stack *k, const moe_plot_scene *scene, FILE *out)
{
    fprintf(out, "row,strategy,stage_number,stage,%s\n", k->columns);
    for (int s = 0; s < strategies(scene); s++) {
        double end[2] = {k->origin, k->origin}; /* of what is lost, and won */
        for (int j = 0; j < k->n; j++) {
            const double x = k->lost(scene, s, j);
            const double from = stack_up(end, x);
            if (!isnan(x) && x != 0)
                fprintf(out, "%d,%s,%d,%s,%.9g,%.9g\n", s,
                        moe_plot_label_of(strategy(scene, s)->name).text, j,
                        k->name(j), from, from + x);
        }
    }
}

static int colour_of(const stack *k, int stage)
{
    const int colour = k->first_colour + stage;
    return colour == 0 ? GREY : colour;
}

static void put_head(const stack *k, moe_plot_head *head)
{
    for (int j = 0; j < k->n; j++)
        moe_plot_head_add(head, k->name(j), MOE_LOOK_BOX, colour_of(k, j), 0);
}

/* From the least end of what is won to the largest of what is lost. */
static moe_axis axis_of(const stack *k, const moe_plot_scene *scene)
{
    moe_axis axis = {k->unit * k->origin, k->unit * k->origin};
    for (int s = 0; s < strategies(scene); s++) {
        double end[2] = {k->origin, k->origin};
        for (int j = 0; j < k->n; j++)
            stack_up(end, k->lost(scene, s, j));
        moe_axis_take(&axis, k->unit * end[0]);
        moe_axis_take(&axis, k->unit * end[1]);
    }
    return axis;
}

static void put_script(const stack *k, const moe_plot_scene *scene, FILE *out)
{
    const moe_axis axis = axis_of(k, scene);
    moe_plot_rows(scene, out);
    moe_axis_put(&axis, "x", moe_plot_rows_ticks(scene), out);
    fprintf(out,
            "set xlabel '%s'\n"
            "set arrow from %g, graph 0 to %g, graph 1 nohead dashtype 2 "
            "linecolor rgb '#888888'\nplot ",
            k->x_name, k->origin, k->origin);
    for (int j = 0; j < k->n; j++)
        fprintf(out,
                "%s\\\n  data every ::1 using ($3 == %d ? ($5 + $6) / 2 * %g : "
                "NaN):1:($5 * %g):($6 * %g):($1 - 0.35):($1 + 0.35) with "
                "boxxyerror linecolor rgb colour[%d]",
                j > 0 ? ", " : "", j, k->unit, k->unit, k->unit,
                colour_of(k, j));
    fputc('\n', out);
}

/* @return the stage from `first` on that loses most. */
static int worst(const stack *k, const moe_plot_scene *scene, int s, int first)
{
    int most = first;
    for (int j = first + 1; j < k->n; j++)
        if (k->lost(scene, s, j) > k->lost(scene, s, most))
            most = j;
    return most;
}

/* ---- of balance ---- */

static const struct {
    const char *name;
    size_t offset; /* of a moe_summary in moe_strategy_view */
} levels[MOST] = {
    {"bound", offsetof(moe_strategy_view, bound)},
    {"room", offsetof(moe_strategy_view, regret_room)},
    {"planner", offsetof(moe_strategy_view, regret_planner)},
    {"prediction", offsetof(moe_strategy_view, regret_prediction)},
    {"split", offsetof(moe_strategy_view, regret_split)},
};

static const char *level_name(int stage)
{
    return levels[stage].name;
}

/* @return what a stage adds to the imbalance. Means add up. */
static double level_lost(const moe_plot_scene *scene, int s, int stage)
{
    const moe_summary *m =
        (const moe_summary *)((const char *)strategy(scene, s) +
                              levels[stage].offset);
    return stage == 0 ? m->mean - 1 : m->mean;
}

static const stack balance = {
    .name = level_name,
    .lost = level_lost,
    .n = MOST,
    .origin = 1,
    .x_name = "pairs of the busiest GPU over the mean",
    .columns = "from,to",
    .unit = 1,
};

static bool regret_present(const moe_plot_scene *scene)
{
    for (int s = 0; s < strategies(scene); s++)
        if (strategy(scene, s)->bound.n > 0)
            return true;
    return false;
}

static void regret_csv(const moe_plot_scene *scene, FILE *out)
{
    put_csv(&balance, scene, out);
}

static void regret_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    (void)scene;
    put_head(&balance, head);
}

static void regret_script(const moe_plot_scene *scene, FILE *out)
{
    put_script(&balance, scene, out);
}

static void regret_say(const moe_plot_scene *scene, FILE *out)
{
    fputs("Imbalance by the stage that loses it, means over iterations.", out);
    for (int s = 0; s < strategies(scene); s++) {
        const moe_strategy_view *y = strategy(scene, s);
        const int most = worst(&balance, scene, s, 1);
        if (y->bound.n > 0)
            fprintf(out, " %s: %s, most of it beyond the bound in %s (%s).",
                    y->name, moe_number_cell(y->imbalance.mean).text,
                    levels[most].name,
                    moe_fixed_cell(level_lost(scene, s, most)).text);
    }
}

const moe_plot moe_plot_regret = {
    .name = "regret",
    .title = "Regret by stage: balance",
    .present = regret_present,
    .csv = regret_csv,
    .head = regret_head,
    .script = regret_script,
    .say = regret_say,
    .height = moe_plot_rows_height,
};

/* ---- of time ---- */

/* From the exchange to the split, so that colours are those above. */
static moe_perfect stage_at(int stage)
{
    return (moe_perfect)(MOE_N_PERFECTS - 1 - stage);
}

static const char *stage_name(int stage)
{
    return moe_perfect_name(stage_at(stage));
}

static double stage_lost(const moe_plot_scene *scene, int s, int stage)
{
    const double *t =
        scene->run->sensitivity.stage_s + s * MOE_N_PERFECTS + stage_at(stage);
    return t[-1] - t[0];
}

static const stack times = {
    .name = stage_name,
    .lost = stage_lost,
    .n = MOE_N_PERFECTS - 1,
    .x_name = "time of a layer to be won, us (gpu clock, modelled)",
    .columns = "from_s,to_s",
    .unit = 1e6,
};

static bool stages_present(const moe_plot_scene *scene)
{
    return scene->run->sensitivity.known && regret_present(scene);
}

static void stages_csv(const moe_plot_scene *scene, FILE *out)
{
    put_csv(&times, scene, out);
}

static void stages_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    (void)scene;
    put_head(&times, head);
}

static void stages_script(const moe_plot_scene *scene, FILE *out)
{
    put_script(&times, scene, out);
}

static void stages_say(const moe_plot_scene *scene, FILE *out)
{
    fputs("Time of a layer that making a stage perfect would win, gpu clock "
          "(modelled): each upon those before it, from the split to the "
          "exchange, which is nothing left to dispatch.",
          out);
    for (int s = 0; s < strategies(scene); s++) {
        const int most = worst(&times, scene, s, 0);
        const double won_s = stage_lost(scene, s, most);
        if (won_s > 0)
            fprintf(out, " %s: most of it in %s (%s).",
                    strategy(scene, s)->name, stage_name(most),
                    moe_time_cell(won_s).text);
    }
}

const moe_plot moe_plot_stages = {
    .name = "stages",
    .title = "Regret by stage: time",
    .present = stages_present,
    .csv = stages_csv,
    .head = stages_head,
    .script = stages_script,
    .say = stages_say,
    .height = moe_plot_rows_height,
};
