/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/layer_price.h"

#include <math.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/timeline.h"

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
    return (moe_price){time_s, MOE_PRICE_ANALYTIC, 0.1, 0.2};
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
static const moe_gemm_run products[] = {{{64, 1, 1, false}, 2},
                                        {{32, 1, 1, false}, 6}};

static void price(const moe_layer_work *work, int shared, int gpus,
                  moe_layer_cost *out)
{
    moe_model model = fixture_model();
    const double attention_s = 20;
    const moe_pricer pricer = {.cost = &by_hand,
                               .state = &attention_s,
                               .model = &model,
                               .layout = {gpus, 2}};
    moe_layer_work w = *work;
    model.shared_experts = shared;
    w.tokens = 256;
    w.sequences = 2;
    w.rows = rows;
    w.slots = MOE_ARRAY_LEN(rows);
    moe_layer_cost_of(&pricer, &w, out);
}

/* Seconds of the steps in order: predict, attention, reduce, route, number,
 * solve, dispatch, shared, ffn, combine, migrate. */
static const struct {
    const char *name;
    int gpus, shared;
    moe_layer_work work;
    double step_s[MOE_N_STEPS];
} cases[] = {
    {"nothing but the layer",
     4,
     0,
     {.combine_bytes = {700, 0}, .dispatch_bytes = {700, 0}},
     {0, 20, 12, 1, 0, 0, 90, 0, 7, 90, 0}},
    {"a single GPU exchanges nothing",
     1,
     0,
     {.combine_bytes = {700, 0}, .dispatch_bytes = {700, 0}, .numbers = 1},
     {0, 40, 0, 4, 0, 0, 0, 0, 7, 0, 0}},
    {"shared experts are one dense FFN", /* two products of 64 / 64 s */
     4,
     3,
     {.combine_bytes = {700, 0}, .dispatch_bytes = {700, 0}},
     {0, 20, 12, 1, 0, 0, 90, 2, 7, 90, 0}},
    {"weights travel on both links",
     4,
     0,
     {.move_bytes = {5, 4}, .direct = true},
     {0, 20, 12, 1, 0, 0, 0, 0, 7, 3, 45}},
    {"numbering is an all-reduce, each time",
     4,
     0,
     {.numbers = 2, .direct = true},
     {0, 20, 12, 1, 24, 0, 0, 0, 7, 3, 0}},
    {"what is solved of it is waited for",
     4,
     0,
     {.numbers = 1, .solve_s = 5, .direct = true},
     {0, 20, 12, 1, 12, 5, 0, 0, 7, 3, 0}},
    {"a predictor's products", /* 2 x 1 + 6 x 0.5 + 4 s */
     4,
     0,
     {.predict = products, .n_predict = 2, .predict_s = 4, .direct = true},
     {9, 20, 12, 1, 0, 0, 0, 0, 7, 3, 0}},
    {"rows that go ahead lengthen the scatter", /* half of it is scatter */
     4,
     0,
     {.ahead_rows = 1.5, .direct = true},
     {0, 20, 12 * 1.75, 1, 0, 0, 0, 0, 7, 3, 0}},
    {"direct routing dispatches what is left",
     4,
     0,
     {.combine_bytes = {600, 300}, .dispatch_bytes = {0, 20}, .direct = true},
     {0, 20, 12, 1, 0, 0, 90, 0, 7, 90, 0}},
    {"nothing is left of right predictions",
     4,
     0,
     {.combine_bytes = {600, 300}, .direct = true},
     {0, 20, 12, 1, 0, 0, 0, 0, 7, 90, 0}},
    {"an empty dispatch is one where routing is not direct",
     4,
     0,
     {.combine_bytes = {600, 300}},
     {0, 20, 12, 1, 0, 0, 3, 0, 7, 90, 0}},
    {"a smaller exchange is never slower", /* 90 s by the table */
     4,
     0,
     {.combine_bytes = {600, 600}, .dispatch_bytes = {500, 0}, .direct = true},
     {0, 20, 12, 1, 0, 0, 40, 0, 7, 40, 0}},
    {"one that is larger on a link may be", /* on the network */
     4,
     0,
     {.combine_bytes = {1200, 0}, .dispatch_bytes = {0, 900}, .direct = true},
     {0, 20, 12, 1, 0, 0, 90, 0, 7, 40, 0}},
};

