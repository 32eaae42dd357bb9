/* SPDX-License-Identifier: Apache-2.0 */

/* Fused MoE kernels of the slowest rank of a wide EP group. */

#include <math.h>
#include <string.h>

#include "silicon_lines.h"

enum { LAUNCH, BANDWIDTH, RATE, SKEW, EXPERT, PAD };
enum { HIDDEN, INTER, TOP_K, EXPERTS, SLOTS, EP, EPLB, TOKENS };

/* Bytes of a weight; nvfp4 has a scale of one byte per 16. */
static void read(const char *const *texts, double *facts_out)
{
    facts_out[0] = strcmp(texts[2], "bfloat16") == 0 ? 2
                   : strcmp(texts[2], "nvfp4") == 0  ? 0.5625
                                                     : 1;
}

/* Without replicas the slowest rank has ep^skew times the mean. */
static double model_us(const double *p, const double *facts, const double *size)
{
    const double local = size[SLOTS] / size[EP];
    double pairs = size[TOKENS] * size[TOP_K] / size[EP];
    if (!(size[EPLB] > 0))
        pairs *= pow(size[EP], p[SKEW]);
    pairs = fmin(pairs, size[TOKENS] * fmin(size[TOP_K], local));
    const double active = fmax(-local * expm1(-pairs / local), fmin(1, local));
    const double weights = 3 * size[HIDDEN] * size[INTER];
    return p[LAUNCH] +
           active * (p[EXPERT] +
                     moe_silicon_smooth_max(
                         weights * facts[0] / p[BANDWIDTH],
                         2 * weights * (pairs / active + p[PAD]) / p[RATE]));
}

static moe_status check(const double *facts, const double *size, moe_error *err)
{
    (void)facts;
    if (size[TOP_K] > size[EXPERTS] || size[SLOTS] < size[EXPERTS] ||
        size[EP] > size[SLOTS])
        return moe_fail(err, MOE_USAGE,
                        "no kernel has top_k %g of %g experts in %g slots on "
                        "%g ranks",
                        size[TOP_K], size[EXPERTS], size[SLOTS], size[EP]);
    if (size[EPLB] > 1 || (!(size[EPLB] > 0) && size[SLOTS] > size[EXPERTS]))
        return moe_fail(err, MOE_USAGE,
                        "eplb: %g with %g slots for %g experts (allowed: 1, or "
                        "0 without replicas)",
                        size[EPLB], size[SLOTS], size[EXPERTS]);
    return MOE_OK;
}

const moe_line_kind moe_line_wide = {
    .name = "wide_ep_moe",
    .op = MOE_SILICON_WIDE,
    .nearness = {1, 1, 1, 1, 4, 4, 64},
    .octave_error = 0.15,
    .read = read,
    .model_us = model_us,
    .check = check,
};
