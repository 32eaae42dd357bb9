/** comparison.h: two sides, strategy by strategy: a run or repetitions each.
 *
 *  A ratio is B's layer time over A's, above 1 where B is slower. Of one run a
 *  side, iterations with equal batches are pairs; runs without any are compared
 *  by the medians of all their samples. Such a ratio knows what differs within
 *  a run. What differs between runs, and on measured clocks that is most of it,
 *  is known of repetitions alone: then each run is one sample.
 */
#ifndef MOEGPS_COMPARISON_H
#define MOEGPS_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/stats.h"
#include "moegps/status.h"
#include "moegps/view.h"

typedef struct moe_comparison_row {
    int a, b;                  /* strategy in each file */
    double time_a_s, time_b_s; /* medians of the samples that are compared; with
                          a reference: of their ratio to its samples, 1 */
    moe_ratio ratio;           /* b / a */
    double noise;              /* half the interval's width over the ratio */
    const char *verdict; /* what the interval allows to say; static storage */
} moe_comparison_row;

/** Runs of the same experiment. */
typedef struct moe_comparison_side {
    const moe_view *run; /* [n] borrowed; n >= 1 */
    size_t n;
} moe_comparison_side;

typedef struct moe_comparison {
    moe_comparison_side side[2];
    const moe_view *a, *b; /* the first run of each */
    moe_clock clock;
    char reference[64]; /* times are relative to it; "": they are times */
    bool sure; /* variation between runs is in the intervals, or there is none:
                  the gpu clock is modelled */
    bool paired;       /* the same batches */
    size_t n_pairs;    /* iterations whose batches agree */
    char differs[512]; /* what else is not the same, for people; "": nothing */
    moe_comparison_row *row; /* [n_rows] of strategies in both; owned */
    int n_rows;
    bool trivial_clock; /* the wall clock of ranks that share cores */
} moe_comparison;

/** @param side  [2]. @return the clock that counts for both: wall, or gpu where
 *  the ranks of a run shared cores. */
moe_clock moe_comparison_clock(const moe_comparison_side *side);

/** Compare. Not collective. Release with moe_comparison_fini().
 *  @param reference  a strategy of all runs: times relative to its time on the
 *                    same batch are compared, which takes the machine's own
 *                    speed out. "": times. NULL: on measured clocks the
 *                    reference of A, if all have it; else times.
 *  @return MOE_OK, MOE_MISMATCH (another model, no strategy in common), MOE_USAGE
 *  (no such reference), MOE_NOMEM. */
moe_status moe_compare(const moe_comparison_side *side, moe_clock clock,
                       const char *reference, moe_comparison *out,
                       moe_error *err);
void moe_comparison_fini(moe_comparison *c);

/** @return the row whose interval lies wholly above 1 + threshold, and furthest;
 *  -1: none is slower beyond doubt, as none is where the comparison is not
 *  sure. */
int moe_comparison_worst(const moe_comparison *c, double threshold);

#endif
