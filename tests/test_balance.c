/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "harness.h"
#include "moegps/regret.h"
#include "planning.h"
#include "random_plan.h"

enum { MAX_E = 256 };

static void random_loads(moe_rng *rng, int n, double *load)
{
    const double sigma = 2 * moe_rng_unit(rng);
    for (int e = 0; e < n; e++)
        load[e] = random_below(rng, 12) == 0
                      ? 0
                      : floor(1000 * exp(sigma * moe_rng_normal(rng)));
}

static double busiest(planning *d, const double *load)
{
    moe_regret *r;
    moe_plan_layer next = moe_plan_at(&d->next, 0);
    r = moe_regret_new(&d->env, NULL);
    const double most = moe_regret_busiest(r, &next, load, MOE_DIVISION_QUOTA);
    moe_regret_free(r);
    return most;
}

static double by_planner(const char *name, const moe_planner_env *env,
                         const char *const *set, const double *load)
{
    planning d;
    planning_init(&d, name, env, set);
    planning_make(&d, load);
    moe_plan_layer next = moe_plan_at(&d.next, 0);
    ck_assert_int_eq(moe_plan_layer_check(&next, NULL), MOE_OK);
    const double most = busiest(&d, load);
    planning_fini(&d);
    return most;
}

/* Options under which balance competes; all are as good as EPLB without. */
static const char *const settings[][5] = {
    {"tolerance", "0", NULL}, {"tolerance", "0", "fill", "yes", NULL}};

START_TEST(balance_is_never_less_balanced_than_eplb)
{
    for (uint64_t round = 0; round < 150; round++) {
        moe_rng rng = moe_rng_at(8, MOE_RNG_TEST, 0, 0, round);
        moe_planner_env env = {.layout = {1 + random_below(&rng, 24), 8},
                               .experts = 1 + random_below(&rng, 96)};
        env.slots = moe_layout_home_slots(&env.layout, env.experts) +
                    random_below(&rng, 3);
        double load[MAX_E], sum = 0;
        random_loads(&rng, env.experts, load);
        for (int e = 0; e < env.experts; e++)
            sum += load[e];
        const double ours = by_planner("balance", &env, settings[_i], load);
        const double theirs = by_planner("eplb", &env, NULL, load);
        ck_assert_msg(ours <= theirs + 1e-6 * sum,
                      "round %d, E %d, G %d, slots %d: %.3f, eplb %.3f",
                      (int)round, env.experts, env.layout.gpus, env.slots, ours,
                      theirs);
    }
}
END_TEST

/* Nodes of 2 or 4 GPUs, groups that they divide. */
START_TEST(groups_stay_on_a_node_and_are_no_less_balanced_than_eplb)
{
    for (uint64_t round = 0; round < 100; round++) {
        moe_rng rng = moe_rng_at(9, MOE_RNG_TEST, 0, 0, round);
        const int nodes = 2 + random_below(&rng, 3), per = 2 << (round % 2);
        const int groups = nodes * (1 + random_below(&rng, 3));
        moe_planner_env env = {.layout = {nodes * per, per},
                               .experts =
                                   groups * (1 + random_below(&rng, 12))};
        env.slots = moe_layout_home_slots(&env.layout, env.experts) +
                    random_below(&rng, 3);
        char text[16];
        snprintf(text, sizeof text, "%d", groups);
        const char *const set[] = {"groups", text, "tolerance", "0", NULL};
        const char *const eplb[] = {"groups", text, NULL};
        double load[MAX_E], sum = 0;
        random_loads(&rng, env.experts, load);
        for (int e = 0; e < env.experts; e++)
            sum += load[e];
        planning d;
        planning_init(&d, "balance", &env, set);
        for (int again = 0; again < 2; again++) {
            planning_make(&d, load);
            for (int k = 0; k < env.layout.gpus * env.slots; k++) {
                const int e = d.next.expert[k];
                const int size = env.experts / groups;
                for (int j = 0; e >= 0 && j < k; j++)
                    if (d.next.expert[j] >= 0 &&
                        d.next.expert[j] / size == e / size)
                        ck_assert_int_eq(j / env.slots / per,
                                         k / env.slots / per);
            }
            ck_assert_double_le(busiest(&d, load),
                                by_planner("eplb", &env, eplb, load) +
                                    1e-6 * sum);
            planning_settle(&d);
        }
        planning_fini(&d);
    }
}
END_TEST

