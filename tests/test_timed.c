/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "harness.h"
#include "planning.h"
#include "pricing.h"
#include "random_plan.h"

/* The fixture's A100s with weights of 79 MB an expert. */
enum { EXPERTS = 32, GPUS = 8, SLOTS = 6 };

typedef struct {
    pricing gpu;
    moe_pricer pricer;
    moe_planner_env env;
} site;

static void site_init(site *s, double link_bandwidth, int interval)
{
    s->gpu = (pricing){.model = fixture_model(), .cluster = fixture_cluster()};
    s->gpu.model.experts = EXPERTS;
    s->gpu.model.hidden = 4096;
    s->gpu.model.intermediate = 3200;
    s->gpu.cluster.link_bandwidth = link_bandwidth;
    ck_assert_int_eq(pricing_open(&s->gpu, "analytic", NULL), MOE_OK);
    s->pricer = pricing_on(&s->gpu, GPUS, GPUS);
    s->env = (moe_planner_env){.layout = {GPUS, GPUS},
                               .experts = EXPERTS,
                               .slots = SLOTS,
                               .interval = interval};
    s->env.pricer = &s->pricer;
}

/* Time of the slowest GPU's experts. */
static double slowest(const site *s, const moe_plan *p, const double *load)
{
    const moe_pricer *pricer = s->env.pricer;
    double most = 0;
    for (int g = 0; g < GPUS; g++) {
        uint32_t rows[SLOTS];
        for (int k = 0; k < SLOTS; k++) {
            const int t = g * SLOTS + k, e = p->expert[t];
            rows[k] =
                e < 0 ? 0
                      : (uint32_t)lround(load[e] * p->quota[t] / MOE_QUOTA_ONE);
        }
        most = fmax(most, pricer->cost->ffn(pricer->state, rows, SLOTS).time_s);
    }
    return most;
}

static int replicas_in_use(const moe_plan *p)
{
    int n = 0;
    for (int k = 0; k < GPUS * SLOTS; k++)
        n += p->quota[k] > 0;
    return n;
}

static void lognormal(uint64_t round, double sigma, double pairs, double *load)
{
    moe_rng rng = moe_rng_at(12, MOE_RNG_TEST, 0, 0, round);
    double sum = 0;
    for (int e = 0; e < EXPERTS; e++)
        sum += load[e] = exp(sigma * moe_rng_normal(&rng));
    for (int e = 0; e < EXPERTS; e++)
        load[e] = floor(pairs * load[e] / sum);
}

START_TEST(at_few_tokens_an_expert_nothing_is_duplicated)
{
    for (uint64_t round = 0; round < 20; round++) {
        site s;
        planning d;
        double load[EXPERTS];
        site_init(&s, 300e9, 1000);
        planning_init(&d, "timed", &s.env, NULL);
        lognormal(round, 1, 8 * EXPERTS, load);
        planning_make(&d, load);
        ck_assert_int_eq(replicas_in_use(&d.next), EXPERTS);
        planning_fini(&d);
        pricing_close(&s.gpu);
    }
}
END_TEST

START_TEST(replicas_that_are_there_are_left_unused_at_few_tokens)
{
    site s;
    planning d;
    double load[EXPERTS];
    site_init(&s, 300e9, 1);
    planning_init(&d, "timed", &s.env, NULL);
    lognormal(1, 1, 1 << 20, load);
    s.env.interval = 100000;
    planning_fini(&d);
    planning_init(&d, "timed", &s.env, NULL);
    planning_make(&d, load);
    ck_assert_int_gt(replicas_in_use(&d.next), EXPERTS);
    planning_settle(&d);
    lognormal(2, 1, 2 * EXPERTS, load);
    planning_make(&d, load);
    ck_assert_int_eq(replicas_in_use(&d.next), EXPERTS);
    planning_fini(&d);
    pricing_close(&s.gpu);
}
END_TEST

