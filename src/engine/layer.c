/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

/* A way through a layer, and whose experts compute it. */
typedef struct {
    moe_runner *r;
    int layer;
    const moe_ffn *ffn; /* NULL: pairs are only counted */
    void *ffn_state;
    const char *rows; /* [own][row bytes]; NULL likewise */
    bool paced;
    moe_stamp at; /* when the phase in progress began */
} pass;

/* A phase has ended, and the next one begins. */
static void end_phase(moe_engine *e, pass *w, moe_phase phase)
{
    w->at = moe_engine_charge(e, phase, w->layer, w->layer + 1, w->at);
}

/* GPUs begin a phase together, where runs are made so. */
static void begin_phase(moe_engine *e, pass *w, moe_phase phase)
{
    if (e->p.experiment->emulation.sync == MOE_SYNC_NONE)
        return;
    moe_engine_barrier(e, e->gpu_comm, phase, w->layer, w->layer + 1);
    w->at = moe_stamp_now();
}

/* Number and address the pairs that were counted last, and tell who gets them. */
static void address_rows(moe_engine *e, pass *w, moe_part *p)
{
    moe_dispatch *d = p->dispatch;
    moe_runner *r = w->r;
    const moe_replicas *replicas = &r->replicas[w->layer];
    if (r->spec->split->needs_counts && moe_replicas_copies(replicas)) {
        moe_dispatch_number(d);
        e->it.facts[w->layer].numbers += p == e->part; /* one for all parts */
    } else {
        moe_dispatch_number_own(d);
    }
    moe_dispatch_address(d, &p->batch, replicas, r->slots, r->spec->split,
                         r->split);
    moe_dispatch_tell(d);
    if (w->rows != NULL)
        moe_dispatch_pack(d, &p->batch,
                          w->rows + p->first * moe_ffn_row_bytes(&e->shape));
}

/* Attention itself is not executed. Of the reduce-scatter that ends it, direct
 * routing has the part that brings rows to their predicted experts. */
static void end_attention(moe_engine *e, pass *w, moe_part *p)
{
    const size_t k = (size_t)e->it.batch->top_k;
    const size_t at = (size_t)w->layer * e->it.batch->own + p->first;
    begin_phase(e, w, MOE_PHASE_ATTENTION);
    moe_pacing_meet(e, w->layer, MOE_PHASE_ATTENTION);
    moe_dispatch_expect(p->dispatch, &p->batch,
                        e->it.predicted_experts + at * k);
    address_rows(e, w, p);
    if (w->rows != NULL)
        moe_part_send(e, p, w->layer, MOE_PHASE_ATTENTION, MOE_WAY_OUT);
    moe_pacing_await(e, p);
    end_phase(e, w, MOE_PHASE_ATTENTION);
}

static void route(moe_engine *e, pass *w, moe_part *p)
{
    if (w->r->direct)
        moe_dispatch_compare(p->dispatch, &p->batch, 0);
    else
        moe_dispatch_count(p->dispatch, &p->batch, 0);
    end_phase(e, w, MOE_PHASE_ROUTE);
}

static void dispatch(moe_engine *e, pass *w, moe_part *p)
{
    begin_phase(e, w, MOE_PHASE_DISPATCH);
    moe_pacing_meet(e, w->layer, MOE_PHASE_DISPATCH);
    address_rows(e, w, p);
    if (w->rows != NULL)
        moe_part_send(e, p, w->layer, MOE_PHASE_DISPATCH, MOE_WAY_OUT);
    if (e->n_parts == 1)
        moe_pacing_await(e, p);
    end_phase(e, w, MOE_PHASE_DISPATCH);
}

/* Spoil one received row, so that tests see the checks fail. */
static void corrupt(moe_engine *e, const moe_part *p, char *grouped)
{
    if (!e->checks.corrupt || moe_dispatch_get_rows(p->dispatch).all == 0)
        return;
    for (size_t b = 0; b < moe_ffn_row_bytes(&e->shape); b++)
        grouped[b] = (char)~grouped[b];
    e->checks.corrupt = false;
}

static void run_experts(moe_engine *e, pass *w, moe_part *p)
{
    const moe_runner *r = w->r;
    moe_ffn_input input = {.slots = r->slots,
                           .weights = r->weights->weights +
                                      (size_t)w->layer * (size_t)r->slots,
                           .rows = moe_dispatch_get_rows(p->dispatch).of_slot,
                           .data = moe_dispatch_group(p->dispatch)};
    w->ffn->run(w->ffn_state, &input, &e->ctx->err);
    moe_inject(e->ctx, MOE_SITE_FFN);
    corrupt(e, p, input.data);
    moe_dispatch_ungroup(p->dispatch, w->ffn, w->ffn_state);
    end_phase(e, w, MOE_PHASE_FFN);
}

/* What went home is there, and summed. @return when. */
static moe_stamp come_home(moe_engine *e, moe_part *p, moe_stamp start)
{
    moe_ffn_sums sums;
    moe_pacing_await(e, p);
    const void *rows = moe_dispatch_get_home(p->dispatch, &p->batch, &sums);
    p->ffn->combine(p->ffn_state, &sums, rows,
                    e->out + p->first * moe_ffn_out_bytes(&e->shape));
    p->ffn = NULL;
    return moe_engine_charge(e, MOE_PHASE_COMBINE, p->layer, p->layer + 1,
                             start);
}

