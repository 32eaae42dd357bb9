/** synthetic.h: a ledger whose every number is a formula, and what a reader
 *  must find in a file made from it. All numbers are exact in binary, so
 *  that sums and means can be compared exactly.
 */
#ifndef MOEGPS_TESTS_SYNTHETIC_H
#define MOEGPS_TESTS_SYNTHETIC_H

#include <math.h>
#include <string.h>

#include "moegps/cost.h"
#include "moegps/facts.h"
#include "moegps/ledger.h"
#include "moegps/results.h"

enum { SYN_S = 3, SYN_I = 8, SYN_W = 2, SYN_L = 4, SYN_E = 8, SYN_K = 3 };

static const char *const syn_strategies[SYN_S] = {"baseline", "duplicate",
                                                  "oracle"};
static const moe_strategy_facts syn_strategy_facts[SYN_S] = {
    {.predictor = "none",
     .planner = "static",
     .split = "quota",
     .planning = "planner: static, "},
    {.predictor = "ema",
     .planner = "duplicate",
     .split = "minmax",
     .planning = "planner: duplicate, slots: 3, ",
     .slots = 3,
     .plan_ahead = true},
    {.predictor = "oracle",
     .planner = "duplicate",
     .split = "quota",
     .planning = "planner: duplicate, slots: 2, ",
     .slots = 2,
     .lookahead = 2,
     .sees_layers = true,
     .direct = true,
     .foretells_tokens = true,
     .knows_future = true}};
static const int32_t syn_layers[SYN_L] = {0, 5, 6, 31};
static const moe_facts syn_facts = {
    .text = {[MOE_FACT_MODEL] = "mixtral-8x7b",
             [MOE_FACT_CLUSTER] = "a100-nvlink",
             [MOE_FACT_TRACE] = "synthetic",
             [MOE_FACT_SEED] = "1",
             [MOE_FACT_SCALE] = "0.125",
             [MOE_FACT_TRACE_SHA256] = "00e1a2",
             [MOE_FACT_TOP_K] = "2",
             [MOE_FACT_BATCH] = "16",
             [MOE_FACT_GPUS_PER_NODE] = "2",
             [MOE_FACT_COORDINATION] = "central"}};

/* The slowest rank is the last on the wall clock, the first on the cpu one. */
static inline double syn_wall(int s, int i, int l, int p, int r)
{
    return p == MOE_PHASE_ATTENTION ? (double)NAN : 1 + s + 2 * i + l + p + r;
}

static inline double syn_wait(int p, int r, int ranks)
{
    return p == MOE_PHASE_DISPATCH ? (ranks - 1 - r) / 2.0 : (double)NAN;
}

static inline double syn_cpu(int s, int i, int l, int p, int r, int ranks)
{
    return syn_wall(s, i, l, p, ranks - 1 - r) / 2;
}

/* Each phase has its own slowest GPU. */
static inline double syn_gpu(int s, int i, int l, int p, int r, int gpus)
{
    return r < gpus ? 4 + s + i + l + p + (p % gpus == r ? 2 : 0) : (double)NAN;
}

static inline double syn_exposed(int s, int i, int l, int p, int r, int gpus)
{
    return syn_gpu(s, i, l, p, r, gpus) - (p < MOE_PHASE_ATTENTION ? 1 : 0);
}

static inline int32_t syn_rank_pairs(int s, int r, int gpus)
{
    return r >= gpus ? -1 : r == 0 ? 4 + 2 * s : 4;
}

/* The first replica computes all, the last none is there. */
static inline int32_t syn_slot_pairs(int s, int k, int r, int gpus)
{
    return r >= gpus || k == SYN_K - 1 ? -1
           : k == 0                    ? syn_rank_pairs(s, r, gpus)
                                       : 0;
}

/* Beyond 32 bits, and none between nodes in dispatch. */
static inline int64_t syn_exchange(int s, int h, int link, int r, int gpus)
{
    return r >= gpus ? -1
           : h == MOE_EXCHANGE_DISPATCH && link == 1
               ? 0
               : ((int64_t)(s + h) << 32) + r;
}

static inline int16_t syn_source(int p, int r)
{
    return p == MOE_PHASE_PLAN ? -1 : (int16_t)((p + r) % MOE_N_PRICE_SOURCES);
}

static inline int32_t syn_busiest(int s, int level)
{
    return 100 + s + 10 * (MOE_N_LEVELS - level) * (MOE_N_LEVELS - level);
}

static inline int32_t syn_true_pairs(int i, int l, int e)
{
    return e == 0 ? 8 : (i + l + e) % 2 == 0 ? 2 : 0;
}

static inline int64_t syn_traffic(int s, int from, int to)
{
    return (int64_t)SYN_I * SYN_L * (from == to ? 300 : 100 + s);
}

static inline moe_ledger_dims syn_dims(int ranks, bool dedicated)
{
    return (moe_ledger_dims){.strategies = SYN_S,
                             .iterations = SYN_I,
                             .warmup = SYN_W,
                             .layers = SYN_L,
                             .experts = SYN_E,
                             .gpus = ranks - dedicated,
                             .ranks = ranks,
                             .slots = SYN_K};
}

