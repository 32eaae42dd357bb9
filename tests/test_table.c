/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const moe_column columns[] = {
    {"strategy", NULL, MOE_LEFT},
    {"time", "ms", MOE_RIGHT},
    {"note", NULL, MOE_LEFT},
};

static moe_table *example(void)
{
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    moe_table_cell(table, "baseline");
    moe_table_number(table, 12.345, 3);
    moe_table_cell(table, "the \"reference\", kept");
    moe_table_cell(table, "f\xc3\xbcnf");
    moe_table_number(table, NAN, 3);
    moe_table_cell(table, "%s", "");
    return table;
}

/* What a printer writes; the caller frees it. */
static char *printed(void (*print)(const moe_table *, FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_table *table = example();
    print(table, out);
    moe_table_free(table);
    fclose(out);
    return text;
}

START_TEST(columns_align_by_characters)
{
    char *text = printed(moe_table_print);
    ck_assert_str_eq(text, "strategy  time  note\n"
                           "            ms\n"
                           "--------  ----  ---------------------\n"
                           "baseline  12.3  the \"reference\", kept\n"
                           "f\xc3\xbcnf       n/a\n");
    free(text);
}
END_TEST

START_TEST(csv_quotes_what_needs_it)
{
    char *text = printed(moe_table_csv);
    ck_assert_str_eq(text, "strategy,time_ms,note\n"
                           "baseline,12.3,\"the \"\"reference\"\", kept\"\n"
                           "f\xc3\xbcnf,,\n");
    free(text);
}
END_TEST

START_TEST(html_escapes_and_heads_rows)
{
    char *text = printed(moe_table_html);
    ck_assert_str_eq(
        text, "<table><thead><tr><th scope=\"col\">strategy</th>"
              "<th scope=\"col\" class=\"n\">time <small>ms</small></th>"
              "<th scope=\"col\">note</th></tr></thead>\n<tbody>\n"
              "<tr><th scope=\"row\">baseline</th><td class=\"n\">12.3</td>"
              "<td>the &quot;reference&quot;, kept</td></tr>\n"
              "<tr><th scope=\"row\">f\xc3\xbcnf</th><td class=\"n\">n/a</td>"
              "<td></td></tr>\n</tbody></table>\n");
    free(text);
}
END_TEST

START_TEST(no_table_is_no_trouble)
{
    moe_table_cell(NULL, "x");
    moe_table_number(NULL, 1, 3);
    moe_table_print(NULL, stdout);
    moe_table_csv(NULL, stdout);
    moe_table_free(NULL);
}
END_TEST

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
    char text[64];
    moe_format_number(numbers[_i].value, numbers[_i].digits, text, sizeof text);
    ck_assert_str_eq(text, numbers[_i].text);
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
    char text[64];
    moe_format_time(times[_i].s, text, sizeof text);
    ck_assert_str_eq(text, times[_i].text);
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
    char text[64];
    moe_format_bytes(sizes[_i].bytes, text, sizeof text);
    ck_assert_str_eq(text, sizes[_i].text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("table");
    MOE_TEST(suite, columns_align_by_characters);
    MOE_TEST(suite, csv_quotes_what_needs_it);
    MOE_TEST(suite, html_escapes_and_heads_rows);
    MOE_TEST(suite, no_table_is_no_trouble);
    MOE_TEST_LOOP(suite, numbers_keep_their_digits, MOE_ARRAY_LEN(numbers));
    MOE_TEST_LOOP(suite, times_choose_their_unit, MOE_ARRAY_LEN(times));
    MOE_TEST_LOOP(suite, sizes_choose_their_unit, MOE_ARRAY_LEN(sizes));
    return suite;
}
