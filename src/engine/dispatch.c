/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/dispatch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"

/* Any rank may receive every pair of a batch, but hardly ever does: reserve
 * addresses for that case and let the kernel back only what is touched. So
 * nothing is ever allocated or moved inside a timed phase. */
static char *reserve(size_t bytes, moe_error *err)
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

static void release(char *p, size_t bytes)
{
    if (p != NULL)
        munmap(p, bytes);
}

static moe_status allocate(moe_dispatch *d, moe_error *err)
{
    const moe_dispatch_params *p = &d->p;
    const size_t e = (size_t)p->experts, g = (size_t)p->layout.gpus;
    const size_t s = (size_t)p->max_slots, k = (size_t)p->top_k;
    d->own = moe_array_new(e, sizeof *d->own, err);
    d->total = moe_array_new(e, sizeof *d->total, err);
    d->first = moe_array_new(e, sizeof *d->first, err);
    d->pairs = moe_array_new(g * s, sizeof *d->pairs, err);
    d->cursor = moe_array_new(g * s, sizeof *d->cursor, err);
    d->where = moe_array_new(p->max_own * k, sizeof *d->where, err);
    d->send_slot = moe_array_new(g * s, sizeof *d->send_slot, err);
    d->recv_slot = moe_array_new(g * s, sizeof *d->recv_slot, err);
    d->send_count = moe_array_new(g, sizeof *d->send_count, err);
    d->send_at = moe_array_new(g, sizeof *d->send_at, err);
    d->recv_count = moe_array_new(g, sizeof *d->recv_count, err);
    d->recv_at = moe_array_new(g, sizeof *d->recv_at, err);
    d->slot_rows = moe_array_new(s, sizeof *d->slot_rows, err);
    d->slot_at = moe_array_new(s, sizeof *d->slot_at, err);
    d->send_reserved = (p->max_own * k + 1) * p->row_bytes;
    d->recv_reserved = (p->max_tokens * k + 1) * p->row_bytes;
    if (err->status == MOE_OK)
        d->send = reserve(d->send_reserved, err);
    if (err->status == MOE_OK)
        d->recv = reserve(d->recv_reserved, err);
    if (err->status == MOE_OK)
        d->grouped = reserve(d->recv_reserved, err);
    return err->status;
}

moe_status moe_dispatch_init(moe_dispatch *d, const moe_dispatch_params *p,
                             moe_error *err)
{
    *d = (moe_dispatch){.p = *p, .row_type = MPI_DATATYPE_NULL};
    moe_error local = {0};
    moe_to_int(p->max_tokens * (uint64_t)p->top_k, "pairs of a batch", &local);
    if (local.status == MOE_OK)
        allocate(d, &local);
    if (local.status != MOE_OK) {
        moe_dispatch_fini(d);
        return moe_fail(err, local.status, "dispatch: %s", local.text);
    }
    MOE_MPI(MPI_Comm_rank(p->comm, &d->gpu));
    MOE_MPI(MPI_Type_contiguous((int)p->row_bytes, MPI_BYTE, &d->row_type));
    MOE_MPI(MPI_Type_commit(&d->row_type));
    return MOE_OK;
}

void moe_dispatch_fini(moe_dispatch *d)
{
    void *arrays[] = {d->own,        d->total,   d->first,      d->pairs,
                      d->cursor,     d->where,   d->send_slot,  d->recv_slot,
                      d->send_count, d->send_at, d->recv_count, d->recv_at,
                      d->slot_rows,  d->slot_at};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
    release(d->send, d->send_reserved);
    release(d->recv, d->recv_reserved);
    release(d->grouped, d->recv_reserved);
    if (d->row_type != MPI_DATATYPE_NULL)
        MOE_MPI(MPI_Type_free(&d->row_type));
    *d = (moe_dispatch){.row_type = MPI_DATATYPE_NULL};
}

static const uint16_t *layer_experts(const moe_batch *batch, int layer)
{
    return batch->experts_of +
           (size_t)layer * batch->own * (size_t)batch->top_k;
}

void moe_dispatch_count(moe_dispatch *d, const moe_batch *batch, int layer)
{
    const uint16_t *e = layer_experts(batch, layer);
    const size_t n = batch->own * (size_t)batch->top_k;
    memset(d->own, 0, (size_t)d->p.experts * sizeof *d->own);
    for (size_t i = 0; i < n; i++)
        d->own[e[i]]++;
}

void moe_dispatch_number(moe_dispatch *d)
{
    /* `total` carries the own counts in, then one scan and one reduction. */
    for (int e = 0; e < d->p.experts; e++)
        d->total[e] = d->own[e];
    MOE_MPI(MPI_Exscan(d->total, d->first, d->p.experts, MPI_UINT64_T, MPI_SUM,
                       d->p.comm));
    if (d->gpu == 0) /* Exscan leaves it undefined there */
        memset(d->first, 0, (size_t)d->p.experts * sizeof *d->first);
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, d->total, d->p.experts, MPI_UINT64_T,
                          MPI_SUM, d->p.comm));
}

