/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/document.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/document/internal.h"
#include "harness.h"
#include "moegps/mem.h"

static const moe_column columns[] = {
    {"strategy", NULL, MOE_LEFT},
    {"time", "ms", MOE_RIGHT},
    {"", NULL, MOE_LEFT},
    {"note", NULL, MOE_LEFT},
};

static void add_table(moe_document *doc)
{
    const double x[] = {1, 2, 3, 4};
    moe_table *t = moe_doc_table(doc, "Times", columns, MOE_ARRAY_LEN(columns));
    moe_table_name(t, "baseline-of-all", 9);
    moe_table_put(t, moe_digits_cell(12.345, 3));
    moe_table_bar(t, 1, 3);
    moe_table_cell(t, "the \"%s\", kept", "reference");
    moe_table_name(t, "f\xc3\xbcnf", 9);
    moe_table_put(t, moe_digits_cell(NAN, 3));
    moe_table_spark(t, x, MOE_ARRAY_LEN(x), 4);
    moe_table_cell(t, "%s", "");
}

/* What is on the page between <main> and </main>, or printed; the
 * caller frees it. */

static char *page_of(moe_document *doc)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(moe_document_page(doc, "moe-gps", "foot", out, NULL),
                     MOE_OK);
    fclose(out);
    static const char begin[] = "<main>\n";
    char *at = strstr(text, begin), *end = strstr(text, "</main>");
    ck_assert(at != NULL && end != NULL);
    at += sizeof begin - 1;
    char *body = strndup(at, (size_t)(end - at));
    free(text);
    return body;
}

static char *text_of(moe_document *doc)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(moe_document_print(doc, out, NULL), MOE_OK);
    fclose(out);
    return text;
}

/* ---- a node of each kind, in both forms ---- */

static void paragraphs(moe_document *doc)
{
    moe_doc_say(doc, MOE_DOC_HEADING, "Loads of %d", 3);
    moe_doc_say(doc, MOE_DOC_UNDER, "under it");
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "one");
    fputs(" and more", moe_doc_words(doc));
    moe_doc_say(doc, MOE_DOC_ASIDE, "aside");
    moe_doc_say(doc, MOE_DOC_WARNING, "mind");
}

static void lists(moe_document *doc)
{
    moe_doc_begin(doc, MOE_DOC_WARNINGS);
    moe_doc_say(doc, MOE_DOC_ITEM, "hot");
    moe_doc_say(doc, MOE_DOC_ITEM, "loud");
    moe_doc_say(doc, MOE_DOC_LIST, "Against %s:", "x");
    moe_doc_say(doc, MOE_DOC_ITEM, "y: slower");
    moe_doc_say(doc, MOE_DOC_ITEM, "z: faster");
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "end");
}

static void facts(moe_document *doc)
{
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "file", "x.h5");
    moe_doc_fact(doc, "a name of sixteen", "and its text");
    moe_doc_fact(doc, "", "that goes on");
}

/* Of a warning its first clause stands open, if that says enough. */
static void long_warnings(moe_document *doc)
{
    moe_doc_begin(doc, MOE_DOC_WARNINGS);
    moe_doc_say(doc, MOE_DOC_ITEM,
                "few: 3 of 4 ranks were not bound; they moved");
    moe_doc_say(doc, MOE_DOC_LIST, "Why:");
    moe_doc_say(doc, MOE_DOC_ITEM,
                "an item that is no warning is whole: always");
}

static void folded_table(moe_document *doc)
{
    static const moe_column four[] = {{"phase", NULL, MOE_LEFT},
                                      {"a", NULL, MOE_RIGHT},
                                      {"b", NULL, MOE_RIGHT},
                                      {"c", NULL, MOE_RIGHT}};
    moe_table *t = moe_doc_table(doc, NULL, four, MOE_ARRAY_LEN(four));
    moe_table_fold(t, 1, 2);
    for (int i = 0; i < 8; i++)
        moe_table_cell(t, i % 4 == 0 ? "p%d" : "%d", i);
}

static void verdict(moe_document *doc)
{
    moe_doc_say(doc, MOE_DOC_TITLE, "a run");
    moe_doc_verdict(doc, "VALID", "x is fastest");
    moe_doc_fom(doc, "layer_time", "x", 0.25, "s");
    moe_doc_fom(doc, "layer_time", "y", NAN, "s");
    moe_doc_result(doc, "VALID");
}

