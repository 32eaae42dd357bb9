/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "share_internal.h"

struct moe_value {
    moe_planner_env env; /* what it points to is borrowed */
    moe_share *share;
    int64_t *load;  /* [experts] scaled */
    double *part;   /* [gpus][slots] of the layer */
    uint32_t *rows; /* [slots] of one GPU */
    int *copies;    /* [experts] */
};

void moe_value_free(moe_value *v)
{
    if (v == NULL)
        return;
    moe_share_free(v->share);
    free(v->load);
    free(v->part);
    free(v->rows);
    free(v->copies);
    free(v);
}

moe_value *moe_value_new(const moe_planner_env *env, moe_error *err)
{
    moe_error local = {0};
    const size_t n_e = (size_t)env->experts, slots = (size_t)env->slots;
    moe_value *v = moe_array_new(1, sizeof *v, &local);
    if (v != NULL) {
        v->env = *env;
        v->share =
            moe_share_new(env->experts, env->layout.gpus, env->slots, &local);
        v->load = moe_array_new(n_e, sizeof *v->load, &local);
        v->part = moe_array_new((size_t)env->layout.gpus * slots,
                                sizeof *v->part, &local);
        v->rows = moe_array_new(slots, sizeof *v->rows, &local);
        v->copies = moe_array_new(n_e, sizeof *v->copies, &local);
    }
    if (local.status == MOE_OK)
        return v;
    moe_value_free(v);
    moe_pass(err, &local);
    return NULL;
}

/* ---- a layer ---- */

static void divide_minmax(moe_value *v, const moe_plan_layer *layer,
                          const double *load)
{
    const int bits = moe_share_scale(load, layer->experts, v->load);
    moe_share_begin(v->share, layer->expert, v->load);
    moe_share_minmax(v->share);
    for (int k = 0; k < layer->gpus * layer->slots; k++)
        v->part[k] = ldexp((double)v->share->part[k], -bits);
}

/* Load of every slot. */
static void divide(moe_value *v, const moe_plan_layer *layer,
                   const double *load, moe_division by)
{
    const int n = layer->gpus * layer->slots;
    if (by == MOE_DIVISION_MINMAX) {
        divide_minmax(v, layer, load);
        return;
    }
    memset(v->copies, 0, (size_t)layer->experts * sizeof *v->copies);
    for (int k = 0; k < n; k++)
        if (layer->expert[k] >= 0)
            v->copies[layer->expert[k]]++;
    for (int k = 0; k < n; k++) {
        const int e = layer->expert[k];
        v->part[k] = e < 0 ? 0
                     : by == MOE_DIVISION_EQUAL
                         ? load[e] / v->copies[e]
                         : load[e] * layer->quota[k] / MOE_QUOTA_ONE;
    }
}

static double load_of(const moe_value *v, const moe_plan_layer *layer, int gpu)
{
    double sum = 0;
    for (int k = gpu * layer->slots; k < (gpu + 1) * layer->slots; k++)
        sum += v->part[k];
    return sum;
}

double moe_value_imbalance(moe_value *v, const moe_plan_layer *layer,
                           const double *load, moe_division by)
{
    double most = 0, all = 0;
    divide(v, layer, load, by);
    for (int g = 0; g < layer->gpus; g++)
        most = fmax(most, load_of(v, layer, g));
    for (int e = 0; e < layer->experts; e++)
        all += load[e];
    return most * layer->gpus / all;
}

double moe_value_exchange_s(const moe_pricer *p, double load)
{
    const moe_layout *y = &p->layout;
    const double bytes[] = {load * moe_model_dispatch_bytes(p->model),
                            load * moe_model_row_bytes(p->model)};
    const int local = y->gpus < y->gpus_per_node ? y->gpus : y->gpus_per_node;
    moe_exchange x = moe_pricer_everyone(p);
    double time_s = 0;
    for (size_t way = 0; way < MOE_ARRAY_LEN(bytes) && y->gpus > 1; way++) {
        x.node_bytes = bytes[way] * (local - 1) / y->gpus;
        x.network_bytes = bytes[way] * (y->gpus - local) / y->gpus;
        time_s += p->cost->alltoall(p->state, &x).time_s;
    }
    return time_s;
}

