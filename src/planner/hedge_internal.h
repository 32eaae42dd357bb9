/** hedge_internal.h: what the parts of the search share. */
#ifndef MOEGPS_PLANNER_HEDGE_INTERNAL_H
#define MOEGPS_PLANNER_HEDGE_INTERNAL_H

#include <string.h>

#include "hedge.h"
#include "rename.h"

enum { MOE_HEDGE_LANES = 8 }; /* GPUs whose steps are bounded at once */

/* A step of the climb. */
typedef struct {
    int from, to; /* slots; to -1: the replica in `from` goes */
    bool adds;    /* a replica; else they change places */
    float score;  /* that it promises, price included */
} moe_hedge_step;

/* Where steps begin: what their scores have in common, by sample. */
typedef struct {
    int slot, gpu, expert;
    const float *sum;           /* [stride] load of the GPU */
    float part[MOE_SAMPLES];    /* load of a replica, */
    float thinner[MOE_SAMPLES]; /* and where there is one more; */
    float halved[MOE_SAMPLES];  /* load of the GPU then */
} moe_hedge_origin;

struct moe_hedge {
    moe_hedge_params p;
    moe_hedge_origin origin;
    float price;                /* of one slot */
    float least;                /* that a step has to lower the score by */
    const moe_samples *samples; /* of this plan; borrowed */
    moe_share *at;              /* the placement; its parts are not used */
    float *sum;    /* [gpus][stride] load of a GPU, in loads of the mean one */
    float *mean;   /* [experts] */
    float *spread; /* [experts] standard deviation */
    float *critical; /* [gpus] weight of samples in which it is the busiest */
    float *rest;     /* [stride] the busiest GPU but one */
    float *line;     /* [3][stride] scratch */
    uint8_t *held;   /* [gpus][experts] whether in the placement in force */
    int busiest[MOE_SAMPLES]; /* GPU of each sample */
    /* for bounds of steps from one GPU, in samples in which it is busiest */
    float *worth; /* [experts + 1] load of a replica, summed up by weight */
    float *fee;   /* [experts + 1] price on that GPU; infinite: it is there */
    float *last;  /* [experts + 1] infinite: there is one replica alone */
    float *level; /* [row] of a GPU, 0 behind the last */
    int *expert;  /* [slots][row] that is there; [experts] stands for none */
    float *back;  /* [slots][row] its price */
    int row;      /* GPUs, up to a multiple of MOE_HEDGE_LANES */
    float *piece; /* [slots][row] worth in a slot */
    float *swaps, *replaces; /* [slots][row] price of what leaves a slot, for
                                the GPU, or for nowhere; infinite: may not */
    float *entry;            /* [row] price of an expert; infinite: not there */
    float *bound;            /* [row] */
    int *turn;               /* [slots] of a GPU */
    int16_t *best;           /* [gpus][slots] */
    int16_t *packed, *anew;  /* [gpus][slots] before and after renaming */
    float *value;            /* [experts] that is replicated by */
    float *part;     /* [experts] of it in a replica, that is packed by */
    int *copies;     /* [experts] */
    uint64_t *order; /* [experts] keys, as the next two */
    uint64_t *heap;  /* [gpus] */
    uint64_t *out;   /* [gpus] taken from it */
    int *room;       /* [gpus] slots left */
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

/** @return where a slot is in arrays of [slots][row]. */
static inline int moe_hedge_place(const moe_hedge *h, int slot)
{
    return slot % h->p.slots * h->row + slot / h->p.slots;
}

/** @return the price of an expert on a GPU. */
static inline float moe_hedge_price(const moe_hedge *h, int gpu, int expert)
{
    return moe_hedge_held(h, gpu, expert) ? 0 : h->price;
}

static inline float moe_larger(float a, float b)
{
    return a > b ? a : b;
}

/** out = sum + part * load, of n samples, n a multiple of the lanes.
 *  @param out  may be `sum`, and overlaps nothing else */
static inline void moe_add_load(float *out, const float *sum, const float *load,
                                float part, int n)
{
    for (int i = 0; i < n; i += MOE_SAMPLE_LANES) {
        float lane[MOE_SAMPLE_LANES];
        for (int k = 0; k < MOE_SAMPLE_LANES; k++)
            lane[k] = sum[i + k] + part * load[i + k];
        memcpy(out + i, lane, sizeof lane);
    }
}

/** Begin with a placement. */
void moe_hedge_begin(moe_hedge *h, const int16_t *expert);

/** Climb: change h->at while that lowers the score. @return the score, price
 *  of changed slots included. */
double moe_hedge_climb(moe_hedge *h);

/** Look for the best step that relieves a GPU.
 *  @param score  that the placement has now.
 *  @param best   replaced by a step of less score. */
void moe_hedge_look(moe_hedge *h, int gpu, float score, moe_hedge_step *best);

/** Make h->anew for mean + z standard deviations, GPUs named as in force. */
void moe_hedge_build(moe_hedge *h, double z);

/** Fit h->share for h->at. @return the mean of max / mean with it. */
double moe_hedge_fit(moe_hedge *h);

#endif
