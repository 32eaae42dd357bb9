/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/options.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const char *const colours[] = {"red", "green", "blue", NULL};

typedef struct {
    int count, any;
    uint64_t seed, wide;
    double share, real;
    bool flag;
    char text[8];
    int colour;
    moe_reals list;
    const char *string;
    moe_strings strings;
    int even;
} settings;

static moe_status parse_even(const char *text, void *at, moe_error *err)
{
    if (strcmp(text, "two") != 0)
        return moe_fail(err, MOE_USAGE, "'%s' is not even", text);
    *(int *)at = 2;
    return MOE_OK;
}

static const moe_opt rows[] = {
    {.key = "count",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "3",
     .min = -2,
     .max = 64,
     MOE_OPT_AT(settings, count)},
    {.key = "any",
     .type = MOE_OPT_INT,
     .unit = "tokens",
     .initial = "0",
     .min = INT_MIN,
     .max = INT_MAX,
     MOE_OPT_AT(settings, any)},
    {.key = "seed",
     .type = MOE_OPT_U64,
     .initial = "1",
     .min = 1,
     .max = 0x1p53,
     MOE_OPT_AT(settings, seed)},
    {.key = "wide",
     .type = MOE_OPT_U64,
     .initial = "18446744073709551615",
     .min = 0,
     .max = 0x1p64,
     MOE_OPT_AT(settings, wide)},
    {.key = "share",
     .type = MOE_OPT_REAL,
     .unit = "s",
     .initial = "0.5",
     .min = 0,
     .max = 1.5,
     MOE_OPT_AT(settings, share)},
    {.key = "real",
     .type = MOE_OPT_REAL,
     .initial = "0.1",
     .min = -INFINITY,
     .max = INFINITY,
     MOE_OPT_AT(settings, real)},
    {.key = "flag",
     .type = MOE_OPT_BOOL,
     .initial = "on",
     MOE_OPT_AT(settings, flag)},
    {.key = "text", .type = MOE_OPT_TEXT, MOE_OPT_AT(settings, text)},
    {.key = "colour",
     .type = MOE_OPT_ENUM,
     .initial = "green",
     .choices = colours,
     MOE_OPT_AT(settings, colour)},
    {.key = "list",
     .type = MOE_OPT_REALS,
     .unit = "GB/s",
     .initial = "1,2",
     .min = 0,
     .max = 1000,
     MOE_OPT_AT(settings, list)},
    {.key = NULL}};

/* Types of commands alone; what is typed does not come back as text. */
static const moe_opt of_commands[] = {{.key = "string",
                                       .type = MOE_OPT_STRING,
                                       .initial = "so",
                                       MOE_OPT_AT(settings, string)},
                                      {.key = "strings",
                                       .type = MOE_OPT_STRINGS,
                                       .initial = "",
                                       MOE_OPT_AT(settings, strings)},
                                      {.key = "even",
                                       .type = MOE_OPT_CALL,
                                       .initial = "",
                                       .parse = parse_even,
                                       .form = "EVEN",
                                       MOE_OPT_AT(settings, even)},
                                      {.key = NULL}};

/* A text, and how its value is written again. */
static const struct {
    const char *key, *text, *again;
} good[] = {
    {"count", "-2", "-2"},
    {"count", "64", "64"},
    {"count", "007", "7"},
    {"count", "+5", "5"},
    {"count", "-0", "0"},
    {"any", "2147483647", "2147483647"},
    {"any", "-2147483648", "-2147483648"},
    {"seed", "1", "1"},
    {"seed", "9007199254740992", "9007199254740992"},
    {"wide", "0", "0"},
    {"wide", "18446744073709551615", "18446744073709551615"},
    {"share", "0", "0"},
    {"share", "1.5", "1.5"},
    {"share", "1e-3", "0.001"},
    {"share", ".25", "0.25"},
    {"real", "600e9", "6e+11"},
    {"real", "123456789", "123456789"},
    {"real", "0.1", "0.1"},
    {"real", "0.30000000000000004", "0.30000000000000004"},
    {"real", "1.7976931348623157e308", "1.7976931348623157e+308"},
    {"real", "4.9406564584124654e-324", "4.94066e-324"},
    {"real", "inf", "inf"},
    {"real", "-inf", "-inf"},
    {"flag", "true", "true"},
    {"flag", "false", "false"},
    {"flag", "yes", "true"},
    {"flag", "no", "false"},
    {"flag", "on", "true"},
    {"flag", "off", "false"},
    {"text", "", ""},
    {"text", "1234567", "1234567"},
    {"text", " 'x' ", " 'x' "},
    {"colour", "red", "red"},
    {"colour", "blue", "blue"},
    {"list", "3", "3"},
    {"list", "1,2.50,0", "1,2.5,0"},
    {"list", "1:2:0.5", "1,1.5,2"},
    {"list", "1:2.4:0.5", "1,1.5,2"},
    {"list", "0:0.3:0.1", "0,0.1,0.2,0.30000000000000004"},
    {"list", "7:7:1", "7"},
};

