/* SPDX-License-Identifier: Apache-2.0 */
#include "ffn_internal.h"

#include <string.h>

#include "moegps/wide.h"

/* Loops over elements, written so that they vectorise with exact semantics:
 * comparisons of floats do not (they may trap), those of their bits do. */

static inline uint32_t to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t to_bf16(float x)
{
    uint32_t bits = to_bits(x);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline float from_bf16(uint16_t x)
{
    return from_bits((uint32_t)x << 16);
}

uint16_t moe_ffn_bf16(float x)
{
    return to_bf16(x);
}

/* silu(x) = x / (1 + e^-x), with e^-x = 2^y by range reduction and a
 * polynomial of degree 6 (relative error 2e-7). */
static inline float silu(float x)
{
    const float round = 0x1.8p23f; /* adding it leaves whole numbers only */
    uint32_t y_bits = to_bits(-x * 1.44269504f);            /* log2 e */
    uint32_t size = y_bits & 0x7fffffff, most = 0x42fc0000; /* 126.0f */
    size = size < most ? size : most;
    float y = from_bits((y_bits & 0x80000000) | size);
    float shifted = y + round;
    float f = (y - (shifted - round)) * 0.693147181f; /* ln 2; |f| <= 0.35 */
    float e =
        1.0f +
        f * (1.0f +
             f * (0.5f + f * (0.166666667f +
                              f * (0.0416666667f + f * (0.00833333333f +
                                                        f * 0.00138888889f)))));
    /* The low bits of `shifted` are the whole number; 2^n is n + 127 in the
     * place of the exponent. */
    float power = from_bits((to_bits(shifted) + 127) << 23);
    return x / (1.0f + e * power);
}

MOE_WIDE static void swiglu_bf16(uint16_t *restrict gate,
                                 const uint16_t *restrict up, size_t n)
{
    for (size_t j = 0; j < n; j++)
        gate[j] = to_bf16(silu(from_bf16(gate[j])) * from_bf16(up[j]));
}

MOE_WIDE static void swiglu_f32(float *restrict gate, const float *restrict up,
                                size_t n)
{
    for (size_t j = 0; j < n; j++)
        gate[j] = silu(gate[j]) * up[j];
}

void moe_ffn_swiglu(moe_dtype dtype, void *gate, const void *up, size_t n)
{
    if (dtype == MOE_DTYPE_BF16)
        swiglu_bf16(gate, up, n);
    else
        swiglu_f32(gate, up, n);
}

MOE_WIDE static void relu_bf16(uint16_t *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        x[j] = (x[j] & 0x8000) ? 0 : x[j];
}

MOE_WIDE static void relu_f32(float *x, size_t n)
{
    for (size_t j = 0; j < n; j++)
        x[j] = from_bits((to_bits(x[j]) >> 31) ? 0 : to_bits(x[j]));
}

void moe_ffn_relu(moe_dtype dtype, void *x, size_t n)
{
    if (dtype == MOE_DTYPE_BF16)
        relu_bf16(x, n);
    else
        relu_f32(x, n);
}

MOE_WIDE static void add_bf16(float *restrict out, const uint16_t *restrict row,
                              float gate, size_t n)
{
    for (size_t j = 0; j < n; j++)
        out[j] += gate * from_bf16(row[j]);
}

MOE_WIDE static void add_f32(float *restrict out, const float *restrict row,
                             float gate, size_t n)
{
    for (size_t j = 0; j < n; j++)
        out[j] += gate * row[j];
}

void moe_ffn_add(moe_dtype dtype, float *out, const void *row, float gate,
                 size_t n)
{
    if (dtype == MOE_DTYPE_BF16)
        add_bf16(out, row, gate, n);
    else
        add_f32(out, row, gate, n);
}

MOE_WIDE static void round_bf16(uint16_t *restrict out,
                                const float *restrict sum, size_t n)
{
    for (size_t j = 0; j < n; j++)
        out[j] = to_bf16(sum[j]);
}

void moe_ffn_round(moe_dtype dtype, void *out, const float *sum, size_t n)
{
    if (dtype == MOE_DTYPE_BF16)
        round_bf16(out, sum, n);
    else
        memcpy(out, sum, n * sizeof *sum);
}
