/** ffn_internal.h: what the FFN back ends share. */
#ifndef MOEGPS_ENGINE_FFN_INTERNAL_H
#define MOEGPS_ENGINE_FFN_INTERNAL_H

#include "moegps/ffn.h"

static const uint64_t MOE_EXPERT_MAGIC = UINT64_C(0x6d6f656770733031);

/* Blocked layouts are made of whole blocks: of 16 or 32 rows and up to 64
 * columns in oneDNN 2 and 3. */
enum { MOE_FFN_PAD = 64 };

/** @return room for one matrix, whatever its layout. */
size_t moe_ffn_matrix_bytes(const moe_ffn_shape *shape);

/* ffn_loops.c: loops over n elements of a type. */

/** @return the nearest bf16, ties to even. */
uint16_t moe_ffn_bf16(float x);

/** gate[j] = silu(gate[j]) * up[j]. */
void moe_ffn_swiglu(moe_dtype dtype, void *gate, const void *up, size_t n);

/** x[j] = max(x[j], 0). */
void moe_ffn_relu(moe_dtype dtype, void *x, size_t n);

/** out[j] += gate * row[j]. */
void moe_ffn_add(moe_dtype dtype, float *out, const void *row, float gate,
                 size_t n);

/** out[j] = sum[j], rounded to the type. */
void moe_ffn_round(moe_dtype dtype, void *out, const float *sum, size_t n);

#endif
