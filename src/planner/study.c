/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/clock.h"
#include "moegps/mem.h"

/* ---- balance ---- */

const char *moe_balance_name(moe_balance by)
{
    static const char *const names[MOE_N_BALANCES] = {
        [MOE_BALANCE_MEAN] = "balancedness_mean",
        [MOE_BALANCE_OF_SUMS] = "balancedness_of_sums",
        [MOE_BALANCE_IMBALANCE] = "imbalance",
        [MOE_BALANCE_EXCESS] = "excess"};
    return names[by];
}

void moe_tally_add(moe_tally *t, double mean, double most)
{
    t->ratio += mean / most;
    t->inverse += most / mean;
    t->mean += mean;
    t->most += most;
    t->n++;
}

moe_tally moe_tally_sum(const moe_tally *tallies, int n)
{
    moe_tally t = {0};
    for (int i = 0; i < n; i++) {
        t.ratio += tallies[i].ratio;
        t.inverse += tallies[i].inverse;
        t.mean += tallies[i].mean;
        t.most += tallies[i].most;
        t.n += tallies[i].n;
    }
    return t;
}

double moe_tally_balance(const moe_tally *t, moe_balance by)
{
    const double n = (double)t->n;
    if (t->n == 0)
        return NAN;
    switch (by) {
    case MOE_BALANCE_MEAN:
        return t->ratio / n;
    case MOE_BALANCE_OF_SUMS:
        return t->mean / t->most;
    case MOE_BALANCE_IMBALANCE:
        return t->inverse / n;
    default:
        return t->inverse / n - 1;
    }
}

/* ---- planning ---- */

/* What a study needs while it runs. */
typedef struct {
    const moe_study_params *p;
    moe_study *out;
    void *state; /* the planner's */
    moe_plan next;
    moe_regret *regret;
    moe_move *moves;   /* [layers * gpus * slots] */
    double *time_s;    /* [plans * repeats] */
    const double *own; /* [layers][experts] that is being planned */
    size_t known;      /* steps so far, where every step is planned; else 0 */
    double *sum;       /* [layers][experts] over steps */
} study_run;

static const double *load_of(const study_run *w, size_t step, int layer)
{
    return w->p->load + (step * (size_t)w->p->layers + (size_t)layer) *
                            (size_t)w->p->env->experts;
}

/* @return the load that is being planned. */
static const double *own_load(const study_run *w, int layer)
{
    return w->own + (size_t)layer * (size_t)w->p->env->experts;
}

static void plan_layer(study_run *w, int l, moe_error *err)
{
    moe_plan_layer current = moe_plan_at(&w->out->plan, l);
    moe_plan_layer next = moe_plan_at(&w->next, l);
    const double *past[MOE_PLANNER_PAST];
    moe_planner_task task = {
        .load = own_load(w, l), .past = past, .current = &current};
    if (w->known > 1)
        task.last = load_of(w, w->known - 2, l);
    while (task.n_past < MOE_PLANNER_PAST && (size_t)task.n_past < w->known) {
        task.n_past++;
        past[task.n_past - 1] = load_of(w, w->known - (size_t)task.n_past, l);
    }
    if (w->p->planner->plan(w->state, &task, &next, err) == MOE_OK)
        moe_plan_layer_settle(&current, &next);
}

static bool is_double(const int16_t *expert, int slots, size_t slot)
{
    const size_t first = slot / (size_t)slots * (size_t)slots;
    for (size_t k = first; k < slot && expert[slot] >= 0; k++)
        if (expert[k] == expert[slot])
            return true;
    return false;
}

static void note_raw(study_run *w, int l)
{
    const moe_plan_layer next = moe_plan_at(&w->next, l);
    const size_t n = (size_t)next.gpus * (size_t)next.slots;
    const moe_planner *planner = w->p->planner;
    int16_t *raw = w->out->raw + (size_t)l * n;
    memcpy(raw, planner->raw != NULL ? planner->raw(w->state) : next.expert,
           n * sizeof *raw);
    w->out->doubles[l] = 0;
    for (size_t k = 0; k < n; k++)
        w->out->doubles[l] += is_double(raw, next.slots, k);
}

/* @param own  [layers][experts] load.  @param nth  plan, for its times */
static void plan_once(study_run *w, const double *own, size_t nth,
                      moe_error *err)
{
    w->own = own;
    const size_t repeats = (size_t)w->p->repeats;
    for (size_t i = 0; i < repeats && err->status == MOE_OK; i++) {
        double *time_s = &w->time_s[nth * repeats + i];
        *time_s = 0;
        for (int l = 0; l < w->p->layers && err->status == MOE_OK; l++) {
            const double start = moe_clock_cpu();
            plan_layer(w, l, err);
            *time_s += moe_clock_cpu() - start;
            if (i + 1 == repeats && err->status == MOE_OK)
                note_raw(w, l); /* before the next layer's is there */
        }
    }
}

/* ---- scoring ---- */

static double mean_of(const study_run *w, const double *load)
{
    double mean = 0;
    for (int e = 0; e < w->p->env->experts; e++)
        mean += load[e] / w->p->env->layout.gpus;
    return mean;
}

/* The plan on its own load, divided as it is made for. */
static void score_own(study_run *w)
{
    for (int l = 0; l < w->p->layers; l++) {
        const moe_plan_layer plan = moe_plan_at(&w->next, l);
        const double *load = own_load(w, l);
        const double mean = mean_of(w, load);
        moe_tally_add(
            &w->out->score[MOE_STUDY_PLANNED][l], mean,
            moe_regret_busiest(w->regret, &plan, load, w->p->env->division));
        moe_tally_add(&w->out->bound[l], mean,
                      moe_regret_bound(w->regret, load));
    }
}

