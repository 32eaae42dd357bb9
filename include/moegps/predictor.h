/** predictor.h: the family that foretells the load.
 *
 *  A predictor speaks of loads (a share per expert, the same for every
 *  token) or of tokens (k experts for each of the rank's own tokens). It is
 *  local: the harness sums what it says over ranks. predict hooks run inside
 *  the timed predict phase and allocate nothing.
 */
#ifndef MOEGPS_PREDICTOR_H
#define MOEGPS_PREDICTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/cost.h"
#include "moegps/h5.h"
#include "moegps/iteration_price.h"
#include "moegps/learned.h"
#include "moegps/options.h"
#include "moegps/status.h"
#include "moegps/trace.h"

enum { MOE_PREDICT_GEMMS = 32 }; /* most kinds of products of a predictor */

/** What a predictor looks at when it foretells, beside what training made: its
 *  horizon. It decides when a plan can be made: with MOE_SEES_LAYERS or
 *  MOE_SEES_HIDDEN that of layer l once layer l - lookahead is routed, else
 *  those of all layers before the first. */
enum {
    MOE_SEES_PAST = 1,    /* iterations that have ended */
    MOE_SEES_IDS = 2,     /* ids of a sequence up to the token itself */
    MOE_SEES_PLACES = 4,  /* its position */
    MOE_SEES_LAYERS = 8,  /* true experts (and gates) of the batch's tokens in
                            layers up to l - lookahead */
    MOE_SEES_TOKENS = 16, /* true experts of earlier tokens of the sequence, in
                             all layers: decoding has them by then */
    MOE_SEES_HIDDEN = 32  /* hidden states of layer l - lookahead */
};

typedef enum moe_forecast {
    MOE_FORECAST_NONE,  /* says nothing; only planner static goes with it */
    MOE_FORECAST_LOAD,  /* a distribution over experts per layer */
    MOE_FORECAST_TOKENS /* k experts for every token */
} moe_forecast;

/** What a predictor is told once. All borrowed while the state lives; the
 *  file's data is borrowed during init only. */
typedef struct moe_predictor_env {
    const moe_trace *trace; /* only its training part may be learned from */
    const int *layers;      /* [n_layers] numbers in the trace */
    int n_layers;
    uint64_t seed;
    const struct moe_predictor *self; /* who is set up; moe_predictor_new()
                                         says it */
    int batch, seq; /* of an iteration, as in moe_batcher_params; batch 0:
                      unknown */
    moe_batch_order order;
    int lookahead;    /* layers of the model between the last that is routed and
                      the one that is foretold; MOE_LOOKAHEAD_ALL: none is */
    uint32_t max_own; /* most tokens this rank gets in a batch */
    moe_h5_image file;          /* that the file hook names */
    const moe_learned *learned; /* what training made; NULL: nothing */
} moe_predictor_env;

enum { MOE_TRAIN_LOOKAHEADS = 8 }; /* most that are trained for at once */

/** What training is told. All borrowed. */
typedef struct moe_train_env {
    const moe_trace *trace;
    uint64_t seed;
    uint64_t tokens;                     /* to fit to, at most; 0: all */
    int lookahead[MOE_TRAIN_LOOKAHEADS]; /* [n_lookaheads] layers, for those
                                            that look at earlier layers */
    int n_lookaheads;
    moe_h5_image hidden;        /* hidden states; without data: none */
    const moe_learned *learned; /* trained so far, for members that rest on
                                   others; NULL: nothing */
    int epochs;                 /* at most; 0: the predictor's train_epochs */
    int kept_bits; /* of each weight's fraction at the end, 1..23 */
    /** Called after each epoch, when `part` is a whole checkpoint.
     *  @return MOE_OK, or why training stops here. */
    moe_status (*epoch)(void *arg, const moe_learned_part *part,
                        moe_error *err);
    void *arg;
} moe_train_env;

