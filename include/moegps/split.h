/** split.h: the family that divides true pairs among an expert's replicas.
 *
 *  Splits that need the counts of all ranks are told the pairs of all ranks
 *  per expert (a sum) and where the own ones begin in rank order (a prefix
 *  sum). Every split then tells without talk which replica each of the rank's
 *  pairs goes to. Local, deterministic, inside the timed
 *  dispatch phase: allocates nothing.
 */
#ifndef MOEGPS_SPLIT_H
#define MOEGPS_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/layout.h"
#include "moegps/options.h"
#include "moegps/plan.h"
#include "moegps/status.h"

/** What a split is told once. */
typedef struct moe_split_env {
    moe_layout layout;
    int experts, slots; /* slots: of each GPU */
} moe_split_env;

/** One layer at dispatch time. All borrowed. */
typedef struct moe_split_input {
    const moe_replicas *replicas;
    const moe_layout *layout;
    int gpu;               /* this rank's */
    const uint64_t *total; /* [experts] pairs of all ranks; NULL: not needed */
    const uint64_t *first; /* [experts] pairs of lower ranks; likewise */
    const uint32_t *own;   /* [experts] pairs of this rank */
} moe_split_input;

typedef struct moe_split {
    const char *name, *help; /* spelling; one line for `moegps list` */
    const moe_opt *opts;     /* own options, or NULL */
    size_t params_size;      /* of the struct that opts fill */
    size_t state_size;       /* moe_split_new() allocates and zeroes it */
    moe_division division;   /* what planners take it for */
    bool needs_counts;       /* divide reads `total` and `first`, which take an
                          exchange of counts among all ranks, wherever the
                          plan has copies; else it reads neither */
    bool solves; /* divide solves a program over all counts, which a GPU takes
                    the cluster's split_solver_s for */
    /** Once per run; NULL: nothing to set up. @param params  borrowed while
     *  the state lives. @return MOE_OK, MOE_NOMEM. */
    moe_status (*init)(void *state, const moe_split_env *env,
                       const void *params, moe_error *err);
    /** Divide. The pairs of an expert go to its replicas in order.
     *  @param pairs_out  [replicas] of this rank's pairs each replica gets;
     *  sums to own[e] over the replicas of e. */
    void (*divide)(void *state, const moe_split_input *in, uint32_t *pairs_out);
    void (*fini)(void *state); /* NULL: nothing to release; accepts a partly
                                  initialised state */
} moe_split;

/** @return the member of this name, or NULL. */
const moe_split *moe_split_find(const char *name);

/** @return member i, or NULL past the last. */
const moe_split *moe_split_at(size_t i);

/** All names, "A, B, C", cut where the text ends. */
void moe_split_names(char *text, size_t size);

/** @return a state, set up; release it with moe_split_free(). NULL, with the
 *  init hook's error, when it cannot. */
void *moe_split_new(const moe_split *split, const moe_split_env *env,
                    const void *params, moe_error *err);
void moe_split_free(const moe_split *split, void *state);

/** Divide one expert by shares, exactly: of n pairs in all, replica r gets
 *  those numbered [floor(n C_r / C), floor(n C_r+1 / C)), C_r the sum of the
 *  weights before r. This rank's are [first, first + own).
 *  @param weight     [n_replicas], or NULL: all 1; their sum is below 2^31,
 *                    n below 2^32.
 *  @param pairs_out  [n_replicas]. */
void moe_split_by_weight(const uint32_t *weight, uint32_t n_replicas,
                         uint64_t n, uint64_t first, uint32_t own,
                         uint32_t *pairs_out);

#endif
