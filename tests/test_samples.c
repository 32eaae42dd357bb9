/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/planner/samples.h"

#include <math.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

enum { E = 24, STEPS = 20 };

/* Loads of steps, newest first: noise about fixed shares, that change at a
 * jump, or shares that wander. */
static const struct {
    const char *name;
    double noise, drift; /* sigma of a logarithm, of a step */
    int jump;            /* steps since; 0: none */
    double least, most;  /* decay that is right */
    int n_most;          /* samples in use, at most */
} series[] = {
    {"noise about a fixed load", 0.2, 0, 0, 0.8, 1, STEPS},
    {"drift", 0, 0.3, 0, 0, 0.5, STEPS},
    {"a jump four steps ago", 0.1, 0, 4, 0, 1, 4},
    {"a jump just now", 0.1, 0, 1, 0, 1, 1},
};

static void draw(int row, uint64_t seed, double load[STEPS][E])
{
    double share[E];
    moe_rng rng = moe_rng_at(21, MOE_RNG_TEST, (uint64_t)row, 0, seed);
    for (int e = 0; e < E; e++)
        share[e] = moe_rng_normal(&rng);
    for (int t = STEPS - 1; t >= 0; t--)
        for (int e = 0; e < E; e++) {
            if (t == series[row].jump - 1)
                share[e] = moe_rng_normal(&rng);
            share[e] += series[row].drift * moe_rng_normal(&rng);
            load[t][e] = floor(
                1e5 * exp(share[e] + series[row].noise * moe_rng_normal(&rng)));
        }
}

START_TEST(decay_and_window_follow_the_series)
{
    double load[STEPS][E];
    const double *past[STEPS];
    moe_samples s;
    ck_assert_int_eq(moe_samples_init(&s, E, 4, NULL), MOE_OK);
    for (int t = 0; t < STEPS; t++)
        past[t] = load[t];
    for (uint64_t seed = 0; seed < 20; seed++) {
        draw(_i, seed, load);
        const moe_planner_task task = {
            .load = load[0], .past = past, .n_past = STEPS};
        ck_assert(moe_samples_choose(&s, &task));
        ck_assert_msg(s.decay >= series[_i].least &&
                          s.decay <= series[_i].most + 1e-6,
                      "%s: decay %g", series[_i].name, s.decay);
        ck_assert_msg(s.n >= 1 && s.n <= series[_i].n_most, "%s: %d samples",
                      series[_i].name, s.n);
    }
    moe_samples_fini(&s);
}
END_TEST

START_TEST(samples_are_in_loads_of_the_mean_gpu_and_weights_sum_to_one)
{
    const double a[3] = {1, 2, 1}, b[3] = {0, 0, 0}, c[3] = {30, 0, 10};
    const double *const past[4] = {a, b, c, a};
    const moe_planner_task task = {.load = a, .past = past, .n_past = 4};
    moe_samples s;
    ck_assert_int_eq(moe_samples_init(&s, 3, 2, NULL), MOE_OK);
    ck_assert(moe_samples_choose(&s, &task));
    /* c is nearer to the mean of c and a than to a */
    ck_assert_double_eq(s.decay, 1);
    ck_assert_int_eq(s.n, 3); /* without the one that says nothing */
    ck_assert_int_eq(s.stride, 4);
    static const float expected[3][4] = {
        {0.5F, 1.5F, 0.5F, 0}, {1, 0, 1, 0}, {0.5F, 0.5F, 0.5F, 0}};
    for (int e = 0; e < 3; e++)
        for (int i = 0; i < 4; i++)
            ck_assert_float_eq(s.load[4 * e + i], expected[e][i]);
    for (int i = 0; i < 3; i++)
        ck_assert_float_eq_tol(s.weight[i], 1.0F / 3, 1e-6F);
    ck_assert_float_eq(s.weight[3], 0);
    const moe_planner_task none = {.load = b};
    ck_assert(!moe_samples_choose(&s, &none));
    moe_samples_fini(&s);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("samples");
    MOE_TEST_LOOP(suite, decay_and_window_follow_the_series,
                  MOE_ARRAY_LEN(series));
    MOE_TEST(suite,
             samples_are_in_loads_of_the_mean_gpu_and_weights_sum_to_one);
    return suite;
}
