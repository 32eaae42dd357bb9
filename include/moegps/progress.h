/** progress.h: how far a long run is, on stderr, rank 0 only.
 *
 *  A bar that rewrites itself on a terminal; else one line every 30 s, so that
 *  the log of a batch job stays short. */
#ifndef MOEGPS_PROGRESS_H
#define MOEGPS_PROGRESS_H

#include <stdbool.h>

typedef struct moe_progress {
    const char *what; /* "iterations" */
    int total;
    bool show, terminal;
    double start_s, said_s; /* CLOCK_MONOTONIC */
} moe_progress;

/** @param show  false: say nothing (other ranks, --quiet). */
void moe_progress_begin(moe_progress *p, const char *what, int total,
                        bool show);

/** @param done  finished so far, 0..total. */
void moe_progress_step(moe_progress *p, int done);

void moe_progress_end(moe_progress *p);

#endif
