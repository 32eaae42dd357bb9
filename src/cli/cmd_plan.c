/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advise.h"
#include "args_old.h"
#include "commands.h"
#include "moegps/mem.h"
#include "trace.h"

enum { MAX_SLOTS = 1 << 20, MAX_GPUS = 4096 };

enum {
    KEY_LOADS = 256,
    KEY_DATASET,
    KEY_PLANNER,
    KEY_GPUS,
    KEY_NODES,
    KEY_GROUPS,
    KEY_REPLICAS,
    KEY_SET,
    KEY_PREVIOUS,
    KEY_MODEL,
    KEY_CLUSTER,
    KEY_INTERVAL,
    KEY_SEQUENCES,
    KEY_REPEATS,
    KEY_JSON,
    KEY_FORCE
};

static const struct argp_option options[] = {
    {"loads", KEY_LOADS, "FILE", 0,
     ".csv, .npy, .json or .h5 with [layers, experts] or [steps, layers, "
     "experts], or a trace",
     0},
    {"dataset", KEY_DATASET, "NAME", 0,
     "of an HDF5 file; default loads or counts", 0},
    {"planner", KEY_PLANNER, "NAME", 0,
     "see `moegps list planners`; default balance", 0},
    {"gpus", KEY_GPUS, "N", 0, "that hold the experts", 0},
    {"nodes", KEY_NODES, "N", 0, "of equally many GPUs; default 1", 0},
    {"groups", KEY_GROUPS, "N", 0,
     "of experts that stay on a node, for planners with that option", 0},
    {"replicas", KEY_REPLICAS, "N", 0,
     "slots of all GPUs; default: one more on each GPU than experts need", 0},
    {"set", KEY_SET, "KEY=VALUE", 0, "an option of the planner", 0},
    {"previous", KEY_PREVIOUS, "PLAN.json", 0,
     "the placement in force; default: experts at home", 0},
    {"model", KEY_MODEL, "NAME", 0, "for bytes, and planners that weigh time",
     0},
    {"cluster", KEY_CLUSTER, "NAME", 0, "likewise", 0},
    {"interval", KEY_INTERVAL, "N", 0,
     "iterations that a plan is in force; default 1", 0},
    {"sequences", KEY_SEQUENCES, "N", 0,
     "of a step, for the time of attention; default 1", 0},
    {"repeats", KEY_REPEATS, "N", 0, "of planning, for its time; default 5", 0},
    {"json", KEY_JSON, "FILE|-", 0, "write the last plan and all figures", 0},
    {"force", KEY_FORCE, NULL, 0, "replace FILE if it exists", 0},
    MOE_ARGS_HELP,
    {0}};

static moe_status take_set(moe_plan_settings *s, const char *arg,
                           moe_error *err)
{
    if (s->n_sets == PLAN_MAX_SETS || strchr(arg, '=') == NULL)
        return moe_fail(err, MOE_USAGE, "--set: '%s' is not key=value", arg);
    s->set[s->n_sets++] = arg;
    return MOE_OK;
}

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    moe_plan_settings *s = input;
    switch (key) {
    case KEY_LOADS:
        s->loads = arg;
        return MOE_OK;
    case KEY_DATASET:
        s->dataset = arg;
        return MOE_OK;
    case KEY_PLANNER:
        s->planner = arg;
        return MOE_OK;
    case KEY_GPUS:
        return moe_trace_parse_u64(arg, "--gpus", 1, MAX_GPUS, &s->gpus, err);
    case KEY_NODES:
        return moe_trace_parse_u64(arg, "--nodes", 1, MAX_GPUS, &s->nodes, err);
    case KEY_GROUPS:
        return moe_trace_parse_u64(arg, "--groups", 1, 32767, &s->groups, err);
    case KEY_REPLICAS:
        return moe_trace_parse_u64(arg, "--replicas", 1, MAX_SLOTS,
                                   &s->replicas, err);
    case KEY_SET:
        return take_set(s, arg, err);
    case KEY_PREVIOUS:
        s->previous = arg;
        return MOE_OK;
    case KEY_MODEL:
        s->model = arg;
        return MOE_OK;
    case KEY_CLUSTER:
        s->cluster = arg;
        return MOE_OK;
    case KEY_INTERVAL:
        return moe_trace_parse_u64(arg, "--interval", 1, 1000000, &s->interval,
                                   err);
    case KEY_SEQUENCES:
        return moe_trace_parse_u64(arg, "--sequences", 1, 1000000,
                                   &s->sequences, err);
    case KEY_REPEATS:
        return moe_trace_parse_u64(arg, "--repeats", 1, 10000, &s->repeats,
                                   err);
    case KEY_JSON:
        s->json = arg;
        return MOE_OK;
    case KEY_FORCE:
        s->force = true;
        return MOE_OK;
    default:
        return moe_fail(err, MOE_USAGE, "'%s': no argument is wanted", arg);
    }
}

