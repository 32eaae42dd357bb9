/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"

void *moe_dispatch_array(moe_dispatch *d, size_t n, size_t size, moe_error *err)
{
    void **arrays = realloc(d->array, (d->n_arrays + 1) * sizeof *arrays);
    void *p = moe_array_new(n, size, err);
    if (arrays == NULL) {
        free(p);
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    d->array = arrays;
    d->array[d->n_arrays++] = p;
    return p;
}

/* Any rank may receive every pair of a batch, but hardly ever does: reserve
 * addresses for that case and let the kernel back only what is touched. So
 * nothing is ever allocated or moved inside a timed phase. */
void *moe_dispatch_reserve(moe_dispatch *d, size_t n, size_t size,
                           moe_error *err)
{
    const size_t bytes = (n + 1) * size; /* nothing cannot be mapped */
    if (err->status != MOE_OK)
        return NULL;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        moe_fail(err, MOE_NOMEM,
                 "out of address space: needed %.1f MiB for rows",
                 (double)bytes / (1 << 20));
        return NULL;
    }
    assert(d->n_reserved < MOE_ARRAY_LEN(d->reserved));
    d->reserved[d->n_reserved++] = (moe_reservation){p, bytes};
    return p;
}

static void allocate_leg(moe_dispatch *d, moe_leg *leg, bool rows,
                         moe_error *err)
{
    const size_t g = (size_t)d->p.layout.gpus, s = (size_t)d->p.max_slots;
    int **per_slot[] = {&leg->send_slot, &leg->recv_slot};
    int **per_gpu[] = {&leg->send_count, &leg->send_at, &leg->recv_count,
                       &leg->recv_at};
    int **per_row[] = {&leg->row_send, &leg->row_send_at, &leg->row_recv,
                       &leg->row_recv_at};
    for (size_t i = 0; i < MOE_ARRAY_LEN(per_slot); i++)
        *per_slot[i] = moe_dispatch_array(d, g * s, sizeof(int), err);
    for (size_t i = 0; i < MOE_ARRAY_LEN(per_gpu); i++) {
        *per_gpu[i] = moe_dispatch_array(d, g, sizeof(int), err);
        *per_row[i] =
            rows ? moe_dispatch_array(d, g, sizeof(int), err) : *per_gpu[i];
    }
    leg->where = moe_dispatch_array(d, d->p.max_own * (size_t)d->p.top_k,
                                    sizeof *leg->where, err);
}

static void allocate_counts(moe_dispatch *d, moe_error *err)
{
    const size_t e = (size_t)d->p.experts, g = (size_t)d->p.layout.gpus;
    const size_t s = (size_t)d->p.max_slots;
    int **per_gpu[] = {&d->kept_there, &d->home_count, &d->home_at,
                       &d->back_count, &d->back_at};
    for (size_t i = 0; i < MOE_ARRAY_LEN(per_gpu); i++)
        *per_gpu[i] = moe_dispatch_array(d, g, sizeof(int), err);
    d->own = moe_dispatch_array(d, e, sizeof *d->own, err);
    d->total = moe_dispatch_array(d, e, sizeof *d->total, err);
    d->first = moe_dispatch_array(d, e, sizeof *d->first, err);
    d->pairs = moe_dispatch_array(d, g * s, sizeof *d->pairs, err);
    d->assigned = moe_dispatch_array(d, g * s, sizeof *d->assigned, err);
    d->cursor = moe_dispatch_array(d, g * s, sizeof *d->cursor, err);
    d->kept_slot = moe_dispatch_array(d, g * s, sizeof *d->kept_slot, err);
    d->slot_rows = moe_dispatch_array(d, s, sizeof *d->slot_rows, err);
    d->slot_at = moe_dispatch_array(d, s, sizeof *d->slot_at, err);
}

static void allocate_pairs(moe_dispatch *d, moe_error *err)
{
    const size_t own = d->p.max_own * (size_t)d->p.top_k;
    const size_t all = d->p.max_tokens * (size_t)d->p.top_k;
    d->row_of = moe_dispatch_array(d, own, sizeof *d->row_of, err);
    d->missing = moe_dispatch_array(d, own, sizeof *d->missing, err);
    d->keep = moe_dispatch_array(d, own, sizeof *d->keep, err);
    d->place = moe_dispatch_array(d, own, sizeof *d->place, err);
    d->kept = moe_dispatch_reserve(d, all, sizeof *d->kept, err);
    d->row_from = moe_dispatch_reserve(d, all, sizeof *d->row_from, err);
}

