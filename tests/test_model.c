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

/* Configs of Hugging Face, what of them matters, and what it means. */
static const struct {
    const char *json;
    moe_model model;
    int last;
} configs[] = {
    {"{\"model_type\": \"mixtral\", \"num_hidden_layers\": 32, "
     "\"num_local_experts\": 8, \"num_experts_per_tok\": 2, \"hidden_size\": "
     "4096, \"intermediate_size\": 14336, \"num_attention_heads\": 32, "
     "\"num_key_value_heads\": 8, \"head_dim\": null, \"hidden_act\": "
     "\"silu\", \"torch_dtype\": \"bfloat16\"}",
     {"mixtral", 32, 0, 1, 8, 2, 4096, 14336, 0, 32, 8, 128, MOE_DTYPE_BF16, 0,
      MOE_FFN_SWIGLU, "", .vocab = 0},
     31},
    {"{\"model_type\": \"qwen2_moe\", \"num_hidden_layers\": 24, "
     "\"num_experts\": 60, \"num_experts_per_tok\": 4, \"hidden_size\": 2048, "
     "\"intermediate_size\": 5632, \"moe_intermediate_size\": 1408, "
     "\"shared_expert_intermediate_size\": 5632, \"decoder_sparse_step\": 1, "
     "\"mlp_only_layers\": [0], \"num_attention_heads\": 16, "
     "\"num_key_value_heads\": 16, \"torch_dtype\": \"float32\"}",
     {"qwen2_moe", 23, 1, 1, 60, 4, 2048, 1408, 4, 16, 16, 128, MOE_DTYPE_F32,
      0, MOE_FFN_SWIGLU, "", .dense_layers = 1, .dense_intermediate = 5632},
     23},
    {"{\"model_type\": \"deepseek_v3\", \"num_hidden_layers\": 61, "
     "\"first_k_dense_replace\": 3, \"n_routed_experts\": 256, "
     "\"num_experts_per_tok\": 8, \"hidden_size\": 7168, "
     "\"intermediate_size\": 18432, \"moe_intermediate_size\": 2048, "
     "\"n_shared_experts\": 1, \"num_attention_heads\": 128, "
     "\"num_key_value_heads\": 128, \"kv_lora_rank\": 512, "
     "\"q_lora_rank\": 1536, \"qk_nope_head_dim\": 128, \"vocab_size\": "
     "129280, "
     "\"qk_rope_head_dim\": 64, \"v_head_dim\": 128, \"torch_dtype\": "
     "\"bfloat16\", \"quantization_config\": {\"quant_method\": \"fp8\"}}",
     {"deepseek_v3",
      58,
      3,
      1,
      256,
      8,
      7168,
      2048,
      1,
      128,
      2,
      128,
      MOE_DTYPE_FP8,
      0,
      MOE_FFN_SWIGLU,
      "",
      .kv_lora_rank = 512,
      .q_lora_rank = 1536,
      .qk_rope_head_dim = 64,
      .qk_nope_head_dim = 128,
      .v_head_dim = 128,
      .dense_layers = 3,
      .dense_intermediate = 18432,
      .vocab = 129280},
     60},
    {"{\"model_type\": \"gpt_oss\", \"num_hidden_layers\": 24, "
     "\"num_local_experts\": 32, \"experts_per_token\": 4, \"hidden_size\": "
     "2880, \"intermediate_size\": 2880, \"num_attention_heads\": 64, "
     "\"num_key_value_heads\": 8, \"head_dim\": 64, "
     "\"quantization_config\": {\"quant_method\": \"mxfp4\"}}",
     {"gpt_oss", 24, 0, 1, 32, 4, 2880, 2880, 0, 64, 8, 64, MOE_DTYPE_BF16,
      4.25, MOE_FFN_SWIGLU, "", .vocab = 0},
     23},
    {"{\"model_type\": \"olmoe\", \"num_hidden_layers\": 16, "
     "\"num_experts\": 64, \"num_experts_per_tok\": 8, \"hidden_size\": 2048, "
     "\"intermediate_size\": 1024, \"num_attention_heads\": 16, "
     "\"num_key_value_heads\": 16}",
     {"olmoe", 16, 0, 1, 64, 8, 2048, 1024, 0, 16, 16, 128, MOE_DTYPE_BF16, 0,
      MOE_FFN_SWIGLU, "", .vocab = 0},
     15},
    {"{\"model_type\": \"llama4\", \"text_config\": {\"model_type\": "
     "\"llama4_text\", \"num_hidden_layers\": 48, \"num_local_experts\": 128, "
     "\"num_experts_per_tok\": 1, \"interleave_moe_layer_step\": 2, "
     "\"hidden_size\": 5120, \"intermediate_size\": 8192, "
     "\"num_attention_heads\": 40, \"num_key_value_heads\": 8, \"head_dim\": "
     "128}}",
     {"llama4_text", 24, 1, 2, 128, 1, 5120, 8192, 1, 40, 8, 128,
      MOE_DTYPE_BF16, 0, MOE_FFN_SWIGLU, "", .dense_layers = 24,
      .dense_intermediate = 8192},
     47},
    {"{\"model_type\": \"glm4_moe\", \"num_hidden_layers\": 46, "
     "\"first_k_dense_replace\": 1, \"n_routed_experts\": 128, "
     "\"num_experts_per_tok\": 8, \"hidden_size\": 4096, "
     "\"moe_intermediate_size\": 1408, \"n_shared_experts\": 1, "
     "\"num_attention_heads\": 96, \"num_key_value_heads\": 8, \"head_dim\": "
     "128}",
     {"glm4_moe", 45, 1, 1, 128, 8, 4096, 1408, 1, 96, 8, 128, MOE_DTYPE_BF16,
      0, MOE_FFN_SWIGLU, "", .vocab = 0},
     45},
};

