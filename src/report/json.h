/* json.h: what the JSON of a report is put together from.
 *
 * jansson takes a NULL value for an error, wherever it is put; `ok` says in
 * the end whether all went well. A value belongs to what it was put into.
 */
#ifndef MOEGPS_REPORT_JSON_H
#define MOEGPS_REPORT_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "moegps/analysis.h"

void moe_json_put(json_t *object, const char *key, json_t *value, bool *ok);
void moe_json_add(json_t *array, json_t *value, bool *ok);

/* @return a number; JSON has no NaN and no infinity: null. */
json_t *moe_json_number(double x);

/* @return a text; beyond ASCII '?' where it is not UTF-8, as of a text cut
 * within a character. */
json_t *moe_json_text(const char *text);

/* @return an object of what would change a run's verdict; an array with an
 * object per map. */
json_t *moe_sensitivity_json(const moe_run_analysis *run, bool *ok);
json_t *moe_maps_json(const moe_map *maps, size_t n, bool *ok);

#endif
