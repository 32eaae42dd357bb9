/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "planning.h"
#include "pricing.h"
#include "random_plan.h"

/* Layout, experts, slots per GPU. */
typedef struct {
    moe_layout layout;
    int experts, slots;
} place;

static moe_planner_env env_of(const place *p)
{
    static pricing gpu;
    static moe_pricer pricer;
    if (gpu.state == NULL) {
        gpu = (pricing){.model = fixture_model(), .cluster = fixture_cluster()};
        ck_assert_int_eq(pricing_open(&gpu, "analytic", NULL), MOE_OK);
    }
    pricer = pricing_on(&gpu, p->layout.gpus, p->layout.gpus_per_node);
    return (moe_planner_env){.layout = p->layout,
                             .experts = p->experts,
                             .slots = p->slots,
                             .pricer = &pricer};
}

static const place places[] = {
    {{1, 1}, 1, 1},   {{1, 8}, 8, 8},   {{1, 8}, 8, 11},   {{4, 2}, 8, 2},
    {{4, 2}, 8, 3},   {{4, 4}, 8, 8},   {{8, 4}, 3, 1},    {{8, 4}, 3, 3},
    {{3, 8}, 7, 4},   {{32, 8}, 1, 1},  {{32, 8}, 256, 8}, {{32, 8}, 256, 12},
    {{7, 3}, 60, 12}, {{2, 1}, 128, 70}};

/* Loads that real traffic hardly makes. */
static const char *const moods[] = {"zero",  "hot",   "equal", "huge",
                                    "tiny",  "steep", "ones",  "last",
                                    "mixed", "random"};

static double load_of(const char *mood, int e, int experts, moe_rng *rng)
{
    const double u = moe_rng_unit(rng);
    switch (mood[0]) {
    case 'z':
        return 0;
    case 'h':
        return mood[1] == 'o' ? (e == experts / 2 ? 1e6 : 0)
                              : 1e15 * (1 + (e % 3));
    case 'e':
        return 1000;
    case 't':
        return 1e-3 * u;
    case 's':
        return ldexp(1e9, -e % 40);
    case 'o':
        return 1;
    case 'l':
        return e == experts - 1 ? 12345.5 : 0.49;
    case 'm':
        return e % 2 == 0 ? 1e15 * u : u;
    default:
        return floor(1e4 * u * u);
    }
}

static void fill_load(double *load, const char *mood, int experts, int round)
{
    moe_rng rng = moe_rng_at(2, MOE_RNG_TEST, (uint64_t)round, 0, 0);
    for (int e = 0; e < experts; e++)
        load[e] = load_of(mood, e, experts, &rng);
}

static bool keeps_home(const moe_plan_layer *next, const moe_layout *layout)
{
    bool kept = true;
    for (int g = 0; g < next->gpus; g++) {
        int first = moe_layout_home_first(layout, next->experts, g);
        int n = moe_layout_home_count(layout, next->experts, g);
        for (int k = 0; k < n; k++)
            kept = kept && next->expert[g * next->slots + k] == first + k;
    }
    return kept;
}

static bool empty_slots_have_no_quota(const moe_plan_layer *next)
{
    bool right = true;
    for (int s = 0; s < next->gpus * next->slots; s++)
        right = right && (next->expert[s] >= 0 || next->quota[s] == 0);
    return right;
}

START_TEST(every_planner_makes_sound_plans_of_any_load)
{
    const moe_planner_env all = env_of(&places[_i]), *env = &all;
    double *load = moe_array_new((size_t)env->experts, sizeof *load, NULL);
    for (size_t i = 0; moe_planner_at(i) != NULL; i++) {
        const moe_planner *planner = moe_planner_at(i);
        planning d;
        planning_init(&d, planner->name, env, NULL);
        for (size_t m = 0; m < MOE_ARRAY_LEN(moods); m++) {
            fill_load(load, moods[m], env->experts, 0);
            planning_make(&d, load);
            moe_plan_layer next = moe_plan_at(&d.next, 0);
            moe_error err = {0};
            ck_assert_msg(moe_plan_layer_check(&next, &err) == MOE_OK,
                          "%s, load %s: %s", planner->name, moods[m], err.text);
            ck_assert_msg(empty_slots_have_no_quota(&next), "%s, load %s",
                          planner->name, moods[m]);
            ck_assert_msg(!planner->keeps_home ||
                              keeps_home(&next, &env->layout),
                          "%s, load %s", planner->name, moods[m]);
        }
        planning_fini(&d);
    }
    free(load);
}
END_TEST

