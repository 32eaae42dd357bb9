/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/fill.h"

#include "harness.h"
#include "moegps/mem.h"

enum { GPUS = 2, SLOTS = 3, EXPERTS = 4 };

/* Loads, slots before and after, worked out by hand, and the busiest GPU. */
static const struct {
    double load[EXPERTS];
    int16_t before[GPUS * SLOTS], after[GPUS * SLOTS];
    double busiest;
} cases[] = {
    /* 2 and 0 leave 45; that 3 and 0 leave 40 shows when both are there */
    {{40, 10, 10, 20}, {0, 1, -1, 2, 3, -1}, {0, 1, 3, 2, 3, 0}, 40},
    {{1, 1, 1, 1}, {0, 1, 2, 3, 0, 1}, {0, 1, 2, 3, 0, 1}, 2},
    /* none helps: the first ones */
    {{8, 0, 0, 0}, {0, -1, -1, 1, 2, 3}, {0, 1, 2, 1, 2, 3}, 8},
};

START_TEST(empty_slots_get_the_copies_that_help_most)
{
    int copies[EXPERTS] = {0};
    int16_t expert[GPUS * SLOTS];
    moe_error err = {0};
    for (int k = 0; k < GPUS * SLOTS; k++)
        expert[k] = cases[_i].before[k];
    ck_assert_int_eq(
        moe_fill(cases[_i].load, EXPERTS, GPUS, SLOTS, expert, &err), MOE_OK);
    for (int k = 0; k < GPUS * SLOTS; k++) {
        ck_assert_msg(expert[k] == cases[_i].after[k], "slot %d has %d", k,
                      expert[k]);
        copies[expert[k]]++;
    }
    ck_assert_double_eq_tol(
        moe_fill_busiest(cases[_i].load, copies, GPUS, SLOTS, expert),
        cases[_i].busiest, 1e-9);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("fill");
    MOE_TEST_LOOP(suite, empty_slots_get_the_copies_that_help_most,
                  MOE_ARRAY_LEN(cases));
    return suite;
}
