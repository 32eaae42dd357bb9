/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/break_even.h"
#include "../src/document/internal.h"
#include "../src/report/contents.h"
#include "harness.h"

enum { S = 5 };

/* Medians of the gpu clock in us, what of it predicts, and recall. 'o' is an
 * oracle, 'T' has a planner of its own; no recall: it foretells no tokens. */
typedef struct {
    char kind;
    double time_us, predict_us, recall;
} row;

static const struct {
    row rows[S];
    int strategy, rival, without;
    bool ahead;
    double limit_us, recall_needed;
    const char *says[2];
} cases[] = {
    /* free, 2 would take 85, 1 100: a line from .5 to .8; and costs 5 */
    {{{'-', 100, 0, NAN},
      {'-', 95, 0, NAN},
      {'t', 105, 5, 0.5},
      {'t', 90, 5, 0.8},
      {'o', 70, 0, 1.0}},
     3,
     1,
     1,
     true,
     10,
     0.7, /* 100 - 15 x / .3 = 95 - 5 */
     {"s3 takes 5.00 us a layer to predict; it beats s1 as long as that is "
      "below 10.0 us.\n",
      "At the cost of s3, a predictor of tokens loses to s1 if it is right for "
      "50.0 % of a token's experts, and beats it if it is right for 80.0 %; by "
      "a "
      "line between these, from 70.0 % on; s3 is for 80.0 %.\n"}},
    /* a dear predictor loses; cheaper, or more often right, it would win */
    {{{'-', 100, 0, NAN},
      {'t', 110, 30, 0.6},
      {'o', 60, 0, 1.0},
      {'-', NAN, 0, NAN},
      {'t', NAN, 0, 0.9}},
     1,
     0,
     0,
     false,
     20,
     0.8, /* 80 - 20 x / .4 = 100 - 30 */
     {"s1 takes 30.0 us a layer to predict; to beat s0 it would have to be "
      "below 20.0 us.\n",
      "if it is right for 60.0 % of a token's experts, and beats it if it is "
      "right for 100 %; by a line between these, from 80.0 % on"}},
    /* not even free */
    {{{'-', 50, 0, NAN},
      {'t', 110, 30, 0.6},
      {'o', 60, 0, 1.0},
      {'-', NAN, 0, NAN},
      {'-', NAN, 0, NAN}},
     1,
     0,
     0,
     false,
     -30,
     NAN,
     {"s1 takes 30.0 us a layer to predict; even free it would not beat s0.\n",
      "Even right for 100 % of a token's experts, at the cost of s1, a "
      "predictor of tokens would not beat s0; s1 is for 60.0 %.\n"}},
    /* oracles alone: a free predictor, right for the least accurate */
    {{{'-', 100, 0, NAN},
      {'o', 90, 0, 0.3},
      {'o', 60, 0, 1.0},
      {'-', NAN, 0, NAN},
      {'-', NAN, 0, NAN}},
     -1,
     0,
     0,
     false,
     NAN,
     0.3,
     {"", "Right for 30.0 % of a token's experts, at no cost, a predictor of "
          "tokens beats s0; less was not tried.\n"}},
    /* the U: worse in the middle; from the last crossing on */
    {{{'-', 100, 0, NAN},
      {'o', 90, 0, 0.0},
      {'o', 120, 0, 0.5},
      {'o', 80, 0, 1.0},
      {'-', NAN, 0, NAN}},
     -1,
     0,
     0,
     false,
     NAN,
     0.75,
     {"",
      "right for 50.0 % of a token's experts, and beats it if it is right for "
      "100 %; by a line between these, from 75.0 % on"}},
    /* an oracle of another planner says nothing */
    {{{'-', 100, 0, NAN},
      {'T', 90, 5, 0.6},
      {'o', 150, 0, 1.0},
      {'-', NAN, 0, NAN},
      {'-', NAN, 0, NAN}},
     1,
     0,
     0,
     true,
     15,
     0.6,
     {"it beats s0 as long as that is below 15.0 us",
      "Right for 60.0 % of a token's experts, at the cost of s1, a predictor "
      "of "
      "tokens with planner balance and split deal beats s0; less was not "
      "tried; "
      "s1 is for 60.0 %.\n"}},
    /* one of the same does: recall is not all */
    {{{'-', 100, 0, NAN},
      {'t', 90, 5, 0.6},
      {'o', 150, 0, 1.0},
      {'-', NAN, 0, NAN},
      {'-', NAN, 0, NAN}},
     1,
     0,
     0,
     true,
     15,
     NAN,
     {"", "s1 beats s0, but one right for 100 % of a token's experts at its "
          "cost would not: it is not recall that counts here; s1 is for "
          "60.0 %.\n"}},
    /* nobody foretells tokens */
    {{{'-', 100, 0, NAN},
      {'-', 90, 0, NAN},
      {'-', 120, 0, NAN},
      {'-', NAN, 0, NAN},
      {'-', NAN, 0, NAN}},
     -1,
     1,
     1,
     false,
     NAN,
     NAN,
     {"", ""}},
};

