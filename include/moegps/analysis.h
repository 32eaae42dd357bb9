/** analysis.h: what the numbers of runs say, worked out once for all forms of
 *  a report.
 */
#ifndef MOEGPS_ANALYSIS_H
#define MOEGPS_ANALYSIS_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/break_even.h"
#include "moegps/choices.h"
#include "moegps/detail.h"
#include "moegps/map.h"
#include "moegps/regime_map.h"
#include "moegps/scaling.h"
#include "moegps/sensitivity.h"
#include "moegps/status.h"
#include "moegps/verdict.h"
#include "moegps/view.h"

enum {
    MOE_ANALYSIS_GAPS = 2,         /* phases that explain a strategy's time */
    MOE_ANALYSIS_SENSITIVITIES = 8 /* runs whose sensitivity is analysed: each
                                      takes up to half a second */
};

/** What is wanted beyond what views tell at once. */
typedef enum moe_wanted {
    MOE_WANT_SENSITIVITY = 1, /* of at most MOE_ANALYSIS_SENSITIVITIES runs */
    MOE_WANT_DETAIL = 2,      /* from the runs' own files */
    MOE_WANT_REGIME_MAP = 4   /* of a single run, and with both others */
} moe_wanted;

/** One run. */
typedef struct moe_run_analysis {
    const moe_view *view; /* borrowed */
    moe_verdict verdict;
    moe_phase_gap (*gap)[MOE_ANALYSIS_GAPS]; /* [strategies] in which phases
                                                each differs most from the
                                                reference, on the clock that
                                                counts; owned */
    moe_break_even break_even;
    moe_choices *choices; /* [n_choices] strategies that choose; owned */
    int n_choices;
    moe_sensitivity sensitivity;
    moe_detail detail;   /* stragglers and traffic are of the verdict's best, or
                          of the reference where nothing was measured */
    bool detailed;       /* else it is empty, and ... */
    moe_error no_detail; /* ... why, if it was wanted */
    moe_regime_map regime;
} moe_run_analysis;

typedef struct moe_analysis {
    moe_run_analysis *run; /* [n], owned */
    size_t n;
    moe_scaling scaling; /* of all runs together */
    const moe_map *map;  /* [n_maps] shown beside the runs; borrowed */
    size_t n_maps;
} moe_analysis;

/** Analyse runs. Not collective. A run whose file is gone or of another run has
 *  no details, and what cannot be priced here has neither sensitivity nor
 *  regime map: no errors. Release with moe_analysis_fini().
 *  @param views   [n], borrowed
 *  @param wanted  sum of moe_wanted
 *  @return MOE_OK, MOE_FORMAT, MOE_IO (of details), MOE_NOMEM. */
moe_status moe_analysis_init(moe_analysis *out, const moe_view *views, size_t n,
                             int wanted, moe_error *err);
void moe_analysis_fini(moe_analysis *analysis);

#endif
