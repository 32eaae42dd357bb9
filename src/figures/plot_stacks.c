/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>

#include "legend.h"
#include "moegps/cells.h"
#include "moegps/mem.h"
#include "plot.h"
#include "plot_rows.h"
#include "script.h"

/* Parts of every strategy, end to end: phases of a layer, or what every stage
 * loses, of balance as the run counted it, or of time, priced anew. A part
 * below 0 goes to the left: what attention hides, or a stage that by chance did
 * better than what it is held against. */

typedef struct stack {
    int n; /* parts */
    const char *(*name)(int part);
    double (*size)(const moe_plot_subject *x, int s, int part);
    bool sorted; /* `from` is the lesser end */
    moe_cell (*cell)(double size);
    moe_cell (*whole)(const moe_run_analysis *run, int s);
    double origin;       /* where parts begin */
    const char *columns; /* of the data */
} stack;

static const moe_strategy_view *strategy(const moe_plot_subject *x, int s)
{
    return &x->run->view->strategy[s];
}

static int strategies(const moe_plot_subject *x)
{
    return x->run->view->dims.strategies;
}

static void put_data(const stack *k, const moe_plot_subject *x,
                     moe_plot_data *out)
{
    moe_data_columns(out, k->columns);
    for (int s = 0; s < strategies(x); s++) {
        double end[2] = {k->origin, k->origin}; /* to the right and left */
        for (int j = 0; j < k->n; j++) {
            const double size = k->size(x, s, j);
            if (isnan(size) || size == 0)
                continue;
            double *at = &end[size < 0];
            const double from = *at, to = from + size;
            *at = to;
            moe_data_number(out, s);
            moe_data_text(out, strategy(x, s)->name);
            moe_data_number(out, j);
            moe_data_text(out, k->name(j));
            moe_data_number(out, k->sorted ? fmin(from, to) : from);
            moe_data_number(out, k->sorted ? fmax(from, to) : to);
            moe_data_tip(out, "%s, %s: %s", strategy(x, s)->name, k->name(j),
                         k->cell(fabs(size)).text);
        }
    }
}

/* @param unit  of the axis over the data's */
static void put_script(const stack *k, const moe_plot_subject *x,
                       const moe_plot_data *data, double unit, FILE *out)
{
    moe_axis axis = {k->origin, k->origin};
    const moe_legend none = {0};
    moe_legend_put(&none, "", moe_plot_rows_height(x->run, MOE_ROW), out);
    moe_plot_rows_put(x->run, MOE_ROW, k->whole, out);
    moe_axis_join(&axis, moe_data_span(data, 5, 6));
    axis = moe_axis_scaled(axis, unit);
    moe_axis_put(&axis, "x", MOE_ROW_TICKS, out);
    moe_script_number(out, "unit", unit);
    moe_script_number(out, "mark", k->origin);
}

/* ---- phases ---- */

static const char *phase_name(int part)
{
    return part == MOE_N_PHASES ? "hidden" : moe_phase_name((moe_phase)part);
}

static double phase_size(const moe_plot_subject *x, int s, int part)
{
    const moe_clock clock = x->run->verdict.clock;
    if (part < MOE_N_PHASES)
        return fmax(0, strategy(x, s)->phase[clock][part]);
    return clock == MOE_CLOCK_GPU ? -fmax(0, strategy(x, s)->hidden) : 0;
}

static const stack phases = {
    .n = MOE_N_PHASES + 1,
    .name = phase_name,
    .size = phase_size,
    .cell = moe_time_cell,
    .whole = moe_plot_row_time,
    .sorted = true,
    .columns = "row,strategy,phase_number,phase,from_s,to_s",
};

static bool phases_present(const moe_plot_subject *x)
{
    return x->run->verdict.best >= 0;
}

static void phases_data(const moe_plot_subject *x, moe_plot_data *out)
{
    put_data(&phases, x, out);
}

static void phases_script(const moe_plot_subject *x, const moe_plot_data *data,
                          FILE *out)
{
    const moe_clock clock = x->run->verdict.clock;
    const moe_plot_unit unit =
        moe_plot_time_unit(moe_data_span(data, 5, 6).high);
    put_script(&phases, x, data, unit.factor, out);
    moe_script_text(out, "x_title", "time of a layer, %s (%s clock, %s)",
                    unit.name, moe_clock_name(clock), moe_clock_origin(clock));
}

