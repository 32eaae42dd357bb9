/** hedge_internal.h: what the parts of the search share. */
#ifndef MOEGPS_PLANNER_HEDGE_INTERNAL_H
#define MOEGPS_PLANNER_HEDGE_INTERNAL_H

#include "hedge.h"
#include "rename.h"

/* A place in the heap of GPUs. */
typedef struct {
    float weight;
    int32_t gpu;
} moe_hedge_pack;

struct moe_hedge {
    moe_hedge_params p;         /* its price is that of one slot */
    const moe_samples *samples; /* of this plan; borrowed */
    moe_share *at;              /* the placement; its parts are not used */
    float *sum;    /* [gpus][stride] load of a GPU, in loads of the mean one */
    float *mean;   /* [experts] */
    float *spread; /* [experts] standard deviation */
    float *busy;   /* [gpus] mean load */
    float *critical; /* [gpus] weight of samples in which it is the busiest */
    float *rest;     /* [stride] the busiest GPU but one */
    float *line;     /* [4][stride] scratch */
    bool *held;      /* [gpus][experts] in the placement in force */
    int16_t *best;   /* [gpus][slots] */
    int16_t *packed, *anew; /* [gpus][slots] before and after renaming */
    float *value;           /* [experts] that is replicated and packed by */
    int *copies;            /* [experts] */
    int *order;             /* [experts] */
    moe_hedge_pack *heap;   /* [gpus] */
    moe_hedge_pack *out;    /* [gpus] taken from it */
    int *room;              /* [gpus] slots left */
    moe_rename rename;
    moe_replicas in_force;
    double *share;  /* [gpus][slots] */
    double *fitted; /* [gpus][slots] */
    double *load;   /* [gpus][stride] for shares */
    uint64_t steps;
};

static inline const float *moe_hedge_load(const moe_hedge *h, int expert)
{
    return h->samples->load + (size_t)expert * (size_t)h->samples->stride;
}

static inline float *moe_hedge_sum(const moe_hedge *h, int gpu)
{
    return h->sum + (size_t)gpu * (size_t)h->samples->stride;
}

static inline bool moe_hedge_held(const moe_hedge *h, int gpu, int expert)
{
    return h->held[(size_t)gpu * (size_t)h->p.experts + (size_t)expert];
}

/** Begin with a placement. */
void moe_hedge_begin(moe_hedge *h, const int16_t *expert);

/** Climb: change h->at while that lowers the score. @return the score, price
 *  of changed slots included. */
double moe_hedge_climb(moe_hedge *h);

/** Make h->anew for mean + z standard deviations, GPUs named as in force. */
void moe_hedge_build(moe_hedge *h, double z);

/** Fit h->share for h->at. @return the mean of max / mean with it. */
double moe_hedge_fit(moe_hedge *h);

#endif
