/** learned.h: what training made: named arrays of numbers per predictor.
 *
 *  One file may hold several predictors. It says which trace they learned
 *  from and which sequences they saw, so that no predictor is judged by what it
 *  was shown. File format: jobs/README.md.
 */
#ifndef MOEGPS_LEARNED_H
#define MOEGPS_LEARNED_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "moegps/ctx.h"
#include "moegps/status.h"
#include "moegps/trace.h"

enum {
    MOE_LEARNED_RANK = 3,   /* most dimensions of an array */
    MOE_LEARNED_ARRAYS = 64 /* most arrays of a predictor */
};

/* Arrays with this first dimension are the history of training, not
 * weights: an epoch that was not run is NaN. */
#define MOE_LEARNED_EPOCH "epoch"

/** A named array; equal dimension names in a part mean equal sizes. */
typedef struct moe_learned_array {
    char name[48];
    int rank;                            /* 1..MOE_LEARNED_RANK */
    char dim_name[MOE_LEARNED_RANK][24]; /* scales in the file */
    uint64_t dim[MOE_LEARNED_RANK];
    float *data; /* row-major */
} moe_learned_array;

/** What one predictor learned. */
typedef struct moe_learned_part {
    char predictor[32];
    uint64_t seed;
    int epochs;        /* run so far */
    int epochs_limit;  /* asked for; the learning rate falls to 0 there */
    int best_epoch;    /* from 0; whose weights these are */
    bool complete;     /* false: a checkpoint, with the state of training */
    double cpu_s;      /* CPU time of training, all threads */
    double final_loss; /* validation loss of these weights, nats per token */
    moe_learned_array array[MOE_LEARNED_ARRAYS];
    int n_arrays;
} moe_learned_part;

typedef struct moe_learned {
    char model[64]; /* of the trace */
    int layers, experts, top_k;
    uint32_t vocab_size;
    char trace_sha256[65]; /* of the trace that was learned from */
    char command[1024];    /* that made the file */
    int kept_bits;         /* of the 23 of a fraction; see moe_learned_round */
    uint64_t n_seen;
    uint64_t *seen;         /* [n_seen] hashes of its sequences, rising */
    moe_learned_part *part; /* [n_parts] */
    int n_parts;
    bool borrowed;  /* seen and data lie in memory of someone else */
    MPI_Win shared; /* that memory, after moe_learned_load() */
} moe_learned;

#define MOE_LEARNED_SCHEMA "moe-gps-predictor"
#define MOE_LEARNED_SCHEMA_VERSION "2.1.0"

/** Start what is learned from the training part of a trace: sizes, hash, and
 *  the hashes of all its training sequences. Release with moe_learned_free().
 *  @return MOE_OK, MOE_USAGE (a load trace, no token ids, nothing to train
 *  on), MOE_NOMEM. */
moe_status moe_learned_new(const moe_trace *trace, moe_learned *out,
                           moe_error *err);

/** Release; collective if it came from moe_learned_load(). A zeroed one with
 *  shared = MPI_WIN_NULL is fine. */
void moe_learned_free(moe_learned *learned);

/** Add a part without arrays. @return it, borrowed until the next is added;
 *  NULL with MOE_NOMEM. */
moe_learned_part *moe_learned_add(moe_learned *learned, const char *predictor,
                                  moe_error *err);

/** @return the part of this predictor, or NULL. */
moe_learned_part *moe_learned_find(const moe_learned *learned,
                                   const char *predictor);

/** What an array must look like. */
typedef struct moe_learned_shape {
    const char *name;
    int rank;
    const char *dim_name[MOE_LEARNED_RANK];
    uint64_t dim[MOE_LEARNED_RANK];
} moe_learned_shape;

/** @return whether a part has an array of this name. */
bool moe_learned_has(const moe_learned_part *part, const char *name);

/** Add a zeroed array. @return its data, NULL with MOE_NOMEM. */
float *moe_learned_put(moe_learned_part *part, const moe_learned_shape *shape,
                       moe_error *err);

/** @return the array's data, NULL with MOE_FORMAT unless it is there with
 *  this shape. */
float *moe_learned_get(const moe_learned_part *part,
                       const moe_learned_shape *shape, moe_error *err);

/** @return elements of an array. */
uint64_t moe_learned_elements(const moe_learned_array *array);

/** @return weights of a part, without its histories. */
uint64_t moe_learned_weights(const moe_learned_part *part);

/** Drop all arrays whose names begin with this. */
void moe_learned_drop(moe_learned_part *part, const char *prefix);

/** Round all weights to so many bits of their fraction, 1..23: what is gone
 *  deflates to nothing. */
void moe_learned_round(moe_learned_part *part, int bits);

/** Whether this may be used on a trace: same model and sizes, no token ids
 *  beyond those known, and no test sequence that was seen in training. Not
 *  collective.
 *  @return MOE_OK, MOE_MISMATCH. */
moe_status moe_learned_check(const moe_learned *learned, const moe_trace *trace,
                             moe_error *err);

/** Write a file; it must not exist and is removed again when that fails.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO. */
moe_status moe_learned_write(const char *path, const moe_learned *learned,
                             moe_error *err);

/** Read a file, checking every number: shapes, sizes, weights that are finite.
 *  @param out  release with moe_learned_free(). Untouched on error.
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_learned_read(const char *path, moe_learned *out, moe_error *err);

/** Read a file on rank 0 and give it to all, the numbers once per node in
 *  shared memory. Checkpoints are refused. Collective over ctx.
 *  @return merged status. Release with moe_learned_free(), collective. */
moe_status moe_learned_load(moe_ctx *ctx, const char *path, moe_learned *out);

#endif
