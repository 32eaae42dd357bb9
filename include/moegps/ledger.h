/** ledger.h: everything that a run measures, in memory, before it is written.
 *
 *  The engine fills it, the results writer empties it, nobody else knows it.
 *  Every rank holds its own column (index [.., rank] of the file's datasets);
 *  what is known globally is held by rank 0 alone. Arrays are dense and
 *  allocated once, filled with NaN (doubles) or -1 (integers), so that what
 *  was never measured stays visibly so.
 *
 *  Dimensions: s strategy, i measured iteration, l layer (of the selected
 *  ones), p phase, e expert, g GPU, k slot.
 */
#ifndef MOEGPS_LEDGER_H
#define MOEGPS_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/ctx.h"
#include "moegps/phase.h"
#include "moegps/status.h"

enum { MOE_MAX_STRATEGIES = 64 }; /* of an experiment, and of a file */

typedef struct moe_ledger_dims {
    int strategies, iterations, warmup, layers, experts;
    int gpus;  /* GPU g is rank g */
    int ranks; /* gpus, or gpus + 1 with a dedicated coordinator (the last) */
    int slots; /* most slots of any strategy */
} moe_ledger_dims;

/** Pairs of a layer's busiest GPU: what it computed, and what it would have
 *  had. From one level to the next a stage of the strategy loses balance. */
typedef enum moe_level {
    MOE_LEVEL_ACTUAL,
    MOE_LEVEL_MINMAX,      /* this placement, divided best */
    MOE_LEVEL_ORACLE_PLAN, /* what the planner would have made of the true
                              load, divided best; may exceed the level before:
                              planners are no optimisers */
    MOE_LEVEL_BEST,        /* the best plan known for these slots */
    MOE_LEVEL_BOUND,       /* less than any plan can have */
    MOE_N_LEVELS
} moe_level;

/** Exchanges that the gpu clock prices by bytes. */
typedef enum moe_haul {
    MOE_HAUL_DISPATCH, /* rows to experts; with direct routing those that were
                          not in place */
    MOE_HAUL_COMBINE,  /* rows home */
    MOE_HAUL_MIGRATE,  /* weights of experts */
    MOE_N_HAULS
} moe_haul;

enum { MOE_N_LINKS = 2 }; /* 0: within the node, 1: between nodes */

/** @return "node", "network". */
const char *moe_link_name(int link);

typedef struct moe_ledger {
    moe_ledger_dims dims;

    /* This rank's own. */
    double *wall;          /* [s][i][l][p] s, CLOCK_MONOTONIC, without wait */
    double *cpu;           /* [s][i][l][p] s, CLOCK_PROCESS_CPUTIME_ID */
    double *gpu;           /* [s][i][l][p] s, modelled: this GPU's own work */
    double *exposed;       /* [s][i][l][p] s, modelled: the part of gpu that the
                        attention does not hide; equals gpu for phases that
                        are never hidden */
    int16_t *price_source; /* [s][i][l][p] moe_price_source of gpu; -1: none,
                              as it took no time, or was measured (plan) */
    double *wait; /* [s][i][l][p] s, barrier before the phase's collective */
    int32_t *rank_pairs; /* [s][i][l] pairs this GPU's replicas computed */
    int32_t *slot_pairs; /* [s][i][l][k] the same of each replica */
    int64_t *haul[MOE_N_HAULS]; /* [s][i][l][link] B at full size, the larger
                                of sent and received */
    int64_t *dispatch_bytes;    /* [s][g] bytes sent to GPU g in dispatch, over
                                 all measured iterations and layers */
    int64_t *ahead_bytes; /* [s][g] sent there before it by direct routing,
                                 likewise */

    /* Rank 0 only; NULL elsewhere. */
    int32_t *order;          /* [s][i] position of s within iteration i */
    double *warmup_wall;     /* [s][warmup] s, an iteration, max over ranks */
    int32_t *true_pairs;     /* [i][l][e] pairs per expert */
    double *predicted_pairs; /* [s][i][l][e]; NaN where nothing predicts */
    double *error;           /* [s][i][l] mean_e |p^ - p| / (1/E) */
    double *top1;            /* [s][i][l] share of tokens; NaN: no such */
    double *recall;          /* [s][i][l] |predicted and true| / k; NaN */
    double *in_place;        /* [s][i][l] share of pairs in place before
                                 dispatch; NaN without direct routing */
    int16_t *slot_expert;    /* [s][i][l][g][k] expert; -1: empty */
    double *slot_quota;      /* [s][i][l][g][k] share of its expert's pairs,
                                 exactly: a multiple of 1 / MOE_QUOTA_ONE */
    int64_t *moved_bytes;    /* [s][i][l] full-size weights migrated, all
                                 GPUs together, B on the emulated GPU */
    int64_t *wire_bytes;     /* [s][i] plan as broadcast, B */
    double *planner_cpu;     /* [s][i][l] s, CPU time of the planner alone */
    int32_t *busiest[MOE_N_LEVELS]; /* [s][i][l] pairs */
} moe_ledger;

/** Allocate for this rank. Not collective. Release with moe_ledger_fini().
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_ledger_init(moe_ledger *ledger, const moe_ledger_dims *dims,
                           int rank, moe_error *err);

void moe_ledger_fini(moe_ledger *ledger);

/** @return bytes that a ledger of these sizes takes on a rank. */
double moe_ledger_bytes(const moe_ledger_dims *dims, int rank);

/** Index of [s][i][l] in the per-layer arrays. */
static inline size_t moe_ledger_at(const moe_ledger *ledger, int s, int i,
                                   int l)
{
    const moe_ledger_dims *d = &ledger->dims;
    return ((size_t)s * (size_t)d->iterations + (size_t)i) * (size_t)d->layers +
           (size_t)l;
}

#endif
