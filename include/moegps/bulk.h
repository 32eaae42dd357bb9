/** bulk.h: arrays that may be larger than this process should be.
 *
 *  Small ones are on the heap. Large ones lie in a file without a name, in the
 *  folder TMPDIR, else /var/tmp, which is mapped: the kernel writes their pages
 *  out and reads them again as it likes. Who goes over such an array says how
 *  far it came, so that what lies behind is not kept as this process's memory.
 *  Where no such file can be had, all are on the heap.
 *  Local; for one thread at a time, as what is mapped is known per process.
 */
#ifndef MOEGPS_BULK_H
#define MOEGPS_BULK_H

#include <stddef.h>

#include "moegps/status.h"

/** Allocate n * size zeroed bytes. @return NULL with MOE_NOMEM; release with
 *  moe_bulk_free(), and nothing else. */
void *moe_bulk_new(size_t n, size_t size, moe_error *err);

/** Make an array larger, or the first of its kind of NULL; what is added has any
 *  content. @param bytes  it has, of which all are kept.
 *  @return the array, which may have moved; NULL with MOE_NOMEM, then it is as
 *  it was. */
void *moe_bulk_grow(void *array, size_t bytes, size_t new_bytes,
                    moe_error *err);

/** Release. NULL, and what is from moe_array_new(), is fine. */
void moe_bulk_free(void *array);

/** Say that a sweep has gone over `bytes` at `at`, read or written. Cheap where
 *  `at` is on the heap. */
void moe_bulk_passed(const void *at, size_t bytes);

/** Copy. The two may overlap where `to` comes first. */
void moe_bulk_copy(void *to, const void *from, size_t bytes);

#endif
