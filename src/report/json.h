/* json.h: objects that several parts of a report put into their JSON. */
#ifndef MOEGPS_REPORT_JSON_H
#define MOEGPS_REPORT_JSON_H

#include "moegps/analysis.h"
#include "moegps/json.h"

/* @return an object of what would change a run's verdict; an array with an
 * object per map. */
json_t *moe_sensitivity_json(const moe_run_analysis *run, moe_error *err);
json_t *moe_maps_json(const moe_map *maps, size_t n, moe_error *err);

#endif
