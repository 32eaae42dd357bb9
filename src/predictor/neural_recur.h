/** neural_recur.h: what runs over a sequence: an LSTM of two layers and
 *  attention to the tokens just before. Rows are [step][sequence].
 */
#ifndef MOEGPS_PREDICTOR_NEURAL_RECUR_H
#define MOEGPS_PREDICTOR_NEURAL_RECUR_H

#include "neural.h"

enum {
    MOE_RECUR_LAYERS = 2,
    MOE_RECUR_GATES = 4,
    MOE_RECUR_STEPS = 128, /* tokens of a chunk */
    MOE_RECUR_REACH = 32,  /* tokens that one attends to, itself included */
    MOE_RECUR_QKV = 3 * MOE_NEURAL_WIDTH
};

/* Array sizes of the LSTM, in oneDNN's plain order. */
enum {
    MOE_RECUR_WEIGHTS = MOE_RECUR_LAYERS * MOE_NEURAL_WIDTH * MOE_RECUR_GATES *
                        MOE_NEURAL_WIDTH,
    MOE_RECUR_BIASES = MOE_RECUR_LAYERS * MOE_RECUR_GATES * MOE_NEURAL_WIDTH
};

/** One array in the layout that a primitive chose. */
typedef struct moe_recur_copy {
    dnnl_memory_t plain, chosen;
    dnnl_primitive_t reorder; /* NULL: chosen is plain */
} moe_recur_copy;

/** The LSTM on `sequences` sequences of MOE_RECUR_STEPS. */
typedef struct moe_recur_lstm {
    int64_t sequences;
    dnnl_primitive_t forward, backward;
    dnnl_memory_t x, y, bias, workspace;
    dnnl_memory_t dx, dy, dbias, zero, unused[2];
    moe_recur_copy weights[2]; /* of the input and of the state, forward */
    moe_recur_copy back[2];    /* the same, backward */
    moe_recur_copy diff[2];    /* their gradients */
} moe_recur_lstm;

/** @param train  also make the backward primitive. */
dnnl_status_t moe_recur_lstm_init(moe_recur_lstm *r, const moe_neural_lib *lib,
                                  int64_t sequences, bool train);
void moe_recur_lstm_fini(moe_recur_lstm *r);

/** Bring weights into the forward primitive's layout; before any forward and
 *  after every change. */
dnnl_status_t moe_recur_lstm_load(moe_recur_lstm *r, const moe_neural_lib *lib,
                                  const float *input, const float *state);
dnnl_status_t moe_recur_lstm_forward(moe_recur_lstm *r,
                                     const moe_neural_lib *lib, const float *x,
                                     const float *bias, float *y);
/** After a forward, whose input, output and workspace it uses.
 *  @param of  [3] input weights, state weights, bias; their gradients are
 *             overwritten. */
dnnl_status_t moe_recur_lstm_backward(moe_recur_lstm *r,
                                      const moe_neural_lib *lib,
                                      const moe_neural_array *of,
                                      const float *dy, float *dx);

/** Let each row attend to itself and the MOE_RECUR_REACH - 1 before it.
 *  @param qkv     [steps][sequences][MOE_RECUR_QKV] queries, keys, values
 *  @param weight  [steps][sequences][MOE_RECUR_REACH], filled; 0: itself
 *  @param out     [steps][sequences][MOE_NEURAL_WIDTH], added to. */
void moe_recur_attend(int64_t sequences, const float *qkv, float *weight,
                      float *out);
/** @param dqkv  overwritten. */
void moe_recur_attend_back(int64_t sequences, const float *qkv,
                           const float *weight, const float *dout, float *dqkv);

/* ---- neural_trunk.c ---- */

/* Arrays of the network, in this order: a bias follows its weights. */
enum {
    MOE_TRUNK_EMBEDDING,
    MOE_TRUNK_INPUT,
    MOE_TRUNK_STATE,
    MOE_TRUNK_BIAS,
    MOE_TRUNK_QKV,
    MOE_TRUNK_QKV_BIAS,
    MOE_TRUNK_HEAD,
    MOE_TRUNK_HEAD_BIAS,
    MOE_TRUNK_ARRAYS
};

/** All below the heads, and what it leaves; [step][sequence] rows. */
typedef struct moe_recur_trunk {
    int64_t sequences;
    size_t rows;
    moe_recur_lstm lstm;
    moe_neural_dense qkv;
    float *x;         /* [rows][width] embeddings */
    float *h;         /* [rows][width] of the LSTM */
    float *projected; /* [rows][MOE_RECUR_QKV] */
    float *weight;    /* [rows][MOE_RECUR_REACH] */
    float *sum;       /* [rows][width] h + x + what was attended to */
} moe_recur_trunk;

int moe_recur_declare(const moe_learned_shape *heads, uint32_t vocab,
                      moe_neural_row *rows);

moe_status moe_recur_trunk_init(moe_recur_trunk *t, const moe_neural_lib *lib,
                                int64_t sequences, bool train, moe_error *err);
void moe_recur_trunk_fini(moe_recur_trunk *t);

/** From x to sum; weights as loaded into t->lstm.
 *  @param value  [MOE_TRUNK_ARRAYS] */
dnnl_status_t moe_recur_trunk_run(moe_recur_trunk *t, const moe_neural_lib *lib,
                                  const float *const *value);

/* Sequences are predicted in chunks of MOE_RECUR_STEPS tokens, each RECUR_STRIDE
 * after the one before. The first foretells all its tokens, the others only
 * the last RECUR_STRIDE: so every token knows the MOE_RECUR_STEPS - RECUR_STRIDE
 * before it, whoever asks, and no sequence is too long. */
enum { RECUR_STRIDE = 64 };

/** @return the chunk that foretells token `place` of a sequence. */
static inline uint64_t recur_chunk_of(uint64_t place)
{
    return place < MOE_RECUR_STEPS ? 0 : place / RECUR_STRIDE - 1;
}

#endif
