/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

int moe_recur_declare(const moe_learned_shape *heads, uint32_t vocab,
                      moe_neural_row *rows)
{
    /* The two layers and their gates (input, forget, cell, output) in
     * oneDNN's plain order; variance 1 / fan-in. */
    const moe_neural_row trunk[] = {
        {{"embedding", 2, {"token", "feature"}, {vocab + 1, MOE_NEURAL_WIDTH}},
         0.1},
        {{"weight_input",
          3,
          {"lstm_layer", "feature", "gate_unit"},
          {MOE_RECUR_LAYERS, MOE_NEURAL_WIDTH,
           MOE_RECUR_GATES * MOE_NEURAL_WIDTH}},
         0.125},
        {{"weight_state",
          3,
          {"lstm_layer", "feature", "gate_unit"},
          {MOE_RECUR_LAYERS, MOE_NEURAL_WIDTH,
           MOE_RECUR_GATES * MOE_NEURAL_WIDTH}},
         0.125},
        {{"bias_lstm",
          2,
          {"lstm_layer", "gate_unit"},
          {MOE_RECUR_LAYERS, MOE_RECUR_GATES * MOE_NEURAL_WIDTH}},
         0},
        {{"weight_attention",
          2,
          {"query_key_value", "feature"},
          {MOE_RECUR_QKV, MOE_NEURAL_WIDTH}},
         0.125},
        {{"bias_attention", 1, {"query_key_value"}, {MOE_RECUR_QKV}}, 0}};
    memcpy(rows, trunk, sizeof trunk);
    return MOE_TRUNK_HEAD +
           moe_neural_declare_heads(heads, rows + MOE_TRUNK_HEAD);
}

moe_status moe_recur_trunk_init(moe_recur_trunk *t, const moe_neural_lib *lib,
                                int64_t sequences, bool train, moe_error *err)
{
    const size_t rows = MOE_RECUR_STEPS * (size_t)sequences;
    *t = (moe_recur_trunk){.sequences = sequences, .rows = rows};
    t->x = moe_array_new(rows * MOE_NEURAL_WIDTH, sizeof(float), err);
    t->h = moe_array_new(rows * MOE_NEURAL_WIDTH, sizeof(float), err);
    t->projected = moe_array_new(rows * MOE_RECUR_QKV, sizeof(float), err);
    t->weight = moe_array_new(rows * MOE_RECUR_REACH, sizeof(float), err);
    t->sum = moe_array_new(rows * MOE_NEURAL_WIDTH, sizeof(float), err);
    if (err->status != MOE_OK)
        return err->status;
    dnnl_status_t rc = moe_recur_lstm_init(&t->lstm, lib, sequences, train);
    if (moe_neural_fail(rc, "LSTM", err) != MOE_OK)
        return err->status;
    rc = moe_neural_dense_init(&t->qkv, lib, (int64_t)rows, MOE_NEURAL_WIDTH,
                               MOE_RECUR_QKV);
    return moe_neural_fail(rc, "inner product", err);
}

void moe_recur_trunk_fini(moe_recur_trunk *t)
{
    moe_recur_lstm_fini(&t->lstm);
    moe_neural_dense_fini(&t->qkv);
    free(t->x);
    free(t->h);
    free(t->projected);
    free(t->weight);
    free(t->sum);
}

dnnl_status_t moe_recur_trunk_run(moe_recur_trunk *t, const moe_neural_lib *lib,
                                  const float *const *value)
{
    dnnl_status_t rc = moe_recur_lstm_forward(&t->lstm, lib, t->x,
                                              value[MOE_TRUNK_BIAS], t->h);
    rc = rc ? rc
            : moe_neural_dense_forward(&t->qkv, lib, t->h, value[MOE_TRUNK_QKV],
                                       value[MOE_TRUNK_QKV_BIAS], t->projected);
    for (size_t i = 0; i < t->rows * MOE_NEURAL_WIDTH; i++)
        t->sum[i] = t->h[i] + t->x[i];
    moe_recur_attend(t->sequences, t->projected, t->weight, t->sum);
    return rc;
}