/* ---- what is at work ---- */

static void check_sizes(const moe_plan_settings *s, const moe_plan_loads *l,
                        moe_error *err)
{
    if (s->gpus % s->nodes != 0)
        moe_fail(err, MOE_USAGE, "--nodes: %d nodes do not divide %d GPUs",
                 (int)s->nodes, (int)s->gpus);
    if (l->experts % (int)s->groups != 0)
        moe_fail(err, MOE_USAGE, "--groups: %d groups do not divide %d experts",
                 (int)s->groups, l->experts);
    if (s->replicas % s->gpus != 0)
        moe_fail(err, MOE_USAGE,
                 "--replicas: %d slots do not divide among %d "
                 "GPUs",
                 (int)s->replicas, (int)s->gpus);
    if (s->replicas != 0 && s->replicas < (uint64_t)l->experts)
        moe_fail(err, MOE_USAGE,
                 "--replicas: %d slots are too few for %d "
                 "experts",
                 (int)s->replicas, l->experts);
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

static void set_option(moe_plan_work *w, const char *key, const char *value,
                       moe_error *err)
{
    const moe_opt *row = moe_opt_find(w->planner->opts, key);
    if (row == NULL)
        moe_fail(err, MOE_USAGE, "planner %s has no option '%s'",
                 w->planner->name, key);
    else
        moe_opt_parse(row, value, w->params, err);
}

static void set_options(moe_plan_work *w, const moe_plan_settings *s,
                        moe_error *err)
{
    if (w->planner->opts != NULL)
        moe_opt_defaults(w->planner->opts, w->params);
    if (s->groups > 1) {
        char value[16];
        snprintf(value, sizeof value, "%d", (int)s->groups);
        set_option(w, "groups", value, err);
    }
    for (int i = 0; i < s->n_sets && err->status == MOE_OK; i++) {
        char key[64];
        const char *equals = strchr(s->set[i], '=');
        snprintf(key, sizeof key, "%.*s", (int)(equals - s->set[i]), s->set[i]);
        set_option(w, key, equals + 1, err);
    }
}

static void make_planner(moe_plan_work *w, const moe_plan_settings *s,
                         moe_error *err)
{
    w->planner = moe_planner_find(s->planner);
    if (w->planner == NULL) {
        moe_fail(err, MOE_USAGE, "no planner '%s' (see moegps list planners)",
                 s->planner);
        return;
    }
    w->params = moe_array_new(1, w->planner->params_size, err);
    if (err->status == MOE_OK)
        set_options(w, s, err);
    if (err->status == MOE_OK)
        w->state = moe_planner_new(w->planner, &w->env, w->params, err);
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
    w->time_s = moe_array_new(w->loads.steps * s->repeats, sizeof(double), err);
    w->doubles = moe_array_new(layers, sizeof *w->doubles, err);
    w->bound = moe_array_new(layers, sizeof *w->bound, err);
    for (int i = 0; i < PLAN_N_SCORES; i++)
        w->score[i] = moe_array_new(layers, sizeof *w->score[i], err);
    if (err->status != MOE_OK ||
        moe_regret_init(&w->regret, &w->env, err) != MOE_OK)
        return;
    moe_plan_set_home(&w->previous, &w->env.layout);
    if (s->previous != NULL)
        moe_plan_json_read(s->previous, &w->previous, err);
    moe_plan_copy(&w->plan, &w->previous);
}

static void set_up(moe_plan_work *w, const moe_plan_settings *s, moe_error *err)
{
    if (s->loads == NULL || s->gpus == 0)
        moe_fail(err, MOE_USAGE,
                 "--loads and --gpus are needed (see moegps plan --help)");
    if (s->json != NULL && strcmp(s->json, "-") != 0)
        moe_trace_output_check(&(moe_trace_output){s->json, s->force}, err);
    if (err->status != MOE_OK ||
        moe_plan_loads_read(s->loads, s->dataset, &w->loads, err) != MOE_OK)
        return;
    check_sizes(s, &w->loads, err);
    if (err->status != MOE_OK)
        return;
    const int gpus = (int)s->gpus;
    w->env = (moe_planner_env){.layout = {gpus, gpus / (int)s->nodes},
                               .experts = w->loads.experts,
                               .sequences = (double)s->sequences,
                               .interval = (int)s->interval};
    w->env.slots =
        s->replicas != 0
            ? (int)s->replicas / gpus
            : moe_layout_home_slots(&w->env.layout, w->env.experts) + 1;
    read_profiles(w, s, err);
    if (err->status == MOE_OK)
        make_planner(w, s, err);
    if (err->status == MOE_OK)
        make_plans(w, s, err);
}

static void tear_down(moe_plan_work *w)
{
    moe_plan_loads_fini(&w->loads);
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
    moe_regret_fini(&w->regret);
}

/* ---- planning and scoring ---- */

static const double *load_of(const moe_plan_work *w, size_t step, int layer)
{
    return w->loads.value + (step * (size_t)w->loads.layers + (size_t)layer) *
                                (size_t)w->loads.experts;
}

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
    if (w->planner->plan(w->state, load_of(w, step, l), &current, &next, err) ==
        MOE_OK)
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

static void plan_step(moe_plan_work *w, size_t step, uint64_t repeats,
                      moe_error *err)
{
    for (uint64_t i = 0; i < repeats && err->status == MOE_OK; i++) {
        const double start = cpu_now();
        for (int l = 0; l < w->loads.layers; l++)
            plan_layer(w, step, l, err);
        w->time_s[step * repeats + i] = cpu_now() - start;
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
        const double *load = load_of(w, step, l);
        add(&w->score[PLAN_NOW][l],
            moe_regret_busiest(&w->regret, &next, load, MOE_BY_QUOTA), load,
            experts, gpus);
        add(&w->bound[l], moe_regret_bound(&w->regret, load), load, experts,
            gpus);
        if (step + 1 == w->loads.steps)
            continue;
        load = load_of(w, step + 1, l);
        for (int by = 0; by < MOE_N_DIVISIONS; by++)
            add(&w->score[PLAN_NEXT + by][l],
                moe_regret_busiest(&w->regret, &next, load, (moe_division)by),
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

static const moe_args_old args = {
    .name = "moegps plan",
    .help = "Plan replicas for given loads, offline: how even the plan is, in "
            "every convention in use, what has to travel for it, how long it "
            "takes to make, and, with several steps, what it is worth on the "
            "load of the step after it.",
    .options = options,
    .take = take};

int moe_cmd_plan(int argc, char **argv)
{
    moe_error err = {0};
    moe_plan_settings s = {.dataset = "",
                           .planner = "balance",
                           .nodes = 1,
                           .groups = 1,
                           .interval = 1,
                           .sequences = 1,
                           .repeats = 5};
    moe_plan_work w = {0};
    moe_plan_facts f = {0};
    bool help = false;
    moe_args_old_parse(&args, argc, argv, &s, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK)
        set_up(&w, &s, &err);
    if (err.status == MOE_OK)
        run_steps(&w, &s, &err);
    if (err.status == MOE_OK)
        moe_plan_collect(&w, &s, &f, &err);
    if (err.status == MOE_OK && (s.json == NULL || strcmp(s.json, "-") != 0))
        moe_plan_print(&w, &s, &f);
    if (err.status == MOE_OK && s.json != NULL)
        moe_plan_write_json(&w, &s, &f, &err);
    tear_down(&w);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
