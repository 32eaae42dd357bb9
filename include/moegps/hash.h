/** hash.h: a number that tells contents apart: FNV-1a, 64 bits.
 *
 *  Start with MOE_HASH_START and add values one by one, each as one byte or,
 *  where the hash is not compared with another program's, as one word.
 *  Source: Fowler, Noll, Vo; draft-eastlake-fnv.
 */
#ifndef MOEGPS_HASH_H
#define MOEGPS_HASH_H

#include <stdint.h>

static const uint64_t MOE_HASH_START = UINT64_C(14695981039346656037);

/** @return the hash of what `hash` is of, followed by `value`. */
static inline uint64_t moe_hash_add(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(1099511628211);
}

/** @return the hash of a text, byte by byte. */
static inline uint64_t moe_hash_text(const char *text)
{
    uint64_t hash = MOE_HASH_START;
    for (; *text != '\0'; text++)
        hash = moe_hash_add(hash, (unsigned char)*text);
    return hash;
}

#endif
