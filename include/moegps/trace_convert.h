/** trace_convert.h: traces as CSV and NumPy arrays, which recording.h reads.
 *
 *      token trace  layer,token,sequence,split,expert0,...  and, where known,
 *                   order (none), token_id, position, gate0,...
 *      load trace   step,layer,expert,count,split  and order (none)
 */
#ifndef MOEGPS_TRACE_CONVERT_H
#define MOEGPS_TRACE_CONVERT_H

#include <stdio.h>

#include "moegps/status.h"
#include "moegps/trace.h"

/** Write all that a trace knows, the order where it is none. Not collective.
 *  @return MOE_OK, MOE_IO. */
moe_status moe_trace_to_csv(const moe_trace *trace, FILE *out, moe_error *err);

/** Write counts as uint32, [steps][layers][experts], or experts as uint16,
 *  [layers][tokens][top_k]. Not collective.
 *  @param by_token  experts as [tokens][layers][top_k], as engines return and
 *  replay them.  @return MOE_OK, MOE_IO. */
moe_status moe_trace_to_npy(const moe_trace *trace, bool by_token, FILE *out,
                            moe_error *err);

/** Write loads as {"logical_count": [steps][layers][experts]}, layers that the
 *  trace does not have up to its last one as 0: what SGLang plans on. Not
 *  collective. @return MOE_OK, MOE_USAGE (a token trace), MOE_IO. */
moe_status moe_trace_to_json(const moe_trace *trace, FILE *out, moe_error *err);

#endif
