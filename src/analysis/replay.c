/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/layer_price.h"
#include "moegps/mem.h"
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
    double link, network; /* that cost_state has, over the profile's */
    double *error_s;      /* [strategies] */
    double sample_error;
    uint32_t *rows; /* [slots] scratch */
    double *sample; /* [samples] scratch */
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

static moe_layer_work work_of(const job *j, const moe_work_gpu *gpu)
{
    const moe_replay *r = j->r;
    const double by = j->what->tokens * share_left(j, gpu);
    const double *was_s = gpu->gpu_s;
    const moe_strategy_facts *facts = &r->view->strategy[j->strategy].facts;
    moe_layer_work w = {
        .tokens = j->cell->tokens * j->what->tokens,
        .sequences = fmax(1.0, r->work->sequences * j->what->tokens),
        .collects = was_s[MOE_PHASE_COLLECT] > 0,
        .plans = was_s[MOE_PHASE_PLAN] > 0 || was_s[MOE_PHASE_BROADCAST] > 0,
        .central = r->work->central,
        .layers = r->view->dims.layers,
        .predict_s = was_s[MOE_PHASE_PREDICT] * fmax(1.0, j->what->tokens),
        .ahead = facts->plan_ahead,
        .planner_s = was_s[MOE_PHASE_PLAN],
        .plan_bytes = j->cell->wire_bytes,
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
    return (moe_pricer){r->cost,
                        r->cost_state,
                        &r->model,
                        {r->view->dims.gpus, r->work->gpus_per_node}};
}

/* Sum over phases of the slowest GPU's exposed time, as a run has it. */
static double cell_s(const job *j, double *error_s)
{
    const moe_replay *r = j->r;
    const moe_pricer pricer = pricer_of(r);
    moe_layer_price worst = {.error_s = 0};
    moe_layer_common common;
    moe_layer_work w = work_of(j, &j->cell->gpu[0]);
    moe_layer_common_of(&pricer, &w, &common);
    for (int g = 0; g < j->cell->n; g++) {
        moe_layer_price price;
        w = work_of(j, &j->cell->gpu[g]);
        moe_layer_price_with(&pricer, &common, &w, &price);
        moe_layer_price_worst(&worst, &price);
    }
    *error_s = worst.error_s;
    return moe_layer_price_sum(&worst);
}

static double sample_s(moe_replay *r, int strategy, const moe_what_if *what,
                       int sample, double *error_s)
{
    const moe_work *w = r->work;
    double sum = 0;
    *error_s = 0;
    for (int e = 0; e < w->entries; e++)
        for (int l = 0; l < w->layers; l++) {
            const double weight = w->weight[sample * w->entries + e];
            const job j = {r, what, strategy,
                           moe_work_at(w, strategy, sample, e, l)};
            double error = 0;
            if (weight > 0)
                sum += weight * cell_s(&j, &error) / w->layers;
            *error_s += weight * error / w->layers;
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
    return err->status;
}

/* @return whether a GPU's phases cost what the run recorded; host time is
 * recorded, not priced. */
static bool comes_out(const moe_layer_price *price, const moe_work_gpu *gpu)
{
    for (int p = 0; p < MOE_N_PHASES; p++)
        if (!(fabs(price->gpu_s[p] - gpu->gpu_s[p]) <=
              PRICE_TOLERANCE * gpu->gpu_s[p]))
            return false;
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
            moe_layer_price price;
            moe_layer_price_of(&pricer, &work, &price);
            if (!comes_out(&price, &j.cell->gpu[g]))
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
    if (local.status == MOE_OK && open_cost(r, &local) == MOE_OK &&
        check_prices(r, &local) == MOE_OK)
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
    moe_cost_free(r->cost, r->cost_state);
    free(r->sample);
    free(r->rows);
    free(r->error_s);
    free(r);
}
