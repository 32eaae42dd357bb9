/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/progress.h"
#include "search_internal.h"

enum {
    FIRST_LAYERS = 1, /* of more than the next, that all walk with */
    MORE_LAYERS = 8,  /* ... and the better part of them */
    BETTER = 8,       /* one in so many */
    SPLIT_LAYERS = 4, /* for what is not on offer */
    FINALISTS = 2,    /* of the fastest, with all layers */
    SIMPLER = 4,      /* that may be walked to find one as good */
    PLANS = 20,       /* that a gain should be of, with all layers, ... */
    PHASES = 3        /* ... as far as so many walks have them */
};

/* Batches of a layer that may be walked through in any case: some seconds. */
static const double ALL_WALKS = 1e5;

/* Walks with plans at other batches share half a plan, or a third and two: sums
 * over a plan's batches are correlated by 1/6 or 0.21, and 1 + 2 r worth less. */
static const double OVERLAP = 1.4;

/* Slower than the best by so much is as good, if it is simpler. */
static const double AS_GOOD = 0.01;

/* A search at work. */
typedef struct {
    const moe_search_params *p;
    moe_search *out;
    search_series series;
    const moe_cost *cost;
    void *cost_state;
    moe_serving_cost *serving; /* NULL: the default deployment */
    moe_pricer pricer;
    const moe_split *deal;
    int home;          /* slots that homes need */
    int *by_imbalance; /* [layers] numbers of layers, the most even first */
    int *layers;       /* that are walked with */
    double *base_s;    /* [batches] with those layers */
    int *todo;         /* [n_points] that are to be walked */
    int n_todo;
    moe_progress progress;
    int walks;
} searching;

