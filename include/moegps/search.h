/** search.h: which predictor, how many redundant experts, planned anew how
 *  often: every combination walks through the same recorded batches.
 *
 *  A walk plans as a deployment would: from what is known before the batch, by
 *  the planner, for the split in use; between plans the loads that really
 *  followed meet the plan in force. Each plan pays for its making and for what
 *  travels; what the first one moves from the homes is told apart. Plans that
 *  serve many batches are few: walks that make them at other batches are taken
 *  together. All GPUs have the same mix of tokens. Times are modelled, by the
 *  prices of a run's gpu clock (iteration_price.h).
 *
 *  A large grid is looked at on few layers first; the better part on more, and
 *  on all what is recommended and the fastest of every number of copies and
 *  every interval. Local; deterministic.
 */
#ifndef MOEGPS_SEARCH_H
#define MOEGPS_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/cluster.h"
#include "moegps/iteration_price.h"
#include "moegps/learned.h"
#include "moegps/model.h"
#include "moegps/planner.h"
#include "moegps/model_price.h"
#include "moegps/predictor.h"
#include "moegps/serving.h"
#include "moegps/split.h"
#include "moegps/stats.h"
#include "moegps/trace.h"

/** A predictor that is tried. Borrowed. */
typedef struct moe_search_predictor {
    char label[64];                 /* "window of 8" */
    const moe_predictor *predictor; /* that foretells loads or tokens */
    const void *params;
    int window; /* batches that it sums up; 0: another way of learning */
} moe_search_predictor;

enum {
    MOE_SEARCH_ONCE = 0, /* interval: one plan, before the first batch */
    MOE_SEARCH_PLANS = 5 /* plans of the longest interval, at least */
};

/** All borrowed. */
typedef struct moe_search_params {
    const moe_model *model;
    const moe_cluster *cluster;
    const moe_trace *trace;
    const moe_learned *learned; /* for predictors that need it, or NULL */
    moe_serving serving;
    int gpus;
    int batch, seq;    /* as in moe_batcher_params */
    double seq_tokens; /* of a sequence, for attention; 0: a batch has as many
                          sequences as `batch` says */
    moe_batch_order order;
    uint64_t seed;
    int warmup; /* batches before the first that is priced, at least 1 */
    const moe_search_predictor *predictor; /* [n_predictors] the simplest
                                              first */
    int n_predictors;
    const moe_planner *const *planner; /* [n_planners], with copies or not */
    int n_planners;
    const int *spare; /* [n_spares] slots of a GPU beside its homes, rising */
    int n_spares;
    const int *interval; /* [n_intervals] batches that a plan serves, rising */
    int n_intervals;
    int step_passes; /* forward passes that a recorded step is of, where a batch
                        is one of them: so many batches are alike, and a plan
                        is made in one of them; 0, 1: a step is a batch */
    int phases;      /* walks of a combination, at most, each with plans at
                        other batches; 0: as many as tell, with all layers */
    int lookahead;   /* layers ahead that a layer is planned, or
                        MOE_LOOKAHEAD_ALL */
    double assumed;  /* accuracy of a predictor that nobody has; 0: none */
    int layers;      /* looked at first, of all combinations; 0: few, where all
                        would take long */
    bool quiet;      /* no progress */
} moe_search_params;

/** One combination. */
typedef struct moe_search_point {
    int predictor, planner, spare; /* indices into the params */
    int every;       /* batches that a plan serves, or MOE_SEARCH_ONCE */
    bool dispatched; /* rows of foretold tokens do not go ahead of the router */
    int layers;      /* that it was last walked with */
    int batches;     /* ... and through; fewer than all: it was given up */
    double layer_s;  /* mean over batches and those layers */
    double base_s;   /* the same of the homes, nothing predicted */
    double gain_low, gain_high; /* 95 % of its gain; NaN: too few batches */
    double error;               /* of the foretold load, sum |p^ - p|, mean */
    double recall;      /* of tokens' experts; NaN: loads are foretold */
    double first_bytes; /* that the first plan moves, all GPUs, a layer */
    double moved_bytes; /* that later ones move, per batch (all of a step's),
                           likewise */
} moe_search_point;

