/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

#include <math.h>

#include "moegps/registry.h"

#define X(name) extern const moe_predictor moe_predictor_##name;
#include "members.h"
#undef X

static const moe_predictor *const members[] = {
#define X(name) &moe_predictor_##name,
#include "members.h"
#undef X
};

MOE_REGISTRY(moe_predictor)

/* A share is rounded per token, not per rank, so that the sum over ranks
 * depends on the batch's size alone. */
static void load_from_share(const double *share, const moe_batch *batch,
                            uint64_t *load_out)
{
    for (int e = 0; e < batch->experts; e++)
        load_out[e] =
            (uint64_t)llround(share[e] * batch->top_k * MOE_LOAD_ONE) *
            batch->own;
}

static void load_from_tokens(const uint16_t *tokens, const moe_batch *batch,
                             uint64_t *load_out)
{
    memset(load_out, 0, (size_t)batch->experts * sizeof *load_out);
    const size_t pairs = (size_t)batch->own * (size_t)batch->top_k;
    for (size_t p = 0; p < pairs; p++)
        load_out[tokens[p]]++;
    for (int e = 0; e < batch->experts; e++)
        load_out[e] *= (uint64_t)MOE_LOAD_ONE;
}

void moe_predictor_load(const moe_predictor *predictor, moe_forecast forecast,
                        void *state, const moe_batch *batch, int layer,
                        uint16_t *tokens_out, double *share, uint64_t *load_out)
{
    if (forecast == MOE_FORECAST_TOKENS) {
        predictor->tokens(state, batch, layer, tokens_out);
        if (predictor->expect == NULL ||
            !predictor->expect(state, batch, layer, load_out))
            load_from_tokens(tokens_out, batch, load_out);
    } else {
        predictor->load(state, batch, layer, share);
        load_from_share(share, batch, load_out);
    }
}
