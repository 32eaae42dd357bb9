/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

enum {
    NAME_LEN = 24,       /* characters of a strategy in a row */
    SHORT_NAME_LEN = 22, /* where the others need room */
    BAR_LEN = 10,        /* of times, characters */
    LINE_LEN = 48,       /* of a sparkline */
    MIN_SAMPLES = 4,     /* fewer go nowhere */
    MIN_ACCURACIES = 3   /* fewer are no curve */
};

/* @return the largest median; 0: there is none. */
static double slowest(const moe_view *view, moe_clock clock)
{
    double most = 0;
    for (int s = 0; s < view->dims.strategies; s++)
        most = fmax(most, view->strategy[s].summary[clock].median);
    return most;
}

static void add_times(moe_table *t, const moe_strategy_view *y, moe_clock clock)
{
    const moe_summary *x = &y->summary[clock];
    moe_table_name(t, y->name, NAME_LEN);
    moe_table_put(t, moe_time_cell(x->median));
    moe_table_interval(t, moe_time_cell, x->ci_low, x->ci_high);
    moe_table_ratio(t, &y->speedup[clock]);
    moe_table_cell(t, "%zu", x->n);
}

/* Bars are of the clock that counts. */
void moe_say_times(moe_document *doc, const moe_run_analysis *run,
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
    const bool bars = clock == run->verdict.clock;
    const double most = slowest(view, clock);
    moe_doc_caption(doc, "Time of a layer, %s%s", titles[clock],
                    moot ? ": not a result, ranks share cores" : "");
    moe_doc_paragraph(doc, MOE_SAY_UNDER,
                      "speed-up over %s, by pairs of iterations",
                      view->strategy[view->reference_index].name);
    moe_table *t =
        moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns) - !bars);
    for (int s = 0; s < view->dims.strategies; s++) {
        add_times(t, &view->strategy[s], clock);
        if (bars)
            moe_table_bar(t, view->strategy[s].summary[clock].median / most,
                          BAR_LEN);
    }
}

void moe_say_samples(moe_document *doc, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"least", NULL, MOE_RIGHT},
        {"largest", NULL, MOE_RIGHT},
        {"from the first to the last sample", NULL, MOE_LEFT},
    };
    const moe_clock clock = run->verdict.clock;
    double *x = moe_array_new((size_t)view->dims.iterations, sizeof *x, NULL);
    size_t most = 0;
    for (int s = 0; x != NULL && s < view->dims.strategies; s++) {
        const size_t n = moe_view_measured(view, s, clock, x);
        most = n > most ? n : most;
    }
    if (most >= MIN_SAMPLES) {
        moe_doc_caption(doc,
                        "Samples, %s clock (%s), each line from its least to "
                        "its largest",
                        moe_clock_name(clock), moe_clock_origin(clock));
        moe_table *t =
            moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
        for (int s = 0; s < view->dims.strategies; s++) {
            const moe_strategy_view *y = &view->strategy[s];
            const size_t n = moe_view_measured(view, s, clock, x);
            moe_table_name(t, y->name, NAME_LEN);
            moe_table_put(t, moe_time_cell(y->summary[clock].min));
            moe_table_put(t, moe_time_cell(y->summary[clock].max));
            moe_table_spark(t, x, n, LINE_LEN);
        }
    }
    free(x);
}

void moe_say_loads(moe_document *doc, const moe_run_analysis *run)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"imbalance", "max/mean GPU", MOE_RIGHT},
        {"skewness", "max/mean expert", MOE_RIGHT},
        {"error", "of distribution", MOE_RIGHT},
        {"top-1", "of tokens", MOE_RIGHT},
        {"recall", "of experts", MOE_RIGHT},
    };
    moe_table *t =
        moe_doc_table(doc, "Load and prediction, medians over iterations",
                      columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < run->view->dims.strategies; s++) {
        const moe_strategy_view *y = &run->view->strategy[s];
        moe_table_name(t, y->name, NAME_LEN);
        moe_table_put(t, moe_number_cell(y->imbalance.median));
        moe_table_put(t, moe_number_cell(y->skewness.median));
        moe_table_put(t, moe_percent_cell(y->error.median));
        moe_table_put(t, moe_percent_cell(y->top1.median));
        moe_table_put(t, moe_percent_cell(y->recall.median));
    }
}

static bool has_regrets(const moe_view *view)
{
    bool any = false;
    for (int s = 0; s < view->dims.strategies; s++)
        any = any || view->strategy[s].bound.n > 0;
    return any;
}

/* Means, unlike medians, add up. */
void moe_say_regret(moe_document *doc, const moe_run_analysis *run)
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
    if (!has_regrets(run->view))
        return;
    moe_table *t = moe_doc_table(
        doc,
        "Regret: pairs of the busiest GPU over the mean, beyond the bound, by "
        "the stage that loses them; means over iterations, which add up",
        columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < run->view->dims.strategies; s++) {
        const moe_strategy_view *y = &run->view->strategy[s];
        const double values[] = {
            y->imbalance.mean,         y->regret_split.mean,
            y->regret_prediction.mean, y->regret_planner.mean,
            y->regret_room.mean,       y->bound.mean};
        moe_table_name(t, y->name, NAME_LEN);
        for (size_t i = 0; i < MOE_ARRAY_LEN(values); i++)
            moe_table_put(t, moe_fixed_cell(values[i]));
    }
}