static void allocate_shared(moe_dispatch *d, moe_error *err)
{
    const size_t k = (size_t)d->p.top_k, own = d->p.max_own;
    const size_t all = d->p.max_tokens * k;
    if (!d->p.transport->shares)
        return;
    d->gpu_of = moe_dispatch_array(d, own * k, sizeof *d->gpu_of, err);
    d->replica_of = moe_dispatch_array(d, own * k, sizeof *d->replica_of, err);
    d->items = moe_dispatch_array(d, own * k, sizeof *d->items, err);
    d->items_in = moe_dispatch_reserve(d, all, sizeof *d->items_in, err);
    d->sum_of = moe_dispatch_array(d, own + 1, sizeof *d->sum_of, err);
    d->sum_row = moe_dispatch_array(d, own * k, sizeof *d->sum_row, err);
    d->part_of = moe_dispatch_reserve(d, all + 2, sizeof *d->part_of, err);
    d->part_row = moe_dispatch_reserve(d, all, sizeof *d->part_row, err);
    d->part_weight = moe_dispatch_reserve(d, all, sizeof *d->part_weight, err);
}

static void reserve_rows(moe_dispatch *d, moe_error *err)
{
    const moe_transport *t = d->p.transport;
    const size_t bytes = d->p.row_bytes;
    const size_t own = d->p.max_own * (size_t)d->p.top_k;
    const size_t all = d->p.max_tokens * (size_t)d->p.top_k;
    d->send = moe_dispatch_reserve(
        d, t->send_rows != NULL ? t->send_rows(&d->p) : own, bytes, err);
    d->recv = moe_dispatch_reserve(d, 2 * all + 1, bytes, err);
    d->grouped = moe_dispatch_reserve(d, all, bytes, err);
}

static moe_status allocate(moe_dispatch *d, moe_error *err)
{
    allocate_leg(d, &d->rest, d->p.transport->shares, err);
    allocate_leg(d, &d->ahead, true, err);
    allocate_counts(d, err);
    allocate_pairs(d, err);
    allocate_shared(d, err);
    reserve_rows(d, err);
    d->sent[MOE_WAY_OUT] = d->rest.row_send;
    d->received[MOE_WAY_OUT] = d->rest.row_recv;
    d->sent[MOE_WAY_HOME] = d->home_count;
    d->received[MOE_WAY_HOME] = d->back_count;
    if (d->p.transport->init != NULL && err->status == MOE_OK)
        d->p.transport->init(d, err);
    return err->status;
}

/* @return the first bytes of rows. */
static MPI_Datatype row_type(size_t bytes, size_t row_bytes)
{
    MPI_Datatype part, type;
    MOE_MPI(MPI_Type_contiguous((int)bytes, MPI_BYTE, &part));
    MOE_MPI(MPI_Type_create_resized(part, 0, (MPI_Aint)row_bytes, &type));
    MOE_MPI(MPI_Type_commit(&type));
    MOE_MPI(MPI_Type_free(&part));
    return type;
}

moe_status moe_dispatch_new(const moe_dispatch_params *p, moe_dispatch **d_out,
                            moe_error *err)
{
    moe_error local = {0};
    moe_dispatch *d = moe_array_new(1, sizeof *d, &local);
    moe_to_int(p->max_tokens * (uint64_t)p->top_k, "pairs of a batch", &local);
    moe_to_int(p->transport->send_rows != NULL ? p->transport->send_rows(p) : 0,
               "rows to send", &local);
    if (d != NULL)
        *d = (moe_dispatch){.p = *p,
                            .gpu = p->gpu,
                            .row_type = MPI_DATATYPE_NULL,
                            .out_type = MPI_DATATYPE_NULL,
                            .request = MPI_REQUEST_NULL};
    if (local.status == MOE_OK)
        allocate(d, &local);
    if (local.status != MOE_OK) {
        moe_dispatch_free(d);
        return moe_fail(err, local.status, "dispatch: %s", local.text);
    }
    *d_out = d;
    return MOE_OK;
}

void moe_dispatch_connect(moe_dispatch *d, MPI_Comm comm)
{
    MOE_MPI(MPI_Comm_dup(comm, &d->comm));
    d->row_type = row_type(d->p.row_bytes, d->p.row_bytes);
    d->out_type = row_type(d->p.out_bytes > 0 ? d->p.out_bytes : d->p.row_bytes,
                           d->p.row_bytes);
    MOE_MPI(
        MPI_Type_contiguous((int)sizeof(moe_item), MPI_BYTE, &d->item_type));
    MOE_MPI(MPI_Type_commit(&d->item_type));
    if (d->p.transport->connect != NULL)
        d->p.transport->connect(d);
}

