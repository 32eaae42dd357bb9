/** trace.h: routing traces, the evidence that every run is made from.
 *
 *  A token trace knows the experts of every token; a load trace knows only
 *  how many pairs every expert got in every step (a request, a batch) and is
 *  expanded to tokens with exactly those counts. Both number their tokens
 *  globally, 0..n_tokens-1, sequence after sequence (step after step).
 *  jobs/README.md documents every dataset of the file.
 */
#ifndef MOEGPS_TRACE_H
#define MOEGPS_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/ctx.h"
#include "moegps/rng.h"
#include "moegps/status.h"

typedef enum moe_trace_kind {
    MOE_TRACE_TOKENS,
    MOE_TRACE_LOADS
} moe_trace_kind;

/** What the order of sequences, or steps, is. */
typedef enum moe_trace_order {
    MOE_ORDER_NONE, /* none: they may be drawn in any order */
    MOE_ORDER_TIME  /* as they were recorded, one after the other */
} moe_trace_order;

typedef enum moe_split_part { MOE_PART_TRAIN, MOE_PART_TEST } moe_split_part;

enum {
    MOE_MAX_EXPERTS = 4096, /* per layer; ids are uint16_t */
    MOE_MAX_TOP_K = 64
};

typedef struct moe_trace {
    moe_trace_kind kind;
    char model[64];   /* name of the model profile it was recorded from */
    char source[512]; /* where the numbers come from */
    char licence[64]; /* SPDX expression */
    char note[1024];  /* how it was made, how the split was drawn */
    char sha256[65];  /* of the content, hexadecimal; see moe_trace_hash */
    int layers, experts, top_k;
    moe_trace_order order; /* of sequences, or steps */
    bool ordered;          /* token traces: experts by falling gate weight */
    bool has_position;     /* token traces: position is meaningful */
    bool has_gate;         /* token traces: gate is present */
    bool has_layer_number; /* not all layers of the model were recorded */
    bool has_cluster;      /* cluster is present */
    uint64_t n_tokens;     /* in all */
    uint64_t n_seqs;       /* sequences, or steps of a load trace */
    uint32_t vocab_size;   /* token traces: token ids are below; 0: no ids */
    /* Arrays, owned unless shared != 0. Absent ones are NULL. */
    uint64_t *seq_offset;  /* [n_seqs + 1] first token of each sequence */
    uint8_t *seq_part;     /* [n_seqs] moe_split_part */
    uint16_t *experts_of;  /* token traces: [layers][n_tokens][top_k] */
    float *gate;           /* token traces: [layers][n_tokens][top_k] */
    uint32_t *token_id;    /* token traces: [n_tokens] */
    int32_t *position;     /* token traces: [n_tokens] */
    uint32_t *counts;      /* load traces: [n_seqs][layers][experts] pairs */
    int32_t *layer_number; /* [layers] as the model numbers them, rising; NULL:
                              0..layers-1 */
    uint32_t *cluster;  /* [n_seqs] what a sequence is of, a subject or a data
                              set: those of one are alike */
    char *vocab;        /* token pieces joined by NUL, or NULL */
    size_t vocab_bytes; /* of vocab */
    MPI_Win shared;     /* MPI_WIN_NULL: arrays are on this rank's heap */
} moe_trace;

/* MAJOR breaks readers, MINOR adds; readers ignore what they do not know.
 * 1.1.0 added layer_number, 1.2.0 order: none in older files, 1.3.0 cluster. */
#define MOE_TRACE_SCHEMA "moe-gps-trace"
#define MOE_TRACE_SCHEMA_VERSION "1.3.0"

/** Read and validate a trace file. Not collective.
 *  Every expert id and count is checked: ids in range and distinct within a
 *  token, counts of a step summing to tokens * top_k, no count above the
 *  tokens of its step, content hash as recorded.
 *  @param trace_out  release with moe_trace_free(). Untouched on error.
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT (says which dataset,
 *  layer and token), MOE_NOMEM. */
moe_status moe_trace_read(const char *path, moe_trace *trace_out,
                          moe_error *err);

/** Read a trace on rank 0 and give it to all: one copy per node, in shared
 *  memory. The vocabulary is left out. Collective over ctx.
 *  @return merged status. Release with moe_trace_free(), collective then. */
moe_status moe_trace_load(moe_ctx *ctx, const char *path, moe_trace *trace_out);

/** Check every number of a trace in memory, all but its hash. Not collective.
 *  @return MOE_OK, MOE_FORMAT (says which dataset, layer and token). */
moe_status moe_trace_validate(const moe_trace *trace, moe_error *err);

/** Validate and write a trace; the file must not exist and is removed again
 *  when writing fails. Sets trace->sha256. Not collective.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_trace_write(const char *path, moe_trace *trace, moe_error *err);

/** SHA-256 of what the trace says, however the file stores it. Little-endian,
 *  without padding, in this order:
 *
 *      uint64 [11]  1 (version of this list), kind (moe_trace_kind), layers,
 *                   experts, top_k, ordered (0, 1), n_tokens, n_seqs,
 *                   vocab_size, has_position (0, 1), has_gate (0, 1)
 *      uint64       seq_offset [n_seqs + 1]
 *      uint8        seq_part [n_seqs]
 *      token trace: uint16  experts_of [layers][n_tokens][top_k]
 *                   uint32  token_id [n_tokens]               if vocab_size > 0
 *                   int32   position [n_tokens]               if has_position
 *                   float32 gate [layers][n_tokens][top_k]    if has_gate
 *      load trace:  uint32  counts [n_seqs][layers][experts]
 *
 *  Texts (model, source, note, vocabulary, ...), layer_number, cluster and
 *  order are labels and are left out.
 *  Not collective. @param hex_out  65 bytes.
 *  @return MOE_OK, MOE_LIBRARY. */
