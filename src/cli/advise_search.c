/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise.h"
#include "emit.h"
#include "moegps/learned.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/report.h"
#include "moegps/study.h"
#include "trace.h"

enum { MOST = 32 }; /* predictors, planners, numbers of copies, intervals */

/* What is tried. */
typedef struct {
    moe_search_params p;
    moe_learned learned;
    moe_search_predictor predictor[MOST];
    moe_parsed_predictor parsed[MOST]; /* owns params */
    const moe_planner *planner[MOST];
    int spare[MOST], interval[MOST];
} grid;

/* ---- loads ---- */

static void take_loads(moe_advise_settings *s, const moe_model *m,
                       moe_recording *r, moe_trace *t, moe_error *err)
{
    static const moe_trace_split most_is_walked = {.tail = true,
                                                   .test_share = 0.7};
    const char *name = moe_recorded_name(&s->recorded);
    const bool has_split = r->seq_part != NULL;
    if (s->tokens > 0 && r->kind != MOE_RECORDING_LOADS)
        moe_fail(err, MOE_USAGE, "--tokens: %s has tokens of its own", name);
    else if (s->tokens > 0) {
        s->step_passes = moe_recording_passes(r, m->top_k, (uint32_t)s->tokens);
        moe_recording_draw(r, m->top_k, (uint32_t)s->tokens, s->p.seed, err);
    }
    snprintf(t->model, sizeof t->model, "%s", m->profile);
    t->top_k = m->top_k;
    if (err->status == MOE_OK &&
        moe_recording_to_trace(r, m->layers, t, err) != MOE_OK) {
        const moe_error was = *err;
        *err = (moe_error){0};
        moe_fail(err, was.status, "%s: %s%s", name, was.text,
                 s->tokens == 0 && r->kind == MOE_RECORDING_LOADS
                     ? "; --tokens says how many a forward pass has"
                     : "");
        return;
    }
    if (err->status == MOE_OK && (s->divided.text != NULL || !has_split))
        moe_trace_divide(t, s->divided.text != NULL ? &s->divided.how
                                                    : &most_is_walked);
}

moe_status moe_advise_read_loads(moe_advise_settings *s, const moe_model *m,
                                 moe_trace *out, moe_error *err)
{
    moe_recording r = {.kind = MOE_RECORDING_ANY};
    moe_trace t = {.shared = MPI_WIN_NULL};
    const moe_recording_options options = {
        .experts = m->experts, .layers = m->layers, .top_k = m->top_k};
    if (moe_recorded_read(&s->recorded, &options, &r, err) != MOE_OK)
        return err->status;
    take_loads(s, m, &r, &t, err);
    if (err->status == MOE_OK && (s->json == NULL || strcmp(s->json, "-") != 0))
        moe_recorded_print(moe_recorded_name(&s->recorded), &r, NULL);
    moe_recording_fini(&r);
    if (err->status == MOE_OK)
        *out = t;
    else
        moe_trace_free(&t);
    return err->status;
}

/* ---- the grid ---- */

static void add_predictor(grid *g, const char *text, const char *label,
                          int window, moe_error *err)
{
    moe_search_params *p = &g->p;
    moe_parsed_predictor *to = &g->parsed[p->n_predictors];
    if (moe_parse_predictor(text, to, err) != MOE_OK)
        return;
    moe_search_predictor *x = &g->predictor[p->n_predictors++];
    *x = (moe_search_predictor){
        .predictor = to->predictor, .params = to->params, .window = window};
    snprintf(x->label, sizeof x->label, "%s", label);
}

/* Predictors of loads that everybody can have, the simplest first; of tokens
 * those that learn by counting, where the trace has ids, and those of a
 * predictor file. */
