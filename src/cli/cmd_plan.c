/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "emit.h"
#include "load_page.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/outlast.h"
#include "moegps/plan_file.h"
#include "moegps/replace.h"
#include "moegps/trace.h"
#include "parse.h"

static const char *const uses[] = {[MOE_STUDY_EACH] = "each",
                                   [MOE_STUDY_SUM] = "sum",
                                   [MOE_STUDY_LAST] = "last",
                                   NULL};

#define AT(member) MOE_OPT_AT(moe_plan_settings, member)
static const moe_opt rows[] = {
    {.key = "loads",
     .form = "FILE...",
     .type = MOE_OPT_STRINGS,
     .initial = NULL,
     AT(recorded.files),
     .help = "a recording, in any form that `trace import` knows, or a trace; "
             "several are added up"},
    MOE_ARGS_INT("gpus", gpus, NULL, 1, 4096, "that hold the experts"),
    MOE_ARGS_RECORDED(recorded),
    MOE_ARGS_INT("experts", recorded.experts, "", 1, MOE_MAX_EXPERTS,
                 "of the model, where some were never seen"),
    MOE_ARGS_CALL("planner", planner, "balance", moe_parse_planner, "NAME",
                  "see `moegps list planners`"),
    MOE_ARGS_CALL("split", split, "", moe_parse_split_name, "NAME",
                  "that the plan is made for; see `moegps list splits`; "
                  "default: quota; equal with --emit, and where --previous is "
                  "an engine's file"),
    MOE_ARGS_INT(
        "nodes", nodes, "", 1, 4096,
        "of equally many GPUs; default: as --cluster has them, without "
        "it and with --active one"),
    MOE_ARGS_INT("groups", groups, "1", 1, 32767,
                 "of experts that stay on a node, for planners with that "
                 "option"),
    MOE_ARGS_SLOTS("default: one more than experts need"),
    {.key = "replicas",
     .type = MOE_OPT_REALS,
     .initial = "",
     .min = 1,
     .max = 1 << 20,
     AT(replicas),
     .help = "slots of all GPUs in a layer, instead of --slots; of several "
             "numbers, as in 256,272,288, a table says what each is worth"},
    MOE_ARGS_SET("an option of the planner; planner.KEY is the same"),
    MOE_ARGS_WORD("steps", steps, "sum", uses,
                  "of several steps plan the sum, the last one, or each one "
                  "after the other"),
    MOE_ARGS_EMIT(emit),
    MOE_ARGS_STRING("previous", previous, "", "FILE",
                    "the placement in force, as --json or an engine's file "
                    "has it, also of another number of GPUs; default: experts "
                    "at home"),
    MOE_ARGS_STRING("active", active, "", "LIST",
                    "of the GPUs those that are in use, by number, as in "
                    "0-5,7; default: all"),
    MOE_ARGS_STRING("model", model, "", "FILE|NAME",
                    "for bytes, and planners that weigh time"),
    MOE_ARGS_STRING("cluster", cluster, "", "FILE|NAME",
                    "for planners that weigh time"),
    MOE_ARGS_INTERVAL(
        interval, 1000000,
        "steps that a plan serves: as many later it is made anew"),
    {.key = "batch",
     .type = MOE_OPT_INT,
     .initial = "1",
     .min = 1,
     .max = 1000000,
     AT(batch),
     .help = "sequences of a step, for the time of attention"},
    MOE_ARGS_INT("repeats", repeats, "5", 1, 10000,
                 "of planning, for its time"),
    MOE_ARGS_OUTPUT("", "DIR",
                    "write a page, DIR/plan.html: how uneven GPUs are under "
                    "the plan, how loads drift, how long a plan stays good"),
    MOE_ARGS_JSON,
    MOE_ARGS_FORCE,
    {.key = NULL}};

/* Further ones of --loads. */
static const moe_opt arguments[] = {
    {.key = "FILE", .type = MOE_OPT_STRINGS, .initial = "", AT(recorded.files)},
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps plan",
    .example = "moegps plan --loads jobs/traces/mixtral-8x7b-mmlu.h5 --gpus 4 "
               "--replicas 12",
    .help = "Plan replicas for given loads, offline: how even the plan is, in "
            "every convention in use, what has to travel for it, how long it "
            "takes to make, and, with several steps, what it is worth on the "
            "load of the step after it.",
    .rows = rows,
    .arguments = arguments};

/* ---- what is read ---- */

static void check_sizes(const moe_plan_settings *s, const moe_recording *l,
                        moe_error *err)
{
    if (s->nodes > 0 && s->gpus % s->nodes != 0)
        moe_fail(err, MOE_USAGE, "--nodes: %d nodes do not divide %d GPUs",
                 s->nodes, s->gpus);
    if (l->experts % s->groups != 0)
        moe_fail(err, MOE_USAGE, "--groups: %d groups do not divide %d experts",
                 s->groups, l->experts);
}

