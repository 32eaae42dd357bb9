/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "moegps/mem.h"
#include "moegps/value.h"
#include "steps.h"
#include "timed_internal.h"

/* Plans by the cost model's time of the slowest GPU: experts at their rows,
 * so that every replica with rows pays for reading its weights, and the
 * exchange of rows in and out.
 *
 * From the placement in force, steps that relieve the slowest GPU: move load
 * to a replica that is there; move an expert; swap two; make a replica. A
 * weight that has to travel counts with the part of its time that attention
 * does not hide, spread over the interval that the plan will be in force. The
 * result is taken if it saves more than `gate` of the time with the placement
 * in force; so noise moves nothing, and where weights are cheap to compute
 * and dear to read nothing is duplicated.
 *
 * Planning takes time itself, by the steps that are counted. No plan can be
 * expected to save more than the slowest GPU takes above the mean; of that, over
 * the interval, a search may cost WORTH at most. Where that is too little for
 * any, the plan in force stays as it is, for the price of looking. */

/* A replica less may cost this share of it. */
static const double LEAN = 1e-3;
/* Share of what a plan may save that the search for it may cost. */
static const double WORTH = 0.5;
enum {
    MANY = 1024, /* slots: with more, steps begin where pairs are even, */
    WORK = 1000 * 1000, /* and end after so many steps of planning */
    HEIRS = 8 /* replicas that may take the part of another one over */
};

typedef struct {
    double gate;
} timed_params;

static const moe_opt options[] = {
    {.key = "gate",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.03",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(timed_params, gate),
     .help = "share of the time of experts and exchange that moves must save"},
    {.key = NULL}};

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    moe_timed *s = state;
    if (env->pricer == NULL)
        return moe_fail(err, MOE_USAGE,
                        "planner timed needs prices of a model on a cluster, "
                        "which are not given here");
    const size_t g = (size_t)env->layout.gpus, e = (size_t)env->experts;
    const size_t n = g * (size_t)env->slots;
    const size_t nodes = (size_t)moe_layout_nodes(&env->layout);
    s->pricer = *env->pricer;
    s->pricer.layout = env->layout;
    s->gate = ((const timed_params *)params)->gate;
    s->sequences = env->sequences > 0 ? env->sequences : 1;
    s->interval = env->interval > 0 ? env->interval : 1;
    s->step_s = env->constant ? 0 : env->step_s; /* one plan serves for ever */
    s->beside = env->beside;
    moe_error local = {0};
    s->share =
        moe_share_new(env->experts, env->layout.gpus, env->slots, &local);
    if (s->share != NULL)
        moe_repair_init(&s->repair, s->share, 1, &local);
    s->load = moe_array_new(e, sizeof *s->load, &local);
    s->time_s = moe_array_new(g, sizeof *s->time_s, &local);
    moe_peak_init(&s->slow, 1, env->layout.gpus, &local);
    moe_peak_init(&s->fast, 1, env->layout.gpus, &local);
    s->sent = moe_array_new(2 * g, sizeof *s->sent, &local);
    s->received = moe_array_new(2 * g, sizeof *s->received, &local);
    s->rows = moe_array_new((size_t)env->slots + 1, sizeof *s->rows, &local);
    s->had = moe_array_new(g * e, sizeof *s->had, &local);
    s->near = moe_array_new(nodes * e, sizeof *s->near, &local);
    s->coming = moe_array_new(2 * g, sizeof *s->coming, &local);
    s->expert = moe_array_new(n, sizeof *s->expert, &local);
    s->part = moe_array_new(n, sizeof *s->part, &local);
    s->quota = moe_array_new(n, sizeof *s->quota, &local);
    s->moves = moe_array_new(n, sizeof *s->moves, &local);
    moe_replicas_init(&s->replicas, env->experts, env->layout.gpus, env->slots,
                      &local);
    return moe_pass(err, &local);
}

static void fini(void *state)
{
    moe_timed *s = state;
    moe_repair_fini(&s->repair);
    moe_share_free(s->share);
    free(s->load);
    free(s->time_s);
    moe_peak_fini(&s->slow);
    moe_peak_fini(&s->fast);
    free(s->sent);
    free(s->received);
    free(s->rows);
    free(s->had);
    free(s->near);
    free(s->coming);
    free(s->expert);
    free(s->part);
    free(s->quota);
    free(s->moves);
    moe_replicas_fini(&s->replicas);
}

/* ---- the planner ---- */

static void keep(moe_timed *s)
{
    memcpy(s->expert, s->share->expert, moe_timed_slots(s) * sizeof *s->expert);
    memcpy(s->part, s->share->part, moe_timed_slots(s) * sizeof *s->part);
}

static void restore(moe_timed *s)
{
    moe_share *x = s->share;
    moe_share_begin(x, s->expert, s->load);
    memset(x->load, 0, (size_t)x->gpus * sizeof *x->load);
    for (size_t t = 0; t < moe_timed_slots(s); t++) {
        x->part[t] = s->part[t];
        x->load[t / (size_t)x->slots] += s->part[t];
    }
}

