/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/iteration_price.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/timeline.h"

enum { LAYERS = 3, NODE = MOE_RESOURCE_NODE, NET = MOE_RESOURCE_NETWORK };

/* As if of one GPU: each phase is its own maximum. */
static moe_layer_cost most_of(moe_layer_cost c)
{
    for (int p = 0; p < MOE_N_PHASES; p++)
        c.most_s[p] = moe_layer_cost_phase_s(&c, (moe_phase)p);
    return c;
}

/* A layer in whole seconds; exchanges within the node, weights from others. */
static moe_layer_cost layer_of(double predict_s, double attention_s,
                               double migrate_s)
{
    moe_layer_cost c;
    moe_layer_cost_init(&c);
    c.step_s[MOE_STEP_PREDICT] = predict_s;
    c.step_s[MOE_STEP_ATTENTION] = attention_s;
    c.step_s[MOE_STEP_REDUCE] = 4;
    c.step_s[MOE_STEP_ROUTE] = 1;
    c.step_s[MOE_STEP_NUMBER] = 1.5;
    c.step_s[MOE_STEP_SOLVE] = 0.5;
    c.step_s[MOE_STEP_DISPATCH] = 3;
    c.step_s[MOE_STEP_FFN] = 6;
    c.step_s[MOE_STEP_COMBINE] = 3;
    c.step_s[MOE_STEP_MIGRATE] = migrate_s;
    c.uses[MOE_STEP_NUMBER] = c.uses[MOE_STEP_DISPATCH] =
        c.uses[MOE_STEP_COMBINE] = NODE;
    c.uses[MOE_STEP_MIGRATE] = NET;
    return most_of(c);
}

/* Costs of a model of equal layers, and what must come out; a layer takes
 * attention + 19 s by itself. */
