/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "commands.h"
#include "moegps/mem.h"
#include "moegps/replace.h"
#include "parse.h"

#define AT(member) MOE_OPT_AT(moe_plan_settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_STRING("loads", loads, NULL, "FILE",
                    ".csv, .npy, .json or .h5 with [layers, experts] or "
                    "[steps, layers, experts], or a trace"),
    MOE_ARGS_INT("gpus", gpus, NULL, 1, 4096, "that hold the experts"),
    MOE_ARGS_STRING("dataset", dataset, "", "NAME",
                    "of an HDF5 file; default: loads or counts"),
    MOE_ARGS_CALL("planner", planner, "balance", moe_parse_planner, "NAME",
                  "see `moegps list planners`"),
    MOE_ARGS_INT("nodes", nodes, "1", 1, 4096, "of equally many GPUs"),
    MOE_ARGS_INT("groups", groups, "1", 1, 32767,
                 "of experts that stay on a node, for planners with that "
                 "option"),
    MOE_ARGS_SLOTS("default: one more than experts need"),
    MOE_ARGS_REPLICAS,
    MOE_ARGS_SET("an option of the planner"),
    MOE_ARGS_STRING("previous", previous, "", "PLAN.json",
                    "the placement in force; default: experts at home"),
    MOE_ARGS_STRING("model", model, "", "FILE|NAME",
                    "for bytes, and planners that weigh time"),
    MOE_ARGS_STRING("cluster", cluster, "", "FILE|NAME",
                    "for planners that weigh time"),
    MOE_ARGS_INTERVAL(interval, 1000000, "iterations that a plan serves"),
    {.key = "batch",
     .alias = "sequences",
     .type = MOE_OPT_INT,
     .initial = "1",
     .min = 1,
     .max = 1000000,
     AT(batch),
     .help = "sequences of a step, for the time of attention"},
    MOE_ARGS_INT("repeats", repeats, "5", 1, 10000,
                 "of planning, for its time"),
    MOE_ARGS_JSON,
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps plan",
    .help = "Plan replicas for given loads, offline: how even the plan is, in "
            "every convention in use, what has to travel for it, how long it "
            "takes to make, and, with several steps, what it is worth on the "
            "load of the step after it.",
    .rows = rows};

/* ---- what is at work ---- */

/* @param slots  per GPU, as asked for; 0: as many as there should be. */
static void check_sizes(const moe_plan_settings *s, const moe_loads *l,
                        int slots, moe_error *err)
{
    if (s->gpus % s->nodes != 0)
        moe_fail(err, MOE_USAGE, "--nodes: %d nodes do not divide %d GPUs",
                 s->nodes, s->gpus);
    if (l->experts % s->groups != 0)
        moe_fail(err, MOE_USAGE, "--groups: %d groups do not divide %d experts",
                 s->groups, l->experts);
    if (slots != 0 && slots * s->gpus < l->experts)
        moe_fail(err, MOE_USAGE, "%s: %d slots are too few for %d experts",
                 s->slots > 0 ? "--slots" : "--replicas", slots * s->gpus,
                 l->experts);
}

/* Time is that of pairs; shares of a load have none. */
static void check_pairs(const moe_plan_work *w, const char *path,
                        moe_error *err)
{
    double sum = 0;
    for (int e = 0; e < w->loads.experts; e++)
        sum += w->loads.value[e];
    if (sum < w->model.top_k)
        moe_fail(err, MOE_MISMATCH,
                 "%s: loads of step 0, layer 0 sum to %g; --cluster wants "
                 "pairs, not shares",
                 path, sum);
}

static void read_profiles(moe_plan_work *w, const moe_plan_settings *s,
                          moe_error *err)
{
    if (s->model != NULL)
        moe_model_read(s->model, &w->model, err);
    if (s->cluster != NULL && s->model == NULL)
        moe_fail(err, MOE_USAGE, "--cluster goes with --model");
    if (s->model != NULL && err->status == MOE_OK &&
        w->model.experts != w->loads.experts)
        moe_fail(err, MOE_MISMATCH, "%s: has %d experts; model %s has %d",
                 s->loads, w->loads.experts, w->model.name, w->model.experts);
    if (s->cluster == NULL || err->status != MOE_OK ||
        moe_cluster_read(s->cluster, &w->cluster, err) != MOE_OK)
        return;
    check_pairs(w, s->loads, err);
    w->cost = moe_cost_find(w->cluster.cost);
    w->cost_state = moe_cost_new(w->cost, &w->model, &w->cluster, err);
    w->pricer = (moe_pricer){w->cost, w->cost_state, &w->model, w->env.layout};
    w->env.pricer = &w->pricer;
}