START_TEST(value_in_range_is_read_and_written_back)
{
    settings s, t;
    memset(&s, 0, sizeof s);
    memset(&t, 0, sizeof t);
    char text[64];
    moe_error err = {0};
    const moe_opt *row = moe_opt_find(rows, good[_i].key);
    ck_assert_int_eq(moe_opt_parse(row, good[_i].text, &s, &err), MOE_OK);
    ck_assert_str_eq(err.text, "");
    moe_opt_format(row, &s, text, sizeof text);
    ck_assert_str_eq(text, good[_i].again);
    ck_assert_int_eq(moe_opt_parse(row, text, &t, &err), MOE_OK);
    ck_assert_mem_eq(&s, &t, sizeof s);
}
END_TEST

static const struct {
    const char *key, *text;
} bad[] = {
    {"count", "-3"},                   /* below */
    {"count", "65"},                   /* above */
    {"count", ""},                     /* nothing */
    {"count", "3x"},                   /* trailing text */
    {"count", "3 "},                   /* trailing space */
    {"count", " 3"},                   /* leading space */
    {"count", "3.0"},                  /* not an integer */
    {"count", "0x3"},                  /* not decimal */
    {"count", "1e1"},                  /* not decimal */
    {"count", "--3"},                  /* sign */
    {"count", "nan"},                  /* no number */
    {"any", "2147483648"},             /* overflow of int */
    {"any", "-2147483649"},            /* overflow of int */
    {"any", "99999999999999999999"},   /* overflow of long */
    {"seed", "0"},                     /* below */
    {"seed", "9007199254740993"},      /* above, by less than a double tells */
    {"seed", "-1"},                    /* sign */
    {"seed", "+1"},                    /* sign */
    {"seed", "1x"},                    /* trailing text */
    {"seed", " 1"},                    /* leading space */
    {"seed", ""},                      /* nothing */
    {"wide", "18446744073709551616"},  /* overflow */
    {"wide", "-18446744073709551615"}, /* wraps to 1 in C */
    {"share", "-0.1"},                 /* below */
    {"share", "1.500001"},             /* above */
    {"share", "inf"},                  /* above */
    {"share", "nan"},                  /* NaN */
    {"share", "1.5x"},                 /* trailing text */
    {"share", " 1"},                   /* leading space */
    {"share", ""},                     /* nothing */
    {"share", "."},                    /* nothing */
    {"real", "nan"},                   /* NaN in any range */
    {"real", "NAN(1)"},                /* NaN in any spelling */
    {"real", "1e309"},                 /* overflow */
    {"real", "-1e309"},                /* overflow */
    {"real", "1e-400"},                /* vanishes */
    {"flag", "TRUE"},                  /* spelling */
    {"flag", "1"},                     /* spelling */
    {"flag", "y"},                     /* spelling */
    {"flag", ""},                      /* nothing */
    {"text", "12345678"},              /* too long by one */
    {"colour", "Red"},                 /* unknown */
    {"colour", "gre"},                 /* part of one */
    {"colour", "greens"},              /* more than one */
    {"colour", "0"},                   /* index */
    {"colour", ""},                    /* nothing */
    {"list", ""},                      /* nothing */
    {"list", ","},                     /* nothing twice */
    {"list", "1,,2"},                  /* nothing between */
    {"list", "1,"},                    /* nothing behind */
    {"list", "1;2"},                   /* another separator */
    {"list", "1,nan"},                 /* no number */
    {"list", "1,1001"},                /* above */
    {"list", "-1:1:1"},                /* below */
    {"list", "1:2"},                   /* a range without step */
    {"list", "1:2:0"},                 /* that never ends */
    {"list", "2:1:-1"},                /* falling */
    {"list", "2:1:1"},                 /* of no values */
    {"list", "0:256:1"},               /* of one too many */
    {"list", "1:2:1:1"},               /* trailing text */
    {"list", "1:2:1x"},                /* trailing text */
};

