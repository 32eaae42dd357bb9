/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "model_config.h"
#include "moegps/conf.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/profile_set.h"
#include "moegps/trace.h"

static const char *const dtypes[] = {[MOE_DTYPE_BF16] = "bf16",
                                     [MOE_DTYPE_F32] = "f32",
                                     [MOE_DTYPE_FP8] = "fp8",
                                     NULL};

static const char *const forms[] = {
    [MOE_FFN_SWIGLU] = "swiglu", [MOE_FFN_LINEAR] = "linear", NULL};

/* Upper limits are far above any model known; they catch a slipped key. */
const moe_opt moe_model_options[] = {
    {.key = "name",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_model, name),
     .help = "name of the model; empty: the file's"},
    {.key = "layers",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 1000,
     MOE_OPT_AT(moe_model, layers),
     .help = "MoE layers; dense layers are not run"},
    {.key = "first_layer",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1000,
     MOE_OPT_AT(moe_model, first_layer),
     .help = "number of the first MoE layer, behind dense ones"},
    {.key = "layer_step",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "1",
     .min = 1,
     .max = 1000,
     MOE_OPT_AT(moe_model, layer_step),
     .help = "from MoE layer to MoE layer; 2: every other layer is dense"},
    {.key = "experts",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = MOE_MAX_EXPERTS,
     MOE_OPT_AT(moe_model, experts),
     .help = "routed experts of a layer"},
    {.key = "top_k",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = MOE_MAX_TOP_K,
     MOE_OPT_AT(moe_model, top_k),
     .help = "experts that a token visits"},
    {.key = "hidden",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 1 << 20,
     MOE_OPT_AT(moe_model, hidden),
     .help = "width of a token's hidden vector"},
    {.key = "intermediate",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 1 << 20,
     MOE_OPT_AT(moe_model, intermediate),
     .help = "inner width of one routed expert"},
    {.key = "shared_experts",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 64,
     MOE_OPT_AT(moe_model, shared_experts),
     .help = "experts that every token visits, of the same width"},
    {.key = "heads",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 4096,
     MOE_OPT_AT(moe_model, heads),
     .help = "query heads of the attention"},
    {.key = "kv_heads",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 4096,
     MOE_OPT_AT(moe_model, kv_heads),
     .help = "key and value heads; divides heads"},
    {.key = "head_dim",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 4096,
     MOE_OPT_AT(moe_model, head_dim),
     .help = "width of one head"},
    {.key = "kv_lora_rank",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1 << 20,
     MOE_OPT_AT(moe_model, kv_lora_rank),
     .help = "MLA: width of the latent that is cached; 0: no MLA"},
    {.key = "q_lora_rank",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1 << 20,
     MOE_OPT_AT(moe_model, q_lora_rank),
     .help = "MLA: width of the queries' latent; 0: none"},
    {.key = "qk_rope_head_dim",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 4096,
     MOE_OPT_AT(moe_model, qk_rope_head_dim),
     .help = "MLA: width of query and key with positions"},
    {.key = "qk_nope_head_dim",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 4096,
     MOE_OPT_AT(moe_model, qk_nope_head_dim),
     .help = "MLA: width of query and key without positions"},
    {.key = "v_head_dim",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 4096,
     MOE_OPT_AT(moe_model, v_head_dim),
     .help = "MLA: width of a value"},
    {.key = "dense_layers",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1000,
     MOE_OPT_AT(moe_model, dense_layers),
     .help = "layers with a plain FFN; they are not run"},
    {.key = "dense_intermediate",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1 << 20,
     MOE_OPT_AT(moe_model, dense_intermediate),
     .help = "inner width of a dense layer"},
    {.key = "vocab",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1 << 24,
     MOE_OPT_AT(moe_model, vocab),
     .help = "tokens of the vocabulary; 0: not said"},
    {.key = "dtype",
     .type = MOE_OPT_ENUM,
     .initial = "bf16",
     .choices = dtypes,
     MOE_OPT_AT(moe_model, dtype),
     .help = "of weights and activations on the GPU"},
    {.key = "weight_bits",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 32,
     MOE_OPT_AT(moe_model, weight_bits),
     .help = "bits of an expert weight with its scales; 0: as dtype"},
    {.key = "form",
     .type = MOE_OPT_ENUM,
     .initial = "swiglu",
     .choices = forms,
     MOE_OPT_AT(moe_model, form),
     .help = "of an expert: three matrices (swiglu) or two (linear)"},
    {.key = "origin",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_model, origin),
     .help = "where the numbers come from"},
    {.key = NULL}};

int moe_model_layer(const moe_model *model, int layer)
{
    return model->first_layer + layer * model->layer_step;
}

int moe_model_last_layer(const moe_model *model)
{
    return moe_model_layer(model, model->layers - 1);
}

int moe_dtype_size(moe_dtype dtype)
{
    switch (dtype) {
    case MOE_DTYPE_FP8:
        return 1;
    case MOE_DTYPE_BF16:
        return 2;
    case MOE_DTYPE_F32:
        break;
    }
    return 4;
}

double moe_model_row_bytes(const moe_model *model)
{
    const int size = moe_dtype_size(model->dtype);
    return (double)model->hidden *
           (size > 2 ? size : moe_dtype_size(MOE_DTYPE_BF16));
}