double moe_search_gain(const moe_search_point *point)
{
    return point->base_s / point->layer_s - 1;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

int moe_search_compare(const moe_search_point *a, const moe_search_point *b)
{
    const int never = 1 << 30;
    const int a_every = a->every == MOE_SEARCH_ONCE ? never : a->every;
    const int b_every = b->every == MOE_SEARCH_ONCE ? never : b->every;
    const int by[] = {a->spare - b->spare, b_every - a_every,
                      a->predictor - b->predictor, a->planner - b->planner};
    for (size_t i = 0; i < MOE_ARRAY_LEN(by); i++)
        if (by[i] != 0)
            return sign(by[i]);
    return 0;
}

/* ---- the grid ---- */

/* Whether a combination makes sense: planners without copies have no use for
 * spare slots, and who foretells tokens does it for one batch; it may do
 * without plans, as rows go ahead. */
static bool makes_sense(const searching *k, const moe_search_point *x)
{
    const moe_planner *planner = k->p->planner[x->planner];
    const search_forecast *f = &k->series.forecast[x->predictor];
    if (k->p->spare[x->spare] > 0 && !planner->copies)
        return false;
    if (f->tokens)
        return x->every == 1;
    return planner->plans && f->constant == (x->every == MOE_SEARCH_ONCE);
}

static moe_status make_grid(searching *k, moe_error *err)
{
    const moe_search_params *p = k->p;
    moe_search *s = k->out;
    const size_t most = (size_t)p->n_predictors * (size_t)p->n_planners *
                        (size_t)p->n_spares * (size_t)(p->n_intervals + 1);
    s->point = moe_array_new(most, sizeof *s->point, err);
    if (s->point == NULL)
        return MOE_NOMEM;
    moe_search_point x = {.layers = 0};
    for (x.spare = 0; x.spare < p->n_spares; x.spare++)
        for (x.predictor = 0; x.predictor < p->n_predictors; x.predictor++)
            for (x.planner = 0; x.planner < p->n_planners; x.planner++)
                for (int i = -1; i < p->n_intervals; i++) {
                    x.every = i < 0 ? MOE_SEARCH_ONCE : p->interval[i];
                    if (makes_sense(k, &x))
                        s->point[s->n_points++] = x;
                }
    return MOE_OK;
}

/* ---- walks ---- */

/* From even ones to uneven ones. @return how many. */
static int choose_layers(searching *k, int n)
{
    const int all = k->series.layers;
    n = n < all ? n : all;
    for (int l = 0; l < n; l++)
        k->layers[l] =
            n == all ? l : k->by_imbalance[(long)(2 * l + 1) * all / (2 * n)];
    return n;
}

static search_walk walk_of(const searching *k, const moe_search_point *x, int n)
{
    const moe_search_params *p = k->p;
    return (search_walk){.series = &k->series,
                         .params = p,
                         .pricer = &k->pricer,
                         .forecast = x->predictor,
                         .planner = p->planner[x->planner],
                         .split = k->deal,
                         .planned = k->deal,
                         .slots = k->home + p->spare[x->spare],
                         .every = x->every,
                         .dispatched = x->dispatched,
                         .layers = k->layers,
                         .n_layers = n,
                         .base_s = k->base_s};
}

/* What doing nothing takes, with the chosen layers, into base_s. */
static moe_status walk_base(searching *k, int n, search_walked *out,
                            moe_error *err)
{
    const search_walk walk = {.series = &k->series,
                              .params = k->p,
                              .pricer = &k->pricer,
                              .forecast = -1,
                              .planner = moe_planner_find("static"),
                              .split = k->deal,
                              .planned = k->deal,
                              .slots = k->home,
                              .layers = k->layers,
                              .n_layers = n};
    return moe_search_walk_run(&walk, out, k->base_s, err);
}

static double mean_of(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

/* How many walks a point takes: few plans are made at few batches, and which
 * these are decides as much as how often. */
static int phases_of(const searching *k, const search_walk *w)
{
    const int most = k->p->phases > 0 ? k->p->phases : PHASES;
    const int wanted =
        (PLANS * w->every + k->out->batches - 1) / k->out->batches;
    if (w->every <= 1 || w->n_layers < k->out->layers)
        return 1;
    return wanted < most ? wanted : most;
}

/* Walk with plans at other batches each time.
 * @param time_s  [2][batches] the mean over walks; scratch */
static moe_status walk_phases(const searching *k, search_walk walk,
                              search_walked *out, double *time_s,
                              moe_error *err)
{
    const int n = phases_of(k, &walk);
    double *own_s = time_s + k->out->batches;
    *out = (search_walked){.batches = k->out->batches};
    for (int i = 0; i < n; i++) {
        search_walked w;
        walk.early = walk.every * i / n;
        if (moe_search_walk_run(&walk, &w, own_s, err) != MOE_OK)
            return err->status;
        out->batches = w.batches < out->batches ? w.batches : out->batches;
        for (int j = 0; j < out->batches; j++)
            time_s[j] = (i > 0 ? time_s[j] : 0) + own_s[j] / n;
        out->first_bytes += w.first_bytes / n;
        out->moved_bytes += w.moved_bytes / n;
    }
    out->layer_s = mean_of(time_s, out->batches);
    return MOE_OK;
}

/* @param n  of the chosen layers, that walk_base() was called with */
static moe_status walk_point(const searching *k, moe_search_point *x, int n,
                             moe_error *err)
{
    search_walked w;
    const search_walk walk = walk_of(k, x, n);
    const search_forecast *f = &k->series.forecast[x->predictor];
    double *time_s =
        moe_array_new(2 * (size_t)k->out->batches, sizeof *time_s, err);
    if (time_s == NULL || walk_phases(k, walk, &w, time_s, err) != MOE_OK) {
        free(time_s);
        return err->status;
    }
    const size_t batches = (size_t)w.batches;
    const int each = x->every > 1 ? x->every : 1;
    const double shared = phases_of(k, &walk) > 1 ? OVERLAP : 1;
    const moe_ratio r = moe_sum_ratio(k->base_s, time_s, batches,
                                      fmax(k->series.alike / each, shared),
                                      (size_t)each, time_s + batches);
    free(time_s);
    x->layers = n;
    x->layer_s = w.layer_s;
    x->base_s = mean_of(k->base_s, w.batches);
    x->batches = w.batches;
    x->gain_low = r.ci_low - 1;
    x->gain_high = r.ci_high - 1;
    x->error = f->error;
    x->first_bytes = w.first_bytes;
    x->moved_bytes = w.moved_bytes;
    x->recall = NAN;
    if (f->tokens)
        x->recall = mean_of(f->recall, k->series.batches * k->series.layers);
    return MOE_OK;
}

/* Add a point that was not walked with so many layers. */
static void add_todo(searching *k, int at, int n)
{
    for (int i = 0; i < k->n_todo; i++)
        if (k->todo[i] == at)
            return;
    if (at >= 0 && k->out->point[at].layers < n)
        k->todo[k->n_todo++] = at;
}

/* Walk them all, several at once: none knows of another. */
static moe_status walk_todo(searching *k, int n, moe_error *err)
{
    moe_error local = *err;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < k->n_todo; i++) {
        moe_error mine = {0};
        if (err->status == MOE_OK)
            walk_point(k, &k->out->point[k->todo[i]], n, &mine);
#pragma omp critical
        {
            if (mine.status != MOE_OK)
                local = mine;
            k->walks += k->walks < k->progress.total - 1;
            moe_progress_step(&k->progress, k->walks);
        }
    }
    k->n_todo = 0;
    return moe_pass(err, &local);
}

/* ---- stages ---- */

/* The better known first, then the faster. */
static int by_merit(const void *a, const void *b)
{
    const moe_search_point *x = a, *y = b;
    const double gx = moe_search_gain(x), gy = moe_search_gain(y);
    if (x->layers != y->layers)
        return x->layers > y->layers ? -1 : 1;
    return gx > gy ? -1 : gx < gy ? 1 : moe_search_compare(x, y);
}

int moe_search_fastest(const moe_search *s, int spare, int every)
{
    int best = -1;
    for (int i = 0; i < s->n_points; i++) {
        const moe_search_point *x = &s->point[i];
        if (x->layers >= s->known_layers && (spare < 0 || x->spare == spare) &&
            (every < 0 || x->every == every) &&
            (best < 0 || moe_search_gain(x) > moe_search_gain(&s->point[best])))
            best = i;
    }
    return best;
}

/* Choose layers and walk through them without plans.
 * @return how many layers. */
static int begin_stage(searching *k, int n_layers, moe_error *err)
{
    search_walked w;
    const int n = choose_layers(k, n_layers);
    walk_base(k, n, &w, err);
    return n;
}

static void sort_points(moe_search *s)
{
    qsort(s->point, (size_t)s->n_points, sizeof *s->point, by_merit);
}

/* The fastest of each number of copies and each interval. */
static void add_frontier(searching *k, int n)
{
    for (int i = 0; i < k->p->n_spares; i++)
        add_todo(k, moe_search_fastest(k->out, i, -1), n);
    add_todo(k, moe_search_fastest(k->out, -1, MOE_SEARCH_ONCE), n);
    for (int i = 0; i < k->p->n_intervals; i++)
        add_todo(k, moe_search_fastest(k->out, -1, k->p->interval[i]), n);
}

/* The better part, and the frontier, with more layers. */
static moe_status look_closer(searching *k, moe_error *err)
{
    moe_search *s = k->out;
    const int n = begin_stage(k, MORE_LAYERS, err);
    if (n <= s->first_layers)
        return err->status;
    for (int i = 0; i < (s->n_points + BETTER - 1) / BETTER; i++)
        add_todo(k, i, n);
    add_frontier(k, n);
    if (walk_todo(k, n, err) == MOE_OK)
        sort_points(s);
    s->known_layers = n;
    return err->status;
}

/* Whether a point is as good as another, that is known as well. */
static bool as_good(const moe_search_point *x, const moe_search_point *best)
{
    return x->layers == best->layers &&
           x->layer_s <= (1 + AS_GOOD) * best->layer_s;
}

/* @return the simplest of those that are as good as the best, and were not
 * excluded; -1: none. */
static int simplest_of(const moe_search *s, const bool *excluded)
{
    int at = -1;
    for (int i = 0; i < s->n_points; i++)
        if ((excluded == NULL || !excluded[i]) &&
            as_good(&s->point[i], &s->point[0]) &&
            (at < 0 || moe_search_compare(&s->point[i], &s->point[at]) < 0))
            at = i;
    return at;
}

/* What may be recommended, with all layers: the fastest, and simpler ones until
 * one is as good; and the frontier. */
static moe_status look_at_all(searching *k, moe_error *err)
{
    moe_search *s = k->out;
    const int n = begin_stage(k, s->layers, err);
    moe_search was = *s;
    bool *excluded = moe_array_new((size_t)s->n_points, 1, err);
    was.point = moe_array_new((size_t)s->n_points, sizeof *was.point, err);
    if (err->status == MOE_OK) {
        memcpy(was.point, s->point, (size_t)s->n_points * sizeof *was.point);
        for (int i = 0; i < FINALISTS && i < s->n_points; i++)
            add_todo(k, i, n);
        add_frontier(k, n);
    }
    for (int i = 0; i < SIMPLER && err->status == MOE_OK; i++) {
        const int at = simplest_of(&was, excluded);
        add_todo(k, at, n);
        if (walk_todo(k, n, err) != MOE_OK || at < 0 ||
            as_good(&s->point[at], &s->point[0]))
            break;
        excluded[at] = true;
    }
    if (err->status == MOE_OK)
        sort_points(s);
    s->known_layers = n;
    free(was.point);
    free(excluded);
    return err->status;
}

/* What engines would do instead: the simplest, planned by EPLB.
 * @return whether it was not known. */
static bool look_at_eplb(searching *k, moe_error *err)
{
    moe_search *s = k->out;
    s->simplest = simplest_of(s, NULL);
    const moe_search_point *x = &s->point[s->simplest];
    for (int i = 0; i < s->n_points; i++) {
        const moe_search_point *y = &s->point[i];
        if (y->predictor == x->predictor && y->spare == x->spare &&
            y->every == x->every &&
            strcmp(k->p->planner[y->planner]->name, "eplb") == 0)
            add_todo(k, i, s->layers);
    }
    const bool unknown = k->n_todo > 0;
    if (unknown && walk_todo(k, s->layers, err) == MOE_OK)
        sort_points(s);
    return unknown;
}

static moe_status look(searching *k, moe_error *err)
{
    moe_search *s = k->out;
    const double all = (double)s->n_points * s->layers * k->series.batches;
    const int few = k->p->layers > 0   ? k->p->layers
                    : all <= ALL_WALKS ? s->layers
                                       : FIRST_LAYERS;
    s->first_layers = s->known_layers = begin_stage(k, few, err);
    for (int i = 0; i < s->n_points; i++)
        add_todo(k, i, s->first_layers);
    if (walk_todo(k, s->first_layers, err) == MOE_OK) {
        sort_points(s);
        if (look_closer(k, err) == MOE_OK)
            look_at_all(k, err);
    }
    while (err->status == MOE_OK && look_at_eplb(k, err))
        ;
    if (err->status != MOE_OK)
        return err->status;
    s->best = 0;
    if (s->point[0].layer_s * (1 + AS_GOOD) >= s->point[0].base_s)
        s->simplest = -1;
    s->placement = k->p->spare[0] == 0 ? moe_search_fastest(s, 0, -1) : -1;
    return MOE_OK;
}

/* ---- beside the grid ---- */

/* What the recommended combination would gain by a split that engines do not
 * have, with some layers: quotas that are planned for, and the best division
 * of every batch over the same copies. */
static moe_status try_splits(searching *k, moe_error *err)
{
    moe_search *s = k->out;
    const int n = choose_layers(k, SPLIT_LAYERS);
    s->by_quota = s->by_minmax = NAN;
    if (s->simplest < 0 || k->p->spare[s->point[s->simplest].spare] == 0)
        return MOE_OK;
    search_walk walk = walk_of(k, &s->point[s->simplest], n);
    search_walked dealt, quota, best;
    walk.base_s = NULL;
    moe_search_walk_run(&walk, &dealt, NULL, err);
    walk.split = moe_split_find("minmax");
    if (err->status == MOE_OK)
        moe_search_walk_run(&walk, &best, NULL, err);
    walk.split = moe_split_find("quota");
    walk.planned = walk.split;
    if (err->status != MOE_OK ||
        moe_search_walk_run(&walk, &quota, NULL, err) != MOE_OK)
        return err->status;
    s->by_quota = dealt.layer_s / quota.layer_s - 1;
    s->by_minmax = dealt.layer_s / best.layer_s - 1;
    return MOE_OK;
}

/* The best of all combinations with what is assumed, whether its rows go ahead
 * or not, with the chosen layers. */
static moe_status search_assumed(searching *k, int n, moe_search_point *best,
                                 moe_error *err)
{
    const moe_search_params *p = k->p;
    moe_search_point x = {.predictor = p->n_predictors, .every = 1};
    best->layers = 0;
    for (int i = 0; i < 2 * p->n_spares; i++)
        for (x.planner = 0; x.planner < p->n_planners; x.planner++) {
            x.spare = i / 2;
            x.dispatched = i % 2 == 1;
            if (!makes_sense(k, &x))
                continue;
            if (err->status != MOE_OK || walk_point(k, &x, n, err) != MOE_OK)
                return err->status;
            if (best->layers == 0 ||
                moe_search_gain(&x) > moe_search_gain(best))
                *best = x;
        }
    return err->status;
}

/* What a predictor of tokens would win that is as accurate as was assumed. */
static moe_status try_assumed(searching *k, moe_error *err)
{
    moe_search *s = k->out;
    moe_search_point best;
    s->assumed_gain = NAN;
    if (!(k->p->assumed > 0))
        return MOE_OK;
    int n = begin_stage(k, FIRST_LAYERS, err);
    if (search_assumed(k, n, &best, err) != MOE_OK)
        return err->status;
    n = begin_stage(k, MORE_LAYERS, err);
    if (err->status != MOE_OK || walk_point(k, &best, n, err) != MOE_OK)
        return err->status;
    s->assumed_gain = moe_search_gain(&best);
    s->assumed_spare = best.spare;
    s->assumed_planner = best.planner;
    return MOE_OK;
}

/* ---- what copies leave for the cache ---- */

/* The fastest of every number of copies, by the same layers. */
static moe_status find_rooms(searching *k, moe_error *err)
{
    const moe_search_params *p = k->p;
    moe_search *s = k->out;
    const moe_serving *serving = moe_serving_of(k->serving);
    const int n = choose_layers(k, MORE_LAYERS);
    const int tp = moe_layer_attention_gpus(&k->pricer);
    s->room_layers = n;
    s->own_batch = ceil(s->sequences * tp / p->gpus);
    s->cached = serving->phase == MOE_SERVE_DECODE ? serving->kv_len
                                                   : s->tokens / s->sequences;
    s->room = moe_array_new((size_t)p->n_spares, sizeof *s->room, err);
    for (int i = 0; i < p->n_spares && err->status == MOE_OK; i++) {
        const int at = moe_search_fastest(s, i, -1);
        moe_search_point none = s->point[s->best];
        none.layer_s = none.base_s;
        const moe_search_point *x = at >= 0 ? &s->point[at] : &none;
        search_walk walk = walk_of(k, x, n);
        walk.slots = k->home + p->spare[i];
        if (at < 0) { /* experts stay at home */
            walk.forecast = -1;
            walk.planner = moe_planner_find("static");
        }
        moe_search_price_room(&walk, x, s, &s->room[i], err);
    }
    if (err->status == MOE_OK)
        s->pays = moe_search_room_that_pays(s->room, p->n_spares);
    return err->status;
}

/* ---- all of it ---- */

typedef struct {
    double imbalance;
    int layer;
} uneven;

static int by_imbalance(const void *a, const void *b)
{
    const uneven *x = a, *y = b;
    if (x->imbalance != y->imbalance)
        return x->imbalance < y->imbalance ? -1 : 1;
    return x->layer - y->layer;
}

/* Walk layer by layer without plans. */
static moe_status sort_layers(searching *k, moe_error *err)
{
    const int n = k->series.layers;
    search_walked w;
    uneven *all = moe_array_new((size_t)n, sizeof *all, err);
    for (int l = 0; l < n && err->status == MOE_OK; l++) {
        k->layers[0] = l;
        walk_base(k, 1, &w, err);
        all[l] = (uneven){w.imbalance, l};
    }
    if (err->status == MOE_OK)
        qsort(all, (size_t)n, sizeof *all, by_imbalance);
    for (int l = 0; l < n && err->status == MOE_OK; l++) {
        k->by_imbalance[l] = all[l].layer;
        k->out->base_imbalance += all[l].imbalance / n;
    }
    free(all);
    return err->status;
}

static void describe(searching *k)
{
    moe_search *s = k->out;
    const int warmup = k->p->warmup;
    s->batches = k->series.batches - warmup;
    s->layers = k->series.layers;
    s->recorded = k->series.recorded;
    s->passes = k->series.passes;
    s->tokens = mean_of(k->series.tokens + warmup, s->batches);
    s->sequences = mean_of(k->series.sequences + warmup, s->batches);
    s->home_slots = k->home;
    s->slot_bytes = moe_model_expert_bytes(k->p->model) * k->p->model->layers;
}

/* The deployment, with cached tokens by the positions of a token trace. */
static moe_status find_serving(const moe_search_params *p, moe_serving *out,
                               moe_error *err)
{
    int n = 1;
    *out = p->serving;
    if (out->phase != MOE_SERVE_DECODE)
        return MOE_OK;
    if (moe_batch_check_decode(p->trace, p->batch, p->seq, out->kv_len, err) !=
            MOE_OK ||
        moe_search_count(p, MOE_SEARCH_BATCHES, &n, err) != MOE_OK)
        return err->status;
    const moe_batcher_params batches =
        moe_search_batches(p, NULL, 0, n > 0 ? n : 1);
    return moe_advise_find_cache(&batches, &out->kv_len, err);
}

/* Kernels have room for so many tokens of a GPU. */
static moe_status check_batches(const searching *k, moe_error *err)
{
    const moe_search_params *p = k->p;
    const search_series *s = &k->series;
    const int tp = moe_layer_attention_gpus(&k->pricer);
    double most = 0, fewest = INFINITY;
    for (int i = 0; i < s->batches; i++) {
        most = fmax(most, s->tokens[i]);
        fewest = fmin(fewest, s->sequences[i]);
    }
    return moe_serving_cost_fits(k->serving, most / p->gpus,
                                 ceil(fewest * tp / p->gpus), err);
}

/* The whole model, with what is recommended and without. */
static void tell_model(const searching *k)
{
    moe_search *s = k->out;
    const moe_search_point *x =
        &s->point[s->simplest < 0 ? s->best : s->simplest];
    moe_model_rest rest;
    moe_model_rest_of(&k->pricer, s->tokens, s->sequences, &rest);
    s->base_model = moe_model_time_of(&k->pricer, &rest, x->base_s, s->tokens);
    s->model = moe_model_time_of(
        &k->pricer, &rest, s->simplest < 0 ? x->base_s : x->layer_s, s->tokens);
}

static moe_status set_up(searching *k, moe_error *err)
{
    const moe_search_params *p = k->p;
    const moe_model *m = p->model;
    const moe_trace_model of = {m->profile, m->layers, moe_model_last_layer(m),
                                m->experts, m->top_k};
    moe_serving serving;
    if (moe_trace_fits(p->trace, &of, err) != MOE_OK ||
        find_serving(p, &serving, err) != MOE_OK)
        return err->status;
    k->cost = moe_cost_find(p->cluster->cost);
    if (k->cost == NULL)
        return moe_fail(err, MOE_USAGE, "no cost model '%s'", p->cluster->cost);
    const moe_layout layout = {p->gpus, p->cluster->gpus_per_node};
    k->cost_state = moe_cost_new(k->cost, m, p->cluster, err);
    if (err->status == MOE_OK)
        moe_serving_cost_new(&serving, m, p->cluster, &layout, &k->serving,
                             err);
    k->pricer = (moe_pricer){.cost = k->cost,
                             .state = k->cost_state,
                             .model = m,
                             .layout = layout,
                             .serving = k->serving,
                             .migration_rate = p->cluster->migration_rate,
                             .migration = p->cluster->migration};
    k->home = moe_layout_home_slots(&k->pricer.layout, m->experts);
    k->deal = moe_split_find("deal");
    if (err->status != MOE_OK ||
        moe_search_series_init(&k->series, p, err) != MOE_OK ||
        check_batches(k, err) != MOE_OK)
        return err->status;
    describe(k);
    const size_t n = (size_t)k->series.batches;
    k->layers = moe_array_new((size_t)k->series.layers, sizeof *k->layers, err);
    k->base_s = moe_array_new(n, sizeof *k->base_s, err);
    k->by_imbalance =
        moe_array_new((size_t)k->series.layers, sizeof *k->by_imbalance, err);
    if (err->status == MOE_OK && sort_layers(k, err) == MOE_OK &&
        make_grid(k, err) == MOE_OK)
        k->todo = moe_array_new((size_t)k->out->n_points, sizeof *k->todo, err);
    return err->status;
}

moe_status moe_search_run(const moe_search_params *params, moe_search *out,
                          moe_error *err)
{
    moe_error local = {0};
    moe_search s = {.point = NULL};
    searching k = {.p = params, .out = &s};
    if (set_up(&k, &local) == MOE_OK) {
        moe_progress_begin(&k.progress, "combinations",
                           s.n_points + s.n_points / BETTER, !params->quiet);
        if (look(&k, &local) == MOE_OK && try_splits(&k, &local) == MOE_OK)
            try_assumed(&k, &local);
        if (local.status == MOE_OK && find_rooms(&k, &local) == MOE_OK)
            tell_model(&k);
        moe_progress_end(&k.progress);
    }
    moe_search_series_fini(&k.series);
    moe_cost_free(k.cost, k.cost_state);
    moe_serving_cost_free(k.serving);
    free(k.layers);
    free(k.by_imbalance);
    free(k.base_s);
    free(k.todo);
    if (local.status != MOE_OK) {
        moe_search_fini(&s);
        return moe_pass(err, &local);
    }
    *out = s;
    return MOE_OK;
}

void moe_search_fini(moe_search *s)
{
    free(s->point);
    free(s->room);
    *s = (moe_search){.point = NULL};
}
