/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/predictor.h"

static const struct {
    unsigned sees;
    int lookahead;
    bool decode;
    const char *refused; /* NULL: fine */
} cases[] = {
    {0, MOE_LOOKAHEAD_ALL, false, NULL},
    {MOE_SEES_PAST | MOE_SEES_IDS, MOE_LOOKAHEAD_ALL, false, NULL},
    {MOE_SEES_IDS, 3, false, NULL},
    {MOE_SEES_LAYERS, MOE_LOOKAHEAD_ALL, false, "`lookahead: 1` or more"},
    {MOE_SEES_LAYERS, 1, false, NULL},
    {MOE_SEES_HIDDEN, MOE_LOOKAHEAD_ALL, true, "`lookahead: 1` or more"},
    {MOE_SEES_HIDDEN, 2, false, NULL},
    {MOE_SEES_TOKENS, MOE_LOOKAHEAD_ALL, false, "it is for decoding"},
    {MOE_SEES_TOKENS, MOE_LOOKAHEAD_ALL, true, NULL},
};

START_TEST(a_deployment_must_have_what_is_looked_at)
{
    const moe_predictor p = {.name = "x", .sees = cases[_i].sees};
    moe_error err = {0};
    const moe_status s =
        moe_horizon_check(&p, cases[_i].lookahead, cases[_i].decode, &err);
    ck_assert_int_eq(s, cases[_i].refused == NULL ? MOE_OK : MOE_USAGE);
    if (cases[_i].refused != NULL)
        ck_assert_msg(strstr(err.text, cases[_i].refused) != NULL, "%s",
                      err.text);
}
END_TEST

START_TEST(a_horizon_is_named)
{
    char text[256];
    ck_assert_str_eq(moe_horizon_text(0, text, sizeof text), "nothing");
    ck_assert_str_eq(
        moe_horizon_text(MOE_SEES_LAYERS | MOE_SEES_IDS, text, sizeof text),
        "token ids, experts of earlier layers");
}
END_TEST

/* What the hooks that need it say is what the descriptor says. */
START_TEST(who_learns_from_iterations_sees_the_past)
{
    for (size_t i = 0; moe_predictor_at(i) != NULL; i++)
        if (moe_predictor_at(i)->observe != NULL)
            ck_assert((moe_predictor_at(i)->sees & MOE_SEES_PAST) != 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("horizon");
    MOE_TEST_LOOP(suite, a_deployment_must_have_what_is_looked_at,
                  MOE_ARRAY_LEN(cases));
    MOE_TEST(suite, a_horizon_is_named);
    MOE_TEST(suite, who_learns_from_iterations_sees_the_past);
    return suite;
}
