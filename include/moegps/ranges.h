/** ranges.h: lists of whole numbers as people write them: 0,3,8-11. */
#ifndef MOEGPS_RANGES_H
#define MOEGPS_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

typedef struct moe_ranges {
    int32_t *number; /* [n] in the order of the text, distinct; owned */
    size_t n;
} moe_ranges;

/** Read a list of numbers and of ranges, both ends included.
 *  @param out  release with moe_ranges_fini(); untouched on error.
 *  @return MOE_OK, MOE_USAGE (no list; a number above `most`, or twice),
 *  MOE_NOMEM. */
moe_status moe_ranges_parse(const char *text, int32_t most, moe_ranges *out,
                            moe_error *err);
void moe_ranges_fini(moe_ranges *ranges);

/** Write rising numbers as ranges: "0..2, 5"; what has no room becomes "...".
 *  @param number  [n] */
void moe_ranges_text(const int32_t *number, size_t n, char *text, size_t size);

#endif