void moe_dispatch_free(moe_dispatch *d)
{
    if (d == NULL)
        return;
    if (d->transport_state != NULL && d->p.transport->fini != NULL)
        d->p.transport->fini(d);
    for (size_t i = 0; i < d->n_arrays; i++)
        free(d->array[i]);
    free(d->array);
    for (size_t i = 0; i < d->n_reserved; i++)
        munmap(d->reserved[i].data, d->reserved[i].bytes);
    if (d->row_type != MPI_DATATYPE_NULL) {
        MOE_MPI(MPI_Type_free(&d->row_type));
        MOE_MPI(MPI_Type_free(&d->out_type));
        MOE_MPI(MPI_Type_free(&d->item_type));
        MOE_MPI(MPI_Comm_free(&d->comm));
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
    const bool out = d->way == MOE_WAY_OUT && d->leg == &d->rest;
    const MPI_Datatype type = out ? d->out_type : d->row_type;
    const moe_watch_exchange watched = {
        p->comm, p->first,   type,  d->p.row_bytes, p->from,
        p->send, p->send_at, p->to, p->recv,        p->recv_at};
    if (d->posted && d->p.watch != NULL)
        moe_watch_post(d->p.watch, &watched);
    else if (d->posted)
        MOE_MPI(MPI_Ialltoallv(p->from, p->send, p->send_at, type, p->to,
                               p->recv, p->recv_at, type, p->comm,
                               &d->request));
    else
        MOE_MPI(MPI_Alltoallv(p->from, p->send, p->send_at, type, p->to,
                              p->recv, p->recv_at, type, p->comm));
}

void moe_dispatch_gather(moe_dispatch *d, const moe_parcels *p)
{
    const int own = p->send[d->gpu];
    if (d->posted && d->p.watch != NULL)
        moe_dispatch_exchange(d, p); /* a message to each */
    else if (d->posted)
        MOE_MPI(MPI_Iallgatherv(p->from, own, d->out_type, p->to, p->recv,
                                p->recv_at, d->out_type, p->comm, &d->request));
    else
        MOE_MPI(MPI_Allgatherv(p->from, own, d->out_type, p->to, p->recv,
                               p->recv_at, d->out_type, p->comm));
}

moe_parcels moe_dispatch_rest_parcels(moe_dispatch *d)
{
    const moe_leg *leg = &d->rest;
    return (moe_parcels){.comm = d->comm,
                         .from = d->send,
                         .send = leg->row_send,
                         .send_at = leg->row_send_at,
                         .to = moe_dispatch_rest_rows(d),
                         .recv = leg->row_recv,
                         .recv_at = leg->row_recv_at};
}

void moe_dispatch_exchange_rows(moe_dispatch *d, moe_way way)
{
    const moe_parcels out = moe_dispatch_rest_parcels(d);
    const moe_parcels home = {.comm = d->comm,
                              .from = d->recv,
                              .send = d->home_count,
                              .send_at = d->home_at,
                              .to = d->send,
                              .recv = d->back_count,
                              .recv_at = d->back_at};
    moe_dispatch_exchange(d, way == MOE_WAY_OUT ? &out : &home);
}

static void send_ahead(moe_dispatch *d)
{
    const moe_leg *leg = &d->ahead;
    const moe_parcels p = {.comm = d->comm,
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
        if (d->p.watch != NULL && !moe_watch_test(d->p.watch))
            done = 0;
        else
            MOE_MPI(MPI_Test(&d->request, &done, MPI_STATUS_IGNORE));
    while (done && next_stage(d));
    return done != 0;
}

void moe_dispatch_wait(moe_dispatch *d)
{
    while (d->p.watch != NULL && !moe_dispatch_test(d))
        continue;
    do
        MOE_MPI(MPI_Wait(&d->request, MPI_STATUS_IGNORE));
    while (next_stage(d));
}

const void *moe_dispatch_get_home(const moe_dispatch *d, const moe_batch *batch,
                                  moe_ffn_sums *sums_out)
{
    const bool shares = d->p.transport->shares;
    *sums_out =
        shares
            ? (moe_ffn_sums){.first = d->sum_of, .row = d->sum_row, .even = 1}
            : (moe_ffn_sums){.each = (uint32_t)d->p.top_k,
                             .row = d->rest.where,
                             .weight = d->gate,
                             .even = 1.0f / (float)d->p.top_k};
    sums_out->n = batch->own;
    return d->send;
}
