/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const char *write_csv(const char *text)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/t.csv", test_dir);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
    return path;
}

/* What programs make of one and the same table. */
static const char *const forms[] = {
    "a,\"b, c\",d\r\n\n1,\"x,y\",\r\n 2 ,,3",
    "\xef\xbb\xbf# made by hand\nA,\"B, C\",d\n1,\"x,y\",\n2,,3\n",
    "a\tb, c\td\r1\tx,y\t\r2\t\t3\r",
    "a;b, c;d\n1;x,y;\n2;;3\n",
};

START_TEST(a_table_is_read_in_every_form)
{
    moe_csv csv = {0};
    moe_error err = {0};
    ck_assert_int_eq(moe_csv_read(write_csv(forms[_i]), &csv, &err), MOE_OK);
    ck_assert_uint_eq(csv.n_columns, 3);
    ck_assert_uint_eq(csv.n_rows, 2);
    ck_assert_int_eq(moe_csv_find(&csv, "a"), 0);
    ck_assert_int_eq(moe_csv_find(&csv, "b,_c"), 1);
    ck_assert_int_eq(moe_csv_find(&csv, "e"), -1);
    ck_assert_str_eq(moe_csv_text(&csv, 0, 1), "x,y");
    ck_assert_str_eq(moe_csv_text(&csv, 0, 2), "");
    ck_assert_str_eq(moe_csv_text(&csv, 1, 0), "2");
    moe_csv_free(&csv);
}
END_TEST

/* More rows than any first guess has room for. */
START_TEST(rows_are_as_many_as_there_are)
{
    enum { ROWS = 1000 };
    static char text[16 * ROWS];
    size_t n = (size_t)snprintf(text, sizeof text, "i,square\n");
    for (int i = 0; i < ROWS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%d\n", i, i * i);
    moe_csv csv = {0};
    moe_error err = {0};
    ck_assert_int_eq(moe_csv_read(write_csv(text), &csv, &err), MOE_OK);
    ck_assert_uint_eq(csv.n_rows, ROWS);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(moe_csv_int(&csv, (size_t)i, 1, 0, 1 << 30, &err),
                         i * i);
    ck_assert_int_eq(err.status, MOE_OK);
    moe_csv_free(&csv);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"", "t.csv: is empty"},
    {"\n\n", "t.csv: is empty"},
    {"a,b,a\n", "t.csv:1: column 'a' twice"},
    {"a,b\n1,2\n\n1\n", "t.csv:4: 1 fields where the header has 2"},
    {"a,b\n1,2,3\n", "t.csv:2: 3 fields where the header has 2"},
};

START_TEST(tables_that_are_none_are_refused)
{
    moe_csv csv = {0};
    moe_error err = {0};
    ck_assert_int_eq(moe_csv_read(write_csv(bad[_i].text), &csv, &err),
                     MOE_FORMAT);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
    moe_csv_free(&csv);
}
END_TEST

static const struct {
    const char *text;
    double value; /* NaN: refused */
    bool whole;
} numbers[] = {
    {"1", 1, true},    {"10", 10, true},   {"2.5", 2.5, false},
    {"1e1", 10, true}, {"0", NAN, false},  {"11", NAN, false},
    {"", NAN, false},  {"3x", NAN, false}, {"nan", NAN, false},
};

START_TEST(numbers_are_in_their_range)
{
    char text[32];
    moe_csv csv = {0};
    moe_error err = {0}, whole = {0};
    snprintf(text, sizeof text, "x,y\n%s,\n", numbers[_i].text);
    ck_assert_int_eq(moe_csv_read(write_csv(text), &csv, &err), MOE_OK);
    const double x = moe_csv_number(&csv, 0, 0, 1, 10, &err);
    const bool fine = !isnan(numbers[_i].value);
    ck_assert_double_eq(x, fine ? numbers[_i].value : 0);
    ck_assert_int_eq(err.status, fine ? MOE_OK : MOE_USAGE);
    ck_assert_msg(fine || strstr(err.text, "t.csv:2") != NULL, "%s", err.text);
    const int i = moe_csv_int(&csv, 0, 0, 1, 10, &whole);
    ck_assert_int_eq(i, numbers[_i].whole ? (int)numbers[_i].value : 0);
    moe_csv_free(&csv);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("csv");
    MOE_TEST_LOOP(suite, a_table_is_read_in_every_form, MOE_ARRAY_LEN(forms));
    MOE_TEST(suite, rows_are_as_many_as_there_are);
    MOE_TEST_LOOP(suite, tables_that_are_none_are_refused, MOE_ARRAY_LEN(bad));
    MOE_TEST_LOOP(suite, numbers_are_in_their_range, MOE_ARRAY_LEN(numbers));
    return suite;
}
