/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/replay.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "made_work.h"

static world one, other;

START_TEST(run_itself_comes_out_again)
{
    lookahead = _i;
    make_world(&one, 1);
    moe_replay *r = replay_of(&one);
    const moe_what_if itself = moe_what_if_init();
    ck_assert_double_le(moe_replay_sample_error(r), 1e-12);
    for (int s = 0; s < S; s++)
        ck_assert_double_eq_tol(
            moe_replay_layer_s(r, s, &itself) / direct_s(&one, s), 1, 1e-12);
    ck_assert_double_gt(moe_replay_error_s(r, 0), 0.05 * direct_s(&one, 0));
    ck_assert_double_lt(moe_replay_error_s(r, 0), 0.11 * direct_s(&one, 0));
    moe_replay_free(r);
}
END_TEST

/* The same as a run of batches three times as large, or on other links. */
START_TEST(other_sizes_and_links_are_those_of_such_a_run)
{
    static const struct {
        moe_what_if what;
        unsigned times;
        double link, network;
    } cases[] = {
        {{3, 1, 1, MOE_LEVEL_ACTUAL, false}, 3, 300e9, 25e9},
        {{1, 0.25, 1, MOE_LEVEL_ACTUAL, false}, 1, 75e9, 25e9},
        {{1, 1, 4, MOE_LEVEL_ACTUAL, false}, 1, 300e9, 100e9},
        {{2, 0.5, 0.5, MOE_LEVEL_ACTUAL, false}, 2, 150e9, 12.5e9},
    };
    make_world(&one, 1);
    moe_replay *r = replay_of(&one);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_world(&other, cases[i].times);
        put_cluster(&other, cases[i].link, cases[i].network);
        for (int s = 0; s < S; s++) {
            const double expected = direct_s(&other, s);
            ck_assert_double_eq_tol(
                moe_replay_layer_s(r, s, &cases[i].what) / expected, 1, 1e-9);
        }
    }
    moe_replay_free(r);
}
END_TEST

/* No GPU has more pairs than the level's busiest; exchanges shrink by the same factor. */
START_TEST(levels_cap_the_busiest)
{
    make_world(&one, 1);
    moe_replay *r = replay_of(&one);
    for (int level = 1; level < MOE_N_LEVELS; level++) {
        moe_what_if what = moe_what_if_init();
        what.level = (moe_level)level;
        make_world(&other, 1);
        for (int c = 0; c < S * K * J * L; c++)
            for (int g = 0; g < G; g++) {
                moe_work_gpu *x = &other.cell[c].gpu[g];
                const double by =
                    fmin(1, other.cell[c].busiest[level] / x->total);
                uint32_t *pairs = (uint32_t *)x->pairs;
                double exact = 0, given = 0;
                for (int k = 0; k < SLOTS; k++) {
                    exact += pairs[k] * by;
                    pairs[k] = (uint32_t)(floor(exact + 0.5) - given);
                    given = floor(exact + 0.5);
                }
                for (int k = 0; k < MOE_N_LINKS; k++) {
                    x->exchange_bytes[MOE_EXCHANGE_DISPATCH][k] *= by;
                    x->exchange_bytes[MOE_EXCHANGE_COMBINE][k] *= by;
                }
            }
        for (int s = 0; s < S; s++) {
            const double balanced_s = moe_replay_layer_s(r, s, &what);
            ck_assert_double_eq_tol(balanced_s / direct_s(&other, s), 1, 1e-9);
            ck_assert_double_lt(balanced_s, direct_s(&one, s));
        }
    }
    moe_replay_free(r);
}
END_TEST

/* Rows that are all in place need no dispatch, whoever routes them. */
START_TEST(rows_in_place_need_no_dispatch)
{
    make_world(&one, 1);
    moe_replay *r = replay_of(&one);
    moe_what_if what = moe_what_if_init();
    what.placed = true;
    make_world(&other, 1);
    for (int c = 0; c < S * K * J * L; c++)
        for (int g = 0; g < G; g++)
            for (int k = 0; k < MOE_N_LINKS; k++)
                other.cell[c].gpu[g].exchange_bytes[MOE_EXCHANGE_DISPATCH][k] =
                    0;
    ck_assert_double_eq_tol(
        moe_replay_layer_s(r, 1, &what) / direct_s(&other, 1), 1, 1e-12);
    ck_assert_double_le(moe_replay_layer_s(r, 0, &what),
                        direct_s(&other, 0) * (1 + 1e-12));
    ck_assert_double_lt(moe_replay_layer_s(r, 0, &what), direct_s(&one, 0));
    moe_replay_free(r);
}
END_TEST

/* A predictor's time grows with the batch, and does not shrink below it. */
START_TEST(predictor_grows_and_does_not_shrink)
{
    make_world(&one, 1);
    moe_replay *r = replay_of(&one);
    const double more[] = {0.5, 1, 4};
    const double took_us[] = {3, 3, 12};
    for (int i = 0; i < 3; i++) {
        moe_what_if what = moe_what_if_init();
        what.tokens = more[i];
        const double with_s = moe_replay_layer_s(r, 1, &what);
        for (int c = K * J * L; c < S * K * J * L; c++)
            for (int g = 0; g < G; g++)
                one.cell[c].gpu[g].gpu_s[MOE_PHASE_PREDICT] = 0;
        const double without_s = moe_replay_layer_s(r, 1, &what);
        ck_assert_double_eq_tol(1e6 * (with_s - without_s), took_us[i], 1e-6);
        for (int c = K * J * L; c < S * K * J * L; c++)
            for (int g = 0; g < G; g++)
                one.cell[c].gpu[g].gpu_s[MOE_PHASE_PREDICT] = 3e-6;
    }
    moe_replay_free(r);
}
END_TEST

START_TEST(what_cannot_be_priced_is_said)
{
    moe_replay *r = NULL;
    moe_error err = {0};
    make_world(&one, 1);
    settle(&one);
    double *ffn_s =
        &one.cell[S * K * J * L - 1].gpu[G - 1].gpu_s[MOE_PHASE_FFN];
    *ffn_s *= 1 + 1e-6;
    ck_assert_int_eq(moe_replay_new(&one.view, &one.work, &r, &err),
                     MOE_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "do not come out again"));
    *ffn_s = NAN;
    ck_assert_int_eq(moe_replay_new(&one.view, &one.work, &r, &err),
                     MOE_MISMATCH);
    err = (moe_error){0};
    one.work.cluster_profile = (char *)"cost: nonsense\n";
    ck_assert_int_eq(moe_replay_new(&one.view, &one.work, &r, &err), MOE_USAGE);
    ck_assert_ptr_null(r);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("replay");
    MOE_TEST_LOOP(suite, run_itself_comes_out_again, 2);
    MOE_TEST(suite, other_sizes_and_links_are_those_of_such_a_run);
    MOE_TEST(suite, levels_cap_the_busiest);
    MOE_TEST(suite, rows_in_place_need_no_dispatch);
    MOE_TEST(suite, predictor_grows_and_does_not_shrink);
    MOE_TEST(suite, what_cannot_be_priced_is_said);
    return suite;
}
