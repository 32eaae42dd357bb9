/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/timeline.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

enum {
    SM = MOE_RESOURCE_SM,
    NODE = MOE_RESOURCE_NODE,
    NET = MOE_RESOURCE_NETWORK,
    HOST = MOE_RESOURCE_HOST,
    BACK = MOE_BACKGROUND,
    NONE = MOE_NO_TASK,
    MAX_TASKS = 6,
    MANY = 400
};

/* A schedule that can be checked by hand: tasks, and what must come out. */
typedef struct {
    const char *says;
    double slowdown;
    struct {
        unsigned uses;
        int chain;
        double time_s;
        int after[2], since;
        double exposed_s; /* expected */
        double takes;
    } task[MAX_TASKS];
    int n;
    double length_s; /* expected */
} schedule;

static const schedule schedules[] = {
    {.says = "tasks of a chain follow each other",
     .task = {{SM, 0, 3, {NONE, NONE}, NONE, 3, 0},
              {NODE, 0, 2, {NONE, NONE}, NONE, 2, 0}},
     .n = 2,
     .length_s = 5},
    {.says = "compute hides a transfer, and is slowed down by it",
     .slowdown = 0.25,
     .task = {{NODE, BACK, 8, {NONE, NONE}, NONE, 2, 0},
              {SM, 0, 10, {NONE, NONE}, NONE, 10, 0},
              {NODE, 0, 1, {0, NONE}, NONE, 1, 0}},
     .n = 3,
     .length_s = 13},
    {.says = "what compute does not hide is waited for",
     .slowdown = 0.25,
     .task = {{NODE, BACK, 20, {NONE, NONE}, NONE, 10, 0},
              {SM, 0, 10, {NONE, NONE}, NONE, 10, 0},
              {NODE, 0, 1, {0, NONE}, NONE, 1, 0}},
     .n = 3,
     .length_s = 21},
    {.says = "a transfer does not hide one on the same links",
     .task = {{NODE, BACK, 6, {NONE, NONE}, NONE, 6, 0},
              {NODE, 0, 10, {NONE, NONE}, NONE, 10, 0},
              {SM, 0, 1, {0, NONE}, NONE, 1, 0}},
     .n = 3,
     .length_s = 17},
    {.says = "but one on other links",
     .task = {{NET, BACK, 6, {NONE, NONE}, NONE, 0, 0},
              {NODE, 0, 10, {NONE, NONE}, NONE, 10, 0},
              {SM, 0, 1, {0, NONE}, NONE, 1, 0}},
     .n = 3,
     .length_s = 11},
    {.says = "planning is no transfer and slows nothing down",
     .slowdown = 0.5,
     .task = {{HOST, BACK, 4, {NONE, NONE}, NONE, 0, 0},
              {SM, 0, 5, {NONE, NONE}, NONE, 5, 0},
              {NODE, 0, 1, {0, NONE}, NONE, 1, 0}},
     .n = 3,
     .length_s = 6},
    {.says = "waiting belongs to the task at the root of it",
     .task = {{NODE, BACK, 2, {NONE, NONE}, NONE, 0, 0},
              {HOST, BACK, 4, {0, NONE}, NONE, 3, 0},
              {NODE, BACK, 5, {1, NONE}, NONE, 5, 0},
              {SM, 0, 3, {NONE, NONE}, NONE, 3, 0},
              {SM, 0, 1, {2, NONE}, NONE, 1, 0}},
     .n = 5,
     .length_s = 12},
    {.says = "nothing begins before what it is since",
     .task = {{SM, 0, 4, {NONE, NONE}, NONE, 4, 0},
              {SM, 0, 4, {NONE, NONE}, NONE, 4, 0},
              {NODE, BACK, 5, {NONE, NONE}, 1, 1, 0},
              {NODE, 0, 1, {2, NONE}, NONE, 1, 0}},
     .n = 4,
     .length_s = 10},
    {.says = "what is left at the end is waited for",
     .task = {{SM, 0, 4, {NONE, NONE}, NONE, 4, 0},
              {NET, BACK, 9, {NONE, NONE}, NONE, 5, 0}},
     .n = 2,
     .length_s = 9},
    {.says = "two chains share: one computes while the other transfers",
     .task = {{SM, 0, 4, {NONE, NONE}, NONE, 4, 0},
              {NODE, 0, 3, {NONE, NONE}, NONE, 0, 0},
              {SM, 1, 4, {NONE, NONE}, NONE, 4, 0},
              {NODE, 1, 3, {NONE, NONE}, NONE, 3, 0}},
     .n = 4,
     .length_s = 11},
    /* The second chain computes 4 s at 3/4 beside the first one's transfer,
     * then transfers beside compute that has 1/2 of the SMs. */
    {.says = "a transfer that takes SMs slows down compute beside it",
     .task = {{SM, 0, 4, {NONE, NONE}, NONE, 4, 0},
              {NODE, 0, 4, {NONE, NONE}, NONE, 1, 0.25},
              {SM, 1, 3, {NONE, NONE}, NONE, 3, 0},
              {NODE, 1, 6, {NONE, NONE}, NONE, 3 + 2, 0.5},
              {SM, 0, 1, {NONE, NONE}, NONE, 1, 0}},
     .n = 5,
     .length_s = 14},
    {.says = "compute in the background waits for that of a chain",
     .task = {{SM, 0, 2, {NONE, NONE}, NONE, 2, 0},
              {NODE, 0, 3, {NONE, NONE}, NONE, 3, 0},
              {SM, BACK, 5, {0, NONE}, NONE, 1, 0},
              {SM, 0, 4, {NONE, NONE}, NONE, 4, 0},
              {NODE, 0, 1, {NONE, NONE}, NONE, 1, 0},
              {SM, 0, 1, {2, NONE}, NONE, 1, 0}},
     .n = 6,
     .length_s = 12},
    {.says = "background of equal resources keeps its order",
     .task = {{NODE, BACK, 3, {NONE, NONE}, NONE, 0, 0},
              {NODE, BACK, 3, {NONE, NONE}, NONE, 1, 0},
              {SM, 0, 5, {NONE, NONE}, NONE, 5, 0},
              {SM, 0, 2, {1, NONE}, NONE, 2, 0}},
     .n = 4,
     .length_s = 8},
    {.says = "nothing takes no time", .n = 0, .length_s = 0},
    {.says = "tasks without time end at once",
     .task = {{NODE, BACK, 0, {NONE, NONE}, NONE, 0, 0},
              {SM, 0, 0, {0, NONE}, NONE, 0, 0},
              {SM, 0, 2, {NONE, NONE}, NONE, 2, 0}},
     .n = 3,
     .length_s = 2},
};

