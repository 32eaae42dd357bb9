/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/iteration_price.h"
#include "moegps/mem.h"
#include "moegps/planner.h"
#include "moegps/split.h"
#include "moegps/stats.h"

/* Of a price that is made anew: what floating point may differ by where the
 * compiler does, or the libraries. */
static const double PRICE_TOLERANCE = 1e-9;

struct moe_replay {
    const moe_view *view;
    const moe_work *work;
    moe_model model;
    moe_cluster cluster;
    const moe_cost *cost;
    void *cost_state;
    moe_serving_cost *serving;
    double link, network; /* that cost_state has, over the profile's */
    double *error_s;      /* [strategies] */
    double sample_error;
    /* scratch: */
    uint32_t *rows; /* [slots] */
    double *sample; /* [samples] */
    moe_iteration_pricer *pricer;
    moe_layer_cost *layer;             /* [layers] */
    double *plan_s;                    /* [layers] */
    double (*exposed_s)[MOE_N_PHASES]; /* [layers] */
};

/* A cell under a question. */
typedef struct {
    moe_replay *r;
    const moe_what_if *what;
    int strategy;
    const moe_work_cell *cell;
} job;

/* @return what is left of a GPU's load when none has more than the level's
 * busiest. */
static double share_left(const job *j, const moe_work_gpu *gpu)
{
    const double most = j->cell->busiest[j->what->level];
    return j->what->level == MOE_LEVEL_ACTUAL || !(most < gpu->total)
               ? 1.0
               : most / gpu->total;
}

/* In decode a token of a load trace's step is a sequence, of a token trace's
 * batch as well. */
static double sequences_of(const job *j)
{
    return j->r->work->serving.phase == MOE_SERVE_DECODE
               ? j->cell->tokens
               : j->r->work->sequences;
}

static moe_layer_work work_of(const job *j, const moe_work_gpu *gpu)
{
    const moe_replay *r = j->r;
    const double by = j->what->tokens * share_left(j, gpu);
    const moe_strategy_facts *facts = &r->view->strategy[j->cell->used].facts;
    const moe_split *split = moe_split_find(facts->split);
    moe_layer_work w = {
        .tokens = j->cell->tokens * j->what->tokens,
        .sequences = fmax(1.0, sequences_of(j) * j->what->tokens),
        .own = j->cell->own,
        .own_sequences = ceil(gpu->own_sequences * j->what->tokens),
        .own_tokens = gpu->own_tokens * j->what->tokens,
        .cached = gpu->cached,
        .predict_s = gpu->gpu_s[MOE_PHASE_PREDICT] * fmax(1.0, j->what->tokens),
        .ahead_rows = j->cell->ahead_rows,
        .numbers = (int)j->cell->numbered,
        .solve_s = split != NULL && split->solves
                       ? j->cell->numbered * r->cluster.split_solver_s
                       : 0,
        .direct = j->what->placed || facts->direct,
        .rows = r->rows,
        .slots = (size_t)r->work->slots};
    moe_layer_scale_rows(gpu->pairs, w.slots, by, r->rows);
    for (int k = 0; k < MOE_N_LINKS; k++) {
        w.move_bytes[k] = gpu->exchange_bytes[MOE_EXCHANGE_MIGRATE][k];
        w.dispatch_bytes[k] =
            j->what->placed
                ? 0
                : gpu->exchange_bytes[MOE_EXCHANGE_DISPATCH][k] * by;
        w.combine_bytes[k] = gpu->exchange_bytes[MOE_EXCHANGE_COMBINE][k] * by;
    }
    return w;
}

static moe_pricer pricer_of(const moe_replay *r)
{
    return (moe_pricer){.cost = r->cost,
                        .state = r->cost_state,
                        .model = &r->model,
                        .layout = {r->view->dims.gpus, r->work->gpus_per_node},
                        .serving = r->serving,
                        .migration_rate = r->cluster.migration_rate,
                        .migration = r->cluster.migration};
}

/* The slowest GPUs of a cell. */
static void price_cell(const job *j, moe_layer_cost *worst)
{
    const moe_pricer pricer = pricer_of(j->r);
    moe_layer_cost common, own;
    moe_layer_work w = work_of(j, &j->cell->gpu[0]);
    moe_layer_cost_common(&pricer, &w, &common);
    moe_layer_cost_init(worst);
    for (int g = 0; g < j->cell->n; g++) {
        w = work_of(j, &j->cell->gpu[g]);
        if (w.own)
            moe_layer_cost_common(&pricer, &w, &common);
        moe_layer_cost_own(&pricer, &common, &w, &own);
        moe_layer_cost_merge(worst, &own);
    }
}

static bool plans(const moe_strategy_facts *facts)
{
    const moe_planner *planner = moe_planner_find(facts->planner);
    return planner == NULL || planner->plans;
}

