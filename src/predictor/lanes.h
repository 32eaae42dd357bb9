/** lanes.h: blocks of so many tokens, one beside the other, of which loops
 *  treat all in the same way: what becomes of a token does not depend on the
 *  others, nor on how wide a machine's vectors are.
 */
#ifndef MOEGPS_PREDICTOR_LANES_H
#define MOEGPS_PREDICTOR_LANES_H

#include <stddef.h>

enum { MOE_LANES = 8 };

/* For every token of a block. The pragma keeps a compiler from unrolling the
 * loop before it is made one of vectors. */
#define MOE_EACH_LANE(l) _Pragma("omp simd") for (int l = 0; l < MOE_LANES; l++)

/* How many tokens before it is needed a row of a large table is fetched: rows
 * of ids lie anywhere, and a cache line takes as long as some tokens do. */
enum { MOE_FETCH_AHEAD = 12, MOE_CACHE_LINE = 64 };

static inline void moe_fetch(const void *row, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += MOE_CACHE_LINE)
        __builtin_prefetch((const char *)row + at);
}

#endif
