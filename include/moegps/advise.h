/** advise.h: what each strategy would take, without running it.
 *
 *  A load - sampled from a trace, or described by its skewness - goes through
 *  the planners and splits that a run uses; what every GPU then does is priced
 *  by moe_iteration_price_of(), as in a run. So advice and the gpu clock of a run
 *  agree on equal counts. Everything here is modelled, nothing is measured,
 *  except the planner's own time. Local; no MPI.
 */
#ifndef MOEGPS_ADVISE_H
#define MOEGPS_ADVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/cluster.h"
#include "moegps/cost.h"
#include "moegps/map.h"
#include "moegps/model.h"
#include "moegps/model_price.h"
#include "moegps/phase.h"
#include "moegps/planner.h"
#include "moegps/predictor.h"
#include "moegps/serving.h"
#include "moegps/split.h"
#include "moegps/trace.h"

/* Plans that a walk through a trace pays for, at least, where a plan serves
 * more than one batch. */
enum { MOE_ADVISE_PLANS = 5 };

/** What may change without planning again. */
typedef struct moe_advise_dials {
    double accuracy;       /* token-to-expert: share of pairs predicted right;
                              the others are assumed to be spread over GPUs as
                              all pairs are */
    double token_error;    /* its error of the load; < 0: 1 - accuracy */
    double overhead_s;     /* of its predictor, per layer */
    double overhead_share; /* of the baseline layer's time, added to that */
    bool overhead_hidden;  /* the predictor has a device of its own, beside
                              attention */
    bool direct;           /* pairs predicted right need no dispatch */
    int lookahead;         /* layers ahead that a layer is planned, or
                              MOE_LOOKAHEAD_ALL (iteration_price.h) */
    int rebalance_every;   /* iterations between plans; with a trace they are
                              walked through, so it is that of the params */
    double moving; /* token-to-expert, oracle: share of the copies that travel
                      at each plan; of those that change, with a trace. A
                      distribution's forecast by hand never changes, so that
                      none of its copies travel */
    bool paper;    /* what MoE-GPS (arXiv 2506.07366) assumes of duplication:
                      copies neither travel nor cost the reading of their
                      weights - a GPU reads as many experts as it has homes -
                      and distribution-only exchanges rows as if nothing had
                      been duplicated */
} moe_advise_dials;

typedef struct moe_advise_params {
    const moe_model *model;         /* borrowed */
    const moe_cluster *cluster;     /* borrowed */
    const moe_trace *trace;         /* borrowed; NULL: a load by hand */
    const moe_planner *planner;     /* NULL: duplicate */
    const moe_predictor *predictor; /* trace: of distribution-only, that
                                       foretells loads; NULL: distribution */
    const moe_split *split;         /* in use, planners know it; NULL: quota */
    const void *predictor_params;   /* its options; NULL: their defaults */
    moe_serving serving;  /* decode: batch counts sequences, seq is 1 */
    int gpus, batch, seq; /* seq 0, with a trace: sequences as they are */
    double seq_tokens;    /* trace whose steps are batches: of a sequence, for
                          attention; 0: a batch has `batch` sequences */
    int slots;            /* per GPU and layer; 0: moe_advise_slots() */
    double tokens;        /* by hand: of a batch; 0: batch * seq */
    double skew;          /* by hand: busiest expert (GPU) over the mean, of the
                             distribution that batches are drawn from; with
                             dials.paper batches have it exactly */
    bool bottleneck;  /* by hand: skew is of GPUs, the paper's own reading */
    double error;     /* by hand: drift of the distribution, sum |p^ - p|, on
                         top of what drawing a batch makes */
    double planner_s; /* host time of one plan; < 0: the planner's
                         steps times the cluster's planner_step_s, with
                         dials.paper 0 */
    int samples;      /* trace: batches, at least 5 intervals between plans;
                         by hand: batches drawn and ways to place the
                         experts; 0: enough */
    int warmup;       /* trace: batches that go before, as in a run */
    moe_batch_order order; /* trace: of batches */
    uint64_t seed;
    bool no_limits;       /* leave out where verdicts turn: all NaN */
    const char *measured; /* where dials.accuracy is from; NULL: assumed.
                             Borrowed */
    moe_advise_dials dials;
} moe_advise_params;

/** Fill in defaults: batch 1, seq 512, error 0, accuracy 0.9, direct routing,
 *  a plan per iteration for which all copies of token-to-expert travel (the
 *  worst case; 0 is the paper's, which hides them), seed 1. */
void moe_advise_params_init(moe_advise_params *p);

/** @return slots per GPU when none are asked for: those of the home placement
 *  and two more, or an eighth of them where that is more, but never more than
 *  experts. For Mixtral on 4 GPUs that is 4, as in the paper; for DeepSeek-V3
 *  on 32 GPUs 10, where its authors take 9. */