/* Rows per (GPU, slot), and from them the send order. */
static void lay_out_send(moe_dispatch *d, const moe_replicas *r)
{
    const size_t n = (size_t)d->p.layout.gpus * (size_t)d->slots;
    memset(d->send_slot, 0, n * sizeof *d->send_slot);
    for (uint32_t j = 0; j < r->first[r->experts]; j++)
        d->send_slot[r->replica[j].gpu * d->slots + r->replica[j].slot] =
            (int)d->pairs[j];
    int at = 0;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        d->send_at[g] = at;
        for (int s = 0; s < d->slots; s++) {
            d->recv_slot[g * d->slots + s] = at; /* borrowed: place of slot */
            at += d->send_slot[g * d->slots + s];
        }
        d->send_count[g] = at - d->send_at[g];
    }
    d->n_send = (uint64_t)at;
    for (uint32_t j = 0; j < r->first[r->experts]; j++)
        d->cursor[j] =
            (uint32_t)
                d->recv_slot[r->replica[j].gpu * d->slots + r->replica[j].slot];
}

void moe_dispatch_address(moe_dispatch *d, const moe_batch *batch, int layer,
                          const moe_replicas *replicas, int slots,
                          const moe_split *split, void *split_state)
{
    const moe_split_input in = {.replicas = replicas,
                                .layout = &d->p.layout,
                                .gpu = d->gpu,
                                .total = d->total,
                                .first = d->first,
                                .own = d->own};
    split->divide(split_state, &in, d->pairs);
    d->slots = slots;
    lay_out_send(d, replicas);
    /* `own` becomes the replica that takes the next pair of each expert. */
    uint32_t *current = d->own;
    memcpy(current, replicas->first, (size_t)d->p.experts * sizeof *current);
    const uint16_t *e = layer_experts(batch, layer);
    const size_t n = batch->own * (size_t)batch->top_k;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = current[e[i]];
        while (d->pairs[r] == 0)
            r++;
        d->pairs[r]--;
        d->where[i] = d->cursor[r]++;
        current[e[i]] = r;
    }
}

void moe_dispatch_pack(moe_dispatch *d, const moe_batch *batch,
                       const void *rows)
{
    const size_t bytes = d->p.row_bytes, k = (size_t)batch->top_k;
    const char *row = rows;
    const uint32_t *where = d->where;
    for (uint32_t t = 0; t < batch->own; t++, row += bytes)
        for (size_t j = 0; j < k; j++)
            memcpy(d->send + *where++ * bytes, row, bytes);
}

void moe_dispatch_tell(moe_dispatch *d)
{
    MOE_MPI(MPI_Alltoall(d->send_slot, d->slots, MPI_INT, d->recv_slot,
                         d->slots, MPI_INT, d->p.comm));
    int at = 0;
    memset(d->slot_rows, 0, (size_t)d->slots * sizeof *d->slot_rows);
    for (int g = 0; g < d->p.layout.gpus; g++) {
        d->recv_at[g] = at;
        for (int s = 0; s < d->slots; s++) {
            int n = d->recv_slot[g * d->slots + s];
            d->slot_rows[s] += (uint32_t)n;
            at += n;
        }
        d->recv_count[g] = at - d->recv_at[g];
    }
    d->n_recv = (uint64_t)at;
    uint32_t first = 0;
    for (int s = 0; s < d->slots; s++) {
        d->slot_at[s] = first;
        first += d->slot_rows[s];
    }
}

void moe_dispatch_send(moe_dispatch *d)
{
    MOE_MPI(MPI_Alltoallv(d->send, d->send_count, d->send_at, d->row_type,
                          d->recv, d->recv_count, d->recv_at, d->row_type,
                          d->p.comm));
}

/* Copy between received order (rank, slot) and grouped order (slot, rank),
 * a run of rows at a time. */
static void regroup(moe_dispatch *d, bool to_grouped)
{
    const size_t bytes = d->p.row_bytes;
    uint32_t *next = d->cursor; /* borrowed: next grouped row of each slot */
    memcpy(next, d->slot_at, (size_t)d->slots * sizeof *next);
    char *received = d->recv;
    const int *rows = d->recv_slot;
    for (int g = 0; g < d->p.layout.gpus; g++)
        for (int s = 0; s < d->slots; s++, rows++) {
            if (*rows == 0)
                continue;
            char *grouped = d->grouped + next[s] * bytes;
            const size_t n = (size_t)*rows * bytes;
            memcpy(to_grouped ? grouped : received,
                   to_grouped ? received : grouped, n);
            next[s] += (uint32_t)*rows;
            received += n;
        }
}

void *moe_dispatch_group(moe_dispatch *d)
{
    regroup(d, true);
    return d->grouped;
}

void moe_dispatch_ungroup(moe_dispatch *d)
{
    regroup(d, false);
}

void moe_dispatch_send_back(moe_dispatch *d)
{
    MOE_MPI(MPI_Alltoallv(d->recv, d->recv_count, d->recv_at, d->row_type,
                          d->send, d->send_count, d->send_at, d->row_type,
                          d->p.comm));
}
