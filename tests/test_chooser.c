/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/engine/chooser.h"

#include "harness.h"
#include "moegps/mem.h"

/* Tries of two candidates; the first is in use. A try stands for 10
 * iterations. */
static const struct {
    const char *name;
    double hysteresis;
    int tries;
    double first_s[3][2], stays_s[3][2];
    int switches_at; /* try after which the other is used; -1: none */
} cases[] = {
    {"as fast as the one in use", 0, 2, {{1, 1}, {1, 1}}, {{1, 1}, {1, 1}}, -1},
    {"slower", 0, 2, {{1, 1.1}, {1, 1.1}}, {{1, 1.1}, {1, 1.1}}, -1},
    {"faster, the way is free", 0, 1, {{1, 0.9}}, {{1, 0.9}}, 0},
    {"faster by less than counts",
     0.2,
     2,
     {{1, 0.9}, {1, 0.9}},
     {{1, 0.9}, {1, 0.9}},
     -1},
    {"the way costs what one try saves",
     0,
     2,
     {{1, 1.9}, {1, 1.9}},
     {{1, 0.9}, {1, 0.9}},
     1},
    {"the way costs what three tries save",
     0,
     3,
     {{1, 3.85}, {1, 3.85}, {1, 3.85}},
     {{1, 0.9}, {1, 0.9}, {1, 0.9}},
     2},
    {"the way is measured on its own batch", 0, 1, {{2, 1.8}}, {{1, 0.9}}, 0},
    {"a loss takes away what was saved",
     0,
     3,
     {{1, 1.9}, {1, 1.9}, {1, 1.9}},
     {{1, 0.92}, {1, 1.1}, {1, 0.92}},
     -1},
    {"a loss takes away no more than that",
     0,
     3,
     {{1, 1}, {1, 1}, {1, 1}},
     {{1, 9}, {1, 0.9}, {1, 0.9}},
     2},
};

START_TEST(a_switch_is_made_when_it_would_have_paid)
{
    moe_chooser c;
    int at = -1;
    moe_chooser_init(&c, 2, cases[_i].hysteresis, 10);
    for (int t = 0; t < cases[_i].tries && at < 0; t++) {
        moe_chooser_begin(&c, cases[_i].first_s[t]);
        moe_chooser_add(&c, cases[_i].stays_s[t]);
        if (moe_chooser_decide(&c, 0) == 1)
            at = t;
    }
    ck_assert_msg(at == cases[_i].switches_at, "%s: after try %d",
                  cases[_i].name, at);
}
END_TEST

/* Tries of a candidate that takes so long, beside one in use that takes 1. */
static const struct {
    double stays_s;
    const char *tried; /* try after try */
} losers[] = {{1.01, "yyyyyyyyyyyyyyyy"}, {1.03, "ynynnnynnnnnnnyn"}};

START_TEST(who_loses_is_tried_less_often)
{
    moe_chooser c;
    moe_chooser_init(&c, 2, 0.01, 10);
    for (int t = 0; losers[_i].tried[t] != 0; t++) {
        const double s[2] = {1, losers[_i].stays_s};
        moe_chooser_notice(&c, 1);
        ck_assert_int_eq(moe_chooser_tries(&c, 1), losers[_i].tried[t] == 'y');
        moe_chooser_begin(&c, s);
        moe_chooser_add(&c, s);
        ck_assert_int_eq(moe_chooser_decide(&c, 0), 0);
    }
}
END_TEST

START_TEST(when_traffic_changes_all_are_tried)
{
    static const double slow[2] = {1, 2}, late[2] = {1.04, 2};
    moe_chooser c;
    moe_chooser_init(&c, 2, 0.01, 10);
    moe_chooser_begin(&c, slow);
    moe_chooser_add(&c, slow);
    moe_chooser_decide(&c, 0);
    moe_chooser_notice(&c, late[0]);
    ck_assert(!moe_chooser_tries(&c, 1));
    moe_chooser_notice(&c, 1.06);
    ck_assert(moe_chooser_tries(&c, 1));
}
END_TEST

START_TEST(the_first_choice_is_the_fastest)
{
    static const double time_s[][3] = {{1, 2, 3}, {3, 1, 2}, {2, 1, 1}};
    static const int best[] = {0, 1, 1};
    moe_chooser c;
    moe_chooser_init(&c, 3, 0.5, 1);
    ck_assert_int_eq(moe_chooser_start(&c, time_s[_i]), best[_i]);
}
END_TEST

START_TEST(of_several_the_one_that_saves_most_is_chosen)
{
    static const double first_s[] = {1, 0.9, 4, 1.5};
    static const double stays_s[] = {1, 0.9, 0.5, 0.6};
    moe_chooser c;
    moe_chooser_init(&c, 4, 0, 10);
    moe_chooser_begin(&c, first_s);
    moe_chooser_add(&c, stays_s);
    ck_assert_int_eq(moe_chooser_decide(&c, 0), 2);
}
END_TEST

START_TEST(a_switch_begins_anew)
{
    static const double one_s[] = {1, 0.9}, other_s[] = {0.99, 1};
    moe_chooser c;
    moe_chooser_init(&c, 2, 0, 10);
    moe_chooser_begin(&c, one_s);
    moe_chooser_add(&c, one_s);
    ck_assert_int_eq(moe_chooser_decide(&c, 0), 1);
    ck_assert_double_eq(c.saved_s[0] + c.saved_s[1], 0);
    moe_chooser_begin(&c, other_s);
    for (int i = 0; i < 3; i++) /* iterations of a try are its mean */
        moe_chooser_add(&c, other_s);
    ck_assert_int_eq(moe_chooser_decide(&c, 1), 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("chooser");
    MOE_TEST_LOOP(suite, a_switch_is_made_when_it_would_have_paid,
                  MOE_ARRAY_LEN(cases));
    MOE_TEST_LOOP(suite, who_loses_is_tried_less_often, MOE_ARRAY_LEN(losers));
    MOE_TEST(suite, when_traffic_changes_all_are_tried);
    MOE_TEST_LOOP(suite, the_first_choice_is_the_fastest, 3);
    MOE_TEST(suite, of_several_the_one_that_saves_most_is_chosen);
    MOE_TEST(suite, a_switch_begins_anew);
    return suite;
}