static void folds(moe_document *doc)
{
    moe_doc_begin(doc, MOE_DOC_SECTION);
    moe_doc_say(doc, MOE_DOC_FOLD, "More");
    moe_doc_say(doc, MOE_DOC_CODE, "%s", "a: 1\n  b: 2\n");
    moe_doc_end(doc);
    moe_doc_end(doc);
}

static void figures(moe_document *doc)
{
    static const moe_figure figure[] = {{.name = "speedup"}, {.name = "ecdf"}};
    moe_doc_figure(doc, &figure[0], "Speed-up");
    fputs("x 2.00", moe_doc_words(doc));
    moe_doc_figure(doc, &figure[1], "Times");
    fputs("y", moe_doc_words(doc));
}

static const struct {
    void (*build)(moe_document *doc);
    const char *text, *page;
} kinds[] = {
    {paragraphs, "Loads of 3\nunder it\n\none and more\n\naside\n\nmind\n",
     "<h2>Loads of 3</h2>\n<p>under it</p>\n<p>one and more</p>\n"
     "<p class=\"soft\">aside</p>\n<p class=\"warnings\">mind</p>\n"},
    {lists,
     "WARNING: hot\nWARNING: loud\n\nAgainst x:\n  y: slower\n  z: faster\n\n"
     "end\n",
     "<ul class=\"warnings\">\n<li>hot</li>\n<li>loud</li>\n</ul>\n"
     "<p>Against x:</p>\n<ul>\n<li>y: slower</li>\n<li>z: faster</li>\n</ul>\n"
     "<p>end</p>\n"},
    {long_warnings,
     "WARNING: few: 3 of 4 ranks were not bound; they moved\n\n"
     "Why:\n  an item that is no warning is whole: always\n",
     "<ul class=\"warnings\">\n<li><details><summary>few: 3 of 4 ranks were "
     "not bound</summary>\n; they moved</details></li>\n</ul>\n"
     "<p>Why:</p>\n<ul>\n<li>an item that is no warning is whole: "
     "always</li>\n</ul>\n"},
    {folded_table,
     "phase  a  b\n-----  -  -\np0     1  2\np4     5  6\n\n"
     "phase  c\n-----  -\np0     3\np4     7\n",
     "<div class=\"wide\" tabindex=\"0\"><table><thead><tr>"
     "<th scope=\"col\">phase</th><th scope=\"col\" class=\"n\">a</th>"
     "<th scope=\"col\" class=\"n\">b</th>"
     "<th scope=\"col\" class=\"n\">c</th></tr></thead>\n<tbody>\n"
     "<tr><th scope=\"row\">p0</th><td class=\"n\">1</td>"
     "<td class=\"n\">2</td><td class=\"n\">3</td></tr>\n"
     "<tr><th scope=\"row\">p4</th><td class=\"n\">5</td>"
     "<td class=\"n\">6</td><td class=\"n\">7</td></tr>\n"
     "</tbody></table>\n</div>\n"},
    {facts,
     "file              x.h5\na name of sixteen and its text\n"
     "                  that goes on\n",
     "<div class=\"wide\" tabindex=\"0\"><table class=\"facts\"><tbody>\n"
     "<tr><th scope=\"row\">file</th>\n<td>x.h5</td>\n</tr>\n"
     "<tr><th scope=\"row\">a name of sixteen</th>\n<td>and its text</td>\n"
     "</tr>\n<tr><th scope=\"row\"></th>\n<td>that goes on</td>\n</tr>\n"
     "</tbody></table></div>\n"},
    {verdict,
     "a run\n\nx is fastest\n\nFOM layer_time x = 0.25 s\nRESULT: VALID\n",
     "<p class=\"verdict\">x is "
     "fastest</p>\n<p class=\"aside\">Checks: <span class=\"badge "
     "VALID\">VALID</span></p>\n"},
    {folds, "More\n\n  a: 1\n    b: 2\n",
     "<section>\n<details><summary>More</summary>\n<pre>a: 1\n  b: 2\n</pre>\n"
     "</details>\n</section>\n"},
    {figures,
     "Speed-up\n  x 2.00\n  figures/speedup.csv\n\n"
     "Times\n  y\n  figures/ecdf.csv\n",
     "<div class=\"figures\">\n<figure id=\"speedup\">\n<h3>Speed-up</h3>\n"
     "<figcaption>x 2.00 <span class=\"soft\">figures/speedup.csv, .gp</span>"
     "</figcaption>\n</figure>\n<figure id=\"ecdf\">\n<h3>Times</h3>\n"
     "<figcaption>y <span class=\"soft\">figures/ecdf.csv, .gp</span>"
     "</figcaption>\n</figure>\n</div>\n"},
    {add_table,
     "Times\n\n"
     "strategy   time        note\n"
     "             ms\n"
     "---------  ----  ----  ---------------------\n"
     "baseline~  12.3  ###   the \"reference\", kept\n"
     "f\xc3\xbcnf        n/a  _:+#\n",
     "<h3>Times</h3>\n<div class=\"wide\" tabindex=\"0\"><table><thead><tr>"
     "<th scope=\"col\">strategy</th>"
     "<th scope=\"col\" class=\"n\">time <small>ms</small></th>"
     "<th scope=\"col\">note</th></tr></thead>\n<tbody>\n"
     "<tr><th scope=\"row\">baseline-of-all</th><td class=\"n\">12.3</td>"
     "<td>the &quot;reference&quot;, kept</td></tr>\n"
     "<tr><th scope=\"row\">f\xc3\xbcnf</th><td class=\"n\">n/a</td>"
     "<td></td></tr>\n</tbody></table>\n</div>\n"},
};

