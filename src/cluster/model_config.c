/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "moegps/mem.h"

#include "model_config.h"

/* A config of Hugging Face's transformers becomes the text of a profile, each
 * line with the key that it was read from: all else is the profile's reader.
 *
 * Keys by the configuration classes of transformers: Mixtral, Qwen2-MoE,
 * Qwen3-MoE, DeepSeek-V2 and -V3, gpt-oss, OLMoE, Llama-4, GLM-4-MoE. */
typedef struct {
    const char *path;
    const json_t *file; /* all of it */
    const json_t *root; /* of the language model: the file, or a part of it */
    FILE *out;
    moe_error *err;
} config;

/* @return the first of these keys that is there, and its name; or NULL. */
static const json_t *first_of(const config *c, const char *const *keys,
                              const char **name_out)
{
    for (; *keys != NULL; keys++) {
        const json_t *x = json_object_get(c->root, *keys);
        if (x != NULL && !json_is_null(x)) {
            *name_out = *keys;
            return x;
        }
    }
    return NULL;
}

/* @return a whole number, or `absent`. A wrong type is refused. */
static int64_t whole(const config *c, const char *const *keys, int64_t absent,
                     const char **name_out)
{
    const json_t *x = first_of(c, keys, name_out);
    if (x == NULL)
        return absent;
    if (!json_is_integer(x)) {
        moe_fail(c->err, MOE_FORMAT, "%s: %s is no whole number", c->path,
                 *name_out);
        return absent;
    }
    return json_integer_value(x);
}

static int64_t one(const config *c, const char *key, int64_t absent)
{
    const char *const keys[] = {key, NULL};
    const char *name = NULL;
    return whole(c, keys, absent, &name);
}

/* What the whole file may say for its language model. */
static const json_t *of_any(const config *c, const char *key)
{
    const json_t *x = json_object_get(c->root, key);
    return x != NULL && !json_is_null(x) ? x : json_object_get(c->file, key);
}

static const char *text(const config *c, const char *key)
{
    const char *x = json_string_value(of_any(c, key));
    return x != NULL ? x : "";
}

static void put(const config *c, const char *key, int64_t value,
                const char *from, ...) __attribute__((format(printf, 4, 5)));
static void put(const config *c, const char *key, int64_t value,
                const char *from, ...)
{
    va_list ap;
    fprintf(c->out, "%s: %lld # ", key, (long long)value);
    va_start(ap, from);
    vfprintf(c->out, from, ap);
    va_end(ap);
    fputc('\n', c->out);
}

/* A key that must be there. */
static int64_t take(const config *c, const char *key, const char *const *keys)
{
    const char *name = NULL;
    const int64_t x = whole(c, keys, -1, &name);
    if (name == NULL)
        moe_fail(c->err, MOE_FORMAT,
                 "%s: has no %s: is it the config of an MoE model?", c->path,
                 keys[0]);
    else
        put(c, key, x, "%s", name);
    return x;
}

/* ---- layers ---- */

static bool is_listed(const json_t *list, int64_t number)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == number)
            return true;
    return false;
}

/* Whether a layer has experts. */
static bool is_moe(const config *c, int64_t layer)
{
    const json_t *listed = json_object_get(c->root, "moe_layers");
    const int64_t step =
        one(c, "decoder_sparse_step", one(c, "interleave_moe_layer_step", 1));
    if (json_is_array(listed))
        return is_listed(listed, layer);
    return layer >= one(c, "first_k_dense_replace", 0) && step > 0 &&
           (layer + 1) % step == 0 &&
           !is_listed(json_object_get(c->root, "mlp_only_layers"), layer);
}

/* Experts have a width of their own where there are dense layers; Llama-4
 * names that of the latter. */
static void take_dense(const config *c, int64_t layers)
{
    static const char *const widths[] = {"intermediate_size_mlp",
                                         "intermediate_size", NULL};
    const char *name = NULL;
    const int64_t width = whole(c, widths, 0, &name);
    if (layers < 1 || width < 1)
        return;
    put(c, "dense_layers", layers, "num_hidden_layers less MoE layers");
    put(c, "dense_intermediate", width, "%s", name);
}

static void take_layers(const config *c)
{
    static const char *const keys[] = {"num_hidden_layers", NULL};
    const char *name = keys[0];
    const int64_t all = whole(c, keys, -1, &name);
    int64_t n = 0, first = -1, last = -1;
    if (all < 1 || all > 10000) {
        moe_fail(c->err, MOE_FORMAT, "%s: num_hidden_layers is not in 1..10000",
                 c->path);
        return;
    }
    for (int64_t l = 0; l < all; l++)
        if (is_moe(c, l)) {
            first = first < 0 ? l : first;
            last = l;
            n++;
        }
    if (n == 0) {
        moe_fail(c->err, MOE_FORMAT, "%s: none of %lld layers has experts",
                 c->path, (long long)all);
        return;
    }
    put(c, "layers", n, "num_hidden_layers %lld less %lld dense",
        (long long)all, (long long)(all - n));
    put(c, "first_layer", first, "number of the first MoE layer");
    take_dense(c, all - n);
    if (n > 1 && (last - first) % (n - 1) == 0)
        put(c, "layer_step", (last - first) / (n - 1),
            "from MoE layer to MoE layer");
}

