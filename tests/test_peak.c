/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/planner/peak.h"

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

static const struct {
    int groups, size;
} shapes[] = {{1, 1}, {1, 7}, {3, 1}, {4, 8}, {2, 33}};

static int first_of(const moe_peak *p, int group)
{
    int best = group * p->size;
    for (int i = best + 1; i < (group + 1) * p->size; i++)
        best = p->key[i] > p->key[best] ? i : best;
    return best;
}

START_TEST(the_largest_of_a_group_is_at_hand_after_any_change)
{
    moe_rng rng = moe_rng_at(41, MOE_RNG_TEST, (uint64_t)_i, 0, 0);
    const int n = shapes[_i].groups * shapes[_i].size;
    moe_peak p;
    ck_assert_int_eq(
        moe_peak_init(&p, shapes[_i].groups, shapes[_i].size, NULL), MOE_OK);
    for (int i = 0; i < n; i++)
        p.key[i] = random_below(&rng, 9) - 4;
    moe_peak_begin(&p);
    for (int step = 0; step < 300; step++) {
        for (int g = 0; g < p.groups; g++)
            ck_assert_int_eq(moe_peak_first(&p, g), first_of(&p, g));
        moe_peak_set(&p, random_below(&rng, n), random_below(&rng, 9) - 4);
    }
    moe_peak_fini(&p);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("peak");
    MOE_TEST_LOOP(suite, the_largest_of_a_group_is_at_hand_after_any_change,
                  MOE_ARRAY_LEN(shapes));
    return suite;
}
