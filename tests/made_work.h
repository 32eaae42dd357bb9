/** made_work.h: the work of a run, made by hand: two strategies on four GPUs of
 *  two nodes, the second with a planner, direct routing and copies that travel.
 *  What a replay says of it must be what moe_iteration_price_of() says of work
 *  that was changed by hand.
 */
#ifndef MOEGPS_TESTS_MADE_WORK_H
#define MOEGPS_TESTS_MADE_WORK_H

#include <check.h>
#include <math.h>
#include <stdio.h>

#include "moegps/iteration_price.h"
#include "moegps/replay.h"
#include "pricing.h"

enum { S = 2, K = 3, J = 2, L = 2, G = 4, SLOTS = 3, E = 8, TOP_K = 2 };

static const double LINK = 300e9, NETWORK = 25e9, PLAN_S = 8e-6;

/* Of strategy 1: 0: all layers before the first, a round ahead. */
static int lookahead;

static const char model_text[] = "name: tiny\n"
                                 "layers: 2\n"
                                 "experts: 8\n"
                                 "top_k: 2\n"
                                 "hidden: 1024\n"
                                 "intermediate: 2048\n"
                                 "heads: 8\n"
                                 "kv_heads: 4\n"
                                 "head_dim: 128\n"
                                 "dtype: bf16\n"
                                 "origin: made for tests\n";

/* A file's contents, and room for them. */
typedef struct {
    moe_view view;
    moe_strategy_view strategy[S];
    moe_work work;
    double weight[K * J];
    moe_work_cell cell[S * K * J * L];
    uint32_t pairs[S * K * J * L * G * SLOTS];
    char cluster[1024];
} world;

static inline void put_cluster(world *w, double link, double network)
{
    snprintf(w->cluster, sizeof w->cluster,
             "name: tiny\ngpu: a100_sxm\ncost: analytic\ngpus_per_node: 2\n"
             "memory_bytes: 80e9\nmemory_bandwidth: 2e12\npeak_flops: 312e12\n"
             "vector_flops: 78e12\ncompute_efficiency: 0.9\n"
             "memory_efficiency: 0.9\nsms: 108\ntile_m: 128\ntile_n: 128\n"
             "launch_s: 5e-6\nlink_bandwidth: %g\nlink_latency_s: 2e-6\n"
             "network_bandwidth: %g\nnetwork_latency_s: 5e-6\n"
             "error_gemm: 0.1\nerror_attention: 0.1\nerror_ffn: 0.1\n"
             "error_link: 0.1\norigin: made for tests\n",
             link, network);
}

/* Uneven counts that differ in everything; `times` scales what a batch does. */
static inline void fill_cell(moe_work_cell *c, uint32_t *pairs, int s, int at,
                             unsigned times)
{
    *c = (moe_work_cell){.n = G,
                         .used = s,
                         .told = true,
                         .tokens = 4096.0 * times,
                         .wire_bytes = 200,
                         .ahead_rows = 0.5 * s,
                         .numbered = 2 * s};
    for (int g = 0; g < G; g++, pairs += SLOTS) {
        moe_work_gpu *x = &c->gpu[g];
        x->pairs = pairs;
        for (unsigned k = 0; k < SLOTS; k++) {
            pairs[k] = times * (300 + 100 * k + 61 * (unsigned)g +
                                7 * (unsigned)at + 11 * (unsigned)s);
            x->total += pairs[k];
        }
        for (int k = 0; k < MOE_N_LINKS; k++) {
            x->exchange_bytes[MOE_EXCHANGE_DISPATCH][k] =
                times * (1e6 + 2e5 * g + 1e4 * at);
            x->exchange_bytes[MOE_EXCHANGE_COMBINE][k] =
                times * (2e6 + 3e5 * g);
            x->exchange_bytes[MOE_EXCHANGE_MIGRATE][k] = s * 1e6 * g;
        }
        if (s == 0)
            continue;
        x->gpu_s[MOE_PHASE_PREDICT] = 3e-6 * times;
        /* What is done for all layers is recorded with the first. */
        const bool here = at % L == 0 || lookahead > 0;
        x->gpu_s[MOE_PHASE_COLLECT] = here ? 2e-6 : 0;
        x->gpu_s[MOE_PHASE_PLAN] = here ? PLAN_S * (1 + at % L) : 0;
        x->gpu_s[MOE_PHASE_BROADCAST] = here ? 2e-6 : 0;
    }
    for (int level = 0; level < MOE_N_LEVELS; level++)
        c->busiest[level] =
            level == 0 ? c->gpu[G - 1].total : c->gpu[1].total - 10 * level;
}

/* @param times  a batch of so many times the size. */
static inline void make_world(world *w, unsigned times)
{
    *w = (world){.view = {.strategy = w->strategy,
                          .top_k = TOP_K,
                          .dims = {.strategies = S,
                                   .iterations = K * J,
                                   .layers = L,
                                   .experts = E,
                                   .gpus = G,
                                   .ranks = G,
                                   .slots = SLOTS}},
                 .work = {.strategies = S,
                          .samples = K,
                          .entries = J,
                          .layers = L,
                          .slots = SLOTS,
                          .weight = w->weight,
                          .cell = w->cell,
                          .pairs = w->pairs,
                          .model_profile = (char *)model_text,
                          .cluster_profile = w->cluster,
                          .gpus_per_node = 2,
                          .sequences = 8.0 * times,
                          .central = true}};
    w->strategy[1].facts = (moe_strategy_facts){.lookahead = lookahead,
                                                .sees_layers = lookahead > 0,
                                                .plan_ahead = lookahead == 0,
                                                .direct = true,
                                                .split = "minmax"};
    put_cluster(w, LINK, NETWORK);
    for (int k = 0; k < K; k++) {
        w->weight[k * J] = 0.25;
        w->weight[k * J + 1] = 0.75;
    }
    for (int c = 0; c < S * K * J * L; c++)
        fill_cell(&w->cell[c], w->pairs + c * G * SLOTS, c / (K * J * L),
                  c % (K * J * L), times);
}