/* What came is computed, and goes home. */
static void compute(moe_engine *e, pass *w, moe_part *p)
{
    const bool paced = w->paced && w->ffn->paced;
    if (paced)
        w->at = moe_pacing_share(e, w->layer, w->at);
    if (p->due) {
        moe_pacing_await(e, p);
        end_phase(e, w, MOE_PHASE_DISPATCH);
    }
    if (paced)
        w->at = moe_pacing_compute(e, w->r, p, w->layer, w->at);
    else
        run_experts(e, w, p);
    begin_phase(e, w, MOE_PHASE_COMBINE);
    p->ffn = w->ffn;
    p->ffn_state = w->ffn_state;
    moe_part_send(e, p, w->layer, MOE_PHASE_COMBINE, MOE_WAY_HOME);
    if (e->n_parts == 1)
        w->at = come_home(e, p, w->at);
    else
        end_phase(e, w, MOE_PHASE_COMBINE);
}

/* What one GPU has of an exchange, within the node and across nodes; what stays
 * on it costs nothing. */
typedef struct {
    int64_t out[2], in[2];
} volume;

static void add_volume(const moe_engine *e, const int *sent,
                       const int *received, volume *to)
{
    const int node = moe_layout_node(&e->layout, e->gpu);
    for (int g = 0; g < e->layout.gpus; g++) {
        const int far = moe_layout_node(&e->layout, g) != node;
        if (g == e->gpu)
            continue;
        to->out[far] += sent[g];
        to->in[far] += received[g];
    }
}

/* Full-size bytes as the busier direction has them. */
static void note_volume(const volume *v, double bytes, double *bytes_out)
{
    for (int far = 0; far < 2; far++)
        bytes_out[far] =
            (double)(v->out[far] > v->in[far] ? v->out[far] : v->in[far]) *
            bytes;
}

static void note_part(moe_engine *e, const pass *w, const moe_dispatch_rows *n)
{
    const double row = moe_model_row_bytes(e->p.model);
    const double on_wire = moe_serving_row_bytes(e->serving, e->p.model, false);
    moe_layer_facts *f = &e->it.facts[w->layer];
    uint32_t *rows = e->it.slot_rows + (size_t)w->layer * (size_t)e->max_slots;
    for (int g = 0; g < e->layout.gpus; g++) {
        e->it.sent_bytes[g] += (int64_t)(n->sent[g] * on_wire);
        if (n->ahead != NULL)
            e->it.ahead_bytes[g] += (int64_t)(n->ahead[g] * row);
    }
    f->ahead_tokens += n->ahead_tokens;
    f->rows += n->all;
    f->placed += n->in_place;
    for (int s = 0; s < w->r->slots; s++)
        rows[s] += n->of_slot[s];
}

static void note_rows(moe_engine *e, const pass *w, int parts)
{
    moe_layer_facts *f = &e->it.facts[w->layer];
    volume out = {{0}, {0}}, home = {{0}, {0}};
    for (int i = 0; i < parts; i++) {
        const moe_dispatch_rows n = moe_dispatch_get_rows(e->part[i].dispatch);
        note_part(e, w, &n);
        add_volume(e, n.sent, n.received, &out);
        add_volume(e, n.home, n.back, &home);
    }
    note_volume(&out, moe_model_dispatch_bytes(e->p.model), f->dispatch_bytes);
    note_volume(&home, moe_model_row_bytes(e->p.model), f->combine_bytes);
}

/* Plans that are made beside the layer. */
static void coordinate(moe_engine *e, pass *w, bool routed)
{
    const int done = e->it.coordinated;
    moe_engine_coordinate_beside(e, w->r, w->layer, routed);
    if (e->it.coordinated != done)
        w->at = moe_stamp_now();
}

/* Up to where a part's rows leave. */
static void send_out(moe_engine *e, pass *w, moe_part *p, bool last)
{
    if (w->paced) {
        w->at = moe_pacing_attend(e, w->layer, w->at);
        w->at = moe_beside_need(e, w->layer, w->at);
    }
    if (w->r->direct)
        end_attention(e, w, p);
    route(e, w, p);
    if (last)
        coordinate(e, w, true);
    dispatch(e, w, p);
}

void moe_engine_layer(moe_engine *e, moe_runner *r, int layer,
                      const moe_ffn *ffn, void *ffn_state, const char *rows)
{
    pass w = {.r = r,
              .layer = layer,
              .ffn = ffn,
              .ffn_state = ffn_state,
              .rows = rows,
              .paced = e->pacing != NULL && rows != NULL && ffn == e->ffn,
              .at = moe_stamp_now()};
    const int n = rows != NULL ? e->n_parts : 1;
    coordinate(e, &w, false);
    if (e->gpu < 0) {
        coordinate(e, &w, true);
        return;
    }
    for (int i = 0; i < n; i++) {
        moe_part *p = &e->part[i];
        if (p->ffn != NULL)
            w.at = come_home(e, p, w.at);
        moe_part_load(e, i, n, layer);
        send_out(e, &w, p, i + 1 == n);
    }
    for (int i = 0; i < n && rows != NULL; i++)
        compute(e, &w, &e->part[i]);
    note_rows(e, &w, n);
}

void moe_engine_end_layers(moe_engine *e)
{
    for (moe_part *p = e->part; p < e->part + e->n_parts; p++)
        if (p->ffn != NULL)
            come_home(e, p, moe_stamp_now());
}
