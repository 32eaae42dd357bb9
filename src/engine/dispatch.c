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
        *d = (moe_dispatch){.p = *p, .row_type = MPI_DATATYPE_NULL};
    if (local.status == MOE_OK)
        allocate(d, &local);
    if (local.status != MOE_OK) {
        moe_dispatch_free(d);
        return moe_fail(err, local.status, "dispatch: %s", local.text);
    }
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
    if (d->row_type != MPI_DATATYPE_NULL)
        MOE_MPI(MPI_Type_free(&d->row_type));
    free(d);
}

static const uint16_t *layer_experts(const moe_batch *batch, int layer)
{
    return batch->experts_of +
           (size_t)layer * batch->own * (size_t)batch->top_k;
}

/* ---- what travels ---- */

static void begin_leg(moe_dispatch *d, moe_leg *leg, const uint16_t *experts,
                      const moe_batch *batch)
{
    const size_t n = batch->own * (size_t)batch->top_k;
    d->leg = leg;
    d->experts = experts;
    memset(d->own, 0, (size_t)d->p.experts * sizeof *d->own);
    for (size_t i = 0; i < n; i++)
        if (experts[i] < MOE_ASSIGNED)
            d->own[experts[i]]++;
}

static void keep_nothing(moe_dispatch *d)
{
    d->direct = false;
    memset(d->kept_there, 0, (size_t)d->p.layout.gpus * sizeof *d->kept_there);
}

void moe_dispatch_count(moe_dispatch *d, const moe_batch *batch, int layer)
{
    keep_nothing(d);
    begin_leg(d, &d->rest, layer_experts(batch, layer), batch);
}

void moe_dispatch_expect(moe_dispatch *d, const moe_batch *batch,
                         const uint16_t *predicted)
{
    keep_nothing(d);
    d->expected = predicted;
    begin_leg(d, &d->ahead, predicted, batch);
}

/* Until `address` knows where it comes home, a pair in place remembers its row
 * that went ahead, and one that could not its replica. */
void moe_dispatch_compare(moe_dispatch *d, const moe_batch *batch, int layer)
{
    const uint16_t *truth = layer_experts(batch, layer);
    const uint16_t *said = d->expected;
    const size_t k = (size_t)batch->top_k, n = batch->own * k;
    memset(d->keep, 0, d->ahead.n_send);
    for (size_t i = 0; i < n; i++) {
        const size_t token = i - i % k;
        size_t j = token;
        while (j < token + k && said[j] != truth[i])
            j++;
        const bool right = j < token + k;
        const bool later = right && (d->ahead.where[j] & MOE_LATER) != 0;
        d->missing[i] = later ? MOE_ASSIGNED : right ? MOE_IN_PLACE : truth[i];
        if (right)
            d->rest.where[i] = d->ahead.where[j] & ~MOE_LATER;
        if (right && !later)
            d->keep[d->ahead.where[j]] = 1;
    }
    for (int g = 0; g < d->p.layout.gpus; g++) {
        const uint8_t *keep = d->keep + d->ahead.send_at[g];
        for (int r = 0; r < d->ahead.send_count[g]; r++)
            d->kept_there[g] += keep[r];
    }
    d->direct = true;
    begin_leg(d, &d->rest, d->missing, batch);
}

void moe_dispatch_number_own(moe_dispatch *d)
{
    for (int e = 0; e < d->p.experts; e++)
        d->total[e] = d->own[e];
    memset(d->first, 0, (size_t)d->p.experts * sizeof *d->first);
}

void moe_dispatch_number(moe_dispatch *d)
{
    /* `total` carries the own counts in, then one scan and one reduction. */
    moe_dispatch_number_own(d);
    MOE_MPI(MPI_Exscan(d->total, d->first, d->p.experts, MPI_UINT64_T, MPI_SUM,
                       d->p.comm));
    if (d->gpu == 0) /* Exscan leaves it undefined there */
        memset(d->first, 0, (size_t)d->p.experts * sizeof *d->first);
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, d->total, d->p.experts, MPI_UINT64_T,
                          MPI_SUM, d->p.comm));
}

/* ---- where to ---- */

/* Whether rows of the leg being made can reach a GPU. */
static bool reaches(const moe_dispatch *d, int gpu)
{
    return d->leg == &d->rest || gpu / d->p.group == d->gpu / d->p.group;
}

/* Rows per (GPU, slot), and from them the send order. The rows of a GPU leave
 * room before them for those that it kept: so the send order is that in which
 * all come home. */
