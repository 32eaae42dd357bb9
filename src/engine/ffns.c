/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ffn.h"

#include "moegps/registry.h"

#define X(name) extern const moe_ffn moe_ffn_##name;
#include "ffn_members.h"
#undef X

static const moe_ffn *const members[] = {
#define X(name) &moe_ffn_##name,
#include "ffn_members.h"
#undef X
};

MOE_REGISTRY(moe_ffn)
