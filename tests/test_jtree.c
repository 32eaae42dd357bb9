/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/jtree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static moe_jreader *open_text(const char *text)
{
    static char path[512];
    moe_jreader *r = NULL;
    snprintf(path, sizeof path, "%s/x.json", test_dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(moe_jreader_open(path, &r, NULL), MOE_OK);
    return r;
}

/* Write a tree as text again: dense arrays as #dims:numbers. */
static void write_tree(const moe_jtree *t, FILE *out)
{
    size_t n = 1;
    switch (t->type) {
    case MOE_JNULL:
        fputs("null", out);
        break;
    case MOE_JBOOL:
        fputs(t->yes ? "true" : "false", out);
        break;
    case MOE_JNUMBER:
        fprintf(out, "%.17g", t->number);
        break;
    case MOE_JTEXT:
        fprintf(out, "'%s'", t->text);
        break;
    case MOE_JARRAY:
        for (int d = 0; d < t->rank; n *= t->dims[d++])
            fprintf(out, "%s%zu", d > 0 ? "x" : "#", t->dims[d]);
        for (size_t i = 0; i < n; i++)
            fprintf(out, "%c%g", i > 0 ? ',' : ':', t->data[i]);
        break;
    case MOE_JLIST:
    case MOE_JOBJECT:
        fputc(t->type == MOE_JLIST ? '[' : '{', out);
        for (size_t i = 0; i < t->n; i++) {
            if (t->key != NULL)
                fprintf(out, "%s=", t->key[i]);
            write_tree(&t->item[i], out);
            fputc(';', out);
        }
        fputc(t->type == MOE_JLIST ? ']' : '}', out);
        break;
    }
}

static const struct {
    const char *text, *is;
} values[] = {
    {"null", "null"},
    {" true false\n", "true false"},
    {"12", "12"},
    {"-0.5e2", "-50"},
    {"123456789012345678", "1.2345678901234568e+17"},
    {"\"a\\u00e9\\n\\\"\\ud83d\\ude00\"", "'a\u00e9\n\"\U0001F600'"},
    {"[]", "[]"},
    {"[1,2,3]", "#3:1,2,3"},
    {"[[1,2],[3,4]]", "#2x2:1,2,3,4"},
    {"[[[1],[2]],[[3],[4]]]", "#2x2x1:1,2,3,4"},
    {"[[1,2],[3]]", "[#2:1,2;#1:3;]"},
    {"[1,\"x\",2]", "[1;'x';2;]"},
    {"[[1,2],null]", "[#2:1,2;null;]"},
    {"[[],[]]", "[[];[];]"},
    {"[1,[2]]", "[1;#1:2;]"},
    {"{}", "{}"},
    {"{\"a\": 1, \"b\": [[1]]}", "{a=1;b=#1x1:1;}"},
    {"\xef\xbb\xbf{\"a\":{\"b\":true}}", "{a={b=true;};}"},
    {"{\"a\":1}\n{\"a\":2}\n", "{a=1;} {a=2;}"},
    {"", ""},
};

START_TEST(value_is_what_it_says)
{
    moe_jreader *r = open_text(values[_i].text);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool more = true;
    for (int i = 0; more; i++) {
        moe_jtree t = {0};
        moe_error err = {0};
        const moe_status s = moe_jreader_next(r, &t, &more, &err);
        ck_assert_msg(s == MOE_OK, "%s", err.text);
        if (more && i > 0)
            fputc(' ', out);
        if (more)
            write_tree(&t, out);
        moe_jtree_fini(&t);
    }
    fclose(out);
    ck_assert_str_eq(text, values[_i].is);
    free(text);
    moe_jreader_close(r);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"[1,]", ":1:4: is no value"},
    {"[1 2]", ":1:4: ',' or ']' is wanted"},
    {"{\"a\" 1}", ":1:6: ':' is wanted"},
    {"{a: 1}", ":1:2: a key is wanted"},
    {"{\"a\":1,\n\"a\":2}", ":2:4: a key is there twice"},
    {"01", ":1:3: is no number"},
    {"1.", ":1:3: is no number"},
    {"-", ":1:2: is no number"},
    {"1e999", ":1:6: is no number"},
    {"NaN", ":1:1: is no value"},
    {"nul", ":1:4: is no value"},
    {"\"a\nb\"", "a control character in a text"},
    {"\"a", "a text is not closed"},
    {"\"\\x\"", "an escape is not known"},
    {"\"\\ud800\"", "an escape is no character"},
    {"\"\\u12\"", "an escape is not closed"},
    {"{\"a\":1", "an object is not closed"},
    {"{\"a\":", "ends where a value is wanted"},
};

START_TEST(what_is_no_json_is_refused)
{
    moe_jreader *r = open_text(bad[_i].text);
    moe_jtree t = {0};
    moe_error err = {0};
    bool more;
    ck_assert_int_eq(moe_jreader_next(r, &t, &more, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
    moe_jreader_close(r);
}
END_TEST

START_TEST(nesting_has_an_end)
{
    char text[256] = "";
    memset(text, '[', MOE_JTREE_MAX_DEPTH + 2);
    moe_jreader *r = open_text(text);
    moe_jtree t = {0};
    moe_error err = {0};
    bool more;
    ck_assert_int_eq(moe_jreader_next(r, &t, &more, &err), MOE_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "is nested too deeply"));
    moe_jreader_close(r);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("jtree");
    MOE_TEST_LOOP(suite, value_is_what_it_says, MOE_ARRAY_LEN(values));
    MOE_TEST_LOOP(suite, what_is_no_json_is_refused, MOE_ARRAY_LEN(bad));
    MOE_TEST(suite, nesting_has_an_end);
    return suite;
}
