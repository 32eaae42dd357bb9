/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fixture.h"
#include "harness.h"

/* Two traces of 12 sequences, of which the last 6 are for testing. */
static moe_trace make(bool loads)
{
    const moe_model model = fixture_model();
    return loads ? fixture_loads(&model) : fixture_tokens(&model);
}

START_TEST(the_training_part_of_one_and_the_test_part_of_the_other)
{
    moe_trace a = make(_i == 1), b = make(_i == 1), t;
    uint64_t of_a[8], of_b[8], got[8];
    moe_error err = {0};
    for (uint64_t i = 0; _i == 0 && i < 3 * b.n_tokens * 2; i++)
        b.experts_of[i] = (uint16_t)(7 - b.experts_of[i]);
    ck_assert_int_eq(moe_trace_join(&a, &b, &t, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_validate(&t, &err), MOE_OK);
    for (int l = 0; l < 3; l++) {
        moe_trace_counts(&a, MOE_PART_TRAIN, l, of_a);
        moe_trace_counts(&t, MOE_PART_TRAIN, l, got);
        ck_assert_mem_eq(of_a, got, sizeof got);
        moe_trace_counts(&b, MOE_PART_TEST, l, of_b);
        moe_trace_counts(&t, MOE_PART_TEST, l, got);
        ck_assert_mem_eq(of_b, got, sizeof got);
    }
    ck_assert_uint_eq(moe_trace_part_tokens(&t, MOE_PART_TEST),
                      moe_trace_part_tokens(&b, MOE_PART_TEST));
    moe_trace_free(&t);
    moe_trace_free(&a);
    moe_trace_free(&b);
}
END_TEST

START_TEST(traces_that_do_not_fit_are_refused)
{
    moe_trace a = make(false), b = make(_i == 0), t = {.layers = 77};
    moe_error err = {0};
    if (_i == 1)
        strcpy(b.model, "other");
    if (_i == 2)
        b.top_k = 1;
    ck_assert_int_eq(moe_trace_join(&a, &b, &t, &err), MOE_MISMATCH);
    ck_assert_int_eq(t.layers, 77);
    moe_trace_free(&a);
    moe_trace_free(&b);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("trace_join");
    MOE_TEST_LOOP(suite,
                  the_training_part_of_one_and_the_test_part_of_the_other, 2);
    MOE_TEST_LOOP(suite, traces_that_do_not_fit_are_refused, 3);
    return suite;
}
