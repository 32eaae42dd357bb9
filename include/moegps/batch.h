/** batch.h: the tokens of one iteration, as one rank sees them.
 *
 *  The test part's sequences (steps), as recorded or permuted by the seed,
 *  form one stream of tokens; iteration i is the i-th piece of it, wrapping
 *  around. GPU g holds tokens [T g / G, T (g+1) / G) of a batch of T, or
 *  sequences [B g / G, B (g+1) / G) of B. Nothing here depends on how many
 *  ranks there are but for who holds what.
 */
#ifndef MOEGPS_BATCH_H
#define MOEGPS_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/status.h"
#include "moegps/trace.h"

/** Who attends to what: of a GPU, or of all of them. */
typedef struct moe_batch_share {
    uint32_t sequences; /* where whole ones have a GPU; else 0 */
    uint64_t tokens;    /* that are new */
    double cached;      /* decode: tokens of these sequences that came before */
} moe_batch_share;

typedef struct moe_batch {
    uint64_t iteration;
    uint64_t tokens; /* of the whole batch */
    uint64_t first;  /* of this rank's tokens within the batch */
    uint32_t own;    /* tokens of this rank */
    uint32_t half;   /* of them, those of the first half of the batch: of half
                        its sequences where whole ones have a GPU */
    moe_batch_share mine, all; /* of this rank (gpu -1: nothing); of all */
    int layers, experts, top_k;
    uint16_t *experts_of; /* [layers][own][top_k] true experts */
    float *gate;          /* [layers][own][top_k] weights, or NULL: 1/k */
    uint64_t *id;         /* [own] token number in the trace */
    uint32_t *token_id;   /* [own], or NULL: the trace has none */
    int32_t *position;    /* [own], or NULL */
    int64_t *true_pairs;  /* [layers][experts] of the whole batch; summed over
                             ranks by the engine */
} moe_batch;

/** How batches follow one another. */
typedef enum moe_batch_order {
    MOE_BATCH_AUTO,     /* recorded where the trace's order is time */
    MOE_BATCH_RECORDED, /* as the trace has them */
    MOE_BATCH_SHUFFLED  /* permuted by the seed */
} moe_batch_order;

/** The words for them, "auto", "recorded", "shuffled", then NULL. */
extern const char *const moe_batch_orders[];

/** @return whether batches of a trace follow one another as recorded. */
bool moe_batch_in_order(const moe_trace *trace, moe_batch_order order);

typedef struct moe_batcher moe_batcher;

typedef struct moe_batcher_params {
    const moe_trace *trace; /* borrowed */
    uint64_t seed;
    int batch;         /* sequences per iteration */
    int seq;           /* tokens of each; 0: sequences (steps) as they are */
    const int *layers; /* [n_layers] numbers in the trace; copied */
    int n_layers;
    int iterations; /* to prepare for, warm-up included */
    int gpu, gpus;  /* gpu -1: holds no tokens */
    moe_batch_order order;
    bool repeat;   /* recorded order may start over; time does not */
    bool decode;   /* token traces: the next token of each of `batch` running
                    sequences (trace/running.h); seq is 1 */
    bool whole;    /* no sequence is cut between GPUs, but steps are */
    bool mixed;    /* chance decides which experts of a step meet in a token:
                    moe_trace_mix() */
    bool training; /* of the training part; the last batch ends where it does */
} moe_batcher_params;

/** Prepare batches. Not collective. Release with moe_batcher_free().
 *  @return MOE_OK, MOE_USAGE (no tokens; more iterations than the recorded
 *  order has), MOE_NOMEM. */
moe_status moe_batcher_new(const moe_batcher_params *params,
                           moe_batcher **batcher_out, moe_error *err);
void moe_batcher_free(moe_batcher *batcher);

/** @return most tokens of any iteration's batch; that any GPU has of one. */
uint64_t moe_batcher_max_tokens(const moe_batcher *batcher);
uint32_t moe_batcher_max_own(const moe_batcher *batcher);

/** @return tokens of an iteration's batch that GPUs below `gpu` of `gpus` have,
 *  whatever GPUs the batches are prepared for; `whole` holds. */
uint64_t moe_batcher_before(const moe_batcher *batcher, uint64_t iteration,
                            int gpu, int gpus);

/** @return what GPU `gpu` of `gpus` attends to in an iteration, whatever GPUs
 *  the batches are prepared for. */
moe_batch_share moe_batcher_share(const moe_batcher *batcher,
                                  uint64_t iteration, int gpu, int gpus);

/** Cached tokens of a sequence that decodes, for what is not priced batch by
 *  batch.
 *  @param asked  serving's kv_len
 *  @return `asked`; if it is 0, the mean over all iterations of a token trace
 *  that decodes, at least 1; else 0. */
int moe_batcher_kv_len(const moe_batcher *batcher, int asked);

/** Refuse batches that do not decode: a step of a load trace is one iteration,
 *  a sequence of a token trace has one new token.
 *  @param batch, seq  as in moe_batcher_params
 *  @param kv_len      asked for; 0: positions, which a load trace has not
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_batch_check_decode(const moe_trace *trace, int batch, int seq,
                                  int kv_len, moe_error *err);

/** @return how often the stream is used up by all iterations; above 1 the
 *  iterations repeat tokens. */
double moe_batcher_passes(const moe_batcher *batcher);

/** @return how many batches share what is independent: 1, or, where each is
 *  mostly of one cluster that the trace names (a subject, a data set), else of
 *  one sequence, n sum_c (n_c / n)^2 of n batches, n_c of them of cluster c.
 *  Batches that mix clusters are samples of the mix.
 *  Source: Kish, Survey Sampling, 1965, section 5.4, with a correlation of 1. */
double moe_batcher_alike(const moe_batcher *batcher);

/** @return whole batches in one pass over the stream; decode: of the iterations
 *  prepared for, those before a sequence begins again. */
uint64_t moe_batcher_whole(const moe_batcher *batcher);

/** @return whether batches follow one another as recorded. */
bool moe_batcher_is_recorded(const moe_batcher *batcher);

/** @return most tokens any rank gets of a batch of `tokens` that is shared
 *  out evenly. */
uint32_t moe_batch_share_max(uint64_t tokens, int gpus);

/** Fill the batch of an iteration: this rank's tokens; true_pairs counts them
 *  alone. Not collective; allocates nothing.
 *  @return the batch, borrowed until the next call or free. */
moe_batch *moe_batcher_load(moe_batcher *batcher, uint64_t iteration);

/** Count the pairs of a whole batch without its tokens: own is 0, true_pairs
 *  are of all ranks. Not collective; allocates nothing.
 *  @return the batch, borrowed until the next call or free. */
moe_batch *moe_batcher_count(moe_batcher *batcher, uint64_t iteration);

#endif