static moe_status choose_predictors(grid *g, moe_error *err)
{
    enum { ALWAYS, IN_ORDER, WITH_IDS };
    static const struct {
        const char *text, *label, *of_steps;
        int window, needs;
    } all[] = {
        {"distribution", "the shares of the past", NULL, 0, ALWAYS},
        {"window:iterations=8", "a window of 8", "a window of 8 steps", 8,
         IN_ORDER},
        {"window:iterations=32", "a window of 32", "a window of 32 steps", 32,
         IN_ORDER},
        {"window:iterations=1", "the last batch", "the last step", 1, IN_ORDER},
        {"ema", "a moving average", NULL, 0, IN_ORDER},
        {"token", "token ids", NULL, 0, WITH_IDS},
    };
    const moe_trace *t = g->p.trace;
    const bool has[] = {[ALWAYS] = true,
                        [IN_ORDER] = moe_batch_in_order(t, g->p.order),
                        [WITH_IDS] =
                            t->kind == MOE_TRACE_TOKENS && t->vocab_size > 0};
    const bool steps = g->p.step_passes > 1;
    for (size_t i = 0; i < MOE_ARRAY_LEN(all) && err->status == MOE_OK; i++)
        if (has[all[i].needs])
            add_predictor(g, all[i].text,
                          steps && all[i].of_steps != NULL ? all[i].of_steps
                                                           : all[i].label,
                          all[i].window, err);
    for (int i = 0; i < g->learned.n_parts && err->status == MOE_OK; i++) {
        const char *name = g->learned.part[i].predictor;
        const moe_predictor *p = moe_predictor_find(name);
        if (p != NULL && g->p.n_predictors < MOST &&
            moe_horizon_check(p, MOE_LOOKAHEAD_ALL, false, NULL) == MOE_OK)
            add_predictor(g, name, name, 0, err);
    }
    g->p.predictor = g->predictor;
    return err->status;
}

static void choose_planners(grid *g, const moe_planner *asked)
{
    static const char *const all[] = {"static", "eplb", "balance", "relocate"};
    if (asked != NULL)
        g->planner[g->p.n_planners++] = asked;
    for (size_t i = 0; asked == NULL && i < MOE_ARRAY_LEN(all); i++)
        g->planner[g->p.n_planners++] = moe_planner_find(all[i]);
    g->p.planner = g->planner;
}

/* 0, 1, 2, 4, ... slots beside the homes, up to twice as many slots, as far as
 * the memory of a GPU goes; or those that were asked for. */
static moe_status choose_spares(grid *g, const moe_advise_settings *s,
                                moe_error *err)
{
    const moe_model *m = g->p.model;
    const moe_layout layout = {g->p.gpus, g->p.cluster->gpus_per_node};
    const int home = moe_layout_home_slots(&layout, m->experts);
    const double slot_bytes = moe_model_expert_bytes(m) * m->layers;
    int slots = 0;
    if (moe_parsed_slots(s->slots, s->replicas, g->p.gpus, &slots, err) !=
        MOE_OK)
        return err->status;
    if (slots > 0 && (slots < home || slots > m->experts))
        return moe_fail(err, MOE_USAGE,
                        "slots: %d is not in %d..%d: %d experts on %d GPUs "
                        "need %d for their homes",
                        slots, home, m->experts, m->experts, g->p.gpus, home);
    if (slots > 0) {
        g->spare[g->p.n_spares++] = slots - home;
    } else {
        g->spare[g->p.n_spares++] = 0;
        for (int x = 1; x <= home && home + x <= m->experts &&
                        (home + x) * slot_bytes < g->p.cluster->memory_bytes;
             x *= 2)
            g->spare[g->p.n_spares++] = x;
    }
    g->p.spare = g->spare;
    return MOE_OK;
}

/* In rising order, none twice. */
static void add_interval(grid *g, int every)
{
    int at = g->p.n_intervals;
    for (int i = 0; i < g->p.n_intervals; i++)
        if (g->interval[i] == every)
            return;
    for (; at > 0 && g->interval[at - 1] > every; at--)
        g->interval[at] = g->interval[at - 1];
    g->interval[at] = every;
    g->p.n_intervals++;
}

/* 1, 2, 5, 10, ... of which five fit in, or 1 alone where batches have no
 * order; or those that were asked for.
 * @param batches  of the trace's test part */