START_TEST(nodes_are_written_in_both_forms)
{
    moe_document *doc = moe_document_new(NULL);
    kinds[_i].build(doc);
    char *text = text_of(doc), *page = page_of(doc);
    ck_assert_str_eq(text, kinds[_i].text);
    ck_assert_str_eq(page, kinds[_i].page);
    free(page);
    free(text);
    moe_document_free(doc);
}
END_TEST

/* ---- figures within a page ---- */

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

/* Two points that nobody sees, and colours: of the palette, and another. */
static const char svg[] =
    "<svg viewBox=\"0 0 9 9\"><g id=\"gnuplot_canvas\">"
    "<use xlink:href='#gpPt6' color='rgb(  0,   0,   0)' opacity='0.00'/>"
    "<path stroke='rgb(  0, 114, 178)' fill='rgb(  1,   2,   3)'/>"
    "<use xlink:href='#gpPt6' color='rgb(  0,   0,   0)' opacity='0.00'/>"
    "</g></svg>";

static char *inlined(const char *tips, size_t n_tips)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const moe_figure figure = {"f", svg, tips, n_tips};
    moe_svg_inline(&figure, "title", "words", out);
    fclose(out);
    return text;
}

START_TEST(points_of_figures_tell_their_texts)
{
    char *page = inlined("first\0<b>", 2);
    ck_assert_ptr_nonnull(
        strstr(page, "<g class=\"tip\"><title>first</title>\n<use "));
    ck_assert_ptr_nonnull(
        strstr(page, "<g class=\"tip\"><title>&lt;b&gt;</title>\n<use "));
    ck_assert_ptr_nonnull(strstr(page, "<path stroke='var(--c1)' "
                                       "fill='rgb(  1,   2,   3)'/>"));
    ck_assert_uint_eq(count(page, "</g>"), 3);
    free(page);
}
END_TEST

/* Texts that are not one for each point would tell of others. */
START_TEST(points_that_have_no_texts_are_left_out)
{
    for (size_t n = 0; n < 4; n++) {
        char *page = n != 2 ? inlined("a\0b\0c", n) : inlined(NULL, 0);
        ck_assert_uint_eq(count(page, "<use"), 0);
        ck_assert_uint_eq(count(page, "class=\"tip\""), 0);
        ck_assert_uint_eq(count(page, "<path"), 1);
        free(page);
    }
}
END_TEST

/* ---- texts of others ---- */

static const char *const hostile[] = {
    "<script>alert('1')</script>",
    "\" onload=\"x&y",
    "\x1b[2J\x1b]0;owned\a",
    "\xc2\x9b\x9b 31m",
    "one\nRESULT: INVALID\nFOM x y = 1 s\r\n</pre>",
    "%s%n%1000d",
    "cut: \xe2\x82",
    "a,\"b\"",
};

