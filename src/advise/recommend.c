/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/stats.h"

/* results/evaluate.md: gpt-oss-20b on MMLU; Mixtral 8x7B, tokens drawn from
 * recorded counts, and loads of other subjects than those learned from. */
static const moe_advise_measured measured[] = {
    {"gpt-oss-20b", "ensemble", "gpt-oss-20b-mmlu", 0.6818, 0.2600, 0.1034},
    {"mixtral-8x7b", "token", "mixtral-8x7b-tokens", 0.5509, 0.2018, 0.0564}};

const moe_advise_measured *moe_advise_measured_of(const char *model)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(measured); i++)
        if (strcmp(measured[i].model, model) == 0)
            return &measured[i];
    return NULL;
}

static void rank(moe_advice *v, const moe_advise_dials *dials, int c)
{
    int first = 0, second = -1;
    for (int s = 1; moe_advise_can_win(dials, (moe_advise_strategy)s); s++)
        if (v->time[s][c].layer_s < v->time[first][c].layer_s)
            first = s;
    for (int s = 0; moe_advise_can_win(dials, (moe_advise_strategy)s); s++)
        if (s != first &&
            (second < 0 || v->time[s][c].layer_s < v->time[second][c].layer_s))
            second = s;
    v->winner[c] = (moe_advise_strategy)first;
    v->second[c] = (moe_advise_strategy)second;
}

static void judge_error(moe_advice *v)
{
    const moe_advise_time *a = &v->time[v->winner[1]][1];
    const moe_advise_time *b = &v->time[v->second[1]][1];
    v->error = (a->error_s + b->error_s) / (a->layer_s + b->layer_s);
    v->lead =
        moe_price_lead_of(b->exposed_s, a->exposed_s, MOE_N_PHASES, v->error);
    v->survives_error = v->lead.low_s > 0; /* not when it is unknown */
}

/* @param x  [MOE_ADVISE_STRATEGIES][n] samples of the typical case */
static moe_status judge_samples(const moe_advise *a, const double *x, size_t n,
                                moe_advice *v, moe_error *err)
{
    const double *first = x + (size_t)v->winner[1] * n;
    const double *second = x + (size_t)v->second[1] * n;
    moe_ratio ratio = {0};
    moe_paired_ratio(second, first, n, a->alike, &ratio, err);
    for (size_t i = 0; i < n; i++)
        v->share += (first[i] < second[i]) / (double)n;
    v->ci_low = ratio.ci_low;
    v->ci_high = ratio.ci_high;
    v->survives_ci = ratio.ci_low > 1.0;
    return err->status;
}

/* @param x  [MOE_ADVISE_STRATEGIES][n] scratch */
static moe_status judge(const moe_advise *a, double *x, size_t n, moe_advice *v,
                        moe_error *err)
{
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        if (moe_advise_price_cases(a, (moe_advise_strategy)s, v->time[s],
                                   x + (size_t)s * n, err) != MOE_OK)
            return err->status;
    v->survives_cases = true;
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        rank(v, &a->p.dials, c);
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        v->survives_cases &= v->winner[c] == v->winner[MOE_ADVISE_TYPICAL];
    v->margin =
        v->time[v->second[1]][1].layer_s / v->time[v->winner[1]][1].layer_s -
        1.0;
    judge_error(v);
    return judge_samples(a, x, n, v, err);
}

moe_status moe_advise_run(const moe_advise_params *params, moe_advice *out,
                          moe_error *err)
{
    moe_advise *a = NULL;
    moe_error local = {0};
    moe_advice v = {0};
    if (moe_advise_new(params, &a, &local) != MOE_OK)
        return moe_pass(err, &local);
    moe_advise_facts_of(a, &v.facts);
    const size_t n = (size_t)(a->samples / moe_advise_period(a));
    double *x = moe_array_new(MOE_ADVISE_STRATEGIES * n, sizeof *x, &local);
    if (x != NULL && judge(a, x, n, &v, &local) == MOE_OK) {
        double layer_s[MOE_ADVISE_STRATEGIES];
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            layer_s[s] = v.time[s][MOE_ADVISE_TYPICAL].layer_s;
        moe_advise_model_of(a, layer_s, &v.model);
        if (!params->no_limits && !params->dials.paper)
            moe_advise_find_rooms(a, &v.model, &local);
        moe_advise_find_limits(a, &v, &v.limits);
    }
    free(x);
    moe_advise_free(a);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    *out = v;
    return MOE_OK;
}
