/* SPDX-License-Identifier: Apache-2.0 */
#include "part.h"

#include <math.h>
#include <string.h>

#include "internal.h"
#include "transport.h"

/* Paced rows go out as narrow as the deployment sends them. */
static size_t out_bytes(const moe_engine *e)
{
    const size_t all = moe_ffn_row_bytes(&e->shape);
    const double share = moe_serving_row_bytes(e->serving, e->p.model, false) /
                         moe_model_row_bytes(e->p.model);
    const size_t part = (size_t)ceil((double)all * share);
    if (!e->ffn->paced || part > all)
        return all;
    return part < sizeof(uint64_t) ? sizeof(uint64_t) : part;
}

void moe_parts_init(moe_engine *e)
{
    const moe_serving *serving = &e->p.experiment->serving;
    const moe_pricer pricer = moe_engine_pricer(e);
    moe_dispatch_params params = {
        .transport = moe_transport_find(moe_serve_exchanges[serving->exchange]),
        .gpu = e->gpu,
        .layout = e->layout,
        .experts = e->p.model->experts,
        .top_k = e->p.model->top_k,
        .group = moe_layer_attention_gpus(&pricer),
        .max_slots = e->max_slots,
        .max_tokens = moe_batcher_max_tokens(e->batcher),
        .max_own = moe_batcher_max_own(e->batcher),
        .row_bytes = moe_ffn_row_bytes(&e->shape),
        .out_bytes = out_bytes(e)};
    e->n_parts =
        e->pacing != NULL && serving->overlap == MOE_SERVE_TWO_BATCH ? 2 : 1;
    for (int i = 0; i < e->n_parts && e->gpu >= 0; i++) {
        moe_part *p = &e->part[i];
        if (e->pacing != NULL)
            moe_watch_new(e->layout.gpus, &p->watch, &e->ctx->err);
        params.watch = p->watch;
        if (e->ctx->err.status == MOE_OK)
            moe_dispatch_new(&params, &p->dispatch, &e->ctx->err);
    }
}

void moe_parts_connect(moe_engine *e)
{
    for (int i = 0; i < e->n_parts && e->gpu >= 0; i++)
        moe_dispatch_connect(e->part[i].dispatch, e->gpu_comm);
}

void moe_parts_fini(moe_engine *e)
{
    for (int i = 0; i < e->n_parts; i++) {
        moe_dispatch_free(e->part[i].dispatch);
        moe_watch_free(e->part[i].watch);
    }
}

void moe_part_load(moe_engine *e, int i, int n, int layer)
{
    moe_part *p = &e->part[i];
    moe_batch *b = &p->batch;
    *b = *e->it.batch;
    p->first = i > 0 ? b->half : 0;
    b->own = n == 1 ? b->own : i > 0 ? b->own - b->half : b->half;
    const size_t k = (size_t)b->top_k;
    const size_t at = ((size_t)layer * e->it.batch->own + p->first) * k;
    b->experts_of += at;
    if (b->gate != NULL)
        b->gate += at;
}

/* ---- travelling ---- */

void moe_part_send(moe_engine *e, moe_part *p, int layer, moe_phase phase,
                   moe_way way)
{
    p->layer = layer;
    p->phase = phase;
    if (e->pacing == NULL) {
        moe_dispatch_send(p->dispatch, way);
        return;
    }
    p->due = p->travels = true;
    moe_watch_begin(p->watch);
    p->posted_s = moe_clock_wall();
    moe_dispatch_post(p->dispatch, way);
}

bool moe_parts_advance(moe_engine *e)
{
    bool any = false;
    for (moe_part *p = e->part; p < e->part + e->n_parts; p++) {
        if (p->travels && moe_dispatch_test(p->dispatch)) {
            p->travels = false;
            p->arrived_s = moe_clock_wall();
        }
        any = any || p->travels;
    }
    return any;
}
