/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "moegps/bulk.h"

enum { MAX_ELEMENT = 8, CHUNK = 8192 };

static size_t read_file(void *from, void *to, size_t bytes)
{
    return fread(to, 1, bytes, from);
}

moe_byte_source moe_source_of_file(void *file)
{
    return (moe_byte_source){file, read_file};
}

size_t moe_numbers_length(const moe_numbers *a)
{
    size_t n = 1;
    for (int d = 0; d < a->rank; d++)
        if (__builtin_mul_overflow(n, a->dims[d], &n))
            return SIZE_MAX;
    return n > SIZE_MAX / MAX_ELEMENT ? SIZE_MAX : n;
}

static uint64_t bits_of(const unsigned char *from, const moe_numbers *a)
{
    uint64_t value = 0;
    for (size_t b = 0; b < a->size; b++) {
        const size_t at = a->big_endian ? a->size - 1 - b : b;
        value |= (uint64_t)from[at] << 8 * b;
    }
    return value;
}

static int64_t integer(uint64_t value, const moe_numbers *a)
{
    const uint64_t sign = (uint64_t)1 << (8 * a->size - 1);
    if (a->kind == 'i' && a->size < 8)
        return (int64_t)((value ^ sign) - sign);
    return (int64_t)value;
}

static double single(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* IEEE 754 half precision: 1 sign, 5 exponent, 10 fraction bits. */
static double half(uint64_t bits)
{
    const int exponent = (int)(bits >> 10) & 31;
    const double fraction = (double)(bits & 1023) / 1024;
    const double size = exponent == 31  ? (fraction > 0 ? NAN : INFINITY)
                        : exponent == 0 ? ldexp(fraction, -14)
                                        : ldexp(1 + fraction, exponent - 15);
    return (bits & 0x8000) != 0 ? -size : size;
}

static double real(uint64_t value, const moe_numbers *a)
{
    double x;
    if (a->kind == 'u')
        return (double)value;
    if (a->kind == 'i')
        return (double)integer(value, a);
    if (a->kind == 'b') /* the upper half of a float */
        return single((uint32_t)value << 16);
    if (a->size == 2)
        return half(value);
    if (a->size == sizeof(float))
        return single((uint32_t)value);
    memcpy(&x, &value, sizeof x);
    return x;
}

static moe_status read_elements(moe_numbers *a, size_t n, int64_t *integers,
                                double *reals, moe_error *err)
{
    unsigned char buffer[MAX_ELEMENT * CHUNK];
    for (size_t at = 0; at < n;) {
        const size_t now = n - at < CHUNK ? n - at : CHUNK;
        const size_t bytes = now * a->size;
        if (a->source.read(a->source.from, buffer, bytes) != bytes)
            return moe_fail(err, MOE_FORMAT, "%s: is truncated", a->name);
        for (size_t j = 0; j < now; j++, at++) {
            const uint64_t value = bits_of(buffer + j * a->size, a);
            if (integers != NULL)
                integers[at] = integer(value, a);
            else
                reals[at] = real(value, a);
        }
        if (integers != NULL)
            moe_bulk_passed(integers + at - now, now * sizeof *integers);
        else
            moe_bulk_passed(reals + at - now, now * sizeof *reals);
    }
    return MOE_OK;
}

moe_status moe_numbers_int(moe_numbers *a, size_t n, int64_t *out,
                           moe_error *err)
{
    return read_elements(a, n, out, NULL, err);
}

moe_status moe_numbers_real(moe_numbers *a, size_t n, double *out,
                            moe_error *err)
{
    return read_elements(a, n, NULL, out, err);
}
