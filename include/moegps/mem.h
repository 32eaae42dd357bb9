/** mem.h: allocation that checks overflow, and checked narrowing.
 *
 *  Sizes are size_t and counts uint64_t everywhere; what MPI and oneDNN want
 *  as int or int64_t passes through the checked casts here. */
#ifndef MOEGPS_MEM_H
#define MOEGPS_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

#define MOE_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { MOE_ALIGNMENT = 64 }; /* bytes: a cache line, and an AVX-512 register */

/** Allocate n * size zeroed bytes, aligned to MOE_ALIGNMENT. Release with
 *  free(). n == 0 gives a valid pointer.
 *  @return NULL, with MOE_NOMEM and the size in `err`, when it cannot. */
void *moe_array_new(size_t n, size_t size, moe_error *err);

/** Copy a string to the heap; release with free(). NULL copies to NULL. */
char *moe_strdup(const char *text, moe_error *err);

/** Narrow a count to MPI's int.
 *  @param what  named in the message: "rows to send".
 *  @return the value, or 0 with MOE_USAGE in `err` above INT_MAX. */
int moe_to_int(uint64_t value, const char *what, moe_error *err);

#endif
