/** recording.h: what a deployment recorded, read from whatever file it is in.
 *
 *  A recording holds loads (pairs of every expert, per step and layer) or
 *  tokens (the experts of every token, per layer). Every format is read into
 *  it; plans and traces are made of it. What was understood of a file is said
 *  in sentences; what was not understood is refused by name.
 */
#ifndef MOEGPS_RECORDING_H
#define MOEGPS_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/ranges.h"
#include "moegps/status.h"

typedef enum moe_recording_kind {
    MOE_RECORDING_ANY, /* not known yet */
    MOE_RECORDING_LOADS,
    MOE_RECORDING_TOKENS
} moe_recording_kind;

/** Order of the dimensions of an array of tokens. */
typedef enum moe_axes {
    MOE_AXES_UNKNOWN,       /* layers, tokens, k unless the sizes say that it
                                must be the other */
    MOE_AXES_LAYERS_TOKENS, /* [layers][tokens][k] */
    MOE_AXES_TOKENS_LAYERS  /* [tokens][layers][k] */
} moe_axes;

/** Arrays beside one of tokens: a number a token, but for layers and gates. */
typedef enum moe_companion {
    MOE_COMPANION_SEQUENCES, /* number of its sequence; a new one begins where
                                it changes */
    MOE_COMPANION_TOKEN_IDS,
    MOE_COMPANION_POSITIONS,
    MOE_COMPANION_LAYERS, /* number of each layer, rising */
    MOE_COMPANION_GATES,  /* weights of the choices, of the same dimensions */
    MOE_COMPANION_SPLITS, /* 0: of the training part, 1: of the test part */
    MOE_N_COMPANIONS
} moe_companion;

/** What the user says of a file. */
typedef struct moe_recording_options {
    moe_recording_kind kind;     /* of an array, which does not say */
    int experts;                 /* of the model; 0: as many as are seen */
    int layers;                  /* MoE layers of the model; 0: unknown. A table
                                without names has as many in a step */
    int first_layer, layer_step; /* numbers of these among all layers, where a
                                    file has as many and does not say; step 0:
                                    not known */
    int top_k;                   /* experts per token; 0: unknown */
    moe_axes axes;
    bool padded; /* ids equal to `pad` are no experts */
    int64_t pad;
    const char *dataset;       /* of HDF5, member of npz or safetensors; "" */
    const char *const *ignore; /* [n_ignore] columns to drop; borrowed */
    int n_ignore;
    const char *const *sum_over; /* [n_sum_over] columns over which rows of one
                                    step, layer and expert add up */
    int n_sum_over;
    const char *companion[MOE_N_COMPANIONS]; /* .npy files; NULL: none */
    const moe_ranges *keep; /* layers to keep, by number; NULL: all. Where a
                               file does not number them and has as many,
                               their numbers; borrowed */
} moe_recording_options;

/** Sentences about a file. */
typedef struct moe_remarks {
    char **text; /* [n], owned */
    size_t n;
} moe_remarks;

