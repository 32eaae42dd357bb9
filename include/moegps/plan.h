/** plan.h: which expert sits in which slot, and each replica's share.
 *
 *  A plan covers all layers of a run. One layer of it is a `[gpus][slots]`
 *  table of experts (-1: empty) and one of quotas. Everything here is local
 *  and deterministic, so that equal inputs give equal plans on all ranks.
 */
#ifndef MOEGPS_PLAN_H
#define MOEGPS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/layout.h"
#include "moegps/status.h"

/* A quota in integers: shares of one expert's replicas sum to exactly this.
 * 2^30, so that pairs * quota stays below 2^63 for 2^32 pairs. */
static const uint32_t MOE_QUOTA_ONE = UINT32_C(1) << 30;

/** Who divides an expert's load among its replicas. */
typedef enum moe_division {
    MOE_DIVISION_QUOTA,  /* the plan */
    MOE_DIVISION_EQUAL,  /* every replica the same */
    MOE_DIVISION_MINMAX, /* the optimum for this placement */
    MOE_N_DIVISIONS
} moe_division;

/* A layer's tables seen alone; borrowed from a plan. */
typedef struct moe_plan_layer {
    int experts, gpus, slots;
    int16_t *expert; /* [gpus][slots], -1: empty */
    uint32_t *quota; /* [gpus][slots], 0 on empty slots */
} moe_plan_layer;

typedef struct moe_plan {
    int layers, experts, gpus, slots;
    int16_t *expert; /* [layers][gpus][slots] */
    uint32_t *quota; /* [layers][gpus][slots] */
} moe_plan;

/** Allocate an empty plan (no expert anywhere). Release with
 *  moe_plan_fini(). Not collective. @return MOE_OK, MOE_NOMEM. */
moe_status moe_plan_init(moe_plan *plan, int layers, int experts, int gpus,
                         int slots, moe_error *err);
void moe_plan_fini(moe_plan *plan);

/** @return one layer, borrowed until moe_plan_fini(). */
moe_plan_layer moe_plan_at(const moe_plan *plan, int layer);

/** Make every layer the home placement: each expert once, full quota. Needs
 *  slots >= moe_layout_home_slots(). */
void moe_plan_set_home(moe_plan *plan, const moe_layout *layout);
void moe_plan_layer_set_home(moe_plan_layer *layer, const moe_layout *layout);

/** Copy all layers, or layers [first, end); shapes must be equal. */
void moe_plan_copy(moe_plan *to, const moe_plan *from);
void moe_plan_copy_layers(moe_plan *to, const moe_plan *from, int first_layer,
                          int end_layer);

/** Reorder each GPU's slots in `next` so that experts which `current` holds
 *  on that GPU keep their slot: then only new replicas travel. */
void moe_plan_layer_settle(const moe_plan_layer *current, moe_plan_layer *next);

/** Check a layer: known experts only, every expert somewhere, none twice on a
 *  GPU, quotas summing to MOE_QUOTA_ONE. @return MOE_OK, MOE_INVALID saying what. */
moe_status moe_plan_layer_check(const moe_plan_layer *layer, moe_error *err);

/** One replica that has to travel. */
typedef struct moe_move {
    int16_t layer, expert;
    int32_t from_gpu, from_slot, to_gpu, to_slot;
} moe_move;

/** List what must travel to turn `current` into `next`: for each slot whose
 *  expert is new, from a holder in `current` - first those whose slot is not
 *  overwritten, of these the own node's, of these the GPU that has served
 *  least, so that no holder serves all.
 *  @param moves_out  [layers * gpus * slots] room; caller's.
 *  @return number of moves. */
size_t moe_plan_moves(const moe_plan *current, const moe_plan *next,
                      int first_layer, int end_layer, const moe_layout *layout,
                      moe_move *moves_out);

/** Upper bound of moe_plan_encode()'s output for a plan of this shape. */
size_t moe_plan_wire_max(const moe_plan *plan);

/** Encode layers [first, end) of `next` for the wire, as differences against
 *  `current`, which the receiver has too: per changed layer its number and
 *  count of changes, then (gpu * slots + slot, expert, quota) per changed
 *  slot. 0 bytes: nothing changed. Little-endian, no padding; at most 32768
 *  layers.
 *  @return bytes written to `wire`. */
size_t moe_plan_encode(const moe_plan *current, const moe_plan *next,
                       int first_layer, int end_layer, uint8_t *wire);

/** Apply a wire image to a copy of the sender's `current`, which is untouched
 *  when the image is cut short or names what the plan does not have.
 *  @return MOE_OK, MOE_FORMAT. */
moe_status moe_plan_decode(moe_plan *plan, const uint8_t *wire, size_t bytes,
                           moe_error *err);

/** The replicas of one layer sorted by expert, in (gpu, slot) order: what
 *  splits and dispatch work on. */
typedef struct moe_replica {
    int32_t gpu, slot;
    uint32_t quota;
} moe_replica;

typedef struct moe_plan_gap moe_plan_gap;

typedef struct moe_replicas {
    int experts;
    uint32_t *first;      /* [experts + 1] */
    moe_replica *replica; /* [first[experts]] */
    moe_plan_gap *gap;    /* scratch of moe_plan_layer_set_quota() */
} moe_replicas;

/** Allocate for a layer of this shape. @return MOE_OK, MOE_NOMEM. */
moe_status moe_replicas_init(moe_replicas *r, int experts, int gpus, int slots,
                             moe_error *err);
void moe_replicas_fini(moe_replicas *r);

/** Fill from a layer; allocates nothing. */
void moe_replicas_index(moe_replicas *r, const moe_plan_layer *layer);

/** @return whether an expert has several replicas. */
bool moe_replicas_copies(const moe_replicas *r);

/** Turn real shares into quotas that sum to MOE_QUOTA_ONE per expert, by
 *  largest remainder; ties to the lower slot index.
 *  @param share    [gpus][slots] pairs or any non-negative measure of each
 *  replica; an expert whose shares are all zero is divided equally.
 *  @param scratch  of this layer's shape; overwritten. */
void moe_plan_layer_set_quota(moe_plan_layer *layer, const double *share,
                              moe_replicas *scratch);

#endif
