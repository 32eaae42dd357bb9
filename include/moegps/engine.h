/** engine.h: a run: what every strategy does on the same batches, measured.
 *
 *  Everything a run needs is set up before anything is timed; iterations then
 *  run every strategy on the same batch, in an order shuffled by the seed.
 */
#ifndef MOEGPS_ENGINE_H
#define MOEGPS_ENGINE_H

#include <stdbool.h>

#include "moegps/ctx.h"
#include "moegps/experiment.h"
#include "moegps/facts.h"
#include "moegps/learned.h"
#include "moegps/ledger.h"
#include "moegps/topo.h"
#include "moegps/trace.h"
#include "moegps/validation.h"

typedef struct moe_engine moe_engine;

/** What an engine is made from. All borrowed while it lives. */
typedef struct moe_engine_params {
    const moe_experiment *experiment;
    const moe_model *model;
    const moe_cluster *cluster;
    const moe_trace *trace;
    const int *layers; /* [n_layers] numbers in the model */
    int n_layers;
    int threads; /* OpenMP threads of this rank */
    bool dry;    /* set up, describe and estimate, but run nothing: weights of
                    one layer are made, and no slots */
    int ranks;   /* only where dry: as if ctx had so many; 0: those of ctx */
    /* [strategies] what `load` names, NULL where it names nothing; or NULL */
    const moe_learned *const *learned;
} moe_engine_params;

/** Check that model, trace, cluster and experiment go together, then allocate
 *  buffers, generate weights and set up every strategy. Collective over ctx.
 *  @param engine_out  release with moe_engine_free(), collective.
 *  @return merged status. */
moe_status moe_engine_new(moe_ctx *ctx, const moe_engine_params *params,
                          moe_engine **engine_out);
void moe_engine_free(moe_engine *engine);

/** Sizes of the ledger that this engine fills. */
moe_ledger_dims moe_engine_dims(const moe_engine *engine);

/** @return this rank's GPU; -1: a dedicated coordinator. */
int moe_engine_gpu(const moe_engine *engine);

/** What is executed, which emulation.scale and dtype decided. */
const moe_ffn_shape *moe_engine_shape(const moe_engine *engine);

/** @return tokens of the largest batch. */
uint64_t moe_engine_max_tokens(const moe_engine *engine);

/** Say what runs, as names and texts for the result file. */
void moe_engine_describe(const moe_engine *engine, moe_facts *facts);

/** @return iterations whose predicted loads resuming needs: plans made ahead
 *  are made again from those of the last round. 0: none. */
int moe_engine_history(const moe_engine *engine);

/** Memory of a run, B. */
typedef struct moe_engine_bytes {
    double weights;           /* of experts, at most, all ranks together */
    double rows;              /* about, of a rank */
    double measurements;      /* ledger of a rank */
    double root_measurements; /* ledger of rank 0 */
} moe_engine_bytes;

/** Estimate it. Not collective. */
moe_engine_bytes moe_engine_memory(const moe_engine *engine);

/** Estimate the wall time that experts take in all of a run, where loads are
 *  balanced: one layer is run here, and divided by the threads of a rank; of
 *  paced phases what they will be made to take. Routing, exchange, checks and
 *  waiting are not in it. Not collective.
 *  @param s_out  s; NaN: no experts at home on this rank.
 *  @return MOE_OK, MOE_NOMEM, MOE_LIBRARY. */
moe_status moe_engine_expert_time(moe_engine *engine, double *s_out,
                                  moe_error *err);

/** Run one warm-up iteration w of all strategies with its checks. Collective.
 *  The exact back end proves the routing of every strategy; in the last
 *  warm-up iteration the outputs of all strategies are compared.
 *  @return merged status; MOE_INVALID is recorded in the validation too. */
moe_status moe_engine_warm_up(moe_engine *engine, int w, moe_ledger *ledger);

/** Run measured iteration i of all strategies and record it. Collective.
 *  @return merged status. */
moe_status moe_engine_measure(moe_engine *engine, int i, moe_ledger *ledger);

/** Go on after iterations that an earlier run measured: put its last plans in
 *  force and let predictors observe its true loads. After warm-up, before
 *  iteration `done`. Collective.
 *  @param done    > 0 iterations.
 *  @param ledger  rank 0's holds the plans of iteration done - 1 and the true
 *                 loads of [0, done).
 *  @return merged status: MOE_INVALID (not a plan). */
moe_status moe_engine_resume(moe_engine *engine, int done,
                             const moe_ledger *ledger);

/** What the checks found so far. Equal on all ranks. */
const moe_validation *moe_engine_validation(const moe_engine *engine);

#endif
