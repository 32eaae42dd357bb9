/** replay.h: what a run would have taken on other links, for other batches, or
 *  better balanced: its own recorded work, priced anew.
 *
 *  Counts scale with the batch; plans, copies that travel and the share of
 *  pairs predicted right stay as they were. A predictor's time grows with
 *  tokens and does not shrink below them, as small products are bound by
 *  weights and launches; nor has it an expected error. All times are of the gpu clock: modelled. At the
 *  run's own size and links they are those of the run, to the last bit where
 *  all of it was read (work.h); moe_replay_sample_error() says how far the part that was
 *  read differs. All strategies are priced on the same part, so that comparing
 *  them is fair. Local; no MPI.
 */
#ifndef MOEGPS_REPLAY_H
#define MOEGPS_REPLAY_H

#include <stdbool.h>

#include "moegps/cluster.h"
#include "moegps/cost.h"
#include "moegps/model.h"
#include "moegps/work.h"

/** What is asked; moe_what_if_init() is the run itself. */
typedef struct moe_what_if {
    double tokens;   /* of a batch, over the run's. Sequences get more or
                        fewer; below one, shorter */
    double link;     /* bandwidth within a node, over the profile's */
    double network;  /* between nodes, likewise */
    moe_level level; /* how well loads are balanced: no GPU has more pairs than
                        the busiest would have had at that level */
    bool placed;     /* every row is at its expert before dispatch, as when
                        direct routing foretells all tokens */
} moe_what_if;

static inline moe_what_if moe_what_if_init(void)
{
    return (moe_what_if){1, 1, 1, MOE_LEVEL_ACTUAL, false};
}

typedef struct moe_replay moe_replay;

/** Prepare, with the profiles that the file has. Both arguments are borrowed
 *  until moe_replay_free().
 *  @param work  of the view. Release with moe_replay_free().
 *  @return MOE_OK, MOE_USAGE (the cluster cannot be priced here: no such cost
 *  model, or its tables are missing), MOE_MISMATCH (the run's own prices do
 *  not come out: other tables, or another version), MOE_NOMEM. */
moe_status moe_replay_new(const moe_view *view, const moe_work *work,
                          moe_replay **out, moe_error *err);
void moe_replay_free(moe_replay *replay);

/** Samples of the modelled time of a layer, s: means over layers, paired
 *  between strategies and questions.
 *  @param x_out  [work->samples] */
void moe_replay_samples_s(moe_replay *replay, int strategy,
                          const moe_what_if *what, double *x_out);

/** @return modelled time of a layer, s: median over samples of the mean over
 *  layers; NaN: the strategy was not measured. */
double moe_replay_layer_s(moe_replay *replay, int strategy,
                          const moe_what_if *what);

/** @return the largest relative difference, over strategies, between the
 *  run's own median and its replay. */
double moe_replay_sample_error(const moe_replay *replay);

/** @return the cost model's own expected error of a strategy's layer time in
 *  the run, s; NaN: unknown. */
double moe_replay_error_s(const moe_replay *replay, int strategy);

/** @return what it prices by; borrowed. */
const moe_cluster *moe_replay_cluster(const moe_replay *replay);

#endif