/** Add a sentence. Out of memory it is left out. */
void moe_remark(moe_remarks *remarks, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void moe_remarks_fini(moe_remarks *remarks);

typedef struct moe_recording {
    moe_recording_kind kind;
    int layers, experts;
    int top_k; /* of tokens; of loads where the file says it, else 0 */
    int32_t *layer_number; /* [layers] as in the file, rising */
    bool numbered;         /* the file says which layers it has */
    bool seen_only;        /* experts are those that were seen; else the file
                              has a place for each */
    bool by_position;      /* a table without names: columns are experts */
    bool in_time;          /* steps, or sequences, come in the order of time */
    /* Loads. */
    size_t steps;
    int64_t *step_number; /* [steps] as in the file, rising */
    double *load;         /* [steps][layers][experts] >= 0, finite */
    /* Tokens. */
    uint64_t n_tokens, n_seqs;
    uint32_t vocab_size;    /* ids are below; 0: there are none */
    uint16_t *experts_of;   /* [layers][n_tokens][top_k] */
    float *gate;            /* as experts_of; NULL: none */
    uint32_t *token_id;     /* [n_tokens]; NULL: none */
    int32_t *position;      /* [n_tokens]; NULL: none */
    uint64_t *seq_offset;   /* [n_seqs + 1]; NULL: not known */
    uint8_t *seq_part;      /* [n_seqs], or of loads [steps], moe_split_part;
                               NULL: not known */
    moe_remarks understood; /* what was read */
    moe_remarks dropped;    /* what was left out or added up, and why */
} moe_recording;

/** Read a file of any known format; its content decides, not its name.
 *  Not collective.
 *  @param out  release with moe_recording_fini(); untouched on error.
 *  @return MOE_OK, MOE_USAGE (no such file; an option that does not fit),
 *  MOE_FORMAT (where, what it is, what would do), MOE_NOMEM. */
moe_status moe_recording_read(const char *path,
                              const moe_recording_options *options,
                              moe_recording *out, moe_error *err);
void moe_recording_fini(moe_recording *recording);

/** Write sizes: "12 layers (3..14), 60 experts, 20 steps". */
void moe_recording_sizes(const moe_recording *recording, char *text,
                         size_t size);

/** Count tokens, so that they become loads: of the training and the test part,
 *  where both are known, as two steps, else of one. Loads stay as they are.
 *  @return MOE_OK, MOE_NOMEM; unchanged on error. */
moe_status moe_recording_count(moe_recording *recording, moe_error *err);

/** @return how many batches of so many tokens a step has, mean over steps and
 *  layers, rounded; 1 where steps have shares, or fewer tokens.
 *  @param recording  of loads @param tokens  at least 1 */
int moe_recording_passes(const moe_recording *recording, int top_k,
                         uint32_t tokens);

/** Make every step a batch of so many tokens, drawn from what it recorded: with
 *  the variance of tokens that are drawn without repetition where it counts
 *  pairs of more tokens, of independent ones where it has shares, and none
 *  where it has fewer tokens, whose noise it keeps.
 *  @param recording  of loads @param tokens  at least 1
 *  @return MOE_OK, MOE_FORMAT (a step without load), MOE_NOMEM. */
moe_status moe_recording_draw(moe_recording *recording, int top_k,
                              uint32_t tokens, uint64_t seed, moe_error *err);

struct moe_placement;

/** Turn physical experts, the slots of a placement, into logical ones. Loads
 *  of copies add up; layers are found by their numbers.
 *  @return MOE_OK, MOE_MISMATCH (another number of slots, a layer that is not
 *  there), MOE_FORMAT (load in an empty slot), MOE_NOMEM; unchanged on error. */
moe_status moe_recording_to_logical(moe_recording *recording,
                                    const struct moe_placement *placement,
                                    moe_error *err);

/** Add up a part: of another rank, or other layers of the same steps. Steps,
 *  layers and experts that one of them lacks have no load there. Of tokens it
 *  has other layers; ids, positions and sequences are those of the first.
 *  @return MOE_OK, MOE_MISMATCH (tokens of the same layer; other tokens),
 *  MOE_NOMEM; unchanged on error. */
moe_status moe_recording_add(moe_recording *into, const moe_recording *part,
                             moe_error *err);

/** Put a part's experts behind those that are there: of the next GPU's.
 *  @return MOE_OK, MOE_MISMATCH (tokens; other steps or layers), MOE_FORMAT (too
 *  many), MOE_NOMEM; unchanged on error. */
moe_status moe_recording_widen(moe_recording *into, const moe_recording *part,
                               moe_error *err);

/** Append a part's steps, numbered anew from 0, or its tokens, as further
 *  sequences. What only one of them has (gates, ids, positions, a split) is
 *  left out.
 *  @return MOE_OK, MOE_MISMATCH (layers, experts or choices differ),
 *  MOE_FORMAT (too many), MOE_NOMEM; unchanged on error. */
moe_status moe_recording_append(moe_recording *into, const moe_recording *part,
                                moe_error *err);

/** Look for what usually spoils recordings: dummy tokens, layers of different
 *  tokens, data-parallel copies, what cannot be split or learned from.
 *  @param out  a sentence per finding, with what to do, is added.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_recording_inspect(const moe_recording *recording,
                                 moe_remarks *out, moe_error *err);

/** Say in one sentence each what can and what cannot be benchmarked with a
 *  recording. @param out  sentences are added. */
void moe_recording_uses(const moe_recording *recording, moe_remarks *out);

/** Drop runs of `length` and more neighbouring tokens that have the same
 *  experts in all layers: dummy and warm-up tokens.
 *  @return MOE_OK, MOE_USAGE (loads; length below 2), MOE_FORMAT (nothing would
 *  be left), MOE_NOMEM. */
moe_status moe_recording_drop_repeats(moe_recording *recording, uint64_t length,
                                      moe_error *err);

struct moe_trace;

/** Make a trace of a recording. Not collective.
 *  @param recording  its arrays of tokens are taken over; release it anyway.
 *  @param trace   model, source, licence, note, top_k, experts, ordered and,
 *  where nothing is known, order are given, all else is filled. Unchanged on
 *  error.
 *  @param layers  MoE layers of the model; 0: unknown. Where the recording
 *  has fewer, the trace is of some layers.
 *  @return MOE_OK, MOE_FORMAT (shares instead of pairs, pairs that are no
 *  tokens, layers that disagree, an expert twice in a token), MOE_NOMEM. */
moe_status moe_recording_to_trace(moe_recording *recording, int layers,
                                  struct moe_trace *trace, moe_error *err);

/** A format: a member of a family, one file each. */
typedef struct moe_recording_format {
    const char *name, *help; /* spelling; one line for `moegps list` */
    /** Whether a file is of this format.
     *  @param head  [n] its first bytes; at least 512 if there are so many. */
    bool (*detect)(const char *path, const char *head, size_t n);
    /** Read it. @param out  zero-initialised; the caller releases it. */
    moe_status (*read)(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err);
} moe_recording_format;

/** @return member i, or NULL past the last; the first that detects reads. */
const moe_recording_format *moe_recording_format_at(size_t i);

#endif
