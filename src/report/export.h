/* export.h: forms for programs that are no JSON. */
#ifndef MOEGPS_REPORT_EXPORT_H
#define MOEGPS_REPORT_EXPORT_H

#include <stdio.h>

#include "moegps/map.h"

/* Print a row per cell of all cases of maps. */
moe_status moe_maps_csv(const moe_map *maps, size_t n, FILE *out);

#endif
