/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const char *path(void)
{
    static char text[512];
    snprintf(text, sizeof text, "%s/rows.csv", test_dir);
    return text;
}

static void put(const char *text, size_t n)
{
    FILE *file = fopen(path(), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, n, file), n);
    fclose(file);
}

/* A file, and its fields joined by '|', rows ended by '/'. */
static const struct {
    const char *text, *fields;
} tables[] = {
    {"a,b\n1,2\n", "a|b/1|2/"},
    {"a,b\n1,2", "a|b/1|2/"},
    {"a,b\r\n1,2\r\n", "a|b/1|2/"},
    {"a,b\r1,2\r", "a|b/1|2/"},
    {"\xef\xbb\xbf"
     "a,b\n1,2\n",
     "a|b/1|2/"},
    {" a , b\t\n\n \t\n1 ,2\n", "a|b/1|2/"},
    {"a,b\n,\n", "a|b/|/"},
    {"a\tb c\n1\t\n", "a|b c/1|/"},
    {"a;b,c\n1;2,3\n", "a;b|c/1;2|3/"},
    {"a;b;c,d\n", "a|b|c,d/"},
    {"\"a,b\",\"c\"\"d\"\n\" e \",f\n", "a,b|c\"d/ e |f/"},
    {"# one\n#two\na,b\n # three\n1,2\n", "a|b/1|2/"},
    {"a\n", "a/"},
};

START_TEST(rows_are_cut_into_fields)
{
    moe_rows *r = NULL;
    moe_error err = {0};
    char all[256];
    put(tables[_i].text, strlen(tables[_i].text));
    ck_assert_int_eq(moe_rows_open(path(), &r, &err), MOE_OK);
    for (int pass = 0; pass < 2; pass++) { /* the same again */
        all[0] = '\0';
        while (moe_rows_next(r, &err)) {
            for (size_t c = 0; c < moe_rows_width(r); c++)
                snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
                         c > 0 ? "|" : "", moe_rows_field(r, c));
            strcat(all, "/");
        }
        ck_assert_int_eq(err.status, MOE_OK);
        ck_assert_str_eq(all, tables[_i].fields);
        ck_assert_int_eq(moe_rows_rewind(r, &err), MOE_OK);
    }
    moe_rows_close(r);
}
END_TEST

START_TEST(comment_before_a_row_is_known)
{
    static const char text[] = "# layer, expert \n1,2\n\n#  other\n3,4\n5,6\n";
    moe_rows *r = NULL;
    moe_error err = {0};
    put(text, strlen(text));
    ck_assert_int_eq(moe_rows_open(path(), &r, &err), MOE_OK);
    ck_assert(moe_rows_next(r, &err));
    ck_assert_str_eq(moe_rows_comment(r), "layer, expert");
    ck_assert_uint_eq(moe_rows_line(r), 2);
    ck_assert(moe_rows_next(r, &err));
    ck_assert_str_eq(moe_rows_comment(r), "other");
    ck_assert_uint_eq(moe_rows_line(r), 5);
    ck_assert(moe_rows_next(r, &err));
    ck_assert_str_eq(moe_rows_comment(r), "");
    moe_rows_close(r);
}
END_TEST

/* Lines end wherever a buffer may end, among them between CR and LF. */
START_TEST(lines_across_buffers_are_whole)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    enum { BUFFER = 1 << 20 };
    const char *end = ends[_i];
    for (int shift = -3; shift <= 3; shift++) {
        moe_rows *r = NULL;
        moe_error err = {0};
        const size_t n = BUFFER + (size_t)(shift + 8);
        char *text = malloc(n + 64);
        ck_assert_ptr_nonnull(text);
        memset(text, 'x', n);
        text[1] = ',';
        const int tail = sprintf(text + BUFFER + shift, "%s3,4%s", end, end);
        put(text, BUFFER + (size_t)(shift + tail));
        free(text);
        ck_assert_int_eq(moe_rows_open(path(), &r, &err), MOE_OK);
        ck_assert(moe_rows_next(r, &err));
        ck_assert_uint_eq(moe_rows_width(r), 2);
        ck_assert_uint_eq(strlen(moe_rows_field(r, 1)),
                          BUFFER + (size_t)shift - 2);
        ck_assert(moe_rows_next(r, &err));
        ck_assert_str_eq(moe_rows_field(r, 1), "4");
        ck_assert_uint_eq(moe_rows_line(r), 2);
        ck_assert(!moe_rows_next(r, &err));
        ck_assert_int_eq(err.status, MOE_OK);
        moe_rows_close(r);
    }
}
END_TEST

static const struct {
    const char *text;
    size_t n;
    const char *says;
} bad[] = {
    {"", 0, "is empty"},
    {"\n\n", 2, "is empty"},
    {"a,b\n1\0002,3\n", 11, "rows.csv:2: holds a zero byte"},
    {"a,\"b\n", 5, "rows.csv:1: a quote is not closed"},
};

START_TEST(what_is_no_table_is_refused)
{
    moe_rows *r = NULL;
    moe_error err = {0};
    put(bad[_i].text, bad[_i].n);
    if (moe_rows_open(path(), &r, &err) == MOE_OK)
        while (moe_rows_next(r, &err))
            ;
    moe_rows_close(r);
    ck_assert_int_eq(err.status, MOE_FORMAT);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
}
END_TEST

static const struct {
    const char *text;
    bool whole, load;
    double value;
} numbers[] = {
    {"0", true, true, 0},
    {"40", true, true, 40},
    {"40.0", true, true, 40},
    {"40.", true, true, 40},
    {"2.5", false, true, 2.5},
    {".5", false, true, 0.5},
    {"1e3", false, true, 1000},
    {"007", true, true, 7},
    {"", false, false, 0},
    {"-1", false, false, 0},
    {"+1", false, false, 0},
    {" 1", false, false, 0},
    {"1 ", false, false, 0},
    {"0x10", false, false, 0},
    {"inf", false, false, 0},
    {"nan", false, false, 0},
    {"1e999", false, false, 0},
    {"1,5", false, false, 0},
    {"9007199254740992", true, true, 9007199254740992.0},
    {"9007199254740993", true, false, 9007199254740993.0},
};

START_TEST(numbers_are_what_they_say)
{
    uint64_t whole = 0;
    double load = 0;
    ck_assert(moe_text_whole(numbers[_i].text, UINT64_MAX, &whole) ==
              numbers[_i].whole);
    ck_assert(moe_text_load(numbers[_i].text, &load) == numbers[_i].load);
    if (numbers[_i].whole)
        ck_assert_double_eq((double)whole, numbers[_i].value);
    if (numbers[_i].load)
        ck_assert_double_eq(load, numbers[_i].value);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("rows");
    MOE_TEST_LOOP(suite, rows_are_cut_into_fields, MOE_ARRAY_LEN(tables));
    MOE_TEST(suite, comment_before_a_row_is_known);
    MOE_TEST_LOOP(suite, lines_across_buffers_are_whole, 3);
    MOE_TEST_LOOP(suite, what_is_no_table_is_refused, MOE_ARRAY_LEN(bad));
    MOE_TEST_LOOP(suite, numbers_are_what_they_say, MOE_ARRAY_LEN(numbers));
    return suite;
}
