/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"

/* Format: numpy.lib.format, versions 1.0 to 3.0. A magic string, a version,
 * the length of a Python dictionary as text, that text, the elements. */
static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, MAX_HEADER = 4096, RANK = 3, HEADER_ALIGNMENT = 64 };

static const bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

typedef struct {
    size_t dims[RANK];
    size_t size;    /* bytes of an element */
    bool is_signed; /* two's complement */
} npy;

static moe_status refuse(const char *path, const char *why, moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s: %s", path, why);
}

/* @return what follows `'key':` in a header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at != NULL ? strchr(at, ':') : NULL;
    return at != NULL ? at + 1 + strspn(at + 1, " ") : NULL;
}

static moe_status parse_header(const char *path, const char *header, npy *out,
                               moe_error *err)
{
    const char *type = value_of(header, "'descr'");
    const char *order = value_of(header, "'fortran_order'");
    const char *shape = value_of(header, "'shape'");
    if (type == NULL || order == NULL || shape == NULL || *shape != '(')
        return refuse(path, "has a header that cannot be read", err);
    /* '<i8' and the like; one byte has no order: '|u1' */
    bool integer = type[0] == '\'' && strchr("<|", type[1]) != NULL &&
                   strchr("iu", type[2]) != NULL &&
                   strchr("1248", type[3]) != NULL && type[4] == '\'';
    if (!integer || strncmp(order, "False", 5) != 0)
        return refuse(path,
                      "is not an array of little-endian integers in C "
                      "order",
                      err);
    out->is_signed = type[2] == 'i';
    out->size = (size_t)(type[3] - '0');
    for (int d = 0; d < RANK; d++) {
        char *end = NULL;
        shape += 1 + strspn(shape + 1, " ");
        out->dims[d] = strtoull(shape, &end, 10);
        const bool last = d == RANK - 1;
        if (!isdigit((unsigned char)*shape) || *end != (last ? ')' : ','))
            return refuse(path, "has not three dimensions", err);
        shape = end;
    }
    return MOE_OK;
}

static moe_status read_header(const char *path, FILE *f, npy *out,
                              moe_error *err)
{
    unsigned char start[MAGIC_LEN + 2], len[4] = {0};
    char header[MAX_HEADER + 1] = "";
    if (fread(start, 1, sizeof start, f) != sizeof start ||
        memcmp(start, magic, MAGIC_LEN) != 0)
        return refuse(path, "is not a .npy file", err);
    const size_t len_bytes = start[MAGIC_LEN] == 1 ? 2 : 4;
    if (fread(len, 1, len_bytes, f) != len_bytes)
        return refuse(path, "is truncated", err);
    const size_t n = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 |
                     (size_t)len[3] << 24;
    if (n > MAX_HEADER || fread(header, 1, n, f) != n)
        return refuse(path, "has a header that cannot be read", err);
    return parse_header(path, header, out, err);
}

static int64_t element(const unsigned char *from, const npy *array)
{
    uint64_t value = 0;
    for (size_t b = 0; b < array->size; b++)
        value |= (uint64_t)from[b] << 8 * b;
    const uint64_t sign = (uint64_t)1 << (8 * array->size - 1);
    if (array->is_signed && array->size < 8)
        return (int64_t)((value ^ sign) - sign);
    return (int64_t)value; /* unsigned ones above the limit are refused */
}

/* Read n elements into 16 or 32 bits each. */
static moe_status read_elements(const char *path, FILE *f, const npy *array,
                                size_t n, moe_trace *t, moe_error *err)
{
    unsigned char buffer[8 * 1024];
    const size_t room = sizeof buffer / array->size;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    const int64_t most = tokens ? t->experts - 1 : (int64_t)UINT32_MAX;
    for (size_t at = 0; at < n;) {
        size_t now = n - at < room ? n - at : room;
        if (fread(buffer, array->size, now, f) != now)
            return refuse(path, "is truncated", err);
        for (size_t j = 0; j < now; j++, at++) {
            int64_t value = element(buffer + j * array->size, array);
            if (value < 0 || value > most)
                return moe_fail(err, MOE_FORMAT,
                                "%s: element %zu: %" PRId64
                                " is not in 0..%" PRId64,
                                path, at, value, most);
            if (tokens)
                t->experts_of[at] = (uint16_t)value;
            else
                t->counts[at] = (uint32_t)value;
        }
    }
    if (fgetc(f) != EOF)
        return refuse(path, "goes on after its last element", err);
    return MOE_OK;
}

