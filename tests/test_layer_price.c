/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/layer_price.h"

#include <math.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"

/* A cost model whose prices are easy to compute by hand, in whole seconds; its
 * relative error is 10 % of everything. */

enum { N_STEPS = 3 };

/* An all-to-all takes this long up to so many bytes: dearer in the middle, as
 * measured tables can be. */
static const struct {
    double bytes, time_s;
} alltoalls[N_STEPS] = {{0, 3}, {1000, 90}, {1e300, 40}};

static moe_price priced(double time_s)
{
    return (moe_price){time_s, MOE_PRICE_ANALYTIC, 0.1};
}

static moe_price ffn(const void *state, const uint32_t *rows, size_t n)
{
    double sum = 0;
    (void)state;
    for (size_t i = 0; i < n; i++)
        sum += rows[i];
    return priced(sum);
}

static moe_price attention(const void *state, double batch, double seq, int tp)
{
    (void)seq, (void)tp;
    return priced(*(const double *)state * batch);
}

static moe_price gemm(const void *state, const moe_gemm *shape)
{
    (void)state;
    return priced(shape->m / 64);
}

static moe_price allreduce(const void *state, const moe_exchange *x,
                           double bytes)
{
    (void)state, (void)x, (void)bytes;
    return priced(12);
}

static moe_price alltoall(const void *state, const moe_exchange *x)
{
    (void)state;
    int i = 0;
    while (alltoalls[i].bytes < x->node_bytes + x->network_bytes)
        i++;
    return priced(alltoalls[i].time_s);
}

static moe_price transfer(const void *state, const moe_exchange *x)
{
    (void)state;
    return priced(x->node_bytes + 10 * x->network_bytes);
}

static moe_price tree(const void *state, const moe_exchange *x, double bytes)
{
    (void)state, (void)x, (void)bytes;
    return priced(6);
}

static const moe_cost by_hand = {.name = "by hand",
                                 .ffn = ffn,
                                 .attention = attention,
                                 .gemm = gemm,
                                 .allreduce = allreduce,
                                 .alltoall = alltoall,
                                 .transfer = transfer,
                                 .tree = tree};

/* 256 tokens in 2 sequences on one GPU of 4 on 2 nodes (the router's product
 * takes 64 / 64 s), or on 1 GPU (256 / 64 s). The GPUs of a node share one
 * sequence by tensor parallelism and end it by an all-reduce of 12 s. */
static const uint32_t rows[] = {5, 0, 2};
static const moe_gemm_run products[] = {{{64, 1, 1}, 2}, {{32, 1, 1}, 6}};

static void price(const moe_layer_work *work, double attention_s, int gpus,
                  moe_layer_price *out)
{
    const moe_model model = fixture_model();
    const moe_pricer pricer = {.cost = &by_hand,
                               .state = &attention_s,
                               .model = &model,
                               .layout = {gpus, 2}};
    moe_layer_work w = *work;
    w.tokens = 256;
    w.sequences = 2;
    w.layers = 3;
    w.rows = rows;
    w.slots = MOE_ARRAY_LEN(rows);
    moe_layer_price_of(&pricer, &w, out);
}

