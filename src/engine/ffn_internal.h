/* What the FFN back ends share. */
#ifndef MOEGPS_ENGINE_FFN_INTERNAL_H
#define MOEGPS_ENGINE_FFN_INTERNAL_H

#include "moegps/ffn.h"

static const uint64_t MOE_EXPERT_MAGIC = UINT64_C(0x6d6f656770733031);

/** @return matrices of one expert: 3 for SwiGLU, 2 for a linear FFN. */
size_t moe_ffn_matrices(const moe_ffn_shape *shape);

#endif
