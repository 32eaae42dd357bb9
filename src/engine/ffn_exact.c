/* SPDX-License-Identifier: Apache-2.0 */
#include "ffn_internal.h"

#include <inttypes.h>
#include <string.h>

/* Proof of routing. A row carries its token's number; the expert replaces it
 * by a 64-bit mix of (token, expert, layer), reading who it is from the tag
 * of the weights that sit in its slot; the home sums the k results modulo
 * 2^64. Any pair lost, doubled, sent to another expert or brought home to
 * another token changes the sum, except with a chance of 2^-64. */

typedef struct {
    size_t row_bytes, out_bytes;
} exact_state;

static moe_status init(void *state, const moe_ffn_shape *shape, moe_error *err)
{
    (void)err;
    *(exact_state *)state =
        (exact_state){moe_ffn_row_bytes(shape), moe_ffn_out_bytes(shape)};
    return MOE_OK;
}

/* Finaliser of splitmix64 (Steele et al., OOPSLA'14), applied in turn. */
static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t expert_of(uint64_t token, int expert, int layer)
{
    return mix(token ^ mix((uint64_t)(uint32_t)expert << 32 | (uint32_t)layer));
}

static void fill_weights(void *state, int layer, int expert, void *weights)
{
    (void)state, (void)layer, (void)expert, (void)weights;
}

static void fill_rows(void *state, const moe_batch *batch, void *rows_out)
{
    const exact_state *s = state;
    memset(rows_out, 0, s->row_bytes * batch->own);
    for (uint32_t t = 0; t < batch->own; t++)
        memcpy((char *)rows_out + t * s->row_bytes, &batch->id[t],
               sizeof batch->id[t]);
}

static moe_status run(void *state, const moe_ffn_input *input, moe_error *err)
{
    const exact_state *s = state;
    char *row = input->data;
    for (int k = 0; k < input->slots; k++) {
        moe_expert_tag tag = {0};
        if (input->rows[k] > 0)
            memcpy(&tag, input->weights[k], sizeof tag);
        if (input->rows[k] > 0 && tag.magic != MOE_EXPERT_MAGIC)
            return moe_fail(err, MOE_INVALID,
                            "exact check: slot %d got rows but holds no "
                            "expert",
                            k);
        for (uint32_t r = 0; r < input->rows[k]; r++, row += s->row_bytes) {
            uint64_t token = 0;
            memcpy(&token, row, sizeof token);
            uint64_t result = expert_of(token, tag.expert, tag.layer);
            memcpy(row, &result, sizeof result);
        }
    }
    return MOE_OK;
}

/* Weights are left out: a sum of integers does not depend on how it is
 * grouped. */
static void add_up(const exact_state *s, const moe_ffn_sums *sums,
                   const char *rows, char *out, size_t out_bytes)
{
    for (size_t i = 0; i < sums->n; i++, out += out_bytes) {
        const size_t end = moe_ffn_sums_first(sums, i + 1);
        uint64_t sum = 0;
        for (size_t j = moe_ffn_sums_first(sums, i); j < end; j++) {
            uint64_t result = 0;
            memcpy(&result, rows + sums->row[j] * s->row_bytes, sizeof result);
            sum += result;
        }
        memcpy(out, &sum, sizeof sum);
    }
}

static void combine(void *state, const moe_ffn_sums *sums, const void *rows,
                    void *out)
{
    const exact_state *s = state;
    add_up(s, sums, rows, out, s->out_bytes);
}

static void reduce(void *state, const moe_ffn_sums *sums, const void *rows,
                   void *rows_out)
{
    const exact_state *s = state;
    add_up(s, sums, rows, rows_out, s->row_bytes);
}

static moe_status check(void *state, const moe_batch *batch, int layer,
                        const void *out, moe_error *err)
{
    const exact_state *s = state;
    const size_t k = (size_t)batch->top_k;
    const uint16_t *experts =
        batch->experts_of + (size_t)layer * batch->own * k;
    for (uint32_t t = 0; t < batch->own; t++) {
        uint64_t expected = 0, found = 0;
        for (size_t j = 0; j < k; j++)
            expected += expert_of(batch->id[t], experts[t * k + j], layer);
        memcpy(&found, (const char *)out + t * s->out_bytes, sizeof found);
        if (found != expected)
            return moe_fail(err, MOE_INVALID,
                            "exact check: token %" PRIu64
                            " of iteration %" PRIu64
                            " did not meet its experts in layer %d",
                            batch->first + t, batch->iteration, layer);
    }
    return MOE_OK;
}

const moe_ffn moe_ffn_exact = {
    .name = "exact",
    .help = "an integer function of token, expert and layer: proves routing",
    .state_size = sizeof(exact_state),
    .init = init,
    .fill_weights = fill_weights,
    .fill_rows = fill_rows,
    .run = run,
    .combine = combine,
    .reduce = reduce,
    .check = check,
};