START_TEST(at_many_tokens_it_is_faster_than_home_and_about_even)
{
    double saved = 0;
    for (uint64_t round = 0; round < 10; round++) {
        site s;
        planning d;
        double load[EXPERTS];
        site_init(&s, 300e9, 100000);
        planning_init(&d, "timed", &s.env, NULL);
        lognormal(round, 1, 1 << 20, load);
        const double before = slowest(&s, &d.current, load);
        planning_make(&d, load);
        moe_plan_layer next = moe_plan_at(&d.next, 0);
        ck_assert_int_eq(moe_plan_layer_check(&next, NULL), MOE_OK);
        const double after = slowest(&s, &d.next, load);
        ck_assert_double_le(after, before * 1.001);
        saved += 1 - after / before;
        planning_fini(&d);
        pricing_close(&s.gpu);
    }
    ck_assert_double_ge(saved / 10, .3);
}
END_TEST

/* Planning for every batch: with the time of the plan itself the layer is hardly
 * slower than if nothing had been planned, and much faster where there is
 * something to gain; what runs beside layers may look longer. */
static const struct {
    double sigma, pairs;
    bool beside;
    double most; /* of the time at home, with that of the plan */
} priced[] = {{0.05, 64 * EXPERTS, false, 1.02},
              {0.3, 64 * EXPERTS, false, 1.02},
              {0.3, 1 << 14, false, 1.02},
              {1, 1 << 20, false, 0.7},
              {1, 1 << 20, true, 0.7}};

START_TEST(its_own_time_is_part_of_what_it_weighs)
{
    double ratio = 0;
    for (uint64_t round = 0; round < 10; round++) {
        site s;
        planning d;
        double load[EXPERTS];
        site_init(&s, 1e15, 1);
        s.env.step_s = 2.5e-9;
        s.env.beside = priced[_i].beside;
        planning_init(&d, "timed", &s.env, NULL);
        lognormal(round, priced[_i].sigma, priced[_i].pairs, load);
        const double before = slowest(&s, &d.current, load);
        planning_make(&d, load);
        moe_plan_layer next = moe_plan_at(&d.next, 0);
        ck_assert_int_eq(moe_plan_layer_check(&next, NULL), MOE_OK);
        const double steps = (double)moe_planner_steps(d.planner, d.state);
        ratio += (slowest(&s, &d.next, load) +
                  (priced[_i].beside ? 0 : steps * s.env.step_s)) /
                 before / 10;
        planning_fini(&d);
        pricing_close(&s.gpu);
    }
    ck_assert_double_le(ratio, priced[_i].most);
}
END_TEST

START_TEST(a_dear_move_waits_for_a_long_interval)
{
    double load[EXPERTS];
    int moved[2];
    lognormal(3, 1, 1 << 14, load);
    for (int i = 0; i < 2; i++) {
        site s;
        planning d;
        site_init(&s, 1e9, i == 0 ? 1 : 100000);
        planning_init(&d, "timed", &s.env, NULL);
        planning_make(&d, load);
        moved[i] = planning_settle(&d);
        planning_fini(&d);
        pricing_close(&s.gpu);
    }
    ck_assert_int_eq(moved[0], 0);
    ck_assert_int_gt(moved[1], 0);
}
END_TEST

START_TEST(noise_alone_moves_nothing)
{
    site s;
    planning d;
    double load[EXPERTS], noisy[EXPERTS];
    site_init(&s, 300e9, 100000);
    planning_init(&d, "timed", &s.env, NULL);
    int first = 0;
    for (uint64_t round = 0; round < 10; round++) {
        moe_rng rng = moe_rng_at(13, MOE_RNG_TEST, 0, 0, round);
        lognormal(round, 1, 1 << 20, load);
        planning_make(&d, load);
        first += planning_settle(&d);
        for (int again = 0; again < 5; again++) {
            for (int e = 0; e < EXPERTS; e++)
                noisy[e] = load[e] * exp(.02 * moe_rng_normal(&rng));
            planning_make(&d, noisy);
            ck_assert_int_eq(planning_settle(&d), 0);
        }
    }
    ck_assert_int_gt(first, 50);
    planning_fini(&d);
    pricing_close(&s.gpu);
}
END_TEST