/* Times that are told, of predictor and solver, have no error of the cost
 * model. */
START_TEST(steps_take_what_they_take_by_hand)
{
    moe_layer_cost out;
    price(&cases[_i].work, cases[_i].shared, cases[_i].gpus, &out);
    for (int k = 0; k < MOE_N_STEPS; k++) {
        const double time_s = cases[_i].step_s[k];
        const double known_s = k == MOE_STEP_PREDICT ? cases[_i].work.predict_s
                               : k == MOE_STEP_SOLVE ? cases[_i].work.solve_s
                                                     : 0;
        ck_assert_msg(fabs(out.step_s[k] - time_s) < 1e-12,
                      "%s: step %d takes %g s, not %g", cases[_i].name, k,
                      out.step_s[k], time_s);
        ck_assert_double_eq_tol(out.wrong_s[k], 0.1 * (time_s - known_s),
                                1e-12);
        ck_assert(!(time_s > known_s) || out.source[k] == MOE_PRICE_ANALYTIC);
    }
    for (int p = 0; p < MOE_N_PHASES; p++)
        ck_assert_double_eq(out.most_s[p],
                            moe_layer_cost_phase_s(&out, (moe_phase)p));
    ck_assert_double_eq_tol(moe_layer_cost_barrier_s(&out), 0, 1e-12);
}
END_TEST

/* 1024 tokens on 4 GPUs with attention of their own. */
START_TEST(halves_of_a_batch_are_priced_at_their_own_counts)
{
    enum { N = 4 };
    static const uint32_t pairs[N] = {5, 0, 2, 1};
    static const struct {
        double sequences, attention_s;
    } of[] = {{8, 20 * 2}, {12, 20 * 3}}; /* 1 + 1, 2 + 1 on a GPU */
    const moe_serving s = {.attention = MOE_SERVE_DATA,
                           .overlap = MOE_SERVE_TWO_BATCH};
    const double attention_s = 20;
    moe_model model = fixture_model();
    const moe_cluster cluster = {.sms = 80, .gpus_per_node = 2};
    moe_pricer p = {.cost = &by_hand,
                    .state = &attention_s,
                    .model = &model,
                    .layout = {4, 2}};
    moe_serving_cost *c = NULL;
    moe_layer_cost out;
    model.shared_experts = 1;
    ck_assert_int_eq(
        moe_serving_cost_new(&s, &model, &cluster, &p.layout, &c, NULL),
        MOE_OK);
    p.serving = c;
    const moe_layer_work w = {.tokens = 1024,
                              .sequences = of[_i].sequences,
                              .numbers = 1,
                              .solve_s = 5,
                              .dispatch_bytes = {1600, 0},
                              .combine_bytes = {2400, 0},
                              .rows = pairs,
                              .slots = N};
    const double by_hand_s[MOE_N_STEPS] = {
        [MOE_STEP_ATTENTION] = of[_i].attention_s,
        [MOE_STEP_ROUTE] = 2 * 2, /* 128 tokens of a half on a GPU */
        [MOE_STEP_NUMBER] = 2 * 12,
        [MOE_STEP_SOLVE] = 2 * 5,
        [MOE_STEP_DISPATCH] = 2 * 90, /* of 800 bytes; of 1600: 40 */
        [MOE_STEP_SHARED] = 2 * (2 + 2),
        [MOE_STEP_FFN] = 2 * 4,
        [MOE_STEP_COMBINE] = 2 * 40};
    moe_layer_cost_of(&p, &w, &out);
    for (int k = 0; k < MOE_N_STEPS; k++)
        ck_assert_msg(fabs(out.step_s[k] - by_hand_s[k]) < 1e-12,
                      "step %d takes %g s, not %g", k, out.step_s[k],
                      by_hand_s[k]);
    ck_assert_int_eq(out.overlap, MOE_SERVE_TWO_BATCH);
    moe_serving_cost_free(c);
}
END_TEST