const moe_plot_type moe_plot_phases = {
    .name = "phases",
    .title = "Where the time of a layer goes",
    .of = MOE_PLOT_OF_RUN,
    .template = {"rows", "stacks"},
    .present = phases_present,
    .data = phases_data,
    .script = phases_script,
};

/* ---- stages of balance ---- */

static const struct {
    const char *name;
    size_t offset; /* of a moe_summary in moe_strategy_view */
} levels[] = {
    {"bound", offsetof(moe_strategy_view, bound)},
    {"room", offsetof(moe_strategy_view, regret_room)},
    {"planner", offsetof(moe_strategy_view, regret_planner)},
    {"prediction", offsetof(moe_strategy_view, regret_prediction)},
    {"split", offsetof(moe_strategy_view, regret_split)},
};

static const char *level_name(int part)
{
    return levels[part].name;
}

/* @return what a stage adds to the imbalance. Means add up. */
static double level_lost(const moe_plot_subject *x, int s, int part)
{
    const moe_summary *m = (const moe_summary *)((const char *)strategy(x, s) +
                                                 levels[part].offset);
    return part == 0 ? m->mean - 1 : m->mean;
}

static moe_cell imbalance_of(const moe_run_analysis *run, int s)
{
    return moe_number_cell(run->view->strategy[s].imbalance.mean);
}

static const stack balance = {
    .n = (int)MOE_ARRAY_LEN(levels),
    .name = level_name,
    .size = level_lost,
    .cell = moe_fixed_cell,
    .whole = imbalance_of,
    .origin = 1,
    .columns = "row,strategy,stage_number,stage,from,to",
};

static bool regret_present(const moe_plot_subject *x)
{
    for (int s = 0; s < strategies(x); s++)
        if (strategy(x, s)->bound.n > 0)
            return true;
    return false;
}

static void regret_data(const moe_plot_subject *x, moe_plot_data *out)
{
    put_data(&balance, x, out);
}

static void regret_script(const moe_plot_subject *x, const moe_plot_data *data,
                          FILE *out)
{
    put_script(&balance, x, data, 1, out);
    moe_script_text(out, "x_title", "pairs of the busiest GPU over the mean");
}

const moe_plot_type moe_plot_regret = {
    .name = "regret",
    .title = "Regret by stage: balance",
    .of = MOE_PLOT_OF_RUN,
    .template = {"rows", "stacks"},
    .present = regret_present,
    .data = regret_data,
    .script = regret_script,
};

/* ---- stages of time ---- */

/* From the exchange to the split: in the order of those above. */
static moe_perfect stage_at(int part)
{
    return (moe_perfect)(MOE_N_PERFECTS - 1 - part);
}

static const char *stage_name(int part)
{
    return moe_perfect_name(stage_at(part));
}

static double stage_lost(const moe_plot_subject *x, int s, int part)
{
    const double *t =
        x->run->sensitivity.stage_s + s * MOE_N_PERFECTS + stage_at(part);
    return t[-1] - t[0];
}

/* All that perfecting the stages would win. */
static moe_cell headroom_of(const moe_run_analysis *run, int s)
{
    const double *t = run->sensitivity.stage_s + s * MOE_N_PERFECTS;
    return moe_time_cell(fmax(0, t[0] - t[MOE_N_PERFECTS - 1]));
}

static const stack times = {
    .n = MOE_N_PERFECTS - 1,
    .name = stage_name,
    .size = stage_lost,
    .cell = moe_time_cell,
    .whole = headroom_of,
    .columns = "row,strategy,stage_number,stage,from_s,to_s",
};

static bool stages_present(const moe_plot_subject *x)
{
    return x->run->sensitivity.known && regret_present(x);
}

static void stages_data(const moe_plot_subject *x, moe_plot_data *out)
{
    put_data(&times, x, out);
}

static void stages_script(const moe_plot_subject *x, const moe_plot_data *data,
                          FILE *out)
{
    put_script(&times, x, data, 1e6, out);
    moe_script_text(out, "x_title",
                    "time of a layer to be won, us (gpu clock, modelled)");
}

const moe_plot_type moe_plot_stages = {
    .name = "stages",
    .title = "Regret by stage: time",
    .of = MOE_PLOT_OF_RUN,
    .template = {"rows", "stacks"},
    .present = stages_present,
    .data = stages_data,
    .script = stages_script,
};
