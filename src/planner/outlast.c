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

/* What scoring needs. */
typedef struct {
    const moe_study_params *p;
    void *state; /* the planner's */
    moe_value *value;
    moe_plan made;                /* of a step */
    double sum[MOE_OUTLAST_LAGS]; /* of balancedness */
    double n[MOE_OUTLAST_LAGS];   /* of layers */
} outlasting;

static const double *load_of(const moe_study_params *p, size_t step, int layer)
{
    return p->load +
           (step * (size_t)p->layers + (size_t)layer) * (size_t)p->env->experts;
}

/* Plan a layer of a step, and score that on the loads of later ones. */
static void outlast(outlasting *o, size_t step, int layer, moe_error *err)
{
    const moe_study_params *p = o->p;
    const moe_plan_layer current = moe_plan_at(p->previous, layer);
    moe_plan_layer made = moe_plan_at(&o->made, layer);
    const moe_planner_task task = {.load = load_of(p, step, layer),
                                   .current = &current};
    if (p->planner->plan(o->state, &task, &made, err) != MOE_OK)
        return;
    for (int lag = 0; lag < moe_outlast_lags(p->steps); lag++) {
        const size_t later = step + (size_t)lag + 1;
        moe_bulk_passed(p->load, (size_t)p->env->experts * sizeof *p->load);
        if (later >= p->steps)
            break;
        o->sum[lag] +=
            1 / moe_value_imbalance(o->value, &made, load_of(p, later, layer),
                                    p->env->division);
        o->n[lag]++;
    }
}

moe_status moe_outlast_plans(const moe_study_params *params, double *good_out,
                             moe_error *err)
{
    const moe_study_params *p = params;
    const moe_plan *plan = p->previous;
    moe_error local = {0};
    outlasting o = {.p = p};
    o.state = moe_planner_new(p->planner, p->env, p->params, &local);
    if (local.status == MOE_OK)
        o.value = moe_value_new(p->env, &local);
    if (local.status == MOE_OK)
        moe_plan_init(&o.made, plan->layers, plan->experts, plan->gpus,
                      plan->slots, &local);
    for (size_t t = 0; local.status == MOE_OK && t + 1 < p->steps;
         t += stride_of(p->steps))
        for (int l = 0; l < p->layers && local.status == MOE_OK; l++)
            outlast(&o, t, l, &local);
    for (int lag = 0; lag < moe_outlast_lags(p->steps); lag++)
        good_out[lag] = o.sum[lag] / o.n[lag];
    moe_plan_fini(&o.made);
    moe_value_free(o.value);
    moe_planner_free(p->planner, o.state);
    return moe_pass(err, &local);
}
