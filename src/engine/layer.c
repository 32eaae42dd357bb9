/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

static void route(moe_engine *e, int layer)
{
    const moe_stamp start = moe_stamp_now();
    moe_dispatch_count(&e->dispatch, e->batch, layer);
    moe_engine_charge(e, MOE_PHASE_ROUTE, layer, layer + 1, start);
}

static void dispatch(moe_engine *e, moe_runner *r, int layer, const char *rows)
{
    moe_engine_barrier(e, e->gpu_comm, MOE_PHASE_DISPATCH, layer, layer + 1);
    const moe_stamp start = moe_stamp_now();
    moe_dispatch *d = &e->dispatch;
    moe_dispatch_number(d);
    moe_dispatch_address(d, e->batch, &r->replicas[layer], r->slots,
                         r->spec->split, r->split);
    moe_dispatch_pack(d, e->batch, rows);
    moe_dispatch_tell(d);
    moe_dispatch_send(d);
    moe_engine_charge(e, MOE_PHASE_DISPATCH, layer, layer + 1, start);
}

/* Spoil one received row, so that tests see the checks fail. */
static void corrupt(moe_engine *e, char *grouped)
{
    if (!e->corrupt || e->dispatch.n_rows == 0)
        return;
    for (size_t b = 0; b < e->dispatch.p.row_bytes; b++)
        grouped[b] = (char)~grouped[b];
    e->corrupt = false;
}

static void run_experts(moe_engine *e, moe_runner *r, int layer,
                        const moe_ffn *ffn, void *ffn_state)
{
    const moe_stamp start = moe_stamp_now();
    moe_dispatch *d = &e->dispatch;
    moe_ffn_work work = {.slots = r->slots,
                         .weights = r->weights.weights +
                                    (size_t)layer * (size_t)r->slots,
                         .rows = d->slot_rows,
                         .data = moe_dispatch_group(d)};
    ffn->run(ffn_state, &work, &e->ctx->err);
    moe_inject(e->ctx, MOE_SITE_FFN);
    corrupt(e, work.data);
    moe_dispatch_ungroup(d);
    moe_engine_charge(e, MOE_PHASE_FFN, layer, layer + 1, start);
}

static void combine(moe_engine *e, int layer, const moe_ffn *ffn,
                    void *ffn_state)
{
    moe_engine_barrier(e, e->gpu_comm, MOE_PHASE_COMBINE, layer, layer + 1);
    const moe_stamp start = moe_stamp_now();
    moe_dispatch_send_back(&e->dispatch);
    ffn->combine(ffn_state, e->batch, layer, e->dispatch.send,
                 e->dispatch.rest.where, e->out);
    moe_engine_charge(e, MOE_PHASE_COMBINE, layer, layer + 1, start);
}

/* Rows sent and received, at full size, for the gpu clock. */
static void note_rows(moe_engine *e, const moe_runner *r, int layer)
{
    const moe_dispatch *d = &e->dispatch;
    const double bytes = (double)e->p.model->hidden *
                         moe_dtype_size((moe_dtype)e->p.model->dtype);
    const int node = moe_layout_node(&e->layout, e->gpu);
    double sent[2] = {0, 0}, received[2] = {0, 0};
    for (int g = 0; g < e->layout.gpus; g++) {
        int far = moe_layout_node(&e->layout, g) != node;
        if (g == e->gpu) { /* stays where it is, costs nothing */
            e->sent_bytes[g] += (int64_t)(d->rest.send_count[g] * bytes);
            continue;
        }
        sent[far] += d->rest.send_count[g] * bytes;
        e->sent_bytes[g] += (int64_t)(d->rest.send_count[g] * bytes);
        received[far] += d->rest.recv_count[g] * bytes;
    }
    moe_layer_facts *f = &e->facts[layer];
    f->node_bytes = sent[0] > received[0] ? sent[0] : received[0];
    f->network_bytes = sent[1] > received[1] ? sent[1] : received[1];
    f->rows = d->n_rows;
    memcpy(e->slot_rows + (size_t)layer * (size_t)e->max_slots, d->slot_rows,
           (size_t)r->slots * sizeof *e->slot_rows);
}

void moe_engine_layer(moe_engine *e, moe_runner *r, int layer,
                      const moe_ffn *ffn, void *ffn_state, const char *rows)
{
    if (e->gpu < 0)
        return;
    route(e, layer);
    dispatch(e, r, layer, rows);
    run_experts(e, r, layer, ffn, ffn_state);
    combine(e, layer, ffn, ffn_state);
    note_rows(e, r, layer);
}
