/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/model.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/cluster.h"
#include "moegps/mem.h"

/* A valid model; tests append or replace lines. */
#define SIZES "layers: 2\nhidden: 64\nintermediate: 128\nheads: 8\n"
#define MODEL SIZES "experts: 8\ntop_k: 2\nkv_heads: 2\nhead_dim: 8\n"

static const struct {
    const char *text, *complaint; /* parts of it, joined by '|' */
} bad_models[] = {
    {SIZES "experts: 8\ntop_k: 9\nkv_heads: 2\nhead_dim: 8\n",
     "m.yaml:6: |top_k|9 of 8|1..8"},
    {SIZES "experts: 8\ntop_k: 2\nkv_heads: 3\nhead_dim: 8\n",
     "m.yaml:7: |kv_heads|3 does not divide heads = 8"},
    {MODEL "colour: blue\n", "m.yaml:9: |unknown key 'colour'|experts"},
    {MODEL "dtype: int4\n", "m.yaml:9: |int4|bf16, f32, fp8"},
    {MODEL "shared_experts: -1\n", "shared_experts|-1|0..64"},
    {MODEL "weight_bits: many\n", "weight_bits|many"},
    {SIZES, "experts|missing"},
    {MODEL "layers: 3\n", "layers|twice"},
    {"- 1\n- 2\n", "m.yaml:1"},
    {"", "empty"},
};

static void check_parts(const char *text, const char *parts)
{
    char copy[256], *rest = copy, *part;
    snprintf(copy, sizeof copy, "%s", parts);
    while ((part = strsep(&rest, "|")) != NULL)
        ck_assert_msg(strstr(text, part) != NULL, "'%s' lacks '%s'", text,
                      part);
}

START_TEST(bad_model_is_refused_with_its_line)
{
    moe_model model = {.layers = 77};
    moe_error err = {0};
    ck_assert_int_eq(
        moe_model_parse(bad_models[_i].text, "m.yaml", &model, &err),
        MOE_USAGE);
    check_parts(err.text, bad_models[_i].complaint);
    ck_assert_int_eq(model.layers, 77); /* untouched */
}
END_TEST

START_TEST(model_is_named_after_its_file)
{
    moe_model model;
    moe_error err = {0};
    moe_model_parse(MODEL, "a/b.c/llama-3.5b.yaml", &model, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(model.name, "llama-3.5b");
    moe_model_parse(MODEL "name: mine\n", "x.yaml", &model, &err);
    ck_assert_str_eq(model.name, "mine");
}
END_TEST

static const struct {
    const char *more;
    double expert_bytes, pair_flops;
} sizes[] = {
    {"", 3 * 64 * 128 * 2, 6 * 64 * 128},
    {"dtype: f32\n", 3 * 64 * 128 * 4, 6 * 64 * 128},
    {"dtype: fp8\n", 3 * 64 * 128, 6 * 64 * 128},
    {"form: linear\n", 2 * 64 * 128 * 2, 4 * 64 * 128},
    {"weight_bits: 4.25\n", 3 * 64 * 128 * 0.53125, 6 * 64 * 128},
};

START_TEST(sizes_of_an_expert_follow_type_and_form)
{
    char text[512];
    moe_model model;
    moe_error err = {0};
    snprintf(text, sizeof text, "%s%s", MODEL, sizes[_i].more);
    moe_model_parse(text, "m.yaml", &model, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_double_eq(moe_model_expert_bytes(&model), sizes[_i].expert_bytes);
    ck_assert_double_eq(moe_model_pair_flops(&model), sizes[_i].pair_flops);
}
END_TEST

#define CLUSTER                                                         \
    "gpu: a100_sxm\ngpus_per_node: 4\nmemory_bytes: 80e9\n"             \
    "memory_bandwidth: 2e12\npeak_flops: 312e12\nvector_flops: 78e12\n" \
    "sms: 108\ntile_m: 32\ntile_n: 32\nlink_bandwidth: 300e9\n"         \
    "link_latency_s: 1e-6\nnetwork_bandwidth: 25e9\n"                   \
    "network_latency_s: 5e-6\n"

static const struct {
    const char *more, *complaint;
} bad_clusters[] = {
    {"cost: guess\n", "c.yaml:14: |guess|analytic"},
    {"link_topology: torus\n", "torus|switch, ring, mesh"},
    {"link_efficiency: 90\n", "link_efficiency|0.01..1"},
    {"launch_s: 6\n", "launch_s|0.01"}, /* microseconds, surely */
};

START_TEST(bad_cluster_is_refused)
{
    char text[1024];
    moe_cluster cluster;
    moe_error err = {0};
    snprintf(text, sizeof text, "%s%s", CLUSTER, bad_clusters[_i].more);
    ck_assert_int_eq(moe_cluster_parse(text, "c.yaml", &cluster, &err),
                     MOE_USAGE);
    check_parts(err.text, bad_clusters[_i].complaint);
}
END_TEST

START_TEST(cluster_defaults_are_ideal)
{
    moe_cluster c;
    moe_error err = {0};
    moe_cluster_parse(CLUSTER, "c.yaml", &c, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(c.name, "c");
    ck_assert_str_eq(c.cost, "analytic");
    ck_assert_double_eq(c.compute_efficiency, 1);
    ck_assert_double_eq(c.link_efficiency, 1);
    ck_assert_double_eq(c.launch_s, 0);
    ck_assert_int_eq(c.link_topology, MOE_LINK_SWITCH);
}
END_TEST

START_TEST(what_is_no_profile_is_not_read)
{
    moe_model model = {.name = "untouched"};
    moe_cluster cluster = {.name = "untouched"};
    moe_error err = {0};
    ck_assert_int_eq(moe_model_read("gpt-0", &model, &err), MOE_USAGE);
    check_parts(err.text, "gpt-0|mixtral-8x7b");
    err = (moe_error){0};
    ck_assert_int_eq(
        moe_cluster_read("jobs/models/mixtral-8x7b.yaml", &cluster, &err),
        MOE_USAGE);
    check_parts(err.text, "mixtral-8x7b.yaml:");
    ck_assert_str_eq(model.name, "untouched");
    ck_assert_str_eq(cluster.name, "untouched");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("model");
    MOE_TEST_LOOP(suite, bad_model_is_refused_with_its_line,
                  MOE_ARRAY_LEN(bad_models));
    MOE_TEST(suite, model_is_named_after_its_file);
    MOE_TEST_LOOP(suite, sizes_of_an_expert_follow_type_and_form,
                  MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, bad_cluster_is_refused, MOE_ARRAY_LEN(bad_clusters));
    MOE_TEST(suite, cluster_defaults_are_ideal);
    MOE_TEST(suite, what_is_no_profile_is_not_read);
    return suite;
}
