/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/hash.h"

#include "harness.h"
#include "moegps/mem.h"

/* Of the authors' test suite. */
static const struct {
    const char *text;
    uint64_t hash;
} known[] = {
    {"", UINT64_C(0xcbf29ce484222325)},
    {"a", UINT64_C(0xaf63dc4c8601ec8c)},
    {"b", UINT64_C(0xaf63df4c8601f1a5)},
    {"foobar", UINT64_C(0x85944171f73967e8)},
};

START_TEST(hash_is_that_of_its_authors)
{
    ck_assert_uint_eq(moe_hash_text(known[_i].text), known[_i].hash);
}
END_TEST

START_TEST(values_are_told_apart_by_their_order)
{
    const uint64_t a = moe_hash_add(moe_hash_add(MOE_HASH_START, 1), 2);
    const uint64_t b = moe_hash_add(moe_hash_add(MOE_HASH_START, 2), 1);
    ck_assert_uint_ne(a, b);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("hash");
    MOE_TEST_LOOP(suite, hash_is_that_of_its_authors, MOE_ARRAY_LEN(known));
    MOE_TEST(suite, values_are_told_apart_by_their_order);
    return suite;
}
