/** comparison.h: two result files, strategy by strategy.
 *
 *  A ratio is B's layer time over A's, above 1 where B is slower. Iterations
 *  with equal batches are pairs; runs without any are compared by the medians
 *  of all their samples.
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

typedef struct moe_comparison {
    const moe_view *a, *b; /* borrowed */
    moe_clock clock;
    char reference[64]; /* times are relative to it; "": they are times */
    bool paired;        /* the same batches */
    size_t n_pairs;     /* iterations whose batches agree */
    char differs[512];  /* what else is not the same, for people; "": nothing */
    moe_comparison_row *row; /* [n_rows] of strategies in both; owned */
    int n_rows;
    bool trivial_clock; /* the wall clock of ranks that share cores */
} moe_comparison;

/** @return the clock that counts for both: wall, or gpu where the ranks of one
 *  shared cores. */
moe_clock moe_comparison_clock(const moe_view *a, const moe_view *b);

/** Compare. Not collective. Release with moe_comparison_fini().
 *  @param reference  NULL, or a strategy in both files: then times relative to
 *                    its time on the same batch are compared, which takes the
 *                    machine's own speed out.
 *  @return MOE_OK, MOE_MISMATCH (another model, no strategy in common), MOE_USAGE
 *  (no such reference), MOE_NOMEM. */
moe_status moe_compare(const moe_view *a, const moe_view *b, moe_clock clock,
                       const char *reference, moe_comparison *out,
                       moe_error *err);
void moe_comparison_fini(moe_comparison *c);

/** @return the row whose interval lies wholly above 1 + threshold, and furthest;
 *  -1: none is slower beyond doubt. */
int moe_comparison_worst(const moe_comparison *c, double threshold);

#endif
