/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "harness.h"
#include "moegps/facts.h"

START_TEST(every_fact_has_a_name_of_its_own)
{
    for (int f = 0; f < MOE_N_FACTS; f++) {
        const char *name = moe_fact_name((moe_fact)f);
        ck_assert_uint_gt(strlen(name), 0);
        for (int g = 0; g < f; g++)
            ck_assert_str_ne(name, moe_fact_name((moe_fact)g));
    }
}
END_TEST

START_TEST(a_long_text_is_cut)
{
    moe_facts facts = {0};
    char text[MOE_FACT_LEN + 8];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    moe_facts_set(&facts, MOE_FACT_TRACE, "%s", text);
    ck_assert_uint_eq(strlen(facts.text[MOE_FACT_TRACE]), MOE_FACT_LEN - 1);
    ck_assert_str_eq(facts.text[MOE_FACT_TRACE_SHA256], "");
    moe_facts_set(&facts, MOE_FACT_TRACE, "%d layers", 3);
    ck_assert_str_eq(facts.text[MOE_FACT_TRACE], "3 layers");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("facts");
    MOE_TEST(suite, every_fact_has_a_name_of_its_own);
    MOE_TEST(suite, a_long_text_is_cut);
    return suite;
}