/* Slots for a replica per GPU: nearly all loads can be divided evenly. */
static const struct {
    moe_layout layout;
    int experts, slots;
    double least; /* balancedness */
} rooms[] = {{{4, 4}, 8, 4, .99},
             {{32, 8}, 256, 9, .99},
             {{8, 8}, 64, 9, .99},
             {{144, 8}, 256, 3, .95},
             {{12, 4}, 60, 6, .99}};

START_TEST(with_room_the_mean_is_reached)
{
    const moe_planner_env env = {.layout = rooms[_i].layout,
                                 .experts = rooms[_i].experts,
                                 .slots = rooms[_i].slots};
    planning d;
    planning_init(&d, "balance", &env, NULL);
    for (uint64_t round = 0; round < 20; round++) {
        moe_rng rng = moe_rng_at(10, MOE_RNG_TEST, (uint64_t)_i, 0, round);
        double load[MAX_E], sum = 0;
        for (int e = 0; e < env.experts; e++)
            sum += load[e] = exp(moe_rng_normal(&rng));
        planning_make(&d, load);
        ck_assert_double_ge(sum / env.layout.gpus / busiest(&d, load),
                            rooms[_i].least);
        planning_settle(&d);
    }
    planning_fini(&d);
}
END_TEST

START_TEST(the_same_load_moves_nothing_and_little_noise_little)
{
    const moe_planner_env env = {.layout = rooms[_i].layout,
                                 .experts = rooms[_i].experts,
                                 .slots = rooms[_i].slots};
    const int all = env.layout.gpus * env.slots;
    planning d, eplb;
    int noise = 0, eplb_noise = 0;
    planning_init(&d, "balance", &env, NULL);
    planning_init(&eplb, "eplb", &env, NULL);
    for (uint64_t round = 0; round < 10; round++) {
        moe_rng rng = moe_rng_at(11, MOE_RNG_TEST, (uint64_t)_i, 0, round);
        double load[MAX_E];
        for (int e = 0; e < env.experts; e++)
            load[e] = exp(moe_rng_normal(&rng));
        planning_make(&d, load);
        planning_settle(&d);
        planning_make(&d, load);
        ck_assert_int_eq(planning_settle(&d), 0);
        planning_make(&eplb, load);
        planning_settle(&eplb);
        for (int e = 0; e < env.experts; e++)
            load[e] *= exp(.02 * moe_rng_normal(&rng));
        planning_make(&d, load);
        noise += planning_settle(&d);
        planning_make(&eplb, load);
        eplb_noise += planning_settle(&eplb);
    }
    ck_assert_msg(noise <= all / 2 && noise <= eplb_noise,
                  "%d of %d slots in 10 rounds, eplb %d", noise, all,
                  eplb_noise);
    planning_fini(&d);
    planning_fini(&eplb);
}
END_TEST

START_TEST(slots_are_used_as_far_as_they_help)
{
    const moe_planner_env env = {.layout = {4, 4}, .experts = 8, .slots = 8};
    const double even[8] = {5, 5, 5, 5, 5, 5, 5, 5};
    const double hot[8] = {40, 1, 1, 1, 1, 1, 1, 1};
    planning d;
    planning_init(&d, "balance", &env, NULL);
    planning_make(&d, even);
    ck_assert_int_eq(planning_settle(&d), 0);
    planning_make(&d, hot);
    ck_assert_int_le(planning_settle(&d), 4);
    ck_assert_double_le(busiest(&d, hot), 47. / 4 * 1.0001);
    planning_fini(&d);
}
END_TEST

START_TEST(groups_that_do_not_divide_are_refused)
{
    static const struct {
        moe_layout layout;
        const char *groups, *says;
    } bad[] = {
        {{8, 4}, "3", "balance: 3 groups do not divide 64 experts"},
        {{12, 4}, "8", "balance: 3 nodes do not divide 8 groups"},
        {{10, 4},
         "8",
         "balance: groups need nodes of equal size, not 10 GPUs on 3 nodes"},
    };
    const moe_planner *p = moe_planner_find("balance");
    for (size_t i = 0; i < MOE_ARRAY_LEN(bad); i++) {
        const moe_planner_env env = {
            .layout = bad[i].layout, .experts = 64, .slots = 16};
        void *params = moe_array_new(1, p->params_size, NULL);
        moe_error err = {0};
        moe_opt_defaults(p->opts, params);
        moe_opt_parse(moe_opt_find(p->opts, "groups"), bad[i].groups, params,
                      NULL);
        ck_assert_ptr_null(moe_planner_new(p, &env, params, &err));
        ck_assert_int_eq(err.status, MOE_USAGE);
        ck_assert_str_eq(err.text, bad[i].says);
        free(params);
    }
}
END_TEST