/* All load of an expert on one of its replicas, where least is so far. */
static void gather(moe_timed *s)
{
    moe_share *x = s->share;
    for (int e = 0; e < x->experts; e++) {
        int to = x->head[e];
        for (int t = x->head[e]; t >= 0; t = x->next[t])
            if (x->load[t / x->slots] - x->part[t] <
                x->load[to / x->slots] - x->part[to])
                to = t;
        for (int t = x->head[e]; t >= 0; t = x->next[t])
            if (t != to)
                moe_share_give(x, t, to, x->part[t]);
    }
}

/* The best that the placement in force can do: replicas used evenly, or as
 * few as possible. */
static double divide_current(moe_timed *s, const moe_plan_layer *current)
{
    moe_share_begin(s->share, current->expert, s->load);
    moe_share_minmax(s->share);
    const double even_s = moe_timed_descend(s, false);
    keep(s);
    moe_share_begin(s->share, current->expert, s->load);
    gather(s);
    const double gathered_s = moe_timed_descend(s, false);
    if (gathered_s < even_s)
        keep(s);
    restore(s);
    return fmin(even_s, gathered_s);
}

/* Reads that save no time to speak of are saved: parts go to another replica
 * in use where that makes its GPU hardly slower than `most`. */
static void condense(moe_timed *s, double most)
{
    moe_share *x = s->share;
    for (int t = 0; t < (int)moe_timed_slots(s); t++) {
        if (x->part[t] == 0 || x->copies[x->expert[t]] < 2)
            continue;
        int tried = 0;
        for (int v = x->head[x->expert[t]]; v >= 0 && tried < HEIRS;
             v = x->next[v]) {
            if (v == t || x->part[v] == 0)
                continue;
            tried++;
            if (moe_timed_gpu_s(s, v / x->slots, v, x->part[v] + x->part[t],
                                0) <= most * (1 + LEAN)) {
                moe_share_give(x, t, v, x->part[t]);
                break;
            }
        }
    }
}

static void note_current(moe_timed *s, const moe_plan_layer *current)
{
    const size_t n = (size_t)s->share->experts, gpus = (size_t)s->share->gpus;
    const moe_layout *y = &s->pricer.layout;
    memset(s->had, 0, gpus * n * sizeof *s->had);
    memset(s->near, 0, (size_t)moe_layout_nodes(y) * n * sizeof *s->near);
    memset(s->coming, 0, 2 * gpus * sizeof *s->coming);
    for (size_t t = 0; t < moe_timed_slots(s); t++) {
        if (current->expert[t] < 0)
            continue;
        const size_t e = (size_t)current->expert[t];
        const size_t g = t / (size_t)s->share->slots;
        s->had[g * n + e] = true;
        s->near[(size_t)moe_layout_node(y, (int)g) * n + e] = true;
    }
}

/* What was not predicted comes to one replica, too. */
static void write_plan(moe_timed *s, moe_plan_layer *next)
{
    bool *seen = s->share->follow; /* free between pushes */
    memset(seen, 0, (size_t)s->share->experts * sizeof *seen);
    for (size_t t = 0; t < moe_timed_slots(s); t++) {
        const int e = next->expert[t] = s->expert[t];
        next->quota[t] = 0;
        s->quota[t] = (double)s->part[t];
        if (e >= 0 && s->load[e] == 0 && !seen[e]) {
            s->quota[t] = 1;
            seen[e] = true;
        }
    }
    moe_plan_layer_set_quota(next, s->quota, &s->replicas);
}

/* Exposed time of the GPU that sends or receives most weights. */
static double migration_time(moe_timed *s, const moe_plan_layer *current,
                             moe_plan_layer *next)
{
    const moe_layout *y = &s->pricer.layout;
    const moe_plan was = {1,
                          current->experts,
                          current->gpus,
                          current->slots,
                          current->expert,
                          current->quota};
    const moe_plan now = {1,           next->experts, next->gpus,
                          next->slots, next->expert,  next->quota};
    const double bytes = moe_model_expert_bytes(s->pricer.model);
    double most = 0;
    moe_plan_layer_settle(current, next);
    const size_t n = moe_plan_moves(&was, &now, 0, 1, y, s->moves);
    s->share->steps +=
        n * moe_timed_slots(s) / 64; /* every move looks at all slots */
    memset(s->sent, 0, 2 * (size_t)y->gpus * sizeof *s->sent);
    memset(s->received, 0, 2 * (size_t)y->gpus * sizeof *s->received);
    for (size_t i = 0; i < n; i++) {
        const moe_move *m = &s->moves[i];
        const int far =
            moe_layout_node(y, m->from_gpu) != moe_layout_node(y, m->to_gpu);
        s->sent[2 * m->from_gpu + far] += bytes;
        s->received[2 * m->to_gpu + far] += bytes;
    }
    for (int g = 0; g < 2 * y->gpus; g += 2)
        most =
            fmax(most,
                 moe_timed_exposed_s(s, fmax(s->sent[g], s->received[g]),
                                     fmax(s->sent[g + 1], s->received[g + 1])));
    return most;
}

