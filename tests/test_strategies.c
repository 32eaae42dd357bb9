/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "../src/results/strategies.h"
#include "harness.h"
#include "moegps/mem.h"

/* Strategies of files before schema 1.3, as their settings have them. */

static const struct {
    const char *line, *predictor, *planning;
    int slots;
    bool plan_ahead, knows_future;
} lines[] = {
    {"{name: \"oracle\", predictor: \"none\", planner: \"static\", slots: 0, }",
     "none", "planner: static, slots: 0, ", 0, false, false},
    {"{name: \"a\", predictor: \"oracle\", planner: \"eplb\", slots: 5, "
     "accuracy: 0.8, l1: -1, policy: auto, groups: 2, }",
     "oracle", "planner: eplb, slots: 5, groups: 2, policy: auto, ", 5, false,
     true},
    /* a name may look like settings */
    {"{name: \"\\\", predictor: \\\"oracle\\\", slots: 9\", predictor: "
     "\"window\", planner: \"balance\", plan_ahead: true, iterations: 3, "
     "fill: true, }",
     "window", "planner: balance, plan_ahead: true, fill: true, ", 0, true,
     false},
};

enum { N = MOE_ARRAY_LEN(lines) };

START_TEST(settings_of_earlier_files_are_read)
{
    char config[2048] = "model: \"m\"\nstrategies:\n";
    moe_strategy_view y[N] = {0};
    moe_view v = {.strategy = y, .config = config, .dims = {.strategies = N}};
    moe_error err = {0};
    for (int s = 0; s < N; s++) {
        strcat(config, "  - ");
        strcat(strcat(config, lines[s].line), "\n");
    }
    moe_strategies_infer(&v, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    for (int s = 0; s < N; s++) {
        const moe_strategy_facts *f = &y[s].facts;
        ck_assert_str_eq(f->predictor, lines[s].predictor);
        ck_assert_str_eq(f->planning, lines[s].planning);
        ck_assert_int_eq(f->slots, lines[s].slots);
        ck_assert_int_eq(f->plan_ahead, lines[s].plan_ahead);
        ck_assert_int_eq(f->knows_future, lines[s].knows_future);
    }
}
END_TEST

START_TEST(what_was_measured_tells_the_rest)
{
    char config[] = "strategies:\n  - {name: a}\n  - {name: b}\n";
    moe_strategy_view y[2] = {{.recall = {.n = 3}}, {.in_place = {.n = 1}}};
    moe_view v = {.strategy = y, .config = config, .dims = {.strategies = 2}};
    moe_error err = {0};
    moe_strategies_infer(&v, &err);
    ck_assert(y[0].facts.foretells_tokens && !y[0].facts.direct);
    ck_assert(!y[1].facts.foretells_tokens && y[1].facts.direct);
    ck_assert_str_eq(y[0].facts.predictor, "");
}
END_TEST

/* None at all, no YAML, no strategies, no map, fewer than there are. */
static const char *const unreadable[] = {
    NULL, "{", "model: m\n", "strategies: [1, 2]\n", "strategies: []\n"};

START_TEST(settings_that_cannot_be_read_leave_facts_empty)
{
    char config[64] = "";
    moe_strategy_view y[2] = {0};
    moe_view v = {.strategy = y, .dims = {.strategies = 2}};
    moe_error err = {0};
    if (unreadable[_i] != NULL)
        v.config = strcpy(config, unreadable[_i]);
    moe_strategies_infer(&v, &err);
    ck_assert_int_eq(err.status, MOE_OK);
    ck_assert_str_eq(y[0].facts.predictor, "");
    ck_assert(!y[0].facts.knows_future);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("strategies");
    MOE_TEST(suite, settings_of_earlier_files_are_read);
    MOE_TEST(suite, what_was_measured_tells_the_rest);
    MOE_TEST_LOOP(suite, settings_that_cannot_be_read_leave_facts_empty,
                  MOE_ARRAY_LEN(unreadable));
    return suite;
}