double moe_model_dispatch_bytes(const moe_model *model)
{
    if (model->dtype != MOE_DTYPE_FP8)
        return moe_model_row_bytes(model);
    return model->hidden + 4.0 * ((model->hidden + 127) / 128);
}

static double matrices(const moe_model *model)
{
    return model->form == MOE_FFN_SWIGLU ? 3 : 2;
}

double moe_model_weight_bytes(const moe_model *model)
{
    if (model->weight_bits > 0)
        return model->weight_bits / 8;
    return moe_dtype_size(model->dtype);
}

double moe_model_expert_bytes(const moe_model *model)
{
    return matrices(model) * model->hidden * model->intermediate *
           moe_model_weight_bytes(model);
}

double moe_model_pair_flops(const moe_model *model)
{
    return 2 * matrices(model) * model->hidden * model->intermediate;
}

void moe_profile_name(const char *origin, char *name, size_t size)
{
    if (name[0] != '\0')
        return;
    const char *slash = strrchr(origin, '/');
    const char *base = slash != NULL ? slash + 1 : origin;
    const char *dot = strstr(base, ".yaml");
    size_t len = dot != NULL ? (size_t)(dot - base) : strlen(base);
    snprintf(name, size, "%.*s", (int)(len < size ? len : size - 1), base);
}

/* What no single row can say. */
static moe_status cross_check(const moe_conf *root, const moe_model *m,
                              moe_error *err)
{
    if (m->top_k > m->experts)
        return moe_conf_fail(root, moe_conf_get(root, "top_k"), err,
                             "model.top_k: %d of %d experts cannot be chosen "
                             "(allowed: 1..%d)",
                             m->top_k, m->experts, m->experts);
    if (m->kv_lora_rank > 0 && (m->qk_rope_head_dim < 1 ||
                                m->qk_nope_head_dim < 1 || m->v_head_dim < 1))
        return moe_conf_fail(root, moe_conf_get(root, "kv_lora_rank"), err,
                             "model.kv_lora_rank: MLA needs qk_rope_head_dim, "
                             "qk_nope_head_dim and v_head_dim as well");
    if (m->dense_layers > 0 && m->dense_intermediate < 1)
        return moe_conf_fail(root, moe_conf_get(root, "dense_layers"), err,
                             "model.dense_layers: dense_intermediate is "
                             "missing");
    if (m->heads % m->kv_heads != 0)
        return moe_conf_fail(root, moe_conf_get(root, "kv_heads"), err,
                             "model.kv_heads: %d does not divide heads = %d",
                             m->kv_heads, m->heads);
    return MOE_OK;
}

static moe_status parse_profile(const char *text, const char *origin,
                                moe_model *out, moe_error *err)
{
    moe_conf *root = NULL;
    moe_model model = {0};
    const moe_conf_target target = {moe_model_options, &model};
    const moe_conf_schema schema = {"model", &target, 1, NULL};
    moe_status status = moe_conf_parse(text, origin, &root, err);
    if (status == MOE_OK)
        status = moe_conf_read(root, root, &schema, err);
    if (status == MOE_OK)
        status = cross_check(root, &model, err);
    moe_conf_free(root);
    if (status != MOE_OK)
        return status;
    moe_profile_name(origin, model.name, sizeof model.name);
    memcpy(model.profile, model.name, sizeof model.profile);
    *out = model;
    return MOE_OK;
}

char *moe_model_keys(const char *text, const char *origin, moe_error *err)
{
    return moe_model_is_config(text)
               ? moe_model_config_profile(text, origin, err)
               : moe_strdup(text, err);
}

moe_status moe_model_parse(const char *text, const char *origin, moe_model *out,
                           moe_error *err)
{
    if (!moe_model_is_config(text))
        return parse_profile(text, origin, out, err);
    char *profile = moe_model_config_profile(text, origin, err);
    const moe_status status = profile != NULL
                                  ? parse_profile(profile, origin, out, err)
                                  : err->status;
    free(profile);
    return status;
}

moe_status moe_model_parse_set(const char *text, const char *origin,
                               const moe_strings *set, moe_model *out,
                               char **text_out, moe_error *err)
{
    moe_model scratch;
    moe_error local = {0};
    const moe_profile_keys keys = {"model", moe_model_options, &scratch};
    char *profile = moe_profile_any_set("model", set)
                        ? moe_model_keys(text, origin, &local)
                        : moe_strdup(text, &local);
    char *changed =
        profile != NULL ? moe_profile_with(profile, &keys, set, &local) : NULL;
    if (changed != NULL &&
        moe_model_parse(changed, origin, out, &local) == MOE_OK)
        moe_profile_name_set(out->name, sizeof out->name, "model", set);
    if (text_out != NULL && local.status == MOE_OK) {
        *text_out = changed;
        changed = NULL;
    }
    free(changed);
    free(profile);
    return moe_pass(err, &local);
}

moe_status moe_model_read_set(const char *name, const moe_strings *set,
                              moe_model *out, moe_error *err)
{
    char path[1024];
    moe_error local = {0};
    char *text = moe_profile_read("models", name, path, sizeof path, &local);
    if (text != NULL)
        moe_model_parse_set(text, path, set, out, NULL, &local);
    free(text);
    return moe_pass(err, &local);
}

moe_status moe_model_read(const char *name, moe_model *out, moe_error *err)
{
    return moe_model_read_set(name, &(moe_strings){.n = 0}, out, err);
}