START_TEST(every_planner_plans_the_same_again)
{
    const moe_planner_env all = env_of(&places[_i]), *env = &all;
    const size_t n = (size_t)env->layout.gpus * (size_t)env->slots;
    double *load = moe_array_new((size_t)env->experts, sizeof *load, NULL);
    for (size_t i = 0; moe_planner_at(i) != NULL; i++) {
        planning used, fresh;
        planning_init(&used, moe_planner_at(i)->name, env, NULL);
        fill_load(load, "mixed", env->experts, 1);
        planning_make(&used,
                      load); /* leaves traces in the state, if anything */
        fill_load(load, "random", env->experts, 2);
        planning_make(&used, load);
        planning_init(&fresh, moe_planner_at(i)->name, env, NULL);
        planning_make(&fresh, load);
        ck_assert_mem_eq(used.next.expert, fresh.next.expert,
                         n * sizeof *used.next.expert);
        ck_assert_mem_eq(used.next.quota, fresh.next.quota,
                         n * sizeof *used.next.quota);
        ck_assert_uint_eq(moe_planner_steps(used.planner, used.state),
                          moe_planner_steps(fresh.planner, fresh.state));
        planning_fini(&used);
        planning_fini(&fresh);
    }
    free(load);
}
END_TEST

/* Whole numbers of the same shares, at another total. */
START_TEST(every_planner_keeps_the_plan_of_a_proportional_load)
{
    const moe_planner_env all = env_of(&places[_i]), *env = &all;
    const size_t n = (size_t)env->layout.gpus * (size_t)env->slots;
    double *load = moe_array_new((size_t)env->experts, sizeof *load, NULL);
    double *more = moe_array_new((size_t)env->experts, sizeof *more, NULL);
    for (size_t i = 0; moe_planner_at(i) != NULL; i++) {
        planning d;
        planning_init(&d, moe_planner_at(i)->name, env, NULL);
        fill_load(load, "random", env->experts, 3);
        planning_make(&d, load);
        planning_settle(&d);
        for (int e = 0; e < env->experts; e++)
            more[e] = round(load[e] * 1.37);
        d.last = load;
        planning_make(&d, more);
        ck_assert_int_eq(planning_settle(&d), 0);
        ck_assert_msg(memcmp(d.next.quota, d.current.quota,
                             n * sizeof *d.next.quota) == 0,
                      "%s", d.planner->name);
        planning_fini(&d);
    }
    free(load);
    free(more);
}
END_TEST

static const struct {
    double a[3], b[3];
    bool same;
} pairs_of_loads[] = {
    {{1, 2, 3}, {1, 2, 3}, true},
    {{1, 2, 3}, {2, 4, 6}, true},
    {{10, 20, 31}, {100, 203, 307}, true}, /* 10.0 20.3 30.7 */
    {{10, 20, 33}, {100, 203, 307}, false},
    {{0, 0, 0}, {0, 0, 0}, true},
    {{0, 0, 0}, {0, 1, 0}, false},
    {{0.1, 0.2, 0.7}, {1, 2, 7}, true},
    {{0.1, 0.2, 0.7}, {1, 2, 6}, false},
    {{1000, 2000, 3000}, {1001, 1999, 3000}, true},
    {{1000, 2000, 3000}, {1002, 1998, 3000}, false},
};

START_TEST(loads_are_the_same_if_proportional_but_for_rounding)
{
    ck_assert_int_eq(
        moe_planner_same_load(pairs_of_loads[_i].a, pairs_of_loads[_i].b, 3),
        pairs_of_loads[_i].same);
    ck_assert_int_eq(
        moe_planner_same_load(pairs_of_loads[_i].b, pairs_of_loads[_i].a, 3),
        pairs_of_loads[_i].same);
}
END_TEST

