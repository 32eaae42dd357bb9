/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/outlast.h"

#include <math.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/value.h"

enum { STARTS = 64 }; /* steps that stand for all */

int moe_outlast_lags(size_t steps)
{
    const size_t most = steps > 0 ? steps - 1 : 0;
    return most < MOE_OUTLAST_LAGS ? (int)most : MOE_OUTLAST_LAGS;
}

/* Steps from one start to the next. */
static size_t stride_of(size_t steps)
{
    return (steps + STARTS - 1) / STARTS;
}

static double sum_of(const double *x, int n)
{
    double sum = 0;
    for (int e = 0; e < n; e++)
        sum += x[e];
    return sum;
}

static double distance(const double *a, const double *b, int n)
{
    const double of_a = sum_of(a, n), of_b = sum_of(b, n);
    double sum = 0;
    for (int e = 0; e < n; e++)
        sum += fabs(a[e] / of_a - b[e] / of_b);
    return sum / 2;
}

void moe_outlast_drift(const double *load, size_t steps, int layers,
                       int experts, double *drift_out)
{
    const size_t n_l = (size_t)layers, n_e = (size_t)experts;
    for (int lag = 0; lag < moe_outlast_lags(steps); lag++) {
        const size_t later = (size_t)lag + 1;
        double sum = 0, n = 0;
        for (size_t t = 0; t + later < steps; t += stride_of(steps))
            for (size_t l = 0; l < n_l; l++, n++) {
                moe_bulk_passed(load + (t * n_l + l) * n_e,
                                2 * n_e * sizeof *load);
                sum += distance(load + (t * n_l + l) * n_e,
                                load + ((t + later) * n_l + l) * n_e, experts);
            }
        drift_out[lag] = sum / n;
    }
}

/* One plan of a layer on the loads of later steps. */
static void score(moe_value *v, const moe_plan_layer *plan,
                  const moe_planner_env *env, const double *load, size_t t,
                  size_t steps, size_t l, size_t n_l, double *sum)
{
    for (int lag = 0; lag < moe_outlast_lags(steps); lag++) {
        const size_t later = t + (size_t)lag + 1;
        moe_bulk_passed(load, (size_t)env->experts * sizeof *load);
        if (later < steps)
            sum[lag] += 1 / moe_value_imbalance(v, plan,
                                                load + (later * n_l + l) *
                                                           (size_t)env->experts,
                                                env->division);
    }
}

moe_status moe_outlast_plans(const moe_planner *planner, const void *params,
                             const moe_planner_env *env,
                             const moe_plan *previous, const double *load,
                             size_t steps, double *good_out, moe_error *err)
{
    moe_error local = {0};
    moe_plan next = {0};
    const size_t n_l = (size_t)previous->layers;
    double sum[MOE_OUTLAST_LAGS] = {0}, n[MOE_OUTLAST_LAGS] = {0};
    void *state = moe_planner_new(planner, env, params, &local);
    moe_value *v = local.status == MOE_OK ? moe_value_new(env, &local) : NULL;
    if (v != NULL)
        moe_plan_init(&next, previous->layers, previous->experts,
                      previous->gpus, previous->slots, &local);
    for (size_t t = 0; local.status == MOE_OK && t + 1 < steps;
         t += stride_of(steps)) {
        for (size_t l = 0; l < n_l && local.status == MOE_OK; l++) {
            moe_plan_layer current = moe_plan_at(previous, (int)l);
            moe_plan_layer made = moe_plan_at(&next, (int)l);
            const moe_planner_task task = {
                .load = load + (t * n_l + l) * (size_t)env->experts,
                .current = &current};
            if (planner->plan(state, &task, &made, &local) == MOE_OK)
                score(v, &made, env, load, t, steps, l, n_l, sum);
        }
        for (int lag = 0; lag < moe_outlast_lags(steps); lag++)
            n[lag] += t + (size_t)lag + 1 < steps ? (double)n_l : 0;
    }
    for (int lag = 0; lag < moe_outlast_lags(steps); lag++)
        good_out[lag] = sum[lag] / n[lag];
    moe_plan_fini(&next);
    moe_value_free(v);
    moe_planner_free(planner, state);
    return moe_pass(err, &local);
}
