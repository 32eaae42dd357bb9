/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/predictor/neural.h"
#include "../src/predictor/smooth.h"
#include "trained.h"

START_TEST(logarithms_and_exponentials_are_those_of_the_library)
{
    enum { N = 4096 };
    static float lanes[N * MOE_LANES];
    float x[N], y[N], sum = 0;
    for (int i = 0; i < N; i++)
        x[i] = y[i] = powf(10, -8 + 12 * (float)i / N);
    moe_smooth_log(x, N);
    for (int i = 0; i < N; i++)
        ck_assert_float_eq_tol(x[i], logf(y[i]),
                               3e-7F * fmaxf(1, fabsf(logf(y[i]))));
    for (int i = 0; i < N; i++)
        x[i] = y[i] = 30 - 120 * (float)i / N;
    for (int i = 0; i < N; i++)
        sum += expf(y[i] - y[0]);
    for (int i = 0; i < N; i++)
        for (int l = 0; l < MOE_LANES; l++)
            lanes[i * MOE_LANES + l] = y[i] - (float)l;
    moe_smooth_softmax(lanes, N, 4);
    for (int i = 0; i < N && y[i] - y[0] > -86; i++)
        for (int l = 0; l < MOE_LANES; l++)
            ck_assert_float_eq_tol(lanes[i * MOE_LANES + l] /
                                       (4 * expf(y[i] - y[0]) / sum),
                                   1, 3e-6F);
}
END_TEST

/* What a network in training reads of each token is what a census without the
 * token's sequence says, and of others what the tables say. */
START_TEST(logs_are_those_of_shares_without_the_own_sequence)
{
    stage s;
    moe_neural_task task;
    moe_neural_logs logs;
    moe_ngram_census c;
    moe_error err = {0};
    begin(&s, "ngram");
    const moe_trace *t = &s.trace;
    ck_assert_int_eq(moe_neural_task_init(&task, t, 7, 0, &err), MOE_OK);
    ck_assert_int_eq(moe_neural_logs_init(&logs, &task, &s.learned, &err),
                     MOE_OK);
    ck_assert_int_eq(moe_ngram_census_init(&c, t, task.part, &err), MOE_OK);
    for (int l = 0; l < L; l++) {
        moe_ngram_census_layer(&c, l);
        for (uint64_t q = 0; q < SEQS; q++) {
            const bool fit = task.part[q] == NEURAL_FIT;
            if (!fit && task.part[q] != NEURAL_VALID)
                continue;
            if (fit)
                moe_ngram_census_leave(&c, q);
            for (uint64_t i = t->seq_offset[q]; i < t->seq_offset[q + 1]; i++) {
                float one[E], all[E], log[L * E];
                moe_ngram_census_share(&c, i, one, all);
                moe_neural_logs_fill(&logs, &i, 1, log);
                for (int e = 0; e < E; e++)
                    ck_assert_float_eq_tol(log[l * E + e], logf(one[e] + 1e-6F),
                                           1e-4F);
            }
            if (fit)
                moe_ngram_census_return(&c, q);
        }
    }
    moe_ngram_census_fini(&c);
    moe_neural_logs_fini(&logs);
    moe_neural_task_fini(&task);
    end(&s);
}
END_TEST

START_TEST(a_table_has_the_shares_of_every_id)
{
    stage s;
    moe_token_logs table;
    moe_error err = {0};
    begin(&s, "ngram");
    s.trace.vocab_size--; /* the file may know more ids than the trace */
    const moe_predictor_env env = {.trace = &s.trace,
                                   .layers = all_layers,
                                   .n_layers = L,
                                   .learned = &s.learned};
    ck_assert_int_eq(moe_token_logs_init(&table, &env, 7, &err), MOE_OK);
    for (int l = 0; l < L; l++) {
        float *logs = moe_token_logs_table(&table, l, &err);
        ck_assert_ptr_nonnull(logs);
        for (uint32_t v = 0; v < s.trace.vocab_size; v++) {
            const uint32_t rows[] = {table.row_of[v], MOE_NGRAM_NONE,
                                     MOE_NGRAM_NONE};
            float one[E], all[E];
            moe_ngrams_share(&table.grams, l, rows, one, all);
            for (uint32_t e = 0; e < E; e++)
                ck_assert_float_eq_tol(logs[v * E + e], logf(one[e] + 1e-6F),
                                       1e-4F);
        }
        free(logs);
    }
    moe_token_logs_fini(&table);
    err = (moe_error){0};
    ck_assert_int_eq(moe_token_logs_init(&table, &env, 8, &err), MOE_MISMATCH);
    moe_token_logs_fini(&table);
    end(&s);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("token_logs");
    MOE_TEST(suite, logarithms_and_exponentials_are_those_of_the_library);
    MOE_TEST(suite, logs_are_those_of_shares_without_the_own_sequence);
    MOE_TEST(suite, a_table_has_the_shares_of_every_id);
    return suite;
}
