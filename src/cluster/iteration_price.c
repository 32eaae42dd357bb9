/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/iteration_price.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

enum { TASKS_PER_LAYER = 12 };

/* A stage ends where all GPUs wait for the slowest. */
static const struct {
    moe_step first, last;
} stages[] = {{MOE_STEP_PREDICT, MOE_STEP_PREDICT},
              {MOE_STEP_ATTENTION, MOE_STEP_NUMBER},
              {MOE_STEP_DISPATCH, MOE_STEP_FFN},
              {MOE_STEP_COMBINE, MOE_STEP_COMBINE},
              {MOE_STEP_MIGRATE, MOE_STEP_MIGRATE}};

static const moe_phase phase_of[MOE_N_STEPS] = {
    [MOE_STEP_PREDICT] = MOE_PHASE_PREDICT,
    [MOE_STEP_ATTENTION] = MOE_PHASE_ATTENTION,
    [MOE_STEP_REDUCE] = MOE_PHASE_ATTENTION,
    [MOE_STEP_ROUTE] = MOE_PHASE_ROUTE,
    [MOE_STEP_NUMBER] = MOE_PHASE_DISPATCH,
    [MOE_STEP_DISPATCH] = MOE_PHASE_DISPATCH,
    [MOE_STEP_FFN] = MOE_PHASE_FFN,
    [MOE_STEP_COMBINE] = MOE_PHASE_COMBINE,
    [MOE_STEP_MIGRATE] = MOE_PHASE_MIGRATE};

void moe_layer_cost_init(moe_layer_cost *cost)
{
    *cost = (moe_layer_cost){.uses = {[MOE_STEP_PREDICT] = MOE_RESOURCE_SM,
                                      [MOE_STEP_ATTENTION] = MOE_RESOURCE_SM,
                                      [MOE_STEP_REDUCE] = MOE_RESOURCE_NODE,
                                      [MOE_STEP_ROUTE] = MOE_RESOURCE_SM,
                                      [MOE_STEP_FFN] = MOE_RESOURCE_SM}};
}

static double stage_s(const moe_layer_cost *cost, size_t stage)
{
    double sum = 0;
    for (int k = (int)stages[stage].first; k <= (int)stages[stage].last; k++)
        sum += cost->step_s[k];
    return sum;
}

void moe_layer_cost_merge(moe_layer_cost *worst, const moe_layer_cost *gpu)
{
    for (int k = 0; k < MOE_N_STEPS; k++)
        if (gpu->step_s[k] > worst->most_s[k])
            worst->most_s[k] = gpu->step_s[k];
    for (size_t s = 0; s < MOE_ARRAY_LEN(stages); s++) {
        if (!(stage_s(gpu, s) > stage_s(worst, s)))
            continue;
        const size_t first = stages[s].first;
        const size_t n = (size_t)stages[s].last - first + 1;
        memcpy(worst->step_s + first, gpu->step_s + first,
               n * sizeof *worst->step_s);
        memcpy(worst->uses + first, gpu->uses + first, n * sizeof *worst->uses);
    }
}

/* ---- an iteration as tasks ---- */

struct moe_iteration_pricer {
    moe_timeline *timeline;
    int *ready; /* [layers] task after which a layer's plan is in force */
    int layers;
};

typedef struct {
    moe_iteration_pricer *p;
    const moe_layer_cost *cost;
    const moe_coordination_cost *c;
    int n, layers;
} job;

moe_status moe_iteration_pricer_new(int layers, moe_iteration_pricer **out,
                                    moe_error *err)
{
    moe_error local = {0};
    moe_iteration_pricer *p = moe_array_new(1, sizeof *p, &local);
    if (p == NULL)
        return moe_pass(err, &local);
    p->layers = layers;
    p->ready = moe_array_new((size_t)layers, sizeof *p->ready, &local);
    moe_timeline_new((size_t)layers * TASKS_PER_LAYER, &p->timeline, &local);
    if (local.status != MOE_OK) {
        moe_iteration_pricer_free(p);
        return moe_pass(err, &local);
    }
    *out = p;
    return MOE_OK;
}

void moe_iteration_pricer_free(moe_iteration_pricer *p)
{
    if (p == NULL)
        return;
    moe_timeline_free(p->timeline);
    free(p->ready);
    free(p);
}

static const moe_layer_cost *cost_of(const job *j, int layer)
{
    return &j->cost[(long)layer * j->n / j->layers];
}

static int add(const job *j, moe_phase phase, int layer, unsigned uses,
               double time_s, int chain, int after)
{
    moe_task task = moe_task_make(phase, layer, uses, time_s, chain);
    task.after[0] = after;
    return moe_timeline_add(j->p->timeline, &task);
}

/* A step of the layer itself, in the stream. */
static int add_step(const job *j, int layer, moe_step step)
{
    const moe_layer_cost *cost = cost_of(j, layer);
    return add(j, phase_of[step], layer, cost->uses[step], cost->step_s[step],
               0, MOE_NO_TASK);
}

/* Predict layer `layer`: in the stream, or on a device of its own once the
 * stream is past `after`. */