/* A view of a case, in the caller's storage. */
static moe_view view_of(int i, moe_strategy_view *y)
{
    for (int s = 0; s < S; s++) {
        const row *r = &cases[i].rows[s];
        y[s] =
            (moe_strategy_view){.facts = {.foretells_tokens = !isnan(r->recall),
                                          .knows_future = r->kind == 'o'},
                                .recall = {.median = r->recall}};
        snprintf(y[s].facts.planning, sizeof y[s].facts.planning, "%s",
                 r->kind == 'T' ? "balance" : "duplicate");
        if (r->kind == 'T') {
            snprintf(y[s].facts.planner, sizeof y[s].facts.planner, "balance");
            snprintf(y[s].facts.split, sizeof y[s].facts.split, "deal");
        }
        snprintf(y[s].name, sizeof y[s].name, "s%d", s);
        y[s].summary[MOE_CLOCK_GPU].median = 1e-6 * r->time_us;
        y[s].phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT] = 1e-6 * r->predict_us;
    }
    return (moe_view){.strategy = y, .dims = {.strategies = S}};
}

static void same(double is, double expected)
{
    if (isnan(expected))
        ck_assert_double_nan(is);
    else
        ck_assert_double_eq_tol(is, expected, 1e-9);
}

START_TEST(break_even_is_where_times_are_equal)
{
    moe_strategy_view y[S];
    const moe_view v = view_of(_i, y);
    const moe_break_even b = moe_break_even_of(&v);
    ck_assert_int_eq(b.strategy, cases[_i].strategy);
    ck_assert_int_eq(b.rival, cases[_i].rival);
    ck_assert_int_eq(b.without, cases[_i].without);
    ck_assert_int_eq(b.ahead, cases[_i].ahead);
    same(1e6 * b.limit_s, cases[_i].limit_us);
    same(b.recall_needed, cases[_i].recall_needed);
}
END_TEST

/* @return what is said of a run, a line each; to be freed. */
static char *said(const moe_run_analysis *run)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_document *doc = moe_document_new(NULL);
    moe_say_sensitivity(doc, run);
    ck_assert_int_eq(moe_document_ready(doc, NULL), MOE_OK);
    for (size_t i = 0; i < doc->n; i++)
        fprintf(out, "%s\n", doc->text + doc->node[i].text);
    moe_document_free(doc);
    fclose(out);
    return text;
}

START_TEST(break_even_is_told)
{
    moe_strategy_view y[S];
    const moe_view v = view_of(_i, y);
    const moe_run_analysis run = {
        .view = &v,
        .break_even = moe_break_even_of(&v),
        .sensitivity = {.analysed = true, .why_not = "x.h5: has no /work"}};
    char *text = said(&run);
    for (int k = 0; k < 2; k++)
        ck_assert_msg(strstr(text, cases[_i].says[k]) != NULL, "%s", text);
    if (cases[_i].says[1][0] == '\0')
        ck_assert_ptr_null(strstr(text, "predictor"));
    ck_assert_ptr_null(strstr(text, "nan"));
    ck_assert_ptr_nonnull(strstr(text, "priced: x.h5: has no /work.\n"));
    free(text);
}
END_TEST

/* Of pairs of batches; the first has the least median. */
static const struct {
    double lead_us;
    const char *says;
} leads[] = {{10, "s1 is 10.0 us a layer ahead of s0 on the gpu clock, by the"},
             {0, "s1 and s0 take equally long on the gpu clock.\n"},
             {-10,
              "s1 has the least median on the gpu clock, but by the median "
              "of pairs s0 is 10.0 us a layer ahead of it.\n"}};

START_TEST(a_lead_is_of_pairs)
{
    moe_strategy_view y[S];
    double stages[S * MOE_N_PERFECTS];
    const moe_view v = view_of(0, y);
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        stages[i] = NAN;
    const moe_run_analysis run = {
        .view = &v,
        .break_even = {.strategy = -1, .without = -1},
        .sensitivity = {.analysed = true,
                        .known = true,
                        .undecided = true,
                        .winner = 1,
                        .lead_s = 1e-6 * leads[_i].lead_us,
                        .stage_s = stages}};
    char *text = said(&run);
    ck_assert_msg(strstr(text, leads[_i].says) != NULL, "%s", text);
    free(text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("break-even");
    const size_t n = sizeof cases / sizeof *cases;
    MOE_TEST_LOOP(suite, break_even_is_where_times_are_equal, n);
    MOE_TEST_LOOP(suite, break_even_is_told, n);
    MOE_TEST_LOOP(suite, a_lead_is_of_pairs, sizeof leads / sizeof *leads);
    return suite;
}
