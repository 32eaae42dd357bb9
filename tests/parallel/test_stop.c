/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/stop.h"

#include <signal.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static bool is(const char *why, const char *expected)
{
    return expected == NULL ? why == NULL
                            : why != NULL && strcmp(why, expected) == 0;
}

static const struct {
    double max_time_s, ahead_s;
    const char *why;
} limits[] = {
    {0, 1e9, NULL},           {1e6, 0, NULL},          {1e6, 1e5, NULL},
    {1e6, 2e6, "--max-time"}, {1e-9, 0, "--max-time"},
};

static bool hurry;

START_TEST(a_time_limit_counts_the_next_step)
{
    moe_stop_arm(limits[_i].max_time_s);
    ck_assert(is(moe_stop_asked(&test_ctx, limits[_i].ahead_s, &hurry),
                 limits[_i].why));
}
END_TEST

START_TEST(the_slowest_rank_decides)
{
    const bool last = test_ctx.rank == test_ctx.size - 1;
    moe_stop_arm(1e6);
    ck_assert(
        is(moe_stop_asked(&test_ctx, last ? 2e6 : 0, &hurry), "--max-time"));
}
END_TEST

/* The signals stay pending from here on. */
START_TEST(a_signal_to_one_rank_stops_all)
{
    moe_stop_arm(1e-9);
    if (test_ctx.rank == test_ctx.size - 1)
        raise(SIGUSR1);
    const char *first = moe_stop_asked(&test_ctx, 0, &hurry);
    if (test_ctx.rank == 0)
        raise(SIGTERM);
    const char *second = moe_stop_asked(&test_ctx, 0, &hurry);
    ck_assert(is(first, "SIGUSR1"));
    ck_assert(is(second, "SIGTERM"));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("stop");
    MOE_TEST_LOOP(suite, a_time_limit_counts_the_next_step,
                  MOE_ARRAY_LEN(limits));
    MOE_TEST(suite, the_slowest_rank_decides);
    MOE_TEST(suite, a_signal_to_one_rank_stops_all);
    return suite;
}
