/* SPDX-License-Identifier: Apache-2.0 */
#include "search_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/iteration_price.h"
#include "moegps/mem.h"

/* A walk that is slower than the homes by so much, after a part of the batches
 * and at least so many, is given up. */
static const double HOPELESS = 0.1;
enum { GIVE_UP_PART = 4, GIVE_UP_BATCHES = 8 };

/* One layer as it stands. */
typedef struct {
    moe_plan plan;
    moe_advise_placement placement;
} standing;

typedef struct {
    const search_walk *w;
    const search_forecast *forecast; /* NULL: nothing is planned */
    moe_advise_planning planning;
    moe_advise_load load; /* for splits that are not dealt */
    bool deals, assumed;
    standing *layer;       /* [n_layers] */
    moe_layer_cost *worst; /* [n_layers] of the slowest GPUs */
    double *plan_s;        /* [n_layers] */
    double *scaled;        /* [experts] pairs of a scaled batch */
    double *visit;         /* [gpus] part of the tokens that visit each */
    moe_iteration_pricer *pricer;
    moe_layer_work alike;  /* of the batch */
    moe_layer_cost common; /* of alike */
    search_walked sum;
} walking;

/* ---- planning ---- */

static bool is_due(const walking *k, int batch)
{
    const int every = k->w->every;
    if (k->forecast == NULL || !k->w->planner->plans)
        return false;
    if (batch == 0)
        return true;
    return every != MOE_SEARCH_ONCE &&
           (batch - k->w->params->warmup + k->w->early) % every == 0;
}

static moe_status plan_layer(walking *k, int batch, int l, moe_error *err)
{
    const search_series *s = k->w->series;
    standing *x = &k->layer[l];
    const int layer = k->w->layers[l];
    const size_t at = (size_t)batch * (size_t)s->layers + (size_t)layer;
    const double *row[MOE_PLANNER_PAST];
    const int n = k->forecast->past[at];
    for (int i = 0; i < n; i++)
        row[i] = search_pairs(s, batch - 1 - i, layer);
    const double *load = k->forecast->load + at * (size_t)s->experts;
    const moe_planner_task task = {
        .load = load, .past = n > 0 ? row : NULL, .n_past = n};
    /* what is assumed is like the truth: another one in every batch */
    const int of_what = k->assumed ? PLACEMENT_TRUTH : PLACEMENT_PREDICTED;
    moe_advise_replan(&k->planning, of_what, &task, &x->plan, &x->placement,
                      err);
    return err->status;
}

static double moved(const moe_advise_placement *p, int gpus)
{
    double sum = 0;
    for (int g = 0; g < gpus; g++)
        sum += p->move_sent[g][0] + p->move_sent[g][1];
    return sum;
}

static moe_status plan_all(walking *k, int batch, moe_error *err)
{
    const int n = k->w->n_layers, gpus = k->w->params->gpus;
    for (int l = 0; l < n; l++) {
        if (plan_layer(k, batch, l, err) != MOE_OK)
            return err->status;
        const double bytes = moved(&k->layer[l].placement, gpus) / n;
        if (batch == 0)
            k->sum.first_bytes += bytes;
        else if (batch >= k->w->params->warmup)
            k->sum.moved_bytes += bytes;
    }
    return MOE_OK;
}

/* ---- pricing ---- */

static double scale_of(const search_walk *w)
{
    return w->scale > 0 ? w->scale : 1;
}

static double tokens_of(const search_walk *w, int batch)
{
    return w->series->tokens[batch] * scale_of(w);
}

static void count(walking *k, int batch, int l)
{
    const double *pairs = search_pairs(k->w->series, batch, k->w->layers[l]);
    for (int e = 0; k->w->scale > 0 && e < k->w->series->experts; e++)
        k->scaled[e] = rint(pairs[e] * k->w->scale);
    if (k->w->scale > 0)
        pairs = k->scaled;
    standing *x = &k->layer[l];
    if (k->deals) {
        moe_advise_deal(&k->planning, pairs, &x->plan, &x->placement);
        return;
    }
    moe_advise_load_alike(&k->load, pairs);
    moe_advise_count(&k->planning, &k->load, &x->plan, &x->placement);
}

/* Of rows that may go ahead. */
static double recall_of(const walking *k, int batch, int l)
{
    const search_forecast *f = k->forecast;
    return f == NULL || f->recall == NULL || k->w->dispatched ||
                   !moe_serving_rides(moe_serving_of(k->w->pricer->serving))
               ? 0
               : f->recall[(size_t)batch * (size_t)k->w->series->layers +
                           (size_t)k->w->layers[l]];
}

