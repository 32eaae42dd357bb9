/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/table.h"
#include "cells.h"
#include "verdict.h"

enum {
    WIDTH = 100,      /* columns of a terminal that is not narrow */
    NAME_LEN = 24,    /* characters of a strategy in a row */
    HEADING_LEN = 18, /* and above a column */
    PER_TABLE = 4     /* strategies beside each other */
};

/* Print a label and words, broken before WIDTH and aligned behind it. */
static void print_wrapped(const char *label, const char *text, FILE *out)
{
    int indent = (int)strlen(label), column = indent;
    fputs(label, out);
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        if (column > indent && column + 1 + (int)len > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)len, text);
        column += (int)len;
        text += len + (text[len] != '\0');
    }
    fputc('\n', out);
}

const char *moe_report_result(const moe_view *view)
{
    if (strcmp(view->validation, "fail") == 0)
        return "INVALID";
    return view->valid && strcmp(view->status, "complete") == 0 ? "VALID"
                                                                : "INCOMPLETE";
}

static void print_warnings(const moe_view *view, FILE *out)
{
    if (view->oversubscribed)
        print_wrapped("WARNING: ",
                      "wall clock is not a result here: ranks share cores; "
                      "read the gpu clock",
                      out);
    for (size_t i = 0; i < view->n_warnings; i++)
        print_wrapped("WARNING: ", view->warnings[i], out);
    if (view->oversubscribed || view->n_warnings > 0)
        fputc('\n', out);
}

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : "not recorded";
}

static void print_header(const moe_view *view, FILE *out)
{
    const moe_ledger_dims *d = &view->dims;
    fprintf(out, "%s\n\n", known(view->title));
    fprintf(out, "file        %s\n", view->path);
    fprintf(out, "run         %s, %s, %s\n", view->run_id, view->date,
            view->source);
    fprintf(out, "model       %s: %d layers of %d experts\n",
            known(view->model), d->layers, d->experts);
    fprintf(out, "cluster     %s: %d GPUs, emulated by %d ranks on %d node%s\n",
            known(view->cluster), d->gpus, d->ranks, view->nodes,
            view->nodes == 1 ? "" : "s");
    fprintf(out, "trace       %s\n", known(view->trace));
    fprintf(out, "iterations  n = %d of %d measured, after %d to warm up\n",
            view->measured, d->iterations, d->warmup);
    if (view->period > 1)
        fprintf(out,
                "samples     n / %d: means over the iterations that a plan "
                "serves\n",
                view->period);
    fprintf(out, "status      %s\n",
            strcmp(view->status, "running") == 0
                ? "running, or killed before its end"
                : view->status);
    fprintf(out, "validation  %s\n", view->validation);
    print_wrapped("            ", known(view->validation_text), out);
    if (view->measured < MOE_STATS_MIN_CI * view->period)
        fprintf(out, "intervals   none: they need %d iterations\n",
                MOE_STATS_MIN_CI * view->period);
}

static void print_times(const moe_view *view, moe_clock clock, FILE *out)
{
    static const char *const titles[MOE_N_CLOCKS] = {
        [MOE_CLOCK_WALL] = "wall clock (measured, slowest rank)",
        [MOE_CLOCK_CPU] = "cpu clock (measured CPU time, busiest rank)",
        [MOE_CLOCK_GPU] = "gpu clock (modelled, not measured)",
    };
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},       {"median", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"speed-up", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"n", NULL, MOE_RIGHT},
    };
    bool moot = clock == MOE_CLOCK_WALL && view->oversubscribed;
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        const moe_summary *t = &y->summary[clock];
        const moe_ratio *r = &y->speedup[clock];
        moe_table_cell(table, "%s", moe_name_cell(y->name, NAME_LEN).text);
        moe_table_cell(table, "%s", moe_time_cell(t->median).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_time_cell(t->ci_low),
                                         moe_time_cell(t->ci_high))
                           .text);
        moe_table_cell(table, "%s", moe_number_cell(r->ratio).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_number_cell(r->ci_low),
                                         moe_number_cell(r->ci_high))
                           .text);
        moe_table_cell(table, "%zu", t->n);
    }
    fprintf(out, "\nTime of a layer, %s%s\n", titles[clock],
            moot ? ": not a result, ranks share cores" : "");
    fprintf(out, "speed-up over %s, by pairs of iterations\n\n",
            view->strategy[view->reference_index].name);
    moe_table_print(table, out);
    moe_table_free(table);
}

static void print_loads(const moe_view *view, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"imbalance", "max/mean GPU", MOE_RIGHT},
        {"skewness", "max/mean expert", MOE_RIGHT},
        {"error", "of distribution", MOE_RIGHT},
        {"top-1", "of tokens", MOE_RIGHT},
        {"recall", "of experts", MOE_RIGHT},
    };
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        moe_table_cell(table, "%s", moe_name_cell(y->name, NAME_LEN).text);
        moe_table_number(table, y->imbalance.median, 3);
        moe_table_number(table, y->skewness.median, 3);
        moe_table_cell(table, "%s", moe_percent_cell(y->error.median).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->top1.median).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->recall.median).text);
    }
    fprintf(out, "\nLoad and prediction, medians over iterations\n\n");
    moe_table_print(table, out);
    moe_table_free(table);
}