START_TEST(planners_that_plan_count_the_steps_of_the_last_plan)
{
    const moe_planner_env all = env_of(&places[_i]), *env = &all;
    double *load = moe_array_new((size_t)env->experts, sizeof *load, NULL);
    for (size_t i = 0; moe_planner_at(i) != NULL; i++) {
        planning d;
        planning_init(&d, moe_planner_at(i)->name, env, NULL);
        ck_assert_uint_eq(moe_planner_steps(d.planner, d.state), 0);
        fill_load(load, "random", env->experts, 0);
        planning_make(&d, load);
        const uint64_t once = moe_planner_steps(d.planner, d.state);
        ck_assert_msg((once > 0) == d.planner->plans, "%s", d.planner->name);
        planning_make(&d, load);
        ck_assert_uint_eq(moe_planner_steps(d.planner, d.state), once);
        planning_fini(&d);
    }
    free(load);
}
END_TEST

START_TEST(planners_are_found_by_name)
{
    for (size_t i = 0; moe_planner_at(i) != NULL; i++) {
        const moe_planner *p = moe_planner_at(i);
        ck_assert_ptr_eq(moe_planner_find(p->name), p);
        ck_assert_int_eq(p->copies, strcmp(p->name, "static") != 0 &&
                                        strcmp(p->name, "relocate") != 0);
        ck_assert_ptr_nonnull(p->help);
        void *state = moe_array_new(1, p->state_size, NULL);
        moe_planner_free(p, state); /* zeroed, never set up */
    }
    ck_assert_ptr_null(moe_planner_find("dupl"));
}
END_TEST

START_TEST(static_keeps_the_home_placement_whatever_the_load)
{
    const moe_planner_env all = env_of(&places[_i]), *env = &all;
    double *load = moe_array_new((size_t)env->experts, sizeof *load, NULL);
    planning d;
    planning_init(&d, "static", env, NULL);
    fill_load(load, "hot", env->experts, 0);
    planning_make(&d, load);
    const size_t n = (size_t)env->layout.gpus * (size_t)env->slots;
    ck_assert_mem_eq(d.next.expert, d.current.expert,
                     n * sizeof *d.next.expert);
    ck_assert_mem_eq(d.next.quota, d.current.quota, n * sizeof *d.next.quota);
    planning_fini(&d);
    free(load);
}
END_TEST