static moe_timeline *timeline_of(const schedule *s)
{
    moe_timeline *t = NULL;
    ck_assert_int_eq(moe_timeline_new(MAX_TASKS, &t, NULL), MOE_OK);
    for (int i = 0; i < s->n; i++) {
        moe_task task = moe_task_make(MOE_PHASE_FFN, i, s->task[i].uses,
                                      s->task[i].time_s, s->task[i].chain);
        memcpy(task.after, s->task[i].after, sizeof task.after);
        task.since = s->task[i].since;
        task.takes = s->task[i].takes;
        ck_assert_int_eq(moe_timeline_add(t, &task), i);
    }
    return t;
}

START_TEST(schedule_is_as_worked_by_hand)
{
    const schedule *s = &schedules[_i];
    moe_timeline *t = timeline_of(s);
    const double length_s = moe_timeline_run(t, s->slowdown);
    ck_assert_msg(fabs(length_s - s->length_s) < 1e-9, "%s: %g s, not %g",
                  s->says, length_s, s->length_s);
    for (int i = 0; i < s->n; i++) {
        const double x = moe_timeline_times(t, (size_t)i)->exposed_s;
        ck_assert_msg(fabs(x - s->task[i].exposed_s) < 1e-9,
                      "%s: task %d exposes %g s, not %g", s->says, i, x,
                      s->task[i].exposed_s);
    }
    moe_timeline_free(t);
}
END_TEST

