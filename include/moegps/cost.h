/** cost.h: what an operation would take on the emulated GPU: the gpu clock.
 *
 *  A cost model is a family member (docs/design.md). It prices operations
 *  at the model's full size from *actual* counts; it never sees the clock of
 *  this machine. All hooks are local, deterministic, allocate nothing and may
 *  be called from several threads: state is read-only between init and
 *  set_links.
 */
#ifndef MOEGPS_COST_H
#define MOEGPS_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/cluster.h"
#include "moegps/model.h"
#include "moegps/status.h"

typedef enum moe_price_source {
    MOE_PRICE_TABULATED,    /* a measured row */
    MOE_PRICE_INTERPOLATED, /* between measured rows */
    MOE_PRICE_EXTRAPOLATED, /* outside them, by a fitted model */
    MOE_PRICE_ANALYTIC,     /* from data sheet numbers */
    MOE_PRICE_SCALED,       /* of another GPU or another width of weights */
    MOE_PRICE_SLOW_KERNEL,  /* a measured row of a kernel that is known to fall
                               to 15-20 % of the memory bandwidth there */
    MOE_N_PRICE_SOURCES     /* result files have these numbers: append */
} moe_price_source;

/** @return "tabulated", "interpolated", "extrapolated", "analytic", "scaled",
 *  "slow-kernel". */
const char *moe_price_source_name(moe_price_source source);

/** What a price's errors say of |time_s / truth - 1|, 1 = 100 %. Of a sum,
 *  parts are taken as wrong together: its errors are upper bounds. */
typedef struct moe_price {
    double time_s;
    moe_price_source source; /* of several parts that of the highest number */
    double relative_error;   /* not exceeded by two of three prices; NaN:
                                unknown */
    double error_p90;        /* not exceeded by nine of ten; NaN: unknown */
} moe_price;

/** The truths that an error allows a price.
 *  @param error     |price / truth - 1|, >= 0; NaN: unknown.
 *  @param low_out   price / (1 + error)
 *  @param high_out  price / (1 - error); infinite from an error of 1 on. */
void moe_price_interval(double price, double error, double *low_out,
                        double *high_out);

/** What errors leave of a lead. Parts that two times have alike are wrong
 *  alike; those that differ are wrong by moe_price_interval(), so that the lead
 *  is least where what it saves costs less and what it loses costs more. */
typedef struct moe_price_lead {
    double low_s, high_s; /* NaN: errors are unknown */
    double turns_at;      /* error from which on low_s is below zero */
} moe_price_lead;

/** @param slow_s, fast_s  [n] parts of the two times
 *  @param error  of them, >= 0; NaN: unknown. */
moe_price_lead moe_price_lead_of(const double *slow_s, const double *fast_s,
                                 int n, double error);

/** A collective or exchange among GPUs, as seen from the busiest GPU. */
typedef struct moe_exchange {
    int gpus;             /* that take part */
    int nodes;            /* that they spread over */
    double node_bytes;    /* max(sent, received) within the node */
    double network_bytes; /* max(sent, received) across nodes */
} moe_exchange;

/** Dense matrix product [m][k] x [k][n]. */
typedef struct moe_gemm {
    double m, n, k;
    bool quantised; /* in the model's own dtype; else no narrower than bf16, as
                       routers and predictors are in an fp8 model */
} moe_gemm;

/** A product that is computed `times` times, one after the other. */
typedef struct moe_gemm_run {
    moe_gemm shape;
    double times;
} moe_gemm_run;

typedef struct moe_cost {
    const char *name, *help;
    size_t state_size; /* moe_cost_new() allocates and zeroes it */
    /** Once per run. Copies what it needs of model and cluster.
     *  @return MOE_OK, MOE_USAGE (a configuration outside the model, saying
     *  what is missing), MOE_NOMEM. */
    moe_status (*init)(void *state, const moe_model *model,
                       const moe_cluster *cluster, moe_error *err);
    /** Price links of other bandwidths from here on; all else stays.
     *  @param node_rate     B/s per direction, as a profile's link_bandwidth.
     *  Measured collectives are scaled from the profile's own: what exceeds
     *  the time of the smallest one.
     *  @param network_rate  B/s per direction, as its network_bandwidth. */
    void (*set_links)(void *state, double node_rate, double network_rate);
    /** FFN of one GPU for one layer. Shared experts are not included.
     *  @param rows  [n] pairs of each replica on this GPU, >= 0; a replica
     *  with rows costs the reading of its weights, one with none is free. */
    moe_price (*ffn)(const void *state, const uint32_t *rows, size_t n);
    /** Attention block of one GPU under tensor parallelism: QKV and output
     *  projections, scores, softmax, norm; without communication.
     *  @param batch  sequences  @param seq  tokens of each
     *  @param tp     GPUs that share the heads. */
    moe_price (*attention)(const void *state, double batch, double seq, int tp);
    /** Any other matrix product on one GPU (router, predictors). */
    moe_price (*gemm)(const void *state, const moe_gemm *shape);
    /** Sum-all-reduce of `bytes` on each of x->gpus GPUs (x->*_bytes are
     *  ignored). A reduce-scatter or all-gather is half of it. */
    moe_price (*allreduce)(const void *state, const moe_exchange *x,
                           double bytes);
    /** All-to-all, from the busiest GPU's bytes. */
    moe_price (*alltoall)(const void *state, const moe_exchange *x);
    /** One GPU sends node_bytes and network_bytes point to point. */
    moe_price (*transfer)(const void *state, const moe_exchange *x);
    /** A broadcast or reduction of few bytes over x->gpus GPUs. */
    moe_price (*tree)(const void *state, const moe_exchange *x, double bytes);
    void (*fini)(void *state); /* NULL: nothing to release; accepts a partly
                                  initialised state */
} moe_cost;

/** @return the member of this name, or NULL. */
const moe_cost *moe_cost_find(const char *name);

/** @return member i, or NULL past the last. */
const moe_cost *moe_cost_at(size_t i);

/** All names, "A, B, C", cut where the text ends. */
void moe_cost_names(char *text, size_t size);

/** @return a state, set up; release it with moe_cost_free(). NULL, with the
 *  init hook's error, when it cannot. */
void *moe_cost_new(const moe_cost *cost, const moe_model *model,
                   const moe_cluster *cluster, moe_error *err);
void moe_cost_free(const moe_cost *cost, void *state);

#endif
