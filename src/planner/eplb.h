/** eplb.h: DeepSeek's expert-parallel load balancer, as published.
 *
 *  Source: EPLB, github deepseek-ai/EPLB at d52c72d, written from its
 *  description; tests/data/eplb has what the original
 *  makes of twelve loads. Local, deterministic; only init allocates.
 *
 *  pack(weights, m): items by weight, heaviest first, into the lightest pack
 *  that has room; n / m items in each; as many packs as items: item i to pack
 *  i. replicate(weights, r): until there are r, another replica for the
 *  expert with most weight per replica. Equal weights: lower number first.
 *
 *  hierarchical: groups of experts are packed to nodes; within a node experts
 *  are replicated and the replicas packed to its GPUs. global: the same with
 *  one group and one node.
 */
#ifndef MOEGPS_PLANNER_EPLB_H
#define MOEGPS_PLANNER_EPLB_H

#include <stdint.h>

#include "moegps/status.h"

/** Sizes; groups and nodes are 1 for the global policy. */
typedef struct moe_eplb_shape {
    int experts;
    int groups; /* divides experts; a multiple of nodes */
    int nodes;  /* divides gpus */
    int gpus;
    int slots; /* per GPU; gpus * slots >= experts */
} moe_eplb_shape;

typedef struct moe_eplb_item {
    double weight;
    int32_t id;
} moe_eplb_item;

typedef struct moe_eplb {
    moe_eplb_shape shape;
    uint64_t steps;              /* experts and GPUs looked at; callers start
                                    it at 0 */
    int *count;                  /* [experts] replicas of each, of the last
                                   placement */
    int *at;                     /* [experts] expert at a place of the nodes */
    int *group_at;               /* [groups] group at a place of the nodes */
    int *expert_of;              /* [gpus * slots / nodes] replicas of a node */
    double *weight, *mean;       /* [max(gpus * slots, experts)] */
    moe_eplb_item *item, *spare; /* likewise */
    double *pack_weight;         /* [max(nodes, gpus)] */
    int *pack_items;             /* likewise */
    int *heap;                   /* likewise: packs with room, lightest first */
    int *place;                  /* [max(gpus * slots, experts)] */
} moe_eplb;

/** Allocate. Release with moe_eplb_fini().
 *  @return MOE_OK, MOE_USAGE (sizes that do not divide), MOE_NOMEM. */
moe_status moe_eplb_init(moe_eplb *e, const moe_eplb_shape *shape,
                         moe_error *err);
void moe_eplb_fini(moe_eplb *e);

/** Place one layer.
 *  @param load        [experts] >= 0, finite.
 *  @param expert_out  [gpus][slots], all filled; an expert may be several
 *  times on a GPU. */
void moe_eplb_place(moe_eplb *e, const double *load, int16_t *expert_out);

/* The two steps of it: groups to nodes, which sets group_at; then the rest,
 * which reads it. */
void moe_eplb_place_groups(moe_eplb *e, const double *load);
void moe_eplb_fill_nodes(moe_eplb *e, const double *load, int16_t *expert_out);

#endif