static int add_prediction(const job *j, int layer, int after)
{
    const moe_layer_cost *cost = cost_of(j, layer);
    const bool own = j->c->own_device;
    return add(j, MOE_PHASE_PREDICT, layer,
               own ? MOE_RESOURCE_OTHER : cost->uses[MOE_STEP_PREDICT],
               cost->step_s[MOE_STEP_PREDICT], own ? MOE_BACKGROUND : 0, after);
}

/* From predicted counts to a plan that all know. @return the last task. */
static int add_coordination(const job *j, int layer, double plan_s, int after)
{
    const moe_coordination_cost *c = j->c;
    int last = after;
    if (c->collects)
        last = add(j, MOE_PHASE_COLLECT, layer, c->uses, c->collect_s,
                   MOE_BACKGROUND, last);
    if (!c->plans)
        return last;
    last = add(j, MOE_PHASE_PLAN, layer, MOE_RESOURCE_HOST, plan_s,
               MOE_BACKGROUND, last);
    return add(j, MOE_PHASE_BROADCAST, layer, c->uses, c->broadcast_s,
               MOE_BACKGROUND, last);
}

static int add_migration(const job *j, int layer, int after)
{
    const moe_layer_cost *cost = cost_of(j, layer);
    if (!(cost->step_s[MOE_STEP_MIGRATE] > 0))
        return after;
    return add(j, MOE_PHASE_MIGRATE, layer, cost->uses[MOE_STEP_MIGRATE],
               cost->step_s[MOE_STEP_MIGRATE], MOE_BACKGROUND, after);
}

/* All layers at once, before layer 0. */
static void coordinate_all(const job *j)
{
    double plan_s = 0;
    int last = MOE_NO_TASK;
    for (int l = 0; l < j->layers; l++) {
        last = add_prediction(j, l, MOE_NO_TASK);
        plan_s +=
            j->c->plan_s != NULL ? j->c->plan_s[(long)l * j->n / j->layers] : 0;
    }
    last = add_coordination(j, 0, plan_s, last);
    for (int l = 0; l < j->layers; l++)
        j->p->ready[l] = add_migration(j, l, last);
}

/* One layer, once the stream is past `after`. */
static void coordinate_one(const job *j, int layer, int after)
{
    const double *plan_s = j->c->plan_s;
    const int predicted = add_prediction(j, layer, after);
    const int told = add_coordination(
        j, layer, plan_s != NULL ? plan_s[(long)layer * j->n / j->layers] : 0,
        predicted);
    j->p->ready[layer] = add_migration(j, layer, told);
}

static int add_dispatch(const job *j, int layer)
{
    const moe_layer_cost *cost = cost_of(j, layer);
    return add(j, MOE_PHASE_DISPATCH, layer, cost->uses[MOE_STEP_DISPATCH],
               cost->step_s[MOE_STEP_DISPATCH], 0,
               j->c->next_iteration ? MOE_NO_TASK : j->p->ready[layer]);
}

/* @param before  last task of the layer before. @return the last task. */
static int add_layer(const job *j, int layer, int before)
{
    const int ahead = j->c->lookahead;
    if (ahead != MOE_LOOKAHEAD_ALL)
        for (int l = layer == 0 ? 0 : layer + ahead;
             l <= layer + ahead && l < j->layers; l++)
            coordinate_one(j, l, before);
    for (int step = MOE_STEP_ATTENTION; step <= (int)MOE_STEP_NUMBER; step++)
        add_step(j, layer, (moe_step)step);
    add_dispatch(j, layer);
    add_step(j, layer, MOE_STEP_FFN);
    return add_step(j, layer, MOE_STEP_COMBINE);
}

/* @return layers of the model that a measured one stands for: those with
 * layer * n / layers == of. */
static int images(const job *j, long of)
{
    const long first = (of * j->layers + j->n - 1) / j->n;
    const long end = ((of + 1) * j->layers + j->n - 1) / j->n;
    return (int)(end - first);
}

static double sum_of_waits(const job *j)
{
    double sum = 0;
    for (int l = 0; l < j->layers; l++)
        for (int k = 0; k < MOE_N_STEPS; k++)
            sum += cost_of(j, l)->most_s[k] - cost_of(j, l)->step_s[k];
    return sum;
}

moe_iteration_price
moe_iteration_price_of(moe_iteration_pricer *p, const moe_layer_cost *cost,
                       int n, int layers,
                       const moe_coordination_cost *coordination,
                       double slowdown, double (*exposed_s_out)[MOE_N_PHASES])
{
    const job j = {p, cost, coordination, n, layers};
    assert(layers <= p->layers && n <= layers);
    moe_timeline_clear(p->timeline);
    if (coordination->lookahead == MOE_LOOKAHEAD_ALL)
        coordinate_all(&j);
    for (int l = 0, last = MOE_NO_TASK; l < layers; l++)
        last = add_layer(&j, l, last);
    moe_iteration_price price = {.length_s =
                                     moe_timeline_run(p->timeline, slowdown)};
    price.waits_s = price.length_s + sum_of_waits(&j);
    memset(exposed_s_out, 0, (size_t)n * sizeof *exposed_s_out);
    for (size_t i = 0; i < moe_timeline_length(p->timeline); i++) {
        const moe_task *task = moe_timeline_task(p->timeline, i);
        const long of = (long)task->layer * n / layers;
        exposed_s_out[of][task->phase] +=
            moe_timeline_times(p->timeline, i)->exposed_s / images(&j, of);
    }
    return price;
}
