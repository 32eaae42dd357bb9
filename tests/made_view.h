/** made_view.h: what is read of a run, made by hand. */
#ifndef MOEGPS_TESTS_MADE_VIEW_H
#define MOEGPS_TESTS_MADE_VIEW_H

#include <check.h>
#include <math.h>
#include <stdio.h>

#include "moegps/mem.h"
#include "moegps/view.h"

/** A run of strategies s0, s1, ... whose layers took time_s[s] on every clock,
 *  up to 1.1 % more, up and down. Release with moe_view_free(). */
static inline moe_view made_view(int strategies, int iterations,
                                 const double *time_s)
{
    const size_t n = (size_t)iterations;
    moe_view v = {
        .model = "tiny",
        .path = "x.h5",
        .dims = {.strategies = strategies, .iterations = iterations, .gpus = 4},
        .nodes = 1,
        .tokens = 100,
        .passes = 1,
        .period = 1,
        .config = moe_strdup("", NULL),
        .batch_hash = moe_array_new(n, sizeof(uint64_t), NULL),
        .strategy =
            moe_array_new((size_t)strategies, sizeof(moe_strategy_view), NULL)};
    for (size_t i = 0; i < n; i++)
        v.batch_hash[i] = i + 1;
    for (int s = 0; s < strategies; s++) {
        moe_strategy_view *y = &v.strategy[s];
        snprintf(y->name, sizeof y->name, "s%d", s);
        y->recall.median = NAN;
        for (int c = 0; c < MOE_N_CLOCKS; c++) {
            y->layer_time[c] = moe_array_new(n, sizeof(double), NULL);
            for (size_t i = 0; i < n; i++)
                y->layer_time[c][i] =
                    time_s[s] * (1 + 1e-3 * (double)(i * 5 % 12));
            ck_assert_int_eq(
                moe_summarise(y->layer_time[c], n, 1, &y->summary[c], NULL),
                MOE_OK);
        }
    }
    return v;
}

#endif