static void set_option(const moe_planner *planner, const char *key,
                       const char *value, void *params, moe_error *err)
{
    const moe_opt *row = moe_opt_find(planner->opts, key);
    if (row == NULL)
        moe_fail(err, MOE_USAGE, "planner %s has no option '%s'", planner->name,
                 key);
    else
        moe_opt_parse(row, value, params, err);
}

static void set_options(moe_plan_work *w, const moe_plan_settings *s,
                        moe_error *err)
{
    char text[64];
    moe_opt_defaults(s->planner->opts, w->params);
    snprintf(text, sizeof text, "%d", s->groups);
    if (s->groups > 1)
        set_option(s->planner, "groups", text, w->params, err);
    for (int i = 0; i < s->set.n && err->status == MOE_OK; i++) {
        const char *equals = strchr(s->set.text[i], '=');
        if (equals == NULL) {
            moe_fail(err, MOE_USAGE, "--set: '%s' is not key=value",
                     s->set.text[i]);
            return;
        }
        snprintf(text, sizeof text, "%.*s", (int)(equals - s->set.text[i]),
                 s->set.text[i]);
        set_option(s->planner, text, equals + 1, w->params, err);
    }
}

static void make_planner(moe_plan_work *w, const moe_plan_settings *s,
                         moe_error *err)
{
    w->params = moe_array_new(1, s->planner->params_size, err);
    if (err->status == MOE_OK)
        set_options(w, s, err);
    if (err->status == MOE_OK)
        w->state = moe_planner_new(s->planner, &w->env, w->params, err);
}

static void make_plans(moe_plan_work *w, const moe_plan_settings *s,
                       moe_error *err)
{
    const int l = w->loads.layers, e = w->loads.experts;
    const int g = w->env.layout.gpus, k = w->env.slots;
    const size_t layers = (size_t)l, n = layers * (size_t)g * (size_t)k;
    moe_plan_init(&w->previous, l, e, g, k, err);
    moe_plan_init(&w->plan, l, e, g, k, err);
    moe_plan_init(&w->next, l, e, g, k, err);
    w->raw = moe_array_new(n, sizeof *w->raw, err);
    w->moves = moe_array_new(n, sizeof *w->moves, err);
    w->time_s =
        moe_array_new(w->loads.steps * (size_t)s->repeats, sizeof(double), err);
    w->doubles = moe_array_new(layers, sizeof *w->doubles, err);
    w->bound = moe_array_new(layers, sizeof *w->bound, err);
    for (int i = 0; i < PLAN_N_SCORES; i++)
        w->score[i] = moe_array_new(layers, sizeof *w->score[i], err);
    if (err->status == MOE_OK)
        w->regret = moe_regret_new(&w->env, err);
    if (err->status != MOE_OK)
        return;
    moe_plan_set_home(&w->previous, &w->env.layout);
    if (s->previous != NULL)
        moe_plan_file_read(s->previous, &w->previous, err);
    moe_plan_copy(&w->plan, &w->previous);
}

static void set_up(moe_plan_work *w, const moe_plan_settings *s, moe_error *err)
{
    int slots = 0;
    if (moe_replace_check(s->json, s->force, err) != MOE_OK ||
        moe_parsed_slots(s->slots, s->replicas, s->gpus, &slots, err) !=
            MOE_OK ||
        moe_loads_read(s->loads, s->dataset, &w->loads, err) != MOE_OK)
        return;
    check_sizes(s, &w->loads, slots, err);
    if (err->status != MOE_OK)
        return;
    w->env = (moe_planner_env){.layout = {s->gpus, s->gpus / s->nodes},
                               .experts = w->loads.experts,
                               .sequences = s->batch,
                               .interval = s->interval};
    w->env.slots =
        slots != 0 ? slots
                   : moe_layout_home_slots(&w->env.layout, w->env.experts) + 1;
    read_profiles(w, s, err);
    if (err->status == MOE_OK)
        make_planner(w, s, err);
    if (err->status == MOE_OK)
        make_plans(w, s, err);
}

static void tear_down(moe_plan_work *w)
{
    moe_loads_fini(&w->loads);
    moe_planner_free(w->planner, w->state);
    free(w->params);
    moe_cost_free(w->cost, w->cost_state);
    moe_plan_fini(&w->previous);
    moe_plan_fini(&w->plan);
    moe_plan_fini(&w->next);
    free(w->raw);
    free(w->moves);
    free(w->time_s);
    free(w->doubles);
    free(w->bound);
    for (int i = 0; i < PLAN_N_SCORES; i++)
        free(w->score[i]);
    moe_regret_free(w->regret);
}