/* What all GPUs have alike, priced once for layers that do not differ. */
static void price_common(walking *k, int batch, const moe_advise_placement *p,
                         double recall)
{
    const search_walk *w = k->w;
    const double tokens = tokens_of(w, batch);
    const bool copies = p->copies > 0;
    moe_layer_work alike = {
        .tokens = tokens,
        .sequences = w->series->sequences[batch] * scale_of(w),
        .cached = w->series->cached[batch],
        .predict = k->forecast != NULL ? k->forecast->work : NULL,
        .n_predict = k->forecast != NULL ? k->forecast->n_work : 0,
        .numbers = !w->split->needs_counts || !copies ? 0
                   : recall > 0                       ? 2
                                                      : 1,
        .direct = recall > 0,
        .slots = (size_t)k->planning.slots};
    if (recall > 0)
        alike.ahead_rows = moe_advise_ahead_rows(
            w->pricer,
            moe_advise_visited(w->pricer->model, p, w->pricer->layout.gpus,
                               tokens * w->series->top_k));
    const bool known = moe_layer_work_is_alike(&k->alike, &alike);
    k->alike = alike;
    if (!known)
        moe_layer_cost_common(w->pricer, &alike, &k->common);
}

static void price_layer(walking *k, int batch, int l, bool due)
{
    const moe_pricer *pricer = k->w->pricer;
    const moe_model *m = pricer->model;
    const moe_advise_placement *p = &k->layer[l].placement;
    const double recall = recall_of(k, batch, l);
    price_common(k, batch, p, recall);
    const double left[] = {1 - recall * moe_advise_group_share(pricer), 1};
    const double tokens = tokens_of(k->w, batch);
    moe_advise_visits(pricer, p, tokens * m->top_k, k->visit);
    moe_layer_cost own;
    moe_layer_cost_init(&k->worst[l]);
    for (int i = 0; i < p->n_standouts; i++) {
        const int g = p->standout[i];
        moe_layer_work w = k->alike;
        w.rows = p->rows + (size_t)g * w.slots;
        const moe_advise_traffic rows =
            moe_advise_rows(pricer, p, k->visit, tokens, g);
        for (int far = 0; far < 2; far++) {
            const double n = fmax(rows.sent[far], rows.received[far]);
            w.combine_bytes[far] = n * moe_model_row_bytes(m);
            w.dispatch_bytes[far] = left[far] * n * moe_model_dispatch_bytes(m);
            w.move_bytes[far] =
                due ? fmax(p->move_sent[g][far], p->move_received[g][far]) : 0;
        }
        moe_layer_cost_own(pricer, &k->common, &w, &own);
        moe_layer_cost_merge(&k->worst[l], &own);
    }
}

/* @return s, mean over layers. */
static double price_pass(walking *k, int batch, bool due)
{
    const search_walk *w = k->w;
    const int layers = w->pricer->model->layers;
    double plan_bytes = 0;
    for (int l = 0; l < w->n_layers; l++) {
        price_layer(k, batch, l, due);
        k->plan_s[l] = due ? k->layer[l].placement.planner_s : 0;
        plan_bytes += due ? k->layer[l].placement.plan_bytes : 0;
    }
    const moe_coordination_work c = {.collects = due,
                                     .plans = due,
                                     .central = true,
                                     .lookahead = w->params->lookahead,
                                     .plan_bytes =
                                         plan_bytes * layers / w->n_layers,
                                     .plan_s = k->plan_s};
    moe_iteration_work i = {.cost = k->worst,
                            .n = w->n_layers,
                            .layers = layers,
                            .slowdown = w->params->cluster->overlap_slowdown};
    moe_coordination_cost_of(w->pricer, &c, &i.coordination);
    return moe_iteration_price_of(k->pricer, &i, NULL).length_s / layers;
}

/* Of the passes of a step that is planned for, one pays.
 * @return s, mean over passes and layers. */
static double price_batch(walking *k, int batch, bool due)
{
    const int passes = k->w->params->step_passes;
    const double once_s = price_pass(k, batch, due);
    return !due || passes <= 1
               ? once_s
               : (once_s + (passes - 1) * price_pass(k, batch, false)) / passes;
}

/* ---- the walk ---- */

static double imbalance_of(const moe_advise_placement *p, int gpus)
{
    double all = 0;
    for (int g = 0; g < gpus; g++)
        all += (double)p->pairs[g];
    return (double)p->pairs[p->busiest] * gpus / all;
}

/* @return s */
static double visit_batch(walking *k, int batch, bool due)
{
    const search_walk *w = k->w;
    for (int l = 0; l < w->n_layers; l++) {
        count(k, batch, l);
        k->sum.imbalance +=
            imbalance_of(&k->layer[l].placement, w->params->gpus) / w->n_layers;
    }
    return price_batch(k, batch, due && batch > 0);
}

/* @param base_s  of the same `n` batches */
static bool is_hopeless(double sum_s, double base_s, int n, int of)
{
    return n >= GIVE_UP_BATCHES && n >= of / GIVE_UP_PART &&
           sum_s > (1 + HOPELESS) * base_s;
}

