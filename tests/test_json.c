/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/json.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/mem.h"

static void check_json(json_t *value, const char *want)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, want);
    free(text);
    json_decref(value);
}

static const struct {
    double x;
    const char *json;
} numbers[] = {{0.5, "0.5"},        {-3, "-3.0"},
               {NAN, "null"},       {INFINITY, "null"},
               {-INFINITY, "null"}, {0x1p70, "1.1805916207174113e21"}};

START_TEST(number_that_is_not_finite_is_null)
{
    check_json(moe_json_number(numbers[_i].x), numbers[_i].json);
}
END_TEST

static const struct {
    const char *text, *json;
} texts[] = {
    {"plain", "\"plain\""},
    {"", "\"\""},
    {"\xc3\xa4", "\"\xc3\xa4\""},          /* UTF-8 */
    {"cut \xc3", "\"cut ?\""},             /* within a character */
    {"\xe4 and \xc3\xa4", "\"? and ??\""}, /* Latin-1 among UTF-8 */
};

START_TEST(text_that_is_not_utf8_stays_readable)
{
    check_json(moe_json_text(texts[_i].text), texts[_i].json);
}
END_TEST

START_TEST(values_are_put_in_order)
{
    static const double x[] = {1.5, NAN};
    static const int32_t k[] = {-1, 2};
    moe_error err = {0};
    json_t *o = json_object(), *a = json_array();
    moe_json_put_number(o, "x", 0.25, &err);
    moe_json_put_integer(o, "n", INT64_MAX, &err);
    moe_json_put_text(o, "t", "a", &err);
    moe_json_put(o, "xs", moe_json_numbers(x, 2, &err), &err);
    moe_json_put(o, "ks", moe_json_integers(k, 2, &err), &err);
    moe_json_add(a, json_true(), &err);
    moe_json_put(o, "a", a, &err);
    ck_assert_int_eq(err.status, MOE_OK);
    check_json(o, "{\"x\":0.25,\"n\":9223372036854775807,\"t\":\"a\","
                  "\"xs\":[1.5,null],\"ks\":[-1,2],\"a\":[true]}");
}
END_TEST

typedef struct record {
    double x;
    const char *s;
    int k;
    bool yes;
    char text[32];
    size_t n;
    char *owned;
    uint64_t seed;
} record;

/* Every kind, and texts that others chose. */
START_TEST(structs_are_written_by_tables)
{
    static const moe_json_member members[] = {
        MOE_JSON_MEMBER("x", record, x),
        MOE_JSON_MEMBER("string", record, s),
        MOE_JSON_MEMBER("k", record, k),
        MOE_JSON_MEMBER("yes", record, yes),
        MOE_JSON_MEMBER("chars", record, text),
        MOE_JSON_MEMBER("n", record, n),
        MOE_JSON_MEMBER("owned", record, owned),
        MOE_JSON_MEMBER("seed", record, seed),
    };
    const record r = {NAN,  "</script>\"\\",  -3,
                      true, "cut \xc3\x1b\n", 1u << 31,
                      NULL, UINT64_C(1) << 40};
    moe_error err = {0};
    json_t *o = moe_json_members(members, MOE_ARRAY_LEN(members), &r, &err);
    ck_assert_int_eq(err.status, MOE_OK);
    check_json(o, "{\"x\":null,\"string\":\"</script>\\\"\\\\\",\"k\":-3,"
                  "\"yes\":true,\"chars\":\"cut ?\\u001B\\n\","
                  "\"n\":2147483648,\"owned\":null,\"seed\":1099511627776}");
    moe_json_put_members(NULL, members, 1, &r, &err);
    ck_assert_int_eq(err.status, MOE_NOMEM);
}
END_TEST

START_TEST(value_that_could_not_be_made_is_an_error_where_it_is_put)
{
    moe_error err = {0}, other = {0};
    json_t *o = json_object(), *a = json_array();
    moe_json_put(o, "x", NULL, &err);
    ck_assert_int_eq(err.status, MOE_NOMEM);
    moe_json_add(a, NULL, &other);
    ck_assert_int_eq(other.status, MOE_NOMEM);
    other = (moe_error){0};
    moe_json_put_number(NULL, "x", 1, &other);
    ck_assert_int_eq(other.status, MOE_NOMEM);
    json_decref(o);
    json_decref(a);
}
END_TEST

static void read_back(const char *path, const char *want)
{
    char *text = NULL;
    ck_assert_int_eq(moe_read_text(path, &text, NULL), MOE_OK);
    ck_assert_str_eq(text, want);
    free(text);
}

static json_t *third(void)
{
    return json_pack("{s:f}", "x", 1.0 / 3);
}

START_TEST(document_is_written_whole_or_not_at_all)
{
    char path[300];
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/a.json", test_dir);
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(3);
    ck_assert_int_eq(moe_json_write(third(), flags, path, false, &err), MOE_OK);
    read_back(path, "{\"x\":0.333}\n");
    ck_assert_int_eq(moe_json_write(third(), flags, path, false, &err),
                     MOE_EXISTS);
    ck_assert_int_eq(moe_json_write(json_array(), flags, path, true, &err),
                     MOE_EXISTS); /* the error that was there */
    read_back(path, "{\"x\":0.333}\n");
    err = (moe_error){0};
    ck_assert_int_eq(moe_json_write(json_array(), flags, path, true, &err),
                     MOE_OK);
    read_back(path, "[]\n");
}
END_TEST

START_TEST(error_of_writing_names_path_and_reason)
{
    moe_error err = {0};
    ck_assert_int_eq(moe_json_write(third(), 0, "/dev/full", true, &err),
                     MOE_IO);
    ck_assert_str_eq(err.text, "/dev/full: No space left on device");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("json");
    MOE_TEST_LOOP(suite, number_that_is_not_finite_is_null,
                  MOE_ARRAY_LEN(numbers));
    MOE_TEST_LOOP(suite, text_that_is_not_utf8_stays_readable,
                  MOE_ARRAY_LEN(texts));
    MOE_TEST(suite, values_are_put_in_order);
    MOE_TEST(suite, structs_are_written_by_tables);
    MOE_TEST(suite, value_that_could_not_be_made_is_an_error_where_it_is_put);
    MOE_TEST(suite, document_is_written_whole_or_not_at_all);
    MOE_TEST(suite, error_of_writing_names_path_and_reason);
    return suite;
}
