/** internal.h: what the files of this folder share. */
#ifndef MOEGPS_CLUSTER_INTERNAL_H
#define MOEGPS_CLUSTER_INTERNAL_H

#include <stddef.h>

#include "moegps/cost.h"

/* Cost models, one file each; the registry is in cost.c. */
extern const moe_cost moe_cost_analytic;
extern const moe_cost moe_cost_silicon;

/** Name a profile after its file unless it has a name: the last part of the
 *  path, less its suffix, cut to size - 1 characters. */
void moe_profile_name(const char *origin, char *name, size_t size);

#endif
