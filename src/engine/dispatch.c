/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"

/* Any rank may receive every pair of a batch, but hardly ever does: reserve
 * addresses for that case and let the kernel back only what is touched. So
 * nothing is ever allocated or moved inside a timed phase. */
static void *reserve(size_t bytes, moe_error *err)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        moe_fail(err, MOE_NOMEM,
                 "out of address space: needed %.1f MiB for rows",
                 (double)bytes / (1 << 20));
        return NULL;
    }
    return p;
}

static void release(void *p, size_t bytes)
{
    if (p != NULL)
        munmap(p, bytes);
}

/* Every pair of `rest` has a row of its own; of those that go ahead, pairs of a
 * token on a GPU share one. */
static void allocate_rows(moe_dispatch *d, moe_error *err)
{
    const size_t g = (size_t)d->p.layout.gpus;
    moe_leg *a = &d->ahead, *r = &d->rest;
    a->row_send = moe_array_new(g, sizeof *a->row_send, err);
    a->row_send_at = moe_array_new(g, sizeof *a->row_send_at, err);
    a->row_recv = moe_array_new(g, sizeof *a->row_recv, err);
    a->row_recv_at = moe_array_new(g, sizeof *a->row_recv_at, err);
    r->row_send = r->send_count;
    r->row_send_at = r->send_at;
    r->row_recv = r->recv_count;
    r->row_recv_at = r->recv_at;
    d->row_of = moe_array_new(d->p.max_own * (size_t)d->p.top_k,
                              sizeof *d->row_of, err);
}

static void allocate_leg(moe_leg *leg, const moe_dispatch_params *p,
                         moe_error *err)
{
    const size_t g = (size_t)p->layout.gpus, s = (size_t)p->max_slots;
    leg->send_slot = moe_array_new(g * s, sizeof *leg->send_slot, err);
    leg->recv_slot = moe_array_new(g * s, sizeof *leg->recv_slot, err);
    leg->send_count = moe_array_new(g, sizeof *leg->send_count, err);
    leg->send_at = moe_array_new(g, sizeof *leg->send_at, err);
    leg->recv_count = moe_array_new(g, sizeof *leg->recv_count, err);
    leg->recv_at = moe_array_new(g, sizeof *leg->recv_at, err);
    leg->where =
        moe_array_new(p->max_own * (size_t)p->top_k, sizeof *leg->where, err);
}

static void free_leg(moe_leg *leg)
{
    void *arrays[] = {leg->send_slot, leg->recv_slot,  leg->send_count,
                      leg->send_at,   leg->recv_count, leg->recv_at,
                      leg->where};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
}

static void reserve_rows(moe_dispatch *d, moe_error *err)
{
    const moe_dispatch_params *p = &d->p;
    const size_t k = (size_t)p->top_k;
    /* One row more, as nothing cannot be mapped. */
    d->send_reserved = (p->max_own * k + 1) * p->row_bytes;
    d->grouped_reserved = (p->max_tokens * k + 1) * p->row_bytes;
    d->recv_reserved = 2 * d->grouped_reserved;
    d->kept_reserved = p->max_tokens * k + 1;
    d->from_reserved = d->kept_reserved * sizeof *d->row_from;
    if (err->status == MOE_OK)
        d->send = reserve(d->send_reserved, err);
    if (err->status == MOE_OK)
        d->recv = reserve(d->recv_reserved, err);
    if (err->status == MOE_OK)
        d->grouped = reserve(d->grouped_reserved, err);
    if (err->status == MOE_OK)
        d->kept = reserve(d->kept_reserved, err);
    if (err->status == MOE_OK)
        d->row_from = reserve(d->from_reserved, err);
}

static moe_status allocate(moe_dispatch *d, moe_error *err)
{
    const moe_dispatch_params *p = &d->p;
    const size_t e = (size_t)p->experts, g = (size_t)p->layout.gpus;
    const size_t s = (size_t)p->max_slots;
    const size_t own = p->max_own * (size_t)p->top_k;
    d->own = moe_array_new(e, sizeof *d->own, err);
    d->total = moe_array_new(e, sizeof *d->total, err);
    d->first = moe_array_new(e, sizeof *d->first, err);
    d->pairs = moe_array_new(g * s, sizeof *d->pairs, err);
    d->assigned = moe_array_new(g * s, sizeof *d->assigned, err);
    d->cursor = moe_array_new(g * s, sizeof *d->cursor, err);
    allocate_leg(&d->rest, p, err);
    allocate_leg(&d->ahead, p, err);
    allocate_rows(d, err);
    d->missing = moe_array_new(own, sizeof *d->missing, err);
    d->keep = moe_array_new(own, sizeof *d->keep, err);
    d->place = moe_array_new(own, sizeof *d->place, err);
    d->kept_slot = moe_array_new(g * s, sizeof *d->kept_slot, err);
    d->kept_there = moe_array_new(g, sizeof *d->kept_there, err);
    d->home_count = moe_array_new(g, sizeof *d->home_count, err);
    d->home_at = moe_array_new(g, sizeof *d->home_at, err);
    d->back_count = moe_array_new(g, sizeof *d->back_count, err);
    d->back_at = moe_array_new(g, sizeof *d->back_at, err);
    d->slot_rows = moe_array_new(s, sizeof *d->slot_rows, err);
    d->slot_at = moe_array_new(s, sizeof *d->slot_at, err);
    reserve_rows(d, err);
    return err->status;
}