/* As fast as the links are, or as slow as a deployment moves them. */
START_TEST(weights_travel_no_faster_than_they_are_moved)
{
    static const struct {
        double rate, time_s;
    } of[] = {{0, 45}, {1000, 45}, {0.1, 90}};
    const double attention_s = 20;
    const moe_model model = fixture_model();
    const moe_layer_work w = {.tokens = 256,
                              .sequences = 2,
                              .move_bytes = {5, 4},
                              .rows = rows,
                              .slots = MOE_ARRAY_LEN(rows)};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        const moe_pricer p = {.cost = &by_hand,
                              .state = &attention_s,
                              .model = &model,
                              .layout = {4, 2},
                              .migration_rate = of[i].rate,
                              .migration = MOE_MIGRATION_STOP};
        moe_layer_cost out;
        moe_layer_cost_of(&p, &w, &out);
        ck_assert_double_eq_tol(out.step_s[MOE_STEP_MIGRATE], of[i].time_s,
                                1e-9);
        ck_assert_int_eq(out.migration, MOE_MIGRATION_STOP);
    }
}
END_TEST

START_TEST(transfers_use_the_links_that_they_cross)
{
    enum { NODE = MOE_RESOURCE_NODE, NET = MOE_RESOURCE_NETWORK };
    static const struct {
        int gpus;
        double move[2];
        unsigned migrate, dispatch;
    } of[] = {{4, {1, 0}, NODE, NODE | NET},
              {4, {0, 1}, NET, NODE | NET},
              {4, {1, 1}, NODE | NET, NODE | NET},
              {2, {1, 0}, NODE, NODE}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        const moe_layer_work w = {.move_bytes = {of[i].move[0], of[i].move[1]}};
        moe_layer_cost out;
        price(&w, 0, of[i].gpus, &out);
        ck_assert_uint_eq(out.uses[MOE_STEP_MIGRATE], of[i].migrate);
        ck_assert_uint_eq(out.uses[MOE_STEP_DISPATCH], of[i].dispatch);
        ck_assert_uint_eq(out.uses[MOE_STEP_REDUCE], NODE);
    }
}
END_TEST

/* An fp8 model dispatches fp8 with a scale of 4 B per 128, and combines,
 * reduces and attends in bf16. */
START_TEST(rows_have_the_width_of_their_transfer)
{
    static const struct {
        moe_dtype dtype;
        double dispatch, row;
    } of[] = {{MOE_DTYPE_FP8, 7168 * (1 + 4.0 / 128), 7168 * 2},
              {MOE_DTYPE_BF16, 7168 * 2, 7168 * 2},
              {MOE_DTYPE_F32, 7168 * 4, 7168 * 4}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        const moe_model m = {.hidden = 7168, .dtype = of[i].dtype};
        ck_assert_double_eq(moe_model_dispatch_bytes(&m), of[i].dispatch);
        ck_assert_double_eq(moe_model_row_bytes(&m), of[i].row);
    }
}
END_TEST

/* What a layer asks a cost model for, products in their order. */
typedef struct {
    moe_gemm product[8];
    int n;
    double reduced; /* bytes */
} asked;

static moe_price note_gemm(const void *state, const moe_gemm *shape)
{
    asked *a = *(asked *const *)state;
    a->product[a->n++] = *shape;
    return priced(1);
}

static moe_price note_allreduce(const void *state, const moe_exchange *x,
                                double bytes)
{
    (void)x;
    (*(asked *const *)state)->reduced = bytes;
    return priced(1);
}