static const struct {
    const char *says;
    double predict_s, attention_s, migrate_s, slowdown;
    moe_coordination_cost c;
    double length_s;
    double exposed_s[MOE_N_PHASES]; /* of all layers together */
} cases[] = {
    {.says = "nothing but the layers",
     .attention_s = 10,
     .length_s = 87,
     .exposed_s = {[MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    {.says = "attention of layer 0 hides the coordination of all layers",
     .attention_s = 10,
     .c = {.collects = true,
           .plans = true,
           .collect = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .broadcast = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){1, 1, 1},
           .uses = NODE},
     .length_s = 87,
     .exposed_s = {[MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* collect 0..2, plan 2..5, then the reduction has the links until 8:
     * broadcast 8..9 beside the router, numbering 9..11, broadcast again */
    {.says = "links that attention's reduction uses hide nothing",
     .attention_s = 4,
     .c = {.collects = true,
           .plans = true,
           .collect = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .broadcast = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){1, 1, 1},
           .uses = NODE},
     .length_s = 69.5, /* the solver leaves them free */
     .exposed_s = {[MOE_PHASE_BROADCAST] = 0.5,
                   [MOE_PHASE_ATTENTION] = 24,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    {.says = "a predictor of tokens runs for all layers before layer 0",
     .predict_s = 2,
     .attention_s = 10,
     .length_s = 93,
     .exposed_s = {[MOE_PHASE_PREDICT] = 6,
                   [MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    {.says = "a device of its own hides it behind attention",
     .predict_s = 2,
     .attention_s = 10,
     .c = {.own_device = true},
     .length_s = 87,
     .exposed_s = {[MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* weights of layers 0, 1, 2 arrive at 25, 50, 75; dispatch could begin at
     * 17, 37 + 17 = 54, 66 + 17 = 83 */
    {.says = "weights of later layers hide behind earlier layers",
     .attention_s = 10,
     .migrate_s = 25,
     .c = {.plans = true, .uses = NODE},
     .length_s = 95,
     .exposed_s = {[MOE_PHASE_MIGRATE] = 8,
                   [MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* 10 s of weights slow 10 s of attention down by 2.5 s, and so on: all 30
     * s are hidden by the compute of layer 0 (11) and 1 */
    {.says = "hidden weights slow compute down",
     .attention_s = 20,
     .migrate_s = 8,
     .slowdown = 0.25,
     .c = {.plans = true, .uses = NODE},
     .length_s = 123,
     .exposed_s = {[MOE_PHASE_MIGRATE] = 6,
                   [MOE_PHASE_ATTENTION] = 72,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* all of the iteration, and 13 s more */
    {.says = "a plan for the next iteration has all of this one",
     .attention_s = 10,
     .migrate_s = 100.0 / 3,
     .c = {.plans = true, .next_iteration = true, .uses = NODE},
     .length_s = 100,
     .exposed_s = {[MOE_PHASE_MIGRATE] = 13,
                   [MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* Layers 0 and 1 are planned beside layer 0: collect, plan, broadcast of
     * 4 s each twice within its 10 s of attention; layer 2 beside layer 1. */
    {.says = "one layer ahead every layer pays its own collectives",
     .attention_s = 10,
     .c = {.collects = true,
           .plans = true,
           .lookahead = 1,
           .collect = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .broadcast = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){1, 1, 1},
           .uses = NODE},
     .length_s = 87,
     .exposed_s = {[MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* Collectives of 8 s: that of layer 0 has the links at 0..8, its plan's at
     * 9..10, 14..15 and 16.5..17, so that dispatch waits for the other 5.5 s;
     * those of layers 1 and 2 end at 49.5 and 78, before these have numbered. */
    {.says = "what one layer ahead does not hide is exposed once",
     .attention_s = 10,
     .c = {.collects = true,
           .plans = true,
           .lookahead = 1,
           .collect = {8, MOE_PRICE_ANALYTIC, 0.5, 1},
           .broadcast = {8, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){1, 1, 1},
           .uses = NODE},
     .length_s = 92.5,
     .exposed_s = {[MOE_PHASE_BROADCAST] = 5.5,
                   [MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* Plans at 0..20, 20..40 and, from the begin of layer 1, 42..62; known 10 s
     * later each. Dispatch could begin at 11, 53 and 76. */
    {.says = "a layer is planned from the begin of the one before it",
     .attention_s = 4,
     .c = {.plans = true,
           .lookahead = 1,
           .broadcast = {10, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){20, 20, 20},
           .uses = NET},
     .length_s = 88,
     .exposed_s = {[MOE_PHASE_PLAN] = 9,
                   [MOE_PHASE_BROADCAST] = 10,
                   [MOE_PHASE_ATTENTION] = 24,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* The same, but the last plan begins at 51, when layer 1 is routed. */
    {.says = "a forecast from routed layers waits for the router",
     .attention_s = 4,
     .c = {.plans = true,
           .lookahead = 1,
           .sees_layers = true,
           .broadcast = {10, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){20, 20, 20},
           .uses = NET},
     .length_s = 93,
     .exposed_s = {[MOE_PHASE_PLAN] = 9,
                   [MOE_PHASE_BROADCAST] = 15,
                   [MOE_PHASE_ATTENTION] = 24,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
    /* 6 s in the stream, of which 4 behind routers */
    {.says = "such a forecast runs behind the router",
     .predict_s = 2,
     .attention_s = 10,
     .c = {.collects = true,
           .plans = true,
           .lookahead = 1,
           .sees_layers = true,
           .collect = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .broadcast = {2, MOE_PRICE_ANALYTIC, 0.5, 1},
           .plan_s = (const double[]){1, 1, 1},
           .uses = NODE},
     .length_s = 93,
     .exposed_s = {[MOE_PHASE_PREDICT] = 6,
                   [MOE_PHASE_ATTENTION] = 42,
                   [MOE_PHASE_ROUTE] = 3,
                   [MOE_PHASE_DISPATCH] = 15,
                   [MOE_PHASE_FFN] = 18,
                   [MOE_PHASE_COMBINE] = 9}},
};

static double price(int i, int n, double (*exposed_s)[MOE_N_PHASES])
{
    moe_iteration_pricer *p = NULL;
    moe_layer_cost cost[LAYERS];
    ck_assert_int_eq(moe_iteration_pricer_new(LAYERS, &p, NULL), MOE_OK);
    for (int l = 0; l < n; l++)
        cost[l] = layer_of(cases[i].predict_s, cases[i].attention_s,
                           cases[i].migrate_s);
    const moe_iteration_work w = {cost, n, LAYERS, cases[i].c,
                                  cases[i].slowdown};
    const moe_iteration_price x = moe_iteration_price_of(p, &w, exposed_s);
    moe_iteration_pricer_free(p);
    return x.length_s;
}

START_TEST(iteration_is_as_worked_by_hand)
{
    double exposed_s[LAYERS][MOE_N_PHASES];
    const double length_s = price(_i, LAYERS, exposed_s);
    ck_assert_msg(fabs(length_s - cases[_i].length_s) < 1e-9,
                  "%s: %g s, not %g", cases[_i].says, length_s,
                  cases[_i].length_s);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        double sum = 0;
        for (int l = 0; l < LAYERS; l++)
            sum += exposed_s[l][p];
        ck_assert_msg(fabs(sum - cases[_i].exposed_s[p]) < 1e-9,
                      "%s: %s %g s, not %g", cases[_i].says,
                      moe_phase_name((moe_phase)p), sum,
                      cases[_i].exposed_s[p]);
    }
}
END_TEST

/* What is added up, as nothing runs beside the layers, is what a schedule of it
 * takes: weights that travel in next to no time make one. */
START_TEST(without_background_times_add_up)
{
    enum { N = 2, MODEL = 5 };
    double sum[N][MOE_N_PHASES], scheduled[N][MOE_N_PHASES];
    moe_iteration_pricer *p = NULL;
    moe_layer_cost cost[N] = {layer_of(2, 10, 0), layer_of(3, 7, 0)};
    ck_assert_int_eq(moe_iteration_pricer_new(MODEL, &p, NULL), MOE_OK);
    for (int k = 0; k < MOE_N_STEPS; k++)
        cost[0].wrong_s[k] = cost[1].wrong_s[k] =
            cost[0].step_s[k] > 0 ? 0.1 * k : 0;
    const moe_iteration_work w = {.cost = cost, .n = N, .layers = MODEL};
    const moe_iteration_price a = moe_iteration_price_of(p, &w, sum);
    cost[0].step_s[MOE_STEP_MIGRATE] = 1e-30;
    const moe_iteration_price b = moe_iteration_price_of(p, &w, scheduled);
    moe_iteration_pricer_free(p);
    ck_assert_double_eq_tol(a.length_s, 3 * 31 + 2 * 29, 1e-12);
    ck_assert_double_eq_tol(b.length_s, a.length_s, 1e-12);
    ck_assert_double_eq_tol(b.wrong_s, a.wrong_s, 1e-12);
    for (int l = 0; l < N; l++)
        for (int k = 0; k < MOE_N_PHASES; k++)
            ck_assert_double_eq_tol(sum[l][k], scheduled[l][k], 1e-12);
}
END_TEST

/* A run of one layer prices the model as a run of all. */
START_TEST(measured_layer_stands_for_all)
{
    double all[LAYERS][MOE_N_PHASES], one[1][MOE_N_PHASES];
    ck_assert_double_eq_tol(price(_i, LAYERS, all), price(_i, 1, one), 1e-9);
    for (int p = 0; p < MOE_N_PHASES; p++)
        ck_assert_double_eq_tol(one[0][p] * LAYERS,
                                all[0][p] + all[1][p] + all[2][p], 1e-9);
}
END_TEST

/* Three layers of attention 10 s and 19 s of all else; a plan of all, whose
 * weights travel 5 s a layer. They hide, or are waited for: all by layer 0, or
 * each by its own layer. */
START_TEST(weights_hide_or_are_waited_for)
{
    static const struct {
        moe_migration how;
        double length_s, stalled_s[LAYERS];
    } of[] = {{MOE_MIGRATION_HIDDEN, 87, {0, 0, 0}},
              {MOE_MIGRATION_LAYER, 87 + 15, {5, 5, 5}},
              {MOE_MIGRATION_STOP, 87 + 15, {5, 5, 5}}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        moe_iteration_pricer *p = NULL;
        moe_layer_cost cost[LAYERS];
        double exposed_s[LAYERS][MOE_N_PHASES];
        ck_assert_int_eq(moe_iteration_pricer_new(LAYERS, &p, NULL), MOE_OK);
        for (int l = 0; l < LAYERS; l++) {
            cost[l] = layer_of(0, 10, 5);
            cost[l].migration = of[i].how;
        }
        const moe_iteration_work w = {
            .cost = cost,
            .n = LAYERS,
            .layers = LAYERS,
            .coordination = {.plans = true, .uses = NODE}};
        ck_assert_double_eq_tol(
            moe_iteration_price_of(p, &w, exposed_s).length_s, of[i].length_s,
            1e-9);
        for (int l = 0; l < LAYERS; l++)
            ck_assert_double_eq_tol(exposed_s[l][MOE_PHASE_MIGRATE],
                                    of[i].stalled_s[l], 1e-9);
        moe_iteration_pricer_free(p);
    }
}
END_TEST

/* Three layers of attention 8, reduction 4, router 1, counts 2, dispatch 3,
 * shared experts, experts 6, combine 3 s. */
static double overlapped(int overlap, double shared_s, double *exposed_s)
{
    moe_iteration_pricer *p = NULL;
    moe_layer_cost cost = layer_of(0, 8, 0);
    double exposed[1][MOE_N_PHASES];
    ck_assert_int_eq(moe_iteration_pricer_new(LAYERS, &p, NULL), MOE_OK);
    cost.overlap = overlap;
    cost.step_s[MOE_STEP_SHARED] = shared_s;
    cost = most_of(cost);
    const moe_iteration_work w = {.cost = &cost, .n = 1, .layers = LAYERS};
    const double length_s = moe_iteration_price_of(p, &w, exposed).length_s;
    memcpy(exposed_s, exposed[0], sizeof exposed[0]);
    moe_iteration_pricer_free(p);
    return length_s;
}

/* They run beside dispatch, and beside combine what is left of them; what is
 * longer still is waited for. */
START_TEST(shared_experts_hide_beside_the_exchange)
{
    static const struct {
        double shared_s, beside_s;
    } of[] = {{2, 0}, {5, 0}, {6, 0}, {10, 4}};
    double exposed_s[MOE_N_PHASES];
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        const double alone_s = LAYERS * (8 + 4 + 1 + 2 + 3 + 6 + 3);
        ck_assert_double_eq_tol(
            overlapped(MOE_SERVE_NO_OVERLAP, of[i].shared_s, exposed_s),
            alone_s + LAYERS * of[i].shared_s, 1e-9);
        ck_assert_double_eq_tol(
            overlapped(MOE_SERVE_SHARED, of[i].shared_s, exposed_s),
            alone_s + LAYERS * of[i].beside_s, 1e-9);
        ck_assert_double_eq_tol(exposed_s[MOE_PHASE_FFN], 6 + of[i].beside_s,
                                1e-9);
    }
}
END_TEST

/* Layers that are alike are priced by a few of them, layers that are told one by
 * one by all: the same, for whatever an exchange, experts and shared experts
 * take beside attention, in one batch and in halves. */
START_TEST(layers_that_are_alike_repeat_each_other)
{
    enum { MANY = 61 };
    static const double factors[] = {0.05, 0.3, 1, 2.7, 9};
    const double by[] = {factors[_i % 5], factors[_i / 5 % 5],
                         factors[_i / 25 % 5]};
    moe_layer_cost one = layer_of(0, 7, 0), all[MANY];
    double exposed_s[MANY][MOE_N_PHASES], alike_s[1][MOE_N_PHASES];
    one.step_s[MOE_STEP_DISPATCH] *= by[0];
    one.step_s[MOE_STEP_COMBINE] *= by[0] * 1.3;
    one.step_s[MOE_STEP_FFN] *= by[1];
    one.step_s[MOE_STEP_SHARED] = 3 * by[2];
    one.overlap = _i < 125 ? MOE_SERVE_TWO_BATCH : MOE_SERVE_SHARED;
    one.takes = _i % 2 == 0 ? 0.15 : 0;
    for (int l = 0; l < MANY; l++)
        all[l] = one;
    moe_iteration_pricer *p = NULL;
    ck_assert_int_eq(moe_iteration_pricer_new(MANY, &p, NULL), MOE_OK);
    moe_iteration_work w = {
        .cost = all, .n = MANY, .layers = MANY, .slowdown = 0.1};
    w.coordination.lookahead = MOE_LOOKAHEAD_ALL;
    const moe_iteration_price told = moe_iteration_price_of(p, &w, exposed_s);
    w.cost = &one;
    w.n = 1;
    const moe_iteration_price alike = moe_iteration_price_of(p, &w, alike_s);
    ck_assert_double_eq_tol(alike.length_s / told.length_s, 1, 1e-11);
    for (int ph = 0; ph < MOE_N_PHASES; ph++) {
        double sum_s = 0;
        for (int l = 0; l < MANY; l++)
            sum_s += exposed_s[l][ph];
        ck_assert_double_eq_tol(alike_s[0][ph] * MANY, sum_s,
                                1e-11 * told.length_s);
    }
    moe_iteration_pricer_free(p);
}
END_TEST

/* Compute of a half: attention 4, router and solver 0.5 + 0.25, experts 3, links 2 +
 * 0.75 + 1.5 + 1.5 s. What both halves compute is never hidden; of links what the
 * first and the last half have alone, and what compute does not cover. */
START_TEST(halves_take_turns)
{
    double one_s[MOE_N_PHASES], two_s[MOE_N_PHASES], sum_s = 0;
    const double alone_s = overlapped(MOE_SERVE_NO_OVERLAP, 0, one_s);
    const double length_s = overlapped(MOE_SERVE_TWO_BATCH, 0, two_s);
    const double compute_s = LAYERS * (8 + 1 + 0.5 + 6);
    const double links_s = LAYERS * (4 + 1.5 + 3 + 3);
    ck_assert_double_eq_tol(alone_s, compute_s + links_s, 1e-9);
    ck_assert_double_ge(length_s, fmax(compute_s, links_s) + 1.5);
    ck_assert_double_lt(length_s, 0.75 * alone_s);
    for (int p = 0; p < MOE_N_PHASES; p++)
        sum_s += LAYERS * two_s[p];
    ck_assert_double_eq_tol(sum_s, length_s, 1e-9);
    ck_assert_double_eq_tol(two_s[MOE_PHASE_FFN], 6, 1e-9);
    ck_assert_double_eq_tol(two_s[MOE_PHASE_ROUTE], 1, 1e-9);
    ck_assert_double_lt(two_s[MOE_PHASE_COMBINE], 1.5);
}
END_TEST

/* Where every exchange of a half is shorter than any compute of the other, only the
 * last combine is exposed, and the exchange that takes longer never ends sooner. */
START_TEST(short_exchanges_hide_behind_the_other_half)
{
    double before_s = 0;
    for (double links_s = 0.5; links_s <= 32; links_s *= 1.1) {
        moe_iteration_pricer *p = NULL;
        moe_layer_cost cost = layer_of(0, 20, 0);
        ck_assert_int_eq(moe_iteration_pricer_new(LAYERS, &p, NULL), MOE_OK);
        cost.overlap = MOE_SERVE_TWO_BATCH;
        cost.step_s[MOE_STEP_REDUCE] = cost.step_s[MOE_STEP_NUMBER] = 0;
        cost.step_s[MOE_STEP_FFN] = 16;
        cost.step_s[MOE_STEP_DISPATCH] = links_s;
        cost.step_s[MOE_STEP_COMBINE] = 2 * links_s;
        const moe_iteration_work w = {.cost = &cost, .n = 1, .layers = LAYERS};
        const double length_s = moe_iteration_price_of(p, &w, NULL).length_s;
        if (links_s < 8)
            ck_assert_double_eq_tol(
                length_s, LAYERS * (20 + 1 + 0.5 + 16) + links_s, 1e-9);
        ck_assert_double_ge(length_s, before_s);
        before_s = length_s;
        moe_iteration_pricer_free(p);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("iteration_price");
    MOE_TEST_LOOP(suite, iteration_is_as_worked_by_hand, MOE_ARRAY_LEN(cases));
    MOE_TEST(suite, without_background_times_add_up);
    MOE_TEST_LOOP(suite, measured_layer_stands_for_all, MOE_ARRAY_LEN(cases));
    MOE_TEST(suite, weights_hide_or_are_waited_for);
    MOE_TEST(suite, shared_experts_hide_beside_the_exchange);
    MOE_TEST_LOOP(suite, layers_that_are_alike_repeat_each_other, 250);
    MOE_TEST(suite, halves_take_turns);
    MOE_TEST(suite, short_exchanges_hide_behind_the_other_half);
    return suite;
}
