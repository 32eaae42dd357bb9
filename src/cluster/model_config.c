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
    const json_t *root;
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

static const char *text(const config *c, const char *key)
{
    const char *x = json_string_value(json_object_get(c->root, key));
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

static void take_type(const config *c)
{
    const json_t *q = json_object_get(c->root, "quantization_config");
    const char *method = json_string_value(json_object_get(q, "quant_method"));
    const int64_t bits = json_integer_value(json_object_get(q, "bits"));
    const char *type = text(c, "torch_dtype");
    if (*type == '\0')
        type = text(c, "dtype");
    const bool fp8 = method != NULL && strcmp(method, "fp8") == 0;
    fprintf(c->out, "dtype: %s # %s%s\n",
            fp8                            ? "fp8"
            : strcmp(type, "float32") == 0 ? "f32"
                                           : "bf16",
            fp8 ? "quantization_config " : "torch_dtype ", fp8 ? method : type);
    if (method != NULL && strcmp(method, "mxfp4") == 0)
        fputs("weight_bits: 4.25 # quantization_config mxfp4: blocks of 32 "
              "with a scale of 8 bits\n",
              c->out);
    else if (bits > 0 && bits < 16 && !fp8)
        fprintf(c->out, "weight_bits: %lld # quantization_config bits\n",
                (long long)bits);
    fprintf(c->out, "form: %s # hidden_act %s\n",
            strcmp(text(c, "hidden_act"), "relu") == 0 ? "linear" : "swiglu",
            text(c, "hidden_act"));
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
    config c = {path, json_is_object(inner) ? inner : root,
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
