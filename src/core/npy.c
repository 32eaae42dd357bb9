/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/npy.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, MAX_HEADER = 4096, MAX_ELEMENT = 8, CHUNK = 1024 };

static moe_status refuse(const moe_npy *a, const char *why, moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s: %s", a->path, why);
}

/* @return what follows `'key':` in a header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at != NULL ? strchr(at, ':') : NULL;
    return at != NULL ? at + 1 + strspn(at + 1, " ") : NULL;
}

/* "(3, 4)", "(3,)", "()". */
static bool parse_shape(moe_npy *a, const char *at)
{
    for (at++;;) {
        at += strspn(at, " ,");
        if (*at == ')')
            return true;
        char *end = NULL;
        if (!isdigit((unsigned char)*at) || a->rank == MOE_NPY_MAX_RANK)
            return false;
        a->dims[a->rank++] = strtoull(at, &end, 10);
        at = end;
        if (*at != ',' && *at != ')')
            return false;
    }
}

static moe_status parse_header(moe_npy *a, const char *header, moe_error *err)
{
    const char *type = value_of(header, "'descr'");
    const char *order = value_of(header, "'fortran_order'");
    const char *shape = value_of(header, "'shape'");
    if (type == NULL || order == NULL || shape == NULL || *shape != '(')
        return refuse(a, "has a header that cannot be read", err);
    /* '<i8' and the like; one byte has no order: '|u1' */
    const bool number =
        type[0] == '\'' && strchr("<|", type[1]) != NULL && type[2] != '\0' &&
        strchr("iuf", type[2]) != NULL && type[3] != '\0' &&
        strchr(type[2] == 'f' ? "48" : "1248", type[3]) != NULL &&
        type[4] == '\'';
    if (!number || strncmp(order, "False", 5) != 0)
        return refuse(a, "is not an array of little-endian numbers in C order",
                      err);
    a->kind = type[2];
    a->size = (size_t)(type[3] - '0');
    return parse_shape(a, shape)
               ? MOE_OK
               : refuse(a, "has a header that cannot be read", err);
}

moe_status moe_npy_open(const char *path, moe_npy *out, moe_error *err)
{
    unsigned char start[MAGIC_LEN + 2], len[4] = {0};
    char header[MAX_HEADER + 1] = "";
    *out = (moe_npy){.path = path, .file = fopen(path, "rb")};
    if (out->file == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    if (fread(start, 1, sizeof start, out->file) != sizeof start ||
        memcmp(start, magic, MAGIC_LEN) != 0)
        return refuse(out, "is not a .npy file", err);
    const size_t len_bytes = start[MAGIC_LEN] == 1 ? 2 : 4;
    if (fread(len, 1, len_bytes, out->file) != len_bytes)
        return refuse(out, "is truncated", err);
    const size_t n = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 |
                     (size_t)len[3] << 24;
    if (n > MAX_HEADER || fread(header, 1, n, out->file) != n)
        return refuse(out, "has a header that cannot be read", err);
    return parse_header(out, header, err);
}

void moe_npy_close(moe_npy *array)
{
    if (array->file != NULL)
        fclose(array->file);
    array->file = NULL;
}

static uint64_t bits_of(const unsigned char *from, const moe_npy *a)
{
    uint64_t value = 0;
    for (size_t b = 0; b < a->size; b++)
        value |= (uint64_t)from[b] << 8 * b;
    return value;
}

static int64_t integer(const unsigned char *from, const moe_npy *a)
{
    const uint64_t value = bits_of(from, a);
    const uint64_t sign = (uint64_t)1 << (8 * a->size - 1);
    if (a->kind == 'i' && a->size < 8)
        return (int64_t)((value ^ sign) - sign);
    return (int64_t)value;
}

static double real(const unsigned char *from, const moe_npy *a)
{
    const uint64_t value = bits_of(from, a);
    if (a->kind == 'u')
        return (double)value;
    if (a->kind == 'i')
        return (double)integer(from, a);
    if (a->size == sizeof(float)) {
        const uint32_t half = (uint32_t)value;
        float single;
        memcpy(&single, &half, sizeof single);
        return single;
    }
    double whole;
    memcpy(&whole, &value, sizeof whole);
    return whole;
}

static moe_status read_elements(moe_npy *a, size_t n, int64_t *integers,
                                double *reals, moe_error *err)
{
    unsigned char buffer[MAX_ELEMENT * CHUNK];
    for (size_t at = 0; at < n;) {
        const size_t now = n - at < CHUNK ? n - at : CHUNK;
        if (fread(buffer, a->size, now, a->file) != now)
            return refuse(a, "is truncated", err);
        for (size_t j = 0; j < now; j++, at++) {
            const unsigned char *from = buffer + j * a->size;
            if (integers != NULL)
                integers[at] = integer(from, a);
            else
                reals[at] = real(from, a);
        }
    }
    return MOE_OK;
}

moe_status moe_npy_read_int(moe_npy *array, size_t n, int64_t *out,
                            moe_error *err)
{
    return read_elements(array, n, out, NULL, err);
}

moe_status moe_npy_read_real(moe_npy *array, size_t n, double *out,
                             moe_error *err)
{
    return read_elements(array, n, NULL, out, err);
}

moe_status moe_npy_end(const moe_npy *array, moe_error *err)
{
    return fgetc(array->file) == EOF
               ? MOE_OK
               : refuse(array, "goes on after its last element", err);
}