START_TEST(a_cleared_timeline_is_used_again)
{
    moe_timeline *t = timeline_of(&schedules[1]);
    const double first_s = moe_timeline_run(t, 0.25);
    moe_timeline_clear(t);
    ck_assert_uint_eq(moe_timeline_length(t), 0);
    for (int i = 0; i < schedules[1].n; i++) {
        moe_task task = moe_task_make(
            MOE_PHASE_FFN, i, schedules[1].task[i].uses,
            schedules[1].task[i].time_s, schedules[1].task[i].chain);
        memcpy(task.after, schedules[1].task[i].after, sizeof task.after);
        moe_timeline_add(t, &task);
    }
    ck_assert_double_eq(moe_timeline_run(t, 0.25), first_s);
    moe_timeline_free(t);
}
END_TEST

static moe_task any_task(moe_rng *rng, int i)
{
    static const unsigned uses[] = {SM, SM, NODE, NET, NODE | NET, HOST};
    const unsigned set = uses[moe_rng_below(rng, MOE_ARRAY_LEN(uses))];
    const int chain = (int)moe_rng_below(rng, 3) - 1;
    moe_task task = moe_task_make(MOE_PHASE_FFN, i, set,
                                  (double)moe_rng_below(rng, 100) / 8, chain);
    for (int k = 0; k < 2 && i > 0; k++)
        if (moe_rng_below(rng, 3) == 0)
            task.after[k] = (int)moe_rng_below(rng, (uint64_t)i);
    return task;
}

/* Whatever is scheduled: every task takes at least its time, none overlaps one
 * of the chains on the same resources, dependencies hold, and exposed times
 * add up to the length. */
START_TEST(any_schedule_keeps_its_promises)
{
    moe_timeline *t = NULL;
    moe_rng rng = moe_rng_at(11, 0, (uint64_t)_i, 0, 0);
    ck_assert_int_eq(moe_timeline_new(MANY, &t, NULL), MOE_OK);
    for (int i = 0; i < MANY; i++) {
        const moe_task task = any_task(&rng, i);
        moe_timeline_add(t, &task);
    }
    const double length_s = moe_timeline_run(t, 0.2);
    double sum_s = 0;
    for (size_t i = 0; i < MANY; i++) {
        const moe_task *x = moe_timeline_task(t, i);
        const moe_task_times *at = moe_timeline_times(t, i);
        sum_s += at->exposed_s;
        ck_assert(at->end_s - at->start_s >= x->time_s - 1e-9);
        ck_assert(at->end_s <= length_s + 1e-9);
        for (int k = 0; k < 2; k++)
            if (x->after[k] != NONE)
                ck_assert(at->start_s >=
                          moe_timeline_times(t, (size_t)x->after[k])->end_s -
                              1e-9);
        for (size_t j = 0; j < i && x->chain != BACK; j++) {
            const moe_task *y = moe_timeline_task(t, j);
            const moe_task_times *when = moe_timeline_times(t, j);
            const bool shares = y->chain == x->chain ||
                                (y->chain != BACK && (y->uses & x->uses) != 0);
            ck_assert(!shares || x->time_s == 0 || y->time_s == 0 ||
                      when->end_s <= at->start_s + 1e-9 ||
                      at->end_s <= when->start_s + 1e-9);
        }
    }
    ck_assert_msg(fabs(sum_s - length_s) < 1e-6 * length_s, "%g of %g s", sum_s,
                  length_s);
    moe_timeline_free(t);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("timeline");
    MOE_TEST_LOOP(suite, schedule_is_as_worked_by_hand,
                  MOE_ARRAY_LEN(schedules));
    MOE_TEST(suite, a_cleared_timeline_is_used_again);
    MOE_TEST_LOOP(suite, any_schedule_keeps_its_promises, 20);
    return suite;
}
