/** clock.h: this machine's clocks, in seconds. */
#ifndef MOEGPS_CLOCK_H
#define MOEGPS_CLOCK_H

#include <time.h>

static inline double moe_clock_read(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/** @return seconds since some moment in the past. */
static inline double moe_clock_wall(void)
{
    return moe_clock_read(CLOCK_MONOTONIC);
}

/** @return CPU time of this process, all threads. */
static inline double moe_clock_cpu(void)
{
    return moe_clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

/** @return CPU time of this thread. */
static inline double moe_clock_thread_cpu(void)
{
    return moe_clock_read(CLOCK_THREAD_CPUTIME_ID);
}

#endif
