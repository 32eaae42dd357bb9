/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/layer_price.h"

#include <math.h>

/* Who prices what, and the sums so far. */
typedef struct {
    const moe_pricer *p;
    const moe_layer_work *w;
    moe_layer_common sum;
} sheet;

static void charge(sheet *s, moe_phase phase, moe_price price, double share)
{
    const double time_s = price.time_s * share;
    s->sum.gpu_s[phase] += time_s;
    s->sum.wrong_s[phase] += time_s * price.relative_error;
    if (price.source > s->sum.source_of[phase])
        s->sum.source_of[phase] = price.source;
}

static moe_exchange everyone(const moe_pricer *p)
{
    return (moe_exchange){.gpus = p->layout.gpus,
                          .nodes = moe_layout_nodes(&p->layout)};
}

int moe_layer_attention_gpus(const moe_pricer *p)
{
    int tp = p->layout.gpus < p->layout.gpus_per_node ? p->layout.gpus
                                                      : p->layout.gpus_per_node;
    while (tp > 1 && (p->model->heads % tp != 0 || p->layout.gpus % tp != 0))
        tp--;
    return tp;
}

static double row_bytes(const moe_model *m)
{
    return (double)m->hidden * moe_dtype_size(m->dtype);
}

/* One layer's part of a collective that serves `layers` at once: to or from
 * the planner when one rank plans, else among all. */
static void charge_collective(sheet *s, moe_phase phase, double bytes)
{
    const moe_pricer *p = s->p;
    const moe_exchange all = everyone(p);
    charge(s, phase,
           s->w->central ? p->cost->tree(p->state, &all, bytes)
                         : p->cost->allreduce(p->state, &all, bytes),
           1.0 / s->w->layers);
}

static void charge_coordination(sheet *s)
{
    const moe_pricer *p = s->p;
    const moe_layer_work *w = s->w;
    if (w->collects)
        charge_collective(s, MOE_PHASE_COLLECT,
                          (double)w->layers * p->model->experts *
                              sizeof(uint64_t));
    if (!w->plans)
        return;
    /* Planning is the host's work: its CPU time is its price. */
    s->sum.gpu_s[MOE_PHASE_PLAN] = w->planner_s;
    /* The plan with its length; or the hash by which ranks confirm theirs. */
    charge_collective(s, MOE_PHASE_BROADCAST,
                      w->central ? w->plan_bytes + sizeof(uint64_t)
                                 : 3 * sizeof(uint64_t));
}

static void charge_migration(sheet *s)
{
    moe_exchange move = everyone(s->p);
    move.node_bytes = s->w->move_bytes[0];
    move.network_bytes = s->w->move_bytes[1];
    if (s->w->plans && move.node_bytes + move.network_bytes > 0)
        charge(s, MOE_PHASE_MIGRATE, s->p->cost->transfer(s->p->state, &move),
               1);
}

/* Tensor-parallel attention and the all-reduce that ends it. */
static void charge_attention(sheet *s)
{
    const moe_pricer *p = s->p;
    const int tp = moe_layer_attention_gpus(p);
    const double groups = (double)p->layout.gpus / tp;
    /* A sequence is not cut: the busiest group has whole ones. */
    const double batch = ceil(s->w->sequences / groups);
    const double seq = s->w->tokens / s->w->sequences;
    const moe_exchange x = {.gpus = tp, .nodes = 1};
    charge(s, MOE_PHASE_ATTENTION, p->cost->attention(p->state, batch, seq, tp),
           1);
    if (tp > 1)
        charge(
            s, MOE_PHASE_ATTENTION,
            p->cost->allreduce(p->state, &x, batch * seq * row_bytes(p->model)),
            1);
}

static moe_price exchange_price(const sheet *s, const double *bytes)
{
    moe_exchange x = everyone(s->p);
    x.node_bytes = bytes[0];
    x.network_bytes = bytes[1];
    return s->p->cost->alltoall(s->p->state, &x);
}

/* With direct routing and no row left to dispatch there is no exchange. */
static void charge_exchange(sheet *s)
{
    const double *out = s->w->dispatch_bytes, *home = s->w->combine_bytes;
    if (s->p->layout.gpus < 2)
        return;
    const moe_price combine = exchange_price(s, home);
    charge(s, MOE_PHASE_COMBINE, combine, 1);
    if (s->w->direct && out[0] + out[1] == 0)
        return;
    moe_price dispatch = exchange_price(s, out);
    /* A measured table need not be monotone; a smaller exchange is never
     * made to look slower. */
    if (out[0] <= home[0] && out[1] <= home[1])
        dispatch.time_s = fmin(dispatch.time_s, combine.time_s);
    charge(s, MOE_PHASE_DISPATCH, dispatch, 1);
}