/* What ranks did together in an iteration: recorded with layer 0, as its part
 * of what serves all layers that it stands for. The planner's time is host
 * time, shared out evenly here, as its sum alone counts. */
static moe_coordination_work
coordination_of(const moe_replay *r, const moe_work_cell *first, double *plan_s)
{
    const moe_strategy_facts *facts = &r->view->strategy[first->used].facts;
    const double *was_s = first->gpu[0].gpu_s;
    const int run = r->view->dims.layers, layers = r->model.layers;
    const double share = (double)layers / run;
    const double tried_s = first->try_steps * share * r->cluster.planner_step_s;
    const int stands_for = moe_iteration_images(run, layers, 0);
    const double once =
        facts->lookahead == MOE_LOOKAHEAD_ALL
            ? (was_s[MOE_PHASE_PLAN] * stands_for - tried_s) / layers
            : 0;
    for (int l = 0; l < r->work->layers; l++)
        plan_s[l] = facts->lookahead == MOE_LOOKAHEAD_ALL
                        ? once
                        : first[l].gpu[0].gpu_s[MOE_PHASE_PLAN];
    if (facts->lookahead != MOE_LOOKAHEAD_ALL)
        plan_s[0] -= tried_s / stands_for;
    return (moe_coordination_work){
        .collects = first->told && was_s[MOE_PHASE_COLLECT] > 0,
        .plans = first->told && was_s[MOE_PHASE_BROADCAST] > 0 && plans(facts),
        .central = r->work->central,
        .lookahead = facts->lookahead,
        .sees_layers = facts->sees_layers,
        .next_iteration = facts->plan_ahead,
        .plan_bytes = first->wire_bytes * share,
        .plan_s = plan_s,
        .tried = first->tried,
        .tried_bytes = first->try_bytes * share,
        .tried_s = tried_s};
}

/* One iteration. @return a layer's time, mean over layers. */
static double entry_s(moe_replay *r, int strategy, const moe_what_if *what,
                      const moe_work_cell *cell, double *error_s)
{
    const moe_pricer pricer = pricer_of(r);
    const int n = r->work->layers;
    for (int l = 0; l < n; l++)
        price_cell(&(job){r, what, strategy, &cell[l]}, &r->layer[l]);
    const moe_coordination_work c = coordination_of(r, cell, r->plan_s);
    moe_iteration_work w = {.cost = r->layer,
                            .n = n,
                            .layers = r->model.layers,
                            .slowdown = r->cluster.overlap_slowdown};
    moe_coordination_cost_of(&pricer, &c, &w.coordination);
    const moe_iteration_price price =
        moe_iteration_price_of(r->pricer, &w, r->exposed_s);
    double sum_s = 0;
    for (int l = 0; l < n; l++)
        for (int p = 0; p < MOE_N_PHASES; p++)
            sum_s += r->exposed_s[l][p];
    *error_s = price.wrong_s / r->model.layers;
    return sum_s / n;
}

static double sample_s(moe_replay *r, int strategy, const moe_what_if *what,
                       int sample, double *error_s)
{
    const moe_work *w = r->work;
    double sum = 0;
    *error_s = 0;
    for (int e = 0; e < w->entries; e++) {
        const double weight = w->weight[sample * w->entries + e];
        double error = 0;
        if (!(weight > 0))
            continue;
        sum += weight * entry_s(r, strategy, what,
                                moe_work_at(w, strategy, sample, e, 0), &error);
        *error_s += weight * error;
    }
    return sum;
}

static void price_links(moe_replay *r, const moe_what_if *what)
{
    if (what->link == r->link && what->network == r->network)
        return;
    r->cost->set_links(r->cost_state, r->cluster.link_bandwidth * what->link,
                       r->cluster.network_bandwidth * what->network);
    r->link = what->link;
    r->network = what->network;
}

void moe_replay_samples_s(moe_replay *r, int strategy, const moe_what_if *what,
                          double *x_out)
{
    double error_s;
    price_links(r, what);
    for (int k = 0; k < r->work->samples; k++)
        x_out[k] = sample_s(r, strategy, what, k, &error_s);
}

double moe_replay_layer_s(moe_replay *r, int strategy, const moe_what_if *what)
{
    moe_replay_samples_s(r, strategy, what, r->sample);
    return moe_median_sorting(r->sample, (size_t)r->work->samples);
}

const moe_cluster *moe_replay_cluster(const moe_replay *r)
{
    return &r->cluster;
}

double moe_replay_sample_error(const moe_replay *r)
{
    return r->sample_error;
}

double moe_replay_error_s(const moe_replay *r, int strategy)
{
    return r->error_s[strategy];
}

