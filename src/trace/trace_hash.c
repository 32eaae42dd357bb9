/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "internal.h"
#include "moegps/bulk.h"

enum { HASH_VERSION = 1, SWAP_BYTES = 4096, PIECE = 1 << 18 };

static const bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

/* Feed elements of `size` bytes as little-endian. */
static bool feed(EVP_MD_CTX *md, const void *data, size_t n, size_t size)
{
    const unsigned char *from = data;
    unsigned char swapped[SWAP_BYTES];
    bool ok = true;
    while (n > 0 && ok && (little_endian || size == 1)) {
        const size_t now = n < PIECE ? n : PIECE;
        ok = EVP_DigestUpdate(md, from, now * size) == 1;
        moe_bulk_passed(from, now * size);
        from += now * size;
        n -= now;
    }
    while (n > 0 && ok) {
        size_t now = n < SWAP_BYTES / size ? n : SWAP_BYTES / size;
        for (size_t j = 0; j < now * size; j++)
            swapped[j] = from[j - j % size + size - 1 - j % size];
        ok = EVP_DigestUpdate(md, swapped, now * size) == 1;
        from += now * size;
        n -= now;
    }
    return ok;
}

static bool feed_trace(EVP_MD_CTX *md, const moe_trace *t)
{
    static const moe_trace_array order[] = {
        MOE_ARRAY_SEQ_OFFSET, MOE_ARRAY_SEQ_PART, MOE_ARRAY_EXPERTS_OF,
        MOE_ARRAY_TOKEN_ID,   MOE_ARRAY_POSITION, MOE_ARRAY_GATE,
        MOE_ARRAY_COUNTS};
    const uint64_t head[] = {
        HASH_VERSION,         (uint64_t)t->kind,  (uint64_t)t->layers,
        (uint64_t)t->experts, (uint64_t)t->top_k, t->ordered,
        t->n_tokens,          t->n_seqs,          t->vocab_size,
        t->has_position,      t->has_gate};
    bool ok = feed(md, head, sizeof head / sizeof head[0], sizeof head[0]);
    for (size_t j = 0; ok && j < sizeof order / sizeof order[0]; j++) {
        size_t n = 0;
        ok = moe_trace_elements(t, order[j], &n);
        if (ok && n > 0)
            ok = feed(md, moe_trace_get(t, order[j]), n,
                      moe_trace_element_size(order[j]));
    }
    return ok;
}

moe_status moe_trace_hash(const moe_trace *trace, char *hex_out, moe_error *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              feed_trace(md, trace) &&
              EVP_DigestFinal_ex(md, digest, &len) == 1;
    EVP_MD_CTX_free(md);
    if (!ok)
        return moe_fail(err, MOE_LIBRARY, "SHA-256: libcrypto failed");
    for (unsigned b = 0; b < len; b++)
        snprintf(hex_out + 2 * (size_t)b, 3, "%02x", digest[b]);
    return MOE_OK;
}
