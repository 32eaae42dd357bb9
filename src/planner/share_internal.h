/** share_internal.h: what planners and tests see of a moe_share.
 *
 *  Planners start from a placement, change it replica by replica, and have it
 *  divided anew. They read the members; they change them by the functions.
 */
#ifndef MOEGPS_PLANNER_SHARE_INTERNAL_H
#define MOEGPS_PLANNER_SHARE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/share.h"

struct moe_share {
    int experts, gpus, slots;
    uint64_t steps;  /* slots and GPUs looked at; planners start it at 0 */
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
    int patience;           /* GPUs that a search goes on from, at most */
    /* Of moe_share_flow(): levels, -1: none; where to go on from */
    int32_t *level, *expert_level; /* [gpus], [experts] */
    int32_t *slot_at, *copy_at;    /* [gpus] slots, [experts] slots */
};

enum { MOE_SHARE_MANY = 1024 }; /* GPUs: here searches far are too long */

/** Turn real loads into integers that sum to about 2^44, by a power of two, so
 *  that equal loads stay equal.
 *  @param load  [n] >= 0, finite.
 *  @return b, so that load is scaled_out * 2^-b, rounded. */
int moe_share_scale(const double *load, int n, int64_t *scaled_out);

/** Start with a placement and equal parts.
 *  @param expert  [gpus][slots]; experts with load somewhere.
 *  @param load    [experts], >= 0, their sum below 2^62. */
void moe_share_begin(moe_share *s, const int16_t *expert, const int64_t *load);

/** The same as the first of moe_share_push(), for many GPUs at once. */
void moe_share_flow(moe_share *s);

/** Move as much as the chain from `gpu` to `last`, by out[], takes. */
void moe_share_move_along(moe_share *s, int gpu, int last);

/** Move load until no GPU above its limit can give any to one below.
 *  @return the load above limits that is left. */
int64_t moe_share_push(moe_share *s);

/** Find a chain of replicas from a GPU to one below its limit, as far as
 *  `patience` goes. What is reached
 *  in vain stays marked, has no outlet, and is not entered again: until a GPU
 *  that is not marked, and has one, gets an expert of one that is.
 *  @return that GPU; out[] leads back from it, by slots. -1: none. */
int moe_share_outlet(moe_share *s, int gpu);

/** Move as much load along such a chain as it takes, or as the GPU is above its
 *  limit. @return as above. */
int moe_share_relieve(moe_share *s, int gpu);

/** Forget what was reached in vain. */
void moe_share_unmark(moe_share *s);

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

#endif
