/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    const bool moot = clock == MOE_CLOCK_WALL && !moe_verdict_wall_counts(view);
    const bool bars = clock == run->verdict.clock;
    const double most = slowest(view, clock);
    moe_doc_say(doc, MOE_DOC_CAPTION, "Time of a layer, %s%s", titles[clock],
                !moot                        ? ""
                : moe_verdict_is_paced(view) ? ": not a result, deadlines were "
                                               "missed"
                                             : ": not a result, ranks share "
                                               "cores");
    moe_doc_say(doc, MOE_DOC_UNDER, "speed-up over %s, by pairs of iterations",
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
        moe_doc_say(doc, MOE_DOC_CAPTION,
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

/* A column of numbers, each in the view of a strategy. */
typedef struct number {
    const char *heading, *unit;
    moe_cell (*cell)(double x);
    size_t offset; /* of a double in moe_strategy_view */
} number;

enum { MAX_NUMBERS = 8 };

/* A table of nothing but such columns behind the strategies. */
static void say_numbers(moe_document *doc, const moe_run_analysis *run,
                        const char *caption, const number *numbers, size_t n)
{
    moe_column columns[1 + MAX_NUMBERS] = {{"strategy", NULL, MOE_LEFT}};
    for (size_t i = 0; i < n; i++)
        columns[1 + i] =
            (moe_column){numbers[i].heading, numbers[i].unit, MOE_RIGHT};
    moe_table *t = moe_doc_table(doc, caption, columns, 1 + n);
    for (int s = 0; s < run->view->dims.strategies; s++) {
        const moe_strategy_view *y = &run->view->strategy[s];
        moe_table_name(t, y->name, NAME_LEN);
        for (size_t i = 0; i < n; i++) {
            double x;
            memcpy(&x, (const char *)y + numbers[i].offset, sizeof x);
            moe_table_put(t, numbers[i].cell(x));
        }
    }
}

#define AT(member) offsetof(moe_strategy_view, member)

void moe_say_loads(moe_document *doc, const moe_run_analysis *run)
{
    static const number numbers[] = {
        {"imbalance", "max/mean GPU", moe_number_cell, AT(imbalance.median)},
        {"skewness", "max/mean expert", moe_number_cell, AT(skewness.median)},
        {"error", "of distribution", moe_percent_cell, AT(error.median)},
        {"top-1", "of tokens", moe_percent_cell, AT(top1.median)},
        {"recall", "of experts", moe_percent_cell, AT(recall.median)},
    };
    say_numbers(doc, run, "Load and prediction, medians over iterations",
                numbers, MOE_ARRAY_LEN(numbers));
}

/* Means, unlike medians, add up. */
void moe_say_regret(moe_document *doc, const moe_run_analysis *run)
{
    static const number numbers[] = {
        {"imbalance", "max/mean", moe_fixed_cell, AT(imbalance.mean)},
        {"split", "over minmax", moe_fixed_cell, AT(regret_split.mean)},
        {"prediction", "over truth", moe_fixed_cell,
         AT(regret_prediction.mean)},
        {"planner", "over best", moe_fixed_cell, AT(regret_planner.mean)},
        {"room", "over bound", moe_fixed_cell, AT(regret_room.mean)},
        {"bound", "of all", moe_fixed_cell, AT(bound.mean)},
    };
    bool any = false;
    for (int s = 0; s < run->view->dims.strategies; s++)
        any = any || run->view->strategy[s].bound.n > 0;
    if (any)
        say_numbers(doc, run,
                    "Regret: pairs of the busiest GPU over the mean, beyond "
                    "the bound, by the stage that loses them; means over "
                    "iterations, which add up",
                    numbers, MOE_ARRAY_LEN(numbers));
}

void moe_say_costs(moe_document *doc, const moe_run_analysis *run)
{
    static const number numbers[] = {
        {"weights moved", "per layer", moe_bytes_cell, AT(moved_bytes)},
        {"in place", "of pairs", moe_percent_cell, AT(in_place.median)},
        {"dispatched", "per layer", moe_bytes_cell, AT(dispatch_bytes)},
        {"remote", "of it", moe_percent_cell, AT(remote_share)},
        {"plan sent", "per iteration", moe_bytes_cell, AT(wire_bytes)},
        {"planner CPU", "per iteration", moe_time_cell, AT(planner_cpu.median)},
    };
    say_numbers(doc, run,
                "What balancing costs, means (in place, planner: medians)",
                numbers, MOE_ARRAY_LEN(numbers));
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

/* What perfecting everything would win the winner, and which stages it is of,
 * the larger first; what is below a thousandth of the layer is nothing. */
static void say_headroom(moe_document *doc, const moe_run_analysis *run)
{
    const moe_sensitivity *x = &run->sensitivity;
    const double *stage_s = x->stage_s + x->winner * MOE_N_PERFECTS;
    double won_s[MOE_N_PERFECTS];
    bool said[MOE_N_PERFECTS] = {true};
    for (int k = 1; k < MOE_N_PERFECTS; k++)
        won_s[k] = stage_s[k - 1] - stage_s[k];
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "Headroom of %s: %s of a layer",
                run->view->strategy[x->winner].name,
                moe_percent_cell(x->joint_share[x->winner].median).text);
    FILE *out = moe_doc_words(doc);
    for (int n = 1; n < MOE_N_PERFECTS; n++) {
        int most = 0;
        for (int k = 1; k < MOE_N_PERFECTS; k++)
            if (!said[k] && (most == 0 || won_s[k] > won_s[most]))
                most = k;
        said[most] = true;
        if (fabs(won_s[most]) < 1e-3 * stage_s[0])
            won_s[most] = 0;
        fprintf(out, "%s %s %s", n == 1 ? ":" : ",",
                moe_perfect_name((moe_perfect)most),
                won_s[most] == 0 ? "nothing" : moe_time_cell(won_s[most]).text);
    }
    fputc('.', out);
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
    if (x->winner >= 0 &&
        !isnan(x->stage_s[x->winner * MOE_N_PERFECTS + MOE_PERFECT_EXCHANGE]))
        say_headroom(doc, run);
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "What perfecting a stage would still win of a layer, each "
                "upon those before it, gpu clock (modelled); means over "
                "%zu samples, together: median",
                n);
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < strategies; s++)
        add_stages(t, run, s);
}