static moe_status take_dims(const char *path, const npy *array, moe_trace *t,
                            moe_error *err)
{
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    const size_t layers = array->dims[tokens ? 0 : 1];
    const size_t last = (size_t)(tokens ? t->top_k : t->experts);
    if (array->dims[2] != last)
        return moe_fail(err, MOE_FORMAT,
                        "%s: the last dimension is %zu, but %s is %zu", path,
                        array->dims[2], tokens ? "top_k" : "experts", last);
    if (layers > INT32_MAX || array->dims[0] > INT32_MAX ||
        array->dims[1] > INT32_MAX)
        return refuse(path, "is too large", err);
    t->layers = (int)layers;
    t->n_seqs = tokens ? 1 : array->dims[0];
    t->n_tokens = tokens ? array->dims[1] : 0;
    return MOE_OK;
}

static moe_status read_npy(const char *path, FILE *f, moe_trace *t,
                           moe_error *err)
{
    npy array = {0};
    size_t n = 0;
    moe_status status = read_header(path, f, &array, err);
    if (status == MOE_OK)
        status = take_dims(path, &array, t, err);
    if (status == MOE_OK)
        status = trace_allocate(t, err);
    if (status != MOE_OK)
        return status;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    (void)trace_elements(t, tokens ? ARRAY_EXPERTS_OF : ARRAY_COUNTS, &n);
    status = read_elements(path, f, &array, n, t, err);
    if (status != MOE_OK)
        return status;
    if (!tokens)
        return trace_count_tokens(t, err);
    t->seq_offset[1] = t->n_tokens;
    return MOE_OK;
}

moe_status moe_trace_from_npy(const char *path, moe_trace *trace,
                              moe_error *err)
{
    moe_error local = {0};
    moe_trace t = *trace;
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    t.ordered = t.ordered && t.kind == MOE_TRACE_TOKENS;
    if (trace_check_choice(&t, &local) == MOE_OK &&
        read_npy(path, f, &t, &local) == MOE_OK &&
        moe_trace_validate(&t, &local) != MOE_OK)
        moe_error_prefix(&local, "%s", path);
    fclose(f);
    if (local.status == MOE_OK) {
        *trace = t;
        return MOE_OK;
    }
    moe_trace_free(&t);
    return moe_fail(err, local.status, "%s", local.text);
}

moe_status moe_trace_to_npy(const moe_trace *trace, FILE *out, moe_error *err)
{
    const moe_trace *t = trace;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    char header[256];
    int n =
        snprintf(header, sizeof header,
                 "{'descr': '%c%s', 'fortran_order': False, 'shape': (%" PRIu64
                 ", %" PRIu64 ", %d), }",
                 little_endian ? '<' : '>', tokens ? "u2" : "u4",
                 tokens ? (uint64_t)t->layers : t->n_seqs,
                 tokens ? t->n_tokens : (uint64_t)t->layers,
                 tokens ? t->top_k : t->experts);
    /* Spaces and a newline, so that the elements start at a multiple. */
    const int prefix = MAGIC_LEN + 4;
    const int total = (prefix + n + 1 + HEADER_ALIGNMENT - 1) /
                      HEADER_ALIGNMENT * HEADER_ALIGNMENT;
    const int len = total - prefix;
    fwrite(magic, 1, MAGIC_LEN, out);
    fwrite((unsigned char[]){1, 0, (unsigned char)(len & 255),
                             (unsigned char)(len >> 8)},
           1, 4, out);
    fprintf(out, "%-*s\n", len - 1, header);
    const trace_array which = tokens ? ARRAY_EXPERTS_OF : ARRAY_COUNTS;
    size_t elements = 0;
    (void)trace_elements(t, which, &elements);
    fwrite(trace_get(t, which), trace_element_size(which), elements, out);
    if (fflush(out) != 0 || ferror(out))
        return moe_fail(err, MOE_IO, "cannot write .npy: %s", strerror(errno));
    return MOE_OK;
}
