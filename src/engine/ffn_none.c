/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ffn.h"

#include <string.h>

/* The do-nothing member: rows travel, nothing is computed. So does the paced
 * one, beside which the engine lets the rank wait (paced.c). */

typedef struct {
    size_t row_bytes;
} none_state;

static moe_status init(void *state, const moe_ffn_shape *shape, moe_error *err)
{
    (void)err;
    ((none_state *)state)->row_bytes = moe_ffn_row_bytes(shape);
    return MOE_OK;
}

static void fill_weights(void *state, int layer, int expert, void *weights)
{
    (void)state, (void)layer, (void)expert, (void)weights;
}

static void fill_rows(void *state, const moe_batch *batch, void *rows_out)
{
    memset(rows_out, 0, ((const none_state *)state)->row_bytes * batch->own);
}

static moe_status run(void *state, const moe_ffn_input *input, moe_error *err)
{
    (void)state, (void)input, (void)err;
    return MOE_OK;
}

static void combine(void *state, const moe_ffn_sums *sums, const void *rows,
                    void *out)
{
    (void)state, (void)sums, (void)rows, (void)out;
}

const moe_ffn moe_ffn_none = {
    .name = "none",
    .help = "rows travel but nothing is computed: the harness alone",
    .state_size = sizeof(none_state),
    .init = init,
    .fill_weights = fill_weights,
    .fill_rows = fill_rows,
    .run = run,
    .combine = combine,
    .reduce = combine,
};

const moe_ffn moe_ffn_paced = {
    .name = "paced",
    .help = "rows travel, and the rank waits as long as its GPU would compute",
    .state_size = sizeof(none_state),
    .paced = true,
    .init = init,
    .fill_weights = fill_weights,
    .fill_rows = fill_rows,
    .run = run,
    .combine = combine,
};