/* Time is that of pairs; shares of a load have none. */
static void check_pairs(const moe_plan_offline *w, const char *path,
                        moe_error *err)
{
    double sum = 0;
    for (int e = 0; e < w->loads.experts; e++)
        sum += w->loads.load[e];
    if (sum < w->model.top_k)
        moe_fail(err, MOE_MISMATCH,
                 "%s: loads of step 0, layer %d sum to %g; --cluster wants "
                 "pairs, not shares",
                 path, w->loads.layer_number[0], sum);
}

/* The model's number of experts is that of the file, whatever was seen. */
static void read_loads(moe_plan_offline *w, const moe_plan_settings *s,
                       moe_error *err)
{
    moe_recording_options options = {.kind = MOE_RECORDING_LOADS};
    if (s->model != NULL &&
        moe_model_read(s->model, &w->model, err) == MOE_OK) {
        options.experts = w->model.experts;
        options.layers = w->model.layers;
        options.first_layer = w->model.first_layer;
        options.layer_step = w->model.layer_step;
        options.top_k = w->model.top_k;
    }
    if (err->status == MOE_OK &&
        moe_recorded_read(&s->recorded, &options, &w->loads, err) == MOE_OK) {
        if (moe_layout_nodes(&w->env.layout) > 1)
            moe_plan_keep_tokens(w, err);
        moe_recording_count(&w->loads, err);
    }
}

static void read_cluster(moe_plan_offline *w, const moe_plan_settings *s,
                         moe_error *err)
{
    if (s->cluster != NULL && s->model == NULL)
        moe_fail(err, MOE_USAGE, "--cluster goes with --model");
    else if (s->cluster != NULL)
        moe_cluster_read(s->cluster, &w->cluster, err);
}

/* GPUs that are left of nodes need not be equally many on each. */
static moe_layout layout_of(const moe_plan_offline *w,
                            const moe_plan_settings *s)
{
    const int gpus = (int)w->active.n;
    int per_node = gpus;
    if (s->nodes > 0)
        per_node = gpus / s->nodes;
    else if (s->cluster != NULL && s->active == NULL)
        per_node = w->cluster.gpus_per_node;
    return (moe_layout){gpus, per_node < gpus ? per_node : gpus};
}

static void set_pricer(moe_plan_offline *w, const moe_plan_settings *s,
                       moe_error *err)
{
    if (s->cluster == NULL)
        return;
    check_pairs(w, moe_recorded_name(&s->recorded), err);
    const moe_cost *cost = moe_cost_find(w->cluster.cost);
    w->cost_state = moe_cost_new(cost, &w->model, &w->cluster, err);
    w->pricer = (moe_pricer){.cost = cost,
                             .state = w->cost_state,
                             .model = &w->model,
                             .layout = w->env.layout,
                             .migration_rate = w->cluster.migration_rate,
                             .migration = w->cluster.migration};
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

static const char FAMILY[] = "planner."; /* may stand before a key */

static void set_options(moe_plan_offline *w, const moe_plan_settings *s,
                        moe_error *err)
{
    char text[64];
    w->params = moe_array_new(1, s->planner->params_size, err);
    if (w->params == NULL)
        return;
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
        const bool named = strncmp(text, FAMILY, sizeof FAMILY - 1) == 0;
        set_option(s->planner, text + (named ? sizeof FAMILY - 1 : 0),
                   equals + 1, w->params, err);
    }
}

static void read_previous(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err)
{
    const int gpus = w->env.layout.gpus;
    const moe_plan_file_params params = {.model = s->model != NULL ? &w->model
                                                                   : NULL,
                                         .layer_number = w->loads.layer_number,
                                         .active = w->active.number,
                                         .gpus = s->gpus};
    if (moe_plan_init(&w->previous, w->loads.layers, w->loads.experts, gpus,
                      w->env.slots, err) != MOE_OK ||
        moe_plan_init(&w->present, w->loads.layers, w->loads.experts, gpus,
                      w->env.slots, err) != MOE_OK)
        return;
    if (s->previous != NULL) {
        moe_plan_file_read(s->previous, &params, &w->previous, &w->present,
                           err);
        return;
    }
    moe_plan_set_home(&w->previous, &w->env.layout);
    moe_plan_copy(&w->present, &w->previous);
}

