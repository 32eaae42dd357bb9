/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/layout.h"

#include "harness.h"
#include "moegps/mem.h"

static const struct {
    moe_layout layout;
    int experts;
    int nodes, slots;
    int first[5]; /* of GPUs 0.. */
} cases[] = {
    {{4, 2}, 8, 2, 2, {0, 2, 4, 6, 8}},
    {{4, 8}, 10, 1, 3, {0, 3, 6, 8, 10}},
    {{4, 3}, 3, 2, 1, {0, 1, 2, 3, 3}},
    {{1, 1}, 7, 1, 7, {0, 7}},
};

START_TEST(homes_are_blocks_of_as_equal_sizes_as_can_be)
{
    const moe_layout *l = &cases[_i].layout;
    int n = 0;
    for (int g = 0; g < l->gpus; g++) {
        const int count = moe_layout_home_count(l, cases[_i].experts, g);
        ck_assert_int_eq(moe_layout_home_first(l, cases[_i].experts, g),
                         cases[_i].first[g]);
        ck_assert_int_eq(count, cases[_i].first[g + 1] - cases[_i].first[g]);
        ck_assert_int_le(count, cases[_i].slots);
        ck_assert_int_eq(moe_layout_node(l, g), g / l->gpus_per_node);
        n += count;
    }
    ck_assert_int_eq(n, cases[_i].experts);
    ck_assert_int_eq(moe_layout_nodes(l), cases[_i].nodes);
    ck_assert_int_eq(moe_layout_home_slots(l, cases[_i].experts),
                     cases[_i].slots);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("layout");
    MOE_TEST_LOOP(suite, homes_are_blocks_of_as_equal_sizes_as_can_be,
                  MOE_ARRAY_LEN(cases));
    return suite;
}
