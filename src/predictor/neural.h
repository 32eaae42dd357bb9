/** neural.h: what the trained predictors of this folder share.
 *
 *  A network is a table of named arrays and one function that runs a batch
 *  forward and, in training, backward. Products and recurrences are oneDNN
 *  primitives of fixed shapes; the rest are loops. Training is exact in the
 *  seed for a machine and a number of threads; prediction does not depend on
 *  either, nor on which rows share a batch.
 */
#ifndef MOEGPS_PREDICTOR_NEURAL_H
#define MOEGPS_PREDICTOR_NEURAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dnnl.h>

#include "internal.h"
#include "scorer.h"
#include "token_logs.h"
#include "walk.h"

enum {
    MOE_NEURAL_ARRAYS = 16,     /* most arrays of a network */
    MOE_NEURAL_HEAD_ARRAYS = 3, /* the last ones: of its heads */
    MOE_NEURAL_WIDTH = 64,      /* of embeddings, and of what heads read */
    /* Rows of a block in prediction. oneDNN adds up rows that fill no whole tile
     * of its kernel (4, 6 or 8 rows, by CPU) in another order: a token's scores
     * would depend on where in a block it stands. */
    MOE_NEURAL_ROWS = 96
};

/* What random numbers are drawn for: the `layer` of their address. */
enum {
    MOE_NEURAL_DRAW_SPLIT,
    MOE_NEURAL_DRAW_ORDER,
    MOE_NEURAL_DRAW_WORD,
    MOE_NEURAL_DRAW_IN,
    MOE_NEURAL_DRAW_OUT,
    MOE_NEURAL_DRAW_INIT = 16 /* and the array's number */
};

/* ---- what training is about ---- */

/** The parts of the sequences as training sees them. */
typedef enum moe_neural_part {
    NEURAL_FIT,
    NEURAL_TEST,
    NEURAL_VALID
} moe_neural_part;

/** What all networks are told. */
typedef struct moe_neural_task {
    const moe_trace *trace;
    uint64_t seed;
    uint8_t *part;  /* [n_seqs] moe_neural_part */
    uint32_t *seen; /* [vocab_size] how often a token occurs in FIT */
} moe_neural_task;

/** An array of a network. */
typedef struct moe_neural_row {
    moe_learned_shape shape;
    double spread; /* deviation of the normal initial values; 0: zeros */
} moe_neural_row;

typedef struct moe_neural_array {
    float *value, *grad, *m, *v, *best;
    size_t n;
} moe_neural_array;

/** What a batch came to; sums. */
typedef struct moe_neural_score {
    double loss;         /* nats, per token and layer */
    double hits, firsts; /* shares of experts found; first ones found */
    double tokens;
} moe_neural_score;

/* ---- neural_dense.c: oneDNN ---- */

typedef struct moe_neural_lib {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} moe_neural_lib;

dnnl_status_t moe_neural_lib_init(moe_neural_lib *lib);
void moe_neural_lib_fini(moe_neural_lib *lib);

/** Describe a row-major float array. */
dnnl_memory_desc_t moe_neural_desc(int rank, const int64_t *dims);

/** An argument of a primitive. */
typedef struct moe_neural_arg {
    int arg;              /* DNNL_ARG_... */
    dnnl_memory_t memory; /* NULL: this primitive has no such argument */
    const void *data;     /* to point the memory at; NULL: where it points */
} moe_neural_arg;

/** Run a primitive and wait for it. Allocates nothing of its own. */
dnnl_status_t moe_neural_execute(const moe_neural_lib *lib,
                                 dnnl_primitive_t primitive,
                                 const moe_neural_arg *args, int n);

/** Copy a row-major array into another layout; slow, for set-up. */
dnnl_status_t moe_neural_reorder(const moe_neural_lib *lib,
                                 const dnnl_memory_desc_t *from,
                                 const void *src, const dnnl_memory_desc_t *to,
                                 void *dst);

moe_status moe_neural_fail(dnnl_status_t rc, const char *what, moe_error *err);

/** A fully connected layer, y = x W^T + b, for training. */
typedef struct moe_neural_dense {
    int64_t rows, in, out;
    dnnl_primitive_t forward, back_data, back_weights;
    dnnl_memory_t x, w, b, y, dx, dw, db, dy;
} moe_neural_dense;

dnnl_status_t moe_neural_dense_init(moe_neural_dense *d,
                                    const moe_neural_lib *lib, int64_t rows,
                                    int64_t in, int64_t out);
dnnl_status_t moe_neural_dense_forward(const moe_neural_dense *d,
                                       const moe_neural_lib *lib,
                                       const float *x, const float *w,
                                       const float *b, float *y);
/** @param of  [2] weights and bias; their gradients are overwritten.
 *  @param dx  may be NULL. */
dnnl_status_t moe_neural_dense_backward(const moe_neural_dense *d,
                                        const moe_neural_lib *lib,
                                        const float *x,
                                        const moe_neural_array *of,
                                        const float *dy, float *dx);
