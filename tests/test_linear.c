/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "../src/predictor/linear_model.h"
#include "../src/predictor/neural.h"
#include "../src/predictor/ridge.h"
#include "directly.h"
#include "trained.h"

/* ---- least squares ---- */

/* Gauss with pivots on the normal equations, penalty and all. */
static void solve_densely(const float *x, const float *y, int n, int n_x,
                          int n_y, double ridge, double *w)
{
    double a[8][12] = {{0}};
    for (int i = 0; i < n_x; i++) {
        double mean = 0, var = 0;
        for (int r = 0; r < n; r++)
            mean += (double)x[r * n_x + i] / n;
        for (int r = 0; r < n; r++)
            var += ((double)x[r * n_x + i] - mean) *
                   ((double)x[r * n_x + i] - mean);
        for (int r = 0; r < n; r++) {
            for (int j = 0; j < n_x; j++)
                a[i][j] += (double)x[r * n_x + i] * (double)x[r * n_x + j];
            for (int c = 0; c < n_y; c++)
                a[i][n_x + c] +=
                    (double)x[r * n_x + i] * (double)y[r * n_y + c];
        }
        a[i][i] += i < n_x - 1 ? ridge * var : 0;
    }
    for (int p = 0; p < n_x; p++) {
        int best = p;
        for (int i = p; i < n_x; i++)
            best = fabs(a[i][p]) > fabs(a[best][p]) ? i : best;
        double swap[12];
        memcpy(swap, a[p], sizeof swap);
        memcpy(a[p], a[best], sizeof swap);
        memcpy(a[best], swap, sizeof swap);
        for (int i = 0; i < n_x; i++)
            for (int j = n_x + n_y - 1; i != p && j >= p; j--)
                a[i][j] -= a[i][p] / a[p][p] * a[p][j];
    }
    for (int i = 0; i < n_x; i++)
        for (int c = 0; c < n_y; c++)
            w[i * n_y + c] = a[i][n_x + c] / a[i][i];
}

START_TEST(least_squares_are_those_of_a_dense_solver)
{
    enum { N = 50, X = 6, Y = 3 };
    static const double ridges[] = {1e-3, 0.1, 10};
    float x[N * X], y[N * Y], w[X * Y];
    double expected[X * Y];
    moe_ridge r;
    moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, 1, 0, 0);
    for (int i = 0; i < N * X; i++)
        x[i] = i % X == X - 1 ? 1 : (float)moe_rng_normal(&rng);
    for (int i = 0; i < N * Y; i++)
        y[i] = (float)moe_rng_normal(&rng) + x[i / Y * X];
    ck_assert_int_eq(moe_ridge_init(&r, X, Y, &(moe_error){0}), MOE_OK);
    moe_ridge_add(&r, x, y, 20, NULL);
    moe_ridge_add(&r, x + 20 * X, y + 20 * Y, N - 20, NULL);
    ck_assert_int_eq(moe_ridge_solve(&r, ridges[_i], w, NULL), MOE_OK);
    solve_densely(x, y, N, X, Y, ridges[_i], expected);
    for (int i = 0; i < X * Y; i++)
        ck_assert_double_eq_tol((double)w[i], expected[i], 1e-5);
    moe_ridge_fini(&r);
}
END_TEST

/* The same weights to the bit, as their sums are of the same parts. */
START_TEST(least_squares_do_not_depend_on_threads)
{
    enum { N = MOE_RIDGE_BLOCK, X = 97, Y = 32 };
    static const int threads[] = {1, 2, 3, 5};
    static const size_t rows[] = {N, 2500, 700};
    static float x[N * X], y[N * Y], w[2][X * Y];
    const int before = omp_get_max_threads();
    moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, 4, 0, 0);
    int others = 0;
    for (int i = 0; i < N * X; i++)
        x[i] = i % X == X - 1 ? 1 : (float)moe_rng_normal(&rng);
    for (int i = 0; i < N * Y; i++)
        y[i] = (float)moe_rng_normal(&rng);
    for (size_t t = 0; t < MOE_ARRAY_LEN(threads); t++) {
        moe_ridge r;
        omp_set_num_threads(threads[t]);
        ck_assert_int_eq(moe_ridge_init(&r, X, Y, &(moe_error){0}), MOE_OK);
        moe_ridge_add(&r, x, y, rows[_i], NULL);
        ck_assert_int_eq(moe_ridge_solve(&r, 1e-3, w[t > 0], NULL), MOE_OK);
        others += t > 0 && memcmp(w[0], w[1], sizeof w[0]) != 0;
        moe_ridge_fini(&r);
    }
    omp_set_num_threads(before);
    ck_assert_int_eq(others, 0);
}
END_TEST