/* @return the sum over noisy loads of max / mean, of one plan by quota. */
static double later(planning *d, const double *load, uint64_t round)
{
    double sum = 0, noisy[MAX_E];
    for (uint64_t i = 0; i < 16; i++) {
        moe_rng rng = moe_rng_at(44, MOE_RNG_TEST, i, 0, round);
        double all = 0;
        for (int e = 0; e < d->env.experts; e++)
            all += noisy[e] = load[e] * exp(.2 * moe_rng_normal(&rng));
        sum += busiest(d, noisy) / all * d->env.layout.gpus;
    }
    return sum;
}

START_TEST(a_forecast_that_never_changes_gets_a_plan_that_ages_as_eplbs)
{
    static const moe_planner_env envs[] = {
        {.layout = {8, 8}, .experts = 60, .slots = 9, .constant = true},
        {.layout = {4, 4}, .experts = 8, .slots = 4, .constant = true}};
    double ours = 0, theirs = 0, load[MAX_E];
    for (uint64_t round = 0; round < 20; round++) {
        moe_rng rng = moe_rng_at(43, MOE_RNG_TEST, (uint64_t)_i, 0, round);
        planning d, eplb;
        for (int e = 0; e < envs[_i].experts; e++)
            load[e] = exp(moe_rng_normal(&rng));
        planning_init(&d, "balance", &envs[_i], NULL);
        planning_init(&eplb, "eplb", &envs[_i], NULL);
        planning_make(&d, load);
        planning_make(&eplb, load);
        ours += later(&d, load, round);
        theirs += later(&eplb, load, round);
        planning_fini(&d);
        planning_fini(&eplb);
    }
    ck_assert_double_le(ours, theirs);
}
END_TEST

/* Slots without a part are to be had as long as their expert has another copy,
 * and that may go. */
START_TEST(slots_that_others_gave_up_are_not_counted_on)
{
    double load[MAX_E];
    for (uint64_t round = 0; round < 3000; round++) {
        moe_rng rng = moe_rng_at(44, MOE_RNG_TEST, 0, 0, round);
        const moe_planner_env env = {.layout = {3 + random_below(&rng, 8), 2},
                                     .experts = 8 + random_below(&rng, 8),
                                     .slots = 5 + random_below(&rng, 5),
                                     .division = MOE_DIVISION_MINMAX};
        planning d;
        planning_init(&d, "balance", &env, NULL);
        for (int again = 0; again < 4; again++) {
            for (int e = 0; e < env.experts; e++)
                load[e] = random_below(&rng, 40);
            planning_make(&d, load);
            const moe_plan_layer next = moe_plan_at(&d.next, 0);
            ck_assert_int_eq(moe_plan_layer_check(&next, NULL), MOE_OK);
            planning_settle(&d);
        }
        planning_fini(&d);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("balance");
    MOE_TEST_LOOP(suite, balance_is_never_less_balanced_than_eplb,
                  MOE_ARRAY_LEN(settings));
    MOE_TEST(suite, groups_stay_on_a_node_and_are_no_less_balanced_than_eplb);
    MOE_TEST_LOOP(suite, with_room_the_mean_is_reached, MOE_ARRAY_LEN(rooms));
    MOE_TEST_LOOP(suite, the_same_load_moves_nothing_and_little_noise_little,
                  MOE_ARRAY_LEN(rooms));
    MOE_TEST(suite, slots_that_others_gave_up_are_not_counted_on);
    MOE_TEST(suite, slots_are_used_as_far_as_they_help);
    MOE_TEST(suite, groups_that_do_not_divide_are_refused);
    MOE_TEST_LOOP(
        suite, a_forecast_that_never_changes_gets_a_plan_that_ages_as_eplbs, 2);
    return suite;
}