/* A hostile text in every place that takes one. */
static void add_everywhere(moe_document *doc, const char *evil)
{
    const moe_figure figure = {.name = evil};
    const moe_column column[] = {{evil, evil, MOE_LEFT},
                                 {evil, NULL, MOE_RIGHT}};
    moe_doc_say(doc, MOE_DOC_TITLE, "%s", evil);
    moe_doc_begin(doc, MOE_DOC_SECTION);
    moe_doc_say(doc, MOE_DOC_HEADING, "%s", evil);
    moe_doc_verdict(doc, "VALID", "%s", evil);
    moe_doc_say(doc, MOE_DOC_ASIDE, "%s", evil);
    moe_doc_begin(doc, MOE_DOC_WARNINGS);
    moe_doc_say(doc, MOE_DOC_ITEM, "%s", evil);
    moe_doc_say(doc, MOE_DOC_LIST, "%s", evil);
    moe_doc_say(doc, MOE_DOC_ITEM, "%s", evil);
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, evil, "%s", evil);
    moe_doc_figure(doc, &figure, evil);
    fputs(evil, moe_doc_words(doc));
    moe_table *t = moe_doc_table(doc, evil, column, MOE_ARRAY_LEN(column));
    moe_table_cell(t, "%s", evil);
    moe_table_name(t, evil, 12);
    moe_doc_say(doc, MOE_DOC_FOLD, "%s", evil);
    moe_doc_say(doc, MOE_DOC_CODE, "%s", evil);
    moe_doc_end(doc);
    moe_doc_end(doc);
    moe_doc_fom(doc, "metric", evil, 1, "s");
}

START_TEST(terminals_are_safe)
{
    moe_document *doc = moe_document_new(NULL);
    add_everywhere(doc, hostile[_i]);
    char *text = text_of(doc);
    for (const unsigned char *c = (unsigned char *)text; *c != '\0'; c++)
        ck_assert_msg((*c >= 0x20 && *c != 0x7f) || *c == '\n', "%s", text);
    ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
    ck_assert_ptr_null(strstr(text, "\nRESULT"));
    ck_assert_uint_eq(count(text, "\nFOM "), 1);
    free(text);
    moe_document_free(doc);
}
END_TEST

START_TEST(pages_are_safe)
{
    moe_document *doc = moe_document_new(NULL), *plain = moe_document_new(NULL);
    add_everywhere(doc, hostile[_i]);
    add_everywhere(plain, "x");
    char *page = page_of(doc), *expected = page_of(plain);
    /* Whatever is in it, a page has the tags and attributes that it has. */
    ck_assert_uint_eq(count(page, "<"), count(expected, "<"));
    ck_assert_uint_eq(count(page, ">"), count(expected, ">"));
    ck_assert_uint_eq(count(page, "\""), count(expected, "\""));
    ck_assert_ptr_null(strchr(page, '\x1b'));
    ck_assert_ptr_null(strchr(page, '\''));
    free(expected);
    free(page);
    moe_document_free(plain);
    moe_document_free(doc);
}
END_TEST

/* ---- terminals ---- */

START_TEST(lines_are_broken_between_words)
{
    moe_document *doc = moe_document_new(NULL);
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "name", "%*s", 88, "end"); /* up to column 100 */
    moe_doc_fact(doc, "name", "%0*d %s", 84, 1, "f\xc3\xbcnf"); /* 101 bytes */
    moe_doc_fact(doc, "name", "%0*d %s", 84, 1, "sechs");
    moe_doc_fact(doc, "name", "%0*d end", 120, 1);
    char *text = text_of(doc);
    ck_assert_uint_eq(count(text, "\n"), 7);
    ck_assert_uint_eq(count(text, " f\xc3\xbcnf\n"), 1);
    ck_assert_uint_eq(count(text, "\n            sechs\n"), 1);
    ck_assert_uint_eq(count(text, "\n            end\n"), 1);
    free(text);
    moe_document_free(doc);
}
END_TEST

START_TEST(colour_has_no_width_in_tables)
{
    static const moe_column two[] = {{"x", NULL, MOE_RIGHT},
                                     {"y", NULL, MOE_LEFT}};
    static const moe_ink painted = {.colour = true, .utf8 = true};
    const moe_ratio slow = {9, 0.5, 0.4, 0.6};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_table *table = moe_table_new(two, MOE_ARRAY_LEN(two));
    moe_table_ratio(table, &slow);
    moe_table_print(table, &painted, out);
    moe_table_free(table);
    fclose(out);
    ck_assert_str_eq(text, "    x  y\n"
                           "-----  --------------\n"
                           "\033[31m0.500\033[0m  0.400 .. 0.600\n");
    free(text);
}
END_TEST