/* A replica without rows stays where it is already; a new one is not made. */
static void drop_idle(moe_timed *s)
{
    moe_share *x = s->share;
    for (int t = 0; t < (int)moe_timed_slots(s); t++) {
        const int e = x->expert[t];
        if (e >= 0 && x->part[t] == 0 && x->copies[e] > 1 &&
            !s->had[(size_t)(t / x->slots) * (size_t)x->experts + (size_t)e])
            moe_share_take(x, t);
    }
}

/* ---- what planning is worth ---- */

/* Parts as the plan in force divides this load. */
static void take_current(moe_timed *s, const moe_plan_layer *current)
{
    moe_share *x = s->share;
    moe_share_begin(x, current->expert, s->load);
    memset(x->load, 0, (size_t)x->gpus * sizeof *x->load);
    for (size_t t = 0; t < moe_timed_slots(s); t++) {
        const int e = current->expert[t];
        x->part[t] = e < 0 ? 0
                           : llround((double)s->load[e] * current->quota[t] /
                                     MOE_QUOTA_ONE);
        x->load[t / (size_t)x->slots] += x->part[t];
    }
}

/* Set how far the search may go. @return whether it may begin. */
static bool may_search(moe_timed *s, const moe_plan_layer *current)
{
    s->budget = INFINITY;
    if (!(s->step_s > 0))
        return true;
    take_current(s, current);
    const double most_s = moe_timed_slowest_s(s);
    double mean_s = 0;
    for (int g = 0; g < s->share->gpus; g++)
        mean_s += s->time_s[g] / s->share->gpus;
    const double hidden_s = s->beside ? s->attention_s + most_s : 0;
    const double worth_s = hidden_s + WORTH * s->interval * (most_s - mean_s);
    s->budget = (double)s->share->steps + worth_s / s->step_s;
    const double least =
        (double)moe_steps_to_write(s->share->gpus, s->share->slots) +
        3 * moe_timed_pricing_steps(
                s); /* both divisions, and one moe_timed_step */
    return worth_s >= least * s->step_s;
}

static void keep_plan(const moe_timed *s, const moe_plan_layer *current,
                      moe_plan_layer *next)
{
    memcpy(next->expert, current->expert,
           moe_timed_slots(s) * sizeof *next->expert);
    memcpy(next->quota, current->quota,
           moe_timed_slots(s) * sizeof *next->quota);
}

/* Plan without moving weights. @return time of the slowest GPU. */
static double stay(moe_timed *s, const moe_plan_layer *current,
                   moe_plan_layer *next)
{
    const double time_s = divide_current(s, current);
    condense(s, time_s);
    keep(s);
    write_plan(s, next);
    return time_s;
}

/* Thousands of GPUs are far from the end of such steps: give replicas by pairs
 * first, which takes little. */
static void spread_pairs(moe_timed *s)
{
    moe_share *x = s->share;
    int64_t mean = 0;
    for (int g = 0; g < x->gpus; g++)
        mean += x->load[g];
    mean = (mean + x->gpus - 1) / x->gpus;
    for (int g = 0; g < x->gpus; g++)
        x->limit[g] = mean;
    moe_repair_run(&s->repair, 0);
    for (size_t t = 0; t < moe_timed_slots(s); t++)
        if (x->part[t] > 0)
            moe_timed_note_arrival(s, x->expert[t], (int)t / x->slots);
}

static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)err;
    moe_timed *s = state;
    const double *load = task->load;
    const moe_plan_layer *current = task->current;
    double pairs = 0;
    s->share->steps = (uint64_t)next->experts;
    if (moe_planner_keeps(task, next))
        return MOE_OK;
    for (int e = 0; e < s->share->experts; e++)
        pairs += (double)(s->load[e] = llround(load[e]));
    s->attention_s = pairs > 0 ? moe_timed_attention_s(s, pairs) : 0;
    if (!may_search(s, current)) {
        keep_plan(s, current, next);
        return MOE_OK;
    }
    s->share->steps += moe_steps_to_write(next->gpus, next->slots);
    note_current(s, current);
    const double stay_s = stay(s, current, next);
    if (moe_timed_slots(s) > MANY) {
        spread_pairs(s);
        s->budget = fmin(s->budget, (double)s->share->steps + WORK);
    }
    const double go_s = moe_timed_descend(s, true);
    if (go_s >= stay_s * (1 - s->gate))
        return MOE_OK;
    condense(s, go_s);
    drop_idle(s);
    keep(s);
    write_plan(s, next);
    if (go_s + migration_time(s, current, next) >= stay_s * (1 - s->gate))
        stay(s, current, next);
    return MOE_OK;
}

static uint64_t steps(const void *state)
{
    return ((const moe_timed *)state)->share->steps;
}

const moe_planner moe_planner_timed = {
    .name = "timed",
    .help = "by the cost model's time: moves, swaps and replicas that pay",
    .opts = options,
    .params_size = sizeof(timed_params),
    .state_size = sizeof(moe_timed),
    .plans = true,
    .copies = true,
    .init = init,
    .plan = plan,
    .steps = steps,
    .step_weight = 1,
    .fini = fini,
};