static void lay_out_send(moe_dispatch *d, const moe_replicas *r)
{
    moe_leg *leg = d->leg;
    const size_t n = (size_t)d->p.layout.gpus * (size_t)d->slots;
    int *first = leg->recv_slot; /* borrowed: first row of each slot */
    memset(leg->send_slot, 0, n * sizeof *leg->send_slot);
    for (uint32_t j = 0; j < r->first[r->experts]; j++)
        if (reaches(d, r->replica[j].gpu))
            leg->send_slot[r->replica[j].gpu * d->slots + r->replica[j].slot] =
                (int)(d->pairs[j] + d->assigned[j]);
    int at = 0;
    leg->n_send = 0;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        d->back_at[g] = at;
        at += d->kept_there[g];
        leg->send_at[g] = at;
        for (int s = 0; s < d->slots; s++) {
            first[g * d->slots + s] = at;
            at += leg->send_slot[g * d->slots + s];
        }
        leg->send_count[g] = at - leg->send_at[g];
        d->back_count[g] = at - d->back_at[g];
        leg->n_send += (uint64_t)leg->send_count[g];
    }
    for (uint32_t j = 0; j < r->first[r->experts]; j++)
        d->cursor[j] =
            (uint32_t)first[r->replica[j].gpu * d->slots + r->replica[j].slot];
}

/* Kept rows come home in the order in which they went ahead. */
static void place_kept(moe_dispatch *d)
{
    for (int g = 0; g < d->p.layout.gpus; g++) {
        const int first = d->ahead.send_at[g];
        uint32_t at = (uint32_t)d->back_at[g];
        for (int r = first; r < first + d->ahead.send_count[g]; r++) {
            d->place[r] = at;
            at += d->keep[r];
        }
    }
}

/* @return the first pair of a token that goes to the same GPU as its pair j. */
static size_t first_there(const uint32_t *gpu, size_t j)
{
    size_t i = 0;
    while (gpu[i] != gpu[j])
        i++;
    return i;
}

/* One row for a token and GPU, however many of the token's experts are foretold
 * there. @param gpu  [own][top_k] where the row of a pair goes. */
static void share_rows(moe_dispatch *d, const moe_batch *batch,
                       const uint32_t *gpu)
{
    moe_leg *leg = &d->ahead;
    const size_t k = (size_t)batch->top_k;
    const uint32_t *where = leg->where;
    memset(leg->row_send, 0, (size_t)d->p.layout.gpus * sizeof *leg->row_send);
    for (uint32_t t = 0; t < batch->own; t++, gpu += k, where += k)
        for (size_t j = 0; j < k; j++) {
            if (gpu[j] == MOE_LATER)
                continue;
            const size_t i = first_there(gpu, j);
            d->row_of[where[j]] =
                i < j ? d->row_of[where[i]] : (uint32_t)leg->row_send[gpu[j]]++;
        }
    int at = 0;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        leg->row_send_at[g] = at;
        at += leg->row_send[g];
    }
    d->ahead_tokens = (uint64_t)(at - leg->row_send[d->gpu]);
}

static void count_assigned(moe_dispatch *d, const moe_replicas *replicas,
                           const moe_batch *batch)
{
    const size_t n = batch->own * (size_t)batch->top_k;
    memset(d->assigned, 0,
           replicas->first[replicas->experts] * sizeof *d->assigned);
    for (size_t i = 0; i < n; i++)
        if (d->experts[i] == MOE_ASSIGNED)
            d->assigned[d->leg->where[i]]++;
}

void moe_dispatch_address(moe_dispatch *d, const moe_batch *batch,
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
    count_assigned(d, replicas, batch);
    lay_out_send(d, replicas);
    if (d->direct)
        place_kept(d);
    /* `own` becomes the replica that takes the next pair of each expert. */
    uint32_t *current = d->own, *where = d->leg->where;
    memcpy(current, replicas->first, (size_t)d->p.experts * sizeof *current);
    const uint16_t *e = d->experts;
    const size_t n = batch->own * (size_t)batch->top_k;
    for (size_t i = 0; i < n; i++) {
        if (e[i] == MOE_IN_PLACE) {
            where[i] = d->place[where[i]];
            continue;
        }
        if (e[i] == MOE_ASSIGNED) {
            where[i] = d->cursor[where[i]]++;
            continue;
        }
        uint32_t r = current[e[i]];
        while (d->pairs[r] == 0)
            r++;
        d->pairs[r]--;
        current[e[i]] = r;
        const int gpu = replicas->replica[r].gpu;
        const bool goes = reaches(d, gpu);
        where[i] = goes ? d->cursor[r]++ : MOE_LATER | r;
        if (d->leg == &d->ahead) /* `place` is free until rows are kept */
            d->place[i] = goes ? (uint32_t)gpu : MOE_LATER;
    }
    if (d->leg == &d->ahead)
        share_rows(d, batch, d->place);
}