static moe_price note_attention(const void *state, double batch, double seq,
                                int tp)
{
    (void)state, (void)batch, (void)seq, (void)tp;
    return priced(1);
}

/* In an fp8 model shared experts multiply in fp8, as one dense FFN; a predictor
 * and the router do not, and what attention sums up is bf16. */
START_TEST(parts_of_a_layer_have_their_own_width)
{
    static const struct {
        const char *name;
        moe_gemm shape;
    } of[] = {{"predictor", {64, 3, 5, false}},
              {"router", {64, 8, 64, false}},
              {"shared experts, up", {64, 2 * 3 * 128, 64, true}},
              {"shared experts, down", {64, 64, 3 * 128, true}}};
    static const struct {
        moe_dtype dtype;
        double reduced; /* bytes of the 128 tokens of a sequence */
    } models[] = {{MOE_DTYPE_FP8, 128 * 64 * 2},
                  {MOE_DTYPE_BF16, 128 * 64 * 2},
                  {MOE_DTYPE_F32, 128 * 64 * 4}};
    const moe_gemm_run predictor = {of[0].shape, 1};
    moe_cost cost = by_hand;
    cost.gemm = note_gemm;
    cost.allreduce = note_allreduce;
    cost.attention = note_attention;
    for (size_t i = 0; i < MOE_ARRAY_LEN(models); i++) {
        moe_model model = fixture_model();
        asked a = {.n = 0}, *state = &a;
        const moe_pricer pricer = {
            .cost = &cost, .state = &state, .model = &model, .layout = {4, 2}};
        const moe_layer_work w = {.tokens = 256,
                                  .sequences = 2,
                                  .predict = &predictor,
                                  .n_predict = 1};
        moe_layer_cost out;
        model.shared_experts = 3;
        model.dtype = models[i].dtype;
        moe_layer_cost_common(&pricer, &w, &out);
        ck_assert_double_eq(a.reduced, models[i].reduced);
        ck_assert_int_eq(a.n, MOE_ARRAY_LEN(of));
        for (size_t k = 0; k < MOE_ARRAY_LEN(of); k++) {
            const moe_gemm *s = &a.product[k], *want = &of[k].shape;
            ck_assert_msg(s->m == want->m && s->n == want->n &&
                              s->k == want->k &&
                              s->quantised == want->quantised,
                          "%s: [%g][%g] x [%g], quantised: %d", of[k].name,
                          s->m, s->n, s->k, s->quantised);
        }
    }
}
END_TEST

