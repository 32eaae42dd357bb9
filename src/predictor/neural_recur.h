/** neural_recur.h: what runs over a sequence: an LSTM of two layers and
 *  attention to the tokens just before. Rows are [step][sequence].
 */
#ifndef MOEGPS_PREDICTOR_NEURAL_RECUR_H
#define MOEGPS_PREDICTOR_NEURAL_RECUR_H

#include "neural.h"

enum {
    RECUR_LAYERS = 2,
    RECUR_GATES = 4,
    RECUR_STEPS = 128, /* tokens of a chunk */
    RECUR_REACH = 32,  /* tokens that one attends to, itself included */
    RECUR_QKV = 3 * NEURAL_WIDTH
};

/* Array sizes of the LSTM, in oneDNN's plain order. */
enum {
    RECUR_WEIGHTS = RECUR_LAYERS * NEURAL_WIDTH * RECUR_GATES * NEURAL_WIDTH,
    RECUR_BIASES = RECUR_LAYERS * RECUR_GATES * NEURAL_WIDTH
};

/** One array in the layout that a primitive chose. */
typedef struct recur_copy {
    dnnl_memory_t plain, chosen;
    dnnl_primitive_t reorder; /* NULL: chosen is plain */
} recur_copy;

/** The LSTM on `sequences` sequences of RECUR_STEPS. */
typedef struct recur_lstm {
    int64_t sequences;
    dnnl_primitive_t forward, backward;
    dnnl_memory_t x, y, bias, workspace;
    dnnl_memory_t dx, dy, dbias, zero, unused[2];
    recur_copy weights[2]; /* of the input and of the state, forward */
    recur_copy back[2];    /* the same, backward */
    recur_copy diff[2];    /* their gradients */
} recur_lstm;

/** @param train  also make the backward primitive. */
dnnl_status_t recur_lstm_init(recur_lstm *r, const neural_lib *lib,
                              int64_t sequences, bool train);
void recur_lstm_fini(recur_lstm *r);

/** Bring weights into the forward primitive's layout; before any forward and
 *  after every change. */
dnnl_status_t recur_lstm_load(recur_lstm *r, const neural_lib *lib,
                              const float *input, const float *state);
dnnl_status_t recur_lstm_forward(recur_lstm *r, const neural_lib *lib,
                                 const float *x, const float *bias, float *y);
/** Arrays as in forward, from whose call the workspace is.
 *  @param grads  of input weights, state weights, bias; overwritten. */
dnnl_status_t recur_lstm_backward(recur_lstm *r, const neural_lib *lib,
                                  const float *x, const float *const value[3],
                                  const float *y, const float *dy, float *dx,
                                  float *const grads[3]);

/** Let each row attend to itself and the RECUR_REACH - 1 before it.
 *  @param qkv     [steps][sequences][RECUR_QKV] queries, keys, values
 *  @param weight  [steps][sequences][RECUR_REACH], filled; 0: itself
 *  @param out     [steps][sequences][NEURAL_WIDTH], added to. */
void recur_attend(int64_t sequences, const float *qkv, float *weight,
                  float *out);
/** @param dqkv  overwritten. */
void recur_attend_back(int64_t sequences, const float *qkv, const float *weight,
                       const float *dout, float *dqkv);

/* ---- neural_trunk.c ---- */

/* Arrays of the network, in this order. */
enum {
    TRUNK_EMBEDDING,
    TRUNK_INPUT,
    TRUNK_STATE,
    TRUNK_BIAS,
    TRUNK_QKV,
    TRUNK_QKV_BIAS,
    TRUNK_HEAD,
    TRUNK_HEAD_BIAS,
    TRUNK_ARRAYS
};

/** All below the heads, and what it leaves; [step][sequence] rows. */
typedef struct recur_trunk {
    int64_t sequences;
    size_t rows;
    recur_lstm lstm;
    neural_dense qkv;
    float *x;         /* [rows][width] embeddings */
    float *h;         /* [rows][width] of the LSTM */
    float *projected; /* [rows][RECUR_QKV] */
    float *weight;    /* [rows][RECUR_REACH] */
    float *sum;       /* [rows][width] h + x + what was attended to */
} recur_trunk;

int recur_declare(const moe_learned_shape *heads, uint32_t vocab,
                  neural_row *rows);

moe_status recur_trunk_init(recur_trunk *t, const neural_lib *lib,
                            int64_t sequences, bool train, moe_error *err);
void recur_trunk_fini(recur_trunk *t);

/** From x to sum; weights as loaded into t->lstm.
 *  @param value  [TRUNK_ARRAYS] */
dnnl_status_t recur_trunk_run(recur_trunk *t, const neural_lib *lib,
                              const float *const *value);

/* Sequences are predicted in chunks of RECUR_STEPS tokens, each RECUR_STRIDE
 * after the one before. The first foretells all its tokens, the others only
 * the last RECUR_STRIDE: so every token knows the RECUR_STEPS - RECUR_STRIDE
 * before it, whoever asks, and no sequence is too long. */
enum { RECUR_STRIDE = 64 };

/** @return the chunk that foretells token `place` of a sequence. */
static inline uint64_t recur_chunk_of(uint64_t place)
{
    return place < RECUR_STEPS ? 0 : place / RECUR_STRIDE - 1;
}

extern const neural_kind neural_lstm;

#endif
