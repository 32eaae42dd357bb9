/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/model_price.h"

#include <math.h>

#include "harness.h"
#include "pricing.h"

/* A model on a cluster, all GPUs in nodes of 8. */
typedef struct {
    pricing p;
    moe_pricer pricer;
    moe_serving_cost *c;
} deployment;

static void deploy(deployment *d, const char *model, const char *cluster,
                   int gpus, const moe_serving *s)
{
    moe_error err = {0};
    pricing_read(&d->p, model, cluster);
    ck_assert_int_eq(pricing_open(&d->p, NULL, &err), MOE_OK);
    d->pricer = pricing_on(&d->p, gpus, 8);
    ck_assert_int_eq(moe_serving_cost_new(s, &d->p.model, &d->p.cluster,
                                          &d->pricer.layout, &d->c, &err),
                     MOE_OK);
    d->pricer.serving = d->c;
}

static void leave(deployment *d)
{
    moe_serving_cost_free(d->c);
    pricing_close(&d->p);
}

/* Parameters and bytes of a cached token as published: DeepSeek-V3 has 671e9
 * (arXiv 2412.19437) and 70.272 kB (arXiv 2505.09343, table 1); Mixtral 8x7B
 * 46.7e9 (arXiv 2401.04088). A head of bf16 and the embedding count twice in a
 * model of fp8. */
static const struct {
    const char *model;
    double parameters, twice, bytes, kv_bytes;
} published[] = {{"deepseek-v3", 671e9, 2 * 129280 * 7168.0, 1, 70272},
                 {"mixtral-8x7b", 46.7e9, 0, 2, 131072}};

START_TEST(weights_and_cache_are_as_published)
{
    const moe_serving s = {.attention = MOE_SERVE_DATA};
    deployment d;
    moe_model_memory m;
    deploy(&d, published[_i].model, "h100-nvlink", 1, &s);
    moe_model_memory_of(&d.pricer, &d.p.cluster, d.p.model.experts, 4096, &m);
    const double weights = m.expert_bytes + m.other_bytes;
    ck_assert_double_eq_tol(
        (weights / published[_i].bytes - published[_i].twice) /
            published[_i].parameters,
        1, 0.005);
    ck_assert_double_eq(m.kv_token_bytes, published[_i].kv_bytes);
    ck_assert_double_eq(m.copy_bytes, 0);
    ck_assert_double_lt(m.room_bytes, 0);
    ck_assert_double_eq(m.sequences, 0);
    leave(&d);
}
END_TEST

/* A latent is cached by every GPU, heads are shared. */
START_TEST(copies_take_room_from_the_cache)
{
    const moe_serving s = {
        .phase = MOE_SERVE_DECODE, .attention = MOE_SERVE_DATA, .kv_len = 4096};
    deployment d;
    moe_model_memory m[2];
    deploy(&d, "deepseek-v3", "h100-nvlink", 32, &s);
    for (int i = 0; i < 2; i++)
        moe_model_memory_of(&d.pricer, &d.p.cluster, 8 + i, 4096, &m[i]);
    ck_assert_double_eq(m[1].copy_bytes,
                        58 * moe_model_expert_bytes(&d.p.model));
    ck_assert_double_eq_tol(m[0].room_bytes - m[1].room_bytes, m[1].copy_bytes,
                            1);
    ck_assert_double_eq_tol(m[0].sequences - m[1].sequences,
                            m[1].copy_bytes / 4096 / 70272, 1);
    leave(&d);
}
END_TEST

/* Tensor parallelism divides heads and dense layers among a node. */
START_TEST(a_node_shares_what_it_divides)
{
    const moe_serving data = {.attention = MOE_SERVE_DATA};
    const moe_serving tensor = {.phase = MOE_SERVE_DECODE, .kv_len = 128};
    static const struct {
        const char *model;
        double kv; /* of a GPU that shares over one that does not */
    } of[] = {{"deepseek-v3", 1}, {"mixtral-8x7b", 1.0 / 8}};
    for (int i = 0; i < 2; i++) {
        deployment one, all;
        moe_model_memory a, b;
        deploy(&one, of[i].model, "h100-nvlink", 8, &data);
        deploy(&all, of[i].model, "h100-nvlink", 8, &tensor);
        moe_model_memory_of(&one.pricer, &one.p.cluster, 32, 128, &a);
        moe_model_memory_of(&all.pricer, &all.p.cluster, 32, 128, &b);
        ck_assert_double_eq_tol(b.kv_token_bytes / a.kv_token_bytes, of[i].kv,
                                1e-9);
        ck_assert_double_lt(b.other_bytes, a.other_bytes);
        leave(&one);
        leave(&all);
    }
}
END_TEST

/* 3 of 61 layers are dense, and have the attention of the others. */
START_TEST(a_model_is_its_layers_and_a_head)
{
    const moe_serving s = {.attention = MOE_SERVE_DATA};
    deployment d;
    moe_model_rest rest, dense;
    deploy(&d, "deepseek-v3", "h100-nvlink", 32, &s);
    const moe_layer_work w = {.tokens = 32 * 4 * 4096, .sequences = 128};
    moe_model_rest_of(&d.pricer, w.tokens, w.sequences, &rest);
    const double attention_s = moe_layer_attention_s(&d.pricer, &w);
    ck_assert_double_gt(rest.dense_s, 3 * attention_s);
    ck_assert_double_lt(rest.dense_s, 3 * 2 * attention_s);
    ck_assert_double_gt(rest.head_s, 0); /* of four tokens: reads its weights */
    ck_assert_double_gt(rest.head_s, 2 * 129280 * 7168.0 / 3.35e12);
    ck_assert_double_lt(rest.head_s, 2e-3);
    const moe_model_time t =
        moe_model_time_of(&d.pricer, &rest, 0.04, w.tokens);
    ck_assert_double_eq_tol(t.time_s, 58 * 0.04 + rest.dense_s + rest.head_s,
                            1e-12);
    ck_assert_double_eq_tol(t.rate, 4 * 4096 / t.time_s, 1e-6);
    ck_assert_double_eq_tol(t.share, 58 * 0.04 / t.time_s, 1e-12);
    d.p.model.dense_layers = d.p.model.vocab = 0;
    moe_model_rest_of(&d.pricer, w.tokens, 128, &dense);
    ck_assert(!(dense.dense_s > 0) && !(dense.head_s > 0));
    leave(&d);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("model_price");
    MOE_TEST_LOOP(suite, weights_and_cache_are_as_published, 2);
    MOE_TEST(suite, copies_take_room_from_the_cache);
    MOE_TEST(suite, a_node_shares_what_it_divides);
    MOE_TEST(suite, a_model_is_its_layers_and_a_head);
    return suite;
}
