/** numbers.h: a dense array of numbers in a file, read piece by piece.
 *
 *  Files of arrays (NumPy, safetensors) differ in their headers; behind them
 *  are elements of one type, of either byte order, in C or Fortran order. A
 *  source hands out bytes, so that a member of an archive is read as a file.
 */
#ifndef MOEGPS_NUMBERS_H
#define MOEGPS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

enum { MOE_NUMBERS_MAX_RANK = 8 };

/** Where bytes are from. */
typedef struct moe_byte_source {
    void *from; /* borrowed */
    /** @return bytes read, fewer than asked for at the end or after an error. */
    size_t (*read)(void *from, void *to, size_t bytes);
} moe_byte_source;

/** @return a source that reads a FILE * from where it stands. */
moe_byte_source moe_source_of_file(void *file);

typedef struct moe_numbers {
    char name[512]; /* of the file, and of its member; for messages */
    moe_byte_source source;
    int rank;
    size_t dims[MOE_NUMBERS_MAX_RANK];
    char kind;   /* 'i', 'u', 'f', or 'b' (bfloat16) */
    size_t size; /* bytes of an element: 1, 2, 4, 8 */
    bool big_endian;
    bool fortran; /* the first index varies fastest */
} moe_numbers;

/** @return elements; SIZE_MAX: more than memory can have. */
size_t moe_numbers_length(const moe_numbers *numbers);

/** Read the next n elements of an array of integers. Unsigned ones above
 *  INT64_MAX come out negative.
 *  @return MOE_OK, MOE_FORMAT (truncated). */
moe_status moe_numbers_int(moe_numbers *numbers, size_t n, int64_t *out,
                           moe_error *err);

/** Read the next n elements of any array. */
moe_status moe_numbers_real(moe_numbers *numbers, size_t n, double *out,
                            moe_error *err);

/** Read a header as NumPy writes it (numpy.lib.format, versions 1.0 to 3.0): a
 *  magic string, a version, the length of a Python dictionary as text, that
 *  text. The elements follow.
 *  @param out  name and source are given.
 *  @return MOE_OK, MOE_FORMAT. */
moe_status moe_npy_header(moe_numbers *out, moe_error *err);

/** Whether bytes begin as a .npy file does. */
bool moe_npy_begins(const char *head, size_t n);

#endif
