/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "advise.h"
#include "args.h"
#include "commands.h"
#include "moegps/mem.h"
#include "moegps/regret.h"
#include "moegps/stats.h"
#include "moegps/table.h"
#include "trace.h"

enum { MAX_SETS = 16, MAX_SLOTS = 1 << 24, MAX_GPUS = 65536 };

typedef struct {
    const char *loads, *dataset, *planner, *previous, *model, *cluster, *json;
    const char *set[MAX_SETS]; /* key=value of the planner */
    int n_sets;
    uint64_t gpus, nodes, groups, replicas, repeats, interval, sequences;
    bool force;
} settings;

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

static moe_status take_set(settings *s, const char *arg, moe_error *err)
{
    if (s->n_sets == MAX_SETS || strchr(arg, '=') == NULL)
        return moe_fail(err, MOE_USAGE, "--set: '%s' is not key=value", arg);
    s->set[s->n_sets++] = arg;
    return MOE_OK;
}

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    settings *s = input;
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
        return trace_parse_u64(arg, "--gpus", 1, MAX_GPUS, &s->gpus, err);
    case KEY_NODES:
        return trace_parse_u64(arg, "--nodes", 1, MAX_GPUS, &s->nodes, err);
    case KEY_GROUPS:
        return trace_parse_u64(arg, "--groups", 1, 32767, &s->groups, err);
    case KEY_REPLICAS:
        return trace_parse_u64(arg, "--replicas", 1, MAX_SLOTS, &s->replicas,
                               err);
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
        return trace_parse_u64(arg, "--interval", 1, 1000000, &s->interval,
                               err);
    case KEY_SEQUENCES:
        return trace_parse_u64(arg, "--sequences", 1, 1000000, &s->sequences,
                               err);
    case KEY_REPEATS:
        return trace_parse_u64(arg, "--repeats", 1, 10000, &s->repeats, err);
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

/* Sums that every convention of balance is made from. */
typedef struct {
    double ratio, inverse, mean, most; /* of mean / max; max / mean; loads */
    size_t n;
} tally;

enum { PLANNED, NEXT, N_SCORES = NEXT + MOE_N_DIVISIONS };
static const char *const score_names[N_SCORES] = {
    "planned", "next step, quota", "next step, equal", "next step, minmax"};

typedef struct {
    plan_loads loads;
    moe_planner_env env;
    const moe_planner *planner;
    void *params, *state;
    moe_model model;
    moe_cluster cluster;
    const moe_cost *cost;
    void *cost_state;
    moe_pricer pricer;
    moe_plan previous, plan, next; /* before all, in force, being made */
    int16_t *raw;                  /* [layers][gpus][slots] of next */
    moe_regret regret;
    tally *score[N_SCORES]; /* [layers] */
    tally *bound;           /* [layers] */
    int *doubles;           /* [layers] on the same GPU, of the last step */
    size_t changed;         /* slots of all steps */
    moe_move *moves;
    double *time_s; /* [steps * repeats] CPU */
} work;

static void check_sizes(const settings *s, const plan_loads *l, moe_error *err)
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

static void read_profiles(work *w, const settings *s, moe_error *err)
{
    if (s->model != NULL)
        advise_read_model(s->model, &w->model, err);
    if (s->cluster != NULL && s->model == NULL)
        moe_fail(err, MOE_USAGE, "--cluster goes with --model");
    if (s->model != NULL && err->status == MOE_OK &&
        w->model.experts != w->loads.experts)
        moe_fail(err, MOE_MISMATCH, "%s: has %d experts; model %s has %d",
                 s->loads, w->loads.experts, w->model.name, w->model.experts);
    if (s->cluster == NULL || err->status != MOE_OK ||
        advise_read_cluster(s->cluster, &w->cluster, err) != MOE_OK)
        return;
    w->cost = moe_cost_find(w->cluster.cost);
    w->cost_state = moe_array_new(1, w->cost->state_size, err);
    if (err->status == MOE_OK)
        w->cost->init(w->cost_state, &w->model, &w->cluster, err);
    w->pricer = (moe_pricer){w->cost, w->cost_state, &w->model, w->env.layout};
    w->env.pricer = &w->pricer;
}

static void set_option(work *w, const char *key, const char *value,
                       moe_error *err)
{
    const moe_opt *row = moe_opt_find(w->planner->opts, key);
    if (row == NULL)
        moe_fail(err, MOE_USAGE, "planner %s has no option '%s'",
                 w->planner->name, key);
    else
        moe_opt_parse(row, value, w->params, err);
}

