/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>

#include "moegps/mem.h"

enum {
    PER_BLOCK = 4,    /* strategies beside each other on a terminal */
    HEADING_LEN = 18, /* characters of their names */
    BAR_LEN = 24      /* characters of a bar that is full */
};

/* Begin a table with a column for each strategy. */
static moe_table *beside(moe_document *doc, const moe_view *view,
                         const moe_column *before, size_t n)
{
    moe_column columns[MOE_MAX_STRATEGIES + 2];
    moe_cell heading[MOE_MAX_STRATEGIES];
    for (size_t c = 0; c < n; c++)
        columns[c] = before[c];
    for (int s = 0; s < view->dims.strategies; s++) {
        heading[s] = moe_name_cell(view->strategy[s].name, HEADING_LEN);
        columns[n + (size_t)s] = (moe_column){heading[s].text, NULL, MOE_RIGHT};
    }
    moe_table *t =
        moe_doc_table(doc, NULL, columns, n + (size_t)view->dims.strategies);
    moe_table_fold(t, n, PER_BLOCK);
    return t;
}

static void put_phases(moe_document *doc, const moe_view *view, moe_clock clock)
{
    static const moe_column phase = {"phase", NULL, MOE_LEFT};
    const moe_strategy_view *y = view->strategy;
    const int n = view->dims.strategies;
    moe_table *t = beside(doc, view, &phase, 1);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        moe_table_cell(t, "%s", moe_phase_name((moe_phase)p));
        for (int s = 0; s < n; s++)
            moe_table_put(t, moe_time_cell(y[s].phase[clock][p]));
    }
    if (clock == MOE_CLOCK_CPU)
        return;
    moe_table_cell(t, clock == MOE_CLOCK_GPU ? "(hidden)" : "(wait)");
    for (int s = 0; s < n; s++)
        moe_table_put(
            t, moe_time_cell(clock == MOE_CLOCK_GPU ? y[s].hidden : y[s].wait));
}

void moe_say_phases(moe_document *doc, const moe_run_analysis *run,
                    moe_clock clock)
{
    static const char *const titles[MOE_N_CLOCKS] = {
        [MOE_CLOCK_WALL] = "wall clock (measured); waiting: mean over ranks",
        [MOE_CLOCK_CPU] = "cpu clock (measured CPU time)",
        [MOE_CLOCK_GPU] = "gpu clock (modelled), what attention does not hide",
    };
    const moe_view *view = run->view;
    const bool moot = clock == MOE_CLOCK_WALL && !moe_verdict_wall_counts(view);
    moe_doc_say(doc, MOE_DOC_CAPTION, "Phases of a layer, %s%s", titles[clock],
                moot ? "; not a result" : "");
    put_phases(doc, view, clock);
}

void moe_say_layers(moe_document *doc, const moe_run_analysis *run)
{
    static const moe_column before[] = {
        {"layer", NULL, MOE_RIGHT}, {"skewness", "max/mean expert", MOE_RIGHT}};
    const moe_clock clock = run->verdict.clock;
    const moe_detail *detail = &run->detail;
    const int layers = run->view->dims.layers;
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Time of every layer, %s clock (%s), means over iterations",
                moe_clock_name(clock), moe_clock_origin(clock));
    moe_table *t = beside(doc, run->view, before, MOE_ARRAY_LEN(before));
    for (int l = 0; l < layers; l++) {
        moe_table_cell(t, "%d", detail->layers[l]);
        moe_table_put(t, moe_number_cell(detail->skew[l]));
        for (int s = 0; s < run->view->dims.strategies; s++)
            moe_table_put(t, moe_time_cell(detail->layer_time[s * layers + l]));
    }
}

void moe_say_ranks(moe_document *doc, const moe_run_analysis *run)
{
    static const moe_column columns[] = {
        {"rank", NULL, MOE_RIGHT},
        {"busy", "per layer", MOE_RIGHT},
        {"over mean", NULL, MOE_RIGHT},
        {"", NULL, MOE_LEFT},
    };
    const moe_ledger_dims *dims = &run->view->dims;
    const moe_clock clock = run->verdict.clock;
    double mean = 0, most = 0;
    for (int g = 0; g < dims->gpus; g++) {
        const double busy_s = moe_detail_busy(&run->detail, dims, g);
        mean += busy_s / dims->gpus;
        most = fmax(most, busy_s);
    }
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Ranks of %s, waiting left out, %s clock (%s), means over "
                "iterations",
                run->view->strategy[run->detail.strategy].name,
                moe_clock_name(clock), moe_clock_origin(clock));
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int g = 0; g < dims->gpus; g++) {
        const double busy_s = moe_detail_busy(&run->detail, dims, g);
        moe_table_cell(t, "%d", g);
        moe_table_put(t, moe_time_cell(busy_s));
        moe_table_put(t, moe_number_cell(busy_s / mean));
        moe_table_bar(t, most > 0 && !isnan(busy_s) ? busy_s / most : 0,
                      BAR_LEN);
    }
}