/* Numbers with a unit, in that of their row; 0: refused. */
static const struct {
    const char *unit, *text;
    double value;
} units[] = {
    {"B s-1", "448GB/s", 448e9},
    {"B s-1", "1.5TB/s", 1.5e12},
    {"B s-1", "2MiB/s", 0x1p21},
    {"B s-1", "448e9", 448e9},
    {"B s-1", "448GB", 0},
    {"B s-1", "448 GB/s", 0},
    {"B s-1", "448gB/s", 0},
    {"B s-1", "5mB/s", 0},
    {"B", "80GiB", 80 * 0x1p30},
    {"B", "80GB", 80e9},
    {"B", "80G", 0},
    {"s", "5us", 5e-6},
    {"s", "2ms", 2e-3},
    {"s", "30ns", 30e-9},
    {"s", "3s", 3},
    {"s", "3Kis", 0},
    {"s-1", "312TFLOP/s", 312e12},
    {"1", "5us", 0},
    {NULL, "5s", 0},
};

START_TEST(numbers_are_read_with_their_units)
{
    const moe_opt row = {
        .key = "x", .type = MOE_OPT_REAL, .unit = units[_i].unit, .max = 1e18};
    double x = 7;
    const bool taken = moe_opt_parse(&row, units[_i].text, &x, NULL) == MOE_OK;
    ck_assert_msg(taken == (units[_i].value > 0), "%s", units[_i].text);
    ck_assert_double_eq_tol(x, taken ? units[_i].value : 7,
                            1e-12 * fabs(units[_i].value) + 1e-300);
}
END_TEST

START_TEST(value_out_of_range_is_refused_and_nothing_changes)
{
    settings s, before;
    memset(&s, 0x5a, sizeof s);
    memcpy(&before, &s, sizeof s);
    char allowed[128], expect[256];
    moe_error err = {0};
    const moe_opt *row = moe_opt_find(rows, bad[_i].key);
    ck_assert_int_eq(moe_opt_parse(row, bad[_i].text, &s, &err), MOE_USAGE);
    moe_opt_allowed(row, allowed, sizeof allowed);
    snprintf(expect, sizeof expect, "%s: '%s' is not %s", bad[_i].key,
             bad[_i].text, allowed);
    ck_assert_str_eq(err.text, expect);
    ck_assert_mem_eq(&s, &before, sizeof s);
    ck_assert_int_eq(moe_opt_parse(row, bad[_i].text, &s, NULL), MOE_USAGE);
}
END_TEST

static const struct {
    const char *key, *text;
} allowances[] = {
    {"count", "an integer in -2..64"},
    {"any", "an integer in -2147483648..2147483647 tokens"},
    {"seed", "an integer in 1..9007199254740992"},
    {"share", "a number in 0..1.5 s, as in 5us"},
    {"real", "a number in -inf..inf"},
    {"flag", "true or false"},
    {"text", "a text of at most 7 characters"},
    {"colour", "one of red, green, blue"},
    {"list", "a list x,y,... or from:to:step of at most 256 numbers in "
             "0..1000 GB/s"},
};

START_TEST(message_says_what_is_allowed_however_long_the_text)
{
    char allowed[128], text[2000];
    settings s;
    moe_error err = {0};
    const moe_opt *row = moe_opt_find(rows, allowances[_i].key);
    moe_opt_allowed(row, allowed, sizeof allowed);
    ck_assert_str_eq(allowed, allowances[_i].text);
    memset(text, '9', sizeof text);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(moe_opt_parse(row, text, &s, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, allowed) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "999...'") != NULL, "%s", err.text);
}
END_TEST

START_TEST(texts_are_cut_at_the_end_of_the_buffer)
{
    settings s;
    memset(&s, 0, sizeof s);
    char text[16];
    for (const moe_opt *row = rows; row->key != NULL; row++)
        for (size_t size = 1; size <= 8; size++) {
            memset(text, 'x', sizeof text);
            moe_opt_allowed(row, text, size);
            ck_assert_uint_eq(strlen(text), size - 1);
            ck_assert_int_eq(text[size], 'x');
            memset(text, 'x', sizeof text);
            moe_opt_format(row, &s, text, size);
            ck_assert_uint_lt(strlen(text), size);
            ck_assert_int_eq(text[size], 'x');
        }
}
END_TEST

START_TEST(defaults_fill_all_but_required_members)
{
    settings s;
    memset(&s, 0, sizeof s);
    snprintf(s.text, sizeof s.text, "keep");
    moe_opt_defaults(rows, &s);
    ck_assert_int_eq(s.count, 3);
    ck_assert_uint_eq(s.wide, UINT64_MAX);
    ck_assert_double_eq(s.share, 0.5);
    ck_assert(s.flag);
    ck_assert_int_eq(s.colour, 1);
    ck_assert_str_eq(s.text, "keep");
    moe_opt_defaults(NULL, NULL);
}
END_TEST

