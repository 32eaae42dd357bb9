/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/model_price.h"

#include <math.h>

/* Of a GPU's memory, what weights and cache get; the rest is for activations
 * and buffers. Source: vLLM, default of --gpu-memory-utilization. */
static const double USABLE = 0.9;
/* Of an element of the cache, the embedding and the head: bf16. */
static const double WIDE_BYTES = 2;

/* ---- time ---- */

static double product_s(const moe_pricer *p, double m, double n, double k,
                        bool quantised)
{
    const moe_gemm shape = {m, n, k, quantised};
    return p->cost->gemm(p->state, &shape).time_s;
}

/* GPUs that share attention share the FFN of a dense layer and end it by an
 * all-reduce. */
static double dense_ffn_s(const moe_pricer *p, double tokens)
{
    const moe_model *m = p->model;
    const int tp = moe_layer_attention_gpus(p);
    const moe_exchange x = {.gpus = tp, .nodes = 1};
    const double inner = ceil((double)m->dense_intermediate / tp);
    const double up = m->form == MOE_FFN_SWIGLU ? 2 : 1;
    const double reduce_s =
        tp > 1
            ? p->cost->allreduce(p->state, &x, tokens * moe_model_row_bytes(m))
                  .time_s
            : 0;
    return product_s(p, tokens, up * inner, m->hidden, true) +
           product_s(p, tokens, m->hidden, inner, true) + reduce_s;
}

void moe_model_rest_of(const moe_pricer *pricer, double tokens,
                       double sequences, moe_model_rest *out)
{
    const moe_model *m = pricer->model;
    const int tp = moe_layer_attention_gpus(pricer);
    const double batch = ceil(sequences * tp / pricer->layout.gpus);
    const moe_layer_work work = {.tokens = tokens, .sequences = sequences};
    *out = (moe_model_rest){.dense_s = 0};
    if (m->dense_layers > 0)
        out->dense_s =
            m->dense_layers * (moe_layer_attention_s(pricer, &work) +
                               dense_ffn_s(pricer, batch * tokens / sequences));
    if (m->vocab > 0)
        out->head_s = product_s(pricer, batch, ceil((double)m->vocab / tp),
                                m->hidden, false);
}

moe_model_time moe_model_time_of(const moe_pricer *pricer,
                                 const moe_model_rest *rest, double layer_s,
                                 double tokens)
{
    const double moe_s = layer_s * pricer->model->layers;
    const double time_s = moe_s + rest->dense_s + rest->head_s;
    return (moe_model_time){.time_s = time_s,
                            .rate = tokens / pricer->layout.gpus / time_s,
                            .share = moe_s / time_s};
}

/* ---- memory ---- */

/* Weights of one layer's attention. */
static double attention_weights(const moe_model *m)
{
    const double h = m->hidden, heads = m->heads, width = m->head_dim;
    const double key = m->qk_rope_head_dim + m->qk_nope_head_dim;
    const double value = m->qk_nope_head_dim + m->v_head_dim;
    if (m->kv_lora_rank == 0)
        return h * width * (2 * heads + 2 * m->kv_heads);
    const double query = m->q_lora_rank > 0 ? m->q_lora_rank * (h + heads * key)
                                            : h * heads * key;
    return query + h * (m->kv_lora_rank + m->qk_rope_head_dim) +
           m->kv_lora_rank * heads * value + heads * m->v_head_dim * h;
}

/* Each GPU has routers and shared experts whole, and its part of what attention
 * is divided into. */
static double other_bytes(const moe_model *m, int tp)
{
    const double matrices = m->form == MOE_FFN_SWIGLU ? 3 : 2;
    const double layers = m->layers + m->dense_layers;
    const double narrow = moe_dtype_size(m->dtype);
    const double shared = m->layers * matrices * m->hidden *
                          (double)m->shared_experts * m->intermediate;
    const double dense =
        m->dense_layers * matrices * m->hidden * (double)m->dense_intermediate;
    return narrow * (shared + (layers * attention_weights(m) + dense) / tp) +
           WIDE_BYTES * m->hidden *
               ((double)m->layers * m->experts + 2.0 * m->vocab / tp);
}

/* The latent of MLA is of all heads, so that every GPU caches it. */
static double kv_token_bytes(const moe_model *m, int tp)
{
    const double layers = m->layers + m->dense_layers;
    const double latent = m->kv_lora_rank + m->qk_rope_head_dim;
    const double heads = 2 * ceil((double)m->kv_heads / tp) * m->head_dim;
    return WIDE_BYTES * layers * (m->kv_lora_rank > 0 ? latent : heads);
}

void moe_model_memory_of(const moe_pricer *pricer, const moe_cluster *cluster,
                         int slots, double cached, moe_model_memory *out)
{
    const moe_model *m = pricer->model;
    const int tp = moe_layer_attention_gpus(pricer);
    const double per_slot = m->layers * moe_model_expert_bytes(m);
    *out = (moe_model_memory){
        .expert_bytes = slots * per_slot,
        .copy_bytes =
            (slots - moe_layout_home_slots(&pricer->layout, m->experts)) *
            per_slot,
        .other_bytes = other_bytes(m, tp),
        .kv_token_bytes = kv_token_bytes(m, tp)};
    out->room_bytes =
        USABLE * cluster->memory_bytes - out->expert_bytes - out->other_bytes;
    out->sequences =
        floor(fmax(0, out->room_bytes) / (cached * out->kv_token_bytes));
}
