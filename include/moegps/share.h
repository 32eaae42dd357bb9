/** share.h: divide every expert's load among its replicas so that the busiest
 *  GPU has least, exactly.
 *
 *  Minimise M subject to: the parts of an expert sum to its load, the parts
 *  on a GPU sum to at most M, none is negative. It is a flow in the bipartite
 *  graph of experts and GPUs, and loads are integers, so that the integer
 *  optimum is the optimum of the linear program, rounded up.
 *
 *      M = max over sets X of experts of ceil(load of X / GPUs that hold X)
 *
 *  Parts start somewhere; then load moves along shortest chains of replicas
 *  from GPUs above a limit to GPUs below it. What cannot leave names a set X
 *  that proves a higher limit, and with that limit it goes on (Newton's method
 *  on the maximum above).   Source: Dinkelbach 1967, doi 10.1287/mnsc.13.7.492;
 *  Edmonds & Karp 1972, doi 10.1145/321694.321699 (shortest chains).
 *
 *  The split `minmax`, planners and regret share this. Local, deterministic;
 *  only init allocates.
 */
#ifndef MOEGPS_SHARE_H
#define MOEGPS_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/plan.h"
#include "moegps/status.h"

/** One layer with the parts of its replicas. Read what you like; change it
 *  through the functions. */
typedef struct moe_share {
    int experts, gpus, slots;
    int16_t *expert; /* [gpus][slots], -1: empty; none twice on a GPU */
    int64_t *part;   /* [gpus][slots] load of the slot; 0 on empty slots */
    int64_t *load;   /* [gpus] sum of parts */
    int64_t *limit;  /* [gpus] that moe_share_push() works towards */
    int *copies;     /* [experts] */
    bool *stuck;     /* [gpus] after moe_share_push(): load cannot leave these
                        GPUs as a set, all are at their limit or above */
    int32_t *head, *next;   /* slots of an expert, as a list; -1 ends it */
    int32_t *out, *in;      /* [gpus] slots of the chain that reached a GPU */
    int32_t *queue;         /* [gpus] of the search */
    int32_t *asked;         /* [experts] whose replicas the search followed */
    bool *reached, *follow; /* [gpus], [experts] of the search */
} moe_share;

/** Allocate. Release with moe_share_fini(). @return MOE_OK, MOE_NOMEM. */
moe_status moe_share_init(moe_share *s, int experts, int gpus, int slots,
                          moe_error *err);
void moe_share_fini(moe_share *s);

/** Turn real loads into integers that sum to about 2^44, by a power of two, so
 *  that equal loads stay equal.
 *  @param load  [n] >= 0, finite.
 *  @return b, so that load is scaled_out * 2^-b, rounded. */
int moe_share_scale(const double *load, int n, int64_t *scaled_out);

/** Start with a placement and equal parts.
 *  @param expert  [gpus][slots]; experts with load somewhere.
 *  @param load    [experts], >= 0, their sum below 2^62. */
void moe_share_begin(moe_share *s, const int16_t *expert, const int64_t *load);

/** As moe_share_begin(), of replicas. */
void moe_share_begin_replicas(moe_share *s, const moe_replicas *replicas,
                              const int64_t *load);

/** Move load until no GPU above its limit can give any to one below.
 *  @return the load above limits that is left. */
int64_t moe_share_push(moe_share *s);

/** Divide so that the busiest GPU has least. @return its load. */
int64_t moe_share_minmax(moe_share *s);

/** Put an expert with a part of its load into an empty slot. */
void moe_share_put(moe_share *s, int slot, int expert, int64_t part);

/** Empty a slot. @return the part it had, which now is nobody's. */
int64_t moe_share_take(moe_share *s, int slot);

/** Move part of a slot's load to another slot of the same expert. */
void moe_share_give(moe_share *s, int from_slot, int to_slot, int64_t load);

/** @return the slot where a GPU holds an expert, or -1. */
int moe_share_find(const moe_share *s, int gpu, int expert);

/** @return the first empty slot of a GPU, or -1. */
int moe_share_free_slot(const moe_share *s, int gpu);

/** @return a slot of a GPU that an expert may take: empty, or of a replica
 *  that has no part and is not the only one; -1. */
int moe_share_room(const moe_share *s, int gpu);

/** @return load of the busiest GPU. */
int64_t moe_share_busiest(const moe_share *s);

#endif
