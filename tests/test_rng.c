/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/rng.h"

#include <math.h>
#include <stdlib.h>

#include "harness.h"
#include "moegps/mem.h"

/* Golden: numpy.random.Philox(key=[k0, k1], counter=[c0 - 1, c1, c2, c3])
 * .random_raw(4); numpy increments its counter before the first block. */
static const struct {
    uint64_t seed, iteration, layer, token, out[4];
} golden[] = {
    {1,
     5,
     3,
     7,
     {0x6dac18d965e91786, 0x2e95ca18394a826c, 0x5a65cca4a46f46ae,
      0x9675fff7e7e47b98}},
    {9223372036854775813u,
     1,
     31,
     511,
     {0xd5580babb69c957a, 0xb7410e0369893c49, 0xa20e71c049a7e989,
      0x10059be4fb32ae64}},
    {0,
     1,
     0,
     0,
     {0x79a407de1ed21b93, 0x7ce8708370a78ae7, 0x8e24c521c7a3f06a,
      0x98bcb3338c834e80}},
};

START_TEST(draws_equal_numpy_philox)
{
    moe_rng rng =
        moe_rng_at(golden[_i].seed, MOE_RNG_HIDDEN, golden[_i].iteration,
                   golden[_i].layer, golden[_i].token);
    for (int j = 0; j < 4; j++)
        ck_assert_uint_eq(moe_rng_u64(&rng), golden[_i].out[j]);
}
END_TEST

START_TEST(below_is_uniform)
{
    moe_rng rng = moe_rng_at(3, MOE_RNG_TEST, 0, 0, 0);
    int count[7] = {0};
    for (int j = 0; j < 70000; j++)
        count[moe_rng_below(&rng, 7)]++;
    for (int j = 0; j < 7; j++) /* sd 92.6: six of them */
        ck_assert_int_lt(abs(count[j] - 10000), 556);
}
END_TEST

START_TEST(normal_has_unit_moments)
{
    moe_rng rng = moe_rng_at(4, MOE_RNG_TEST, 0, 0, 0);
    double sum = 0, square = 0;
    enum { N = 100000 };
    for (int j = 0; j < N; j++) {
        double x = moe_rng_normal(&rng);
        sum += x;
        square += x * x;
    }
    ck_assert_double_lt(fabs(sum / N), 0.02);
    ck_assert_double_lt(fabs(square / N - 1), 0.03);
}
END_TEST

START_TEST(shuffle_permutes)
{
    int a[100];
    for (int j = 0; j < 100; j++)
        a[j] = j;
    moe_rng rng = moe_rng_at(5, MOE_RNG_TEST, 0, 0, 0);
    moe_rng_shuffle(&rng, a, 100, sizeof a[0]);
    int moved = 0, seen[100] = {0};
    for (int j = 0; j < 100; j++) {
        moved += a[j] != j;
        seen[a[j]]++;
    }
    ck_assert_int_gt(moved, 80);
    for (int j = 0; j < 100; j++)
        ck_assert_int_eq(seen[j], 1);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("rng");
    MOE_TEST_LOOP(suite, draws_equal_numpy_philox, MOE_ARRAY_LEN(golden));
    MOE_TEST(suite, below_is_uniform);
    MOE_TEST(suite, normal_has_unit_moments);
    MOE_TEST(suite, shuffle_permutes);
    return suite;
}