/* An idle GPU takes part of an expert from each of the seven others, or a busy
 * one gives part of its own to each. The layer waits for the GPU at which all
 * seven transfers end, or begin. */
static const struct {
    bool idle;
    double load; /* of each other expert */
    int interval, moved;
} crowds[] = {{true, 512, 32, 0},
              {true, 512, 1024, 7},
              {false, 2048, 2, 0},
              {false, 2048, 64, 7}};

START_TEST(the_end_with_most_weights_is_what_a_move_costs)
{
    site s;
    planning d;
    double load[EXPERTS];
    site_init(&s, 1e9, crowds[_i].interval);
    s.env.slots = 11;       /* room for one of each other GPU */
    s.env.sequences = 4096; /* short ones: attention hides little */
    planning_init(&d, "timed", &s.env, NULL);
    for (int e = 0; e < EXPERTS; e++)
        load[e] = (e < EXPERTS / GPUS) == crowds[_i].idle ? 0 : crowds[_i].load;
    planning_make(&d, load);
    ck_assert_int_eq(planning_settle(&d), crowds[_i].moved);
    planning_fini(&d);
    pricing_close(&s.gpu);
}
END_TEST

/* Two hot experts at home on one GPU: the exchange of places does it. */
START_TEST(a_swap_does_where_slots_are_full)
{
    site s;
    planning d;
    double load[EXPERTS];
    site_init(&s, 300e9, 100000);
    s.env.slots = EXPERTS / GPUS;
    planning_init(&d, "timed", &s.env, NULL);
    for (int e = 0; e < EXPERTS; e++)
        load[e] = 1000;
    load[0] = load[1] = 20000;
    planning_make(&d, load);
    ck_assert_int_eq(planning_settle(&d), 2);
    int with_0 = 0, with_1 = 0;
    for (int t = 0; t < EXPERTS; t++) {
        with_0 = d.next.expert[t] == 0 ? t / s.env.slots : with_0;
        with_1 = d.next.expert[t] == 1 ? t / s.env.slots : with_1;
    }
    ck_assert_int_ne(with_0, with_1);
    planning_fini(&d);
    pricing_close(&s.gpu);
}
END_TEST

START_TEST(without_a_pricer_it_is_refused)
{
    const moe_planner *p = moe_planner_find("timed");
    const moe_planner_env env = {.layout = {2, 2}, .experts = 4, .slots = 2};
    moe_error err = {0};
    void *params = moe_array_new(1, p->params_size, NULL);
    ck_assert_ptr_null(moe_planner_new(p, &env, params, &err));
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_str_eq(err.text, "planner timed needs prices of a model on a "
                               "cluster, which are not given here");
    free(params);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("timed");
    MOE_TEST(suite, at_few_tokens_an_expert_nothing_is_duplicated);
    MOE_TEST(suite, replicas_that_are_there_are_left_unused_at_few_tokens);
    MOE_TEST(suite, at_many_tokens_it_is_faster_than_home_and_about_even);
    MOE_TEST_LOOP(suite, its_own_time_is_part_of_what_it_weighs,
                  MOE_ARRAY_LEN(priced));
    MOE_TEST(suite, a_dear_move_waits_for_a_long_interval);
    MOE_TEST(suite, noise_alone_moves_nothing);
    MOE_TEST_LOOP(suite, the_end_with_most_weights_is_what_a_move_costs,
                  MOE_ARRAY_LEN(crowds));
    MOE_TEST(suite, a_swap_does_where_slots_are_full);
    MOE_TEST(suite, without_a_pricer_it_is_refused);
    return suite;
}