/* Algorithm 1 by hand: slots after planning, and pairs in each. */
static const struct {
    const char *name;
    place place;
    const char *max_copies;
    double load[4];
    int16_t expert[12];
    int pairs[12];
} golden[] = {
    /* 8 0: D = 4, four pairs of expert 0 go over. */
    {"half the difference moves",
     {{2, 2}, 2, 2},
     NULL,
     {8, 0},
     {0, -1, 1, 0},
     {4, 0, 0, 4}},
    /* 5 2: D = ceil(3/2) = 2 -> 3 4, within one pair. */
    {"an odd difference is rounded up",
     {{2, 2}, 2, 2},
     NULL,
     {5, 2},
     {0, -1, 1, 0},
     {3, 0, 2, 2}},
    {"one pair of difference is balance",
     {{2, 2}, 2, 2},
     NULL,
     {5, 4},
     {0, -1, 1, -1},
     {5, 0, 4, 0}},
    /* 10 0 0: D = 5, GPU 1 gets 5 -> 5 5 0: D = 3 (GPU 0 first) -> 2 5 3:
     * GPU 1 to 0: D = 2, already there -> 4 3 3. */
    {"loads move back where a replica is",
     {{3, 3}, 1, 1},
     NULL,
     {10},
     {0, 0, 0},
     {4, 3, 3}},
    /* 10 1 on GPU 0, 2 1 on GPU 1: 11 3, D = 4 of expert 0. */
    {"the largest expert goes",
     {{2, 2}, 4, 3},
     NULL,
     {10, 1, 2, 1},
     {0, 1, -1, 2, 3, 0},
     {6, 1, 0, 2, 1, 4}},
    /* Equal experts: the lower number goes. 12 0: D = 6 = all of expert 0. */
    {"a whole expert may leave its home",
     {{2, 2}, 4, 3},
     NULL,
     {6, 6, 0, 0},
     {0, 1, -1, 2, 3, 0},
     {0, 6, 0, 0, 0, 6}},
    /* 9 3 on GPU 0: D = 6 moves 6 of expert 0 -> 6 6. */
    {"no more than the expert has",
     {{2, 2}, 4, 4},
     NULL,
     {3, 2, 0, 0},
     {0, 1, -1, -1, 2, 3, 0, -1},
     {0, 2, 0, 0, 0, 0, 3, 0}},
    /* No slot is free anywhere. */
    {"without a free slot nothing moves",
     {{2, 2}, 4, 2},
     NULL,
     {9, 9, 0, 0},
     {0, 1, 2, 3},
     {9, 9, 0, 0}},
    /* Expert 0 may have two replicas: GPU 1 gets half, GPU 2 nothing. */
    {"max_copies ends duplication",
     {{3, 3}, 1, 1},
     "2",
     {10},
     {0, 0, -1},
     {5, 5, 0}},
    {"max_copies 1 is the home placement",
     {{3, 3}, 1, 1},
     "1",
     {10},
     {0, -1, -1},
     {10, 0, 0}},
    /* 2 experts, 4 GPUs, C_max 2: 8 4 0 0: GPU 2 gets 4 of 0 -> 4 4 4 0:
     * GPU 0 cannot give (expert 0 has two copies): stop. */
    {"nothing can leave the busiest",
     {{4, 4}, 2, 1},
     "2",
     {8, 4},
     {0, 1, 0, -1},
     {4, 4, 4, 0}},
    /* Halves round to nearest: 2.5 -> 3, 0.4 -> 0. 3 0: D = 2 -> 1 2. */
    {"loads count as whole pairs",
     {{2, 2}, 2, 2},
     NULL,
     {2.5, .4},
     {0, -1, 1, 0},
     {1, 0, 0, 2}},
    /* 9 on GPU 0, 8 0 on GPUs 1, 2, one slot each: the idlest is full, the
     * next idlest too: stop. */
    {"full GPUs are passed over",
     {{3, 3}, 3, 1},
     NULL,
     {9, 8, 0},
     {0, 1, 2},
     {9, 8, 0}},
};

START_TEST(duplicate_follows_algorithm_1)
{
    planning d;
    const moe_planner_env env = env_of(&golden[_i].place);
    const char *const set[] = {"max_copies", golden[_i].max_copies, NULL};
    planning_init(&d, "duplicate", &env, set[1] != NULL ? set : NULL);
    planning_make(&d, golden[_i].load);
    const int n = golden[_i].place.layout.gpus * golden[_i].place.slots;
    for (int s = 0; s < n; s++) {
        const int e = golden[_i].expert[s];
        ck_assert_msg(d.next.expert[s] == e, "%s: slot %d has %d, not %d",
                      golden[_i].name, s, d.next.expert[s], e);
        if (e < 0)
            continue;
        double total = round(golden[_i].load[e]);
        double share = total > 0 ? golden[_i].pairs[s] / total : 1;
        ck_assert_msg(fabs(d.next.quota[s] - share * MOE_QUOTA_ONE) < 1,
                      "%s: slot %d has a share of %g", golden[_i].name, s,
                      (double)d.next.quota[s] / MOE_QUOTA_ONE);
    }
    planning_fini(&d);
}
END_TEST

/* The paper's pseudo-code word by word, with the repair that duplicate.c
 * names: when the idlest GPU can take nothing, the next idlest is tried. */
enum { MAX_E = 64, MAX_G = 16 };

typedef struct {
    int experts, gpus, slots, max_copies;
    int64_t pairs[MAX_E][MAX_G];
    bool holds[MAX_E][MAX_G];
} slow_plan;

static int64_t slow_load(const slow_plan *p, int g)
{
    int64_t sum = 0;
    for (int e = 0; e < p->experts; e++)
        sum += p->pairs[e][g];
    return sum;
}

