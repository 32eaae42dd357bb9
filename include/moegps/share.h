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
 *  The split `minmax` and the planners use it. Local, deterministic; only
 *  moe_share_new() allocates.
 */
#ifndef MOEGPS_SHARE_H
#define MOEGPS_SHARE_H

#include <stdint.h>

#include "moegps/plan.h"
#include "moegps/status.h"

/** One layer with the parts of its replicas. */
typedef struct moe_share moe_share;

/** Allocate; moe_share_free() releases.
 *  @return NULL with MOE_NOMEM in err. */
moe_share *moe_share_new(int experts, int gpus, int slots, moe_error *err);
void moe_share_free(moe_share *s);

/** Start with the placement of replicas, and equal parts.
 *  @param load  [experts], >= 0, their sum below 2^62; experts with load have
 *  a replica. */
void moe_share_begin_replicas(moe_share *s, const moe_replicas *replicas,
                              const int64_t *load);

/** Divide so that the busiest GPU has least. @return its load. */
int64_t moe_share_minmax(moe_share *s);

/** @return the part of a replica. */
int64_t moe_share_part(const moe_share *s, const moe_replica *replica);

#endif
