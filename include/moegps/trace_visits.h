/** trace_visits.h: where the tokens of a trace go.
 */
#ifndef MOEGPS_TRACE_VISITS_H
#define MOEGPS_TRACE_VISITS_H

#include "moegps/layout.h"
#include "moegps/trace.h"

/** @return share of a trace's tokens whose experts' homes lie in more than
 *  `limit` nodes, over all layers; NaN: the trace has no tokens. Local. */
double moe_trace_over_limit(const moe_trace *trace, const moe_layout *layout,
                            int limit);

#endif
