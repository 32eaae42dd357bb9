/* forms.h: forms for programs that several parts of a report make. */
#ifndef MOEGPS_REPORT_FORMS_H
#define MOEGPS_REPORT_FORMS_H

#include <stdio.h>

#include "moegps/analysis.h"
#include "moegps/json.h"

/* @return an object of what would change a run's verdict; an array with an
 * object per map. */
json_t *moe_sensitivity_json(const moe_run_analysis *run, moe_error *err);

/* What strategies that choose did. @return an array. */
json_t *moe_choices_json(const moe_run_analysis *run, moe_error *err);
json_t *moe_maps_json(const moe_map *maps, size_t n, moe_error *err);

/* Print a row per cell of all cases of maps. */
moe_status moe_maps_csv(const moe_map *maps, size_t n, FILE *out);

#endif
