/** verdict.h: who wins a run, by how much, and how sure that is. */
#ifndef MOEGPS_VERDICT_H
#define MOEGPS_VERDICT_H

#include <stdbool.h>

#include "moegps/stats.h"
#include "moegps/status.h"
#include "moegps/view.h"

/** Which strategies a question is about. Oracles predict with the truth: they
 *  are bounds, and cannot be built. */
typedef enum moe_contenders {
    MOE_EVERYONE,
    MOE_BUILDABLE,
    MOE_BUILDABLE_TOKENS,    /* of these, those that foretell tokens */
    MOE_BUILDABLE_NO_TOKENS, /* and those that do not */
    MOE_ORACLES,
    MOE_ORACLES_TOKENS
} moe_contenders;

/** Whether a strategy is one of them. */
bool moe_contends(const moe_view *view, int strategy, moe_contenders who);

/** @param time_s  [n]; NaN takes no part.
 *  @return the number of the least, the first of equals; -1: there is none. */
int moe_least(const double *time_s, int n);

/** The same of the largest of any numbers. */
int moe_most(const double *x, int n);

/** @return the strategy of least median time among some, except `taken`; -1:
 *  none of them was measured. */
int moe_fastest(const moe_view *view, moe_clock clock, moe_contenders who,
                int taken);

typedef struct moe_strategies {
    int n, at[MOE_MAX_STRATEGIES]; /* numbers of strategies */
} moe_strategies;

/** @return those that foretell tokens among some, by rising recall. */
moe_strategies moe_by_recall(const moe_view *view, moe_contenders who);

/** Why a run has no verdict. */
typedef enum moe_doubt {
    MOE_DOUBT_NONE,
    MOE_DOUBT_ALONE,   /* one strategy, or none */
    MOE_DOUBT_ONE_GPU, /* nothing to balance */
    MOE_DOUBT_FEW,     /* too few independent samples */
    MOE_DOUBT_OVERLAP  /* the interval of the margin holds 1 */
} moe_doubt;

typedef struct moe_verdict {
    moe_clock clock;  /* the one that counts */
    int best;         /* the fastest that can be built; -1: none was measured */
    int second;       /* the next; -1: none */
    int oracle;       /* the fastest oracle; -1: none */
    moe_ratio margin; /* the second's time over the best's, by pairs */
    moe_doubt doubt;
} moe_verdict;

/** @return whether ranks kept a GPU's pace in attention and FFN, at full size. */
bool moe_verdict_is_paced(const moe_view *view);

/** @return whether the wall clock is a result: where ranks had a core each; where
 *  they kept a GPU's pace, if deadlines were kept (MOE_MOST_LATE). */
bool moe_verdict_wall_counts(const moe_view *view);

/** @return the clock that counts: the one asked for; else gpu where the wall clock
 *  is no result or executed experts were scaled, which no GPU's times are like;
 *  else wall. */
moe_clock moe_verdict_clock(const moe_view *view);

/** @return whether times of a clock are a result: of gpu always, of wall unless
 *  ranks shared cores or executed scaled experts, of cpu never, which checks
 *  the wall clock. */
bool moe_clock_is_result(const moe_view *view, moe_clock clock);

/** Judge a run by its medians. Not collective. @return MOE_OK, MOE_NOMEM. */
moe_status moe_verdict_find(const moe_view *view, moe_verdict *out,
                            moe_error *err);

/** A phase in which two times differ. */
typedef struct moe_phase_gap {
    int phase;    /* moe_phase; -1: none */
    double gap_s; /* the one less the other */
} moe_phase_gap;

/** Find the phases that differ most, the largest difference first.
 *  @param a, b  [MOE_N_PHASES] s; NaN differs from nothing.
 *  @param out   [n], n <= MOE_N_PHASES */
void moe_phase_gaps(const double *a, const double *b, moe_phase_gap *out,
                    int n);

/** @return the largest share among strategies of a phase's prices that are from
 *  there; NaN: not recorded. */
double moe_most_priced(const moe_view *view, int phase,
                       moe_price_source source);

#endif