static void read_all(moe_plan_offline *w, const moe_plan_settings *s,
                     moe_error *err)
{
    int slots = 0;
    if (moe_replace_check(s->json, s->force, err) != MOE_OK ||
        moe_emit_check(&s->emit, s->force, err) != MOE_OK ||
        (s->output != NULL &&
         moe_load_page_check(s->output, "plan", s->force, err) != MOE_OK) ||
        moe_plan_read_active(w, s, err) != MOE_OK)
        return;
    const int gpus = (int)w->active.n;
    for (int i = 0; i < s->replicas.n; i++)
        if (s->replicas.x[i] != floor(s->replicas.x[i]))
            moe_fail(err, MOE_USAGE, "--replicas: %g is not whole",
                     s->replicas.x[i]);
    if (err->status != MOE_OK ||
        moe_parsed_slots(s->slots, (int)s->replicas.x[0], gpus, &slots, err) !=
            MOE_OK)
        return;
    read_cluster(w, s, err);
    w->env.layout = layout_of(w, s);
    if (err->status == MOE_OK)
        read_loads(w, s, err);
    if (err->status != MOE_OK)
        return;
    check_sizes(s, &w->loads, err);
    if (moe_plan_check_slots(w, s, slots, err) != MOE_OK)
        return;
    w->env = (moe_planner_env){.layout = w->env.layout,
                               .experts = w->loads.experts,
                               .division = s->split->division,
                               .sequences = s->batch,
                               .interval = s->interval};
    w->env.slots =
        slots != 0 ? slots
                   : moe_layout_home_slots(&w->env.layout, w->env.experts) + 1;
    set_pricer(w, s, err);
    if (err->status == MOE_OK)
        set_options(w, s, err);
    if (err->status == MOE_OK)
        read_previous(w, s, err);
}

/* ---- the command ---- */

static void write_page(const moe_plan_offline *w, const moe_plan_settings *s,
                       moe_error *err)
{
    double drift[MOE_OUTLAST_LAGS], good[MOE_OUTLAST_LAGS];
    const size_t first = moe_plan_first_step(w, s);
    const moe_study_params params = moe_plan_study_params(w, s);
    const moe_plot_loads loads = {.steps = (int)(w->loads.steps - first),
                                  .layers = w->loads.layers,
                                  .uneven = w->worth.imbalance[MOE_PLANNED],
                                  .lags = moe_outlast_lags(w->loads.steps),
                                  .drift = drift,
                                  .good = good};
    moe_document *doc = moe_document_new(err);
    moe_outlast_drift(w->loads.load, w->loads.steps, w->loads.layers,
                      w->loads.experts, drift);
    if (doc != NULL && moe_outlast_plans(&params, good, err) == MOE_OK) {
        moe_doc_say(doc, MOE_DOC_TITLE, "Plan of %s",
                    moe_recorded_name(&s->recorded));
        moe_plan_say(doc, w, s);
        moe_load_page(s->output, "plan", s->force, doc, &loads, err);
    }
    moe_document_free(doc);
}

static void study(moe_plan_offline *w, const moe_plan_settings *s,
                  moe_error *err)
{
    if (moe_plan_study(w, s, err) != MOE_OK ||
        moe_plan_fill(w, s, err) != MOE_OK ||
        moe_plan_weigh(w, s, err) != MOE_OK || moe_plan_cross(w, err) != MOE_OK)
        return;
    if (s->json == NULL || strcmp(s->json, "-") != 0) {
        moe_document *doc = moe_document_new(err);
        moe_recorded_print(moe_recorded_name(&s->recorded), &w->loads, NULL);
        if (doc != NULL)
            moe_plan_say(doc, w, s);
        moe_document_say(doc, stdout, err);
    }
    if (s->output != NULL && err->status == MOE_OK)
        write_page(w, s, err);
    if (s->json != NULL && err->status == MOE_OK)
        moe_plan_write_json(w, s, err);
    if (err->status == MOE_OK)
        moe_emit_write(&s->emit, &w->emitted,
                       s->model != NULL ? &w->model : NULL, s->force, err);
}

/* Engines divide an expert's pairs equally. What is wrong with the file is told
 * when it is read for good. */
static bool is_of_engine(const char *previous)
{
    moe_error none = {0};
    moe_placement p = {0};
    if (previous == NULL ||
        moe_placement_read(previous, NULL, &p, &none) != MOE_OK)
        return false;
    const bool is = p.quota == NULL;
    moe_placement_fini(&p);
    return is;
}

int moe_cmd_plan(int argc, char **argv)
{
    moe_error err = {0};
    moe_plan_settings s = {.previous = NULL};
    moe_plan_offline w = {.params = NULL};
    const bool parsed = moe_args_parse(&args, argc, argv, &s, &err);
    w.of_engine = parsed && is_of_engine(s.previous);
    if (parsed && s.split == NULL)
        s.split =
            moe_split_find(s.emit.n > 0 || w.of_engine ? "equal" : "quota");
    if (parsed)
        read_all(&w, &s, &err);
    if (w.previous.expert != NULL && err.status == MOE_OK) {
        if (s.replicas.n > 1)
            moe_plan_compare_sizes(&w, &s, &err);
        else
            study(&w, &s, &err);
    }
    moe_recording_fini(&w.loads);
    moe_bulk_free(w.tokens.experts_of);
    moe_ranges_fini(&w.active);
    moe_plan_fini(&w.previous);
    moe_plan_fini(&w.present);
    moe_plan_worth_fini(&w.worth);
    moe_placement_fini(&w.emitted);
    moe_plan_fini(&w.filled);
    moe_study_fini(&w.study);
    moe_cost_free(w.pricer.cost, w.cost_state);
    free(w.params);
    return moe_args_end(&args, &s, &err);
}
