/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <string.h>

#include "moegps/ctx.h"

/* Pairs of a token that share a row. What a GPU is told of every pair (an item)
 * names the row that it takes and the sum that its result is part of; items
 * are in the order of (GPU, slot, token), as the pairs themselves. */

/* ---- at home ---- */

/* @return the row to this GPU that went ahead for one of the token's predicted
 * experts, or MOE_AHEAD. @param first  the token's first pair. */
static uint32_t went_ahead(const moe_dispatch *d, size_t first, uint32_t gpu)
{
    for (size_t j = first; d->direct && j < first + (size_t)d->p.top_k; j++)
        if (d->place[j] == gpu)
            return d->row_of[d->ahead.where[j]];
    return MOE_AHEAD;
}

/* A row, unless one is there already, and a sum. */
static moe_item new_item(moe_dispatch *d, size_t first, uint32_t gpu)
{
    const uint32_t ahead = went_ahead(d, first, gpu);
    return (moe_item){.row = ahead != MOE_AHEAD
                                 ? ahead | MOE_AHEAD
                                 : (uint32_t)d->rest.row_send[gpu]++,
                      .sum = (uint32_t)d->back_count[gpu]++};
}

void moe_dispatch_share(moe_dispatch *d, const moe_batch *batch)
{
    moe_leg *leg = &d->rest;
    const size_t k = (size_t)batch->top_k, n = batch->own * k;
    const size_t gpus = (size_t)d->p.layout.gpus;
    memset(leg->row_send, 0, gpus * sizeof *leg->row_send);
    memset(d->back_count, 0, gpus * sizeof *d->back_count);
    for (size_t first = 0; first < n; first += k) {
        const uint32_t *gpu = d->gpu_of + first, *where = leg->where + first;
        for (size_t j = 0; j < k; j++) {
            const size_t i = moe_dispatch_first_there(gpu, j);
            moe_item *item = &d->items[where[j]];
            *item = i < j ? d->items[where[i]] : new_item(d, first, gpu[j]);
            item->weight = moe_dispatch_weight(d, first + j);
        }
    }
    moe_dispatch_add_up(leg->row_send, gpus, leg->row_send_at);
    moe_dispatch_add_up(d->back_count, gpus, d->back_at);
}

void moe_dispatch_expect_sums(moe_dispatch *d, const moe_batch *batch)
{
    const size_t k = (size_t)batch->top_k;
    const uint32_t *gpu = d->gpu_of, *where = d->rest.where;
    uint32_t n = 0;
    for (uint32_t t = 0; t < batch->own; t++, gpu += k, where += k) {
        d->sum_of[t] = n;
        for (size_t j = 0; j < k; j++)
            if (moe_dispatch_first_there(gpu, j) == j)
                d->sum_row[n++] =
                    (uint32_t)d->back_at[gpu[j]] + d->items[where[j]].sum;
    }
    d->sum_of[batch->own] = n;
}

void moe_dispatch_pack_shared(moe_dispatch *d, const moe_batch *batch,
                              const char *rows)
{
    const size_t bytes = d->p.row_bytes, k = (size_t)batch->top_k;
    const uint32_t *gpu = d->gpu_of, *where = d->rest.where;
    for (uint32_t t = 0; t < batch->own; t++, rows += bytes, gpu += k)
        for (size_t j = 0; j < k; j++, where++) {
            const uint32_t row = d->items[*where].row;
            if ((row & MOE_AHEAD) != 0 || moe_dispatch_first_there(gpu, j) < j)
                continue;
            const size_t at = (size_t)d->rest.row_send_at[gpu[j]] + row;
            memcpy(d->send + at * bytes, rows, bytes);
        }
}

/* ---- where experts are ---- */

void moe_dispatch_tell_items(moe_dispatch *d)
{
    const moe_leg *leg = &d->rest;
    MOE_MPI(MPI_Alltoallv(d->items, leg->send_count, leg->send_at, d->item_type,
                          d->items_in, leg->recv_count, leg->recv_at,
                          d->item_type, d->comm));
    const moe_item *item = d->items_in;
    d->placed = 0;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        uint32_t rows = 0, sums = 0;
        for (int i = 0; i < leg->recv_count[g]; i++, item++) {
            const bool ahead = (item->row & MOE_AHEAD) != 0;
            d->placed += ahead;
            rows = !ahead && item->row >= rows ? item->row + 1 : rows;
            sums = item->sum >= sums ? item->sum + 1 : sums;
        }
        leg->row_recv[g] = (int)rows;
        d->home_count[g] = (int)sums;
    }
}

void moe_dispatch_place_rows(moe_dispatch *d)
{
    const size_t gpus = (size_t)d->p.layout.gpus;
    moe_dispatch_add_up(d->rest.row_recv, gpus, d->rest.row_recv_at);
    moe_dispatch_add_up(d->home_count, gpus, d->home_at);
}

void moe_dispatch_group_shared(moe_dispatch *d)
{
    const size_t bytes = d->p.row_bytes;
    uint32_t *next = d->cursor; /* borrowed: next grouped row of each slot */
    memcpy(next, d->slot_at, (size_t)d->slots * sizeof *next);
    const moe_item *item = d->items_in;
    const int *n = d->rest.recv_slot;
    for (int g = 0; g < d->p.layout.gpus; g++) {
        const char *rest =
            moe_dispatch_rest_rows(d) + (size_t)d->rest.row_recv_at[g] * bytes;
        const char *ahead =
            d->recv + (d->direct ? (size_t)d->ahead.row_recv_at[g] : 0) * bytes;
        for (int s = 0; s < d->slots; s++, n++) {
            char *to = d->grouped + next[s] * bytes;
            next[s] += (uint32_t)*n;
            for (int i = 0; i < *n; i++, item++, to += bytes)
                memcpy(to,
                       (item->row & MOE_AHEAD) != 0
                           ? ahead + (item->row & ~MOE_AHEAD) * bytes
                           : rest + item->row * bytes,
                       bytes);
        }
    }
}

/* Entries of a sum are in the order of slots. */
static moe_ffn_sums sums_of_items(moe_dispatch *d)
{
    const int last = d->p.layout.gpus - 1;
    size_t n = 0;
    uint32_t *first = d->part_of, *next = d->cursor;
    const moe_item *item = d->items_in;
    for (int g = 0; g <= last; g++)
        n += (size_t)d->home_count[g];
    memset(first, 0, (n + 2) * sizeof *first);
    for (int g = 0; g <= last; g++)
        for (int i = 0; i < d->rest.recv_count[g]; i++, item++)
            first[(uint32_t)d->home_at[g] + item->sum + 2]++;
    for (size_t i = 2; i < n + 2; i++)
        first[i] += first[i - 1];
    memcpy(next, d->slot_at, (size_t)d->slots * sizeof *next);
    item = d->items_in;
    const int *count = d->rest.recv_slot;
    for (int g = 0; g <= last; g++)
        for (int s = 0; s < d->slots; s++, count++)
            for (int i = 0; i < *count; i++, item++) {
                const uint32_t sum = (uint32_t)d->home_at[g] + item->sum;
                const uint32_t at = first[sum + 1]++;
                d->part_row[at] = next[s]++;
                d->part_weight[at] = item->weight;
            }
    return (moe_ffn_sums){
        .n = n, .first = first, .row = d->part_row, .weight = d->part_weight};
}

void moe_dispatch_ungroup_shared(moe_dispatch *d)
{
    const moe_ffn_sums sums = sums_of_items(d);
    d->ffn->reduce(d->ffn_state, &sums, d->grouped, d->recv);
}