/* Two GPUs, each the slowest of some stage. */
START_TEST(a_layer_waits_for_the_slowest_gpu_of_each_stage)
{
    moe_layer_cost worst, gpu[2];
    for (int g = 0; g < 2; g++)
        moe_layer_cost_init(&gpu[g]);
    gpu[0].step_s[MOE_STEP_ATTENTION] = 10;
    gpu[0].step_s[MOE_STEP_DISPATCH] = 9, gpu[0].step_s[MOE_STEP_FFN] = 1;
    gpu[0].step_s[MOE_STEP_COMBINE] = 3;
    gpu[0].source[MOE_STEP_DISPATCH] = MOE_PRICE_EXTRAPOLATED;
    gpu[0].wrong_s[MOE_STEP_DISPATCH] = 2;
    gpu[1].step_s[MOE_STEP_ATTENTION] = 8;
    gpu[1].step_s[MOE_STEP_DISPATCH] = 2, gpu[1].step_s[MOE_STEP_FFN] = 7;
    gpu[1].step_s[MOE_STEP_COMBINE] = 4;
    gpu[1].step_s[MOE_STEP_MIGRATE] = 7;
    gpu[1].uses[MOE_STEP_MIGRATE] = MOE_RESOURCE_NETWORK;
    moe_layer_cost_init(&worst);
    for (int g = 0; g < 2; g++) {
        moe_layer_cost *c = &gpu[_i == 0 ? g : 1 - g];
        for (int p = 0; p < MOE_N_PHASES; p++)
            c->most_s[p] = moe_layer_cost_phase_s(c, (moe_phase)p);
        moe_layer_cost_merge(&worst, c);
    }
    ck_assert_double_eq(worst.step_s[MOE_STEP_ATTENTION], 10);
    ck_assert_double_eq(worst.step_s[MOE_STEP_DISPATCH], 9);
    ck_assert_double_eq(worst.step_s[MOE_STEP_FFN], 1);
    ck_assert_double_eq(worst.step_s[MOE_STEP_COMBINE], 4);
    ck_assert_double_eq(worst.step_s[MOE_STEP_MIGRATE], 7);
    ck_assert_uint_eq(worst.uses[MOE_STEP_MIGRATE], MOE_RESOURCE_NETWORK);
    ck_assert_double_eq(worst.most_s[MOE_PHASE_FFN], 7);
    ck_assert_double_eq(worst.wrong_s[MOE_STEP_DISPATCH], 2);
    ck_assert_int_eq(moe_layer_cost_source(&worst, MOE_PHASE_DISPATCH),
                     MOE_PRICE_EXTRAPOLATED);
    ck_assert_int_eq(moe_layer_cost_source(&worst, MOE_PHASE_PREDICT),
                     MOE_N_PRICE_SOURCES);
    /* 6 s more if the FFN waited for its own slowest GPU, too */
    ck_assert_double_eq_tol(moe_layer_cost_barrier_s(&worst), 6, 1e-12);
}
END_TEST

/* Whoever comes first: stages of equal length, made of other steps or on other
 * links. */
START_TEST(equals_are_merged_alike_in_any_order)
{
    moe_layer_cost gpu[2], worst[2];
    for (int g = 0; g < 2; g++) {
        moe_layer_cost_init(&gpu[g]);
        gpu[g].step_s[MOE_STEP_DISPATCH] = 3 + g;
        gpu[g].step_s[MOE_STEP_FFN] = 5 - g;
        gpu[g].step_s[MOE_STEP_MIGRATE] = 7;
        gpu[g].uses[MOE_STEP_MIGRATE] =
            g == 0 ? MOE_RESOURCE_NODE : MOE_RESOURCE_NETWORK;
    }
    for (int order = 0; order < 2; order++) {
        moe_layer_cost_init(&worst[order]);
        moe_layer_cost_merge(&worst[order], &gpu[order]);
        moe_layer_cost_merge(&worst[order], &gpu[1 - order]);
        ck_assert_double_eq(worst[order].step_s[MOE_STEP_DISPATCH], 4);
        ck_assert_double_eq(worst[order].step_s[MOE_STEP_FFN], 4);
        ck_assert_uint_eq(worst[order].uses[MOE_STEP_MIGRATE],
                          MOE_RESOURCE_NODE | MOE_RESOURCE_NETWORK);
    }
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
    MOE_TEST_LOOP(suite, steps_take_what_they_take_by_hand,
                  MOE_ARRAY_LEN(cases));
    MOE_TEST_LOOP(suite, halves_of_a_batch_are_priced_at_their_own_counts, 2);
    MOE_TEST(suite, weights_travel_no_faster_than_they_are_moved);
    MOE_TEST(suite, transfers_use_the_links_that_they_cross);
    MOE_TEST(suite, rows_have_the_width_of_their_transfer);
    MOE_TEST(suite, parts_of_a_layer_have_their_own_width);
    MOE_TEST_LOOP(suite, a_layer_waits_for_the_slowest_gpu_of_each_stage, 2);
    MOE_TEST(suite, equals_are_merged_alike_in_any_order);
    MOE_TEST(suite, scaled_rows_are_whole_and_sum_up);
    return suite;
}
