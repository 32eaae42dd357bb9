/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"

/* Format: numpy.lib.format, version 1.0. */
static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, HEADER_ALIGNMENT = 64 };
enum { PIECE = 1 << 20 }; /* bytes that are written at once */

static const bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

/* [layers][tokens][k] as [tokens][layers][k]. */
static void write_by_token(const moe_trace *t, FILE *out)
{
    const size_t k = (size_t)t->top_k;
    for (uint64_t i = 0; i < t->n_tokens; i++) {
        for (size_t l = 0; l < (size_t)t->layers; l++)
            fwrite(t->experts_of + (l * t->n_tokens + i) * k,
                   sizeof *t->experts_of, k, out);
        moe_bulk_passed(t->experts_of,
                        (size_t)t->layers * k * sizeof *t->experts_of);
    }
}

static void write_all(const char *data, size_t bytes, FILE *out)
{
    for (size_t at = 0; at < bytes; at += PIECE) {
        const size_t now = bytes - at < PIECE ? bytes - at : PIECE;
        fwrite(data + at, 1, now, out);
        moe_bulk_passed(data + at, now);
    }
}

moe_status moe_trace_to_npy(const moe_trace *trace, bool by_token, FILE *out,
                            moe_error *err)
{
    const moe_trace *t = trace;
    const bool tokens = t->kind == MOE_TRACE_TOKENS;
    const uint64_t layers = (uint64_t)t->layers;
    const uint64_t dims[] = {!tokens    ? t->n_seqs
                             : by_token ? t->n_tokens
                                        : layers,
                             !tokens || by_token ? layers : t->n_tokens};
    char header[256];
    int n =
        snprintf(header, sizeof header,
                 "{'descr': '%c%s', 'fortran_order': False, 'shape': (%" PRIu64
                 ", %" PRIu64 ", %d), }",
                 little_endian ? '<' : '>', tokens ? "u2" : "u4", dims[0],
                 dims[1], tokens ? t->top_k : t->experts);
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
    if (tokens && by_token)
        write_by_token(t, out);
    else
        write_all(moe_trace_get(t, which),
                  elements * moe_trace_element_size(which), out);
    if (fflush(out) != 0 || ferror(out))
        return moe_fail(err, MOE_IO, "cannot write .npy: %s", strerror(errno));
    return MOE_OK;
}
