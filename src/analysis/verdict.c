/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/verdict.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

bool moe_verdict_is_paced(const moe_view *view)
{
    return view->pace.phase[MOE_PACE_ATTENTION] &&
           view->pace.phase[MOE_PACE_FFN];
}

bool moe_verdict_wall_counts(const moe_view *view)
{
    return moe_verdict_is_paced(view) ? view->pace.late <= MOE_MOST_LATE
                                      : !view->oversubscribed;
}

moe_clock moe_verdict_clock(const moe_view *view)
{
    if (view->clock_asked > 0)
        return (moe_clock)(view->clock_asked - 1);
    return moe_clock_is_result(view, MOE_CLOCK_WALL) ? MOE_CLOCK_WALL
                                                     : MOE_CLOCK_GPU;
}

bool moe_clock_is_result(const moe_view *view, moe_clock clock)
{
    return clock == MOE_CLOCK_GPU ||
           (clock == MOE_CLOCK_WALL && moe_verdict_wall_counts(view) &&
            !(view->scale > 1));
}

bool moe_contends(const moe_view *view, int strategy, moe_contenders who)
{
    const moe_strategy_facts *facts = &view->strategy[strategy].facts;
    const bool oracle = facts->knows_future, tokens = facts->foretells_tokens;
    switch (who) {
    case MOE_BUILDABLE_TOKENS:
        return !oracle && tokens;
    case MOE_BUILDABLE_NO_TOKENS:
        return !oracle && !tokens;
    case MOE_ORACLES:
        return oracle;
    case MOE_ORACLES_TOKENS:
        return oracle && tokens;
    case MOE_EVERYONE:
        return true;
    default:
        return !oracle;
    }
}

int moe_least(const double *time_s, int n)
{
    int best = -1;
    for (int s = 0; s < n; s++)
        if (!isnan(time_s[s]) && (best < 0 || time_s[s] < time_s[best]))
            best = s;
    return best;
}

int moe_most(const double *x, int n)
{
    int most = -1;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i]) && (most < 0 || x[i] > x[most]))
            most = i;
    return most;
}

int moe_fastest(const moe_view *view, moe_clock clock, moe_contenders who,
                int taken)
{
    double time_s[MOE_MAX_STRATEGIES];
    for (int s = 0; s < view->dims.strategies; s++)
        time_s[s] = s != taken && moe_contends(view, s, who)
                        ? view->strategy[s].summary[clock].median
                        : (double)NAN;
    return moe_least(time_s, view->dims.strategies);
}

moe_strategies moe_by_recall(const moe_view *view, moe_contenders who)
{
    const moe_strategy_view *strategy = view->strategy;
    moe_strategies all = {0};
    for (int s = 0; s < view->dims.strategies; s++) {
        const double recall = strategy[s].recall.median;
        if (isnan(recall) || !moe_contends(view, s, who))
            continue;
        int at = all.n++;
        for (; at > 0 && strategy[all.at[at - 1]].recall.median > recall; at--)
            all.at[at] = all.at[at - 1];
        all.at[at] = s;
    }
    return all;
}

/* What stands against a verdict. */
static moe_doubt doubt_of(const moe_view *view, const moe_verdict *v)
{
    if (v->second < 0)
        return MOE_DOUBT_ALONE;
    if (view->dims.gpus < 2)
        return MOE_DOUBT_ONE_GPU;
    if (isnan(v->margin.ci_low))
        return MOE_DOUBT_FEW;
    return v->margin.ci_low > 1 ? MOE_DOUBT_NONE : MOE_DOUBT_OVERLAP;
}

moe_status moe_verdict_find(const moe_view *view, moe_verdict *out,
                            moe_error *err)
{
    const moe_clock clock = moe_verdict_clock(view);
    const size_t n = (size_t)view->dims.iterations;
    const int best = moe_fastest(view, clock, MOE_BUILDABLE, -1);
    moe_verdict v = {
        .clock = clock,
        .best = best,
        .second = best < 0 ? -1 : moe_fastest(view, clock, MOE_BUILDABLE, best),
        .oracle = moe_fastest(view, clock, MOE_ORACLES, -1),
        .margin = {0, NAN, NAN, NAN}};
    moe_status status = MOE_OK;
    if (v.second >= 0) {
        double *x = moe_array_new(2 * n, sizeof *x, err);
        if (x == NULL)
            return MOE_NOMEM;
        moe_view_samples(view, v.second, clock, x);
        moe_view_samples(view, v.best, clock, x + n);
        status = moe_paired_ratio(x, x + n, n, view->passes, &v.margin, err);
        free(x);
    }
    v.doubt = doubt_of(view, &v);
    if (status == MOE_OK)
        *out = v;
    return status;
}

void moe_phase_gaps(const double *a, const double *b, moe_phase_gap *out, int n)
{
    bool taken[MOE_N_PHASES] = {false};
    for (int i = 0; i < n; i++) {
        moe_phase_gap most = {.phase = -1};
        for (int p = 0; p < MOE_N_PHASES; p++)
            if (!taken[p] && fabs(a[p] - b[p]) > fabs(most.gap_s))
                most = (moe_phase_gap){p, a[p] - b[p]};
        if (most.phase >= 0)
            taken[most.phase] = true;
        out[i] = most;
    }
}

double moe_most_priced(const moe_view *view, int phase, moe_price_source source)
{
    double most = NAN;
    for (int s = 0; s < view->dims.strategies; s++)
        most = fmax(most, view->strategy[s].source[phase][source]);
    return most;
}
