/* SPDX-License-Identifier: Apache-2.0 */
#include "neural_recur.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

int recur_declare(const moe_learned_shape *heads, uint32_t vocab,
                  neural_row *rows)
{
    /* The two layers and their gates (input, forget, cell, output) in
     * oneDNN's plain order; variance 1 / fan-in. */
    const neural_row trunk[] = {
        {{"embedding", 2, {"token", "feature"}, {vocab + 1, NEURAL_WIDTH}},
         0.1},
        {{"weight_input",
          3,
          {"lstm_layer", "feature", "gate_unit"},
          {RECUR_LAYERS, NEURAL_WIDTH, RECUR_GATES * NEURAL_WIDTH}},
         0.125},
        {{"weight_state",
          3,
          {"lstm_layer", "feature", "gate_unit"},
          {RECUR_LAYERS, NEURAL_WIDTH, RECUR_GATES * NEURAL_WIDTH}},
         0.125},
        {{"bias_lstm",
          2,
          {"lstm_layer", "gate_unit"},
          {RECUR_LAYERS, RECUR_GATES * NEURAL_WIDTH}},
         0},
        {{"weight_attention",
          2,
          {"query_key_value", "feature"},
          {RECUR_QKV, NEURAL_WIDTH}},
         0.125},
        {{"bias_attention", 1, {"query_key_value"}, {RECUR_QKV}}, 0}};
    memcpy(rows, trunk, sizeof trunk);
    return TRUNK_HEAD + neural_declare_heads(heads, rows + TRUNK_HEAD);
}

moe_status recur_trunk_init(recur_trunk *t, const neural_lib *lib,
                            int64_t sequences, bool train, moe_error *err)
{
    const size_t rows = RECUR_STEPS * (size_t)sequences;
    *t = (recur_trunk){.sequences = sequences, .rows = rows};
    t->x = moe_array_new(rows * NEURAL_WIDTH, sizeof(float), err);
    t->h = moe_array_new(rows * NEURAL_WIDTH, sizeof(float), err);
    t->projected = moe_array_new(rows * RECUR_QKV, sizeof(float), err);
    t->weight = moe_array_new(rows * RECUR_REACH, sizeof(float), err);
    t->sum = moe_array_new(rows * NEURAL_WIDTH, sizeof(float), err);
    if (err->status != MOE_OK)
        return err->status;
    dnnl_status_t rc = recur_lstm_init(&t->lstm, lib, sequences, train);
    if (neural_fail(rc, "LSTM", err) != MOE_OK)
        return err->status;
    rc =
        neural_dense_init(&t->qkv, lib, (int64_t)rows, NEURAL_WIDTH, RECUR_QKV);
    return neural_fail(rc, "inner product", err);
}

void recur_trunk_fini(recur_trunk *t)
{
    recur_lstm_fini(&t->lstm);
    neural_dense_fini(&t->qkv);
    free(t->x);
    free(t->h);
    free(t->projected);
    free(t->weight);
    free(t->sum);
}

dnnl_status_t recur_trunk_run(recur_trunk *t, const neural_lib *lib,
                              const float *const *value)
{
    dnnl_status_t rc =
        recur_lstm_forward(&t->lstm, lib, t->x, value[TRUNK_BIAS], t->h);
    rc = rc ? rc
            : neural_dense_forward(&t->qkv, lib, t->h, value[TRUNK_QKV],
                                   value[TRUNK_QKV_BIAS], t->projected);
    for (size_t i = 0; i < t->rows * NEURAL_WIDTH; i++)
        t->sum[i] = t->h[i] + t->x[i];
    recur_attend(t->sequences, t->projected, t->weight, t->sum);
    return rc;
}