void moe_say_costs(moe_document *doc, const moe_run_analysis *run)
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
    moe_table *t = moe_doc_table(
        doc, "What balancing costs, means (in place, planner: medians)",
        columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < run->view->dims.strategies; s++) {
        const moe_strategy_view *y = &run->view->strategy[s];
        moe_table_name(t, y->name, NAME_LEN);
        moe_table_put(t, moe_bytes_cell(y->moved_bytes));
        moe_table_put(t, moe_percent_cell(y->in_place.median));
        moe_table_put(t, moe_bytes_cell(y->dispatch_bytes));
        moe_table_put(t, moe_percent_cell(y->remote_share));
        moe_table_put(t, moe_bytes_cell(y->wire_bytes));
        moe_table_put(t, moe_time_cell(y->planner_cpu.median));
    }
}

/* What a predictor may take for its strategy to be the fastest. */
static moe_cell budget_cell(double budget_s)
{
    return budget_s < 0 ? (moe_cell){"never"} : moe_time_cell(budget_s);
}

/* Strategies that foretell tokens, by their accuracy: what it is worth, and
 * what it costs. */
void moe_say_accuracy(moe_document *doc, const moe_run_analysis *run)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},      {"recall", "of experts", MOE_RIGHT},
        {"error", "of load", MOE_RIGHT},   {"predict", "gpu clock", MOE_RIGHT},
        {"may take", "to win", MOE_RIGHT}, {"layer", "gpu clock", MOE_RIGHT},
        {"speed-up", NULL, MOE_RIGHT},     {"95 % interval", NULL, MOE_RIGHT},
    };
    const moe_strategies all = moe_by_recall(run->view, MOE_EVERYONE);
    if (all.n < MIN_ACCURACIES)
        return;
    moe_table *t =
        moe_doc_table(doc,
                      "Layer time against the accuracy of predicted tokens, "
                      "gpu clock (modelled)",
                      columns, MOE_ARRAY_LEN(columns));
    for (int i = all.n; i-- > 0;) {
        const int s = all.at[i];
        const moe_strategy_view *y = &run->view->strategy[s];
        moe_table_name(t, y->name, SHORT_NAME_LEN);
        moe_table_put(t, moe_percent_cell(y->recall.median));
        moe_table_put(t, moe_percent_cell(y->error.median));
        moe_table_put(
            t, moe_time_cell(y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT]));
        moe_table_put(t, budget_cell(run->break_even.budget_s[s]));
        moe_table_put(t, moe_time_cell(y->summary[MOE_CLOCK_GPU].median));
        moe_table_ratio(t, &y->speedup[MOE_CLOCK_GPU]);
    }
}

static moe_cell won_cell(double won_s)
{
    /* Less than the shortest tick of any clock is what floating point loses. */
    return moe_time_cell(fabs(won_s) < 1e-12 ? 0 : won_s);
}

static void add_stages(moe_table *t, const moe_run_analysis *run, int s)
{
    const double *stage_s = run->sensitivity.stage_s + s * MOE_N_PERFECTS;
    const moe_summary *all = &run->sensitivity.joint_share[s];
    moe_table_name(t, run->view->strategy[s].name, NAME_LEN);
    for (int k = 1; k < MOE_N_PERFECTS; k++)
        moe_table_put(t, won_cell(stage_s[k - 1] - stage_s[k]));
    moe_table_put(t, moe_percent_cell(all->median));
    moe_table_interval(t, moe_percent_cell, all->ci_low, all->ci_high);
}

void moe_say_stages(moe_document *doc, const moe_run_analysis *run)
{
    const moe_sensitivity *x = &run->sensitivity;
    const int strategies = x->known ? run->view->dims.strategies : 0;
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"split", "minmax", MOE_RIGHT},
        {"prediction", "truth", MOE_RIGHT},
        {"planner", "best", MOE_RIGHT},
        {"room", "bound", MOE_RIGHT},
        {"exchange", "none", MOE_RIGHT},
        {"together", "of a layer", MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT},
    };
    bool any = false;
    size_t n = 0; /* samples */
    for (int s = 0; s < strategies; s++) {
        any = any ||
              !isnan(x->stage_s[s * MOE_N_PERFECTS + MOE_PERFECT_EXCHANGE]);
        n = x->joint_share[s].n > n ? x->joint_share[s].n : n;
    }
    if (!any)
        return;
    moe_doc_caption(doc,
                    "What perfecting a stage would still win of a layer, each "
                    "upon those before it, gpu clock (modelled); means over "
                    "%zu samples, together: median",
                    n);
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < strategies; s++)
        add_stages(t, run, s);
}
