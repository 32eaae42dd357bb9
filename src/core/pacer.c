/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/pacer.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "moegps/clock.h"
#include "moegps/mem.h"
#include "moegps/stats.h"

/* The last of a wait is polled: as long as nine sleeps of ten end late, within
 * these bounds, or a busy machine would make the caller poll all the time. */
static const double LEAST_NEAR_S = 20e-6, MOST_NEAR_S = 300e-6;

enum { SLEEPS = 32 };
static const double SLEEP_S = 0.2e-3;

/* Progress that is made so close to a deadline may end behind it: copies of
 * a message of 256 KiB take about that. */
static const double GUARD_S = 50e-6;

struct moe_pacer {
    moe_pacer_params p;
    double near_s;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock; /* held by the thread while it makes progress */
    pthread_cond_t turn;
    atomic_bool waiting; /* the caller is in a wait: progress may be made */
    bool ended;          /* under lock */
};

static void sleep_until(double moment_s)
{
    struct timespec t;
    t.tv_sec = (time_t)moment_s;
    t.tv_nsec = (long)((moment_s - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

static double learn_near(void)
{
    double late_s[SLEEPS];
    for (int i = 0; i < SLEEPS; i++) {
        const double until_s = moe_clock_wall() + SLEEP_S;
        sleep_until(until_s);
        late_s[i] = moe_clock_wall() - until_s;
    }
    moe_median_sorting(late_s, SLEEPS);
    return fmin(fmax(late_s[SLEEPS * 9 / 10], LEAST_NEAR_S), MOST_NEAR_S);
}

/* While the caller waits, and no longer. */
static void make_progress(moe_pacer *p)
{
    bool more = true;
    while (more && !p->ended && atomic_load(&p->waiting)) {
        more = p->p.progress(p->p.arg);
        pthread_mutex_unlock(&p->lock);
        if (p->p.interval_s > 0)
            sleep_until(moe_clock_wall() + p->p.interval_s);
        pthread_mutex_lock(&p->lock);
    }
}

static void *background(void *arg)
{
    moe_pacer *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->ended) {
        if (atomic_load(&p->waiting))
            make_progress(p);
        if (!p->ended)
            pthread_cond_wait(&p->turn, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void start_thread(moe_pacer *p, moe_error *err)
{
    p->threaded = pthread_create(&p->thread, NULL, background, p) == 0;
    if (!p->threaded)
        moe_fail(err, MOE_LIBRARY, "cannot start a thread for progress");
}

moe_status moe_pacer_new(const moe_pacer_params *params, moe_pacer **out,
                         moe_error *err)
{
    moe_error local = {0};
    moe_pacer *p = moe_array_new(1, sizeof *p, &local);
    if (p == NULL)
        return moe_pass(err, &local);
    p->p = *params;
    p->near_s = learn_near();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->turn, NULL);
    atomic_init(&p->waiting, false);
    if (p->p.progress != NULL && p->p.by == MOE_PROGRESS_THREAD)
        start_thread(p, &local);
    if (local.status != MOE_OK) {
        moe_pacer_free(p);
        return moe_pass(err, &local);
    }
    *out = p;
    return MOE_OK;
}

void moe_pacer_free(moe_pacer *p)
{
    if (p == NULL)
        return;
    if (p->threaded) {
        pthread_mutex_lock(&p->lock);
        p->ended = true;
        pthread_cond_signal(&p->turn);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    pthread_cond_destroy(&p->turn);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* The caller makes progress at the interval, but not where it could miss the
 * deadline by that. */
static void poll_until(moe_pacer *p, double deadline_s)
{
    bool more = p->p.progress != NULL;
    double now_s = moe_clock_wall();
    while (more && now_s < deadline_s - GUARD_S) {
        more = p->p.progress(p->p.arg);
        now_s = moe_clock_wall();
        const double next_s = now_s + p->p.interval_s;
        if (!more || p->p.interval_s <= 0)
            continue;
        if (next_s < deadline_s - p->near_s)
            sleep_until(next_s);
        else
            break;
        now_s = moe_clock_wall();
    }
    if (p->p.interval_s > 0 && now_s < deadline_s - p->near_s)
        sleep_until(deadline_s - p->near_s);
}

static void begin_turn(moe_pacer *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->waiting, true);
    pthread_cond_signal(&p->turn);
    pthread_mutex_unlock(&p->lock);
}

/* The thread may be at it: what it has begun it ends. */
static void end_turn(moe_pacer *p)
{
    atomic_store(&p->waiting, false);
    pthread_mutex_lock(&p->lock);
    pthread_mutex_unlock(&p->lock);
}

double moe_pacer_wait(moe_pacer *p, double deadline_s)
{
    if (p->threaded)
        begin_turn(p);
    if (!p->threaded)
        poll_until(p, deadline_s);
    else if (moe_clock_wall() < deadline_s - p->near_s)
        sleep_until(deadline_s - p->near_s);
    while (moe_clock_wall() < deadline_s)
        continue;
    if (p->threaded)
        end_turn(p);
    return fmax(moe_clock_wall() - deadline_s, 0);
}

moe_pacer_error moe_pacer_measure(moe_pacer *p, double phase_s)
{
    double late_s[MOE_PACER_TRIES];
    const moe_pacer_params kept = p->p;
    p->p.progress = NULL; /* with a thread it has nothing to do either */
    const bool threaded = p->threaded;
    p->threaded = false;
    for (int i = 0; i < MOE_PACER_TRIES; i++)
        late_s[i] = moe_pacer_wait(p, moe_clock_wall() + phase_s);
    p->p = kept;
    p->threaded = threaded;
    const double median_s = moe_median_sorting(late_s, MOE_PACER_TRIES);
    return (moe_pacer_error){.n = MOE_PACER_TRIES,
                             .phase_s = phase_s,
                             .median_s = median_s,
                             .p99_s = late_s[MOE_PACER_TRIES * 99 / 100],
                             .worst_s = late_s[MOE_PACER_TRIES - 1]};
}

double moe_pacer_near_s(const moe_pacer *p)
{
    return p->near_s;
}