static void set_options(work *w, const settings *s, moe_error *err)
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

static void make_planner(work *w, const settings *s, moe_error *err)
{
    w->planner = moe_planner_find(s->planner);
    if (w->planner == NULL) {
        moe_fail(err, MOE_USAGE, "no planner '%s' (see moegps list planners)",
                 s->planner);
        return;
    }
    w->params = moe_array_new(1, w->planner->params_size, err);
    w->state = moe_array_new(1, w->planner->state_size, err);
    if (err->status == MOE_OK)
        set_options(w, s, err);
    if (err->status == MOE_OK)
        w->planner->init(w->state, &w->env, w->params, err);
}

static void make_plans(work *w, const settings *s, moe_error *err)
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
    for (int i = 0; i < N_SCORES; i++)
        w->score[i] = moe_array_new(layers, sizeof *w->score[i], err);
    if (err->status != MOE_OK ||
        moe_regret_init(&w->regret, &w->env, err) != MOE_OK)
        return;
    moe_plan_set_home(&w->previous, &w->env.layout);
    if (s->previous != NULL)
        plan_json_read(s->previous, &w->previous, err);
    moe_plan_copy(&w->plan, &w->previous);
}

static void set_up(work *w, const settings *s, moe_error *err)
{
    if (s->loads == NULL || s->gpus == 0)
        moe_fail(err, MOE_USAGE,
                 "--loads and --gpus are needed (see moegps plan --help)");
    if (s->json != NULL && strcmp(s->json, "-") != 0)
        trace_output_check(&(trace_output){s->json, s->force}, err);
    if (err->status != MOE_OK ||
        plan_loads_read(s->loads, s->dataset, &w->loads, err) != MOE_OK)
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

static void tear_down(work *w)
{
    plan_loads_fini(&w->loads);
    if (w->state != NULL)
        w->planner->fini(w->state);
    free(w->params);
    free(w->state);
    if (w->cost_state != NULL)
        w->cost->fini(w->cost_state);
    free(w->cost_state);
    moe_plan_fini(&w->previous);
    moe_plan_fini(&w->plan);
    moe_plan_fini(&w->next);
    free(w->raw);
    free(w->moves);
    free(w->time_s);
    free(w->doubles);
    free(w->bound);
    for (int i = 0; i < N_SCORES; i++)
        free(w->score[i]);
    moe_regret_fini(&w->regret);
}

/* ---- planning and scoring ---- */

static const double *load_of(const work *w, size_t step, int layer)
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

static void plan_layer(work *w, size_t step, int l, moe_error *err)
{
    moe_plan_layer current = moe_plan_at(&w->plan, l);
    moe_plan_layer next = moe_plan_at(&w->next, l);
    if (w->planner->plan(w->state, load_of(w, step, l), &current, &next, err) ==
        MOE_OK)
        moe_plan_layer_settle(&current, &next);
}

/* Replicas that share a GPU with another one of their expert. */
static void note_raw(work *w, int l)
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

static void plan_step(work *w, size_t step, uint64_t repeats, moe_error *err)
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

static void add(tally *t, double most, const double *load, int experts,
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

static void score_step(work *w, size_t step)
{
    const int experts = w->loads.experts, gpus = w->env.layout.gpus;
    for (int l = 0; l < w->loads.layers; l++) {
        const moe_plan_layer next = moe_plan_at(&w->next, l);
        const double *load = load_of(w, step, l);
        add(&w->score[PLANNED][l],
            moe_regret_busiest(&w->regret, &next, load, MOE_BY_QUOTA), load,
            experts, gpus);
        add(&w->bound[l], moe_regret_bound(&w->regret, load), load, experts,
            gpus);
        if (step + 1 == w->loads.steps)
            continue;
        load = load_of(w, step + 1, l);
        for (int by = 0; by < MOE_N_DIVISIONS; by++)
            add(&w->score[NEXT + by][l],
                moe_regret_busiest(&w->regret, &next, load, (moe_division)by),
                load, experts, gpus);
    }
}

static void run_steps(work *w, const settings *s, moe_error *err)
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

/* ---- output ---- */

static tally sum_of(const tally *of_layer, int layers)
{
    tally t = {0};
    for (int l = 0; l < layers; l++) {
        t.ratio += of_layer[l].ratio;
        t.inverse += of_layer[l].inverse;
        t.mean += of_layer[l].mean;
        t.most += of_layer[l].most;
        t.n += of_layer[l].n;
    }
    return t;
}

/* The conventions in use for how even a plan is; papers and programs mean
 * different ones by the same words. */
enum { N_CONVENTIONS = 4 };
static const char *const conventions[N_CONVENTIONS][2] = {
    {"mean/max, then averaged", "balancedness_mean"},
    {"sum of means / sum of max", "balancedness_of_sums"},
    {"max/mean, averaged", "imbalance"},
    {"max/mean - 1, averaged", "excess"}};

static double by_convention(const tally *t, int which)
{
    const double n = (double)t->n;
    switch (which) {
    case 0:
        return t->n > 0 ? t->ratio / n : NAN;
    case 1:
        return t->n > 0 ? t->mean / t->most : NAN;
    case 2:
        return t->n > 0 ? t->inverse / n : NAN;
    default:
        return t->n > 0 ? t->inverse / n - 1 : NAN;
    }
}

static int used_slots(const moe_plan_layer *layer)
{
    int n = 0;
    for (int k = 0; k < layer->gpus * layer->slots; k++)
        n += layer->quota[k] > 0;
    return n;
}

static void print_layers(const work *w, int n_scores)
{
    static const moe_column columns[] = {
        {"layer", NULL, MOE_RIGHT},       {"slots used", NULL, MOE_RIGHT},
        {"same GPU", NULL, MOE_RIGHT},    {"bound", NULL, MOE_RIGHT},
        {"planned", NULL, MOE_RIGHT},     {"next: quota", NULL, MOE_RIGHT},
        {"next: equal", NULL, MOE_RIGHT}, {"next: minmax", NULL, MOE_RIGHT}};
    moe_table *table = moe_table_new(columns, 4 + (size_t)n_scores);
    for (int l = 0; l < w->loads.layers; l++) {
        const moe_plan_layer layer = moe_plan_at(&w->plan, l);
        moe_table_cell(table, "%d", l);
        moe_table_cell(table, "%d", used_slots(&layer));
        moe_table_cell(table, "%d", w->doubles[l]);
        moe_table_cell(table, "%.4f", by_convention(&w->bound[l], 0));
        for (int i = 0; i < n_scores; i++)
            moe_table_cell(table, "%.4f", by_convention(&w->score[i][l], 0));
    }
    moe_table_print(table, stdout);
    moe_table_free(table);
}

static void print_conventions(const work *w, int n_scores)
{
    static const moe_column columns[] = {
        {"all layers", NULL, MOE_LEFT},   {"bound", NULL, MOE_RIGHT},
        {"planned", NULL, MOE_RIGHT},     {"next: quota", NULL, MOE_RIGHT},
        {"next: equal", NULL, MOE_RIGHT}, {"next: minmax", NULL, MOE_RIGHT}};
    moe_table *table = moe_table_new(columns, 2 + (size_t)n_scores);
    const tally bound = sum_of(w->bound, w->loads.layers);
    for (int c = 0; c < N_CONVENTIONS; c++) {
        moe_table_cell(table, "%s", conventions[c][0]);
        moe_table_cell(table, "%.4f", by_convention(&bound, c));
        for (int i = 0; i < n_scores; i++) {
            const tally t = sum_of(w->score[i], w->loads.layers);
            moe_table_cell(table, "%.4f", by_convention(&t, c));
        }
    }
    moe_table_print(table, stdout);
    moe_table_free(table);
}

typedef struct {
    size_t changed; /* slots of the last plan against the one before all */
    double bytes;   /* NaN: unknown */
    int doubles;
    moe_summary time;
} facts;

static void collect_facts(work *w, const settings *s, facts *f, moe_error *err)
{
    f->changed = moe_plan_moves(&w->previous, &w->plan, 0, w->loads.layers,
                                &w->env.layout, w->moves);
    f->bytes = s->model != NULL
                   ? (double)f->changed * moe_model_expert_bytes(&w->model)
                   : NAN;
    f->doubles = 0;
    for (int l = 0; l < w->loads.layers; l++)
        f->doubles += w->doubles[l];
    moe_summarise(w->time_s, w->loads.steps * s->repeats, &f->time, err);
}

static void print_facts(const work *w, const settings *s, const facts *f)
{
    const size_t slots =
        (size_t)w->loads.layers * (size_t)w->plan.gpus * (size_t)w->plan.slots;
    char bytes[32] = "bytes need --model", text[3][32];
    if (!isnan(f->bytes))
        moe_format_bytes(f->bytes, bytes, sizeof bytes);
    printf("replicas that share a GPU with another of their expert: %d\n",
           f->doubles);
    printf("slots changed against %s: %zu of %zu (%.1f %%), %s\n",
           s->previous != NULL ? s->previous : "the home placement", f->changed,
           slots, 100.0 * (double)f->changed / (double)slots, bytes);
    if (w->loads.steps > 1)
        printf("slots changed from step to step: %zu, %.1f %% a step\n",
               w->changed,
               100.0 * (double)w->changed / (double)slots /
                   (double)w->loads.steps);
    moe_format_time(f->time.median, text[0], sizeof text[0]);
    moe_format_time(f->time.min, text[1], sizeof text[1]);
    moe_format_time(f->time.max, text[2], sizeof text[2]);
    printf("planner time, all layers, CPU of one core: median %s (%s to %s, "
           "n %zu)\n",
           text[0], text[1], text[2], f->time.n);
}

static void print_all(const work *w, const settings *s, const facts *f)
{
    const int n_scores = w->loads.steps > 1 ? N_SCORES : NEXT;
    printf("%s: %zu step%s, %d layers, %d experts, %d slots on %d GPUs of %d "
           "node%s\n",
           w->planner->name, w->loads.steps, w->loads.steps == 1 ? "" : "s",
           w->loads.layers, w->loads.experts, w->plan.gpus * w->plan.slots,
           w->plan.gpus, (int)s->nodes, s->nodes == 1 ? "" : "s");
    printf("balancedness: mean / max load of a GPU%s; slots of the last "
           "plan\n\n",
           n_scores > 1 ? ", mean over steps; next: the plan of a step on the "
                          "load of the next"
                        : "");
    print_layers(w, n_scores);
    putchar('\n');
    print_conventions(w, n_scores);
    putchar('\n');
    print_facts(w, s, f);
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *scores_json(const tally *of_layer, int layers)
{
    json_t *o = json_object(), *rows = json_array();
    const tally all = sum_of(of_layer, layers);
    for (int c = 0; c < N_CONVENTIONS; c++)
        json_object_set_new(o, conventions[c][1],
                            number(by_convention(&all, c)));
    for (int l = 0; l < layers; l++)
        json_array_append_new(rows, number(by_convention(&of_layer[l], 0)));
    json_object_set_new(o, "balancedness", rows);
    return o;
}

static void write_json(const work *w, const settings *s, const facts *f,
                       moe_error *err)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(12);
    json_t *root = plan_json_of(&w->plan, w->raw), *scores = json_object();
    json_object_set_new(root, "planner", json_string(w->planner->name));
    json_object_set_new(root, "nodes", json_integer((json_int_t)s->nodes));
    json_object_set_new(root, "groups", json_integer((json_int_t)s->groups));
    json_object_set_new(scores, "bound",
                        scores_json(w->bound, w->loads.layers));
    for (int i = 0; i < (w->loads.steps > 1 ? N_SCORES : NEXT); i++)
        json_object_set_new(scores, score_names[i],
                            scores_json(w->score[i], w->loads.layers));
    json_object_set_new(root, "scores", scores);
    json_object_set_new(root, "same_gpu_duplicates", json_integer(f->doubles));
    json_object_set_new(root, "changed_slots",
                        json_integer((json_int_t)f->changed));
    json_object_set_new(root, "changed_bytes", number(f->bytes));
    json_object_set_new(root, "planner_cpu_s", number(f->time.median));
    json_object_set_new(root, "planner_samples",
                        json_integer((json_int_t)f->time.n));
    const bool console = strcmp(s->json, "-") == 0;
    const int rc = console ? json_dumpf(root, stdout, flags)
                           : json_dump_file(root, s->json, flags);
    json_decref(root);
    if (rc != 0)
        moe_fail(err, MOE_IO, "%s: cannot write JSON", s->json);
    else if (console)
        putchar('\n');
}

static const moe_args args = {
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
    settings s = {.dataset = "",
                  .planner = "balance",
                  .nodes = 1,
                  .groups = 1,
                  .interval = 1,
                  .sequences = 1,
                  .repeats = 5};
    work w = {0};
    facts f = {0};
    bool help = false;
    moe_args_parse(&args, argc, argv, &s, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK)
        set_up(&w, &s, &err);
    if (err.status == MOE_OK)
        run_steps(&w, &s, &err);
    if (err.status == MOE_OK)
        collect_facts(&w, &s, &f, &err);
    if (err.status == MOE_OK && (s.json == NULL || strcmp(s.json, "-") != 0))
        print_all(&w, &s, &f);
    if (err.status == MOE_OK && s.json != NULL)
        write_json(&w, &s, &f, &err);
    tear_down(&w);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
