/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <string.h>

enum { MOST_PAST = 64 }; /* far above what planners ask for */

enum { TURNS = 8 };

moe_forecast moe_forecast_of_load(const void *params)
{
    (void)params;
    return MOE_FORECAST_LOAD;
}

moe_forecast moe_forecast_of_tokens(const void *params)
{
    (void)params;
    return MOE_FORECAST_TOKENS;
}

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
    /* Popular experts are counted again and again: by turns, so that an
     * increment need not wait for the one before. */
    uint32_t count[TURNS][MOE_MAX_EXPERTS];
    const size_t n_e = (size_t)batch->experts;
    const size_t pairs = (size_t)batch->own * (size_t)batch->top_k;
    for (int turn = 0; turn < TURNS; turn++)
        memset(count[turn], 0, n_e * sizeof count[turn][0]);
    size_t p = 0;
    for (; p + TURNS <= pairs; p += TURNS)
        for (size_t turn = 0; turn < TURNS; turn++)
            count[turn][tokens[p + turn]]++;
    for (; p < pairs; p++)
        count[0][tokens[p]]++;
    for (size_t e = 0; e < n_e; e++) {
        uint64_t sum = 0;
        for (int turn = 0; turn < TURNS; turn++)
            sum += count[turn][e];
        load_out[e] = sum * (uint64_t)MOE_LOAD_ONE;
    }
}

void moe_predictor_load(const moe_predictor *predictor, moe_forecast forecast,
                        void *state, const moe_batch *batch, int layer,
                        const moe_predicted *out)
{
    if (forecast == MOE_FORECAST_TOKENS) {
        predictor->tokens(state, batch, layer, out->tokens);
        if (predictor->expect == NULL ||
            !predictor->expect(state, batch, layer, out->load))
            load_from_tokens(out->tokens, batch, out->load);
    } else {
        predictor->load(state, batch, layer, out->share);
        load_from_share(out->share, batch, out->load);
    }
}

int moe_predictor_past(const moe_predictor *predictor, const void *state,
                       int layer, const moe_past_room *room)
{
    const int64_t *pairs[MOST_PAST];
    const size_t n_e = (size_t)room->experts;
    if (predictor->past == NULL)
        return 0;
    const int most = room->most < MOST_PAST ? room->most : MOST_PAST;
    const int n = predictor->past(state, layer, most, pairs);
    for (int i = 0; i < n; i++) {
        double *row = room->load + (size_t)i * n_e;
        for (size_t e = 0; e < n_e; e++)
            row[e] = (double)pairs[i][e];
        room->row[i] = row;
    }
    return n;
}
