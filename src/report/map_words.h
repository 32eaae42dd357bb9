/* map_words.h: what a map says, in sentences. */
#ifndef MOEGPS_REPORT_MAP_WORDS_H
#define MOEGPS_REPORT_MAP_WORDS_H

#include "contents.h"
#include "moegps/map_slice.h"

/* Case of which figures and the verdict are. */
#define MOE_MAP_CASE MOE_ADVISE_TYPICAL

/* "Map of mixtral-8x7b on 4 GPUs". */
void moe_map_title(const moe_map *map, char *text, size_t size);

/* Who wins how much, and where that flips in the first slice. */
void moe_map_say(const moe_map *map, char *text, size_t size);

/* Where the verdict flips in a slice, in a sentence. */
void moe_map_slice_say(const moe_map_slice *x, char *text, size_t size);

#endif
