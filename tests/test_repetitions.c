/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/comparison.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

enum { RUNS = 5, ITERATIONS = 16, STRATEGIES = 2 };

/* Runs whose machine is faster or slower than that of the next by a third, as
 * measured times of busy hosts are; batches differ by 5 %. */
typedef struct {
    moe_view view[RUNS];
    moe_strategy_view strategy[RUNS][STRATEGIES];
    double time_s[RUNS][STRATEGIES][ITERATIONS];
    uint64_t hash[RUNS][ITERATIONS];
} repetitions;

/* @param slower  factor of the second strategy's times */
static void measure(repetitions *x, double slower, uint64_t seed)
{
    static char config[] = "";
    for (int r = 0; r < RUNS; r++) {
        moe_rng rng = moe_rng_at(seed, MOE_RNG_TEST, 0, 0, (uint64_t)r);
        const double machine = exp(0.3 * moe_rng_normal(&rng));
        for (int s = 0; s < STRATEGIES; s++) {
            /* a strategy's own luck in a run */
            const double own = machine * exp(0.02 * moe_rng_normal(&rng)) *
                               (s == 1 ? slower : 1);
            for (int i = 0; i < ITERATIONS; i++)
                x->time_s[r][s][i] = own * exp(0.05 * moe_rng_normal(&rng));
            moe_strategy_view *y = &x->strategy[r][s];
            *y = (moe_strategy_view){.name = ""};
            snprintf(y->name, sizeof y->name, s == 0 ? "base" : "other");
            for (int c = 0; c < MOE_N_CLOCKS; c++)
                y->layer_time[c] = x->time_s[r][s];
        }
        memset(x->hash[r], 0, sizeof x->hash[r]); /* other batches */
        x->view[r] = (moe_view){.path = "run",
                                .model = "tiny",
                                .reference = "base",
                                .dims = {.strategies = STRATEGIES,
                                         .iterations = ITERATIONS,
                                         .layers = 1,
                                         .gpus = 4},
                                .passes = 1,
                                .period = 1,
                                .config = config,
                                .batch_hash = x->hash[r],
                                .strategy = x->strategy[r]};
    }
}

/* Compare two sides of n runs each. @return whether a row is beyond doubt:
 * slower or, the other way round, faster. */
static bool differs(const repetitions *a, const repetitions *b, size_t n,
                    moe_clock clock, const char *reference, double *ratio)
{
    moe_comparison c, back;
    const moe_comparison_side side[2] = {{a->view, n}, {b->view, n}};
    const moe_comparison_side other[2] = {side[1], side[0]};
    ck_assert_int_eq(moe_compare(side, clock, reference, &c, NULL), MOE_OK);
    ck_assert_int_eq(moe_compare(other, clock, reference, &back, NULL), MOE_OK);
    ck_assert_int_eq(c.n_rows, STRATEGIES);
    *ratio = c.row[1].ratio.ratio;
    const bool found =
        moe_comparison_worst(&c, 0) >= 0 || moe_comparison_worst(&back, 0) >= 0;
    moe_comparison_fini(&c);
    moe_comparison_fini(&back);
    return found;
}

/* Equal configurations differ beyond doubt in 5 % of comparisons, a row each;
 * what is really slower is found. */
static const struct {
    size_t runs;
    moe_clock clock;
    const char *reference; /* NULL: as chosen */
    double slower;
    double least, most; /* share of comparisons that find a difference */
} nulls[] = {{1, MOE_CLOCK_WALL, NULL, 1, 0, 0},
             {1, MOE_CLOCK_CPU, "", 1, 0, 0},
             {1, MOE_CLOCK_WALL, NULL, 2, 0, 0},
             {3, MOE_CLOCK_WALL, NULL, 1, 0, .06},
             {5, MOE_CLOCK_WALL, NULL, 1, .02, .07},
             {5, MOE_CLOCK_CPU, "", 1, .02, .1},
             {3, MOE_CLOCK_WALL, NULL, 1.2, .9, 1},
             {5, MOE_CLOCK_WALL, NULL, 1.1, .9, 1},
             {5, MOE_CLOCK_WALL, "", 1.1, 0, .3}};

START_TEST(equal_runs_differ_as_often_as_chance_has_it)
{
    enum { TIMES = 600 };
    static repetitions a, b;
    int found = 0;
    double ratio = 0, sum = 0;
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        measure(&a, 1, 2 * seed);
        measure(&b, nulls[_i].slower, 2 * seed + 1);
        found += differs(&a, &b, nulls[_i].runs, nulls[_i].clock,
                         nulls[_i].reference, &ratio);
        sum += log(ratio) / TIMES;
    }
    if (found < nulls[_i].least * TIMES || found > nulls[_i].most * TIMES)
        ck_abort_msg("%d of %d differ", found, TIMES);
    ck_assert_double_eq_tol(sum, log(nulls[_i].slower), 0.05);
}
END_TEST

START_TEST(runs_of_other_sizes_are_no_repetitions)
{
    static repetitions a;
    moe_comparison c;
    moe_error err = {0};
    measure(&a, 1, 1);
    a.view[1].dims.gpus = 2;
    const moe_comparison_side side[2] = {{a.view, 2}, {a.view, 1}};
    ck_assert_int_eq(moe_compare(side, MOE_CLOCK_GPU, NULL, &c, &err),
                     MOE_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "no repetitions"));
}
END_TEST

/* The machine's own speed is in every strategy of a run. */
START_TEST(measured_times_are_relative_to_the_reference)
{
    static repetitions a;
    moe_comparison c;
    measure(&a, 1, 1);
    const moe_comparison_side side[2] = {{a.view, 1}, {a.view + 1, 1}};
    static const struct {
        moe_clock clock;
        const char *asked, *taken;
    } of[] = {{MOE_CLOCK_WALL, NULL, "base"},
              {MOE_CLOCK_CPU, NULL, "base"},
              {MOE_CLOCK_GPU, NULL, ""},
              {MOE_CLOCK_WALL, "", ""},
              {MOE_CLOCK_GPU, "other", "other"}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        ck_assert_int_eq(moe_compare(side, of[i].clock, of[i].asked, &c, NULL),
                         MOE_OK);
        ck_assert_str_eq(c.reference, of[i].taken);
        ck_assert_int_eq(c.sure, of[i].clock == MOE_CLOCK_GPU);
        moe_comparison_fini(&c);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("repetitions");
    MOE_TEST_LOOP(suite, equal_runs_differ_as_often_as_chance_has_it,
                  MOE_ARRAY_LEN(nulls));
    MOE_TEST(suite, runs_of_other_sizes_are_no_repetitions);
    MOE_TEST(suite, measured_times_are_relative_to_the_reference);
    return suite;
}
