/** samples.h: which past loads say what comes, and how much each of them.
 *
 *  The weight of a sample falls with its age by a constant factor, the decay.
 *  Among a few decays the one is taken whose weighted mean of older samples
 *  would have foretold the newer ones best: noise about a fixed load wants a
 *  long memory, drift a short one. What lies before a jump is left out. A
 *  function of the samples alone; allocates in init only.
 */
#ifndef MOEGPS_PLANNER_SAMPLES_H
#define MOEGPS_PLANNER_SAMPLES_H

#include "moegps/planner.h"

enum {
    MOE_SAMPLES = MOE_PLANNER_PAST,
    MOE_SAMPLE_LANES = 4 /* padded to a multiple, for vectors */
};

typedef struct moe_samples {
    int experts, gpus;
    int n;        /* samples in use, newest first */
    int stride;   /* n, padded; what is padded has weight 0 and load 0 */
    double decay; /* that was chosen; 0: only the newest counts */
    float weight[MOE_SAMPLES]; /* [stride], sums to 1 */
    float *load;               /* [experts][stride], in loads of the mean GPU */
    float *share;              /* [MOE_SAMPLES][experts], sums to gpus */
    float *mean;               /* [N_DECAYS][experts] of the validation */
    uint64_t steps;            /* numbers looked at, of the last choice */
} moe_samples;

/** Allocate. Release with moe_samples_fini() in any case. */
moe_status moe_samples_init(moe_samples *s, int experts, int gpus,
                            moe_error *err);
void moe_samples_fini(moe_samples *s);

/** Choose from task->past, or take task->load where there is none.
 *  @return false if all loads are 0. */
bool moe_samples_choose(moe_samples *s, const moe_planner_task *task);

#endif