START_TEST(a_feature_that_never_varies_has_no_weight)
{
    float x[20], y[10], w[2];
    moe_ridge r;
    for (int i = 0; i < 10; i++) {
        x[2 * i] = 0;
        x[2 * i + 1] = 1;
        y[i] = (float)i;
    }
    ck_assert_int_eq(moe_ridge_init(&r, 2, 1, &(moe_error){0}), MOE_OK);
    moe_ridge_add(&r, x, y, 10, NULL);
    ck_assert_int_eq(moe_ridge_solve(&r, 1e-3, w, NULL), MOE_OK);
    ck_assert_float_eq_tol(w[0], 0, 1e-6F);
    ck_assert_float_eq_tol(w[1], 4.5F, 1e-6F);
    moe_ridge_fini(&r);
}
END_TEST

/* Two features that are the same within rounding, and no room for a penalty:
 * it grows. Sums that are no numbers have no solution. */
START_TEST(sums_that_rounding_made_singular_are_solved)
{
    enum { N = 9, X = 40 };
    float x[N * X], y[N], w[X];
    moe_ridge r;
    moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, 5, 0, 0);
    for (int i = 0; i < N * X; i++)
        x[i] = i % X == X - 1 ? 1 : (float)(moe_rng_unit(&rng));
    for (int i = 0; i < N; i++)
        y[i] = (float)i;
    ck_assert_int_eq(moe_ridge_init(&r, X, 1, &(moe_error){0}), MOE_OK);
    moe_ridge_add(&r, x, y, N, NULL);
    ck_assert_int_eq(moe_ridge_solve(&r, 1e-12, w, NULL), MOE_OK);
    for (int i = 0; i < X; i++)
        ck_assert(isfinite(w[i]));
    moe_ridge_clear(&r);
    x[3] = NAN;
    moe_ridge_add(&r, x, y, N, NULL);
    ck_assert_int_eq(moe_ridge_solve(&r, 1e-3, w, &(moe_error){0}),
                     MOE_INVALID);
    moe_ridge_fini(&r);
}
END_TEST

/* ---- n-grams ---- */

/* In a census with and without the own sequence, and as read from a file. */
START_TEST(shares_are_those_of_direct_counting)
{
    moe_trace t = make_trace();
    moe_neural_task task;
    moe_ngram_census c;
    float one[E], all[E];
    double own[E], p[E];
    ck_assert_int_eq(moe_neural_task_init(&task, &t, 7, 0, &(moe_error){0}),
                     MOE_OK);
    ck_assert_int_eq(moe_ngram_census_init(&c, &t, task.part, &(moe_error){0}),
                     MOE_OK);
    for (int l = 0; l < L; l++) {
        moe_ngram_census_layer(&c, l);
        for (uint64_t s = 0; s < SEQS; s++) {
            const bool fit = task.part[s] == NEURAL_FIT;
            if (!fit && task.part[s] != NEURAL_VALID)
                continue;
            if (fit)
                moe_ngram_census_leave(&c, s);
            for (uint64_t i = t.seq_offset[s]; i < t.seq_offset[s + 1]; i++) {
                double sum = 0;
                const counting q = {&t, task.part, c.discount, l, s};
                moe_ngram_census_share(&c, i, one, all);
                share_directly(&q, t.seq_offset[s], i, own, p);
                for (int e = 0; e < E; e++) {
                    ck_assert_double_eq_tol((double)one[e], own[e], 1e-5);
                    ck_assert_double_eq_tol((double)all[e], p[e], 1e-5);
                    sum += (double)all[e];
                }
                ck_assert_double_eq_tol(sum, K, 1e-4);
            }
            if (fit)
                moe_ngram_census_return(&c, s);
        }
    }
    moe_ngram_census_fini(&c);
    moe_neural_task_fini(&task);
    moe_trace_free(&t);
}
END_TEST

