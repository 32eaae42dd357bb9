/* SPDX-License-Identifier: Apache-2.0 */

/* Attention kernels without projections: one new token per sequence over its
 * cached keys and values (GQA), and multi-head latent attention (MLA). */

#include <math.h>
#include <string.h>

#include "silicon_lines.h"

enum { LAUNCH, BANDWIDTH, RATE, HEAD, CACHE, CACHE_BANDWIDTH };

/* What a kernel does. */
typedef struct {
    double bytes; /* of keys and values */
    double flop;
    double heads; /* of all sequences */
} work;

/* Kernels are timed again and again on the same data: what fits the cache is
 * read from there. The bound is sharp, as data that does not fit is evicted
 * before it is read again. */
static double cached_us(const double *p, const work *w)
{
    const double far = 1 / (1 + pow(p[CACHE] / w->bytes, 6));
    const double read_us =
        w->bytes * (far / p[BANDWIDTH] + (1 - far) / p[CACHE_BANDWIDTH]);
    return p[LAUNCH] + p[HEAD] * w->heads +
           moe_silicon_smooth_max(read_us, w->flop / p[RATE]);
}

enum { D_HEADS, D_KV_HEADS, D_DIM, D_BATCH, D_WINDOW, D_KV_LEN };

/* A window begins within a block of 128 cached tokens, which are all read. */
static double decode_us(const double *p, const double *facts,
                        const double *size)
{
    const double tokens = size[D_WINDOW] > 0
                              ? fmin(size[D_KV_LEN], size[D_WINDOW] + 128)
                              : size[D_KV_LEN];
    const double each = 4 * size[D_BATCH] * size[D_DIM] * tokens;
    (void)facts;
    return cached_us(p, &(work){each * size[D_KV_HEADS], each * size[D_HEADS],
                                size[D_BATCH] * size[D_HEADS]});
}

static moe_status decode_check(const double *facts, const double *size,
                               moe_error *err)
{
    (void)facts;
    if (size[D_KV_HEADS] > size[D_HEADS])
        return moe_fail(err, MOE_USAGE, "kv_heads: %g is more than heads, %g",
                        size[D_KV_HEADS], size[D_HEADS]);
    return MOE_OK;
}

/* Few heads over as many keys and values take as long as many: cached tokens
 * decide. */
const moe_line_kind moe_line_decode = {
    .name = "decode_attention",
    .op = MOE_SILICON_DECODE,
    .nearness = {1, 4, 16, 4, 4},
    .octave_error = 0.05,
    .model_us = decode_us,
    .check = decode_check,
};

enum { M_BATCH, M_HEADS, M_KV_LEN };

static void mla_read(const char *const *texts, double *facts_out)
{
    facts_out[0] = strcmp(texts[2], "prefill") == 0;
}

/* Keys of 192 and values of 128 per head in prefill; a latent of 512 and 64 of
 * position, shared by the heads, in decode. Source: DeepSeek-V2, arXiv
 * 2405.04434. */
static double mla_us(const double *p, const double *facts, const double *size)
{
    const double rows = size[M_BATCH] * size[M_KV_LEN], heads = size[M_HEADS];
    work w = {2 * rows * 576, 2 * rows * heads * (576 + 512),
              size[M_BATCH] * heads};
    if (facts[0] > 0) {
        w.bytes = 2 * rows * heads * 2 * (192 + 128);
        w.flop = rows * size[M_KV_LEN] * heads * (192 + 128);
    }
    return cached_us(p, &w);
}

static moe_status mla_check(const double *facts, const double *size,
                            moe_error *err)
{
    (void)facts;
    (void)size;
    (void)err;
    return MOE_OK;
}

const moe_line_kind moe_line_mla = {
    .name = "mla",
    .op = MOE_SILICON_MLA,
    .nearness = {4, 1},
    .octave_error = 0.05,
    .read = mla_read,
    .model_us = mla_us,
    .check = mla_check,
};