static void print_costs(const moe_view *view, FILE *out)
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
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        moe_table_cell(table, "%s", moe_name_cell(y->name, NAME_LEN).text);
        moe_table_cell(table, "%s", moe_bytes_cell(y->moved_bytes).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->in_place.median).text);
        moe_table_cell(table, "%s", moe_bytes_cell(y->dispatch_bytes).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->remote_share).text);
        moe_table_cell(table, "%s", moe_bytes_cell(y->wire_bytes).text);
        moe_table_cell(table, "%s", moe_time_cell(y->planner_cpu.median).text);
    }
    fprintf(out,
            "\nWhat balancing costs, means (in place, planner: medians)\n\n");
    moe_table_print(table, out);
    moe_table_free(table);
}

enum { MIN_ACCURACIES = 3 }; /* fewer are no curve */

static int by_recall(const void *a, const void *b)
{
    const moe_strategy_view *x = *(const moe_strategy_view *const *)a;
    const moe_strategy_view *y = *(const moe_strategy_view *const *)b;
    return (x->recall.median < y->recall.median) -
           (x->recall.median > y->recall.median);
}

/* Strategies that foretell tokens, by their accuracy: what it is worth, and
 * what it costs. */
static void print_accuracy(const moe_view *view, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"recall", "of experts", MOE_RIGHT},
        {"error", "of load", MOE_RIGHT},
        {"predict", "gpu clock", MOE_RIGHT},
        {"layer", "gpu clock", MOE_RIGHT},
        {"speed-up", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT},
    };
    const moe_strategy_view *all[64];
    size_t n = 0;
    for (int s = 0; s < view->dims.strategies && n < MOE_ARRAY_LEN(all); s++)
        if (isfinite(view->strategy[s].recall.median))
            all[n++] = &view->strategy[s];
    if (n < MIN_ACCURACIES)
        return;
    qsort(all, n, sizeof all[0], by_recall);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < n; i++) {
        const moe_strategy_view *y = all[i];
        const moe_ratio *r = &y->speedup[MOE_CLOCK_GPU];
        const double predict_s = y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT];
        const double layer_s = y->summary[MOE_CLOCK_GPU].median;
        moe_table_cell(table, "%s", moe_name_cell(y->name, NAME_LEN).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->recall.median).text);
        moe_table_cell(table, "%s", moe_percent_cell(y->error.median).text);
        moe_table_cell(table, "%s", moe_time_cell(predict_s).text);
        moe_table_cell(table, "%s", moe_time_cell(layer_s).text);
        moe_table_cell(table, "%s", moe_number_cell(r->ratio).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_number_cell(r->ci_low),
                                         moe_number_cell(r->ci_high))
                           .text);
    }
    fputs("\nLayer time against the accuracy of predicted tokens, gpu clock "
          "(modelled)\n\n",
          out);
    moe_table_print(table, out);
    moe_table_free(table);
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

static void print_phase_table(const moe_view *view, moe_clock clock, int first,
                              int n, FILE *out)
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
    moe_table_print(table, out);
    moe_table_free(table);
}

static void print_phases(const moe_view *view, moe_clock clock, FILE *out)
{
    static const char *const titles[MOE_N_CLOCKS] = {
        [MOE_CLOCK_WALL] = "wall clock (measured); waiting: mean over ranks",
        [MOE_CLOCK_CPU] = "cpu clock (measured CPU time)",
        [MOE_CLOCK_GPU] = "gpu clock (modelled), what attention does not hide",
    };
    bool moot = clock == MOE_CLOCK_WALL && view->oversubscribed;
    fprintf(out, "\nPhases of a layer, %s%s\n\n", titles[clock],
            moot ? "; not a result" : "");
    for (int s = 0; s < view->dims.strategies; s += PER_TABLE) {
        int left = view->dims.strategies - s;
        if (s > 0)
            fputc('\n', out);
        print_phase_table(view, clock, s, left < PER_TABLE ? left : PER_TABLE,
                          out);
    }
}

static void print_fom(const char *metric, const char *strategy, double value,
                      const char *unit, FILE *out)
{
    if (isfinite(value))
        fprintf(out, "FOM %s %s = %.9g %s\n", metric, strategy, value, unit);
}

/* Lines for programs: stable names, one value each. */
static void print_foms(const moe_view *view, FILE *out)
{
    char name[64];
    const moe_metric *m;
    for (size_t i = 0; (m = moe_metric_at(i)) != NULL; i++)
        for (int s = 0; s < view->dims.strategies; s++) {
            moe_summary y = moe_metric_summary(m, &view->strategy[s]);
            print_fom(m->name, view->strategy[s].name,
                      m->mean_only ? y.mean : y.median, m->unit, out);
        }
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        for (int s = 0; s < view->dims.strategies; s++) {
            snprintf(name, sizeof name, "speedup_%s",
                     moe_clock_name((moe_clock)c));
            print_fom(name, view->strategy[s].name,
                      view->strategy[s].speedup[c].ratio, "1", out);
        }
}

void moe_report_print(const moe_view *view, FILE *out)
{
    print_warnings(view, out);
    print_header(view, out);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        print_times(view, (moe_clock)c, out);
    print_loads(view, out);
    print_accuracy(view, out);
    print_costs(view, out);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        print_phases(view, (moe_clock)c, out);
    moe_verdict_print(view, out);
    fputc('\n', out);
    print_foms(view, out);
    fprintf(out, "RESULT: %s\n", moe_report_result(view));
}