static void choose_intervals(grid *g, const moe_reals *asked, int batches)
{
    static const int digit[] = {1, 2, 5};
    const bool in_order = moe_batch_in_order(g->p.trace, g->p.order);
    for (int i = 0; i < asked->n && g->p.n_intervals < MOST; i++)
        add_interval(g, (int)asked->x[i]);
    for (int power = 1, i = 0; asked->n == 0 && power <= 1000; i++) {
        const int every = digit[i % 3] * power;
        if (every > 1 &&
            (!in_order || MOE_SEARCH_PLANS * every + g->p.warmup > batches))
            break;
        g->interval[g->p.n_intervals++] = every;
        power *= i % 3 == 2 ? 10 : 1;
    }
    g->p.interval = g->interval;
}

/* Intervals between plans are of batches that follow one another. */
static moe_status check_order(const grid *g, const moe_reals *asked,
                              moe_error *err)
{
    if (asked->n == 0 || moe_batch_in_order(g->p.trace, g->p.order))
        return MOE_OK;
    return moe_fail(err, MOE_USAGE,
                    "--interval: the order of these batches is not time "
                    "(--order recorded takes them as they stand)");
}

static moe_status read_learned(grid *g, const char *name, moe_error *err)
{
    char path[1024];
    if (name == NULL)
        return MOE_OK;
    if (moe_profile_find("predictors", name, ".h5", path, sizeof path, err) !=
            MOE_OK ||
        moe_learned_read(path, &g->learned, err) != MOE_OK)
        return err->status;
    g->p.learned = &g->learned;
    return moe_learned_check(&g->learned, g->p.trace, err);
}

/* ---- the search ---- */

static void tell(const moe_advise_settings *s, const moe_search_params *p,
                 const moe_search *found, moe_error *err)
{
    if (s->json == NULL || strcmp(s->json, "-") != 0) {
        moe_document *doc = moe_document_new(err);
        if (doc != NULL)
            moe_report_search(doc, p, found);
        moe_document_say(doc, stdout, err);
    }
    if (s->json != NULL)
        moe_report_search_json(p, found, s->json, s->force, err);
}

/* ---- for engines ---- */

/* The placement of what is recommended: the simplest within 1 % of the best,
 * or the homes. */
typedef struct {
    const moe_planner *planner;
    int slots; /* of a GPU */
    moe_planner_env env;
    void *params; /* of the planner; owned */
    double *load; /* [layers][experts] of all that was recorded; owned */
    int32_t *layer_number; /* [layers] owned */
    moe_plan home;
    moe_study study;
    moe_placement placement;
} recommended;

static void count_loads(const moe_trace *t, recommended *r, moe_error *err)
{
    const size_t n_e = (size_t)t->experts;
    r->load = moe_array_new((size_t)t->layers * n_e, sizeof *r->load, err);
    r->layer_number =
        moe_array_new((size_t)t->layers, sizeof *r->layer_number, err);
    uint64_t *pairs = moe_array_new(n_e, sizeof *pairs, err);
    for (int l = 0; err->status == MOE_OK && l < t->layers; l++) {
        r->layer_number[l] = moe_trace_layer_number(t, l);
        for (int part = MOE_PART_TRAIN; part <= MOE_PART_TEST; part++) {
            moe_trace_counts(t, (moe_split_part)part, l, pairs);
            for (size_t e = 0; e < n_e; e++)
                r->load[(size_t)l * n_e + e] += (double)pairs[e];
        }
    }
    free(pairs);
}