static moe_status open_cost(moe_replay *r, moe_error *err)
{
    moe_model_parse(r->work->model_profile, "model profile", &r->model, err);
    moe_cluster_parse(r->work->cluster_profile, "cluster profile", &r->cluster,
                      err);
    if (err->status != MOE_OK)
        return err->status;
    r->cost = moe_cost_find(r->cluster.cost);
    if (r->cost == NULL)
        return moe_fail(err, MOE_USAGE, "no cost model '%s'", r->cluster.cost);
    r->cost_state = moe_cost_new(r->cost, &r->model, &r->cluster, err);
    const moe_layout layout = {r->view->dims.gpus, r->work->gpus_per_node};
    if (err->status == MOE_OK)
        moe_serving_cost_new(&r->work->serving, &r->model, &r->cluster, &layout,
                             &r->serving, err);
    return err->status;
}

/* @return whether a GPU's phases cost what the run recorded; what ranks do
 * together is looked at with the first layer. */
static bool comes_out(const moe_layer_cost *cost, const moe_work_gpu *gpu)
{
    for (int p = MOE_PHASE_MIGRATE; p < MOE_N_PHASES; p++) {
        const double was_s = gpu->gpu_s[p];
        const double is_s = moe_layer_cost_phase_s(cost, (moe_phase)p);
        if (!(fabs(is_s - was_s) <= PRICE_TOLERANCE * was_s))
            return false;
    }
    return true;
}

/* Price every cell as the run did. */
static moe_status check_prices(moe_replay *r, moe_error *err)
{
    const moe_what_if itself = moe_what_if_init();
    const moe_work *w = r->work;
    const int cells = w->strategies * w->samples * w->entries * w->layers;
    const moe_pricer pricer = pricer_of(r);
    for (int c = 0; c < cells; c++) {
        const int strategy = c / (cells / w->strategies);
        const job j = {r, &itself, strategy, &w->cell[c]};
        for (int g = 0; g < j.cell->n; g++) {
            const moe_layer_work work = work_of(&j, &j.cell->gpu[g]);
            moe_layer_cost cost;
            moe_layer_cost_of(&pricer, &work, &cost);
            if (!comes_out(&cost, &j.cell->gpu[g]))
                return moe_fail(err, MOE_MISMATCH,
                                "its prices do not come out again: they are of "
                                "other tables, or another version");
        }
    }
    return MOE_OK;
}

/* How far the part that was read is from all of the run. */
static void compare(moe_replay *r)
{
    const moe_what_if itself = moe_what_if_init();
    const int n = r->work->samples;
    for (int s = 0; s < r->work->strategies; s++) {
        const double run_s = r->view->strategy[s].summary[MOE_CLOCK_GPU].median;
        r->error_s[s] = 0;
        for (int k = 0; k < n; k++) {
            double error_s;
            r->sample[k] = sample_s(r, s, &itself, k, &error_s);
            r->error_s[s] += error_s / n;
        }
        const double part_s = moe_median_sorting(r->sample, (size_t)n);
        r->sample_error = fmax(r->sample_error, fabs(part_s / run_s - 1));
    }
}

moe_status moe_replay_new(const moe_view *view, const moe_work *work,
                          moe_replay **out, moe_error *err)
{
    moe_error local = {0};
    const size_t n = (size_t)work->strategies;
    moe_replay *r = moe_array_new(1, sizeof *r, &local);
    if (r == NULL)
        return moe_fail(err, MOE_NOMEM, "out of memory");
    r->view = view;
    r->work = work;
    r->link = r->network = 1;
    r->error_s = moe_array_new(n, sizeof *r->error_s, &local);
    r->rows = moe_array_new((size_t)work->slots, sizeof *r->rows, &local);
    r->sample = moe_array_new((size_t)work->samples, sizeof *r->sample, &local);
    r->layer = moe_array_new((size_t)work->layers, sizeof *r->layer, &local);
    r->plan_s = moe_array_new((size_t)work->layers, sizeof *r->plan_s, &local);
    r->exposed_s =
        moe_array_new((size_t)work->layers, sizeof *r->exposed_s, &local);
    if (local.status == MOE_OK && open_cost(r, &local) == MOE_OK)
        moe_iteration_pricer_new(r->model.layers, &r->pricer, &local);
    if (local.status == MOE_OK && check_prices(r, &local) == MOE_OK)
        compare(r);
    if (local.status != MOE_OK) {
        moe_replay_free(r);
        return moe_pass(err, &local);
    }
    *out = r;
    return MOE_OK;
}

void moe_replay_free(moe_replay *r)
{
    if (r == NULL)
        return;
    moe_serving_cost_free(r->serving);
    moe_cost_free(r->cost, r->cost_state);
    moe_iteration_pricer_free(r->pricer);
    free(r->exposed_s);
    free(r->plan_s);
    free(r->layer);
    free(r->sample);
    free(r->rows);
    free(r->error_s);
    free(r);
}