/* ---- the rest ---- */

static void take_experts(const config *c)
{
    static const char *const experts[] = {"n_routed_experts", "num_experts",
                                          "num_local_experts",
                                          "moe_num_experts", NULL};
    static const char *const top_k[] = {"num_experts_per_tok", "moe_topk",
                                        "experts_per_token", "moe_k", NULL};
    static const char *const inter[] = {"moe_intermediate_size",
                                        "intermediate_size", NULL};
    take(c, "experts", experts);
    take(c, "top_k", top_k);
    const int64_t width = take(c, "intermediate", inter);
    const int64_t shared = one(c, "n_shared_experts", 0);
    const int64_t shared_width = one(c, "shared_expert_intermediate_size", 0);
    if (shared > 0)
        put(c, "shared_experts", shared, "n_shared_experts");
    else if (shared_width > 0 && width > 0)
        put(c, "shared_experts", (shared_width + width - 1) / width,
            "shared_expert_intermediate_size %lld over %lld",
            (long long)shared_width, (long long)width);
    else if (strncmp(text(c, "model_type"), "llama4", 6) == 0)
        put(c, "shared_experts", 1, "model_type llama4 has one");
}

/* Multi-head latent attention has no key and value heads: as many as keep the
 * numbers of a token that it caches. */
static void take_latent(const config *c, int64_t heads)
{
    const int64_t latent = one(c, "kv_lora_rank", 0);
    const int64_t width = one(c, "v_head_dim", 128);
    const int64_t kept = latent + one(c, "qk_rope_head_dim", 0);
    int64_t kv = 1;
    while (width > 0 && kv < heads && heads % (2 * kv) == 0 &&
           2 * width * 2 * kv <= kept)
        kv *= 2;
    put(c, "kv_heads", kv, "stands in for kv_lora_rank %lld + qk_rope_head_dim",
        (long long)latent);
    put(c, "head_dim", width, "v_head_dim");
    static const char *const ranks[] = {"kv_lora_rank", "q_lora_rank",
                                        "qk_rope_head_dim", "qk_nope_head_dim",
                                        "v_head_dim"};
    const bool all = one(c, "qk_rope_head_dim", 0) > 0 &&
                     one(c, "qk_nope_head_dim", 0) > 0 &&
                     one(c, "v_head_dim", 0) > 0;
    for (size_t i = 0; i < MOE_ARRAY_LEN(ranks); i++)
        if (all && one(c, ranks[i], 0) > 0)
            put(c, ranks[i], one(c, ranks[i], 0), "%s", ranks[i]);
}

static void take_attention(const config *c)
{
    static const char *const heads_key[] = {"num_attention_heads", NULL};
    static const char *const hidden_key[] = {"hidden_size", NULL};
    const int64_t hidden = take(c, "hidden", hidden_key);
    const int64_t heads = take(c, "heads", heads_key);
    const int64_t kv = one(c, "num_key_value_heads", heads);
    const int64_t width = one(c, "head_dim", 0);
    if (c->err->status != MOE_OK || heads < 1)
        return;
    if (one(c, "kv_lora_rank", 0) > 0) {
        take_latent(c, heads);
        return;
    }
    put(c, "kv_heads", kv, "num_key_value_heads");
    put(c, "head_dim", width > 0 ? width : hidden / heads, "%s",
        width > 0 ? "head_dim" : "hidden_size / num_attention_heads");
}

/* How weights are quantized. */
typedef struct {
    bool fp8;
    double bits; /* of a weight with its scales; 0: as the type */
} quantized;

/* A scale has 16 bits, for a group of weights or for very many. */
static double with_scale(int64_t bits, int64_t group)
{
    return (double)bits + (group > 0 ? 16.0 / (double)group : 0);
}

/* compressed-tensors: groups of modules, of which the first counts. */
static quantized of_groups(const json_t *q)
{
    const json_t *groups = json_object_get(q, "config_groups");
    const json_t *group =
        json_object_iter_value(json_object_iter((json_t *)groups));
    const json_t *weights = json_object_get(group, "weights");
    const char *type = json_string_value(json_object_get(weights, "type"));
    const int64_t bits =
        json_integer_value(json_object_get(weights, "num_bits"));
    const int64_t size =
        json_integer_value(json_object_get(weights, "group_size"));
    const bool rows =
        json_is_object(json_object_get(group, "input_activations"));
    if (bits == 8 && rows && type != NULL && strcmp(type, "float") == 0)
        return (quantized){.fp8 = true};
    if (bits == 4 && type != NULL && strcmp(type, "float") == 0)
        return (quantized){.bits = 4.5}; /* nvfp4: 16 with a scale of 8 bits */
    return (quantized){.bits = bits > 0 ? with_scale(bits, size) : 0};
}

