/** break_even.h: how fast and how right a predictor of tokens would have to be
 * to win. Judged by the run's own times, on the gpu clock: modelled.
 */
#ifndef MOEGPS_BREAK_EVEN_H
#define MOEGPS_BREAK_EVEN_H

#include <stdbool.h>

#include "moegps/view.h"

typedef struct moe_break_even {
    int strategy; /* fastest that foretells tokens and can be built; -1: none */
    int rival;    /* fastest of all others that can be built; -1: none */
    bool ahead;   /* the strategy is faster than its rival */
    double predict_s; /* what its predictor takes per layer */
    double limit_s;   /* ... and may take to be as fast as the rival; below 0:
                         it could not even be free */
    double recall;    /* of its predictor */
    int without; /* fastest that can be built and foretells no tokens; -1 */
    double recall_needed; /* of a predictor that takes predict_s (without a
                             strategy: nothing) to be as fast as `without`; NaN:
                             none up to `recall_most` would do */
    double recall_loses, recall_wins; /* of the run's strategies next to that,
                                         between which it is by a line */
    int like; /* strategy that has the planner and split of which these recalls
                 are; -1: none foretells tokens */
    double recall_least, recall_most;    /* of all that foretell tokens and are
                                         alike otherwise, oracles too; NaN:
                                         there are none */
    double budget_s[MOE_MAX_STRATEGIES]; /* what each strategy's predictor may
                                            take to be as fast as the fastest
                                            other that can be built; NaN: it
                                            foretells no tokens */
} moe_break_even;

/** Judge a run by the medians of its gpu clock. */
moe_break_even moe_break_even_of(const moe_view *view);

#endif