static void pack_ahead(moe_dispatch *d, const moe_batch *batch, const char *row)
{
    const size_t bytes = d->p.row_bytes, k = (size_t)batch->top_k;
    const uint32_t *gpu = d->place, *where = d->ahead.where;
    for (uint32_t t = 0; t < batch->own; t++, row += bytes, gpu += k)
        for (size_t j = 0; j < k; j++, where++) {
            if (gpu[j] == MOE_LATER || first_there(gpu, j) < j)
                continue;
            const size_t at =
                (size_t)d->ahead.row_send_at[gpu[j]] + d->row_of[*where];
            memcpy(d->send + at * bytes, row, bytes);
        }
}

void moe_dispatch_pack(moe_dispatch *d, const moe_batch *batch,
                       const void *rows)
{
    if (d->leg == &d->ahead) {
        pack_ahead(d, batch, rows);
        return;
    }
    const size_t bytes = d->p.row_bytes, k = (size_t)batch->top_k;
    const char *row = rows;
    const uint32_t *where = d->leg->where;
    const uint16_t *e = d->experts;
    for (uint32_t t = 0; t < batch->own; t++, row += bytes)
        for (size_t j = 0; j < k; j++, where++)
            if (*e++ != MOE_IN_PLACE)
                memcpy(d->send + *where * bytes, row, bytes);
}

/* ---- the exchange ---- */

static void lay_out_recv(moe_dispatch *d)
{
    moe_leg *leg = d->leg;
    const int *rows = leg->recv_slot;
    int at = 0;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        leg->recv_at[g] = at;
        for (int s = 0; s < d->slots; s++)
            at += *rows++;
        leg->recv_count[g] = at - leg->recv_at[g];
    }
    leg->n_recv = (uint64_t)at;
}

/* Which row each pair that comes ahead has, and so how many rows come. */
static void tell_rows(moe_dispatch *d)
{
    moe_leg *leg = &d->ahead;
    MOE_MPI(MPI_Alltoallv(d->row_of, leg->send_count, leg->send_at,
                          MPI_UINT32_T, d->row_from, leg->recv_count,
                          leg->recv_at, MPI_UINT32_T, d->p.comm));
    const uint32_t *from = d->row_from;
    int at = 0;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        int n = 0;
        for (int r = 0; r < leg->recv_count[g]; r++, from++)
            n = (int)*from >= n ? (int)*from + 1 : n;
        leg->row_recv[g] = n;
        leg->row_recv_at[g] = at;
        at += n;
    }
    d->rows_ahead = (uint64_t)at;
}

/* Which rows that went ahead are wanted, and how many of them each slot has
 * of each rank. */
static void tell_kept(moe_dispatch *d)
{
    const moe_leg *a = &d->ahead;
    MOE_MPI(MPI_Alltoallv(d->keep, a->send_count, a->send_at, MPI_UINT8_T,
                          d->kept, a->recv_count, a->recv_at, MPI_UINT8_T,
                          d->p.comm));
    const uint8_t *kept = d->kept;
    const int n = d->p.layout.gpus * d->slots;
    for (int i = 0; i < n; i++) {
        int sum = 0;
        for (int r = 0; r < a->recv_slot[i]; r++)
            sum += *kept++;
        d->kept_slot[i] = sum;
    }
}

/* Grouped rows of every slot, and rows of every rank that go home. */
static void lay_out_rows(moe_dispatch *d)
{
    int at = 0;
    memset(d->slot_rows, 0, (size_t)d->slots * sizeof *d->slot_rows);
    for (int g = 0; g < d->p.layout.gpus; g++) {
        d->home_at[g] = at;
        for (int s = 0; s < d->slots; s++) {
            const int i = g * d->slots + s;
            const int n =
                d->rest.recv_slot[i] + (d->direct ? d->kept_slot[i] : 0);
            d->slot_rows[s] += (uint32_t)n;
            at += n;
        }
        d->home_count[g] = at - d->home_at[g];
    }
    d->n_rows = (uint64_t)at;
    uint32_t first = 0;
    for (int s = 0; s < d->slots; s++) {
        d->slot_at[s] = first;
        first += d->slot_rows[s];
    }
}