typedef struct moe_predictor {
    const char *name, *help; /* spelling; one line for `moegps list` */
    const moe_opt *opts;     /* own options, or NULL */
    size_t params_size;      /* of the struct that opts fill */
    size_t state_size;       /* moe_predictor_new() allocates and zeroes it */
    unsigned sees;        /* MOE_SEES_ bits: all that its hooks may look at */
    bool constant;        /* what it foretells never changes */
    const char *rests_on; /* member whose part of a predictor file it also
                             reads; NULL: none */
    bool knows_future;    /* it predicts with the truth: a bound for others,
                                which cannot be built */
    /** What it speaks of, with these parameters. */
    moe_forecast (*forecast)(const void *params);
    /** Optional. The file that init wants to see; NULL: none. Whoever runs
     *  the predictor reads it once for all ranks, so that init stays local.
     *  @return a path, borrowed from params. */
    const char *(*file)(const void *params);
    /** Once per run, outside timing; learns. NULL: nothing to learn. @param params  borrowed while
     *  the state lives. @return MOE_OK, MOE_USAGE (the trace lacks what it
     *  needs), MOE_NOMEM. */
    moe_status (*init)(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err);
    /** LOAD: the share of each expert in the coming batch.
     *  @param layer      0..n_layers-1
     *  @param share_out  [experts], >= 0, summing to 1; equal on all ranks. */
    void (*load)(void *state, const moe_batch *batch, int layer,
                 double *share_out);
    /** TOKENS: experts of the rank's own tokens, distinct within a token, the
     *  one that is likeliest to have the largest gate first.
     *  @param experts_out  [batch->own][top_k] */
    void (*tokens)(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out);
    /** Optional, TOKENS. The load that the rank's own tokens are expected to
     *  make, from probabilities instead of choices. Each token is rounded
     *  alone, so that sums do not depend on the number of ranks.
     *  @param load_out  [experts], overwritten; pairs in units of
     *                   1 / MOE_LOAD_ONE.
     *  @return false: not asked for; the choices are to be counted. */
    bool (*expect)(void *state, const moe_batch *batch, int layer,
                   uint64_t *load_out);
    /** Optional, TOKENS. The probabilities that tokens visit experts, of the
     *  batch and layer that `tokens` was last asked for.
     *  @return [batch->own][experts], those of a token summing to top_k;
     *  borrowed until the next call of any hook. */
    const float *(*scores)(const void *state);
    /** Optional. Learn from an iteration that has ended: batch->true_pairs is
     *  summed over ranks by now. Called once per iteration, warm-up included,
     *  equal on all ranks; timed with the predict phase. */
    void (*observe)(void *state, const moe_batch *batch);
    /** Optional, with observe. Batches of the training part that it is to
     *  observe before the first iteration, the last ones; 0: it starts cold. */
    uint64_t (*lookback)(const void *params);
    /** Optional, LOAD predictors that observe: the true loads of all ranks
     *  that the prediction is made of, for planners that weigh them.
     *  @param most      room in past_out
     *  @param past_out  [experts] each, newest first; borrowed until the next
     *  observe().
     *  @return how many. */
    int (*past)(const void *state, int layer, int most,
                const int64_t **past_out);
    /** Optional. The dense products by which a GPU would predict one layer of
     *  its own tokens; a look-up is a product of depth 1. They are what the
     *  gpu clock charges, at the sizes of the predictor itself.
     *  @param tokens, sequences  of one GPU
     *  @param runs_out           [MOE_PREDICT_GEMMS]
     *  @return how many. */
    int (*work)(const void *state, double tokens, double sequences,
                moe_gemm_run *runs_out);
    /** Optional. Numbers that it holds, learned or handed over, all layers;
     *  without it none. */
    size_t (*parameters)(const void *state);
    /** Optional: predictors that run only on a predictor file. Called by
     *  moe_predictor_train(). Learn from the trace's training part; a part with arrays is a checkpoint to go on
     *  from. Not collective; exact in the seed for a number of threads.
     *  @return MOE_OK, MOE_NOMEM, MOE_FORMAT (not its checkpoint),
     *  MOE_LIBRARY, or what env->epoch returned. */
    moe_status (*train)(const moe_train_env *env, moe_learned_part *part,
                        moe_error *err);
    int train_epochs;          /* at most, unless told */
    void (*fini)(void *state); /* NULL: nothing to release; accepts a partly
                                  initialised state */
} moe_predictor;