/* ---- members ---- */

static const char *const members[] = {"ngram",  "linear",   "cross", "recent",
                                      "hidden", "ensemble", "ffn",   "lstm"};

/* Whatever lies outside a member's horizon is drawn anew: it foretells the
 * same. @param i  the token that is looked at. */
static void shuffle_rest(stage *s, int layer, uint64_t first, uint64_t i)
{
    moe_trace *t = &s->trace;
    const unsigned sees = s->predictor->sees;
    moe_rng rng = moe_rng_at(9, MOE_RNG_TEST, 3, (uint64_t)layer, i);
    for (uint64_t j = 0; j < t->n_tokens; j++) {
        const bool before = j >= first && j <= i;
        if (!before)
            t->token_id[j] = (uint32_t)moe_rng_below(&rng, VOCAB);
        for (int l = 0; l < L; l++) {
            const bool done = (sees & MOE_SEES_LAYERS) != 0 && j == i &&
                              l <= layer - s->lookahead;
            const bool past = (sees & MOE_SEES_TOKENS) != 0 && before && j < i;
            uint16_t *e = t->experts_of + ((size_t)l * t->n_tokens + j) * K;
            if (done || past)
                continue;
            e[0] = (uint16_t)moe_rng_below(&rng, E);
            e[1] = (uint16_t)((e[0] + 1) % E);
        }
    }
}

START_TEST(nothing_outside_the_horizon_is_looked_at)
{
    stage s;
    float before[MAX_OWN * E], after[MAX_OWN * E];
    begin(&s, members[_i]);
    for (int l = 0; l < L; l++)
        for (uint32_t i = 0; i < s.batch->own; i += 13) {
            const uint64_t id = s.batch->id[i];
            moe_trace whole = make_trace();
            uint64_t first = 0;
            for (uint64_t q = 0; q < SEQS; q++)
                if (whole.seq_offset[q] <= id)
                    first = whole.seq_offset[q];
            s.batch->iteration++; /* the trace was another */
            ask(&s, l, before);
            const uint16_t said[] = {s.experts[i * K], s.experts[i * K + 1]};
            shuffle_rest(&s, l, first, id);
            s.batch->iteration++;
            ask(&s, l, after);
            ck_assert_mem_eq(said, s.experts + i * K, sizeof said);
            ck_assert_mem_eq(before + i * E, after + i * E, E * sizeof *before);
            memcpy(s.trace.token_id, whole.token_id,
                   whole.n_tokens * sizeof *whole.token_id);
            memcpy(s.trace.experts_of, whole.experts_of,
                   L * whole.n_tokens * K * sizeof *whole.experts_of);
            moe_trace_free(&whole);
        }
    end(&s);
}
END_TEST

START_TEST(what_is_foretold_does_not_depend_on_the_ranks)
{
    static const int ranks[] = {2, 4, 7};
    stage s;
    float whole[MAX_OWN * E], part[MAX_OWN * E];
    uint16_t said[MAX_OWN * K];
    begin(&s, members[_i]);
    for (int l = 0; l < L; l++) {
        open_batch(&s, 0, 1);
        ask(&s, l, whole);
        memcpy(said, s.experts, sizeof said);
        for (size_t n = 0; n < MOE_ARRAY_LEN(ranks); n++)
            for (int g = 0; g < ranks[n]; g++) {
                open_batch(&s, g, ranks[n]);
                ask(&s, l, part);
                ck_assert_mem_eq(part, whole + s.batch->first * E,
                                 (size_t)s.batch->own * E * sizeof *part);
                ck_assert_mem_eq(s.experts, said + s.batch->first * K,
                                 (size_t)s.batch->own * K * sizeof *said);
            }
    }
    end(&s);
}
END_TEST