/* ---- planning and scoring ---- */

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void plan_layer(moe_plan_work *w, size_t step, int l, moe_error *err)
{
    moe_plan_layer current = moe_plan_at(&w->plan, l);
    moe_plan_layer next = moe_plan_at(&w->next, l);
    if (w->planner->plan(w->state, moe_loads_at(&w->loads, step, l), &current,
                         &next, err) == MOE_OK)
        moe_plan_layer_settle(&current, &next);
}

/* Replicas that share a GPU with another one of their expert. */
static void note_raw(moe_plan_work *w, int l)
{
    const moe_plan_layer next = moe_plan_at(&w->next, l);
    const size_t n = (size_t)next.gpus * (size_t)next.slots;
    int16_t *to = w->raw + (size_t)l * n;
    memcpy(to,
           w->planner->raw != NULL ? w->planner->raw(w->state) : next.expert,
           n * sizeof *to);
    w->doubles[l] = 0;
    for (size_t k = 0; k < n; k++) {
        const size_t base = k / (size_t)next.slots * (size_t)next.slots;
        bool again = false;
        for (size_t j = base; j < k && to[k] >= 0; j++)
            again = again || to[j] == to[k];
        w->doubles[l] += again;
    }
}

static void plan_step(moe_plan_work *w, size_t step, int repeats,
                      moe_error *err)
{
    for (int i = 0; i < repeats && err->status == MOE_OK; i++) {
        const double start = cpu_now();
        for (int l = 0; l < w->loads.layers; l++)
            plan_layer(w, step, l, err);
        w->time_s[step * (size_t)repeats + (size_t)i] = cpu_now() - start;
    }
    /* once more, as only the last raw placement of a planner is there */
    for (int l = 0; l < w->loads.layers && err->status == MOE_OK; l++) {
        plan_layer(w, step, l, err);
        note_raw(w, l);
    }
}

static void add(moe_plan_tally *t, double most, const double *load, int experts,
                int gpus)
{
    double mean = 0;
    for (int e = 0; e < experts; e++)
        mean += load[e] / gpus;
    t->ratio += mean / most;
    t->inverse += most / mean;
    t->mean += mean;
    t->most += most;
    t->n++;
}

static void score_step(moe_plan_work *w, size_t step)
{
    const int experts = w->loads.experts, gpus = w->env.layout.gpus;
    for (int l = 0; l < w->loads.layers; l++) {
        const moe_plan_layer next = moe_plan_at(&w->next, l);
        const double *load = moe_loads_at(&w->loads, step, l);
        add(&w->score[PLAN_NOW][l],
            moe_regret_busiest(w->regret, &next, load, MOE_DIVISION_QUOTA),
            load, experts, gpus);
        add(&w->bound[l], moe_regret_bound(w->regret, load), load, experts,
            gpus);
        if (step + 1 == w->loads.steps)
            continue;
        load = moe_loads_at(&w->loads, step + 1, l);
        for (int by = 0; by < MOE_N_DIVISIONS; by++)
            add(&w->score[PLAN_NEXT + by][l],
                moe_regret_busiest(w->regret, &next, load, (moe_division)by),
                load, experts, gpus);
    }
}

static void run_steps(moe_plan_work *w, const moe_plan_settings *s,
                      moe_error *err)
{
    for (size_t step = 0; step < w->loads.steps; step++) {
        plan_step(w, step, s->repeats, err);
        if (err->status != MOE_OK)
            return;
        score_step(w, step);
        w->changed += moe_plan_moves(&w->plan, &w->next, 0, w->loads.layers,
                                     &w->env.layout, w->moves);
        moe_plan_copy(&w->plan, &w->next);
    }
}

/* ---- the command ---- */

static void plan(const moe_plan_settings *s, moe_error *err)
{
    moe_plan_work w = {.planner = s->planner};
    moe_plan_facts f = {0};
    set_up(&w, s, err);
    if (err->status == MOE_OK)
        run_steps(&w, s, err);
    if (err->status == MOE_OK)
        moe_plan_collect(&w, s, &f, err);
    if (err->status == MOE_OK && (s->json == NULL || strcmp(s->json, "-") != 0))
        moe_plan_print(&w, s, &f);
    if (err->status == MOE_OK && s->json != NULL)
        moe_plan_write_json(&w, s, &f, err);
    tear_down(&w);
}

int moe_cmd_plan(int argc, char **argv)
{
    moe_error err = {0};
    moe_plan_settings s = {.loads = NULL};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        plan(&s, &err);
    return moe_args_end(&args, &s, &err);
}
