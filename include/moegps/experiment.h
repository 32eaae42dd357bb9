/** experiment.h: what a run is asked to do: the experiment file, resolved.
 *
 *  Reading is local and works on text, so that rank 0 alone touches files and
 *  every rank parses the same bytes to the same result.
 */
#ifndef MOEGPS_EXPERIMENT_H
#define MOEGPS_EXPERIMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/cluster.h"
#include "moegps/ffn.h"
#include "moegps/ledger.h"
#include "moegps/model.h"
#include "moegps/options.h"
#include "moegps/pacer.h"
#include "moegps/planner.h"
#include "moegps/predictor.h"
#include "moegps/serving.h"
#include "moegps/split.h"
#include "moegps/status.h"
#include "moegps/strategy_facts.h"

typedef struct moe_workload {
    int batch, seq;
    char layers[256]; /* "all", or numbers and ranges: "0,4,8-11" */
    int iterations, warmup;
    uint64_t seed;
    moe_batch_order order;
    bool repeat; /* recorded order may start over */
} moe_workload;

/** Data type that experts are executed in. */
typedef enum moe_run_dtype {
    MOE_RUN_DTYPE_AUTO, /* what the CPU runs natively */
    MOE_RUN_DTYPE_BF16,
    MOE_RUN_DTYPE_F32
} moe_run_dtype;

/** Where ranks wait for each other. */
typedef enum moe_sync {
    MOE_SYNC_AUTO,  /* none where a phase is paced, else phase */
    MOE_SYNC_PHASE, /* before every collective phase, timed apart */
    MOE_SYNC_NONE
} moe_sync;

/** What a rank does while its GPU is in attention. */
typedef enum moe_attend {
    MOE_ATTEND_MODEL, /* nothing: charged on the gpu clock */
    MOE_ATTEND_PACED  /* waits as long */
} moe_attend;

/** Who plans. */
typedef enum moe_coordination {
    MOE_COORDINATION_CENTRAL,   /* one rank, which broadcasts its plan */
    MOE_COORDINATION_REPLICATED /* every rank, all alike */
} moe_coordination;

/** Which rank that is, with central coordination. */
typedef enum moe_coordinator {
    MOE_COORDINATOR_SHARED,   /* rank 0, a GPU too */
    MOE_COORDINATOR_DEDICATED /* the last, which is no GPU */
} moe_coordinator;

/** How rows reach their experts. */
typedef enum moe_routing {
    MOE_ROUTING_AUTO,     /* direct where tokens are foretold */
    MOE_ROUTING_DISPATCH, /* all of them once the truth is known */
    MOE_ROUTING_DIRECT    /* to predicted experts first */
} moe_routing;

typedef struct moe_emulation {
    char ffn[32]; /* name of the FFN back end */
    int scale;    /* divides hidden and intermediate sizes; >= 1 once read */
    moe_run_dtype dtype;
    moe_attend attention;
    moe_sync sync; /* not auto once read */
    char dilation_text[32];
    double dilation;  /* of paced phases, >= 1; 0: by `links` */
    char links[1024]; /* tables of this machine's links; "": none */
    moe_progress_by progress;
    double poll_interval_us;
    moe_coordination coordination;
    moe_coordinator coordinator;
    int rebalance_every; /* iterations between plans */
    int threads;         /* OpenMP threads per rank; 0: from the binding */
    bool regret;         /* record which stage loses balance */
} moe_emulation;

/** One row of the comparison: what it is made of, or, with candidates, the
 *  strategies that it chooses among while it runs (it has none of its own). */
typedef struct moe_strategy {
    char name[64];
    char predictor_name[32], planner_name[32], split_name[32];
    char load[1024]; /* predictor file, or its name; "": none */
    int slots; /* per GPU and layer; 0: as many as the home placement needs */
    moe_routing routing; /* as asked for */
    char lookahead_text[16];
    int lookahead;   /* layers ahead that a plan is made, or
                        MOE_LOOKAHEAD_ALL */
    bool plan_ahead; /* a plan comes into force one round after it is made */
    bool direct;     /* and as it will be */
    const moe_predictor *predictor;
    const moe_planner *planner;
    const moe_split *split;
    void *predictor_params, *planner_params, *split_params; /* owned */
    char candidates[1024]; /* "": it does not choose; "all", or names */
    int try_every;         /* rounds of planning between tries */
    double hysteresis;     /* share of its time that a candidate has to save */
    int candidate[MOE_MAX_STRATEGIES]; /* [n_candidates] in the experiment */
    int n_candidates;                  /* 0: it does not choose */
} moe_strategy;

typedef struct moe_experiment {
    char model_name[256], cluster_name[256], trace_name[1024];
    char output[1024];  /* pattern: %m model, %c cluster, %t trace, %n GPUs */
    char reference[64]; /* strategy that ratios refer to; "": the first */
    moe_workload workload;
    moe_emulation emulation;
    moe_serving serving;
    moe_strategy *strategy; /* [n_strategies], owned */
    int n_strategies;
    int reference_index;
} moe_experiment;

extern const moe_opt moe_experiment_options[], moe_workload_options[],
    moe_emulation_options[], moe_strategy_options[], moe_choice_options[];

/** @return whether ranks keep a GPU's pace in a phase. */
bool moe_emulation_is_paced(const moe_emulation *emulation);

/** Read an experiment. Not collective. Release with moe_experiment_fini().
 *  @param text    YAML
 *  @param origin  file name for messages
 *  @param sets    [n_sets] `key=value` from --set, applied in order
 *  @return MOE_OK, MOE_USAGE naming file, line, key, value and what is
 *  allowed, MOE_NOMEM. */
moe_status moe_experiment_parse(const char *text, const char *origin,
                                const char *const *sets, int n_sets,
                                moe_experiment *out, moe_error *err);
void moe_experiment_fini(moe_experiment *x);

/** Write every setting as YAML that moe_experiment_parse() reads back.
 *  @return heap text, the caller frees it; NULL when out of memory. */
char *moe_experiment_resolved(const moe_experiment *x);

/** Say what a strategy is made of, for its result file. */
void moe_experiment_strategy_facts(const moe_strategy *strategy,
                                   moe_strategy_facts *out);

/** Fill in the pattern of the output path.
 *  @param path  [size] bytes; untouched on error.
 *  @return MOE_OK, MOE_USAGE (unknown %x; empty or too long), MOE_NOMEM. */
moe_status moe_experiment_output(const moe_experiment *x, int gpus, char *path,
                                 size_t size, moe_error *err);

/** Parse a list of layers.
 *  @param layers_out  [n_model_layers] room; rising.
 *  @return MOE_OK, MOE_USAGE (not a list, out of range, not rising). */
moe_status moe_experiment_layers(const char *text, int n_model_layers,
                                 int *layers_out, int *n_out, moe_error *err);

#endif