void moe_neural_dense_fini(moe_neural_dense *d);

/* ---- neural_loops.c: what has no primitive ---- */

/** Look up rows, or spread their gradients; row-major, MOE_NEURAL_WIDTH wide. */
void moe_neural_lookup(const float *table, const uint32_t *index, size_t rows,
                       float *x);
void moe_neural_lookup_back(const uint32_t *index, size_t rows, const float *dx,
                            float *grad, size_t n);

/** The row of a token: its own, the last (unknown) if training never saw it,
 *  or, in step > 0, the more often the rarer it is. */
uint32_t moe_neural_word(const moe_neural_task *task, uint64_t token,
                         uint64_t step);

/** Multiply by 0 or 1 / (1 - 1/8): a mask drawn for every step. */
void moe_neural_drop(const moe_neural_task *task, uint64_t step, int draw,
                     size_t rows, size_t width, float *x);

void moe_neural_relu(size_t n, float *x);
/** dy = 0 where y is. */
void moe_neural_relu_back(size_t n, const float *y, float *dy);

/** Softmax of every layer's logits against the tokens' experts. */
typedef struct moe_neural_loss {
    const moe_neural_task *task;
    const moe_leads *leads;
    size_t rows, width; /* width: layers * experts */
    dnnl_primitive_t softmax;
    dnnl_memory_t z;
    double *row_loss;             /* [rows] */
    float *row_hits, *row_firsts; /* [rows] */
} moe_neural_loss;

moe_status moe_neural_loss_init(moe_neural_loss *s, const moe_neural_lib *lib,
                                const moe_neural_task *task,
                                const moe_leads *leads, size_t rows,
                                moe_error *err);
/** @param z      [rows][layers * experts] logits; their gradient on return
 *  @param token  [rows] number in the trace; UINT64_MAX: no token, ignored
 *  @param score  with hits, added to; in training the loss alone. */
dnnl_status_t moe_neural_loss_run(const moe_neural_loss *s,
                                  const moe_neural_lib *lib, float *z,
                                  const uint64_t *token, bool train,
                                  moe_neural_score *score);
void moe_neural_loss_fini(moe_neural_loss *s);

/* ---- neural_logs.c: what networks correct ---- */

/** The logits of a layer are what the heads say and
 *      (1 + a_l) log(p_l(e | id) + 1e-6)
 *  of the token's own id, where a_l is learned: a network begins as the token
 *  table and learns what that gets wrong. */
typedef struct moe_neural_logs {
    const moe_neural_task *task;
    moe_token_logs table;
    moe_leads leads;
    int *layers;    /* [layers] all of the trace */
    uint32_t *next; /* [n_tokens] of a fitted sequence: next token of the same
                       id in it, around; UINT32_MAX of the others */
} moe_neural_logs;

/** Open the tables that env->learned has. Release with moe_neural_logs_fini()
 *  in any case. @return as moe_token_logs_init(). */
moe_status moe_neural_logs_init(moe_neural_logs *l, const moe_neural_task *task,
                                const moe_learned *learned, moe_error *err);
void moe_neural_logs_fini(moe_neural_logs *l);

/** Logs of tokens, without their own sequences where those are fitted.
 *  @param token  [rows] numbers in the trace; UINT64_MAX: none, zeros
 *  @param out    [rows][layers * experts] */
void moe_neural_logs_fill(const moe_neural_logs *l, const uint64_t *token,
                          size_t rows, float *out);

/* ---- a network in training ---- */

/** What every network holds: the first member of its state. */
typedef struct moe_neural_net {
    const struct moe_neural_kind *kind;
    const moe_neural_task *task;
    const moe_neural_array *array; /* [n_arrays] as declared */
    int n_arrays;
    moe_neural_lib lib;
    moe_neural_loss loss;
    uint32_t *word;  /* [rows] which row of the embedding */
    uint64_t *token; /* [rows] number in the trace; UINT64_MAX: no token */
    float *z;        /* [rows][layers * experts] logits, then their gradient */
    const moe_neural_logs *logs; /* what the networks correct */
    float *log;                  /* [rows][layers * experts] of the tokens */
} moe_neural_net;

typedef struct moe_neural_kind {
    const char *name;
    size_t state_size;
    double rate; /* of the first epoch */
    int batch;   /* samples of a step */
    size_t rows; /* tokens of a step */
    /** Fill the table of arrays, [MOE_NEURAL_ARRAYS]; last those of
     *  moe_neural_declare_heads(). @return how many. */
    int (*declare)(const moe_learned_shape *heads, uint32_t vocab,
                   moe_neural_row *rows);
    /** Prepare buffers and primitives, after those of moe_neural_net.
     *  @return MOE_OK, MOE_NOMEM, MOE_LIBRARY. */
    moe_status (*init)(void *state, moe_error *err);
    /** List the samples of a part. @param out  NULL: only count. */
    uint64_t (*list)(const moe_neural_task *task, moe_neural_part part,
                     uint64_t *out);
    /** Say which word and token each row is, for n samples, at most `batch`.
     *  @param step  number of this training step, from 1; 0: only score. */
    void (*fill)(void *state, const uint64_t *samples, int n, uint64_t step);
    /** From words to what the heads say, in z. */
    dnnl_status_t (*forward)(void *state, uint64_t step);
    /** From the gradient in z to those of all arrays. */
    dnnl_status_t (*backward)(void *state, uint64_t step);
    void (*fini)(void *state); /* accepts a partly initialised state */
} moe_neural_kind;

