/** verdict.h: what the numbers say, in sentences. */
#ifndef MOEGPS_VERDICT_H
#define MOEGPS_VERDICT_H

#include <stdbool.h>
#include <stdio.h>

#include "moegps/view.h"

/* Who wins, by how much, and how sure that is. */
typedef struct moe_verdict {
    moe_clock clock;  /* the one that counts */
    int best;         /* least median time of those that can be built, which an
                         oracle cannot; -1: nothing was measured */
    int second;       /* the next; -1: none */
    int bound;        /* the fastest oracle; -1: none */
    moe_ratio margin; /* the second's time over the best's, by pairs */
} moe_verdict;

/* @return the clock that counts: wall, or gpu where ranks shared cores. */
moe_clock moe_verdict_clock(const moe_view *view);

/* Whether a strategy predicts with the truth. */
bool moe_verdict_is_oracle(const moe_view *view, int strategy);

/* @return the strategy of least median time, of oracles or of the others, but
 * for `taken`; -1: none. */
int moe_verdict_fastest(const moe_view *view, moe_clock clock, bool oracle,
                        int taken);

moe_status moe_verdict_find(const moe_view *view, moe_verdict *out,
                            moe_error *err);

/* The verdict in one sentence, with its margin and confidence. */
void moe_verdict_say(const moe_view *view, const moe_verdict *v, char *text,
                     size_t size);

/* A heading, then a line per strategy: how much faster or slower than the
 * reference it is on the clock that counts, and which two phases make most of
 * that. @return heap memory, the caller frees it; NULL: nothing to compare. */
char *moe_verdict_why(const moe_view *view);

/* What was executed on this machine, if measured times depend on it: nothing
 * where the FFN was computed at full size, or the gpu clock counts. */
void moe_verdict_say_executed(const moe_view *view, char *text, size_t size);

/* A sentence about where the prices of the gpu clock are from. */
void moe_verdict_say_prices(const moe_view *view, char *text, size_t size);

#endif
