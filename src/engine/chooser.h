/* chooser.h: when a strategy that chooses switches: the rule, on times alone.
 *
 * What a candidate would save adds up from try to try, and a loss takes away
 * again, down to nothing. A switch is made when the sum exceeds what the way
 * to the candidate costs: one rents until buying would have been cheaper, so
 * that switches cost no more than staying did before them (Karlin, Manasse,
 * Rudolph, Sleator 1988). Of several such, that which would have saved most is
 * chosen.
 *
 * Trying costs what the candidates predict and plan. One that takes longer than
 * the one chosen by more than MOE_CHOOSER_CLOSE waits out a try, then three,
 * then seven; all are tried again when the one in use takes another time than in
 * the try before, as then traffic has changed. Local and deterministic.
 */
#ifndef MOEGPS_ENGINE_CHOOSER_H
#define MOEGPS_ENGINE_CHOOSER_H

#include "moegps/ledger.h"

enum { MOE_CHOOSER_WAITS = 7 }; /* most tries that a loser waits */
static const double MOE_CHOOSER_CLOSE = 0.02; /* share of the time in use */
static const double MOE_CHOOSER_OTHER = 0.05; /* change of it */

typedef struct moe_chooser {
    int n;             /* candidates */
    double hysteresis; /* share of the time in use that has to be saved before
                          it counts */
    double stands_for; /* iterations that a try speaks of */
    double first_s[MOE_MAX_STRATEGIES]; /* of this try: the iteration in which
                                           each arrives */
    double sum_s[MOE_MAX_STRATEGIES];   /* and those in which it stays */
    int n_added;                        /* of these */
    double saved_s[MOE_MAX_STRATEGIES]; /* over tries */
    int waits[MOE_MAX_STRATEGIES];      /* tries that it still sits out */
    int losses[MOE_MAX_STRATEGIES];     /* in a row */
    double before_s; /* of the one in use in the try before; 0: none */
} moe_chooser;

void moe_chooser_init(moe_chooser *c, int n, double hysteresis,
                      double stands_for);

/* @return the candidate that takes least; of equals the first. */
int moe_chooser_start(const moe_chooser *c, const double *time_s);

/* A try is about to begin, in which the one in use takes so long. */
void moe_chooser_notice(moe_chooser *c, double in_use_s);

/* @return whether the candidate takes part in this try; else its times are
 * ignored. */
bool moe_chooser_tries(const moe_chooser *c, int candidate);

/* A try begins. @param time_s  [n] s of an iteration under each candidate; of
 * those not in use with the way there. */
void moe_chooser_begin(moe_chooser *c, const double *time_s);

/* An iteration of a try, after the first. @param time_s  [n] s, without the
 * way. */
void moe_chooser_add(moe_chooser *c, const double *time_s);

/* A try ends. @return the candidate to use from here on, maybe in_use. */
int moe_chooser_decide(moe_chooser *c, int in_use);

#endif