static bool slow_may(const slow_plan *p, int e, int c)
{
    int copies = 0, used = 0;
    for (int g = 0; g < p->gpus; g++)
        copies += p->holds[e][g];
    for (int x = 0; x < p->experts; x++)
        used += p->holds[x][c];
    return p->holds[e][c] || (copies < p->max_copies && used < p->slots);
}

/* @return the expert with most pairs on h that may go to c, or -1. */
static int slow_expert(const slow_plan *p, int h, int c)
{
    int best = -1;
    for (int e = p->experts - 1; e >= 0; e--)
        if (p->pairs[e][h] > 0 && slow_may(p, e, c) &&
            (best < 0 || p->pairs[e][h] >= p->pairs[best][h]))
            best = e;
    return best;
}

/* One turn of the loop. @return false when nothing moved. */
static bool slow_step(slow_plan *p)
{
    int h = p->gpus - 1, e = -1, c = -1;
    bool tried[MAX_G] = {false};
    for (int g = h; g >= 0; g--)
        h = slow_load(p, g) >= slow_load(p, h) ? g : h;
    for (int turn = 0; turn < p->gpus && e < 0; turn++) {
        c = -1;
        for (int g = 0; g < p->gpus; g++)
            if (!tried[g] && (c < 0 || slow_load(p, g) < slow_load(p, c)))
                c = g;
        tried[c] = true;
        if (slow_load(p, h) - slow_load(p, c) > 1)
            e = slow_expert(p, h, c);
    }
    if (e < 0)
        return false;
    int64_t half = (slow_load(p, h) - slow_load(p, c) + 1) / 2;
    int64_t n = half < p->pairs[e][h] ? half : p->pairs[e][h];
    p->holds[e][c] = true;
    p->pairs[e][h] -= n;
    p->pairs[e][c] += n;
    return true;
}

static void slow_start(slow_plan *p, const moe_planner_env *env,
                       const double *load)
{
    for (int g = 0; g < p->gpus; g++)
        for (int k = 0; k < moe_layout_home_count(&env->layout, p->experts, g);
             k++) {
            int e = moe_layout_home_first(&env->layout, p->experts, g) + k;
            p->holds[e][g] = true;
            p->pairs[e][g] = llround(load[e]);
        }
}

static bool same_as_slow(const slow_plan *p, const moe_plan_layer *next)
{
    for (int g = 0; g < p->gpus; g++)
        for (int e = 0; e < p->experts; e++) {
            int64_t total = 0;
            double share = -1;
            for (int x = 0; x < p->gpus; x++)
                total += p->pairs[e][x];
            for (int k = 0; k < next->slots; k++)
                if (next->expert[g * next->slots + k] == e)
                    share = (double)next->quota[g * next->slots + k] /
                            MOE_QUOTA_ONE;
            double right = !p->holds[e][g] ? -1
                           : total == 0
                               ? 1
                               : (double)p->pairs[e][g] / (double)total;
            if (fabs(share - right) > 1e-8)
                return false;
        }
    return true;
}

static int64_t slow_most(const slow_plan *p)
{
    int64_t most = 0;
    for (int g = 0; g < p->gpus; g++)
        most = slow_load(p, g) > most ? slow_load(p, g) : most;
    return most;
}

START_TEST(duplicate_equals_the_pseudo_code)
{
    for (int round = 0; round < 60; round++) {
        moe_rng rng =
            moe_rng_at(3, MOE_RNG_TEST, (uint64_t)_i, 0, (uint64_t)round);
        moe_planner_env env = {.layout = {1 + random_below(&rng, MAX_G), 4},
                               .experts = 1 + random_below(&rng, MAX_E)};
        env.slots = moe_layout_home_slots(&env.layout, env.experts) +
                    random_below(&rng, 4);
        const int limit = random_below(&rng, 5);
        char copies[16];
        snprintf(copies, sizeof copies, "%d", limit);
        double load[MAX_E];
        fill_load(load, moods[_i], env.experts, round);
        slow_plan slow = {.experts = env.experts,
                          .gpus = env.layout.gpus,
                          .slots = env.slots,
                          .max_copies = limit > 0 ? limit : MAX_G};
        slow_start(&slow, &env, load);
        const int64_t most_static = slow_most(&slow);
        while (slow_step(&slow)) {
        }
        ck_assert_int_le(slow_most(&slow), most_static);
        planning d;
        const char *const set[] = {"max_copies", copies, NULL};
        planning_init(&d, "duplicate", &env, set);
        planning_make(&d, load);
        moe_plan_layer next = moe_plan_at(&d.next, 0);
        ck_assert_msg(same_as_slow(&slow, &next),
                      "load %s, E %d, G %d, slots %d, max_copies %s", moods[_i],
                      env.experts, slow.gpus, env.slots, copies);
        planning_fini(&d);
    }
}
END_TEST