static void choose(const moe_search_params *p, const moe_search *found,
                   recommended *r, moe_error *err)
{
    const moe_search_point *x =
        found->simplest >= 0 ? &found->point[found->simplest] : NULL;
    r->planner =
        x != NULL ? p->planner[x->planner] : moe_planner_find("static");
    r->slots = found->home_slots + (x != NULL ? p->spare[x->spare] : 0);
    r->env = (moe_planner_env){
        .layout = {p->gpus, p->gpus < p->cluster->gpus_per_node
                                ? p->gpus
                                : p->cluster->gpus_per_node},
        .experts = p->trace->experts,
        .slots = r->slots,
        .division = MOE_DIVISION_EQUAL};
    r->params = moe_array_new(1, r->planner->params_size + 1, err);
    if (r->params != NULL)
        moe_opt_defaults(r->planner->opts, r->params);
    if (moe_plan_init(&r->home, p->trace->layers, p->trace->experts, p->gpus,
                      r->slots, err) == MOE_OK)
        moe_plan_set_home(&r->home, &r->env.layout);
}

static void place(const moe_search_params *p, recommended *r, moe_error *err)
{
    const moe_study_params study = {.planner = r->planner,
                                    .params = r->params,
                                    .env = &r->env,
                                    .previous = &r->home,
                                    .load = r->load,
                                    .steps = 1,
                                    .layers = p->trace->layers,
                                    .repeats = 1,
                                    .use = MOE_STUDY_EACH};
    if (moe_study_run(&r->study, &study, err) != MOE_OK)
        return;
    const moe_emission e = {.layers = p->trace->layers,
                            .experts = p->trace->experts,
                            .gpus = p->gpus,
                            .slots = r->slots,
                            .layer_number = r->layer_number,
                            .model = p->model,
                            .expert = r->study.raw,
                            .load = r->load};
    moe_emit_fill(&e, &r->placement, err);
}

static void emit(const moe_advise_settings *s, const moe_search_params *p,
                 const moe_search *found, moe_error *err)
{
    recommended r = {.slots = 0};
    if (s->emit.n == 0 || err->status != MOE_OK)
        return;
    count_loads(p->trace, &r, err);
    choose(p, found, &r, err);
    if (err->status == MOE_OK)
        place(p, &r, err);
    if (err->status == MOE_OK &&
        moe_emit_write(&s->emit, &r.placement, p->model, s->force, err) ==
            MOE_OK &&
        (s->json == NULL || strcmp(s->json, "-") != 0))
        printf("written: %d slots on each of %d GPUs, by planner %s for the "
               "sum of all that was recorded, shared equally as engines do\n",
               r.slots, p->gpus, r.planner->name);
    moe_placement_fini(&r.placement);
    moe_study_fini(&r.study);
    moe_plan_fini(&r.home);
    free(r.params);
    free(r.load);
    free(r.layer_number);
}

moe_status moe_advise_search(const moe_advise_settings *s, moe_error *err)
{
    const moe_advise_params *a = &s->p;
    moe_search found = {.point = NULL};
    grid g = {.p = {.model = a->model,
                    .cluster = a->cluster,
                    .trace = a->trace,
                    .serving = a->serving,
                    .gpus = a->gpus,
                    .batch = a->batch,
                    .seq = a->seq,
                    .seq_tokens = a->seq_tokens,
                    .order = a->order,
                    .seed = a->seed,
                    .warmup = a->warmup > 0 ? a->warmup : 1,
                    .step_passes = s->step_passes,
                    .lookahead = a->dials.lookahead,
                    .assumed = 0.9,
                    .quiet = s->quiet},
              .learned = {.shared = MPI_WIN_NULL}};
    choose_planners(&g, a->planner);
    int batches = 1;
    moe_search_count(&g.p, MOE_SEARCH_BATCHES, &batches, err);
    choose_intervals(&g, &s->intervals, batches);
    if (err->status == MOE_OK &&
        check_order(&g, &s->intervals, err) == MOE_OK &&
        read_learned(&g, s->trained, err) == MOE_OK &&
        choose_predictors(&g, err) == MOE_OK &&
        choose_spares(&g, s, err) == MOE_OK &&
        moe_search_run(&g.p, &found, err) == MOE_OK) {
        tell(s, &g.p, &found, err);
        emit(s, &g.p, &found, err);
        moe_search_fini(&found);
    }
    for (int i = 0; i < g.p.n_predictors; i++)
        free(g.parsed[i].params);
    moe_learned_free(&g.learned);
    return err->status;
}
