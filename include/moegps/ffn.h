/** ffn.h: the family of expert FFNs that are really executed.
 *
 *  A back end says what a row is, what an expert's weights are, runs the
 *  experts of one GPU on grouped rows, and sums results at the token's home.
 *  The `exact` member is an integer function of (token, expert, layer) that
 *  proves where every pair went; `none` measures the harness alone; `paced`
 *  takes the time that the cost model gives the emulated GPU.
 */
#ifndef MOEGPS_FFN_H
#define MOEGPS_FFN_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/model.h"
#include "moegps/status.h"

/** Sizes that are executed, which `emulation.scale` made smaller. */
typedef struct moe_ffn_shape {
    int hidden, inter, top_k; /* hidden >= 4: a row holds a token's number */
    moe_dtype dtype;          /* of rows and weights, BF16 or F32 */
    moe_ffn_form form;
    uint64_t seed;     /* of weights and hidden vectors */
    const int *layers; /* [n_layers] numbers in the model; borrowed */
} moe_ffn_shape;

/* Every expert's weights begin with this, whatever the back end, and it
 * travels with them: the exact back end reads who it is from here, so a
 * replica that never arrived is found out. */
typedef struct moe_expert_tag {
    uint64_t magic;
    int32_t layer, expert; /* layer: 0..n_layers-1 */
    uint8_t pad[48];
} moe_expert_tag;

/** Rows for the experts of one GPU in one layer, grouped by slot. */
typedef struct moe_ffn_input {
    int slots;
    void *const *weights; /* [slots], each a moe_expert_tag and its matrices */
    const uint32_t *rows; /* [slots] rows of each */
    void *data;           /* [sum of rows][row bytes], results in place */
} moe_ffn_input;

/** Rows that make sums: sum i is of entries [first[i], first[i + 1]), in order;
 *  of none it is 0. All borrowed. */
typedef struct moe_ffn_sums {
    size_t n;
    const uint32_t *first; /* [n + 1]; NULL: every sum has `each` entries */
    uint32_t each;
    const uint32_t *row; /* [entries] number of a row */
    const float *weight; /* [entries]; NULL: all weigh `even` */
    float even;
} moe_ffn_sums;

typedef struct moe_ffn {
    const char *name, *help; /* spelling; one line for `moegps list` */
    size_t state_size;       /* the caller allocates and zeroes the state */
    bool comparable;         /* outputs are f32 numbers, alike under all
                                strategies but for rounding */
    bool paced;              /* computes nothing: the engine waits as long as
                                the GPU would take; of an expert's weights a
                                slot holds the tag alone */
    moe_status (*init)(void *state, const moe_ffn_shape *shape, moe_error *err);
    /** Write the matrices of one expert (behind the tag), from the seed, in
     *  the back end's own layout: the bytes that migrate. */
    void (*fill_weights)(void *state, int layer, int expert, void *weights);
    /** Write the hidden vectors of the batch's own tokens: [own][row bytes]. */
    void (*fill_rows)(void *state, const moe_batch *batch, void *rows_out);
    /** Run. Inside the timed ffn phase; allocates no buffers.
     *  @return MOE_OK, MOE_LIBRARY, MOE_INVALID (weights of nobody). */
    moe_status (*run)(void *state, const moe_ffn_input *input, moe_error *err);
    /** Sum results by weight into outputs of tokens.
     *  @param rows  results, or what `reduce` made of some
     *  @param out   [n][moe_ffn_out_bytes()] */
    void (*combine)(void *state, const moe_ffn_sums *sums, const void *rows,
                    void *out);
    /** The same into rows, which go on travelling: [n][row bytes], rounded as
     *  rows are. Allocates no buffers. */
    void (*reduce)(void *state, const moe_ffn_sums *sums, const void *rows,
                   void *rows_out);
    /** Optional, proves routing: compare with what must come out.
     *  @return MOE_OK, MOE_INVALID naming token and layer. */
    moe_status (*check)(void *state, const moe_batch *batch, int layer,
                        const void *out, moe_error *err);
    void (*fini)(void *state); /* NULL: nothing to release; accepts a partly
                                  initialised state */
} moe_ffn;

/** @return the member of this name, or NULL. */
const moe_ffn *moe_ffn_find(const char *name);

/** @return member i, or NULL past the last. */
const moe_ffn *moe_ffn_at(size_t i);

/** All names, "A, B, C", cut where the text ends. */
void moe_ffn_names(char *text, size_t size);

/** Release a state that was allocated, set up or not. NULL is fine. */
void moe_ffn_free(const moe_ffn *ffn, void *state);

/** @return bytes of one row that travels; of one expert's weights with tag
 *  and padding; of one summed token (float per element, at least 8). Equal
 *  for all back ends, so that they share buffers. */
size_t moe_ffn_row_bytes(const moe_ffn_shape *shape);
size_t moe_ffn_weight_bytes(const moe_ffn_shape *shape);
size_t moe_ffn_out_bytes(const moe_ffn_shape *shape);

/** @return the first entry of sum i; that of n is the number of entries. */
static inline size_t moe_ffn_sums_first(const moe_ffn_sums *sums, size_t i)
{
    return sums->first != NULL ? sums->first[i] : i * sums->each;
}

/** Write the tag of an expert. */
void moe_ffn_tag(void *weights, int layer, int expert);

/** @return the best data type this CPU runs natively: MOE_DTYPE_BF16 or MOE_DTYPE_F32. */
moe_dtype moe_ffn_native_dtype(void);

/** @return whether this CPU can run a data type at all: oneDNN has bf16 from
 *  AVX-512 on. */
bool moe_ffn_runs(moe_dtype dtype);

/** Make oneDNN use only what every rank's CPU has: rows and weights that
 *  travel must mean the same everywhere. Call before any back end is set up.
 *  Collective over comm. @return whether the CPUs differ. */
bool moe_ffn_level_cpus(MPI_Comm comm);

#endif
