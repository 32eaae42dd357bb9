/** regime_map.h: the guideline map around a run: who would win on its model, cluster
 * and batches at other skewnesses and links, by the cost model, for loads that
 * are described and not the run's own. */
#ifndef MOEGPS_REGIME_MAP_H
#define MOEGPS_REGIME_MAP_H

#include <stdio.h>

#include "moegps/detail.h"
#include "moegps/map.h"
#include "moegps/view.h"

/* Sweep. Strategies are those of advice: baseline, distribution-only with the
 * run's error, token-to-expert with the recall and cost of its fastest
 * predictor of tokens, or what advice assumes. Release with moe_map_fini().
 * @return MOE_OK, MOE_USAGE (no profiles, or tables that are not here),
 * MOE_NOMEM. */
moe_status moe_guide_init(moe_map *map, const moe_view *view,
                          const moe_detail *detail, moe_error *err);

/* Say what was assumed of the strategies. */
void moe_guide_say(const moe_map *map, const moe_view *view, FILE *out);

#endif
