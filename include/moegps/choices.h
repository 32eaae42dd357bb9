/** choices.h: what a strategy that chooses did: whom it used, why it switched,
 *  and what that cost against the best candidate in hindsight.
 *
 *  From /choice and the layer times of a run; all times are of the gpu clock:
 *  modelled. Local; no MPI.
 */
#ifndef MOEGPS_CHOICES_H
#define MOEGPS_CHOICES_H

#include "moegps/status.h"
#include "moegps/view.h"

typedef struct moe_switch {
    int iteration;       /* from which on `to` was used */
    int from, to;        /* strategies */
    double from_s, to_s; /* of a layer under each, in the round of the last try
                            before it */
} moe_switch;

/** One candidate. */
typedef struct moe_candidate {
    int strategy;
    double used;    /* share of the iterations measured */
    double layer_s; /* of a layer, mean over these, had it been fixed: as the
                       run measured it; NaN: it did not */
} moe_candidate;

typedef struct moe_choices {
    int strategy;             /* that chooses */
    moe_candidate *candidate; /* [n], owned */
    int n;
    moe_switch *at; /* [n_switches], owned */
    int n_switches;
    int iterations; /* measured */
    double tried;   /* share of them with a try */
    double tries_s; /* of a layer, mean over all: what tries took */
    double layer_s; /* of a layer, mean over all */
    int best;       /* candidate that would have taken least, fixed; -1 */
    double regret;  /* layer_s over that of the best, - 1; NaN */
} moe_choices;

/** Read what strategies of a run chose from its file. Not collective. Release
 *  with moe_choices_free().
 *  @param out  heap array [*n_out], a row for each that chooses; NULL: none
 *  @return MOE_OK, MOE_USAGE (the file is gone), MOE_MISMATCH (it is of another
 *  run), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_choices_read(const moe_view *view, moe_choices **out, int *n_out,
                            moe_error *err);
void moe_choices_free(moe_choices *choices, int n);

#endif
