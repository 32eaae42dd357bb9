/** study.h: what a planner makes of recorded loads, without a run.
 *
 *  The planner plans every layer of one step after the other, env->interval
 *  steps apart, each time from the plan before; or once, of the sum of all steps
 *  or the last one. A plan is scored on the load that it was made of and, as it
 *  would be used, on the loads of the steps after it, up to the one that the
 *  next plan is made of; the one plan on that of every step.
 *  Where several steps are planned, planners see the steps so far. Local;
 *  deterministic, except for the time that planning takes.
 */
#ifndef MOEGPS_STUDY_H
#define MOEGPS_STUDY_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/planner.h"
#include "moegps/progress.h"
#include "moegps/regret.h"
#include "moegps/stats.h"

/** Sums that every convention of balance is made from: loads of the busiest
 *  GPU (most) against those of the mean GPU. */
typedef struct moe_tally {
    double ratio, inverse; /* of mean / most, of most / mean */
    double mean, most;
    size_t n;
} moe_tally;

/* How even a plan is; papers and programs mean different ones by the same
 * words. */
typedef enum moe_balance {
    MOE_BALANCE_MEAN,      /* mean / most, averaged */
    MOE_BALANCE_OF_SUMS,   /* sum of means / sum of most */
    MOE_BALANCE_IMBALANCE, /* most / mean, averaged */
    MOE_BALANCE_EXCESS,    /* most / mean - 1, averaged */
    MOE_N_BALANCES
} moe_balance;

/** @return "balancedness_mean", "balancedness_of_sums", "imbalance",
 *  "excess". */
const char *moe_balance_name(moe_balance by);

void moe_tally_add(moe_tally *tally, double mean, double most);

/** @return the tally of n tallies together. */
moe_tally moe_tally_sum(const moe_tally *tallies, int n);

/** @return the balance by a convention; NaN of an empty tally. */
double moe_tally_balance(const moe_tally *tally, moe_balance by);

/* What is planned. */
typedef enum moe_study_use {
    MOE_STUDY_EACH, /* every step */
    MOE_STUDY_SUM,  /* the sum of all steps, once */
    MOE_STUDY_LAST  /* the last step, once */
} moe_study_use;

/* A plan on its own load, by env->division; on those of the steps that it serves, or every one's
 * where there is one plan, by each division. */
enum {
    MOE_STUDY_PLANNED,
    MOE_STUDY_NEXT,
    MOE_STUDY_SCORES = MOE_STUDY_NEXT + MOE_N_DIVISIONS
};

/** All borrowed. */
typedef struct moe_study_params {
    const moe_planner *planner;
    const void *params; /* of its options */
    const moe_planner_env *env;
    const moe_plan *previous; /* in force before the first step */
    const double *load;       /* [steps][layers][env->experts] >= 0, finite */
    size_t steps;             /* at least 1 */
    int layers;               /* those of `previous` */
    int repeats; /* how often a step is planned, for its time; >= 1 */
    moe_study_use use;
    moe_progress *progress; /* of `steps`, begun; NULL: nothing is shown */
} moe_study_params;

/** Arrays are owned. */
typedef struct moe_study {
    moe_plan plan; /* of the last step */
    int16_t *raw;  /* [layers][gpus][slots] its placement as the planner's
                      source has it, where that may put an expert several
                      times on a GPU; else the plan's */
    int *doubles; /* [layers] slots of `raw` whose GPU has the expert already */
    moe_tally *score[MOE_STUDY_SCORES]; /* [layers] over steps */
    moe_tally *bound; /* [layers] of what no plan can be below */
    size_t plans;     /* that were made */
    size_t changed;   /* slots of `plan` that `previous` has otherwise */
    size_t travelled; /* slots that changed from plan to plan, all together */
    moe_summary time; /* s, CPU of this process, of planning all layers once;
                         plans * repeats samples */
} moe_study;

/** Plan and score. Release with moe_study_fini() in any case.
 *  @return MOE_OK, MOE_NOMEM, or what the planner's init and plan return. */
moe_status moe_study_run(moe_study *study, const moe_study_params *params,
                         moe_error *err);
void moe_study_fini(moe_study *study);

#endif
