/** model.h: what of an MoE model matters here: its sizes.
 *
 *  Profiles are jobs/models/NAME.yaml; every number there says where it comes
 *  from. Layers are the MoE layers only; dense layers of a model are not run.
 */
#ifndef MOEGPS_MODEL_H
#define MOEGPS_MODEL_H

#include "moegps/options.h"
#include "moegps/status.h"

typedef enum moe_dtype {
    MOE_DTYPE_BF16,
    MOE_DTYPE_F32,
    MOE_DTYPE_FP8
} moe_dtype;

typedef enum moe_ffn_form {
    MOE_FFN_SWIGLU, /* (silu(x Wg) * (x Wu)) Wd : three matrices */
    MOE_FFN_LINEAR  /* act(x W1) W2 : two matrices (Switch) */
} moe_ffn_form;

typedef struct moe_model {
    char name[64];      /* with what --set changed */
    int layers;         /* MoE layers */
    int first_layer;    /* number of the first of them among all layers */
    int layer_step;     /* from one of them to the next */
    int experts;        /* routed experts per layer */
    int top_k;          /* experts per token */
    int hidden;         /* width of a token's hidden vector */
    int intermediate;   /* inner width of one routed expert */
    int shared_experts; /* experts every token visits, same width; 0: none */
    int heads, kv_heads, head_dim; /* attention */
    moe_dtype dtype;               /* of weights and activations, on the GPU */
    double weight_bits; /* of one expert weight, scales included; 0: dtype's */
    moe_ffn_form form;
    char origin[256]; /* where the numbers come from */
    /* Multi-head latent attention; kv_lora_rank 0: the model has none. */
    int kv_lora_rank;       /* width of the latent that is cached per token */
    int q_lora_rank;        /* of the queries' latent; 0: projected directly */
    int qk_rope_head_dim;   /* of a head's query and key: with positions, */
    int qk_nope_head_dim;   /* and without */
    int v_head_dim;         /* of a head's value */
    int dense_layers;       /* layers with a plain FFN */
    int dense_intermediate; /* inner width of that */
    int vocab;              /* tokens of the vocabulary; 0: not said */
    char profile[64]; /* its name before keys were set: what traces are of */
} moe_model;

extern const moe_opt moe_model_options[];

/** @return the number of a MoE layer, and of the last one, among all layers. */
int moe_model_layer(const moe_model *model, int layer);
int moe_model_last_layer(const moe_model *model);

/** @return bytes of one element on the GPU: 1, 2 or 4. */
int moe_dtype_size(moe_dtype dtype);

/** @return bytes of a token's hidden vector where it is reduced, combined or
 *  attended to: an fp8 model keeps those in bf16 (DeepSeek-V3, arXiv
 *  2412.19437, section 3.3). */
double moe_model_row_bytes(const moe_model *model);

/** @return bytes of a row that is dispatched: an fp8 model sends fp8 with a
 *  scale of 4 bytes per 128 elements (likewise). */
double moe_model_dispatch_bytes(const moe_model *model);

/** @return bytes of one weight of a routed expert on the GPU. */
double moe_model_weight_bytes(const moe_model *model);

/** @return bytes of one routed expert's weights on the GPU. */
double moe_model_expert_bytes(const moe_model *model);

/** @return floating-point operations of one pair in one expert. */
double moe_model_pair_flops(const moe_model *model);

/** Read a profile from YAML text, or a model's config of Hugging Face from JSON
 *  text. Not collective.
 *  @param origin  file name for messages; without a `name` key its last part,
 *  less the suffix, becomes the model's name.
 *  @return MOE_OK, MOE_USAGE (unknown key, out of range, top_k > experts,
 *  kv_heads not dividing heads, ...). */
moe_status moe_model_parse(const char *text, const char *origin, moe_model *out,
                           moe_error *err);

/** @return the text of a profile, each key with what it was read from: itself,
 *  or what a Hugging Face config becomes; to be freed. NULL with MOE_FORMAT,
 *  MOE_NOMEM. */
char *moe_model_keys(const char *text, const char *origin, moe_error *err);

/** Find a profile by name or path (profile.h), read and parse it. Not
 *  collective. @return as moe_profile_read() and moe_model_parse(). */
moe_status moe_model_read(const char *name, moe_model *out, moe_error *err);

/** The same with keys set by "model.KEY=VALUE"; assignments of other kinds are
 *  left alone. */
moe_status moe_model_read_set(const char *name, const moe_strings *set,
                              moe_model *out, moe_error *err);

/** The same of a profile's text, or of a Hugging Face config.
 *  @param text_out  the profile as it was read, to be freed; NULL: not wanted. */
moe_status moe_model_parse_set(const char *text, const char *origin,
                               const moe_strings *set, moe_model *out,
                               char **text_out, moe_error *err);

#endif