/** @return by how much faster than the homes: base_s / layer_s - 1. */
double moe_search_gain(const moe_search_point *point);

/** What a number of copies leaves of a GPU's memory, and what that is worth. */
typedef struct moe_search_room {
    double room_bytes; /* left for the cache; below 0: weights do not fit */
    double sequences;  /* that it has room for, as in moe_model_memory */
    double rate;  /* tokens/s of a GPU, by the fastest of its combinations */
    double batch; /* decode: sequences of all GPUs that fit, and that the
                          exchange's kernel takes */
    double full_rate; /* decode: tokens/s of a GPU with them, if a batch has the
                          same shares of experts; NaN: it cannot be */
} moe_search_room;

typedef struct moe_search {
    moe_search_point *point; /* [n_points] owned */
    int n_points;
    int batches, layers;   /* priced; of the trace */
    int first_layers;      /* of the first look */
    int known_layers;      /* of the closest one, in the end all */
    double tokens;         /* of a batch, mean */
    double sequences;      /* of a batch, mean */
    double base_imbalance; /* of the homes: busiest GPU over mean */
    double passes;         /* over the trace's test part */
    bool recorded;         /* batches follow one another as recorded */
    int best;              /* of the points */
    int simplest;          /* within 1 % of the best; -1: doing nothing is */
    int placement;         /* best without copies; -1: there is none */
    double by_quota, by_minmax; /* what quotas that are planned for, and the
                                   best division of every batch over the same
                                   copies, would add to `simplest`: its time
                                   over theirs, less 1; NaN without copies */
    double assumed_gain; /* of a predictor as accurate as was assumed, that
                            takes no time; NaN: none was */
    int assumed_spare, assumed_planner; /* indices: with which */
    moe_model_time model, base_model;   /* of the whole model: with `simplest`
                                         (without one that of the homes), and
                                         of the homes; times of all batches and
                                         layers */
    int home_slots;                     /* of a GPU */
    double slot_bytes;                  /* of a slot in all layers */
    moe_search_room *room; /* [n_spares] by the layers of room_layers; owned */
    int room_layers;
    int pays;         /* of the rooms, the one with fewest copies within 1 % of
                           the highest full_rate, or without one, rate */
    double own_batch; /* sequences of a GPU, or of those that share attention */
    double cached;    /* tokens of a sequence in the cache */
} moe_search;

/** How simple: fewer copies, then a plan that serves longer, then a simpler
 *  predictor, then an earlier planner. @return < 0: a is simpler. */
int moe_search_compare(const moe_search_point *a, const moe_search_point *b);

/** @return the fastest of the points that were looked at closely and have so
 *  many spare slots (index; -1: any) and such an interval (-1: any); -1: there
 *  is none. */
int moe_search_fastest(const moe_search *search, int spare, int every);

/** Count the batches of one pass over the trace's test part.
 *  @param p     of it the trace, what a batch is, and the order
 *  @param most  at most so many are prepared for, at least 1
 *  @return MOE_OK, MOE_USAGE (no tokens), MOE_NOMEM. */
moe_status moe_search_count(const moe_search_params *p, int most, int *n_out,
                            moe_error *err);

enum { MOE_SEARCH_BATCHES = 4096 }; /* that walk, at most */

/** Search. Release with moe_search_fini().
 *  @return MOE_OK, MOE_USAGE (too few batches for five plans of the longest
 *  interval; what predictors and planners say), MOE_MISMATCH (a trace of
 *  another model), MOE_NOMEM. */
moe_status moe_search_run(const moe_search_params *params, moe_search *out,
                          moe_error *err);
void moe_search_fini(moe_search *search);

#endif
