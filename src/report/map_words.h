/* map_words.h: what a map says, in sentences, tables and facts. */
#ifndef MOEGPS_REPORT_MAP_WORDS_H
#define MOEGPS_REPORT_MAP_WORDS_H

#include "moegps/map_slice.h"
#include "sheet.h"

/* Case of which tables, figures and the verdict are. */
#define MOE_MAP_CASE MOE_ADVISE_TYPICAL

/* @return share of a cluster's cells that a strategy wins in a case, over all
 * batches and accuracies. */
double moe_map_share(const moe_map *map, int cluster, moe_advise_case c,
                     moe_advise_strategy s);

/* "Map of mixtral-8x7b on 4 GPUs". */
void moe_map_title(const moe_map *map, char *text, size_t size);

/* Call with name and text of every setting, in order. */
void moe_map_facts(const moe_map *map,
                   void (*put)(const char *name, const char *text, void *arg),
                   void *arg);

/* Who wins how much, and where that flips in the first slice. */
void moe_map_say(const moe_map *map, char *text, size_t size);

/* Where the verdict flips in a slice, in a sentence. */
void moe_map_slice_say(const moe_map_slice *x, char *text, size_t size);

/* Shares of the cells by cluster and case. */
void moe_sheet_map_shares(const moe_sheet *to, const moe_map *map);

/* Winner and margin of a slice's cells, a row of skewness per bandwidth. */
void moe_sheet_map_slice(const moe_sheet *to, const moe_map_slice *x);

#endif