START_TEST(rows_are_found_by_their_whole_key)
{
    ck_assert_ptr_eq(moe_opt_find(rows, "count"), &rows[0]);
    ck_assert_ptr_eq(moe_opt_find(rows, "colour")->choices, colours);
    ck_assert_ptr_null(moe_opt_find(rows, "coun"));
    ck_assert_ptr_null(moe_opt_find(rows, "counts"));
    ck_assert_ptr_null(moe_opt_find(rows, ""));
    ck_assert_ptr_null(moe_opt_find(NULL, "count"));
}
END_TEST

START_TEST(list_of_more_values_than_there_is_room_for_is_refused)
{
    char text[2 * MOE_OPT_MAX_REALS + 2];
    settings s = {.count = 0};
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? '1' : ',';
    text[2 * MOE_OPT_MAX_REALS + 1] = '\0';
    const moe_opt *row = moe_opt_find(rows, "list");
    ck_assert_int_eq(moe_opt_parse(row, text, &s, NULL), MOE_USAGE);
    text[2 * MOE_OPT_MAX_REALS - 1] = '\0';
    ck_assert_int_eq(moe_opt_parse(row, text, &s, NULL), MOE_OK);
    ck_assert_int_eq(s.list.n, MOE_OPT_MAX_REALS);
}
END_TEST

START_TEST(strings_are_borrowed_and_kept_in_order)
{
    static const char *const texts[] = {"a", "", "b=c", "d"};
    settings s = {.even = 5};
    char text[8] = "xxx";
    moe_opt_defaults(of_commands, &s);
    ck_assert_str_eq(s.string, "so");
    ck_assert_int_eq(s.strings.n, 0);
    ck_assert_int_eq(s.even, 5); /* it has no default */
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++) {
        moe_opt_parse(&of_commands[0], texts[i], &s, NULL);
        ck_assert_ptr_eq(s.string, texts[i]);
        moe_opt_parse(&of_commands[1], texts[i], &s, NULL);
        ck_assert_int_eq(s.strings.n, (int)i + 1);
    }
    for (size_t i = 0; i < MOE_ARRAY_LEN(texts); i++)
        ck_assert_ptr_eq(s.strings.text[i], texts[i]);
    moe_opt_format(&of_commands[1], &s, text, sizeof text);
    ck_assert_str_eq(text, "");
    moe_opt_release(of_commands, &s);
    ck_assert_int_eq(s.strings.n, 0);
    ck_assert_ptr_null(s.strings.text);
    moe_opt_release(of_commands, &s);
    moe_opt_release(NULL, NULL);
}
END_TEST

START_TEST(rows_own_parser_reads_its_member_and_explains)
{
    settings s = {.even = 0};
    moe_error err = {0};
    const moe_opt *row = moe_opt_find(of_commands, "even");
    ck_assert_int_eq(moe_opt_parse(row, "two", &s, &err), MOE_OK);
    ck_assert_int_eq(s.even, 2);
    ck_assert_int_eq(moe_opt_parse(row, "one", &s, &err), MOE_USAGE);
    ck_assert_str_eq(err.text, "even: 'one' is not even");
    ck_assert_int_eq(s.even, 2);
}
END_TEST

START_TEST(equal_texts_are_equal_bytes)
{
    settings a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    const moe_opt *row = moe_opt_find(rows, "text");
    moe_opt_parse(row, "long", &a, NULL);
    moe_opt_parse(row, "x", &a, NULL);
    moe_opt_parse(row, "x", &b, NULL);
    ck_assert_mem_eq(&a, &b, sizeof a);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("options");
    MOE_TEST_LOOP(suite, value_in_range_is_read_and_written_back,
                  MOE_ARRAY_LEN(good));
    MOE_TEST_LOOP(suite, numbers_are_read_with_their_units,
                  MOE_ARRAY_LEN(units));
    MOE_TEST_LOOP(suite, value_out_of_range_is_refused_and_nothing_changes,
                  MOE_ARRAY_LEN(bad));
    MOE_TEST_LOOP(suite, message_says_what_is_allowed_however_long_the_text,
                  MOE_ARRAY_LEN(allowances));
    MOE_TEST(suite, texts_are_cut_at_the_end_of_the_buffer);
    MOE_TEST(suite, defaults_fill_all_but_required_members);
    MOE_TEST(suite, rows_are_found_by_their_whole_key);
    MOE_TEST(suite, list_of_more_values_than_there_is_room_for_is_refused);
    MOE_TEST(suite, strings_are_borrowed_and_kept_in_order);
    MOE_TEST(suite, rows_own_parser_reads_its_member_and_explains);
    MOE_TEST(suite, equal_texts_are_equal_bytes);
    return suite;
}
