/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "moegps/value.h"
#include "timed_internal.h"

enum { PRICE = 8 }; /* steps of pricing a slot, and an eighth of a GPU */

static uint32_t rows_of(int64_t part)
{
    return part < UINT32_MAX ? (uint32_t)part : UINT32_MAX;
}

/* A GPU's time if `slot` had another part and one more slot had `extra`.
 * @param slot  -1: none. */
double moe_timed_gpu_s(moe_timed *s, int gpu, int slot, int64_t part,
                       int64_t extra)
{
    moe_share *x = s->share;
    int64_t load = extra;
    x->steps += PRICE * (8 + (uint64_t)x->slots);
    for (int k = 0; k < x->slots; k++) {
        const int t = gpu * x->slots + k;
        const int64_t p = t == slot ? part : x->part[t];
        s->rows[k] = rows_of(p);
        load += p;
    }
    s->rows[x->slots] = rows_of(extra);
    return s->pricer.cost->ffn(s->pricer.state, s->rows, (size_t)x->slots + 1)
               .time_s +
           moe_value_exchange_s(&s->pricer, (double)load);
}

/* @return steps of pricing every GPU once. */
double moe_timed_pricing_steps(const moe_timed *s)
{
    return PRICE * (8.0 + s->share->slots) * s->share->gpus;
}

static double time_of(moe_timed *s, int gpu)
{
    return moe_timed_gpu_s(s, gpu, -1, 0, 0);
}

double moe_timed_slowest_s(moe_timed *s)
{
    for (int g = 0; g < s->share->gpus; g++) {
        s->time_s[g] = time_of(s, g);
        s->slow.key[g] = moe_timed_order(s->time_s[g]);
        s->fast.key[g] = -s->slow.key[g];
    }
    moe_peak_begin(&s->slow);
    moe_peak_begin(&s->fast);
    return s->time_s[moe_peak_first(&s->slow, 0)];
}

/* After a GPU's parts have changed. */
void moe_timed_renew(moe_timed *s, int gpu)
{
    s->time_s[gpu] = time_of(s, gpu);
    moe_peak_set(&s->slow, gpu, moe_timed_order(s->time_s[gpu]));
    moe_peak_set(&s->fast, gpu, -moe_timed_order(s->time_s[gpu]));
}

/* What attention does not hide of weights that arrive at one GPU, per
 * iteration of the interval. */
double moe_timed_exposed_s(const moe_timed *s, double near_bytes,
                           double far_bytes)
{
    moe_exchange x = moe_pricer_everyone(&s->pricer);
    x.node_bytes = near_bytes;
    x.network_bytes = far_bytes;
    if (near_bytes + far_bytes <= 0)
        return 0;
    const double time_s = s->pricer.cost->transfer(s->pricer.state, &x).time_s;
    return fmax(0, time_s - s->attention_s) / s->interval;
}

double moe_timed_arrival_s(const moe_timed *s, int gpu, int more_near,
                           int more_far)
{
    const double bytes = moe_model_expert_bytes(s->pricer.model);
    return moe_timed_exposed_s(s, bytes * (s->coming[2 * gpu] + more_near),
                               bytes * (s->coming[2 * gpu + 1] + more_far));
}

/* Attention of a batch of this many pairs, as a run is charged; the reduction
 * that ends it needs the links. */
double moe_timed_attention_s(const moe_timed *s, double pairs)
{
    const moe_layer_work work = {.tokens = pairs / s->pricer.model->top_k,
                                 .sequences = s->sequences};
    moe_layer_cost cost;
    moe_layer_cost_common(&s->pricer, &work, &cost);
    return cost.step_s[MOE_STEP_ATTENTION];
}
