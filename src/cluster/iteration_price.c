/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/iteration_price.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/timeline.h"

enum { TASKS_PER_LAYER = 2 * MOE_N_STEPS + 3, TASKS_OF_TRIES = 3 };

/* ---- coordination ---- */

static moe_price collective(const moe_pricer *p, bool central, double bytes)
{
    const moe_exchange all = moe_pricer_everyone(p);
    return central ? p->cost->tree(p->state, &all, bytes)
                   : p->cost->allreduce(p->state, &all, bytes);
}

void moe_coordination_cost_of(const moe_pricer *pricer,
                              const moe_coordination_work *c,
                              moe_coordination_cost *out)
{
    const int layers = pricer->model->layers;
    const int each = c->lookahead == MOE_LOOKAHEAD_ALL ? layers : 1;
    *out = (moe_coordination_cost){.collects = c->collects,
                                   .plans = c->plans,
                                   .next_iteration = c->next_iteration,
                                   .own_device = c->own_device,
                                   .lookahead = c->lookahead,
                                   .sees_layers = c->sees_layers,
                                   .plan_s = c->plan_s,
                                   .uses = moe_pricer_links(pricer)};
    if (c->collects)
        out->collect = collective(pricer, c->central,
                                  (double)each * pricer->model->experts *
                                      sizeof(uint64_t));
    /* The plan with its length; or the hash by which ranks confirm theirs. */
    if (c->plans)
        out->broadcast = collective(pricer, c->central,
                                    c->central ? c->plan_bytes * each / layers +
                                                     sizeof(uint64_t)
                                               : 3 * sizeof(uint64_t));
    if (c->tried == 0)
        return;
    out->tries = true;
    out->tried_s = c->tried_s;
    out->tried_collect = collective(
        pricer, c->central,
        (double)c->tried * layers * pricer->model->experts * sizeof(uint64_t));
    out->tried_broadcast = collective(
        pricer, c->central,
        (c->central ? c->tried_bytes : 0) +
            (double)c->tried * (c->central ? 1 : 3) * sizeof(uint64_t));
}

/* ---- an iteration as tasks ---- */

struct moe_iteration_pricer {
    moe_timeline *timeline;
    int *ready; /* [layers] task after which a layer's plan is in force */
    int shared[MOE_CHAINS]; /* shared experts that a half's next layer awaits */
    int turn[2]; /* of halves: last compute, last exchange that has a turn */
    int layers;
};

typedef struct {
    moe_iteration_pricer *p;
    const moe_iteration_work *w;
    const moe_coordination_cost *c;
    int layers; /* that are scheduled; fewer than w->layers: the REPEATED one
                   stands for the others, too */
} builder;

