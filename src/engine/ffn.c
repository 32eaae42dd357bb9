/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ffn.h"

#include <string.h>

#include <dnnl.h>

#include "ffn_internal.h"
#include "moegps/ctx.h"

size_t moe_ffn_row_bytes(const moe_ffn_shape *shape)
{
    size_t bytes = (size_t)shape->hidden * (size_t)moe_dtype_size(shape->dtype);
    return bytes < sizeof(uint64_t) ? sizeof(uint64_t) : bytes;
}

static size_t matrices(const moe_ffn_shape *shape)
{
    return shape->form == MOE_FFN_SWIGLU ? 3 : 2;
}

static size_t padded(int size)
{
    return ((size_t)size + MOE_FFN_PAD - 1) / MOE_FFN_PAD * MOE_FFN_PAD;
}

size_t moe_ffn_matrix_bytes(const moe_ffn_shape *shape)
{
    return padded(shape->hidden) * padded(shape->inter) *
           (size_t)moe_dtype_size(shape->dtype);
}

size_t moe_ffn_weight_bytes(const moe_ffn_shape *shape)
{
    return sizeof(moe_expert_tag) +
           matrices(shape) * moe_ffn_matrix_bytes(shape);
}

size_t moe_ffn_out_bytes(const moe_ffn_shape *shape)
{
    size_t bytes = (size_t)shape->hidden * sizeof(float);
    return bytes < sizeof(uint64_t) ? sizeof(uint64_t) : bytes;
}

void moe_ffn_tag(void *weights, int layer, int expert)
{
    moe_expert_tag tag = {MOE_EXPERT_MAGIC, layer, expert, {0}};
    memcpy(weights, &tag, sizeof tag);
}

moe_dtype moe_ffn_native_dtype(void)
{
    /* Below this oneDNN emulates bf16, slower than f32. */
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
                   dnnl_cpu_isa_avx512_core_bf16
               ? MOE_DTYPE_BF16
               : MOE_DTYPE_F32;
}

bool moe_ffn_runs(moe_dtype dtype)
{
    return dtype != MOE_DTYPE_BF16 ||
           (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) ==
               dnnl_cpu_isa_avx512_core;
}

bool moe_ffn_level_cpus(MPI_Comm comm)
{
    /* Instruction sets are bit masks: what all have is their intersection. */
    int own = (int)dnnl_get_effective_cpu_isa(), common = own, differ;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &common, 1, MPI_INT, MPI_BAND, comm));
    differ = common != own;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &differ, 1, MPI_INT, MPI_MAX, comm));
    if (differ)
        dnnl_set_max_cpu_isa((dnnl_cpu_isa_t)common);
    return differ != 0;
}
