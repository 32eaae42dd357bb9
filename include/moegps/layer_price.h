/** layer_price.h: what one GPU does in one MoE layer, as seconds of steps.
 *
 *  What a GPU did in a layer - counted in a run, or expected by `advise` -
 *  becomes seconds per step, each alone on what it uses. The slowest GPUs of
 *  each stage make the layer (moe_layer_cost_merge()); what hides behind what
 *  is decided for all layers of an iteration together (iteration_price.h). Run,
 *  advise, map, replay and planners share this, so that they cannot disagree
 *  about equal counts.
 */
#ifndef MOEGPS_LAYER_PRICE_H
#define MOEGPS_LAYER_PRICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/cost.h"
#include "moegps/layout.h"
#include "moegps/model.h"
#include "moegps/phase.h"
#include "moegps/serving.h"

/** Who prices. All borrowed. */
typedef struct moe_pricer {
    const moe_cost *cost;
    const void *state; /* of cost, after its init */
    const moe_model *model;
    moe_layout layout;
    const moe_serving_cost *serving; /* NULL: the default deployment */
    double migration_rate;           /* of the cluster, as in its profile */
    moe_migration migration;         /* likewise */
} moe_pricer;

/** Steps of a layer, in order. */
typedef enum moe_step {
    MOE_STEP_PREDICT,   /* SM, or a device of its own */
    MOE_STEP_ATTENTION, /* SM: projections, scores */
    MOE_STEP_REDUCE,    /* node: the reduction that ends tensor-parallel
                           attention */
    MOE_STEP_ROUTE,     /* SM: router */
    MOE_STEP_NUMBER,    /* links: counts of all GPUs, where the split needs
                           them */
    MOE_STEP_SOLVE,     /* SM: how to divide those counts, of a split that
                           solves for it */
    MOE_STEP_DISPATCH,  /* links */
    MOE_STEP_SHARED,    /* SM: shared experts */
    MOE_STEP_FFN,       /* SM: routed experts */
    MOE_STEP_COMBINE,   /* links */
    MOE_STEP_MIGRATE,   /* links, in the background */
    MOE_N_STEPS
} moe_step;

/** @return the phase whose time a step is part of. */
moe_phase moe_step_phase(moe_step step);

/** One GPU's part of one layer. Bytes are at the model's full size. */
typedef struct moe_layer_work {
    double tokens, sequences; /* of the whole batch */
    bool own; /* data-parallel attention: what this GPU has is known;
                             else as if sequences were shared out evenly */
    double own_sequences, own_tokens;
    double cached; /* decode: tokens of a sequence that came before, mean; 0:
                      serving's kv_len */
    const moe_gemm_run *predict; /* [n_predict] of the predictor; borrowed */
    int n_predict;
    double predict_s;     /* time of the predictor known otherwise; added */
    double ahead_rows;    /* direct routing: rows per token that the reduce-
                             scatter brings beside the one of its home */
    int numbers;          /* times that pairs are numbered over all GPUs: before
                             dispatch, and before rows go ahead */
    double solve_s;       /* that the split solves for how to divide them */
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

/** Seconds of each step of one layer, alone; of one GPU, or of the slowest. Of
 *  a batch that is split, both halves together, each priced at its own counts.
 *  Plain data: ranks may send it as bytes. */
typedef struct moe_layer_cost {
    double step_s[MOE_N_STEPS];
    double wrong_s[MOE_N_STEPS]; /* expected error of step_s; NaN: unknown */
    double most_s[MOE_N_PHASES]; /* each phase's own maximum over GPUs */
    moe_price_source source[MOE_N_STEPS]; /* of a step that takes no time it
                                             means nothing */
    unsigned uses[MOE_N_STEPS];           /* MOE_RESOURCE_ bits (timeline.h) */
    double takes; /* share of the SMs that dispatch and combine keep busy */
    int overlap;  /* moe_serve_overlap: what runs side by side */
    moe_migration migration; /* what waits for weights */
} moe_layer_cost;

/** Set all times to 0. */
void moe_layer_cost_init(moe_layer_cost *cost);

/** Say who attends: fill own, own_sequences, own_tokens and cached of `work`.
 *  @param s         its kv_len, if it is not 0, stands for all positions
 *  @param all, own  of the whole batch; of the GPU that is priced */
void moe_layer_attend(const moe_serving *s, const moe_batch_share *all,
                      const moe_batch_share *own, moe_layer_work *work);

/** Price what every GPU has alike: predictor, attention, router, numbering and
 *  what is solved of it, shared experts. @param work  of any GPU: its rows, and bytes moved,
 *  dispatched and combined, are not looked at. */
void moe_layer_cost_common(const moe_pricer *pricer, const moe_layer_work *work,
                           moe_layer_cost *out);

/** @return whether moe_layer_cost_common() prices both the same. */
bool moe_layer_work_is_alike(const moe_layer_work *a, const moe_layer_work *b);

/** Price one GPU: `common`, of the same layer, and what is its own. Local,
 *  deterministic, allocates nothing. */
void moe_layer_cost_own(const moe_pricer *pricer, const moe_layer_cost *common,
                        const moe_layer_work *work, moe_layer_cost *out);

/** Both of the above. */
void moe_layer_cost_of(const moe_pricer *pricer, const moe_layer_work *work,
                       moe_layer_cost *out);

/** Merge a GPU's cost of a layer into that of the slowest: of a stage the GPU
 *  whose sum is larger. Stages end where all GPUs wait for the slowest: predict
 *  | attention .. solve | dispatch, ffn | combine | migrate. In any
 *  order: of equals the one that spends more on the first step counts, and all
 *  links that they use. */
void moe_layer_cost_merge(moe_layer_cost *worst, const moe_layer_cost *gpu);

/** @return seconds of a phase alone: the sum of its steps. */
double moe_layer_cost_phase_s(const moe_layer_cost *cost, moe_phase phase);

/** @return seconds by which the layer would take longer if every phase waited
 *  for its own slowest GPU. Migration, which runs beside it, is left out. */
double moe_layer_cost_barrier_s(const moe_layer_cost *cost);

/** @return where a phase's price is from: the least certain of its steps that
 *  take time; MOE_N_PRICE_SOURCES: none does. */
moe_price_source moe_layer_cost_source(const moe_layer_cost *cost,
                                       moe_phase phase);

/** @return the links that a collective of all GPUs uses: MOE_RESOURCE_ bits. */
unsigned moe_pricer_links(const moe_pricer *pricer);

/** @return an exchange among all GPUs, of no bytes yet. */
moe_exchange moe_pricer_everyone(const moe_pricer *pricer);

/** Scale pairs to whole ones by running sums, so that their sum is right.
 *  @param rows, out  [n]; out may be rows. */
void moe_layer_scale_rows(const uint32_t *rows, size_t n, double by,
                          uint32_t *out);

/** @return seconds of attention, with the reduction that ends it, of a batch that
 *  is not split; no rows go ahead.
 *  @param work  only who attends to what is looked at */
double moe_layer_attention_s(const moe_pricer *pricer,
                             const moe_layer_work *work);

/** @return GPUs that share one attention by tensor parallelism: those of a
 *  node as far as they divide heads, GPUs and node; further GPUs work on
 *  other tokens. Those of a group are neighbours: GPU g is of group g / this. */
int moe_layer_attention_gpus(const moe_pricer *pricer);

#endif
