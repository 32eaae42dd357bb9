/** outlast.h: how loads drift, and how long a plan made of them stays good.
 *
 *  Local, deterministic. Of long recordings 64 steps, evenly spread, stand for
 *  all.
 */
#ifndef MOEGPS_OUTLAST_H
#define MOEGPS_OUTLAST_H

#include "moegps/study.h"

enum { MOE_OUTLAST_LAGS = 32 }; /* most steps that are looked ahead */

/** @return how many steps are looked ahead: fewer than there are. */
int moe_outlast_lags(size_t steps);

/** Distance of shares: half the sum over experts of |difference|, 0..1, mean over
 *  steps and layers.
 *  @param load  [steps][layers][experts], each row with load.
 *  @param drift_out  [lags] of steps `lag` + 1 apart. */
void moe_outlast_drift(const double *load, size_t steps, int layers,
                       int experts, double *drift_out);

/** Balancedness (mean / max load of a GPU) of plans of a step on the loads of
 *  later ones, mean over steps and layers. Each is made from `previous`.
 *  @param params    how often to plan, and what of, is left aside.
 *  @param good_out  [lags] of plans `lag` + 1 steps old.
 *  @return MOE_OK, MOE_NOMEM, or what the planner returns. */
moe_status moe_outlast_plans(const moe_study_params *params, double *good_out,
                             moe_error *err);

#endif