int moe_advise_slots(int experts, int gpus);

/** A layer's modelled time: medians over samples. */
typedef struct moe_advise_time {
    double layer_s, ci_low, ci_high; /* NaN below 6 samples */
    double least_s, most_s;          /* of a sample */
    double gpu_s[MOE_N_PHASES];      /* busiest GPU of each phase */
    double exposed_s[MOE_N_PHASES];  /* layer_s is of their sum */
    double error_s;                  /* of the cost model; NaN: unknown */
    double imbalance;        /* pairs of the busiest GPU over the mean */
    moe_price_source source; /* the least certain of all parts */
    unsigned extrapolated;   /* bit p: phase p is priced beyond what was
                                measured, in some sample */
} moe_advise_time;

typedef struct moe_advise moe_advise;

/** Sample loads, plan and count. Release with moe_advise_free().
 *  @return MOE_OK, MOE_USAGE (a value out of range, saying which), MOE_MISMATCH
 *  (a trace of another model), MOE_NOMEM. */
moe_status moe_advise_new(const moe_advise_params *params, moe_advise **out,
                          moe_error *err);
void moe_advise_free(moe_advise *a);

/** The same of another load on the same model, cluster and GPUs, with the
 *  prices of `like`, which must outlive it: nothing is read anew. */
moe_status moe_advise_new_like(const moe_advise *like,
                               const moe_advise_params *params,
                               moe_advise **out, moe_error *err);

/** Price other links, of `a` and of all that share its prices; counts and
 *  plans stay. @param node_rate, network_rate  B/s per GPU and direction, as
 *  in the cluster's profile. */
void moe_advise_set_links(moe_advise *a, double node_rate, double network_rate);

/** Price a strategy. @param dials  NULL: those of the params. */
moe_status moe_advise_price(const moe_advise *a, const moe_advise_dials *dials,
                            moe_advise_strategy s, moe_advise_case c,
                            moe_advise_time *out, moe_error *err);

/** Price a strategy in all cases.
 *  @param out            [MOE_ADVISE_CASES]
 *  @param typical_s_out  as moe_advise_sample_s() of the typical case; NULL: not
 *  asked */
moe_status moe_advise_price_cases(const moe_advise *a, moe_advise_strategy s,
                                  moe_advise_time *out, double *typical_s_out,
                                  moe_error *err);

/** @return the median alone; NaN when out of memory. */
double moe_advise_layer_s(const moe_advise *a, const moe_advise_dials *dials,
                          moe_advise_strategy s, moe_advise_case c);

/** Samples of the layer time, paired between strategies. With a trace a
 *  sample is the mean over the batches that a plan serves.
 *  @param x_out  [moe_advise_facts.samples] */
void moe_advise_sample_s(const moe_advise *a, const moe_advise_dials *dials,
                         moe_advise_strategy s, moe_advise_case c,
                         double *x_out);

/** What the counted loads look like, medians over samples. */
typedef struct moe_advise_facts {
    int slots, home_slots, samples;
    double passes; /* trace: how often its test part is used */
    double tokens;
    double skew;         /* busiest expert (bottleneck: GPU) over the mean, of
                            the batch */
    double error;        /* sum |p^ - p| of the distribution; by hand as told */
    double sampling;     /* by hand: sum |p^ - p| that drawing the batch made,
                            beside that; else 0 */
    double copies;       /* replicas beside the homes, of all GPUs */
    double copy_bytes;   /* a GPU's room for copies, all layers */
    double expert_bytes; /* all experts of a GPU, copies included */
    double planner_s;    /* one plan of one layer */
    double first_bytes;  /* trace: what the first plan of distribution-only
                            moves, from the homes; all GPUs, a layer; it is
                            in no time */
    double moved_bytes;  /* trace: what later ones move, per batch; likewise */
    double over_limit; /* token trace: share of tokens whose experts' homes lie
                            in more nodes than serving.group_limit; NaN: no
                            limit, or no tokens */
} moe_advise_facts;
void moe_advise_facts_of(const moe_advise *a, moe_advise_facts *out);

/** Where a verdict turns. NaN: nowhere within the range looked at. */
typedef struct moe_advise_limits {
    double accuracy;   /* token-to-expert wins from here on, dials else equal */
    double overhead_s; /* ... and below this */
    double bandwidth_low;  /* nearest link bandwidths, B/s, at which the */
    double bandwidth_high; /* winner changes: below, above the cluster's */
    bool network; /* ... of the network between nodes, not of the links */
    double skew_low, skew_high; /* nearest skewness at which the winner
                                   changes; by hand only */
    double rebalance;   /* iterations per plan from which token-to-expert beats
                         the baseline: its copies pay for their traffic */
    double tokens;      /* per batch from which distribution-only does; by hand
                         only */
    double tokens_most; /* looked at; less where kernels take no more */
} moe_advise_limits;

