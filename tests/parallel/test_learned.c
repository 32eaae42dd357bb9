/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/learned.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "harness.h"

enum { N = 100000 };
static const moe_learned_shape weight = {
    "weight", 2, {"row", "column"}, {N / 10, 10}};
static char path[300];

/* Rank 0 writes a file of two predictors. */
static void make_file(bool complete, float first)
{
    const moe_model model = fixture_model();
    snprintf(path, sizeof path, "%s/p.h5", test_dir);
    MPI_Barrier(test_ctx.comm);
    if (test_ctx.rank == 0) {
        moe_trace trace = fixture_tokens(&model);
        moe_learned l;
        unlink(path);
        moe_learned_new(&trace, &l, NULL);
        for (int p = 0; p < 2; p++) {
            moe_learned_part *part =
                moe_learned_add(&l, p == 0 ? "ffn" : "lstm", NULL);
            part->epochs_limit = 1;
            part->complete = complete || p == 0;
            float *w = moe_learned_put(part, &weight, NULL);
            for (int i = 0; i < N; i++)
                w[i] = (float)(p + i);
            w[0] = first;
        }
        moe_learned_write(path, &l, NULL);
        moe_learned_free(&l);
        moe_trace_free(&trace);
    }
    MPI_Barrier(test_ctx.comm);
}

START_TEST(every_rank_gets_the_same_numbers)
{
    moe_learned l;
    make_file(true, 1);
    const moe_status s = moe_learned_load(&test_ctx, path, &l);
    ck_assert_int_eq(s, MOE_OK);
    bool good = l.n_parts == 2 && l.layers == 3 && l.n_seen == 6 &&
                strcmp(l.part[1].predictor, "lstm") == 0;
    for (uint64_t i = 1; i < l.n_seen && good; i++)
        good = l.seen[i - 1] <= l.seen[i];
    for (int p = 0; p < 2 && good; p++) {
        const float *w = moe_learned_get(&l.part[p], &weight, NULL);
        good = w != NULL && w[0] == 1.0F;
        for (int i = 1; i < N && good; i++)
            good = w[i] == (float)(p + i);
    }
    moe_learned_free(&l);
    ck_assert(good);
}
END_TEST

/* What is wrong, and what every rank hears. */
static const struct {
    bool complete, missing;
    float first;
    moe_status status;
    const char *says;
} faults[] = {
    {true, false, NAN, MOE_FORMAT, "element 0 is not finite"},
    {false, false, 1, MOE_FORMAT,
     "training of predictor lstm was not finished"},
    {true, true, 1, MOE_USAGE, "p.h5"},
};

START_TEST(all_ranks_refuse_together)
{
    moe_learned l;
    make_file(faults[_i].complete, faults[_i].first);
    if (test_ctx.rank == 0 && faults[_i].missing)
        unlink(path);
    MPI_Barrier(test_ctx.comm);
    const moe_status s = moe_learned_load(&test_ctx, path, &l);
    const bool said = strstr(test_ctx.err.text, faults[_i].says) != NULL;
    test_ctx.err = (moe_error){0};
    ck_assert_int_eq(s, faults[_i].status);
    ck_assert(said);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("learned");
    MOE_TEST(suite, every_rank_gets_the_same_numbers);
    MOE_TEST_LOOP(suite, all_ranks_refuse_together, MOE_ARRAY_LEN(faults));
    return suite;
}
