/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "../src/results/reader.h"
#include "harness.h"
#include "moegps/mem.h"
#include "moegps/view.h"

/* One size of a run that is possible, changed; NULL: it still is. */
static const struct {
    size_t offset; /* of an int of moe_view */
    int value;
    const char *refusal;
} sizes[] = {
    {offsetof(moe_view, dims.gpus), 4, NULL},
    {offsetof(moe_view, dims.gpus), 0, "0 GPUs, 1 to 1048576 are possible"},
    {offsetof(moe_view, dims.gpus), 5, "5 GPUs on 4 ranks"},
    {offsetof(moe_view, dims.gpus), 2, "2 GPUs on 4 ranks"},
    {offsetof(moe_view, dims.gpus), 3, NULL}, /* and a coordinator */
    {offsetof(moe_view, dims.layers), 65536, NULL},
    {offsetof(moe_view, dims.layers), 65537, "65537 layers, 1 to 65536"},
    {offsetof(moe_view, dims.slots), 0, NULL},
    {offsetof(moe_view, dims.slots), -1, "-1 slots, 0 to 65536"},
    {offsetof(moe_view, dims.iterations), 10, NULL},
    {offsetof(moe_view, dims.iterations), 9, "10 measured iterations"},
    {offsetof(moe_view, period), 10, NULL},
    {offsetof(moe_view, period), 11, "samples of 11, of 10 iterations"},
    {offsetof(moe_view, period), 0, "0 iterations of a sample"},
    {offsetof(moe_view, nodes), 0, "0 nodes, 1 to 1048577"},
    {offsetof(moe_view, top_k), 8, NULL},
    {offsetof(moe_view, top_k), 9, "9 experts of a token, of 8"},
};

START_TEST(sizes_of_a_run_are_possible)
{
    moe_view v = {
        .dims = {.gpus = 4,
                 .ranks = 4,
                 .layers = 2,
                 .experts = 8,
                 .slots = 8,
                 .warmup = 1,
                 .iterations = 10},
        .nodes = 1,
        .measured = 10,
        .period = 1,
        .top_k = 2,
    };
    memcpy((char *)&v + sizes[_i].offset, &sizes[_i].value, sizeof(int));
    moe_error err = {0};
    moe_sizes_check(&v, &err);
    if (sizes[_i].refusal == NULL) {
        ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    } else {
        ck_assert_int_eq(err.status, MOE_FORMAT);
        ck_assert_msg(strstr(err.text, sizes[_i].refusal) != NULL, "%s",
                      err.text);
    }
}
END_TEST

static const struct {
    double x, min;
    bool possible;
} numbers[] = {
    {0, 0, true},         {-1e-9, 0, false},
    {-1, -1, true},       {NAN, 0, true}, /* not known */
    {1e30, 0, true},      {1.001e30, 0, false},
    {INFINITY, 0, false}, {-INFINITY, -1, false},
};

/* The last of three, so that all are looked at. */
START_TEST(numbers_are_finite_and_not_below_the_least)
{
    moe_error err = {0};
    double x[3] = {1, NAN, numbers[_i].x};
    moe_numbers_check("x", x, 3, numbers[_i].min, &err);
    ck_assert_int_eq(err.status, numbers[_i].possible ? MOE_OK : MOE_FORMAT);
    err = (moe_error){0};
    moe_numbers_check("x", x, 2, numbers[_i].min, &err);
    ck_assert_int_eq(err.status, MOE_OK);
}
END_TEST

/* Only the CPU clock may be too coarse for a layer. */
START_TEST(layers_take_time)
{
    for (int clock = 0; clock < MOE_N_CLOCKS; clock++)
        for (int i = 0; i < 3; i++) {
            double time_s[] = {1e-6, 0, -1e-6};
            bool possible = i == 0 || (i == 1 && clock == MOE_CLOCK_CPU);
            moe_error err = {0};
            moe_layer_time_check(time_s[i], clock, &err);
            ck_assert_int_eq(err.status, possible ? MOE_OK : MOE_FORMAT);
        }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("plausible");
    MOE_TEST_LOOP(suite, sizes_of_a_run_are_possible, MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, numbers_are_finite_and_not_below_the_least,
                  MOE_ARRAY_LEN(numbers));
    MOE_TEST(suite, layers_take_time);
    return suite;
}
