/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "moegps/html.h"
#include "moegps/mem.h"

enum {
    BAR_LEN = 10,     /* of times, characters */
    NAME_LEN = 24,    /* characters of a strategy in a row */
    HEADING_LEN = 18, /* and above a column */
    PER_TABLE = 4     /* strategies beside each other */
};

size_t moe_sheet_name_len(const moe_sheet *to)
{
    return to->html ? sizeof(moe_cell) - 1 : NAME_LEN;
}

static void put_title(const moe_sheet *to, const char *title, const char *note)
{
    if (to->html) {
        fputs("<h3>", to->out);
        moe_html_text(title, to->out);
        fputs("</h3>\n", to->out);
    } else {
        fprintf(to->out, "\n%s\n", title);
    }
    if (note == NULL)
        return;
    fputs(to->html ? "<p>" : "", to->out);
    if (to->html)
        moe_html_text(note, to->out);
    else
        fputs(note, to->out);
    fputs(to->html ? "</p>\n" : "\n", to->out);
}

void moe_sheet_table(const moe_sheet *to, const char *title, const char *note,
                     moe_table *table)
{
    if (title != NULL)
        put_title(to, title, note);
    if (to->html) {
        fputs("<div class=\"wide\" tabindex=\"0\">", to->out);
        moe_table_html(table, to->out);
        fputs("</div>\n", to->out);
    } else {
        fputc('\n', to->out);
        moe_table_print(table, to->out);
    }
    moe_table_free(table);
}

/* @return good or bad where the interval excludes 1. */
static moe_hue hue_of(const moe_ratio *r)
{
    return r->ci_low > 1    ? MOE_HUE_GOOD
           : r->ci_high < 1 ? MOE_HUE_BAD
                            : MOE_HUE_NONE;
}

/* @return the largest median; 0: there is none. */
static double slowest(const moe_view *view, moe_clock clock)
{
    double most = 0;
    for (int s = 0; s < view->dims.strategies; s++)
        most = fmax(most, view->strategy[s].summary[clock].median);
    return most;
}

static void add_times(const moe_sheet *to, moe_table *table,
                      const moe_strategy_view *y, moe_clock clock)
{
    const moe_summary *t = &y->summary[clock];
    const moe_ratio *r = &y->speedup[clock];
    const moe_hue hue = hue_of(r);
    moe_table_cell(table, "%s",
                   moe_name_cell(y->name, moe_sheet_name_len(to)).text);
    moe_table_cell(table, "%s", moe_time_cell(t->median).text);
    moe_table_cell(
        table, "%s",
        moe_interval_cell(moe_time_cell(t->ci_low), moe_time_cell(t->ci_high))
            .text);
    moe_table_cell(table, "%s%s%s", moe_ink_on(&to->ink, hue),
                   moe_number_cell(r->ratio).text, moe_ink_off(&to->ink, hue));
    moe_table_cell(table, "%s",
                   moe_interval_cell(moe_number_cell(r->ci_low),
                                     moe_number_cell(r->ci_high))
                       .text);
    moe_table_cell(table, "%zu", t->n);
}

/* Text has bars of the times on the clock that counts; a page has figures. */
void moe_sheet_times(const moe_sheet *to, const moe_run_analysis *run,
                     moe_clock clock)
{
    const moe_view *view = run->view;
    static const char *const titles[MOE_N_CLOCKS] = {
        [MOE_CLOCK_WALL] = "wall clock (measured, slowest rank)",
        [MOE_CLOCK_CPU] = "cpu clock (measured CPU time, busiest rank)",
        [MOE_CLOCK_GPU] = "gpu clock (modelled, not measured)",
    };
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},       {"median", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"speed-up", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"n", NULL, MOE_RIGHT},
        {"of slowest", NULL, MOE_LEFT},
    };
    const bool moot = clock == MOE_CLOCK_WALL && view->oversubscribed;
    const bool bars = !to->html && clock == run->verdict.clock;
    const double most = slowest(view, clock);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns) - !bars);
    for (int s = 0; s < view->dims.strategies; s++) {
        add_times(to, table, &view->strategy[s], clock);
        if (bars)
            moe_table_cell(
                table, "%s",
                moe_ink_bar(&to->ink,
                            view->strategy[s].summary[clock].median / most,
                            BAR_LEN)
                    .text);
    }
    char title[128], note[128];
    snprintf(title, sizeof title, "Time of a layer, %s%s", titles[clock],
             moot ? ": not a result, ranks share cores" : "");
    snprintf(note, sizeof note, "speed-up over %s, by pairs of iterations",
             view->strategy[view->reference_index].name);
    moe_sheet_table(to, title, note, table);
}

