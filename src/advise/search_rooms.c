/* SPDX-License-Identifier: Apache-2.0 */

/* Copies take the memory of cached sequences, hence of the batch, hence of
 * tokens per second. */

#include <math.h>

#include "search_internal.h"

/* More copies that win less than this do not pay. */
static const double WORTH = 0.01;

static double rate_of(const moe_pricer *pricer, double tokens, double sequences,
                      double layer_s)
{
    moe_model_rest rest;
    moe_model_rest_of(pricer, tokens, sequences, &rest);
    return moe_model_time_of(pricer, &rest, layer_s, tokens).rate;
}

/* @return whether a batch of so many sequences can be served. */
static bool fits(const moe_pricer *pricer, double sequences)
{
    const double gpus = pricer->layout.gpus;
    const int tp = moe_layer_attention_gpus(pricer);
    return sequences >= 1 &&
           moe_serving_cost_fits(pricer->serving, sequences / gpus,
                                 ceil(sequences * tp / gpus), NULL) == MOE_OK;
}

moe_status moe_search_price_room(const search_walk *walk,
                                 const moe_search_point *point,
                                 const moe_search *s, moe_search_room *out,
                                 moe_error *err)
{
    const moe_pricer *pricer = walk->pricer;
    const double most = moe_serving_most_tokens(pricer->serving);
    const double groups =
        (double)pricer->layout.gpus / moe_layer_attention_gpus(pricer);
    moe_model_memory m;
    moe_model_memory_of(pricer, walk->params->cluster, walk->slots, s->cached,
                        &m);
    *out = (moe_search_room){
        .room_bytes = m.room_bytes,
        .sequences = m.sequences,
        .rate = rate_of(pricer, s->tokens, s->sequences, point->layer_s),
        .batch = floor(fmin(m.sequences * groups, most * pricer->layout.gpus)),
        .full_rate = NAN};
    if (moe_serving_of(pricer->serving)->phase != MOE_SERVE_DECODE ||
        !fits(pricer, out->batch))
        return MOE_OK;
    search_walk full = *walk;
    search_walked walked;
    full.scale = out->batch / s->sequences;
    full.base_s = NULL;
    if (moe_search_walk_run(&full, &walked, NULL, err) == MOE_OK)
        out->full_rate =
            rate_of(pricer, out->batch, out->batch, walked.layer_s);
    return err->status;
}

static double worth(const moe_search_room *room, bool full)
{
    const double rate = full ? room->full_rate : room->rate;
    return isnan(rate) || room->room_bytes < 0 ? 0 : rate;
}

int moe_search_room_that_pays(const moe_search_room *room, int n)
{
    bool full = false;
    double best = 0;
    int i = 0;
    for (int k = 0; k < n; k++)
        full = full || !isnan(room[k].full_rate);
    for (int k = 0; k < n; k++)
        best = fmax(best, worth(&room[k], full));
    while (i + 1 < n && !(worth(&room[i], full) >= (1 - WORTH) * best))
        i++;
    return i;
}