/* The predictor shares the GPU with attention, so that nothing hides it. */
static void charge_predictor(sheet *s)
{
    s->sum.gpu_s[MOE_PHASE_PREDICT] = s->w->predict_s;
    for (int i = 0; i < s->w->n_predict; i++)
        charge(s, MOE_PHASE_PREDICT,
               s->p->cost->gemm(s->p->state, &s->w->predict[i].shape),
               s->w->predict[i].times);
}

/* The router, and shared experts, which every GPU runs on its part of the
 * tokens. */
static void charge_dense(sheet *s)
{
    const moe_pricer *p = s->p;
    const double part = ceil(s->w->tokens / p->layout.gpus);
    const moe_gemm router = {part, p->model->experts, p->model->hidden};
    const uint32_t own = (uint32_t)part;
    charge(s, MOE_PHASE_ROUTE, p->cost->gemm(p->state, &router), 1);
    if (p->model->shared_experts > 0)
        charge(s, MOE_PHASE_FFN, p->cost->ffn(p->state, &own, 1),
               p->model->shared_experts);
}

/* The coordination before attention runs beside it, and attention hides it in
 * order; what is for a later iteration has the whole layer. */
static void expose(const sheet *s, moe_layer_price *out)
{
    double cover = s->sum.gpu_s[MOE_PHASE_ATTENTION];
    for (int p = MOE_PHASE_ATTENTION + 1; s->w->ahead && p < MOE_N_PHASES; p++)
        cover += s->sum.gpu_s[p];
    *out = (moe_layer_price){.source = MOE_PRICE_TABULATED};
    for (int p = 0; p < MOE_N_PHASES; p++) {
        const double time_s = s->sum.gpu_s[p];
        double hidden = 0.0;
        if (p < MOE_PHASE_ATTENTION &&
            (p != MOE_PHASE_PREDICT || s->w->predict_hidden))
            hidden = time_s < cover ? time_s : cover;
        cover -= hidden;
        out->source_of[p] = s->sum.source_of[p];
        if (out->source_of[p] > out->source)
            out->source = out->source_of[p];
        out->gpu_s[p] = time_s;
        out->exposed_s[p] = time_s - hidden;
        if (time_s > 0)
            out->error_s += s->sum.wrong_s[p] * (time_s - hidden) / time_s;
    }
}

void moe_layer_common_of(const moe_pricer *pricer, const moe_layer_work *work,
                         moe_layer_common *out)
{
    sheet s = {.p = pricer, .w = work}; /* 0: tabulated */
    charge_predictor(&s);
    charge_coordination(&s);
    charge_attention(&s);
    charge_dense(&s);
    *out = s.sum;
}

void moe_layer_price_with(const moe_pricer *pricer,
                          const moe_layer_common *common,
                          const moe_layer_work *work, moe_layer_price *out)
{
    sheet s = {.p = pricer, .w = work, .sum = *common};
    charge_migration(&s);
    charge_exchange(&s);
    charge(&s, MOE_PHASE_FFN,
           pricer->cost->ffn(pricer->state, work->rows, work->slots), 1);
    expose(&s, out);
}

void moe_layer_price_of(const moe_pricer *pricer, const moe_layer_work *work,
                        moe_layer_price *out)
{
    moe_layer_common common;
    moe_layer_common_of(pricer, work, &common);
    moe_layer_price_with(pricer, &common, work, out);
}

void moe_layer_price_worst(moe_layer_price *worst, const moe_layer_price *price)
{
    for (int p = 0; p < MOE_N_PHASES; p++) {
        worst->gpu_s[p] = fmax(worst->gpu_s[p], price->gpu_s[p]);
        worst->exposed_s[p] = fmax(worst->exposed_s[p], price->exposed_s[p]);
        if (price->source_of[p] > worst->source_of[p])
            worst->source_of[p] = price->source_of[p];
    }
    /* fmax would drop a NaN, which means unknown. */
    if (!isnan(worst->error_s) && !(price->error_s <= worst->error_s))
        worst->error_s = price->error_s;
    if (price->source > worst->source)
        worst->source = price->source;
}

double moe_layer_price_sum(const moe_layer_price *price)
{
    double sum = 0;
    for (int p = 0; p < MOE_N_PHASES; p++)
        sum += price->exposed_s[p];
    return sum;
}

void moe_layer_scale_rows(const uint32_t *rows, size_t n, double by,
                          uint32_t *out)
{
    double exact = 0, given = 0;
    for (size_t i = 0; i < n; i++) {
        exact += rows[i] * by;
        const double upto = floor(exact + 0.5);
        out[i] = (uint32_t)fmin(upto - given, UINT32_MAX);
        given = upto;
    }
}