void moe_dispatch_tell(moe_dispatch *d)
{
    moe_leg *leg = d->leg;
    MOE_MPI(MPI_Alltoall(leg->send_slot, d->slots, MPI_INT, leg->recv_slot,
                         d->slots, MPI_INT, d->p.comm));
    lay_out_recv(d);
    if (d->direct)
        tell_kept(d);
    if (leg == &d->rest)
        lay_out_rows(d);
    else
        tell_rows(d);
}

/* What came ahead stays where it is, the rest arrives behind it. */
static char *rest_rows(moe_dispatch *d)
{
    return d->recv + (d->direct ? d->rows_ahead : 0) * d->p.row_bytes;
}

void moe_dispatch_send(moe_dispatch *d)
{
    const moe_leg *leg = d->leg;
    char *to = leg == &d->rest ? rest_rows(d) : d->recv;
    MOE_MPI(MPI_Alltoallv(d->send, leg->row_send, leg->row_send_at, d->row_type,
                          to, leg->row_recv, leg->row_recv_at, d->row_type,
                          d->p.comm));
}

moe_dispatch_rows moe_dispatch_get_rows(const moe_dispatch *d)
{
    return (moe_dispatch_rows){.of_slot = d->slot_rows,
                               .all = d->n_rows,
                               .in_place = d->n_rows - d->rest.n_recv,
                               .ahead = d->direct ? d->ahead.row_send : NULL,
                               .ahead_tokens = d->direct ? d->ahead_tokens : 0,
                               .sent = d->rest.send_count,
                               .received = d->rest.recv_count,
                               .home = d->home_count,
                               .back = d->back_count};
}

/* ---- by slot and back ---- */

/* Copy the rows of the wanted ones of n pairs. @return where they end. */
static char *copy_kept(char *to, const char *rows, const uint32_t *row,
                       const uint8_t *kept, int n, size_t bytes)
{
    for (int r = 0; r < n; r++)
        if (kept[r]) {
            memcpy(to, rows + row[r] * bytes, bytes);
            to += bytes;
        }
    return to;
}

void *moe_dispatch_group(moe_dispatch *d)
{
    const size_t bytes = d->p.row_bytes;
    uint32_t *next = d->cursor; /* borrowed: next grouped row of each slot */
    memcpy(next, d->slot_at, (size_t)d->slots * sizeof *next);
    const char *rest = rest_rows(d);
    const uint8_t *kept = d->kept;
    const uint32_t *row = d->row_from;
    for (int g = 0; g < d->p.layout.gpus; g++)
        for (int s = 0; s < d->slots; s++) {
            const int i = g * d->slots + s, n = d->rest.recv_slot[i];
            char *to = d->grouped + next[s] * bytes;
            next[s] += (uint32_t)n;
            if (d->direct) {
                const int came = d->ahead.recv_slot[i];
                const char *rows =
                    d->recv + (size_t)d->ahead.row_recv_at[g] * bytes;
                to = copy_kept(to, rows, row, kept, came, bytes);
                row += came;
                kept += came;
                next[s] += (uint32_t)d->kept_slot[i];
            }
            if (n > 0)
                memcpy(to, rest, (size_t)n * bytes);
            rest += (size_t)n * bytes;
        }
    return d->grouped;
}

void moe_dispatch_ungroup(moe_dispatch *d)
{
    const size_t bytes = d->p.row_bytes;
    uint32_t *next = d->cursor; /* borrowed: next grouped row of each slot */
    memcpy(next, d->slot_at, (size_t)d->slots * sizeof *next);
    char *to = d->recv;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        char *kept = to;
        to += (size_t)(d->home_count[g] - d->rest.recv_count[g]) * bytes;
        for (int s = 0; s < d->slots; s++) {
            const int i = g * d->slots + s, n = d->rest.recv_slot[i];
            const char *from = d->grouped + next[s] * bytes;
            next[s] += (uint32_t)n;
            if (d->direct) {
                const size_t run = (size_t)d->kept_slot[i] * bytes;
                memcpy(kept, from, run);
                kept += run;
                from += run;
                next[s] += (uint32_t)d->kept_slot[i];
            }
            if (n > 0)
                memcpy(to, from, (size_t)n * bytes);
            to += (size_t)n * bytes;
        }
    }
}

const void *moe_dispatch_send_back(moe_dispatch *d, const uint32_t **where_out)
{
    MOE_MPI(MPI_Alltoallv(d->recv, d->home_count, d->home_at, d->row_type,
                          d->send, d->back_count, d->back_at, d->row_type,
                          d->p.comm));
    *where_out = d->rest.where;
    return d->send;
}