START_TEST(no_table_is_no_trouble)
{
    moe_table_cell(NULL, "x");
    moe_table_put(NULL, moe_number_cell(1));
    moe_table_name(NULL, "x", 3);
    moe_table_bar(NULL, 1, 3);
    moe_table_free(NULL);
    moe_document_free(NULL);
    ck_assert_int_eq(moe_document_say(NULL, stdout, NULL), MOE_OK);
}
END_TEST

/* Columns on the stack of who made the table, hundreds of nodes. */
START_TEST(documents_grow_and_own_what_they_say)
{
    moe_document *doc = moe_document_new(NULL);
    for (int i = 0; i < 500; i++) {
        char heading[16];
        snprintf(heading, sizeof heading, "h%d", i);
        const moe_column column = {heading, NULL, MOE_LEFT};
        moe_table *t = moe_doc_table(doc, NULL, &column, 1);
        for (int k = 0; k < i; k++)
            moe_table_cell(t, "c%d", k);
        memset(heading, 'x', sizeof heading);
    }
    char *text = text_of(doc);
    ck_assert_ptr_nonnull(strstr(text, "\nh499\n"));
    ck_assert_uint_eq(count(text, "\nc0\n"), 499);
    ck_assert_ptr_null(strstr(text, "xx"));
    free(text);
    moe_document_free(doc);
}
END_TEST

/* On a terminal; the caller frees it. */
static char *seen_of(moe_document *doc)
{
    const int fd = posix_openpt(O_RDWR | O_NOCTTY);
    char *text = calloc(1, 512);
    ck_assert(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
    FILE *out = fopen(ptsname(fd), "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(moe_document_print(doc, out, NULL), MOE_OK);
    fclose(out); /* what was written stays; then reading fails */
    for (ssize_t n = 0, got = 0;
         (got = read(fd, text + n, (size_t)(511 - n))) > 0;)
        n += got;
    close(fd);
    return text;
}

/* Lines for programs are for those who read a pipe, or ask. */
static const struct {
    bool asked;
    const char *rank, *seen;
} readers[] = {
    {false, NULL, "a run\r\n\r\nRESULT: VALID\r\n"},
    {true, NULL, "a run\r\n\r\nFOM t x = 1 s\r\nRESULT: VALID\r\n"},
    {false, "2", "a run\r\n\r\nFOM t x = 1 s\r\nRESULT: VALID\r\n"},
};

START_TEST(lines_for_programs_are_not_for_terminals)
{
    moe_document *doc = moe_document_new(NULL);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "a run");
    moe_doc_fom(doc, "t", "x", 1, "s");
    moe_doc_result(doc, "VALID");
    moe_doc_show_foms(doc, readers[_i].asked);
    setenv("NO_COLOR", "1", 1);
    unsetenv("OMPI_COMM_WORLD_SIZE");
    if (readers[_i].rank != NULL)
        setenv("OMPI_COMM_WORLD_SIZE", readers[_i].rank, 1);
    char *text = seen_of(doc);
    ck_assert_str_eq(text, readers[_i].seen);
    free(text);
    moe_document_free(doc);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("document");
    setenv("LC_ALL", "C", 1);
    MOE_TEST_LOOP(suite, nodes_are_written_in_both_forms, MOE_ARRAY_LEN(kinds));
    MOE_TEST(suite, points_of_figures_tell_their_texts);
    MOE_TEST(suite, points_that_have_no_texts_are_left_out);
    MOE_TEST_LOOP(suite, terminals_are_safe, MOE_ARRAY_LEN(hostile));
    MOE_TEST_LOOP(suite, pages_are_safe, MOE_ARRAY_LEN(hostile));
    MOE_TEST(suite, lines_are_broken_between_words);
    MOE_TEST(suite, colour_has_no_width_in_tables);
    MOE_TEST(suite, no_table_is_no_trouble);
    MOE_TEST(suite, documents_grow_and_own_what_they_say);
    MOE_TEST_LOOP(suite, lines_for_programs_are_not_for_terminals,
                  MOE_ARRAY_LEN(readers));
    return suite;
}
