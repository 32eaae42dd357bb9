/** npy.h: arrays as NumPy saves them, read piece by piece.
 *
 *  Format: numpy.lib.format, versions 1.0 to 3.0: a magic string, a version,
 *  the length of a Python dictionary as text, that text, the elements.
 *  Little-endian numbers in C order only.
 */
#ifndef MOEGPS_NPY_H
#define MOEGPS_NPY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "moegps/status.h"

enum { MOE_NPY_MAX_RANK = 8 };

typedef struct moe_npy {
    const char *path; /* borrowed, for messages */
    FILE *file;
    int rank;
    size_t dims[MOE_NPY_MAX_RANK];
    size_t size; /* bytes of an element */
    char kind;   /* 'i', 'u' or 'f' */
} moe_npy;

/** Open a file and read its header. Not collective.
 *  @param out  close with moe_npy_close() in any case.
 *  @return MOE_OK, MOE_USAGE (cannot open), MOE_FORMAT. */
moe_status moe_npy_open(const char *path, moe_npy *out, moe_error *err);
void moe_npy_close(moe_npy *array);

/** Read the next n elements of an array of integers. Unsigned ones above
 *  INT64_MAX come out negative.
 *  @return MOE_OK, MOE_FORMAT (truncated). */
moe_status moe_npy_read_int(moe_npy *array, size_t n, int64_t *out,
                            moe_error *err);

/** Read the next n elements of any array. */
moe_status moe_npy_read_real(moe_npy *array, size_t n, double *out,
                             moe_error *err);

/** @return MOE_OK; MOE_FORMAT unless all elements have been read. */
moe_status moe_npy_end(const moe_npy *array, moe_error *err);

#endif