/* @return nothing quantized where there is no method. */
static quantized quantization(const config *c, const char **method_out)
{
    const json_t *q = of_any(c, "quantization_config");
    const char *method = json_string_value(json_object_get(q, "quant_method"));
    const char *algo = json_string_value(json_object_get(q, "quant_algo"));
    const int64_t bits = json_integer_value(json_object_get(q, "bits"));
    const int64_t group = json_integer_value(json_object_get(q, "group_size"));
    quantized found = {.bits = 0};
    *method_out = method;
    if (method == NULL)
        return found;
    if (strcmp(method, "fp8") == 0 || strcmp(method, "fbgemm_fp8") == 0)
        found.fp8 = true;
    else if (strcmp(method, "mxfp4") == 0)
        found.bits = 4.25; /* 32 with a scale of 8 bits */
    else if (strcmp(method, "compressed-tensors") == 0)
        found = of_groups(q);
    else if (algo != NULL && strcmp(algo, "FP8") == 0)
        found.fp8 = true;
    else if (algo != NULL && strcmp(algo, "NVFP4") == 0)
        found.bits = 4.5;
    else if (bits > 0 && bits <= 8)
        found.bits = with_scale(bits, group);
    if (!found.fp8 && !(found.bits > 0 && found.bits < 32))
        moe_fail(c->err, MOE_FORMAT,
                 "%s: quantization_config: '%.40s' does not say how many bits "
                 "a weight has (fp8, mxfp4, compressed-tensors, modelopt, awq "
                 "and gptq do): without it weights are as torch_dtype",
                 c->path, method);
    return found;
}

static void take_type(const config *c)
{
    const char *method = NULL, *act = text(c, "hidden_act");
    const quantized q = quantization(c, &method);
    const char *key = *text(c, "torch_dtype") != '\0' ? "torch_dtype" : "dtype";
    const char *type = text(c, key);
    if (q.fp8)
        fprintf(c->out, "dtype: fp8 # quantization_config %s\n", method);
    else
        fprintf(c->out, "dtype: %s # %s\n",
                strcmp(type, "float32") == 0 ? "f32" : "bf16",
                *type != '\0' ? type : "no torch_dtype");
    if (q.bits > 0)
        fprintf(c->out,
                "weight_bits: %.9g # quantization_config %s, with scales\n",
                q.bits, method);
    fprintf(c->out, "form: %s # %s\n",
            strcmp(act, "relu") == 0 ? "linear" : "swiglu",
            *act != '\0' ? act : "no hidden_act");
}

/* What is there and is not priced. */
static void note_windows(const config *c)
{
    const json_t *use = json_object_get(c->root, "use_sliding_window");
    const int64_t window = one(c, "sliding_window", 0);
    if (window > 0 && !json_is_false(use))
        fprintf(c->out,
                "# sliding_window %lld: attention is priced as full in all "
                "layers\n",
                (long long)window);
}

/* The folder that config.json lies in is what people call the model. */
static void take_name(const config *c)
{
    const char *slash = strrchr(c->path, '/');
    const char *start = slash;
    while (start != NULL && start > c->path && start[-1] != '/')
        start--;
    const int n = slash != NULL ? (int)(slash - start) : 0;
    const char *name = text(c, "_name_or_path");
    const char *last = strrchr(name, '/');
    if (last != NULL)
        name = last + 1;
    if (*name == '\0' && n > 0 && *start != '.')
        fprintf(c->out, "name: \"%.*s\"\n", n < 60 ? n : 60, start);
    else
        fprintf(c->out, "name: \"%.60s\"\n",
                *name != '\0' ? name : text(c, "model_type"));
}

/* A profile may be one line of YAML in braces; its keys have no quotes. */
bool moe_model_is_config(const char *text_of_file)
{
    static const char blanks[] = " \n\r\t";
    const char *at = text_of_file + strspn(text_of_file, blanks);
    return *at == '{' && strchr("\"}", at[1 + strspn(at + 1, blanks)]) != NULL;
}

char *moe_model_config_profile(const char *text_of_file, const char *path,
                               moe_error *err)
{
    json_error_t why;
    moe_error local = {0};
    char *profile = NULL;
    size_t size = 0;
    json_t *root = json_loads(text_of_file, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        moe_fail(err, MOE_FORMAT, "%s:%d:%d: %s", path, why.line, why.column,
                 why.text);
        return NULL;
    }
    const json_t *inner = json_object_get(root, "text_config");
    config c = {path, root, json_is_object(inner) ? inner : root,
                open_memstream(&profile, &size), &local};
    if (c.out == NULL)
        moe_fail(&local, MOE_NOMEM, "out of memory");
    if (local.status == MOE_OK) {
        fputs("# Of a Hugging Face config.\n", c.out);
        take_name(&c);
        take_layers(&c);
        take_experts(&c);
        take_attention(&c);
        if (one(&c, "vocab_size", 0) > 0)
            put(&c, "vocab", one(&c, "vocab_size", 0), "vocab_size");
        take_type(&c);
        note_windows(&c);
        fprintf(c.out, "origin: \"Hugging Face config %.180s\"\n", path);
        fclose(c.out);
    }
    json_decref(root);
    if (local.status == MOE_OK)
        return profile;
    free(profile);
    moe_pass(err, &local);
    return NULL;
}