/* The experts of a layer follow those of the layer before. */
START_TEST(who_sees_more_finds_more)
{
    double recall[2] = {0};
    for (int m = 0; m < 2; m++) {
        stage s;
        uint16_t experts[MAX_OWN * K];
        begin(&s, m == 0 ? "linear" : "cross");
        for (int l = 1; l < L; l++) {
            s.predictor->tokens(s.state, s.batch, l, experts);
            for (uint32_t i = 0; i < s.batch->own * K; i++)
                for (uint32_t j = 0; j < K; j++)
                    recall[m] +=
                        experts[i] ==
                        s.batch->experts_of[(uint32_t)l * s.batch->own * K +
                                            i / K * K + j];
        }
        end(&s);
    }
    ck_assert_double_gt(recall[1], 1.1 * recall[0]);
}
END_TEST

START_TEST(what_a_file_cannot_serve_is_refused)
{
    stage s;
    moe_error err = {0};
    begin(&s, "cross");
    ck_assert_int_eq(set_up(&s, 2, &err), MOE_OK);
    ck_assert_int_eq(set_up(&s, 3, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, "lookahead 3, only for 1, 2") != NULL, "%s",
                  err.text);
    err = (moe_error){0};
    s.trace.gate =
        moe_array_new(L * s.trace.n_tokens * K, sizeof *s.trace.gate, NULL);
    ck_assert_int_eq(set_up(&s, 1, &err), MOE_MISMATCH);
    ck_assert_msg(strstr(err.text, "trained without gate weights") != NULL,
                  "%s", err.text);
    end(&s);
    err = (moe_error){0};
    begin(&s, "hidden");
    write_states(&s, WIDTH + 1);
    ck_assert_int_eq(set_up(&s, 1, &err), MOE_MISMATCH);
    ck_assert_msg(strstr(err.text, "trained on hidden states of width 5, the "
                                   "file's are 6 wide") != NULL,
                  "%s", err.text);
    end(&s);
}
END_TEST

START_TEST(fewer_tokens_are_fitted_when_asked)
{
    moe_trace t = make_trace();
    moe_neural_task task;
    uint64_t n = 0;
    ck_assert_int_eq(moe_neural_task_init(&task, &t, 7, 100, &(moe_error){0}),
                     MOE_OK);
    for (uint64_t s = 0; s < SEQS; s++)
        if (task.part[s] == NEURAL_FIT)
            n += t.seq_offset[s + 1] - t.seq_offset[s];
    ck_assert_uint_le(n, 100);
    ck_assert_uint_gt(n, 0);
    moe_neural_task_fini(&task);
    moe_trace_free(&t);
}
END_TEST

Suite *moe_test_suite(void)
{
    const int n = (int)MOE_ARRAY_LEN(members);
    Suite *suite = suite_create("linear");
    MOE_TEST_LOOP(suite, least_squares_are_those_of_a_dense_solver, 3);
    MOE_TEST_LOOP(suite, least_squares_do_not_depend_on_threads, 3);
    MOE_TEST(suite, a_feature_that_never_varies_has_no_weight);
    MOE_TEST(suite, sums_that_rounding_made_singular_are_solved);
    MOE_TEST(suite, shares_are_those_of_direct_counting);
    MOE_TEST_LOOP(suite, nothing_outside_the_horizon_is_looked_at, n);
    MOE_TEST_LOOP(suite, what_is_foretold_does_not_depend_on_the_ranks, n);
    MOE_TEST(suite, who_sees_more_finds_more);
    MOE_TEST(suite, what_a_file_cannot_serve_is_refused);
    MOE_TEST(suite, fewer_tokens_are_fitted_when_asked);
    return suite;
}