void moe_sheet_loads(const moe_sheet *to, const moe_view *view)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"imbalance", "max/mean GPU", MOE_RIGHT},
        {"skewness", "max/mean expert", MOE_RIGHT},
        {"error", "of distribution", MOE_RIGHT},
        {"top-1", "of tokens", MOE_RIGHT},
        {"recall", "of experts", MOE_RIGHT},
    };
    const size_t name_len = moe_sheet_name_len(to);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        moe_table_cell(table, "%s", moe_name_cell(y->name, name_len).text);
        moe_table_number(table, y->imbalance.median, 3);
        moe_table_number(table, y->skewness.median, 3);
        moe_table_cell(table, "%s", moe_percent_cell(y->error.median).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->top1.median).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->recall.median).text);
    }
    moe_sheet_table(to, "Load and prediction, medians over iterations", NULL,
                    table);
}

/* Means, unlike medians, add up. */
void moe_sheet_regret(const moe_sheet *to, const moe_view *view)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"imbalance", "max/mean", MOE_RIGHT},
        {"split", "over minmax", MOE_RIGHT},
        {"prediction", "over truth", MOE_RIGHT},
        {"planner", "over best", MOE_RIGHT},
        {"room", "over bound", MOE_RIGHT},
        {"bound", "of all", MOE_RIGHT},
    };
    const size_t name_len = moe_sheet_name_len(to);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    bool any = false;
    for (int s = 0; s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        const double values[] = {
            y->imbalance.mean,         y->regret_split.mean,
            y->regret_prediction.mean, y->regret_planner.mean,
            y->regret_room.mean,       y->bound.mean};
        any = any || y->bound.n > 0;
        moe_table_cell(table, "%s", moe_name_cell(y->name, name_len).text);
        for (size_t i = 0; i < MOE_ARRAY_LEN(values); i++)
            moe_table_cell(table, "%s", moe_fixed_cell(values[i]).text);
    }
    if (any)
        moe_sheet_table(
            to,
            "Regret: pairs of the busiest GPU over the mean, beyond "
            "the bound, by the stage that loses\nthem; means over "
            "iterations, which add up",
            NULL, table);
    else
        moe_table_free(table);
}

void moe_sheet_costs(const moe_sheet *to, const moe_view *view)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"weights moved", "per layer", MOE_RIGHT},
        {"in place", "of pairs", MOE_RIGHT},
        {"dispatched", "per layer", MOE_RIGHT},
        {"remote", "of it", MOE_RIGHT},
        {"plan sent", "per iteration", MOE_RIGHT},
        {"planner CPU", "per iteration", MOE_RIGHT},
    };
    const size_t name_len = moe_sheet_name_len(to);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        moe_table_cell(table, "%s", moe_name_cell(y->name, name_len).text);
        moe_table_cell(table, "%s", moe_bytes_cell(y->moved_bytes).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->in_place.median).text);
        moe_table_cell(table, "%s", moe_bytes_cell(y->dispatch_bytes).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->remote_share).text);
        moe_table_cell(table, "%s", moe_bytes_cell(y->wire_bytes).text);
        moe_table_cell(table, "%s", moe_time_cell(y->planner_cpu.median).text);
    }
    moe_sheet_table(to,
                    "What balancing costs, means (in place, planner: medians)",
                    NULL, table);
}

enum {
    MIN_ACCURACIES = 3, /* fewer are no curve */
    SHORTER = 2         /* names, for the sake of 100 columns */
};

static int by_recall(const void *a, const void *b)
{
    const moe_strategy_view *x = *(const moe_strategy_view *const *)a;
    const moe_strategy_view *y = *(const moe_strategy_view *const *)b;
    return (x->recall.median < y->recall.median) -
           (x->recall.median > y->recall.median);
}

/* What a predictor may take for its strategy to be the fastest. */
static moe_cell budget_cell(double budget_s)
{
    return budget_s < 0 ? (moe_cell){"never"} : moe_time_cell(budget_s);
}

/* Strategies that foretell tokens, by their accuracy: what it is worth, and
 * what it costs. */
