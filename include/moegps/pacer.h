/** pacer.h: keep an absolute deadline while something else makes progress.
 *
 *  A paced phase ends at a moment that was fixed when it began. The caller
 *  sleeps until shortly before it and polls the clock for the rest, because a
 *  sleep ends late: by 95-150 us in the median on a virtual machine of two
 *  cores. Meanwhile work in the background - messages, say - is given a chance
 *  at a set interval, by the caller itself between sleeps or by a thread.
 */
#ifndef MOEGPS_PACER_H
#define MOEGPS_PACER_H

#include <stdbool.h>

#include "moegps/status.h"

/** Who makes progress. */
typedef enum moe_progress_by {
    MOE_PROGRESS_POLL,  /* the caller, between sleeps */
    MOE_PROGRESS_THREAD /* a thread, while the caller sleeps */
} moe_progress_by;

typedef struct moe_pacer_params {
    /* Advance what is in the background, without waiting. Never runs outside
     * moe_pacer_wait(), nor twice at once: state needs no lock, and MPI no more
     * than MPI_THREAD_SERIALIZED. NULL: nothing is.
     * @return whether there is more to do: if not, the caller sleeps on. */
    bool (*progress)(void *arg);
    void *arg;
    moe_progress_by by;
    double interval_s; /* between two calls, >= 0; 0: no sleep at all, the
                          caller polls with a whole core */
} moe_pacer_params;

typedef struct moe_pacer moe_pacer;

/** Learn how late sleeps end here, and start the thread. Not collective; takes
 *  some 10 ms. @param out  release with moe_pacer_free(), outside of a wait.
 *  @return MOE_OK, MOE_NOMEM, MOE_LIBRARY (no thread). */
moe_status moe_pacer_new(const moe_pacer_params *params, moe_pacer **out,
                         moe_error *err);

/** NULL is fine. */
void moe_pacer_free(moe_pacer *p);

/** Wait for a moment of moe_clock_wall(). @return s by which it ended late,
 *  >= 0. */
double moe_pacer_wait(moe_pacer *p, double deadline_s);

/** How exactly deadlines are kept here, with nothing in the background. */
typedef struct moe_pacer_error {
    int n;                           /* waits */
    double phase_s;                  /* of each */
    double median_s, p99_s, worst_s; /* late */
} moe_pacer_error;

enum { MOE_PACER_TRIES = 200 };

/** Measure it. Not collective. @param phase_s  > 0. */
moe_pacer_error moe_pacer_measure(moe_pacer *p, double phase_s);

/** @return s before a deadline at which sleep ends and polling begins. */
double moe_pacer_near_s(const moe_pacer *p);

#endif
