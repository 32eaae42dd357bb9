/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/break_even.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/verdict.h"

/* By the run's own medians. Without its predictor a strategy that foretells
 * tokens takes a time that falls with recall; between the recalls of
 * strategies that differ in nothing else, oracles of limited accuracy among
 * them, it is taken to follow a line. */

typedef struct point {
    double recall, free_s;
} point;

static double median_s(const moe_view *v, int s)
{
    return v->strategy[s].summary[MOE_CLOCK_GPU].median;
}

static double predict_s(const moe_view *v, int s)
{
    return v->strategy[s].phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT];
}

/* @return the fastest of some, except `taken`; -1: none. */
static int fastest(const moe_view *v, moe_contenders who, int taken)
{
    return moe_fastest(v, MOE_CLOCK_GPU, who, taken);
}

static double budget_s(const moe_view *v, int s)
{
    const int rival = fastest(v, MOE_BUILDABLE, s);
    return rival < 0 || !v->strategy[s].facts.foretells_tokens
               ? (double)NAN
               : predict_s(v, s) + median_s(v, rival) - median_s(v, s);
}

static int by_recall(const void *a, const void *b)
{
    const point *x = a, *y = b;
    return (x->recall > y->recall) - (x->recall < y->recall);
}

/* Whether two strategies differ in nothing but what foretells. */
static bool alike(const moe_view *v, int a, int b)
{
    return strcmp(v->strategy[a].facts.planning,
                  v->strategy[b].facts.planning) == 0;
}

/* @return points of all that foretell tokens as `like` does but for the
 * predictor, by rising recall. */
static int collect(const moe_view *v, int like, point *all)
{
    int n = 0;
    for (int s = 0; s < v->dims.strategies && like >= 0; s++)
        if (v->strategy[s].facts.foretells_tokens && !isnan(median_s(v, s)) &&
            alike(v, s, like))
            all[n++] = (point){v->strategy[s].recall.median,
                               median_s(v, s) - predict_s(v, s)};
    qsort(all, (size_t)n, sizeof *all, by_recall);
    return n;
}

/* Find the recall from which on all points take less than `goal_s`. */
static void find_needed(const point *all, int n, double goal_s,
                        moe_break_even *b)
{
    int at = n - 1;
    if (n == 0 || !(all[at].free_s < goal_s))
        return;
    while (at > 0 && all[at - 1].free_s < goal_s)
        at--;
    const point low = all[at > 0 ? at - 1 : 0], high = all[at];
    b->recall_needed = high.recall;
    if (at > 0)
        b->recall_needed = low.recall + (high.recall - low.recall) *
                                            (low.free_s - goal_s) /
                                            (low.free_s - high.free_s);
    b->recall_loses = low.recall;
    b->recall_wins = high.recall;
}

moe_break_even moe_break_even_of(const moe_view *v)
{
    point all[MOE_MAX_STRATEGIES];
    const int strategy = fastest(v, MOE_BUILDABLE_TOKENS, -1);
    const int like =
        strategy >= 0 ? strategy : fastest(v, MOE_ORACLES_TOKENS, -1);
    const int n = collect(v, like, all);
    moe_break_even b = {.strategy = strategy,
                        .like = like,
                        .without = fastest(v, MOE_BUILDABLE_NO_TOKENS, -1),
                        .predict_s = NAN,
                        .limit_s = NAN,
                        .recall = NAN,
                        .recall_needed = NAN,
                        .recall_loses = NAN,
                        .recall_wins = NAN,
                        .recall_least = n > 0 ? all[0].recall : (double)NAN,
                        .recall_most = n > 0 ? all[n - 1].recall : (double)NAN};
    double cost_s = 0;
    for (int s = 0; s < v->dims.strategies; s++)
        b.budget_s[s] = budget_s(v, s);
    b.rival = fastest(v, MOE_BUILDABLE, b.strategy);
    if (b.strategy >= 0) {
        cost_s = b.predict_s = predict_s(v, b.strategy);
        b.limit_s = b.budget_s[b.strategy];
        b.recall = v->strategy[b.strategy].recall.median;
        b.ahead = b.limit_s > cost_s;
    }
    if (b.without >= 0)
        find_needed(all, n, median_s(v, b.without) - cost_s, &b);
    return b;
}