START_TEST(config_of_hugging_face_is_a_model)
{
    moe_model m;
    moe_error err = {0};
    const moe_model *want = &configs[_i].model;
    moe_model_parse(configs[_i].json, "config.json", &m, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(m.name, want->name);
    const int got[] = {m.layers,
                       m.first_layer,
                       m.layer_step,
                       m.experts,
                       m.top_k,
                       m.hidden,
                       m.intermediate,
                       m.shared_experts,
                       m.heads,
                       m.kv_heads,
                       m.head_dim,
                       (int)m.dtype,
                       (int)m.form,
                       m.kv_lora_rank,
                       m.q_lora_rank,
                       m.qk_rope_head_dim,
                       m.qk_nope_head_dim,
                       m.v_head_dim,
                       m.dense_layers,
                       m.dense_intermediate,
                       m.vocab};
    const int wanted[] = {want->layers,
                          want->first_layer,
                          want->layer_step,
                          want->experts,
                          want->top_k,
                          want->hidden,
                          want->intermediate,
                          want->shared_experts,
                          want->heads,
                          want->kv_heads,
                          want->head_dim,
                          (int)want->dtype,
                          (int)want->form,
                          want->kv_lora_rank,
                          want->q_lora_rank,
                          want->qk_rope_head_dim,
                          want->qk_nope_head_dim,
                          want->v_head_dim,
                          want->dense_layers,
                          want->dense_intermediate,
                          want->vocab};
    for (size_t i = 0; i < MOE_ARRAY_LEN(got); i++)
        ck_assert_msg(got[i] == wanted[i], "%s: number %zu is %d, not %d",
                      m.name, i, got[i], wanted[i]);
    ck_assert_double_eq(m.weight_bits, want->weight_bits);
    ck_assert_int_eq(moe_model_last_layer(&m), configs[_i].last);
}
END_TEST

/* Quantized weights, of the whole file or of its language model. */
static const struct {
    const char *json; /* quantization_config */
    moe_dtype dtype;
    double weight_bits;
} quantized[] = {
    {"null", MOE_DTYPE_BF16, 0},
    {"{\"quant_method\": \"fp8\"}", MOE_DTYPE_FP8, 0},
    {"{\"quant_method\": \"fbgemm_fp8\"}", MOE_DTYPE_FP8, 0},
    {"{\"quant_method\": \"mxfp4\"}", MOE_DTYPE_BF16, 4.25},
    {"{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128}",
     MOE_DTYPE_BF16, 4.125},
    {"{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": -1}",
     MOE_DTYPE_BF16, 4},
    {"{\"quant_method\": \"modelopt\", \"quant_algo\": \"FP8\"}", MOE_DTYPE_FP8,
     0},
    {"{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\"}",
     MOE_DTYPE_BF16, 4.5},
    {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": "
     "{\"group_0\": {\"weights\": {\"num_bits\": 8, \"type\": \"float\"}, "
     "\"input_activations\": {\"num_bits\": 8}}}}",
     MOE_DTYPE_FP8, 0},
    {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": "
     "{\"group_0\": {\"weights\": {\"num_bits\": 4, \"type\": \"int\", "
     "\"group_size\": 32}, \"input_activations\": null}}}",
     MOE_DTYPE_BF16, 4.5},
    {"{\"quant_method\": \"compressed-tensors\", \"config_groups\": "
     "{\"group_0\": {\"weights\": {\"num_bits\": 8, \"type\": \"int\"}}}}",
     MOE_DTYPE_BF16, 8}};