moe_status moe_iteration_pricer_new(int layers, moe_iteration_pricer **out,
                                    moe_error *err)
{
    moe_error local = {0};
    moe_iteration_pricer *p = moe_array_new(1, sizeof *p, &local);
    if (p == NULL)
        return moe_pass(err, &local);
    p->layers = layers;
    p->ready = moe_array_new((size_t)layers, sizeof *p->ready, &local);
    moe_timeline_new((size_t)layers * TASKS_PER_LAYER + TASKS_OF_TRIES,
                     &p->timeline, &local);
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

/* @return the measured layer that stands for a layer of the model. */
static int measured(const moe_iteration_work *w, int layer)
{
    if (w->n == 1 || w->n == w->layers) /* without a division */
        return w->n == 1 ? 0 : layer;
    return (int)((long)layer * w->n / w->layers);
}

int moe_iteration_images(int n, int layers, int of)
{
    const long first = ((long)of * layers + n - 1) / n;
    return (int)((((long)of + 1) * layers + n - 1) / n - first);
}

static int images(const moe_iteration_work *w, int of)
{
    return moe_iteration_images(w->n, w->layers, of);
}

static const moe_layer_cost *cost_of(const builder *b, int layer)
{
    return &b->w->cost[measured(b->w, layer)];
}

static int halves(const moe_layer_cost *cost)
{
    return cost->overlap == MOE_SERVE_TWO_BATCH ? 2 : 1;
}

static double plan_s(const moe_iteration_work *w, int layer)
{
    const double *of = w->coordination.plan_s;
    return of != NULL ? of[measured(w, layer)] : 0;
}

/* @return the task's number, or `after` where it takes no time. */
static int add(const builder *b, moe_task task, int after)
{
    if (!(task.time_s > 0))
        return after;
    task.after[0] = after;
    return moe_timeline_add(b->p->timeline, &task);
}

/* A step of the layer itself, or of one half of its batch, in its stream. Halves
 * take turns as engines have them do: attention of one, of the other, experts of
 * one, of the other; and so dispatch and combine. */
static int add_half(const builder *b, int layer, int half, moe_step step,
                    int after)
{
    const moe_layer_cost *cost = cost_of(b, layer);
    if (!(cost->step_s[step] > 0))
        return after;
    const bool exchange = step == MOE_STEP_DISPATCH || step == MOE_STEP_COMBINE;
    const bool turns =
        halves(cost) > 1 &&
        (exchange || step == MOE_STEP_ATTENTION || step == MOE_STEP_FFN);
    int *turn = &b->p->turn[exchange];
    moe_task task = moe_task_make(moe_step_phase(step), layer, cost->uses[step],
                                  cost->step_s[step] / halves(cost), half);
    if (exchange)
        task.takes = cost->takes;
    if (turns)
        task.after[1] = *turn;
    const int i = add(b, task, after);
    if (turns)
        *turn = i;
    return i;
}

static int add_step(const builder *b, int layer, moe_step step, int after)
{
    const moe_layer_cost *cost = cost_of(b, layer);
    return add(b,
               moe_task_make(moe_step_phase(step), layer, cost->uses[step],
                             cost->step_s[step], 0),
               after);
}

static int add_background(const builder *b, moe_phase phase, int layer,
                          unsigned uses, double time_s, int after)
{
    return add(b, moe_task_make(phase, layer, uses, time_s, MOE_BACKGROUND),
               after);
}

/* Predict layer `layer`: in the stream, or on a device of its own once the
 * stream is past `after`. */
static int add_prediction(const builder *b, int layer, int after)
{
    if (!b->c->own_device)
        return add_step(b, layer, MOE_STEP_PREDICT, after);
    return add_background(b, MOE_PHASE_PREDICT, layer, MOE_RESOURCE_OTHER,
                          cost_of(b, layer)->step_s[MOE_STEP_PREDICT], after);
}

/* From predicted counts to a plan that all know. @return the last task. */
static int add_coordination(const builder *b, int layer, double host_s,
                            int after)
{
    const moe_coordination_cost *c = b->c;
    int last = after;
    if (c->collects)
        last = add_background(b, MOE_PHASE_COLLECT, layer, c->uses,
                              c->collect.time_s, last);
    if (!c->plans)
        return last;
    last = add_background(b, MOE_PHASE_PLAN, layer, MOE_RESOURCE_HOST, host_s,
                          last);
    return add_background(b, MOE_PHASE_BROADCAST, layer, c->uses,
                          c->broadcast.time_s, last);
}

/* Weights travel in the background, or in the stream, which does nothing else
 * then. Those of a plan for the next iteration are those of the plan before it,
 * which is known already. */
static int add_migration(const builder *b, int layer, int after)
{
    const moe_layer_cost *cost = cost_of(b, layer);
    if (cost->migration != MOE_MIGRATION_HIDDEN)
        return add(b,
                   moe_task_make(MOE_PHASE_MIGRATE, layer,
                                 cost->uses[MOE_STEP_MIGRATE] | MOE_RESOURCE_SM,
                                 cost->step_s[MOE_STEP_MIGRATE], 0),
                   b->c->next_iteration ? MOE_NO_TASK : after);
    return add_background(b, MOE_PHASE_MIGRATE, layer,
                          cost->uses[MOE_STEP_MIGRATE],
                          cost->step_s[MOE_STEP_MIGRATE],
                          b->c->next_iteration ? MOE_NO_TASK : after);
}

/* Whether a layer's weights travel when it is to begin, and not before. */
static bool waits_itself(const builder *b, int layer)
{
    return cost_of(b, layer)->migration == MOE_MIGRATION_LAYER;
}

/* Forecasts of others go the same way behind all else that is known by then;
 * nothing waits for their plans. */
static void add_tries(const builder *b)
{
    const moe_coordination_cost *c = b->c;
    if (!c->tries)
        return;
    int last = add_background(b, MOE_PHASE_COLLECT, 0, c->uses,
                              c->tried_collect.time_s, MOE_NO_TASK);
    last = add_background(b, MOE_PHASE_PLAN, 0, MOE_RESOURCE_HOST, c->tried_s,
                          last);
    add_background(b, MOE_PHASE_BROADCAST, 0, c->uses,
                   c->tried_broadcast.time_s, last);
}

/* All layers at once, before layer 0. */
static void coordinate_all(const builder *b)
{
    double host_s = 0;
    int last = MOE_NO_TASK;
    for (int l = 0; l < b->layers; l++) {
        last = add_prediction(b, l, last);
        host_s += plan_s(b->w, l);
    }
    last = add_coordination(b, 0, host_s, last);
    for (int l = 0; l < b->layers; l++)
        b->p->ready[l] = waits_itself(b, l) ? last : add_migration(b, l, last);
}

/* One layer, once the stream is past `after`. */
static void coordinate_one(const builder *b, int layer, int after)
{
    const int predicted = add_prediction(b, layer, after);
    const int told = add_coordination(b, layer, plan_s(b->w, layer), predicted);
    b->p->ready[layer] =
        waits_itself(b, layer) ? told : add_migration(b, layer, told);
}

/* The layer whose turn comes in this one, once the stream is past `after`; those
 * without a layer to be planned in come before layer 0. */
static void coordinate_ahead(const builder *b, int layer, bool routed,
                             int after)
{
    const int ahead = b->c->lookahead;
    if (ahead == MOE_LOOKAHEAD_ALL)
        return;
    for (int l = 0; layer == 0 && !routed && l < ahead && l < b->layers; l++)
        coordinate_one(b, l, after);
    if (routed == b->c->sees_layers && layer + ahead < b->layers)
        coordinate_one(b, layer + ahead, after);
}

/* Shared experts: in the stream, or whenever the SMs are free until the next
 * layer begins. @param after  all that they need. */
static void add_shared(const builder *b, int layer, int half, int after)
{
    const moe_layer_cost *cost = cost_of(b, layer);
    const double time_s = cost->step_s[MOE_STEP_SHARED] / halves(cost);
    if (cost->overlap == MOE_SERVE_NO_OVERLAP)
        add_half(b, layer, half, MOE_STEP_SHARED, MOE_NO_TASK);
    else
        b->p->shared[half] =
            add_background(b, MOE_PHASE_FFN, layer, cost->uses[MOE_STEP_SHARED],
                           time_s, after);
}

/* From attention to the router. @return the last task. */
static int add_routing(const builder *b, int layer, int half)
{
    int routed =
        add_half(b, layer, half, MOE_STEP_ATTENTION, b->p->shared[half]);
    for (int step = MOE_STEP_REDUCE; step <= (int)MOE_STEP_SOLVE; step++) {
        routed = add_half(b, layer, half, (moe_step)step, routed);
        if (step == MOE_STEP_ROUTE && half + 1 == halves(cost_of(b, layer)))
            coordinate_ahead(b, layer, true, routed);
    }
    return routed;
}

/* A batch, or two halves in turn. @param before  last task of the layer before.
 * @return the last task. */
static int add_layer(const builder *b, int layer, int before)
{
    const int n = halves(cost_of(b, layer));
    int routed[MOE_CHAINS], sent[MOE_CHAINS], last = MOE_NO_TASK;
    coordinate_ahead(b, layer, false, before);
    if (waits_itself(b, layer))
        b->p->ready[layer] = add_migration(b, layer, b->p->ready[layer]);
    for (int half = 0; half < n; half++)
        routed[half] = add_routing(b, layer, half);
    /* Experts of the first half keep nobody from the router. */
    if (n > 1 && routed[1] != MOE_NO_TASK)
        b->p->turn[0] = routed[1];
    const int ready = b->c->next_iteration ? MOE_NO_TASK : b->p->ready[layer];
    for (int half = 0; half < n; half++) {
        sent[half] = add_half(b, layer, half, MOE_STEP_DISPATCH, ready);
        add_shared(b, layer, half, routed[half]);
    }
    /* Without a dispatch experts wait for their weights. */
    for (int half = 0; half < n; half++)
        add_half(b, layer, half, MOE_STEP_FFN,
                 sent[half] == ready ? ready : MOE_NO_TASK);
    for (int half = 0; half < n; half++)
        last = add_half(b, layer, half, MOE_STEP_COMBINE, MOE_NO_TASK);
    return last;
}

/* ---- layers that repeat each other ---- */

/* Layers that are alike settle to a rhythm: so many show it, the one in the
 * middle repeats. Those before it do not know how many are to come, and the
 * last ones end as they would behind more. */
enum { SHOWN = 12, REPEATED = 5 };

/* Whether nothing but the layers themselves, which are alike, is scheduled. */
static bool is_alike(const moe_iteration_work *w)
{
    const moe_coordination_cost *c = &w->coordination;
    return w->n == 1 && w->layers > SHOWN && !c->collects && !c->plans &&
           !c->tries && !(w->cost->step_s[MOE_STEP_MIGRATE] > 0) &&
           !(w->cost->step_s[MOE_STEP_PREDICT] > 0);
}

/* Whether the layers around the REPEATED one have the same part of the
 * schedule. */
static bool has_settled(const moe_timeline *t)
{
    double sum_s[3][MOE_N_PHASES] = {{0}};
    for (size_t i = 0; i < moe_timeline_length(t); i++) {
        const moe_task *task = moe_timeline_task(t, i);
        const int at = task->layer - (REPEATED - 1);
        if (at >= 0 && at < 3)
            sum_s[at][task->phase] += moe_timeline_times(t, i)->exposed_s;
    }
    double layer_s = 0, differ_s = 0;
    for (int p = 0; p < MOE_N_PHASES; p++) {
        layer_s += sum_s[1][p];
        differ_s +=
            fabs(sum_s[0][p] - sum_s[1][p]) + fabs(sum_s[2][p] - sum_s[1][p]);
    }
    return differ_s <= 1e-10 * layer_s;
}

/* @return layers that a scheduled one stands for. */
static double repeats(const builder *b, int layer)
{
    return layer == REPEATED ? 1.0 + b->w->layers - b->layers : 1.0;
}

/* ---- what came out ---- */

/* Of one measured layer. */
typedef struct {
    int of;                     /* -1: none yet */
    double images;              /* layers that it stands for */
    double wrong[MOE_N_PHASES]; /* what of a phase's time is expected to be
                                    wrong, per second */
} layer_shares;

static void find_shares(const moe_iteration_work *w, int of, layer_shares *out)
{
    const moe_layer_cost *cost = &w->cost[of];
    double time_s[MOE_N_PHASES] = {0};
    *out = (layer_shares){.of = of, .images = images(w, of)};
    for (int k = 0; k < MOE_N_STEPS; k++) {
        const moe_phase p = moe_step_phase((moe_step)k);
        time_s[p] += cost->step_s[k];
        out->wrong[p] += cost->wrong_s[k];
    }
    for (int p = 0; p < MOE_N_PHASES; p++)
        out->wrong[p] = time_s[p] > 0 ? out->wrong[p] / time_s[p] : 0;
    out->wrong[MOE_PHASE_COLLECT] = w->coordination.collect.relative_error;
    out->wrong[MOE_PHASE_BROADCAST] = w->coordination.broadcast.relative_error;
}

static void read_times(const builder *b, moe_iteration_price *price,
                       double (*exposed_s)[MOE_N_PHASES])
{
    const moe_timeline *t = b->p->timeline;
    const size_t n = moe_timeline_length(t);
    layer_shares shares = {.of = -1};
    if (exposed_s != NULL)
        memset(exposed_s, 0, (size_t)b->w->n * sizeof *exposed_s);
    for (size_t i = 0; i < n; i++) {
        const moe_task *task = moe_timeline_task(t, i);
        const double time_s =
            moe_timeline_times(t, i)->exposed_s * repeats(b, task->layer);
        const int of = measured(b->w, task->layer);
        if (!(time_s > 0))
            continue;
        if (of != shares.of)
            find_shares(b->w, of, &shares);
        price->length_s += time_s;
        price->wrong_s += time_s * shares.wrong[task->phase];
        if (exposed_s != NULL)
            exposed_s[of][task->phase] += time_s / shares.images;
    }
}

/* ---- without any of that ---- */

/* Whether all tasks are of one stream, so that their times add up. */
static bool is_plain(const moe_iteration_work *w)
{
    const moe_coordination_cost *c = &w->coordination;
    bool plain = !c->collects && !c->plans && !c->tries && !c->own_device &&
                 c->lookahead == MOE_LOOKAHEAD_ALL;
    for (int l = 0; l < w->n && plain; l++)
        plain = !(w->cost[l].step_s[MOE_STEP_MIGRATE] > 0) &&
                w->cost[l].overlap == MOE_SERVE_NO_OVERLAP;
    return plain;
}

static moe_iteration_price add_up(const moe_iteration_work *w,
                                  double (*exposed_s)[MOE_N_PHASES])
{
    moe_iteration_price price = {0};
    for (int l = 0; l < w->n; l++) {
        const moe_layer_cost *cost = &w->cost[l];
        const int times = images(w, l);
        if (exposed_s != NULL)
            memset(exposed_s[l], 0, sizeof exposed_s[l]);
        for (int k = 0; k < MOE_N_STEPS; k++) {
            const moe_phase phase = moe_step_phase((moe_step)k);
            if (!(cost->step_s[k] > 0))
                continue;
            price.length_s += times * cost->step_s[k];
            price.wrong_s += times * cost->wrong_s[k];
            if (exposed_s != NULL)
                exposed_s[l][phase] += cost->step_s[k];
        }
    }
    return price;
}

static double schedule(const builder *b)
{
    moe_iteration_pricer *p = b->p;
    moe_timeline_clear(p->timeline);
    for (int half = 0; half < MOE_CHAINS; half++)
        p->shared[half] = MOE_NO_TASK;
    p->turn[0] = p->turn[1] = MOE_NO_TASK;
    if (b->c->lookahead == MOE_LOOKAHEAD_ALL)
        coordinate_all(b);
    for (int l = 0, last = MOE_NO_TASK; l < b->layers; l++)
        last = add_layer(b, l, last);
    add_tries(b);
    return moe_timeline_run(p->timeline, b->w->slowdown);
}

moe_iteration_price
moe_iteration_price_of(moe_iteration_pricer *p, const moe_iteration_work *work,
                       double (*exposed_s_out)[MOE_N_PHASES])
{
    builder b = {p, work, &work->coordination, SHOWN};
    moe_iteration_price price = {0};
    assert(work->layers <= p->layers && work->n <= work->layers);
    if (is_plain(work))
        return add_up(work, exposed_s_out);
    bool settled = is_alike(work);
    if (settled) {
        schedule(&b);
        settled = has_settled(p->timeline);
    }
    b.layers = settled ? SHOWN : work->layers;
    const double length_s = settled ? 0 : schedule(&b);
    read_times(&b, &price, exposed_s_out);
    if (!settled) /* as it is, without the rounding of a sum */
        price.length_s = length_s;
    return price;
}

void moe_iteration_coordination_s(const moe_iteration_work *work, int of,
                                  double *own_s_out)
{
    const moe_coordination_cost *c = &work->coordination;
    const bool all = c->lookahead == MOE_LOOKAHEAD_ALL;
    const double share = !all ? 1 : of == 0 ? 1.0 / images(work, 0) : 0;
    double host_s = plan_s(work, of * work->layers / work->n);
    if (all) {
        host_s = 0;
        for (int l = 0; l < work->layers; l++)
            host_s += plan_s(work, l);
    }
    own_s_out[MOE_PHASE_COLLECT] = c->collects ? share * c->collect.time_s : 0;
    own_s_out[MOE_PHASE_PLAN] = c->plans ? share * host_s : 0;
    own_s_out[MOE_PHASE_BROADCAST] = c->plans ? share * c->broadcast.time_s : 0;
    if (!c->tries || of > 0)
        return;
    const double once = 1.0 / images(work, 0);
    own_s_out[MOE_PHASE_COLLECT] += once * c->tried_collect.time_s;
    own_s_out[MOE_PHASE_PLAN] += once * c->tried_s;
    own_s_out[MOE_PHASE_BROADCAST] += once * c->tried_broadcast.time_s;
}