moe_status moe_dispatch_new(const moe_dispatch_params *p, moe_dispatch **d_out,
                            moe_error *err)
{
    moe_error local = {0};
    moe_dispatch *d = moe_array_new(1, sizeof *d, &local);
    moe_to_int(p->max_tokens * (uint64_t)p->top_k, "pairs of a batch", &local);
    if (d != NULL)
        *d = (moe_dispatch){.p = *p,
                            .row_type = MPI_DATATYPE_NULL,
                            .request = MPI_REQUEST_NULL};
    if (d != NULL)
        d->p.comm = MPI_COMM_NULL;
    if (local.status == MOE_OK)
        allocate(d, &local);
    if (local.status != MOE_OK) {
        moe_dispatch_free(d);
        return moe_fail(err, local.status, "dispatch: %s", local.text);
    }
    MOE_MPI(MPI_Comm_dup(p->comm, &d->p.comm));
    MOE_MPI(MPI_Comm_rank(p->comm, &d->gpu));
    MOE_MPI(MPI_Type_contiguous((int)p->row_bytes, MPI_BYTE, &d->row_type));
    MOE_MPI(MPI_Type_commit(&d->row_type));
    *d_out = d;
    return MOE_OK;
}

void moe_dispatch_free(moe_dispatch *d)
{
    if (d == NULL)
        return;
    void *arrays[] = {d->assigned,       d->own,
                      d->total,          d->first,
                      d->pairs,          d->cursor,
                      d->missing,        d->keep,
                      d->place,          d->kept_slot,
                      d->kept_there,     d->home_count,
                      d->home_at,        d->back_count,
                      d->back_at,        d->slot_rows,
                      d->slot_at,        d->row_of,
                      d->ahead.row_send, d->ahead.row_send_at,
                      d->ahead.row_recv, d->ahead.row_recv_at};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
    free_leg(&d->rest);
    free_leg(&d->ahead);
    release(d->send, d->send_reserved);
    release(d->recv, d->recv_reserved);
    release(d->grouped, d->grouped_reserved);
    release(d->kept, d->kept_reserved);
    release(d->row_from, d->from_reserved);
    if (d->row_type != MPI_DATATYPE_NULL) {
        MOE_MPI(MPI_Type_free(&d->row_type));
        MOE_MPI(MPI_Comm_free(&d->p.comm));
    }
    free(d);
}

/* ---- travelling ---- */

char *moe_dispatch_rest_rows(moe_dispatch *d)
{
    return d->recv + (d->direct ? d->rows_ahead : 0) * d->p.row_bytes;
}

void moe_dispatch_exchange(moe_dispatch *d, const moe_parcels *p)
{
    if (d->posted)
        MOE_MPI(MPI_Ialltoallv(p->from, p->send, p->send_at, d->row_type, p->to,
                               p->recv, p->recv_at, d->row_type, p->comm,
                               &d->request));
    else
        MOE_MPI(MPI_Alltoallv(p->from, p->send, p->send_at, d->row_type, p->to,
                              p->recv, p->recv_at, d->row_type, p->comm));
}

static void send_ahead(moe_dispatch *d)
{
    const moe_leg *leg = &d->ahead;
    const moe_parcels p = {.comm = d->p.comm,
                           .from = d->send,
                           .send = leg->row_send,
                           .send_at = leg->row_send_at,
                           .to = d->recv,
                           .recv = leg->row_recv,
                           .recv_at = leg->row_recv_at};
    moe_dispatch_exchange(d, &p);
}

/* @return whether there was one more stage, which has begun. */
static bool next_stage(moe_dispatch *d)
{
    const bool ahead = d->way == MOE_WAY_OUT && d->leg == &d->ahead;
    const moe_transport *t = d->p.transport;
    if (d->stage == (ahead ? 1 : t->stages[d->way]))
        return false;
    if (ahead)
        send_ahead(d);
    else
        t->stage(d, d->way, d->stage);
    d->stage++;
    return true;
}

void moe_dispatch_send(moe_dispatch *d, moe_way way)
{
    d->way = way;
    d->stage = 0;
    d->posted = false;
    while (next_stage(d))
        ;
}

void moe_dispatch_post(moe_dispatch *d, moe_way way)
{
    d->way = way;
    d->stage = 0;
    d->posted = true;
    next_stage(d);
}

bool moe_dispatch_test(moe_dispatch *d)
{
    int done = 1;
    do
        MOE_MPI(MPI_Test(&d->request, &done, MPI_STATUS_IGNORE));
    while (done && next_stage(d));
    return done != 0;
}

void moe_dispatch_wait(moe_dispatch *d)
{
    do
        MOE_MPI(MPI_Wait(&d->request, MPI_STATUS_IGNORE));
    while (next_stage(d));
}

const void *moe_dispatch_get_home(const moe_dispatch *d, const moe_batch *batch,
                                  int layer, moe_ffn_sums *sums_out)
{
    const size_t k = (size_t)batch->top_k;
    const float *gate = batch->gate;
    *sums_out = (moe_ffn_sums){
        .n = batch->own,
        .each = (uint32_t)k,
        .row = d->rest.where,
        .weight = gate != NULL ? gate + (size_t)layer * batch->own * k : NULL,
        .even = 1.0f / (float)k};
    return d->send;
}