/* Load of the busiest GPU under a plan. */
static double busiest(const moe_plan_layer *next, const double *load)
{
    double most = 0;
    for (int g = 0; g < next->gpus; g++) {
        double sum = 0;
        for (int k = 0; k < next->slots; k++) {
            int s = g * next->slots + k;
            if (next->expert[s] >= 0)
                sum += load[next->expert[s]] * next->quota[s] / MOE_QUOTA_ONE;
        }
        most = fmax(most, sum);
    }
    return most;
}

START_TEST(duplicate_is_never_worse_than_static)
{
    const moe_planner_env all = env_of(&places[_i]), *env = &all;
    double *load = moe_array_new((size_t)env->experts, sizeof *load, NULL);
    for (size_t m = 0; m < MOE_ARRAY_LEN(moods); m++) {
        planning d;
        planning_init(&d, "duplicate", env, NULL);
        fill_load(load, moods[m], env->experts, 0);
        for (int e = 0; e < env->experts; e++)
            load[e] = round(load[e]);
        planning_make(&d, load);
        moe_plan_layer home = moe_plan_at(&d.current, 0),
                       next = moe_plan_at(&d.next, 0);
        double before = busiest(&home, load), after = busiest(&next, load);
        ck_assert_msg(after <= before * (1 + 1e-8), "load %s: %.0f, was %.0f",
                      moods[m], after, before);
        planning_fini(&d);
    }
    free(load);
}
END_TEST

START_TEST(room_for_all_balances_to_a_pair)
{
    const moe_planner_env env = {.layout = {8, 4}, .experts = 16, .slots = 16};
    double load[16], total = 0;
    for (int round = 0; round < 100; round++) {
        planning d;
        planning_init(&d, "duplicate", &env, NULL);
        fill_load(load, "random", 16, round);
        total = 0;
        for (int e = 0; e < 16; e++)
            total += load[e];
        planning_make(&d, load);
        moe_plan_layer next = moe_plan_at(&d.next, 0);
        ck_assert_double_le(busiest(&next, load), total / 8 + 1 + 1e-3);
        planning_fini(&d);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("planner");
    const size_t n = MOE_ARRAY_LEN(places);
    MOE_TEST_LOOP(suite, every_planner_makes_sound_plans_of_any_load, n);
    MOE_TEST_LOOP(suite, every_planner_plans_the_same_again, n);
    MOE_TEST_LOOP(suite, planners_that_plan_count_the_steps_of_the_last_plan,
                  n);
    MOE_TEST_LOOP(suite, every_planner_keeps_the_plan_of_a_proportional_load,
                  n);
    MOE_TEST_LOOP(suite, loads_are_the_same_if_proportional_but_for_rounding,
                  MOE_ARRAY_LEN(pairs_of_loads));
    MOE_TEST(suite, planners_are_found_by_name);
    MOE_TEST_LOOP(suite, static_keeps_the_home_placement_whatever_the_load, n);
    MOE_TEST_LOOP(suite, duplicate_follows_algorithm_1, MOE_ARRAY_LEN(golden));
    MOE_TEST_LOOP(suite, duplicate_equals_the_pseudo_code,
                  MOE_ARRAY_LEN(moods));
    MOE_TEST_LOOP(suite, duplicate_is_never_worse_than_static, n);
    MOE_TEST(suite, room_for_all_balances_to_a_pair);
    return suite;
}
