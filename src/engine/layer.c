/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* Number and address the pairs that were counted last, and tell who gets them. */
static void address_rows(moe_engine *e, moe_runner *r, int layer,
                         const char *rows)
{
    moe_dispatch *d = e->part->dispatch;
    const moe_replicas *replicas = &r->replicas[layer];
    if (r->spec->split->needs_counts && moe_replicas_copies(replicas)) {
        moe_dispatch_number(d);
        e->it.facts[layer].numbers++;
    } else {
        moe_dispatch_number_own(d);
    }
    moe_dispatch_address(d, e->it.batch, replicas, r->slots, r->spec->split,
                         r->split);
    moe_dispatch_tell(d);
    if (rows != NULL)
        moe_dispatch_pack(d, e->it.batch, rows);
}

/* Rows travel. Those of a paced run are watched, and what runs beside goes on
 * meanwhile. */
static void travel(moe_engine *e, int layer, moe_phase phase, moe_way way)
{
    moe_part_send(e, e->part, layer, phase, way);
    moe_pacing_await(e, e->part);
}

/* Attention itself is not executed. Of the reduce-scatter that ends it, direct
 * routing has the part that brings rows to their predicted experts. */
static void end_attention(moe_engine *e, moe_runner *r, int layer,
                          const char *rows)
{
    const size_t pairs = e->it.batch->own * (size_t)e->it.batch->top_k;
    moe_engine_barrier(e, e->gpu_comm, MOE_PHASE_ATTENTION, layer, layer + 1);
    const moe_stamp start = moe_stamp_now();
    moe_pacing_meet(e, layer, MOE_PHASE_ATTENTION);
    moe_dispatch_expect(e->part->dispatch, e->it.batch,
                        e->it.predicted_experts + (size_t)layer * pairs);
    address_rows(e, r, layer, rows);
    if (rows != NULL)
        travel(e, layer, MOE_PHASE_ATTENTION, MOE_WAY_OUT);
    moe_engine_charge(e, MOE_PHASE_ATTENTION, layer, layer + 1, start);
}

static void route(moe_engine *e, const moe_runner *r, int layer)
{
    const moe_stamp start = moe_stamp_now();
    if (r->direct)
        moe_dispatch_compare(e->part->dispatch, e->it.batch, layer);
    else
        moe_dispatch_count(e->part->dispatch, e->it.batch, layer);
    moe_engine_charge(e, MOE_PHASE_ROUTE, layer, layer + 1, start);
}

static void dispatch(moe_engine *e, moe_runner *r, int layer, const char *rows)
{
    moe_engine_barrier(e, e->gpu_comm, MOE_PHASE_DISPATCH, layer, layer + 1);
    const moe_stamp start = moe_stamp_now();
    moe_pacing_meet(e, layer, MOE_PHASE_DISPATCH);
    address_rows(e, r, layer, rows);
    if (rows != NULL)
        travel(e, layer, MOE_PHASE_DISPATCH, MOE_WAY_OUT);
    moe_engine_charge(e, MOE_PHASE_DISPATCH, layer, layer + 1, start);
}

/* Spoil one received row, so that tests see the checks fail. */
static void corrupt(moe_engine *e, char *grouped)
{
    if (!e->checks.corrupt || moe_dispatch_get_rows(e->part->dispatch).all == 0)
        return;
    for (size_t b = 0; b < moe_ffn_row_bytes(&e->shape); b++)
        grouped[b] = (char)~grouped[b];
    e->checks.corrupt = false;
}

static void run_experts(moe_engine *e, moe_runner *r, int layer,
                        const moe_ffn *ffn, void *ffn_state)
{
    const moe_stamp start = moe_stamp_now();
    moe_dispatch *d = e->part->dispatch;
    moe_ffn_input input = {.slots = r->slots,
                           .weights = r->weights->weights +
                                      (size_t)layer * (size_t)r->slots,
                           .rows = moe_dispatch_get_rows(d).of_slot,
                           .data = moe_dispatch_group(d)};
    ffn->run(ffn_state, &input, &e->ctx->err);
    moe_inject(e->ctx, MOE_SITE_FFN);
    corrupt(e, input.data);
    moe_dispatch_ungroup(d, ffn, ffn_state);
    moe_engine_charge(e, MOE_PHASE_FFN, layer, layer + 1, start);
}