/** Set up a network. @param arrays  [n] as declared; borrowed, as is logs.
 *  @return its state, to be released with moe_neural_net_free(); or NULL. */
void *moe_neural_net_new(const moe_neural_kind *kind,
                         const moe_neural_task *task,
                         const moe_neural_logs *logs,
                         const moe_neural_array *arrays, int n, moe_error *err);
void moe_neural_net_free(void *state);

/** Run n samples, at most kind->batch. @param step  number of this training
 *  step, from 1, then gradients are left in the arrays; 0: only score. */
moe_status moe_neural_net_run(void *state, const uint64_t *samples, int n,
                              uint64_t step, moe_neural_score *score,
                              moe_error *err);

/** Train a network into a part: moe_predictor.train of its predictor.
 *  @param epochs  at most, unless env says it. */
moe_status moe_neural_train(const moe_neural_kind *kind, int epochs,
                            const moe_train_env *env, moe_learned_part *part,
                            moe_error *err);

/** Make the task of a training; release with moe_neural_task_fini().
 *  @param tokens  that FIT has at most, whole sequences; 0: all. */
moe_status moe_neural_task_init(moe_neural_task *task, const moe_trace *trace,
                                uint64_t seed, uint64_t tokens, moe_error *err);
void moe_neural_task_fini(moe_neural_task *task);

/** The tokens of the sequences that are validated on, as a batch of which hooks
 *  of scorers may be asked. Release with moe_neural_kept_back_free() in any
 *  case. @return MOE_OK, MOE_NOMEM. */
moe_status moe_neural_kept_back(const moe_neural_task *task, moe_batch *out,
                                moe_error *err);
void moe_neural_kept_back_free(moe_batch *batch);

/** The shapes of the heads of all layers: [layers][experts][width]. */
moe_learned_shape moe_neural_heads_shape(int layers, int experts);

extern const moe_neural_kind moe_neural_ffn, moe_neural_lstm;

/* All networks end with these arrays: weights and biases of the heads, and a_l. */
int moe_neural_declare_heads(const moe_learned_shape *heads,
                             moe_neural_row *rows);

/* ---- neural_predict.c ---- */

/** What a trained predictor holds: the first member of its state, so that
 *  the hooks below serve every one. Its trunk is computed for all tokens of a
 *  batch when the first layer is asked for. */
typedef struct moe_neural_predictor {
    moe_scorer base;
    moe_neural_lib lib;
    int layers;  /* of the run */
    int trained; /* of the trace: they share a trunk */
    const float *value[MOE_NEURAL_ARRAYS]; /* as declared; borrowed */
    uint64_t weights;                      /* that it holds */
    float *head;   /* [layers][MOE_NEURAL_WIDTH][experts] */
    float **logs;  /* [layers] -> [vocabulary][experts] log-shares by id, times
                      1 + a_l, plus biases */
    size_t n_logs; /* numbers in one of them */
    float *x;      /* [max_own, rounded up][MOE_NEURAL_WIDTH] of the trunk */
    moe_mark mark; /* of the batch that x is of */
    /** Compute x of a batch, in blocks of MOE_NEURAL_ROWS. */
    void (*trunk)(void *state, const moe_batch *batch);
} moe_neural_predictor;

/** Take what training made. Release with moe_neural_predictor_fini() in any
 *  case. @return MOE_OK, MOE_USAGE (nothing was trained), MOE_FORMAT,
 *  MOE_NOMEM, MOE_LIBRARY. */
moe_status moe_neural_predictor_init(moe_neural_predictor *p,
                                     const moe_neural_kind *kind,
                                     const moe_predictor_env *env,
                                     const moe_scorer_params *params,
                                     moe_error *err);
void moe_neural_predictor_fini(moe_neural_predictor *p);

/** The products of a layer behind the trunk. @return how many. */
int moe_neural_heads_work(const moe_neural_predictor *p, double tokens,
                          moe_gemm_run *runs_out);

/** The parameters hook. */
size_t moe_neural_parameters(const void *state);

/* What all descriptors of networks have in common. */
#define MOE_NEURAL_HOOKS                                                   \
    .sees = MOE_SEES_IDS, .rests_on = "ngram", .opts = moe_scorer_options, \
    .params_size = sizeof(moe_scorer_params), .init = init, .work = work,  \
    .parameters = moe_neural_parameters, .train = train,                   \
    .train_epochs = EPOCHS, .fini = fini, MOE_SCORER_HOOKS

#endif
