/** layer_price.h: the gpu clock of one MoE layer on one GPU.
 *
 *  What a GPU did in a layer - counted in a run, or expected by `advise` -
 *  becomes seconds per phase, and what of them attention hides. Run and
 *  advice share this, so they cannot disagree about equal counts.
 */
#ifndef MOEGPS_LAYER_PRICE_H
#define MOEGPS_LAYER_PRICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/cost.h"
#include "moegps/layout.h"
#include "moegps/model.h"
#include "moegps/phase.h"

/** Who prices. All borrowed. */
typedef struct moe_pricer {
    const moe_cost *cost;
    const void *state; /* of cost, after its init */
    const moe_model *model;
    moe_layout layout;
} moe_pricer;

/** One GPU's part of one layer. Bytes are at the model's full size. */
typedef struct moe_layer_work {
    double tokens, sequences;    /* of the whole batch */
    bool collects;               /* predicted counts went to the planner */
    bool plans;                  /* a plan was made and made known */
    bool central;                /* by one rank; else by all alike */
    int layers;                  /* that one collection and one plan serve */
    const moe_gemm_run *predict; /* [n_predict] of the predictor; borrowed */
    int n_predict;
    double predict_s;     /* time of the predictor known otherwise; added */
    bool predict_hidden;  /* it runs on a device of its own, beside attention */
    bool ahead;           /* coordination is for a later iteration: the whole
                             layer hides it, not attention alone */
    double planner_s;     /* host time of the planner for this layer */
    double plan_bytes;    /* on the wire, of all those layers */
    double move_bytes[2]; /* weights, max(sent, received); 0: within the
                                 node, 1: across nodes */
    double dispatch_bytes[2]; /* rows, likewise; less than combine_bytes with
                                 direct routing, where the scatter that ends
                                 attention has brought the others */
    double combine_bytes[2];  /* rows, likewise */
    bool direct;              /* an empty dispatch is left out */
    const uint32_t *rows;     /* [slots] pairs of each replica here; borrowed */
    size_t slots;
} moe_layer_work;

typedef struct moe_layer_price {
    double gpu_s[MOE_N_PHASES];     /* what the phase takes */
    double exposed_s[MOE_N_PHASES]; /* what of it attention does not hide */
    moe_price_source source;        /* the least certain of all parts */
    moe_price_source source_of[MOE_N_PHASES]; /* likewise; of a phase that
                                       takes no time it means nothing */
    double error_s; /* expected error of the sum of exposed_s, parts taken as
                       wrong together; NaN: unknown */
} moe_layer_price;

/** What a layer costs every GPU alike: predictor, coordination, attention,
 *  router and shared experts. */
typedef struct moe_layer_common {
    double gpu_s[MOE_N_PHASES], wrong_s[MOE_N_PHASES]; /* expected error */
    moe_price_source source_of[MOE_N_PHASES];
} moe_layer_common;

/** Price it once for many GPUs. @param work  of any of them: what differs
 *  (rows, and bytes moved, dispatched and combined) is not looked at. */
void moe_layer_common_of(const moe_pricer *pricer, const moe_layer_work *work,
                         moe_layer_common *out);

/** Add what is this GPU's own. @param common  of the same layer. */
void moe_layer_price_with(const moe_pricer *pricer,
                          const moe_layer_common *common,
                          const moe_layer_work *work, moe_layer_price *out);

/** Price one layer: both of the above. Local, deterministic, allocates nothing. */
void moe_layer_price_of(const moe_pricer *pricer, const moe_layer_work *work,
                        moe_layer_price *out);

/** Let `worst` be the slowest GPU of each phase: start from {0}, add every
 *  GPU's price. Its error is the largest, NaN once one is unknown; its source
 *  the least certain. */
void moe_layer_price_worst(moe_layer_price *worst,
                           const moe_layer_price *price);

/** @return the sum of exposed_s: what the layer takes. */
double moe_layer_price_sum(const moe_layer_price *price);

/** Scale pairs to whole ones by running sums, so that their sum is right.
 *  @param rows, out  [n]; out may be rows. */
void moe_layer_scale_rows(const uint32_t *rows, size_t n, double by,
                          uint32_t *out);

/** @return GPUs that share one attention by tensor parallelism: those of a
 *  node as far as they divide heads and GPUs; further GPUs work on other
 *  tokens. */
int moe_layer_attention_gpus(const moe_pricer *pricer);

#endif
