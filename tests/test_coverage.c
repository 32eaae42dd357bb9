/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "harness.h"
#include "moegps/batch.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "moegps/trace.h"

/* Intervals of real batches: the test part of a bundled trace is drawn anew,
 * order after order, and the median imbalance of n batches is to lie in the
 * interval. What it ought to be is the median of all batches of all orders. */

enum { ORDERS = 300, MOST = 600 };

static const struct {
    const char *trace;
    int seq, n; /* tokens of a batch; batches */
} samples[] = {{"jobs/traces/gpt-oss-20b-mmlu.h5", 256, 12},
               {"jobs/traces/gpt-oss-20b-mmlu.h5", 256, 40},
               {"jobs/traces/mixtral-8x7b-mmlu.h5", 512, 12},
               {"jobs/traces/mixtral-8x7b-mmlu.h5", 512, 40},
               /* more than one pass: the same tokens again */
               {"jobs/traces/gpt-oss-20b-mmlu.h5", 1024, 60},
               {"jobs/traces/gpt-oss-20b-mmlu.h5", 1024, 150}};

/* @return how often the iterations used the test part */
static double imbalances(const moe_trace *t, int seq, int n, uint64_t seed,
                         double *x)
{
    static const int layer = 3;
    const moe_batcher_params params = {.trace = t,
                                       .seed = seed,
                                       .batch = 1,
                                       .seq = seq,
                                       .layers = &layer,
                                       .n_layers = 1,
                                       .iterations = n,
                                       .gpu = -1,
                                       .gpus = 1,
                                       .order = MOE_BATCH_SHUFFLED};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    for (int i = 0; i < n; i++) {
        const moe_batch *batch = moe_batcher_count(b, (uint64_t)i);
        int64_t most = 0;
        for (int e = 0; e < batch->experts; e++)
            if (batch->true_pairs[e] > most)
                most = batch->true_pairs[e];
        x[i] = (double)most * batch->experts / seq / batch->top_k;
    }
    const double passes = moe_batcher_passes(b);
    moe_batcher_free(b);
    return passes;
}

START_TEST(intervals_of_real_batches_hold_the_median)
{
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_error err = {0};
    const int n = samples[_i].n;
    ck_assert_msg(moe_trace_read(samples[_i].trace, &t, &err) == MOE_OK, "%s",
                  err.text);
    double *x = moe_array_new((size_t)ORDERS * MOST, sizeof *x, NULL);
    double *all = moe_array_new((size_t)ORDERS * MOST, sizeof *all, NULL);
    double passes = 0;
    for (int o = 0; o < ORDERS; o++)
        passes = imbalances(&t, samples[_i].seq, n, (uint64_t)o, x + o * n);
    for (int i = 0; i < ORDERS * n; i++)
        all[i] = x[i];
    const double truth = moe_median_sorting(all, (size_t)(ORDERS * n));
    int given = 0, held = 0;
    for (int o = 0; o < ORDERS; o++) {
        moe_summary s;
        moe_summarise(x + o * n, (size_t)n, passes, &s, NULL);
        given += !isnan(s.ci_low);
        held += s.ci_low <= truth && truth <= s.ci_high;
    }
    /* batches share the text that was cut between them: 12 may be too few */
    if (given < ORDERS / 3 || held < .92 * given)
        ck_abort_msg("%d of %d intervals hold %g, %g passes", held, given,
                     truth, passes);
    free(all);
    free(x);
    moe_trace_free(&t);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("coverage");
    MOE_TEST_LOOP(suite, intervals_of_real_batches_hold_the_median,
                  MOE_ARRAY_LEN(samples));
    return suite;
}
