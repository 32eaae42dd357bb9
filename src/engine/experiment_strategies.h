/* experiment_strategies.h: the strategies of an experiment file. */
#ifndef MOEGPS_ENGINE_EXPERIMENT_STRATEGIES_H
#define MOEGPS_ENGINE_EXPERIMENT_STRATEGIES_H

#include "moegps/conf.h"
#include "moegps/experiment.h"

/* Read the list `strategies` with what its predictors, planners and splits have
 * of options, find candidates by name, and which is the reference. Not
 * collective. @param x  its own keys are read; what is made of a list that is
 * refused is released with it. @return MOE_OK, MOE_USAGE, MOE_NOMEM. */
moe_status moe_strategies_parse(moe_experiment *x, const moe_conf *root,
                                moe_error *err);

#endif
