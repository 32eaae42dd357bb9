/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cells.h"

#include <math.h>

#include "harness.h"
#include "moegps/mem.h"

static const struct {
    double value;
    int digits;
    const char *text;
} numbers[] = {
    {0, 3, "0.00"},
    {1.2, 3, "1.20"},
    {12.345, 3, "12.3"},
    {-12.345, 3, "-12.3"},
    {123456, 3, "123456"},
    {0.001234, 3, "0.00123"},
    {1.5e-7, 2, "1.5e-07"},
    {3.5e12, 3, "3.5e+12"},
    {NAN, 3, "n/a"},
    {INFINITY, 3, "inf"},
    {0.0001234, 3, "0.000123"},
};

START_TEST(numbers_keep_their_digits)
{
    ck_assert_str_eq(
        moe_digits_cell(numbers[_i].value, numbers[_i].digits).text,
        numbers[_i].text);
}
END_TEST

static const struct {
    double s;
    const char *text;
} times[] = {
    {0, "0 s"},
    {5e-10, "0.50 ns"},
    {12.34e-6, "12.3 us"},
    {1.2e-3, "1.20 ms"},
    {999.4e-6, "999 us"},
    {999.6e-6, "1.00 ms"},
    {9.996e-3, "10.0 ms"},
    {2, "2.00 s"},
    {5000, "5000 s"},
    {NAN, "n/a"},
    {-3e-3, "-3.00 ms"},
};

START_TEST(times_choose_their_unit)
{
    ck_assert_str_eq(moe_time_cell(times[_i].s).text, times[_i].text);
}
END_TEST

static const struct {
    double bytes;
    const char *text;
} sizes[] = {
    {0, "0 B"},           {1023, "1023 B"},        {1024, "1.0 KiB"},
    {1572864, "1.5 MiB"}, {1073741823, "1.0 GiB"}, {NAN, "n/a"},
};

START_TEST(sizes_choose_their_unit)
{
    ck_assert_str_eq(moe_bytes_cell(sizes[_i].bytes).text, sizes[_i].text);
}
END_TEST

static const struct {
    const char *name;
    size_t n;
    const char *text;
} names[] = {
    {"short", 5, "short"},
    {"longer", 5, "long~"},
    {"\u20ac\u20ac\u20ac", 8, "\u20ac\u20ac~"}, /* not within a character */
    {"\u20ac\u20ac\u20ac", 9, "\u20ac\u20ac\u20ac"},
    {"", 5, ""},
};

START_TEST(names_are_cut_between_characters)
{
    ck_assert_str_eq(moe_name_cell(names[_i].name, names[_i].n).text,
                     names[_i].text);
}
END_TEST

START_TEST(intervals_need_both_ends)
{
    ck_assert_str_eq(
        moe_interval_cell(moe_number_cell(1), moe_number_cell(2)).text,
        "1.00 .. 2.00");
    ck_assert_str_eq(
        moe_interval_cell(moe_number_cell(NAN), moe_number_cell(NAN)).text,
        "n/a");
    ck_assert_str_eq(moe_percent_cell(0.125).text, "12.5 %");
    ck_assert_str_eq(moe_percent_cell(NAN).text, "n/a");
    ck_assert_str_eq(moe_fixed_cell(-1e-9).text, "0.0000");
    ck_assert_str_eq(moe_value_cell(300).text, "300");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("cells");
    MOE_TEST_LOOP(suite, numbers_keep_their_digits, MOE_ARRAY_LEN(numbers));
    MOE_TEST_LOOP(suite, times_choose_their_unit, MOE_ARRAY_LEN(times));
    MOE_TEST_LOOP(suite, sizes_choose_their_unit, MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, names_are_cut_between_characters,
                  MOE_ARRAY_LEN(names));
    MOE_TEST(suite, intervals_need_both_ends);
    return suite;
}