START_TEST(quantized_weights_have_their_bits)
{
    static const char body[] =
        "\"num_hidden_layers\": 16, \"num_experts\": 64, "
        "\"num_experts_per_tok\": 8, \"hidden_size\": 2048, "
        "\"intermediate_size\": 1024, \"num_attention_heads\": 16";
    for (int nested = 0; nested < 2; nested++) {
        char json[1024];
        moe_model m;
        moe_error err = {0};
        snprintf(json, sizeof json,
                 nested ? "{\"model_type\": \"x\", \"text_config\": {%s}, "
                          "\"quantization_config\": %s}"
                        : "{\"model_type\": \"x\", %s, "
                          "\"quantization_config\": %s}",
                 body, quantized[_i].json);
        moe_model_parse(json, "config.json", &m, &err);
        ck_assert_msg(err.status == MOE_OK, "%s", err.text);
        ck_assert_int_eq(m.dtype, quantized[_i].dtype);
        ck_assert_double_eq(m.weight_bits, quantized[_i].weight_bits);
    }
}
END_TEST

static const struct {
    const char *json, *complaint;
} bad_configs[] = {
    {"{", "config.json:1:"},
    {"{}", "num_hidden_layers is not in 1..10000"},
    {"{\"num_hidden_layers\": 2}", "has no n_routed_experts: is it the config"},
    {"{\"num_hidden_layers\": \"2\"}", "num_hidden_layers is no whole number"},
    {"{\"num_hidden_layers\": 2, \"first_k_dense_replace\": 2}",
     "none of 2 layers has experts"},
    {"{\"model_type\": \"x\", \"num_hidden_layers\": 2, \"num_experts\": 4, "
     "\"num_experts_per_tok\": 2, \"hidden_size\": 64, "
     "\"intermediate_size\": 64, \"num_attention_heads\": 2, "
     "\"quantization_config\": {\"quant_method\": \"other\"}}",
     "quantization_config: 'other' does not say how many bits"},
};

START_TEST(config_that_is_none_of_an_moe_model_is_refused)
{
    moe_model m;
    moe_error err = {0};
    ck_assert_int_eq(
        moe_model_parse(bad_configs[_i].json, "config.json", &m, &err),
        MOE_FORMAT);
    check_parts(err.text, bad_configs[_i].complaint);
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
    MOE_TEST_LOOP(suite, config_of_hugging_face_is_a_model,
                  MOE_ARRAY_LEN(configs));
    MOE_TEST_LOOP(suite, quantized_weights_have_their_bits,
                  MOE_ARRAY_LEN(quantized));
    MOE_TEST_LOOP(suite, config_that_is_none_of_an_moe_model_is_refused,
                  MOE_ARRAY_LEN(bad_configs));
    MOE_TEST(suite, model_is_named_after_its_file);
    MOE_TEST_LOOP(suite, sizes_of_an_expert_follow_type_and_form,
                  MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, bad_cluster_is_refused, MOE_ARRAY_LEN(bad_clusters));
    MOE_TEST(suite, cluster_defaults_are_ideal);
    MOE_TEST(suite, what_is_no_profile_is_not_read);
    return suite;
}
