/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/conf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Write a tree in one line: {key: value, list: [a, b]}. */
static void show(const moe_conf *node, FILE *out)
{
    if (node->kind == MOE_CONF_SCALAR)
        fprintf(out, "%s", node->text);
    else
        fputc(node->kind == MOE_CONF_MAP ? '{' : '[', out);
    for (size_t i = 0; i < node->n_children; i++) {
        const moe_conf *child = node->child[i];
        fprintf(out, i > 0 ? ", " : "");
        if (child->key != NULL)
            fprintf(out, "%s: ", child->key);
        show(child, out);
    }
    if (node->kind != MOE_CONF_SCALAR)
        fputc(node->kind == MOE_CONF_MAP ? '}' : ']', out);
}

/* Free the tree and compare what it held. */
static void check_tree(moe_conf *root, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    show(root, out);
    fclose(out);
    moe_conf_free(root);
    ck_assert_str_eq(text, expected);
    free(text);
}

static moe_conf *parse(const char *text)
{
    moe_conf *root = NULL;
    moe_error err = {0};
    moe_conf_parse(text, "x.yaml", &root, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_ptr_nonnull(root);
    return root;
}

/* Every '|'-separated part is in the text. */
static void check_parts(const char *text, const char *parts)
{
    char all[512], *rest = all, *part;
    snprintf(all, sizeof all, "%s", parts);
    while ((part = strsep(&rest, "|")) != NULL)
        ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

static const struct {
    const char *text, *tree;
} good[] = {
    {"a: 1", "{a: 1}"},
    {"{}", "{}"},
    {"# comment\n---\na: 1\n...\n", "{a: 1}"},
    {"a: {b: {c: [1, [2, {d: 3}]]}}", "{a: {b: {c: [1, [2, {d: 3}]]}}}"},
    {"a:\n  - b: 1\n    c: 2\n  - x\n", "{a: [{b: 1, c: 2}, x]}"},
    {"a:\nb: ~\nc: ''\n", "{a: , b: ~, c: }"},
    {"a: 'it''s'\nb: \"\\u00e9 \\\"\"\n", "{a: it's, b: é \"}"},
    {"a: |\n  two\n  lines\n", "{a: two\nlines\n}"},
    {"{'': 1, a: 2}", "{: 1, a: 2}"},
    {"a: 'x: &y *z'", "{a: x: &y *z}"},
    {"\xef\xbb\xbf"
     "a: 1\r\nb: 2\r\n",
     "{a: 1, b: 2}"},
};

START_TEST(yaml_becomes_a_tree)
{
    check_tree(parse(good[_i].text), good[_i].tree);
}
END_TEST

#define NEST4 "[[[["
#define NEST16 NEST4 NEST4 NEST4 NEST4

static const struct {
    const char *text, *says;
} bad[] = {
    {"", "x.yaml:1: is empty"},
    {"# nothing\n", "x.yaml:1: is empty"},
    {"---\n", "x.yaml:|expected `key: value` lines"},
    {"word", "x.yaml:1: expected `key: value` lines"},
    {"\n- a\n- b\n", "x.yaml:2: expected `key: value` lines"},
    {"a: 1\nb: [1\n", "x.yaml:3: not YAML: "},
    {"a: 1\nb: }\n", "x.yaml:2: not YAML: "},
    {"a: 1\n\tb: 2\n", "x.yaml:2: not YAML: "},
    {"a: \"open\n", "x.yaml:2: not YAML: "},
    {"a: 1\nb: \x80\n", "x.yaml:2: not YAML: "},
    {"\x89HDF\r\n", "not YAML: "},
    {"a: 1\nb: 2\na: 3\n", "x.yaml:3: key 'a' is given twice"},
    {"a:\n  {b: 1, b: 1}\n", "x.yaml:2: key 'b' is given twice"},
    {"a: 1\n? [x]\n: 2\n", "x.yaml:2: a key must be a word"},
    {"a: &x 1\nb: 2\n", "x.yaml:1: anchors"},
    {"a: 1\nb: &x [1]\n", "x.yaml:2: anchors"},
    {"a: 1\nb: &x {c: 1}\n", "x.yaml:2: anchors"},
    {"a: 1\n&x b: 2\n", "x.yaml:2: anchors"},
    {"a: &x [1]\nb: *x\n", "x.yaml:1: anchors"},
    {"a: *x\n", "x.yaml:1: anchors"},
    {"a: &x [*x]\n", "x.yaml:1: anchors"},
    {"&x {a: *x}\n", "x.yaml:1: anchors"},
    {"a: 1\nb: \"x\\0y\"\n", "x.yaml:2: a zero character"},
    {"\"a\\0b\": 1\n", "x.yaml:1: a zero character"},
    {"a: \"\\e[31m\"\n", "x.yaml:1: a control character"},
    {"a: \"\\u009b31m\"\n", "x.yaml:1: a control character"},
    {"a: 1\n---\nb: 2\n", "x.yaml:2: a second document begins"},
    {"a: 1\n...\nb: 2\n", "x.yaml:3: |document"},
    {"a:\n " NEST16 "[]\n", "x.yaml:2: nested too deeply"},
    {"a: " NEST16 NEST16 NEST16 NEST16, "x.yaml:1: nested too deeply"},
};

START_TEST(what_is_not_understood_is_refused_with_its_line)
{
    moe_conf *root = NULL;
    moe_error err = {0};
    moe_conf_parse(bad[_i].text, "x.yaml", &root, &err);
    ck_assert_ptr_null(root);
    ck_assert_int_eq(err.status, MOE_USAGE);
    check_parts(err.text, bad[_i].says);
    ck_assert_int_eq(moe_conf_parse(bad[_i].text, "x.yaml", &root, NULL),
                     MOE_USAGE);
}
END_TEST

/* Ten aliases of ten aliases of ...: 10^9 nodes if they were followed. */
START_TEST(aliases_do_not_multiply)
{
    char text[2048] = "a0: &a0 [1]\n";
    for (int i = 1; i < 10; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "a%d: &a%d [*a%d", i, i, i - 1);
        for (int j = 1; j < 10; j++) {
            len = strlen(text);
            snprintf(text + len, sizeof text - len, ", *a%d", i - 1);
        }
        strcat(text, "]\n");
    }
    moe_conf *root = NULL;
    moe_error err = {0};
    ck_assert_int_eq(moe_conf_parse(text, "x", &root, &err), MOE_USAGE);
    check_parts(err.text, "x:1: anchors");
}
END_TEST

START_TEST(nesting_without_end_is_refused_early)
{
    enum { N = 1000000 };
    char *text = malloc(N + 1);
    memset(text, '[', N);
    text[N] = '\0';
    moe_conf *root = NULL;
    moe_error err = {0};
    ck_assert_int_eq(moe_conf_parse(text, "x", &root, &err), MOE_USAGE);
    free(text);
    check_parts(err.text, "nested too deeply");
}
END_TEST

START_TEST(sixteen_levels_are_allowed)
{
    moe_conf *root = parse("a: [[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]");
    check_tree(root, "{a: [[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]}");
}
END_TEST

START_TEST(lines_are_those_of_keys)
{
    moe_conf *root = parse("a: 1\n\nb:\n\n  c: 2\n  d:\n    - 3\n    - 4\n");
    const moe_conf *b = moe_conf_get(root, "b");
    const moe_conf *d = moe_conf_get(b, "d");
    ck_assert_uint_eq(root->line, 1);
    ck_assert_uint_eq(moe_conf_get(root, "a")->line, 1);
    ck_assert_uint_eq(b->line, 3);
    ck_assert_uint_eq(moe_conf_get(b, "c")->line, 5);
    ck_assert_uint_eq(d->line, 6);
    ck_assert_uint_eq(d->child[1]->line, 8);
    ck_assert_str_eq(root->origin, "x.yaml");
    ck_assert_ptr_null(moe_conf_get(root, "c"));
    ck_assert_ptr_null(moe_conf_get(d, "c"));
    ck_assert_ptr_null(moe_conf_get(NULL, "c"));
    moe_conf_free(root);
    moe_conf_free(NULL);
}
END_TEST

#define TREE "a: {b: 1}\nl: [{name: x, v: 1}, {name: y}, 7, [8]]\n"
#define ITEMS "[{name: x, v: 1}, {name: y}, 7, [8]]"

static const struct {
    const char *set, *tree;
} sets[] = {
    {"a.b=2", "{a: {b: 2}, l: " ITEMS "}"},
    {"a.c=2", "{a: {b: 1, c: 2}, l: " ITEMS "}"},
    {"a.c.d=2", "{a: {b: 1, c: {d: 2}}, l: " ITEMS "}"},
    {"z=2", "{a: {b: 1}, l: " ITEMS ", z: 2}"},
    {"z.y.x=2", "{a: {b: 1}, l: " ITEMS ", z: {y: {x: 2}}}"},
    {"a=2", "{a: 2, l: " ITEMS "}"},
    {"a={}", "{a: {}, l: " ITEMS "}"},
    {"a={c: [1, 2]}", "{a: {c: [1, 2]}, l: " ITEMS "}"},
    {"a.b=''", "{a: {b: }, l: " ITEMS "}"},
    {"a.b=x=y", "{a: {b: x=y}, l: " ITEMS "}"},
    {"a.b='x: y'", "{a: {b: x: y}, l: " ITEMS "}"},
    {"a.b=-5", "{a: {b: -5}, l: " ITEMS "}"},
    {"l=[1]", "{a: {b: 1}, l: [1]}"},
    {"l.x.v=2", "{a: {b: 1}, l: [{name: x, v: 2}, {name: y}, 7, [8]]}"},
    {"l.1.v=2", "{a: {b: 1}, l: [{name: x, v: 1}, {name: y, v: 2}, 7, [8]]}"},
    {"l.y={name: z}", "{a: {b: 1}, l: [{name: x, v: 1}, {name: z}, 7, [8]]}"},
    {"l.2=9", "{a: {b: 1}, l: [{name: x, v: 1}, {name: y}, 9, [8]]}"},
    {"l.3.0=9", "{a: {b: 1}, l: [{name: x, v: 1}, {name: y}, 7, [9]]}"},
};

START_TEST(set_changes_one_place)
{
    moe_error err = {0};
    moe_conf *root = parse(TREE);
    moe_conf_set(root, sets[_i].set, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    check_tree(root, sets[_i].tree);
}
END_TEST

static const struct {
    const char *set, *says;
} bad_sets[] = {
    {"", "--set ''|key=value"},
    {"a", "--set 'a'|key=value|workload.batch=4"},
    {"=1", "--set '=1'|key=value"},
    {"a.b=", "--set 'a.b='|is empty"},
    {".a=1", "--set '.a=1'|key is empty"},
    {"a.=1", "--set 'a.=1'|key is empty"},
    {"n..b=1", "--set 'n..b=1'|key is empty"},
    {"n.b=[1", "--set 'n.b=[1'|not YAML"},
    {"n.b={c: 1, c: 2}", "--set 'n.b={c: 1, c: 2}'|'c' is given twice"},
    {"n.b=&x 1", "--set 'n.b=&x 1'|anchors"},
    {"n.b=" NEST16 "[[", "nested too deeply"},
    {"a.b.c=1", "--set 'a.b.c=1'|'b' is a value, not a map"},
    {"l.2.c=1", "--set 'l.2.c=1'|'item' is a value, not a map"},
    {"l.4.v=1", "--set 'l.4.v=1'|no item '4' in 'l'"},
    {"l.-1.v=1", "no item '-1' in 'l'"},
    {"l.+1.v=1", "no item '+1' in 'l'"},
    {"l. 1.v=1", "no item ' 1' in 'l'"},
    {"l.18446744073709551616.v=1", "no item '18446744073709551616' in 'l'"},
    {"l.z.v=1", "--set 'l.z.v=1'|no item 'z' in 'l'"},
    {"l.3.z=1", "no item 'z' in 'list'"},
};

START_TEST(bad_set_is_refused_and_changes_nothing)
{
    moe_error err = {0};
    moe_conf *root = parse(TREE);
    ck_assert_int_eq(moe_conf_set(root, bad_sets[_i].set, &err), MOE_USAGE);
    check_parts(err.text, bad_sets[_i].says);
    ck_assert_int_eq(moe_conf_set(root, bad_sets[_i].set, NULL), MOE_USAGE);
    check_tree(root, "{a: {b: 1}, l: " ITEMS "}");
}
END_TEST

START_TEST(overlong_set_is_shown_in_part)
{
    char text[2000];
    moe_error err = {0};
    moe_conf *root = parse(TREE);
    memset(text, 'k', sizeof text);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(moe_conf_set(root, text, &err), MOE_USAGE);
    check_parts(err.text, "kkk...'|key=value");
    text[1000] = '=';
    err = (moe_error){0};
    ck_assert_int_eq(moe_conf_set(root, text, &err), MOE_USAGE);
    check_parts(err.text, "kkk...'|key of 1000 characters");
    moe_conf_free(root);
}
END_TEST

/* Two structs that one map fills. */
typedef struct {
    int count;
    char text[8];
} first_t;

typedef struct {
    double share;
    int must;
} second_t;

static const moe_opt first_rows[] = {{.key = "count",
                                      .type = MOE_OPT_INT,
                                      .initial = "3",
                                      .min = 0,
                                      .max = 9,
                                      MOE_OPT_AT(first_t, count)},
                                     {.key = "text",
                                      .type = MOE_OPT_TEXT,
                                      .initial = "none",
                                      MOE_OPT_AT(first_t, text)},
                                     {.key = NULL}};

static const moe_opt second_rows[] = {{.key = "share",
                                       .type = MOE_OPT_REAL,
                                       .initial = "0.5",
                                       .min = 0,
                                       .max = 1,
                                       MOE_OPT_AT(second_t, share)},
                                      {.key = "must",
                                       .type = MOE_OPT_INT,
                                       .min = 1,
                                       .max = 4,
                                       MOE_OPT_AT(second_t, must)},
                                      {.key = NULL}};

static const char *const also[] = {"elsewhere", NULL};

static moe_status read_group(const char *text, const char *set, first_t *a,
                             second_t *b, moe_error *err)
{
    const moe_conf_target targets[] = {
        {first_rows, a}, {NULL, NULL}, {second_rows, b}};
    const moe_conf_schema schema = {"group", targets, MOE_ARRAY_LEN(targets),
                                    also};
    moe_conf *root = parse(text);
    moe_status s = set != NULL ? moe_conf_set(root, set, err) : MOE_OK;
    if (s == MOE_OK)
        s = moe_conf_read(root, moe_conf_get(root, "group"), &schema, err);
    moe_conf_free(root);
    return s;
}

START_TEST(settings_are_defaults_and_what_the_map_says)
{
    first_t a;
    second_t b;
    moe_error err = {0};
    read_group("group: {must: 2, elsewhere: [1]}", NULL, &a, &b, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(a.count, 3);
    ck_assert_str_eq(a.text, "none");
    ck_assert_double_eq(b.share, 0.5);
    ck_assert_int_eq(b.must, 2);
    read_group("group: {must: 4, text: '', share: 1, count: 0}", "group.must=3",
               &a, &b, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(a.count, 0);
    ck_assert_str_eq(a.text, "");
    ck_assert_double_eq(b.share, 1);
    ck_assert_int_eq(b.must, 3);
}
END_TEST

static const struct {
    const char *text, *set, *says;
} bad_reads[] = {
    {"group: {must: 2,\n  count: 10}", NULL,
     "x.yaml:2: group.count: '10' is not an integer in 0..9"},
    {"group: {must: 2,\n  count: x}", NULL,
     "x.yaml:2: group.count: 'x' is not an integer in 0..9"},
    {"group: {must: 2, count: [1]}", NULL,
     "x.yaml:1: group.count: a list where an integer in 0..9 belongs"},
    {"group: {must: 2, count: {a: 1}}", NULL,
     "x.yaml:1: group.count: a map where an integer in 0..9 belongs"},
    {"group: {must: 2, text: 12345678}", NULL,
     "group.text: '12345678' is not a text of at most 7 characters"},
    {"group:\n  must: 2\n  cuont: 1\n", NULL,
     "x.yaml:3: group: unknown key 'cuont'; did you mean count? (allowed: "
     "elsewhere, count, text, "
     "share, must)"},
    {"a: 1\ngroup: {count: 1}", NULL,
     "x.yaml:2: group: key 'must' is missing (an integer in 1..4)"},
    {"a: 1", NULL, "x.yaml:1: group: key 'must' is missing"},
    {"a: 1\ngroup: word", NULL, "x.yaml:2: group: expected `key: value` lines"},
    {"group: [must]", NULL, "x.yaml:1: group: expected `key: value` lines"},
    {"group:\n", NULL, "x.yaml:1: group: expected `key: value` lines"},
    {"group: {must: 2}", "group.must=5",
     "--set: group.must: '5' is not an integer in 1..4"},
    {"group: {must: 2}", "group.bad=5", "--set: group: unknown key 'bad'"},
    {"group: {must: 2}", "group={count: 1}",
     "--set: group: key 'must' is missing"},
};

START_TEST(complaint_names_file_line_key_value_and_what_is_allowed)
{
    first_t a;
    second_t b;
    moe_error err = {0};
    ck_assert_int_eq(
        read_group(bad_reads[_i].text, bad_reads[_i].set, &a, &b, &err),
        MOE_USAGE);
    check_parts(err.text, bad_reads[_i].says);
}
END_TEST

static const struct {
    const char *before, *after, *says; /* around a long word */
} longs[] = {
    {"", ": 1", "/x.yaml:1: top: unknown key 'k|(allowed: count, text)"},
    {"count: ", "", "/x.yaml:1: top.count: 'k|is not an integer in 0..9"},
    {"count: 1\n", ": [1\n", "/x.yaml:3: not YAML: "},
};

START_TEST(complaint_survives_a_long_path_key_and_value)
{
    char origin[4000], word[901], text[1000];
    first_t a;
    const moe_conf_target target = {first_rows, &a};
    moe_conf *root = NULL;
    moe_error err = {0};
    memset(origin, 'p', sizeof origin);
    snprintf(origin + 3000, sizeof origin - 3000, "/x.yaml");
    memset(word, 'k', sizeof word);
    word[sizeof word - 1] = '\0';
    snprintf(text, sizeof text, "%s%s%s", longs[_i].before, word,
             longs[_i].after);
    if (moe_conf_parse(text, origin, &root, &err) == MOE_OK)
        moe_conf_read(root, root, &(moe_conf_schema){"top", &target, 1, NULL},
                      &err);
    moe_conf_free(root);
    ck_assert_int_eq(err.status, MOE_USAGE);
    check_parts(err.text, longs[_i].says);
}
END_TEST

START_TEST(complaint_without_a_node_is_about_the_file)
{
    moe_conf *root = parse("\na: 1\n");
    moe_error err = {0};
    ck_assert_int_eq(moe_conf_fail(root, NULL, &err, "no %s", "b"), MOE_USAGE);
    ck_assert_str_eq(err.text, "x.yaml:2: no b");
    err = (moe_error){0};
    moe_conf_fail(root, moe_conf_get(root, "a"), &err, "100%%");
    ck_assert_str_eq(err.text, "x.yaml:2: 100%");
    moe_conf_free(root);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("conf");
    MOE_TEST_LOOP(suite, yaml_becomes_a_tree, MOE_ARRAY_LEN(good));
    MOE_TEST_LOOP(suite, what_is_not_understood_is_refused_with_its_line,
                  MOE_ARRAY_LEN(bad));
    MOE_TEST(suite, aliases_do_not_multiply);
    MOE_TEST(suite, nesting_without_end_is_refused_early);
    MOE_TEST(suite, sixteen_levels_are_allowed);
    MOE_TEST(suite, lines_are_those_of_keys);
    MOE_TEST_LOOP(suite, set_changes_one_place, MOE_ARRAY_LEN(sets));
    MOE_TEST_LOOP(suite, bad_set_is_refused_and_changes_nothing,
                  MOE_ARRAY_LEN(bad_sets));
    MOE_TEST(suite, overlong_set_is_shown_in_part);
    MOE_TEST(suite, settings_are_defaults_and_what_the_map_says);
    MOE_TEST_LOOP(suite,
                  complaint_names_file_line_key_value_and_what_is_allowed,
                  MOE_ARRAY_LEN(bad_reads));
    MOE_TEST_LOOP(suite, complaint_survives_a_long_path_key_and_value,
                  MOE_ARRAY_LEN(longs));
    MOE_TEST(suite, complaint_without_a_node_is_about_the_file);
    return suite;
}
