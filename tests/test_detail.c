/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/detail.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "made_view.h"
#include "moegps/h5.h"

/* Two GPUs in three iterations, the last of which GPU 1 did not measure. */
static double busy_s[2][3] = {{1, 2, 3}, {3, 6, NAN}};
static const moe_ledger_dims dims = {.gpus = 2, .iterations = 3};

START_TEST(times_of_a_rank_are_held_against_all)
{
    const moe_detail d = {.busy = &busy_s[0][0]};
    ck_assert_double_eq_tol(moe_detail_straggle(&d, &dims, 0, 0), 0.5, 1e-12);
    ck_assert_double_eq_tol(moe_detail_straggle(&d, &dims, 1, 1), 1.5, 1e-12);
    ck_assert_double_nan(moe_detail_straggle(&d, &dims, 2, 0));
    ck_assert_double_eq_tol(moe_detail_busy(&d, &dims, 0), 2, 1e-12);
    ck_assert_double_eq_tol(moe_detail_busy(&d, &dims, 1), 4.5, 1e-12);
}
END_TEST

START_TEST(facts_are_found_by_name)
{
    moe_fact_text fact[2] = {{.text = "16"}, {.text = "bf16"}};
    const moe_detail d = {.fact = fact, .n_facts = 2};
    strcpy(fact[0].name, moe_fact_name(MOE_FACT_SCALE));
    strcpy(fact[1].name, moe_fact_name(MOE_FACT_EXECUTED_DTYPE));
    ck_assert_str_eq(moe_detail_fact(&d, MOE_FACT_EXECUTED_DTYPE), "bf16");
    ck_assert_str_eq(moe_detail_fact(&d, MOE_FACT_SEED), "");
}
END_TEST

/* A run of a sweep whose own file is elsewhere: said, and nothing is held. */
START_TEST(a_run_whose_file_is_gone_has_no_details)
{
    moe_view v = made_view(1, 3, (const double[]){1});
    moe_detail d = {.ranks = 9};
    moe_error err = {0};
    moe_h5_quiet();
    snprintf(v.path, sizeof v.path, "%s/gone.h5", test_dir);
    ck_assert_int_eq(moe_detail_read(&v, 0, MOE_CLOCK_GPU, &d, &err),
                     MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "gone.h5"));
    ck_assert_ptr_null(d.busy);
    moe_detail_free(&d);
    moe_view_free(&v);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("detail");
    MOE_TEST(suite, times_of_a_rank_are_held_against_all);
    MOE_TEST(suite, facts_are_found_by_name);
    MOE_TEST(suite, a_run_whose_file_is_gone_has_no_details);
    return suite;
}