/** The times of one interval between plans, of a walk through a trace. */
typedef struct moe_advise_interval {
    int every, plans; /* batches between plans; how many plans were paid for */
    double layer_s[MOE_ADVISE_STRATEGIES]; /* mean over batches, migration and
                                              staleness as they came */
    double first_bytes, moved_bytes;       /* as in moe_advise_facts */
} moe_advise_interval;

/** A number of copies: what they win, and what they take. */
typedef struct moe_advise_room {
    int slots;         /* of a GPU and layer */
    double now, next;  /* balancedness, mean over busiest GPU: of a batch that
                          was planned for; of one that the forecast meets */
    double copy_bytes; /* of a GPU, all layers */
    double layer_s;    /* distribution-only on what the forecast meets */
    double rate;       /* then tokens/s of a GPU */
    double room_bytes; /* left for the cache; below 0: weights do not fit */
    double sequences;  /* that it has room for, as in moe_model_memory */
    double batch; /* as many sequences on all GPUs as fit and kernels take */
    double full_rate; /* decode by hand: tokens/s of a GPU with that batch; NaN:
                          not asked */
} moe_advise_room;

enum { MOE_ADVISE_ROOMS = 6, MOE_ADVISE_MAX_BATCH = 1 << 24 };

/** The whole model, typical case. */
typedef struct moe_advise_model {
    moe_model_rest rest;
    moe_model_memory memory; /* with the slots of the advice */
    double cached;           /* tokens of a sequence in the cache */
    double batch;            /* sequences of a GPU, or of those that share
                                attention */
    moe_model_time time[MOE_ADVISE_STRATEGIES];
    double moved_bytes; /* of the busiest GPU, all layers, when all that
                           distribution-only places comes from the homes */
    double moved_s;     /* by themselves: a stop of the engine */
    double moved_pays;  /* iterations in which distribution-only saves as much;
                           infinite: it saves nothing */
    moe_advise_room room[MOE_ADVISE_ROOMS]; /* 0, 1, 2, 4, ... spare slots */
    int n_rooms;                            /* 0: not looked at */
    int room_samples;                       /* that rows are of; 0: of all */
    int pays; /* the row with fewest copies within 1 % of the highest rate */
} moe_advise_model;

typedef struct moe_advice {
    moe_advise_facts facts;
    moe_advise_time time[MOE_ADVISE_STRATEGIES][MOE_ADVISE_CASES];
    moe_advise_strategy winner[MOE_ADVISE_CASES], second[MOE_ADVISE_CASES];
    double margin;          /* typical: second over winner, less 1 */
    double ci_low, ci_high; /* 95 % of second / winner; NaN: too few samples */
    double error; /* of the cost model, two prices in three; NaN: unknown */
    moe_price_lead lead; /* what it leaves of the winner's lead */
    double share; /* trace: of samples in which the winner is the faster */
    bool survives_cases, survives_ci, survives_error;
    moe_advise_limits limits;
    moe_advise_model model;
    const moe_advise_interval *interval; /* [n_intervals] borrowed, of whoever
                                            walked through them; none of
                                            moe_advise_run() */
    int n_intervals;
} moe_advice;

/** Price all, recommend baseline or distribution, and find the limits under
 *  the typical case. The oracle cannot be had, and a predictor of tokens is as
 *  good as is assumed: both are told, not recommended, but for the paper's
 *  assumptions, whose question they are.
 *  @return as moe_advise_new(). */
moe_status moe_advise_run(const moe_advise_params *params, moe_advice *out,
                          moe_error *err);

/** How well the best known predictor foretells tokens of a model, as
 *  results/evaluate.md has it. */
typedef struct moe_advise_measured {
    const char *model, *predictor, *trace;
    double recall;     /* of tokens' experts */
    double load_error; /* of a batch of 512 tokens, sum |p^ - p|, median */
    double distribution_error; /* of predictor distribution, over all batches */
} moe_advise_measured;

/** @return what is known of a model; NULL: nothing. */
const moe_advise_measured *moe_advise_measured_of(const char *model);

/** @return whether a strategy may be recommended. */
bool moe_advise_can_win(const moe_advise_dials *dials, moe_advise_strategy s);

/** @return the faster of the strategies that may be recommended. */
moe_advise_strategy moe_advise_winner(const moe_advise *a,
                                      const moe_advise_dials *dials,
                                      moe_advise_case c);

/** Walk the same batches of a trace with each interval: at least five of the
 *  longest. @param every  [n] @param out  [n]
 *  @return as moe_advise_new(). */
moe_status moe_advise_intervals(const moe_advise_params *params,
                                const int *every, int n,
                                moe_advise_interval *out, moe_error *err);

/** @return the interval, by its index, at which the strategy is fastest. */
int moe_advise_best_interval(const moe_advise_interval *interval, int n,
                             moe_advise_strategy s);

#endif
