/* page.h: one HTML page of a report, complete in itself. */
#ifndef MOEGPS_REPORT_PAGE_H
#define MOEGPS_REPORT_PAGE_H

#include <stdio.h>

#include "moegps/analysis.h"
#include "moegps/plots.h"

/* Write the page: no scripts, nothing from outside, and a policy that forbids
 * both. Texts of result files are escaped. */
moe_status moe_page_write(const moe_analysis *a, const moe_plots *plots,
                          FILE *out, moe_error *err);

/* What goes before and behind all sections. */
void moe_page_head(const moe_analysis *a, FILE *out);
void moe_page_foot(const moe_analysis *a, FILE *out);

/* The section of a map: what comes before its figures, and behind them. */
void moe_page_map_top(const moe_map *map, FILE *out);
void moe_page_map_rest(const moe_map *map, FILE *out, moe_error *err);

/* Why the best is best, and what would change that. */
void moe_page_sensitivity(const moe_run_analysis *run, FILE *out);

#endif
