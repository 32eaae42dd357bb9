/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/planner.h"
#include "moegps/rng.h"
#include "moegps/stats.h"

/* Loads of one kind. */
static double load_of(int kind, int e, moe_rng *rng)
{
    const double u = moe_rng_unit(rng);
    switch (kind) {
    case 0:
        return 0;
    case 1:
        return 1000;
    case 2:
        return ldexp(1e9, -e);
    case 3:
        return e == 5 ? 1e6 : 1;
    default:
        return floor(1e4 * u * u);
    }
}

enum { KINDS = 5 };

static void fill_load(double *load, int kind, int experts, int round)
{
    moe_rng rng = moe_rng_at(5, MOE_RNG_TEST, (uint64_t)round, 0, 0);
    for (int e = 0; e < experts; e++)
        load[e] = load_of(kind, e, &rng);
}

/* @return load of the busiest GPU, every expert being somewhere once. */
static double busiest(const moe_plan_layer *plan, const double *load)
{
    double most = 0;
    int seen = 0;
    for (int g = 0; g < plan->gpus; g++) {
        double sum = 0;
        for (int s = g * plan->slots; s < (g + 1) * plan->slots; s++)
            if (plan->expert[s] >= 0) {
                ck_assert_uint_eq(plan->quota[s], MOE_QUOTA_ONE);
                sum += load[plan->expert[s]];
                seen++;
            }
        most = fmax(most, sum);
    }
    ck_assert_int_eq(seen, plan->experts);
    ck_assert_int_eq(moe_plan_layer_check(plan, NULL), MOE_OK);
    return most;
}

/* Plan by a planner's name. @return load of the busiest GPU. */
static double planned(const char *name, const moe_planner_env *env,
                      const double *load)
{
    const moe_planner *planner = moe_planner_find(name);
    void *state = moe_planner_new(planner, env, NULL, NULL);
    moe_plan home, next;
    moe_plan_init(&home, 1, env->experts, env->layout.gpus, env->slots, NULL);
    moe_plan_init(&next, 1, env->experts, env->layout.gpus, env->slots, NULL);
    moe_plan_set_home(&home, &env->layout);
    ck_assert_ptr_nonnull(state);
    const moe_plan_layer current = moe_plan_at(&home, 0);
    moe_plan_layer out = moe_plan_at(&next, 0);
    const moe_planner_task task = {.load = load, .current = &current};
    ck_assert_int_eq(planner->plan(state, &task, &out, NULL), MOE_OK);
    const double most = busiest(&out, load);
    moe_planner_free(planner, state);
    moe_plan_fini(&home);
    moe_plan_fini(&next);
    return most;
}

/* Least load of the busiest GPU over all ways to place experts e, e+1, ... with
 * two slots on each of four GPUs. */
static double try_all(const double *load, int e, double *sum, int *used)
{
    double least = INFINITY;
    if (e == 8)
        return fmax(fmax(sum[0], sum[1]), fmax(sum[2], sum[3]));
    for (int g = 0; g < 4; g++) {
        if (used[g] == 2)
            continue;
        const double before = sum[g];
        used[g]++;
        sum[g] += load[e];
        least = fmin(least, try_all(load, e + 1, sum, used));
        used[g]--;
        sum[g] = before;
    }
    return least;
}

START_TEST(few_experts_are_placed_as_well_as_can_be)
{
    const moe_planner_env env = {.layout = {4, 4}, .experts = 8, .slots = 2};
    for (int round = 0; round < 20; round++) {
        double load[8], sum[4] = {0};
        int used[4] = {0};
        fill_load(load, _i, 8, round);
        const double best = try_all(load, 0, sum, used);
        ck_assert_double_le(planned("relocate", &env, load), best * (1 + 1e-9));
    }
}
END_TEST

/* Too many to try in full: no worse than home, and hardly above the mean. */
START_TEST(many_experts_are_balanced)
{
    const moe_planner_env env = {.layout = {32, 8}, .experts = 256, .slots = 8};
    double load[256], sum = 0.0;
    fill_load(load, KINDS - 1, 256, 1);
    for (int e = 0; e < 256; e++)
        sum += load[e];
    const double most = planned("relocate", &env, load);
    ck_assert_double_lt(most, planned("static", &env, load));
    ck_assert_double_lt(most, 1.01 * sum / 32);
}
END_TEST

/* @return what no placement without copies has less of: the mean; and the
 * largest expert, with the smallest ones that must lie beside it where no slot
 * is left over. */
static int by_load(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bound_of(const moe_planner_env *env, const double *load)
{
    const int spare = env->layout.gpus * env->slots - env->experts;
    double sorted[256], sum = 0;
    memcpy(sorted, load, (size_t)env->experts * sizeof *load);
    qsort(sorted, (size_t)env->experts, sizeof *sorted, by_load);
    double beside = sorted[env->experts - 1];
    for (int e = 0; e < env->experts; e++)
        sum += sorted[e];
    for (int k = 0; k < env->slots - 1 - spare; k++)
        beside += sorted[k];
    return fmax(sum / env->layout.gpus, beside);
}

/* Lognormal loads: optimal within so much, median and worst of 100, as the
 * bound proves. */
static const struct {
    double sigma;
    int slots;
    double median, most;
} gaps[] = {{0.3, 5, 0.001, 0.001}, {0.3, 6, 0.001, 0.001},
            {0.5, 5, 0.001, 0.001}, {0.5, 6, 0.001, 0.005},
            {1.0, 5, 0.001, 0.045}, {1.0, 6, 0.001, 0.0025}};

START_TEST(sixty_experts_on_twelve_gpus_are_placed_nearly_as_well_as_can_be)
{
    enum { ROUNDS = 100 };
    double gap[ROUNDS], most = 0;
    const moe_planner_env env = {
        .layout = {12, 12}, .experts = 60, .slots = gaps[_i].slots};
    for (int round = 0; round < ROUNDS; round++) {
        double load[60];
        moe_rng rng = moe_rng_at(6, MOE_RNG_TEST, (uint64_t)round, 0, 0);
        for (int e = 0; e < 60; e++)
            load[e] = floor(1e4 * exp(gaps[_i].sigma * moe_rng_normal(&rng)));
        gap[round] = planned("relocate", &env, load) / bound_of(&env, load) - 1;
        most = fmax(most, gap[round]);
    }
    const double median = moe_median_sorting(gap, ROUNDS);
    ck_assert_double_ge(gap[0], -1e-12);
    ck_assert_double_le(median, gaps[_i].median);
    ck_assert_double_le(most, gaps[_i].most);
}
END_TEST

START_TEST(free_slots_stay_free)
{
    const moe_planner_env env = {.layout = {3, 3}, .experts = 7, .slots = 5};
    double load[7];
    fill_load(load, _i, 7, 2);
    ck_assert_double_le(planned("relocate", &env, load),
                        planned("static", &env, load) * (1 + 1e-9));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("relocate");
    MOE_TEST_LOOP(s, few_experts_are_placed_as_well_as_can_be, KINDS);
    MOE_TEST(s, many_experts_are_balanced);
    MOE_TEST_LOOP(
        s, sixty_experts_on_twelve_gpus_are_placed_nearly_as_well_as_can_be,
        MOE_ARRAY_LEN(gaps));
    MOE_TEST_LOOP(s, free_slots_stay_free, KINDS);
    return s;
}