moe_status moe_trace_hash(const moe_trace *trace, char *hex_out,
                          moe_error *err);

/** Release. Collective if the trace came from moe_trace_load(). A
 *  zero-initialised trace is fine. */
void moe_trace_free(moe_trace *trace);

/** What to keep of a trace. */
typedef struct moe_trace_range {
    uint64_t first_seq, end_seq; /* sequences or steps [first, end) */
    const int *layers;           /* [n_layers] distinct; NULL: all of them */
    int n_layers;
    uint64_t first_token, end_token; /* of the trace, instead of sequences,
                                        which are cut; 0, 0: all. Token
                                        traces */
} moe_trace_range;

/** @return the model's MoE layer that a layer of the trace is. */
int moe_trace_layer_number(const moe_trace *trace, int layer);

/** @return the layer of the trace that holds a model's MoE layer; -1: none. */
int moe_trace_find_layer(const moe_trace *trace, int number);

/** What a trace must know of a model. */
typedef struct moe_trace_model {
    const char *name;
    int layers, last_layer; /* MoE layers; number of the last of them */
    int experts, top_k;
} moe_trace_model;

/** Check that a trace can be run with a model: its layers are all of the
 *  model's, or numbered and among them.
 *  @return MOE_OK, MOE_MISMATCH. */
moe_status moe_trace_fits(const moe_trace *trace, const moe_trace_model *model,
                          moe_error *err);

/** Copy some sequences and layers. Sequences are numbered from 0 again; of
 *  layers that are left out the others keep their numbers.
 *  Not collective.
 *  @param out  release with moe_trace_free(). Untouched on error.
 *  @return MOE_OK, MOE_USAGE (range outside the trace), MOE_NOMEM. */
moe_status moe_trace_slice(const moe_trace *trace, const moe_trace_range *range,
                           moe_trace *out, moe_error *err);

/** Join the training part of one trace and the test part of another: what was
 *  learned there is asked about here. Token ids must be of one vocabulary.
 *  What only one of them has (ids, gates, positions, order of experts) is left
 *  out. Sets the hash. Not collective.
 *  @param out  release with moe_trace_free(). Untouched on error.
 *  @return MOE_OK, MOE_MISMATCH (not of one model, or of other layers),
 *  MOE_NOMEM, MOE_LIBRARY. */
moe_status moe_trace_join(const moe_trace *train, const moe_trace *test,
                          moe_trace *out, moe_error *err);

/** @return "none" or "time": the spelling in files. */
const char *moe_trace_order_name(moe_trace_order order);

/** How sequences are divided into the training and the test part. */
typedef struct moe_trace_split {
    bool tail;         /* the last ones are for testing; else they are drawn */
    double test_share; /* 0..1 */
    uint64_t seed;     /* drawn */
} moe_trace_split;

/** Read `tail`, `tail=TEST_SHARE`, `train=TRAINING_SHARE[,seed=N]`.
 *  @param out  what the text leaves out stays as it is.
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_trace_split_parse(const char *text, moe_trace_split *out,
                                 moe_error *err);

/** The default division: the last 0.3 test. */
extern const moe_trace_split moe_trace_split_default;

/** Divide again: round(test_share * n_seqs) sequences are for testing.
 *  Deterministic. Not collective. */
void moe_trace_divide(moe_trace *trace, const moe_trace_split *split);

/** Pairs per expert of one part. Not collective.
 *  @param counts_out  [experts], overwritten. */
void moe_trace_counts(const moe_trace *trace, moe_split_part part, int layer,
                      uint64_t *counts_out);

/** Tokens of one part. */
uint64_t moe_trace_part_tokens(const moe_trace *trace, moe_split_part part);

/** Experts of all tokens of one sequence or step. Not collective.
 *  Token traces: a copy. Load traces: the step's counts expanded with k
 *  distinct experts per token: the pairs sorted by expert fill a
 *  [tokens][top_k] matrix column by column, then the rows are permuted by
 *  (seed, MOE_RNG_EXPAND, step, layer).
 *  @param experts_out  [tokens of the sequence][top_k], overwritten. */
void moe_trace_expand(const moe_trace *trace, uint64_t seed, uint64_t seq,
                      int layer, uint16_t *experts_out);

/** Tokens [from, from + n) of a sequence (step). */
typedef struct moe_stretch {
    uint64_t seq, from, n;
} moe_stretch;

/** Let chance decide which experts of an expanded step meet in a token: as the
 *  columns are of sorted pairs, neighbours never do. Experts of two tokens of a
 *  stretch change places, half as often as it has pairs, where a token's stay
 *  distinct; counts of the stretch stay as they are. Token traces are left
 *  alone. Deterministic, by (seed, MOE_RNG_MIX, step, layer, first token). Not
 *  collective.
 *  @param experts  of moe_trace_expand(), of the whole step. */
void moe_trace_mix(const moe_trace *trace, uint64_t seed,
                   const moe_stretch *part, int layer, uint16_t *experts);

#endif