/* One GPU's work, written down anew. */
static inline moe_layer_work work_of(const world *w, int s,
                                     const moe_work_cell *c, int g)
{
    const moe_work_gpu *x = &c->gpu[g];
    return (moe_layer_work){
        .tokens = c->tokens,
        .sequences = w->work.sequences,
        .predict_s = x->gpu_s[MOE_PHASE_PREDICT],
        .ahead_rows = c->ahead_rows,
        .numbers = (int)c->numbered,
        .solve_s = s == 1 ? c->numbered * 100e-6 : 0,
        .move_bytes = {x->exchange_bytes[MOE_EXCHANGE_MIGRATE][0],
                       x->exchange_bytes[MOE_EXCHANGE_MIGRATE][1]},
        .dispatch_bytes = {x->exchange_bytes[MOE_EXCHANGE_DISPATCH][0],
                           x->exchange_bytes[MOE_EXCHANGE_DISPATCH][1]},
        .combine_bytes = {x->exchange_bytes[MOE_EXCHANGE_COMBINE][0],
                          x->exchange_bytes[MOE_EXCHANGE_COMBINE][1]},
        .direct = s == 1,
        .rows = x->pairs,
        .slots = SLOTS};
}

/* The prices of the world's cluster. */
static inline moe_pricer open_pricer(pricing *p, const world *w)
{
    *p = (pricing){.state = NULL};
    moe_model_parse(model_text, "m", &p->model, NULL);
    moe_cluster_parse(w->cluster, "c", &p->cluster, NULL);
    ck_assert_int_eq(pricing_open(p, "analytic", NULL), MOE_OK);
    return pricing_on(p, G, 2);
}

/* What the GPUs of strategy 1 do together, which plans anew each time. */
static inline void coordinate(const moe_pricer *pricer, int s,
                              const moe_work_cell *c, moe_iteration_work *w)
{
    static const double all_s[L] = {PLAN_S / L, PLAN_S / L},
                        each_s[L] = {PLAN_S, 2 * PLAN_S};
    const moe_coordination_work all = {
        .collects = s == 1,
        .plans = s == 1,
        .central = true,
        .lookahead = s == 1 ? lookahead : 0,
        .sees_layers = lookahead > 0,
        .next_iteration = s == 1 && lookahead == 0,
        .plan_bytes = c->wire_bytes,
        .plan_s = lookahead > 0 ? each_s : all_s};
    moe_coordination_cost_of(pricer, &all, &w->coordination);
}

/* A layer of an iteration, mean over layers. */
static inline double iteration_s(const world *w, const pricing *p,
                                 const moe_pricer *pricer, int s,
                                 const moe_work_cell *c)
{
    moe_layer_cost worst[L], own;
    moe_iteration_pricer *ip = NULL;
    for (int l = 0; l < L; l++) {
        moe_layer_cost_init(&worst[l]);
        for (int g = 0; g < G; g++) {
            const moe_layer_work work = work_of(w, s, &c[l], g);
            moe_layer_cost_of(pricer, &work, &own);
            moe_layer_cost_merge(&worst[l], &own);
        }
    }
    moe_iteration_work iw = {.cost = worst,
                             .n = L,
                             .layers = L,
                             .slowdown = p->cluster.overlap_slowdown};
    coordinate(pricer, s, c, &iw);
    ck_assert_int_eq(moe_iteration_pricer_new(L, &ip, NULL), MOE_OK);
    const double length_s = moe_iteration_price_of(ip, &iw, NULL).length_s;
    moe_iteration_pricer_free(ip);
    return length_s / L;
}

/* The median over three samples of weighted means. */
static inline double direct_s(const world *w, int s)
{
    pricing p;
    double x[K] = {0};
    const moe_pricer pricer = open_pricer(&p, w);
    for (int k = 0; k < K; k++)
        for (int j = 0; j < J; j++)
            x[k] += w->weight[k * J + j] *
                    iteration_s(w, &p, &pricer, s,
                                moe_work_at(&w->work, s, k, j, 0));
    pricing_close(&p);
    return fmax(fmin(x[0], x[1]), fmin(fmax(x[0], x[1]), x[2]));
}

/* What was recorded is what was priced. */
static inline void settle(world *w)
{
    pricing p;
    const moe_pricer pricer = open_pricer(&p, w);
    for (int c = 0; c < S * K * J * L; c++)
        for (int g = 0; g < G; g++) {
            const int s = c / (K * J * L);
            const moe_layer_work work = work_of(w, s, &w->cell[c], g);
            double *gpu_s = w->cell[c].gpu[g].gpu_s;
            moe_layer_cost own;
            moe_layer_cost_of(&pricer, &work, &own);
            for (int k = MOE_PHASE_MIGRATE; k < MOE_N_PHASES; k++)
                gpu_s[k] = moe_layer_cost_phase_s(&own, (moe_phase)k);
        }
    pricing_close(&p);
}

/* The run's own medians are those of its work. */
static inline moe_replay *replay_of(world *w)
{
    settle(w);
    moe_replay *r = NULL;
    moe_error err = {0};
    for (int s = 0; s < S; s++)
        w->strategy[s].summary[MOE_CLOCK_GPU].median = direct_s(w, s);
    ck_assert_msg(moe_replay_new(&w->view, &w->work, &r, &err) == MOE_OK, "%s",
                  err.text);
    return r;
}

#endif
