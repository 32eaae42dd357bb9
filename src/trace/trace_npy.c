/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "moegps/npy.h"

/* How moe_trace_to_npy() writes: npy.h has the format. */
static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, RANK = 3, HEADER_ALIGNMENT = 64, CHUNK = 1024 };

static const bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

static moe_status refuse(const char *path, const char *why, moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s: %s", path, why);
}

/* Read n elements into 16 or 32 bits each. */
static moe_status read_elements(moe_npy *array, size_t n, moe_trace *t,
                                moe_error *err)
{
    int64_t value[CHUNK];
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    const int64_t most = tokens ? t->experts - 1 : (int64_t)UINT32_MAX;
    for (size_t at = 0; at < n;) {
        const size_t now = n - at < CHUNK ? n - at : CHUNK;
        if (moe_npy_read_int(array, now, value, err) != MOE_OK)
            return MOE_FORMAT;
        for (size_t j = 0; j < now; j++, at++) {
            if (value[j] < 0 || value[j] > most)
                return moe_fail(err, MOE_FORMAT,
                                "%s: element %zu: %" PRId64
                                " is not in 0..%" PRId64,
                                array->path, at, value[j], most);
            if (tokens)
                t->experts_of[at] = (uint16_t)value[j];
            else
                t->counts[at] = (uint32_t)value[j];
        }
    }
    return moe_npy_end(array, err);
}

static moe_status take_dims(const char *path, const moe_npy *array,
                            moe_trace *t, moe_error *err)
{
    if (array->kind == 'f')
        return refuse(path, "is not an array of little-endian integers", err);
    if (array->rank != RANK)
        return refuse(path, "has not three dimensions", err);
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
    t->order = tokens ? MOE_ORDER_NONE : MOE_ORDER_TIME;
    return MOE_OK;
}

static moe_status read_npy(const char *path, moe_npy *array, moe_trace *t,
                           moe_error *err)
{
    size_t n = 0;
    moe_status status = moe_npy_open(path, array, err);
    if (status == MOE_OK)
        status = take_dims(path, array, t, err);
    if (status == MOE_OK)
        status = moe_trace_allocate(t, err);
    if (status != MOE_OK)
        return status;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    (void)moe_trace_elements(
        t, tokens ? MOE_ARRAY_EXPERTS_OF : MOE_ARRAY_COUNTS, &n);
    status = read_elements(array, n, t, err);
    if (status != MOE_OK)
        return status;
    if (!tokens)
        return moe_trace_count_tokens(t, err);
    t->seq_offset[1] = t->n_tokens;
    return MOE_OK;
}

moe_status moe_trace_from_npy(const char *path, moe_trace *trace,
                              moe_error *err)
{
    moe_error local = {0};
    moe_trace t = *trace;
    moe_npy array = {0};
    t.ordered = t.ordered && t.kind == MOE_TRACE_TOKENS;
    if (moe_trace_check_choice(&t, &local) == MOE_OK &&
        read_npy(path, &array, &t, &local) == MOE_OK &&
        moe_trace_validate(&t, &local) != MOE_OK)
        moe_error_prefix(&local, "%s", path);
    moe_npy_close(&array);
    if (local.status == MOE_OK) {
        *trace = t;
        return MOE_OK;
    }
    moe_trace_free(&t);
    return moe_pass(err, &local);
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
    const moe_trace_array which =
        tokens ? MOE_ARRAY_EXPERTS_OF : MOE_ARRAY_COUNTS;
    size_t elements = 0;
    (void)moe_trace_elements(t, which, &elements);
    fwrite(moe_trace_get(t, which), moe_trace_element_size(which), elements,
           out);
    if (fflush(out) != 0 || ferror(out))
        return moe_fail(err, MOE_IO, "cannot write .npy: %s", strerror(errno));
    return MOE_OK;
}
