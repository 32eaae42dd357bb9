/** regime_map.h: who would win around a run: on its model, cluster and
 *  batches, at other skewnesses and links.
 *
 *  By the cost model alone, for loads that are described and not the run's
 *  own. Strategies are those of advice: baseline, distribution-only with the
 *  run's error, token-to-expert with the recall and cost of its fastest
 *  predictor of tokens, or what advice assumes.
 */
#ifndef MOEGPS_REGIME_MAP_H
#define MOEGPS_REGIME_MAP_H

#include <stdbool.h>

#include "moegps/break_even.h"
#include "moegps/detail.h"
#include "moegps/map.h"
#include "moegps/map_slice.h"
#include "moegps/view.h"

typedef struct moe_regime_map {
    bool known; /* else nothing below holds */
    moe_map map;
    moe_map_slice slice;      /* all of the map, which it borrows */
    moe_advise_strategy here; /* the winner in the cell nearest to the run */
} moe_regime_map;

/** Sweep. The map must stay where it is. Not collective. Release with
 *  moe_regime_map_fini().
 *  @return MOE_OK, MOE_USAGE (no profiles, or tables that are not here),
 *  MOE_NOMEM. */
moe_status moe_regime_map_init(moe_regime_map *out, const moe_view *view,
                               const moe_detail *detail,
                               const moe_break_even *break_even,
                               moe_error *err);
void moe_regime_map_fini(moe_regime_map *map);

#endif