/* Seconds of the phases in order; what of them is exposed. */
static const struct {
    const char *name;
    int gpus;
    double attention_s;
    moe_layer_work work;
    double gpu_s[MOE_N_PHASES], exposed_s[MOE_N_PHASES];
} cases[] = {
    {"nothing but the layer",
     4,
     20,
     {.combine_bytes = {700, 0}, .dispatch_bytes = {700, 0}},
     {0, 0, 0, 0, 0, 32, 1, 90, 7, 90},
     {0, 0, 0, 0, 0, 32, 1, 90, 7, 90}},
    {"a single GPU exchanges nothing",
     1,
     20,
     {.combine_bytes = {700, 0}, .dispatch_bytes = {700, 0}},
     {0, 0, 0, 0, 0, 40, 4, 0, 7, 0},
     {0, 0, 0, 0, 0, 40, 4, 0, 7, 0}},
    {"attention hides coordination", /* a third of 6 s, thrice; 5 + 40 s */
     4,
     100,
     {.collects = true,
      .plans = true,
      .central = true,
      .planner_s = 3,
      .move_bytes = {5, 4},
      .direct = true},
     {0, 2, 3, 2, 45, 112, 1, 0, 7, 3},
     {0, 0, 0, 0, 0, 112, 1, 0, 7, 3}},
    {"in order, and no more than it lasts", /* 8 + 12 of 52 s */
     4,
     8,
     {.collects = true,
      .plans = true,
      .central = true,
      .planner_s = 3,
      .move_bytes = {5, 4},
      .direct = true},
     {0, 2, 3, 2, 45, 20, 1, 0, 7, 3},
     {0, 0, 0, 0, 32, 20, 1, 0, 7, 3}},
    {"the whole layer hides what is for a later one", /* 31 of 52 s */
     4,
     8,
     {.collects = true,
      .plans = true,
      .central = true,
      .ahead = true,
      .planner_s = 3,
      .move_bytes = {5, 4},
      .direct = true},
     {0, 2, 3, 2, 45, 20, 1, 0, 7, 3},
     {0, 0, 0, 0, 21, 20, 1, 0, 7, 3}},
    {"ranks that plan alike all-reduce", /* a third of 12 s, twice */
     4,
     100,
     {.collects = true, .plans = true, .planner_s = 3, .direct = true},
     {0, 4, 3, 4, 0, 112, 1, 0, 7, 3},
     {0, 0, 0, 0, 0, 112, 1, 0, 7, 3}},
    {"counts may be collected for nobody",
     4,
     100,
     {.collects = true, .central = true, .planner_s = 3, .direct = true},
     {0, 2, 0, 0, 0, 112, 1, 0, 7, 3},
     {0, 0, 0, 0, 0, 112, 1, 0, 7, 3}},
    {"a predictor is never hidden", /* 2 x 1 + 6 x 0.5 + 4 s */
     4,
     100,
     {.predict = products,
      .n_predict = 2,
      .predict_s = 4,
      .collects = true,
      .central = true,
      .direct = true},
     {9, 2, 0, 0, 0, 112, 1, 0, 7, 3},
     {9, 0, 0, 0, 0, 112, 1, 0, 7, 3}},
    {"but on a device of its own",
     4,
     100,
     {.predict = products,
      .n_predict = 2,
      .predict_s = 4,
      .predict_hidden = true,
      .direct = true},
     {9, 0, 0, 0, 0, 112, 1, 0, 7, 3},
     {0, 0, 0, 0, 0, 112, 1, 0, 7, 3}},
    {"and there too no more than attention lasts", /* 1 + 12 of 19 s */
     4,
     1,
     {.predict_s = 19, .predict_hidden = true, .direct = true},
     {19, 0, 0, 0, 0, 13, 1, 0, 7, 3},
     {6, 0, 0, 0, 0, 13, 1, 0, 7, 3}},
    {"direct routing dispatches what is left",
     4,
     20,
     {.combine_bytes = {600, 300}, .dispatch_bytes = {0, 20}, .direct = true},
     {0, 0, 0, 0, 0, 32, 1, 90, 7, 90},
     {0, 0, 0, 0, 0, 32, 1, 90, 7, 90}},
    {"nothing is left of right predictions",
     4,
     20,
     {.combine_bytes = {600, 300}, .direct = true},
     {0, 0, 0, 0, 0, 32, 1, 0, 7, 90},
     {0, 0, 0, 0, 0, 32, 1, 0, 7, 90}},
    {"an empty dispatch is one where routing is not direct",
     4,
     20,
     {.combine_bytes = {600, 300}},
     {0, 0, 0, 0, 0, 32, 1, 3, 7, 90},
     {0, 0, 0, 0, 0, 32, 1, 3, 7, 90}},
    {"a smaller exchange is never slower", /* 90 s by the table */
     4,
     20,
     {.combine_bytes = {600, 600}, .dispatch_bytes = {500, 0}, .direct = true},
     {0, 0, 0, 0, 0, 32, 1, 40, 7, 40},
     {0, 0, 0, 0, 0, 32, 1, 40, 7, 40}},
    {"one that is larger on a link may be", /* on the network */
     4,
     20,
     {.combine_bytes = {1200, 0}, .dispatch_bytes = {0, 900}, .direct = true},
     {0, 0, 0, 0, 0, 32, 1, 90, 7, 40},
     {0, 0, 0, 0, 0, 32, 1, 90, 7, 40}},
};

START_TEST(phases_take_what_they_take_by_hand)
{
    moe_layer_price out;
    price(&cases[_i].work, cases[_i].attention_s, cases[_i].gpus, &out);
    double exposed = 0;
    for (int p = 0; p < MOE_N_PHASES; p++) {
        const char *phase = moe_phase_name((moe_phase)p);
        ck_assert_msg(fabs(out.gpu_s[p] - cases[_i].gpu_s[p]) < 1e-12,
                      "%s: %s takes %g s", cases[_i].name, phase, out.gpu_s[p]);
        ck_assert_msg(fabs(out.exposed_s[p] - cases[_i].exposed_s[p]) < 1e-12,
                      "%s: %g s of %s are exposed", cases[_i].name,
                      out.exposed_s[p], phase);
        exposed += out.exposed_s[p];
    }
    ck_assert_int_eq(out.source, MOE_PRICE_ANALYTIC);
    ck_assert_double_le(out.error_s, 0.1 * exposed + 1e-12);
}
END_TEST

