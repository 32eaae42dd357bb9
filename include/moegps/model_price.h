/** model_price.h: from MoE layers to a whole model: what else an iteration
 *  takes, and what a GPU's memory holds.
 *
 *  Dense layers have the attention of MoE layers and an FFN that the GPUs of a
 *  node share as they share attention; the head is one product of bf16. What is
 *  left out: embedding, sampling, the host, and all that lies between
 *  iterations. Times are modelled.
 */
#ifndef MOEGPS_MODEL_PRICE_H
#define MOEGPS_MODEL_PRICE_H

#include "moegps/layer_price.h"

/** What an iteration takes beside its MoE layers. */
typedef struct moe_model_rest {
    double dense_s; /* of all dense layers; halves of a batch do not take turns
                       there */
    double head_s; /* logits: prefill of the last token of a sequence, decode of
                       its only one; 0: the model's vocabulary is not said */
} moe_model_rest;

/** @param tokens, sequences  of the whole batch */
void moe_model_rest_of(const moe_pricer *pricer, double tokens,
                       double sequences, moe_model_rest *out);

/** What an iteration takes: MoE layers and the rest. */
typedef struct moe_model_time {
    double time_s; /* prefill: to the first token; decode: per output token */
    double rate;   /* tokens/s of a GPU: prompt tokens, or new ones */
    double share;  /* of the MoE layers in time_s */
} moe_model_time;

/** @param layer_s  of an MoE layer, mean */
moe_model_time moe_model_time_of(const moe_pricer *pricer,
                                 const moe_model_rest *rest, double layer_s,
                                 double tokens);

/** What a GPU's memory holds, bytes. */
typedef struct moe_model_memory {
    double expert_bytes;   /* routed experts in all slots of all layers */
    double copy_bytes;     /* of them, beyond homes */
    double other_bytes;    /* attention, routers, shared experts, dense layers,
                              embedding, head */
    double kv_token_bytes; /* of a cached token, all layers */
    double room_bytes;     /* left for the cache; below 0: weights do not fit */
    double sequences;      /* that it has room for, of a GPU or of those that
                              share attention, whole ones */
} moe_model_memory;

/** @param slots   of a GPU and layer
 *  @param cached  tokens of a sequence in the cache */
void moe_model_memory_of(const moe_pricer *pricer, const moe_cluster *cluster,
                         int slots, double cached, moe_model_memory *out);

#endif
