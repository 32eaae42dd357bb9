/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/pacer.h"

#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"
#include "moegps/clock.h"

/* What is in the background: so many steps, and who took them. */
typedef struct {
    int left, done;
    atomic_int inside;
    bool twice, foreign;
    pthread_t caller;
} work;

static bool advance(void *arg)
{
    work *w = arg;
    w->twice = w->twice || atomic_fetch_add(&w->inside, 1) > 0;
    w->foreign = w->foreign || !pthread_equal(pthread_self(), w->caller);
    w->done++;
    atomic_fetch_sub(&w->inside, 1);
    return --w->left > 0;
}

static const struct {
    moe_progress_by by;
    double interval_s;
} modes[] = {{MOE_PROGRESS_POLL, 100e-6},
             {MOE_PROGRESS_POLL, 0},
             {MOE_PROGRESS_THREAD, 100e-6},
             {MOE_PROGRESS_THREAD, 0}};

static moe_pacer *make(int mode, work *w)
{
    moe_error err = {0};
    moe_pacer *p = NULL;
    w->caller = pthread_self();
    const moe_pacer_params params = {.progress = advance,
                                     .arg = w,
                                     .by = modes[mode].by,
                                     .interval_s = modes[mode].interval_s};
    ck_assert_msg(moe_pacer_new(&params, &p, &err) == MOE_OK, "%s", err.text);
    return p;
}

START_TEST(a_wait_never_ends_before_its_deadline)
{
    work w = {.left = 1 << 30};
    moe_pacer *p = make(_i, &w);
    static const double phases_s[] = {10e-6, 0.2e-3, 1e-3, 10e-3};
    for (int i = 0; i < 40; i++) {
        const double deadline_s = moe_clock_wall() + phases_s[i % 4];
        const double late_s = moe_pacer_wait(p, deadline_s);
        ck_assert_double_ge(moe_clock_wall(), deadline_s);
        ck_assert_double_ge(late_s, 0);
        ck_assert_double_le(late_s, moe_clock_wall() - deadline_s);
    }
    moe_pacer_free(p);
}
END_TEST

/* A deadline that has passed is late by all of it. */
START_TEST(a_passed_deadline_is_as_late_as_it_is)
{
    work w = {.left = 1};
    moe_pacer *p = make(_i, &w);
    ck_assert_double_ge(moe_pacer_wait(p, moe_clock_wall() - 1), 1);
    moe_pacer_free(p);
}
END_TEST

START_TEST(progress_is_made_by_whom_and_while_it_should)
{
    work w = {.left = 3};
    moe_pacer *p = make(_i, &w);
    while (w.left > 0) /* the thread may need a few waits to be scheduled */
        moe_pacer_wait(p, moe_clock_wall() + 2e-3);
    for (int i = 0; i < 3; i++)
        moe_pacer_wait(p, moe_clock_wall() + 1e-3);
    moe_pacer_free(p);
    ck_assert_int_ge(w.done, 3);
    ck_assert(!w.twice);
    ck_assert_int_eq(w.foreign, modes[_i].by == MOE_PROGRESS_THREAD);
}
END_TEST

START_TEST(nothing_is_called_outside_of_a_wait)
{
    work w = {.left = 1 << 30};
    moe_pacer *p = make(_i, &w);
    moe_pacer_wait(p, moe_clock_wall() + 2e-3);
    const int done = w.done;
    const struct timespec pause = {.tv_nsec = 3000000};
    nanosleep(&pause, NULL);
    ck_assert_int_eq(w.done, done);
    moe_pacer_free(p);
}
END_TEST

/* Once there is nothing left a wait asks again, but only once each. */
START_TEST(done_work_is_not_polled)
{
    work w = {.left = 1};
    moe_pacer *p = make(_i, &w);
    while (w.done == 0)
        moe_pacer_wait(p, moe_clock_wall() + 2e-3);
    const int before = w.done;
    for (int i = 0; i < 5; i++)
        moe_pacer_wait(p, moe_clock_wall() + 2e-3);
    ck_assert_int_le(w.done - before, 5);
    moe_pacer_free(p);
}
END_TEST

START_TEST(its_error_is_measured_without_the_background)
{
    work w = {.left = 1 << 30};
    moe_pacer *p = make(_i, &w);
    const moe_pacer_error e = moe_pacer_measure(p, 0.2e-3);
    ck_assert_int_eq(w.done, 0);
    ck_assert_int_eq(e.n, MOE_PACER_TRIES);
    ck_assert_double_eq(e.phase_s, 0.2e-3);
    ck_assert_double_ge(e.median_s, 0);
    ck_assert_double_ge(e.p99_s, e.median_s);
    ck_assert_double_ge(e.worst_s, e.p99_s);
    ck_assert_double_gt(moe_pacer_near_s(p), 0);
    moe_pacer_free(p);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("pacer");
    MOE_TEST_LOOP(s, a_wait_never_ends_before_its_deadline,
                  sizeof modes / sizeof *modes);
    MOE_TEST_LOOP(s, a_passed_deadline_is_as_late_as_it_is,
                  sizeof modes / sizeof *modes);
    MOE_TEST_LOOP(s, progress_is_made_by_whom_and_while_it_should,
                  sizeof modes / sizeof *modes);
    MOE_TEST_LOOP(s, nothing_is_called_outside_of_a_wait,
                  sizeof modes / sizeof *modes);
    MOE_TEST_LOOP(s, done_work_is_not_polled, sizeof modes / sizeof *modes);
    MOE_TEST_LOOP(s, its_error_is_measured_without_the_background,
                  sizeof modes / sizeof *modes);
    return s;
}