static inline void syn_fill_rank(moe_ledger *ledger, int s, int i, int l, int r)
{
    const moe_ledger_dims *d = &ledger->dims;
    size_t at = moe_ledger_at(ledger, s, i, l);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        size_t j = at * MOE_N_PHASES + (size_t)p;
        ledger->wall[j] = syn_wall(s, i, l, p, r);
        ledger->wait[j] = syn_wait(p, r, d->ranks);
        ledger->cpu[j] = syn_cpu(s, i, l, p, r, d->ranks);
        ledger->gpu[j] = syn_gpu(s, i, l, p, r, d->gpus);
        ledger->exposed[j] = syn_exposed(s, i, l, p, r, d->gpus);
        ledger->price_source[j] = syn_source(p, r);
    }
    for (int k = 0; k < SYN_K; k++)
        ledger->slot_pairs[at * SYN_K + (size_t)k] =
            syn_slot_pairs(s, k, r, d->gpus);
    for (int h = 0; h < MOE_N_EXCHANGES; h++)
        for (int k = 0; k < MOE_N_LINKS; k++)
            moe_ledger_exchange(
                ledger, (moe_exchange_kind)h)[at * MOE_N_LINKS + (size_t)k] =
                syn_exchange(s, h, k, r, d->gpus);
    ledger->rank_pairs[at] = syn_rank_pairs(s, r, d->gpus);
}

static inline void syn_fill_root(moe_ledger *ledger, int s, int i, int l)
{
    const moe_ledger_dims *d = &ledger->dims;
    size_t at = moe_ledger_at(ledger, s, i, l);
    size_t slots = (size_t)d->gpus * SYN_K;
    for (int e = 0; e < SYN_E; e++) {
        ledger->true_pairs[(i * SYN_L + l) * SYN_E + e] =
            syn_true_pairs(i, l, e);
        ledger->predicted_pairs[at * SYN_E + (size_t)e] =
            s == 0 ? (double)NAN : e + s;
    }
    ledger->error[at] = s == 0 ? (double)NAN : 0.25 * s;
    ledger->top1[at] = s == 2 ? 0.5 : (double)NAN;
    ledger->recall[at] = s == 2 ? 0.75 : (double)NAN;
    ledger->in_place[at] = s == 2 ? 0.625 : (double)NAN;
    for (size_t k = 0; k < slots; k++) {
        ledger->slot_expert[at * slots + k] =
            (int16_t)(k % 3 == 2 ? -1 : (int)(k + (size_t)s) % SYN_E);
        ledger->slot_quota[at * slots + k] = k % 3 == 2 ? (double)NAN : 0.5;
    }
    ledger->moved_bytes[at] = (int64_t)s << 33; /* beyond 32 bits */
    ledger->planner_time[at] = 0.125 * (s + 1);
    ledger->planner_steps[at] = 1000 * (s + 1);
    for (int v = 0; v < MOE_N_LEVELS; v++)
        moe_ledger_busiest(ledger, (moe_level)v)[at] = syn_busiest(s, v);
}

static inline void syn_fill(moe_ledger *ledger, int rank)
{
    const moe_ledger_dims *d = &ledger->dims;
    for (int s = 0; s < SYN_S; s++) {
        for (int i = 0; i < SYN_I; i++)
            for (int l = 0; l < SYN_L; l++) {
                syn_fill_rank(ledger, s, i, l, rank);
                if (rank == 0)
                    syn_fill_root(ledger, s, i, l);
            }
        for (int i = 0; i < SYN_I && rank == 0; i++) {
            ledger->order[s * SYN_I + i] = (s + i) % SYN_S;
            ledger->wire_bytes[s * SYN_I + i] = 64 * s;
        }
        for (int w = 0; w < SYN_W && rank == 0; w++)
            ledger->warmup_time[s * SYN_W + w] = 100 + s + w;
        for (int g = 0; g < d->gpus && rank < d->gpus; g++) {
            const int64_t bytes = syn_traffic(s, rank, g);
            ledger->dispatch_bytes[s * d->gpus + g] = bytes;
            ledger->ahead_bytes[s * d->gpus + g] = s * bytes;
        }
    }
}

/* Text with characters that readers like to stumble over. */
static inline moe_results_meta syn_meta(const moe_topo *topo, int gpu)
{
    return (moe_results_meta){.title = "synthetic \xc3\xa9\xe2\x82\xac run",
                              .config_input = "model: mixtral-8x7b\n",
                              .config_resolved = "model: mixtral-8x7b\n",
                              .model_profile = "name: mixtral-8x7b\n",
                              .cluster_profile = "gpu: a100_sxm\n",
                              .command_line = "moegps run x.yaml",
                              .facts = &syn_facts,
                              .strategies = syn_strategies,
                              .strategy_facts = syn_strategy_facts,
                              .reference = "baseline",
                              .layers = syn_layers,
                              .topo = topo,
                              .gpu = gpu};
}

static inline moe_topo syn_topo(int rank, bool oversubscribed)
{
    moe_topo topo = {.cores = 2,
                     .numa_node = rank == 0 ? 0 : -1,
                     .bound = rank % 2 == 1,
                     .sharers = 1,
                     .node_cores = 2,
                     .oversubscribed = oversubscribed,
                     .threads = 2,
                     .cpu_limit = INFINITY};
    strcpy(topo.cpuset, "0-1");
    strcpy(topo.cpu_model, "Some Processor");
    return topo;
}

#endif
