/* map_export.h: maps and outlooks for programs. */
#ifndef MOEGPS_REPORT_MAP_EXPORT_H
#define MOEGPS_REPORT_MAP_EXPORT_H

#include <jansson.h>
#include <stdio.h>

#include "moegps/map.h"
#include "outlook.h"

/* Print a row per cell of all cases. */
moe_status moe_maps_csv(const moe_map *maps, size_t n, FILE *out);

/* @return an array with an object per map; NULL when out of memory. */
json_t *moe_maps_json(const moe_map *maps, size_t n);

/* @return an object; NULL when out of memory. */
json_t *moe_outlook_json(const moe_outlook *outlook, const moe_view *view);

/* @return a text as JSON; beyond ASCII '?' where it is not UTF-8, as of a text
 * cut within a character. */
json_t *moe_json_text(const char *text);

#endif
