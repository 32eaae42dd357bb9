/* timed_internal.h: the planner by time.
 *
 *   timed_price.c  what GPUs take, and what has to travel
 *   timed_step.c   steps that relieve the slowest GPU
 *   timed.c        the planner: whether to search, what of it to keep
 */
#ifndef MOEGPS_PLANNER_TIMED_INTERNAL_H
#define MOEGPS_PLANNER_TIMED_INTERNAL_H

#include <string.h>

#include "moegps/planner.h"
#include "peak.h"
#include "repair.h"
#include "share_internal.h"

enum {
    MOE_TIMED_RANKED = 6,     /* steps that are priced, of those ranked first */
    MOE_TIMED_ALL_RANKED = 24 /* and of all steps, when those did not help */
};

/* Load of slot `from` goes to GPU `to`, or changes places with slot `with`. */
typedef struct {
    int from, to, with;
    int64_t amount;
    int64_t busier; /* pairs of the busier of both */
    double time_s;  /* of the slower of both GPUs, and of what travels */
} moe_timed_step;

typedef struct {
    moe_pricer pricer; /* what it points to is borrowed */
    double gate, sequences, interval, step_s;
    bool beside;
    double attention_s; /* of this load, hides what travels */
    double budget;      /* steps at which the search ends */
    moe_share *share;
    moe_repair repair;
    int64_t *load;           /* [experts] pairs */
    double *time_s;          /* [gpus] */
    moe_peak slow, fast;     /* [gpus] by time */
    double *sent, *received; /* [gpus][2] bytes of weights: node, network */
    moe_timed_step ranked[MOE_TIMED_ALL_RANKED];
    int n_ranked, most_ranked;
    uint32_t *rows;  /* [slots + 1] of one GPU */
    bool *had;       /* [gpus][experts] in the placement in force */
    bool *near;      /* [nodes][experts] likewise */
    int *coming;     /* [gpus][2] weights to arrive: from the node, others */
    int16_t *expert; /* [gpus][slots] kept placement */
    int64_t *part;   /* [gpus][slots] of it */
    double *quota;   /* [gpus][slots] */
    moe_move *moves; /* [gpus * slots] */
    moe_replicas replicas;
} moe_timed;

static inline size_t moe_timed_slots(const moe_timed *s)
{
    return (size_t)s->share->gpus * (size_t)s->share->slots;
}

/* Times as numbers with the same order. */
static inline int64_t moe_timed_order(double time_s)
{
    int64_t bits;
    memcpy(&bits, &time_s, sizeof bits);
    return bits;
}

/* A GPU's time if `slot` had another part and one more slot had `extra`.
 * @param slot  -1: none. */
double moe_timed_gpu_s(moe_timed *s, int gpu, int slot, int64_t part,
                       int64_t extra);

/* @return steps of pricing every GPU once. */
double moe_timed_pricing_steps(const moe_timed *s);

/* Price all GPUs. @return time of the slowest. */
double moe_timed_slowest_s(moe_timed *s);

/* After a GPU's parts have changed. */
void moe_timed_renew(moe_timed *s, int gpu);

/* What attention does not hide of weights that arrive at one GPU, per iteration
 * of the interval. */
double moe_timed_exposed_s(const moe_timed *s, double near_bytes,
                           double far_bytes);

/* The same of what comes to a GPU already, and of more weights. */
double moe_timed_arrival_s(const moe_timed *s, int gpu, int more_near,
                           int more_far);

/* Attention of a batch of this many pairs, as a run is charged. */
double moe_timed_attention_s(const moe_timed *s, double pairs);

/* An expert comes to a GPU. */
void moe_timed_note_arrival(moe_timed *s, int expert, int gpu);

/* Take steps while they save time. @param moves  experts may move.
 * @return time of the slowest GPU. */
double moe_timed_descend(moe_timed *s, bool moves);

#endif
