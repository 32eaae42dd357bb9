/** fill.h: every slot of a placement in use, for engines that divide equally.
 *
 *  Engines divide an expert's tokens equally among its copies and want an
 *  expert in every slot. What a planner leaves empty goes, slot by slot, to
 *  the expert whose further copy leaves the busiest GPU least.
 */
#ifndef MOEGPS_FILL_H
#define MOEGPS_FILL_H

#include <stdint.h>

#include "moegps/status.h"

/** Fill the empty slots of a layer. Not collective; deterministic.
 *  @param load    [experts] >= 0, finite.
 *  @param expert  [gpus][slots], -1: empty; every expert somewhere. An expert
 *  that a GPU has already is put there again only where all are there.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_fill(const double *load, int experts, int gpus, int slots,
                    int16_t *expert, moe_error *err);

/** @return load of the busiest GPU when copies share equally.
 *  @param load  [experts].  @param expert  [gpus][slots], -1: empty
 *  @param copies  [experts] of each in `expert`. */
double moe_fill_busiest(const double *load, const int *copies, int gpus,
                        int slots, const int16_t *expert);

#endif