/** Name what is seen, "token ids, experts of earlier layers". @return text. */
const char *moe_horizon_text(unsigned sees, char *text, size_t size);

/** @return whether a plan has to wait for earlier layers. */
bool moe_horizon_layers(unsigned sees);

enum { MOE_MAX_LOOKAHEAD = 4096 }; /* layers */

/** Read `all` or a number of layers. @param lookahead_out  MOE_LOOKAHEAD_ALL, or
 *  1..MOE_MAX_LOOKAHEAD. @return MOE_OK, MOE_USAGE. */
moe_status moe_lookahead_parse(const char *text, int *lookahead_out,
                               moe_error *err);

/** Whether a deployment has what the predictor looks at.
 *  @param lookahead  layers ahead, or MOE_LOOKAHEAD_ALL
 *  @param decode     a batch has one new token of each sequence
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_horizon_check(const moe_predictor *predictor, int lookahead,
                             bool decode, moe_error *err);

/** @return the member of this name, or NULL. */
const moe_predictor *moe_predictor_find(const char *name);

/** @return member i, or NULL past the last. */
const moe_predictor *moe_predictor_at(size_t i);

/** All names, "A, B, C", cut where the text ends. */
void moe_predictor_names(char *text, size_t size);

/** @return a state, set up, the past observed; release it with
 *  moe_predictor_free(). NULL, with the
 *  init hook's error, when it cannot. */
void *moe_predictor_new(const moe_predictor *predictor,
                        const moe_predictor_env *env, const void *params,
                        moe_error *err);
void moe_predictor_free(const moe_predictor *predictor, void *state);

/** Train a predictor that can be; then, on the sequences that training kept
 *  back, fit the maps from its scores to probabilities, and for those without
 *  epochs add the one point of their validation curve: loss, in nats, is
 *  - sum_j log(p(e_j) / k) / k over a token's true experts.
 *  @param part  of env->learned; a checkpoint, or without arrays
 *  @return as the train hook, or the init hook's error. */
moe_status moe_predictor_train(const moe_predictor *predictor,
                               const moe_train_env *env, moe_learned_part *part,
                               moe_error *err);

/* A predicted load travels as an integer, so that its sum over ranks is the
 * same in every order and for every number of ranks: pairs * 2^32. */
static const double MOE_LOAD_ONE = 4294967296.0;

/** Where a rank's part of one layer's prediction goes; all the caller's. */
typedef struct moe_predicted {
    uint16_t *tokens; /* [own][top_k], filled for TOKENS; else unused, NULL */
    double *share;    /* [experts] scratch */
    uint64_t *load;   /* [experts] pairs in units of 1 / MOE_LOAD_ONE */
} moe_predicted;

/** Ask a predictor for this rank's part of one layer's predicted load.
 *  Timed by the caller; allocates nothing. */
void moe_predictor_load(const moe_predictor *predictor, moe_forecast forecast,
                        void *state, const moe_batch *batch, int layer,
                        const moe_predicted *out);

/** Where past loads go; all the caller's. */
typedef struct moe_past_room {
    int experts, most;
    double *load;       /* [most][experts] pairs */
    const double **row; /* [most] rows of load, newest first */
} moe_past_room;

/** The loads that a prediction is made of, as planners take them.
 *  @return how many rows are filled; 0: the predictor has none. */
int moe_predictor_past(const moe_predictor *predictor, const void *state,
                       int layer, const moe_past_room *room);

#endif
