/** internal.h: what the files of this folder share. */
#ifndef MOEGPS_TRACE_INTERNAL_H
#define MOEGPS_TRACE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/trace.h"

/** The arrays of a trace, all but the vocabulary. */
typedef enum moe_trace_array {
    MOE_ARRAY_SEQ_OFFSET,
    MOE_ARRAY_SEQ_PART,
    MOE_ARRAY_EXPERTS_OF,
    MOE_ARRAY_GATE,
    MOE_ARRAY_TOKEN_ID,
    MOE_ARRAY_POSITION,
    MOE_ARRAY_COUNTS,
    MOE_ARRAY_LAYER_NUMBER,
    MOE_ARRAY_CLUSTER,
    N_ARRAYS
} moe_trace_array;

/** Elements that an array has, by the sizes and flags of the trace; 0: this
 *  trace has no such array. @return false when the number overflows. */
bool moe_trace_elements(const moe_trace *trace, moe_trace_array which,
                        size_t *n_out);

/** @return bytes of one element. */
size_t moe_trace_element_size(moe_trace_array which);

void *moe_trace_get(const moe_trace *trace, moe_trace_array which);
void moe_trace_set(moe_trace *trace, moe_trace_array which, void *data);

/** Allocate every array that the sizes and flags call for, zeroed. Arrays
 *  that are there already are kept.
 *  @return MOE_OK, MOE_FORMAT (overflow), MOE_NOMEM. */
moe_status moe_trace_allocate(moe_trace *trace, moe_error *err);

/** @return MOE_OK, MOE_FORMAT (experts or top_k out of range). */
moe_status moe_trace_check_choice(const moe_trace *trace, moe_error *err);

/** @return "token" or "load": the spelling in files. */
const char *moe_trace_kind_name(moe_trace_kind kind);

#endif