static moe_status visit(walking *k, double *layer_s_out, moe_error *err)
{
    const search_walk *w = k->w;
    search_walked *sum = &k->sum;
    const int warmup = w->params->warmup, n = w->series->batches - warmup;
    double base_s = 0;
    for (int i = -warmup; i < n; i++) {
        const bool due = is_due(k, i + warmup);
        if (due && plan_all(k, i + warmup, err) != MOE_OK)
            return err->status;
        if (i < 0)
            continue;
        const double layer_s = visit_batch(k, i + warmup, due);
        sum->layer_s += layer_s;
        sum->batches++;
        if (layer_s_out != NULL)
            layer_s_out[i] = layer_s;
        base_s += w->base_s != NULL ? w->base_s[i] : INFINITY;
        if (is_hopeless(sum->layer_s, base_s, i + 1, n))
            break;
    }
    sum->layer_s /= sum->batches;
    sum->moved_bytes /= sum->batches * fmax(w->params->step_passes, 1);
    sum->imbalance /= sum->batches;
    return MOE_OK;
}

static moe_status standing_init(standing *x, const walking *k, moe_error *err)
{
    const search_walk *w = k->w;
    const int n_e = w->series->experts, gpus = w->params->gpus;
    if (moe_plan_init(&x->plan, 1, n_e, gpus, w->slots, err) == MOE_OK)
        moe_plan_set_home(&x->plan, &w->pricer->layout);
    moe_advise_placement_init(&x->placement, gpus, w->slots, err);
    return err->status;
}

/* Divide by another split than what is planned for. */
static void divide_by(moe_advise_planning *w, const moe_split *split,
                      moe_error *err)
{
    const moe_split_env env = {w->layout, w->experts, w->slots};
    moe_split_free(w->split, w->split_state);
    w->split = split;
    w->split_state = moe_split_new(split, &env, NULL, err);
}

static moe_status set_up(walking *k, moe_error *err)
{
    const search_walk *w = k->w;
    const size_t n = (size_t)w->n_layers;
    const int batches = w->series->batches;
    const int passes = w->params->step_passes > 1 ? w->params->step_passes : 1;
    const moe_advise_params p = {
        .model = w->params->model,
        .cluster = w->params->cluster,
        .trace = w->params->trace,
        .planner = w->planner,
        .predictor = w->forecast < 0 || k->assumed
                         ? NULL
                         : w->params->predictor[w->forecast].predictor,
        .gpus = w->params->gpus,
        .batch = (int)fmax(w->series->sequences[0], 1),
        .planner_s = -1,
        .dials = {.lookahead = w->params->lookahead,
                  .rebalance_every =
                      (w->every == MOE_SEARCH_ONCE ? batches : w->every) *
                      passes}};
    k->layer = moe_array_new(n, sizeof *k->layer, err);
    k->worst = moe_array_new(n, sizeof *k->worst, err);
    k->plan_s = moe_array_new(n, sizeof *k->plan_s, err);
    k->visit = moe_array_new((size_t)k->w->params->gpus, sizeof *k->visit, err);
    k->scaled =
        moe_array_new((size_t)w->series->experts, sizeof *k->scaled, err);
    moe_iteration_pricer_new(w->params->model->layers, &k->pricer, err);
    moe_advise_planning_init(&k->planning, &p, w->slots, w->planned, w->pricer,
                             err);
    if (err->status == MOE_OK && w->split != w->planned)
        divide_by(&k->planning, w->split, err);
    if (err->status == MOE_OK)
        moe_advise_load_init(&k->load, w->series->experts, p.gpus, true, err);
    for (size_t l = 0; l < n && err->status == MOE_OK; l++)
        standing_init(&k->layer[l], k, err);
    return err->status;
}

moe_status moe_search_walk_run(const search_walk *walk, search_walked *out,
                               double *layer_s_out, moe_error *err)
{
    moe_error local = {0};
    walking k = {.w = walk,
                 .forecast = walk->forecast < 0
                                 ? NULL
                                 : &walk->series->forecast[walk->forecast],
                 .deals = walk->split == moe_split_find("deal"),
                 .assumed = walk->forecast >= walk->params->n_predictors};
    if (set_up(&k, &local) == MOE_OK)
        visit(&k, layer_s_out, &local);
    for (int l = 0; k.layer != NULL && l < walk->n_layers; l++) {
        moe_plan_fini(&k.layer[l].plan);
        moe_advise_placement_fini(&k.layer[l].placement);
    }
    free(k.layer);
    free(k.worst);
    free(k.plan_s);
    free(k.visit);
    free(k.scaled);
    moe_iteration_pricer_free(k.pricer);
    moe_advise_load_fini(&k.load);
    moe_advise_planning_fini(&k.planning);
    if (local.status == MOE_OK)
        *out = k.sum;
    return moe_pass(err, &local);
}