/* The plan on the load of a step. */
static void score_on(study_run *w, size_t step)
{
    for (int l = 0; l < w->p->layers; l++) {
        const moe_plan_layer plan = moe_plan_at(&w->next, l);
        const double *load = load_of(w, step, l);
        moe_bulk_passed(load, (size_t)w->p->env->experts * sizeof *load);
        for (int by = 0; by < MOE_N_DIVISIONS; by++)
            moe_tally_add(
                &w->out->score[MOE_STUDY_NEXT + by][l], mean_of(w, load),
                moe_regret_busiest(w->regret, &plan, load, (moe_division)by));
    }
}

/* ---- the study ---- */

static void set_up(study_run *w, moe_error *err)
{
    const moe_plan *like = w->p->previous;
    const size_t layers = (size_t)like->layers;
    const size_t n = layers * (size_t)like->gpus * (size_t)like->slots;
    moe_study *s = w->out;
    moe_plan_init(&s->plan, like->layers, like->experts, like->gpus,
                  like->slots, err);
    moe_plan_init(&w->next, like->layers, like->experts, like->gpus,
                  like->slots, err);
    s->raw = moe_array_new(n, sizeof *s->raw, err);
    s->doubles = moe_array_new(layers, sizeof *s->doubles, err);
    s->bound = moe_array_new(layers, sizeof *s->bound, err);
    w->sum = moe_array_new(layers * (size_t)like->experts, sizeof *w->sum, err);
    for (int i = 0; i < MOE_STUDY_SCORES; i++)
        s->score[i] = moe_array_new(layers, sizeof *s->score[i], err);
    w->moves = moe_array_new(n, sizeof *w->moves, err);
    w->time_s = moe_array_new(w->p->steps * (size_t)w->p->repeats,
                              sizeof *w->time_s, err);
    if (err->status == MOE_OK)
        w->state = moe_planner_new(w->p->planner, w->p->env, w->p->params, err);
    if (err->status == MOE_OK)
        w->regret = moe_regret_new(w->p->env, err);
}

static size_t changes(study_run *w, const moe_plan *from, const moe_plan *to)
{
    return moe_plan_moves(from, to, 0, w->p->layers, &w->p->env->layout,
                          w->moves);
}

static void tell(const study_run *w, size_t steps)
{
    if (w->p->progress != NULL)
        moe_progress_step(w->p->progress, (int)steps);
}

/* A plan in every interval, scored on the steps that it serves. */
static void run_steps(study_run *w, moe_error *err)
{
    moe_study *s = w->out;
    const size_t every =
        w->p->env->interval > 1 ? (size_t)w->p->env->interval : 1;
    for (size_t step = 0; step < w->p->steps; step += every) {
        w->known = step + 1;
        plan_once(w, load_of(w, step, 0), s->plans++, err);
        if (err->status != MOE_OK)
            return;
        score_own(w);
        for (size_t i = 1; i <= every && step + i < w->p->steps; i++)
            score_on(w, step + i);
        s->travelled += changes(w, &s->plan, &w->next);
        moe_plan_copy(&s->plan, &w->next);
        tell(w, step + every < w->p->steps ? step + every : w->p->steps);
    }
}

/* One plan, scored on every step. */
static void run_once(study_run *w, moe_error *err)
{
    const size_t last = w->p->steps - 1;
    const size_t row = (size_t)w->p->layers * (size_t)w->p->env->experts;
    for (size_t i = 0; i < w->p->steps * row; i++) {
        if (i % row == 0)
            moe_bulk_passed(w->p->load + i, row * sizeof(double));
        w->sum[i % row] += w->p->load[i];
    }
    plan_once(w, w->p->use == MOE_STUDY_SUM ? w->sum : load_of(w, last, 0),
              w->out->plans++, err);
    if (err->status != MOE_OK)
        return;
    score_own(w);
    for (size_t step = 0; step < w->p->steps; step++) {
        score_on(w, step);
        tell(w, step + 1);
    }
    moe_plan_copy(&w->out->plan, &w->next);
}

static void run(study_run *w, moe_error *err)
{
    moe_study *s = w->out;
    const bool each = w->p->use == MOE_STUDY_EACH;
    moe_plan_copy(&s->plan, w->p->previous);
    if (each)
        run_steps(w, err);
    else
        run_once(w, err);
    if (err->status != MOE_OK)
        return;
    s->changed = changes(w, w->p->previous, &s->plan);
    moe_summarise(w->time_s, s->plans * (size_t)w->p->repeats, 1, &s->time,
                  err);
}

moe_status moe_study_run(moe_study *study, const moe_study_params *params,
                         moe_error *err)
{
    moe_error local = {0};
    study_run w = {.p = params, .out = study};
    *study = (moe_study){.changed = 0};
    set_up(&w, &local);
    if (local.status == MOE_OK)
        run(&w, &local);
    moe_planner_free(params->planner, w.state);
    moe_plan_fini(&w.next);
    moe_regret_free(w.regret);
    free(w.moves);
    free(w.time_s);
    free(w.sum);
    return moe_pass(err, &local);
}

void moe_study_fini(moe_study *study)
{
    moe_plan_fini(&study->plan);
    free(study->raw);
    free(study->doubles);
    free(study->bound);
    for (int i = 0; i < MOE_STUDY_SCORES; i++)
        free(study->score[i]);
    *study = (moe_study){.changed = 0};
}
