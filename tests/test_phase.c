/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/phase.h"

#include <string.h>

#include "harness.h"

/* The order is that of a layer, and of the file's dimension `phase`. */
START_TEST(phases_are_those_of_the_pipeline)
{
    static const char *const names[MOE_N_PHASES] = {
        "predict",   "collect", "plan",     "broadcast", "migrate",
        "attention", "route",   "dispatch", "ffn",       "combine"};
    for (int p = 0; p < MOE_N_PHASES; p++) {
        ck_assert_str_eq(moe_phase_name((moe_phase)p), names[p]);
        ck_assert_uint_gt(strlen(moe_phase_help((moe_phase)p)), 10);
        for (int q = 0; q < p; q++)
            ck_assert_str_ne(moe_phase_help((moe_phase)p),
                             moe_phase_help((moe_phase)q));
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("phase");
    MOE_TEST(suite, phases_are_those_of_the_pipeline);
    return suite;
}
