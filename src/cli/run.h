/** run.h: what the files of `moegps run` share.
 *
 *  cmd_run.c      arguments, the order of things
 *  run_inputs.c   experiment, profiles, trace, predictor files
 *  run_results.c  the result file, and what is printed
 */
#ifndef MOEGPS_CLI_RUN_H
#define MOEGPS_CLI_RUN_H

#include <stdbool.h>

#include "moegps/ctx.h"
#include "moegps/engine.h"
#include "moegps/learned.h"
#include "moegps/results.h"
#include "moegps/watchdog.h"

typedef struct {
    const char *experiment, *output, *json;
    moe_strings set; /* key=value of the experiment */
    moe_injection injection;
    double max_time_s, watchdog_s; /* 0: none */
    int ranks;                     /* of a dry run; 0: those there are */
    bool dry_run, force, resume, quiet, fom;
} moe_run_options;

/* Everything a run holds; released in one place. */
typedef struct {
    moe_ctx ctx;
    moe_run_options o;
    moe_experiment experiment;
    moe_model model;
    moe_cluster cluster;
    moe_trace trace;
    moe_learned file[MOE_MAX_STRATEGIES]; /* distinct predictor files */
    const moe_learned
        *learned[MOE_MAX_STRATEGIES]; /* of each strategy, or NULL */
    int n_files;
    moe_topo topo;
    int32_t *layers; /* [n_layers] numbers in the model, owned */
    int n_layers;
    char *input, *resolved, *command_line;
    char *model_profile, *cluster_profile;
    char out[1024];
    moe_engine *engine;
    moe_ledger ledger;
    moe_results *results;
    moe_watchdog *watchdog;
    int done; /* iterations that the file had already */
} moe_run_job;

/** Read everything that the experiment names. Collective; merged status. */
moe_status moe_run_read_inputs(moe_run_job *r);

/** @return OpenMP threads of this rank. */
int moe_run_threads_of(const moe_run_job *r);

/** Settle the result file's path and make its folder, before anything
 *  expensive. Collective; merged status. */
moe_status moe_run_prepare_output(moe_run_job *r);

/** Create the result file, or open the one to go on with; neither where that
 *  is complete. Collective; merged status. */
moe_status moe_run_create_results(moe_run_job *r);

/** Print the report of the finished file; or what would run. Rank 0. */
void moe_run_print_report(moe_run_job *r);
void moe_run_print_plan(moe_run_job *r);

#endif