/* What is measured or told - the planner's and the predictor's time - has no
 * error of the cost model. */
START_TEST(the_error_is_that_of_what_is_exposed)
{
    const moe_layer_work work = {.collects = true,
                                 .plans = true,
                                 .central = true,
                                 .planner_s = 50,
                                 .predict_s = 7,
                                 .move_bytes = {18, 0},
                                 .direct = true};
    moe_layer_price out;
    price(&work, 8, 4, &out);
    /* 20 s hide 2 s of collect and 18 of the plan; 32 of it, 2 s of broadcast,
     * 18 of moves are left, then 20, 1, 7 and 3. */
    ck_assert_double_eq_tol(out.exposed_s[MOE_PHASE_PLAN], 32, 1e-12);
    ck_assert_double_eq_tol(out.error_s, 0.1 * (2 + 18 + 20 + 1 + 7 + 3),
                            1e-12);
}
END_TEST

/* Two GPUs, each the slowest of some phase. */
START_TEST(a_layer_waits_for_the_slowest_gpu_of_each_phase)
{
    enum { FFN = MOE_PHASE_FFN, OUT = MOE_PHASE_DISPATCH };
    moe_layer_price worst = {0}, a = {0}, b = {0};
    a.gpu_s[FFN] = a.exposed_s[FFN] = 5;
    a.gpu_s[OUT] = 9;
    a.exposed_s[OUT] = 1;
    a.source_of[FFN] = a.source = MOE_PRICE_EXTRAPOLATED;
    a.error_s = 2;
    b.gpu_s[FFN] = b.exposed_s[FFN] = 3;
    b.gpu_s[OUT] = b.exposed_s[OUT] = 4;
    b.source_of[OUT] = b.source = MOE_PRICE_INTERPOLATED;
    b.error_s = _i == 0 ? 3 : NAN;
    moe_layer_price_worst(&worst, _i == 0 ? &a : &b);
    moe_layer_price_worst(&worst, _i == 0 ? &b : &a);
    ck_assert_double_eq(worst.gpu_s[FFN], 5);
    ck_assert_double_eq(worst.gpu_s[OUT], 9);
    ck_assert_double_eq(worst.exposed_s[OUT], 4);
    ck_assert_double_eq(moe_layer_price_sum(&worst), 9);
    ck_assert_int_eq(worst.source_of[FFN], MOE_PRICE_EXTRAPOLATED);
    ck_assert_int_eq(worst.source_of[OUT], MOE_PRICE_INTERPOLATED);
    ck_assert_int_eq(worst.source, MOE_PRICE_EXTRAPOLATED);
    if (_i == 0)
        ck_assert_double_eq(worst.error_s, 3);
    else
        ck_assert(isnan(worst.error_s)); /* once unknown, unknown */
}
END_TEST

START_TEST(scaled_rows_are_whole_and_sum_up)
{
    static const double by[] = {0, 0.4, 1, 1.5, 2.25};
    static const uint32_t ones[] = {1, 1, 1, 1, 1, 0, 5};
    for (size_t i = 0; i < MOE_ARRAY_LEN(by); i++) {
        uint32_t out[MOE_ARRAY_LEN(ones)], sum = 0;
        moe_layer_scale_rows(ones, MOE_ARRAY_LEN(ones), by[i], out);
        for (size_t j = 0; j < MOE_ARRAY_LEN(ones); j++) {
            ck_assert_double_le(fabs(out[j] - ones[j] * by[i]), 1);
            sum += out[j];
        }
        ck_assert_uint_eq(sum, (uint32_t)floor(10 * by[i] + 0.5));
    }
    uint32_t most[] = {UINT32_MAX}; /* in place, and kept within its type */
    moe_layer_scale_rows(most, 1, 3, most);
    ck_assert_uint_eq(most[0], UINT32_MAX);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("layer_price");
    MOE_TEST_LOOP(suite, phases_take_what_they_take_by_hand,
                  MOE_ARRAY_LEN(cases));
    MOE_TEST(suite, the_error_is_that_of_what_is_exposed);
    MOE_TEST_LOOP(suite, a_layer_waits_for_the_slowest_gpu_of_each_phase, 2);
    MOE_TEST(suite, scaled_rows_are_whole_and_sum_up);
    return suite;
}
