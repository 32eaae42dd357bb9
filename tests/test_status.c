/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/status.h"

#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Written out again: exit codes are a promise to scripts. */
static const struct {
    moe_status status;
    int exit_code;
} codes[] = {
    {MOE_OK, 0},       {MOE_INTERRUPTED, 75}, {MOE_THRESHOLD, 4},
    {MOE_INVALID, 3},  {MOE_USAGE, 2},        {MOE_FORMAT, 2},
    {MOE_MISMATCH, 2}, {MOE_EXISTS, 2},       {MOE_IO, 1},
    {MOE_NOMEM, 1},    {MOE_LIBRARY, 1},      {MOE_INJECTED, 1},
};

START_TEST(status_has_its_exit_code_and_a_text)
{
    ck_assert_uint_eq(MOE_ARRAY_LEN(codes), MOE_N_STATUS);
    ck_assert_uint_eq(codes[_i].status, (unsigned)_i); /* later is worse */
    ck_assert_int_eq(moe_status_exit_code(codes[_i].status),
                     codes[_i].exit_code);
    ck_assert_uint_gt(strlen(moe_status_text(codes[_i].status)), 0);
}
END_TEST

START_TEST(status_that_is_none_is_a_failure)
{
    ck_assert_int_eq(moe_status_exit_code(MOE_N_STATUS), 1);
    ck_assert_int_eq(moe_status_exit_code((moe_status)-1), 1);
    ck_assert_str_eq(moe_status_text(MOE_N_STATUS), "unknown status");
    ck_assert_str_eq(moe_status_text((moe_status)-1), "unknown status");
}
END_TEST

START_TEST(first_error_explains)
{
    moe_error err = {0};
    ck_assert_int_eq(moe_fail(&err, MOE_IO, "disk %d", 7), MOE_IO);
    ck_assert_int_eq(moe_fail(&err, MOE_LIBRARY, "later and worse"), MOE_IO);
    ck_assert_int_eq(err.status, MOE_IO);
    ck_assert_str_eq(err.text, "disk 7");
}
END_TEST

START_TEST(error_recorded_apart_is_passed_on)
{
    moe_error err = {0}, local = {0};
    ck_assert_int_eq(moe_pass(&err, &local), MOE_OK);
    ck_assert_int_eq(err.status, MOE_OK);
    moe_fail(&local, MOE_IO, "100%% full");
    ck_assert_int_eq(moe_pass(NULL, &local), MOE_IO);
    ck_assert_int_eq(moe_pass(&err, &local), MOE_IO);
    ck_assert_str_eq(err.text, "100% full");
}
END_TEST

START_TEST(error_may_go_unrecorded)
{
    ck_assert_int_eq(moe_fail(NULL, MOE_NOMEM, "nobody listens"), MOE_NOMEM);
    moe_error_prefix(NULL, "nobody");
}
END_TEST

START_TEST(prefix_goes_in_front)
{
    moe_error err = {0};
    moe_error_prefix(&err, "no error yet");
    ck_assert_str_eq(err.text, "");
    moe_fail(&err, MOE_IO, "100%% full");
    moe_error_prefix(&err, "%s", "file");
    moe_error_prefix(&err, "rank %d", 3);
    ck_assert_str_eq(err.text, "rank 3: file: 100% full");
    ck_assert_int_eq(err.status, MOE_IO);
}
END_TEST

/* Lengths of prefix and sentence; how much of each is still there. */
static const struct {
    int prefix, sentence, prefix_left, sentence_left;
} lengths[] = {
    {10, 20, 10, 20},     {0, 511, 0, 509},     {10, 499, 10, 499},
    {10, 500, 10, 499},   {10, 511, 10, 499},   {500, 20, 489, 20},
    {509, 20, 489, 20},   {511, 1, 508, 1},     {600, 20, 489, 20},
    {600, 511, 128, 381}, {128, 511, 128, 381}, {4000, 4000, 128, 381},
};

START_TEST(long_texts_share_the_room)
{
    char p[4001], s[4001];
    memset(p, 'p', sizeof p);
    memset(s, 's', sizeof s);
    moe_error err = {0};
    moe_fail(&err, MOE_IO, "%.*s", lengths[_i].sentence, s);
    moe_error_prefix(&err, "%.*s", lengths[_i].prefix, p);
    size_t first = strspn(err.text, "p");
    ck_assert_uint_eq(first, (size_t)lengths[_i].prefix_left);
    ck_assert_int_eq(strncmp(err.text + first, ": ", 2), 0);
    ck_assert_uint_eq(strspn(err.text + first + 2, "s"),
                      (size_t)lengths[_i].sentence_left);
    ck_assert_uint_eq(strlen(err.text),
                      first + 2 + (size_t)lengths[_i].sentence_left);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("status");
    MOE_TEST_LOOP(suite, status_has_its_exit_code_and_a_text,
                  MOE_ARRAY_LEN(codes));
    MOE_TEST(suite, status_that_is_none_is_a_failure);
    MOE_TEST(suite, first_error_explains);
    MOE_TEST(suite, error_recorded_apart_is_passed_on);
    MOE_TEST(suite, error_may_go_unrecorded);
    MOE_TEST(suite, prefix_goes_in_front);
    MOE_TEST_LOOP(suite, long_texts_share_the_room, MOE_ARRAY_LEN(lengths));
    return suite;
}