double moe_value_layer_s(moe_value *v, const moe_plan_layer *layer,
                         const double *load, moe_division by)
{
    const moe_pricer *p = v->env.pricer;
    double slowest = 0;
    if (p == NULL)
        return NAN;
    divide(v, layer, load, by);
    for (int g = 0; g < layer->gpus; g++) {
        const double *part = v->part + (size_t)g * (size_t)layer->slots;
        for (int k = 0; k < layer->slots; k++)
            v->rows[k] = (uint32_t)fmin(ceil(part[k]), UINT32_MAX);
        slowest =
            fmax(slowest,
                 p->cost->ffn(p->state, v->rows, (size_t)layer->slots).time_s +
                     moe_value_exchange_s(p, load_of(v, layer, g)));
    }
    return slowest;
}

/* ---- moves ---- */

/* Whether one of the slots [first, end) has an expert. */
static bool has(const moe_plan_layer *layer, int first, int end, int expert)
{
    for (int k = first; k < end; k++)
        if (layer->expert[k] == expert)
            return true;
    return false;
}

static bool holds(const moe_plan_layer *layer, int gpu, int expert)
{
    return has(layer, gpu * layer->slots, (gpu + 1) * layer->slots, expert);
}

/* @return the GPU that sends an expert; -1: none has it. */
static int sender_of(const moe_plan_layer *from, const moe_layout *layout,
                     int expert, int gpu, const size_t *sent)
{
    const int node = moe_layout_node(layout, gpu);
    int best = -1;
    bool best_near = false;
    for (int g = 0; g < from->gpus; g++) {
        const bool near = moe_layout_node(layout, g) == node;
        if (holds(from, g, expert) &&
            (best < 0 || near > best_near ||
             (near == best_near && sent[g] < sent[best]))) {
            best = g;
            best_near = near;
        }
    }
    return best;
}

moe_arrival *moe_value_moves(const moe_plan *from, const moe_plan *to,
                             const moe_layout *layout, size_t *n_out,
                             moe_error *err)
{
    moe_error local = {0};
    const int slots = to->gpus * to->slots;
    size_t n = 0;
    size_t *sent = moe_array_new((size_t)to->gpus, sizeof *sent, &local);
    moe_arrival *list =
        moe_array_new((size_t)to->layers * (size_t)slots, sizeof *list, &local);
    for (int l = 0; local.status == MOE_OK && l < to->layers; l++) {
        const moe_plan_layer before = moe_plan_at(from, l);
        const moe_plan_layer after = moe_plan_at(to, l);
        for (int k = 0; k < slots; k++) {
            const int e = after.expert[k], gpu = k / to->slots;
            if (e < 0 || holds(&before, gpu, e) ||
                has(&after, gpu * to->slots, k, e))
                continue;
            const int sender = sender_of(&before, layout, e, gpu, sent);
            if (sender >= 0)
                sent[sender]++;
            list[n++] = (moe_arrival){(int16_t)l, (int16_t)e, gpu, sender};
        }
    }
    free(sent);
    *n_out = n;
    if (local.status == MOE_OK && n > 0)
        return list;
    free(list);
    moe_pass(err, &local);
    return NULL;
}

moe_price moe_value_moves_s(const moe_pricer *p, const moe_arrival *moves,
                            size_t n)
{
    const double bytes = moe_model_expert_bytes(p->model);
    moe_price most = {0};
    for (int g = 0; g < p->layout.gpus; g++) {
        double sent[2] = {0}, received[2] = {0};
        for (size_t i = 0; i < n; i++) {
            if (moves[i].from < 0)
                continue;
            const int far = moe_layout_node(&p->layout, moves[i].from) !=
                            moe_layout_node(&p->layout, moves[i].gpu);
            sent[far] += moves[i].from == g ? bytes : 0;
            received[far] += moves[i].gpu == g ? bytes : 0;
        }
        moe_exchange x = moe_pricer_everyone(p);
        x.node_bytes = fmax(sent[0], received[0]);
        x.network_bytes = fmax(sent[1], received[1]);
        const moe_price price = p->cost->transfer(p->state, &x);
        if (x.node_bytes + x.network_bytes > 0 && price.time_s > most.time_s)
            most = price;
    }
    return most;
}
