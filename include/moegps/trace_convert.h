/** trace_convert.h: traces from and to CSV and NumPy arrays.
 *
 *  CSV has a heading line that names the columns, in any order; rows come in
 *  any order too, and unknown columns are ignored.
 *
 *      token trace  layer,token,expert0,...  and, where known, sequence,
 *                   split (train or test), order (time or none), token_id,
 *                   position, gate0,...
 *      load trace   step,layer,expert,count  and, where known, split, order;
 *                   rows with count 0 may be left out
 *
 *  A .npy file holds integers: [steps][layers][experts] pairs of a load trace
 *  or [layers][tokens][top_k] experts of a token trace, C order.
 */
#ifndef MOEGPS_TRACE_CONVERT_H
#define MOEGPS_TRACE_CONVERT_H

#include <stdio.h>

#include "moegps/status.h"
#include "moegps/trace.h"

/** Read a CSV file; its columns tell token traces from load traces. Without
 *  `sequence` all tokens are one sequence, without `split` all train. Without
 *  `order` that of steps and of numbered sequences is time.
 *  Not collective.
 *  @param trace  model, source, licence, note, experts, top_k, ordered are
 *  given, all else is filled. Unchanged on error.
 *  @param split_out  whether the file says which sequences train.
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT (file:line and what is
 *  wrong there), MOE_NOMEM. */
moe_status moe_trace_from_csv(const char *path, moe_trace *trace,
                              bool *split_out, moe_error *err);

/** Read a .npy file: trace->kind says what its numbers are; otherwise as
 *  moe_trace_from_csv(). Tokens become one sequence; all train. The order of
 *  steps is time. */
moe_status moe_trace_from_npy(const char *path, moe_trace *trace,
                              moe_error *err);

/** Write all that a trace knows, the order where it is none; moe_trace_from_csv() reads it back.
 *  Not collective. @return MOE_OK, MOE_IO. */
moe_status moe_trace_to_csv(const moe_trace *trace, FILE *out, moe_error *err);

/** Write counts as uint32, or experts as uint16. Not collective.
 *  @return MOE_OK, MOE_IO. */
moe_status moe_trace_to_npy(const moe_trace *trace, FILE *out, moe_error *err);

#endif