void moe_sheet_accuracy(const moe_sheet *to, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},      {"recall", "of experts", MOE_RIGHT},
        {"error", "of load", MOE_RIGHT},   {"predict", "gpu clock", MOE_RIGHT},
        {"may take", "to win", MOE_RIGHT}, {"layer", "gpu clock", MOE_RIGHT},
        {"speed-up", NULL, MOE_RIGHT},     {"95 % interval", NULL, MOE_RIGHT},
    };
    const moe_strategy_view *all[MOE_MAX_STRATEGIES];
    size_t n = 0;
    for (int s = 0; s < view->dims.strategies; s++)
        if (isfinite(view->strategy[s].recall.median))
            all[n++] = &view->strategy[s];
    if (n < MIN_ACCURACIES)
        return;
    qsort(all, n, sizeof all[0], by_recall);
    const size_t name_len = moe_sheet_name_len(to) - SHORTER;
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < n; i++) {
        const moe_strategy_view *y = all[i];
        const moe_ratio *r = &y->speedup[MOE_CLOCK_GPU];
        const double predict_s = y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT];
        const double layer_s = y->summary[MOE_CLOCK_GPU].median;
        moe_table_cell(table, "%s", moe_name_cell(y->name, name_len).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->recall.median).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->error.median).text);
        moe_table_cell(table, "%s", moe_time_cell(predict_s).text);
        moe_table_cell(
            table, "%s",
            budget_cell(run->break_even.budget_s[y - view->strategy]).text);
        moe_table_cell(table, "%s", moe_time_cell(layer_s).text);
        moe_table_cell(table, "%s", moe_number_cell(r->ratio).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_number_cell(r->ci_low),
                                         moe_number_cell(r->ci_high))
                           .text);
    }
    moe_sheet_table(to,
                    "Layer time against the accuracy of predicted tokens, gpu "
                    "clock (modelled)",
                    NULL, table);
}

static double phase_time(const moe_strategy_view *y, int phase, moe_clock clock)
{
    return y->phase[clock][phase];
}

/* What a clock has beside its phases. */
static double rest_time(const moe_strategy_view *y, int phase, moe_clock clock)
{
    (void)phase;
    return clock == MOE_CLOCK_GPU ? y->hidden : y->wait;
}

/* A row of a phase table: the same figure of several strategies. */
static void add_row(moe_table *table, const char *name, const moe_view *view,
                    int first, int n,
                    double (*figure)(const moe_strategy_view *y, int phase,
                                     moe_clock clock),
                    int phase, moe_clock clock)
{
    moe_table_cell(table, "%s", name);
    for (int s = first; s < first + n; s++)
        moe_table_cell(
            table, "%s",
            moe_time_cell(figure(&view->strategy[s], phase, clock)).text);
}

static void put_phases(const moe_sheet *to, const char *title,
                       const moe_view *view, moe_clock clock, int first, int n)
{
    moe_cell heading[PER_TABLE];
    moe_column columns[PER_TABLE + 1] = {{"phase", NULL, MOE_LEFT}};
    for (int j = 0; j < n; j++) {
        heading[j] = moe_name_cell(view->strategy[first + j].name, HEADING_LEN);
        columns[j + 1] = (moe_column){heading[j].text, NULL, MOE_RIGHT};
    }
    moe_table *table = moe_table_new(columns, (size_t)n + 1);
    for (int p = 0; p < MOE_N_PHASES; p++)
        add_row(table, moe_phase_name((moe_phase)p), view, first, n, phase_time,
                p, clock);
    if (clock != MOE_CLOCK_CPU)
        add_row(table, clock == MOE_CLOCK_GPU ? "(hidden)" : "(wait)", view,
                first, n, rest_time, 0, clock);
    moe_sheet_table(to, title, NULL, table);
}

void moe_sheet_phases(const moe_sheet *to, const moe_run_analysis *run,
                      moe_clock clock)
{
    const moe_view *view = run->view;
    static const char *const titles[MOE_N_CLOCKS] = {
        [MOE_CLOCK_WALL] = "wall clock (measured); waiting: mean over ranks",
        [MOE_CLOCK_CPU] = "cpu clock (measured CPU time)",
        [MOE_CLOCK_GPU] = "gpu clock (modelled), what attention does not hide",
    };
    bool moot = clock == MOE_CLOCK_WALL && view->oversubscribed;
    char title[128];
    snprintf(title, sizeof title, "Phases of a layer, %s%s", titles[clock],
             moot ? "; not a result" : "");
    for (int s = 0; s < view->dims.strategies; s += PER_TABLE) {
        int left = view->dims.strategies - s;
        put_phases(to, s == 0 ? title : NULL, view, clock, s,
                   left < PER_TABLE ? left : PER_TABLE);
    }
}
