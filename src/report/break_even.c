/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "outlook.h"
#include "verdict.h"

/* By the run's own medians. Without its predictor a strategy that foretells
 * tokens takes a time that falls with recall; between the recalls of the run,
 * oracles of limited accuracy among them, it is taken to follow a line. */

enum { MOST = 64 }; /* strategies that foretell tokens */

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

static bool foretells(const moe_view *v, int s)
{
    return !isnan(v->strategy[s].recall.median);
}

/* Which of those that can be built are asked about. */
typedef enum kind { ANY, TOKENS, NO_TOKENS } kind;

/* @return the fastest of a kind, but for `taken`; -1: none. */
static int fastest(const moe_view *v, kind of, int taken)
{
    int best = -1;
    for (int s = 0; s < v->dims.strategies; s++)
        if (s != taken && !moe_verdict_is_oracle(v, s) &&
            (of == ANY || foretells(v, s) == (of == TOKENS)) &&
            !isnan(median_s(v, s)) &&
            (best < 0 || median_s(v, s) < median_s(v, best)))
            best = s;
    return best;
}

double moe_break_even_limit_s(const moe_view *v, int s)
{
    const int rival = fastest(v, ANY, s);
    return rival < 0 || !foretells(v, s)
               ? (double)NAN
               : predict_s(v, s) + median_s(v, rival) - median_s(v, s);
}

static int by_recall(const void *a, const void *b)
{
    const point *x = a, *y = b;
    return (x->recall > y->recall) - (x->recall < y->recall);
}

/* @return points of all that foretell tokens, by rising recall. */
static int collect(const moe_view *v, point *all)
{
    int n = 0;
    for (int s = 0; s < v->dims.strategies && n < MOST; s++)
        if (foretells(v, s) && !isnan(median_s(v, s)))
            all[n++] = (point){v->strategy[s].recall.median,
                               median_s(v, s) - predict_s(v, s)};
    qsort(all, (size_t)n, sizeof *all, by_recall);
    return n;
}

/* @return the recall from which on all points take less than `goal_s`. */
static double recall_from(const point *all, int n, double goal_s)
{
    int at = n - 1;
    if (n == 0 || !(all[at].free_s < goal_s))
        return NAN;
    while (at > 0 && all[at - 1].free_s < goal_s)
        at--;
    if (at == 0)
        return all[0].recall;
    const point low = all[at - 1], high = all[at];
    return low.recall + (high.recall - low.recall) * (low.free_s - goal_s) /
                            (low.free_s - high.free_s);
}

moe_break_even moe_break_even_of(const moe_view *v)
{
    point all[MOST];
    const int n = collect(v, all);
    moe_break_even b = {.strategy = fastest(v, TOKENS, -1),
                        .without = fastest(v, NO_TOKENS, -1),
                        .predict_s = NAN,
                        .limit_s = NAN,
                        .recall = NAN,
                        .recall_needed = NAN,
                        .recall_least = n > 0 ? all[0].recall : (double)NAN,
                        .recall_most = n > 0 ? all[n - 1].recall : (double)NAN};
    double cost_s = 0;
    b.rival = fastest(v, ANY, b.strategy);
    if (b.strategy >= 0) {
        cost_s = b.predict_s = predict_s(v, b.strategy);
        b.limit_s = moe_break_even_limit_s(v, b.strategy);
        b.recall = v->strategy[b.strategy].recall.median;
        b.ahead = b.limit_s > cost_s;
    }
    if (b.without >= 0)
        b.recall_needed = recall_from(all, n, median_s(v, b.without) - cost_s);
    return b;
}