static void combine(moe_engine *e, int layer, const moe_ffn *ffn,
                    void *ffn_state)
{
    moe_engine_barrier(e, e->gpu_comm, MOE_PHASE_COMBINE, layer, layer + 1);
    const moe_stamp start = moe_stamp_now();
    moe_ffn_sums sums;
    travel(e, layer, MOE_PHASE_COMBINE, MOE_WAY_HOME);
    const void *rows =
        moe_dispatch_get_home(e->part->dispatch, e->it.batch, &sums);
    ffn->combine(ffn_state, &sums, rows, e->out);
    moe_engine_charge(e, MOE_PHASE_COMBINE, layer, layer + 1, start);
}

/* Full-size bytes of an exchange as its busier direction has them; what stays
 * on this GPU costs nothing. */
static void note_exchange(const moe_engine *e, const int *sent,
                          const int *received, double bytes, double *bytes_out)
{
    const int node = moe_layout_node(&e->layout, e->gpu);
    int64_t out[2] = {0, 0}, in[2] = {0, 0};
    for (int g = 0; g < e->layout.gpus; g++) {
        const int far = moe_layout_node(&e->layout, g) != node;
        if (g == e->gpu)
            continue;
        out[far] += sent[g];
        in[far] += received[g];
    }
    for (int far = 0; far < 2; far++)
        bytes_out[far] =
            (double)(out[far] > in[far] ? out[far] : in[far]) * bytes;
}

static void note_rows(moe_engine *e, const moe_runner *r, int layer)
{
    const moe_dispatch_rows n = moe_dispatch_get_rows(e->part->dispatch);
    const double sent = moe_model_dispatch_bytes(e->p.model);
    const double row = moe_model_row_bytes(e->p.model);
    const double on_wire = moe_serving_row_bytes(e->serving, e->p.model, false);
    moe_layer_facts *f = &e->it.facts[layer];
    for (int g = 0; g < e->layout.gpus; g++) {
        e->it.sent_bytes[g] += (int64_t)(n.sent[g] * on_wire);
        if (n.ahead != NULL)
            e->it.ahead_bytes[g] += (int64_t)(n.ahead[g] * row);
    }
    note_exchange(e, n.sent, n.received, sent, f->dispatch_bytes);
    note_exchange(e, n.home, n.back, row, f->combine_bytes);
    f->ahead_tokens = n.ahead_tokens;
    f->rows = n.all;
    f->placed = n.in_place;
    memcpy(e->it.slot_rows + (size_t)layer * (size_t)e->max_slots, n.of_slot,
           (size_t)r->slots * sizeof *e->it.slot_rows);
}

void moe_engine_layer(moe_engine *e, moe_runner *r, int layer,
                      const moe_ffn *ffn, void *ffn_state, const char *rows)
{
    const bool paced = e->pacing != NULL && rows != NULL && ffn == e->ffn;
    moe_engine_coordinate_beside(e, r, layer, false);
    if (e->gpu >= 0) {
        if (paced) {
            moe_pacing_attend(e, layer);
            moe_beside_need(e, layer);
        }
        if (r->direct)
            end_attention(e, r, layer, rows);
        route(e, r, layer);
    }
    moe_engine_coordinate_beside(e, r, layer, true);
    if (e->gpu < 0)
        return;
    dispatch(e, r, layer, rows);
    if (rows != NULL) {
        if (paced && ffn->paced) {
            moe_pacing_share(e, layer);
            moe_pacing_compute(e, r, e->part, layer);
        } else {
            run_experts(e, r, layer, ffn, ffn_state);
        }
        combine(e, layer, ffn, ffn_state);
    }
    note_rows(e, r, layer);
}
