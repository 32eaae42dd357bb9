/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <string.h>

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
    d->ffn = NULL; /* until something is computed */
    d->tokens = batch->own;
    d->experts = experts;
    memset(d->own, 0, (size_t)d->p.experts * sizeof *d->own);
    for (size_t i = 0; i < n; i++)
        if (experts[i] < MOE_ASSIGNED)
            d->own[experts[i]]++;
}

static void keep_nothing(moe_dispatch *d)
{
    d->direct = d->keeps = false;
    memset(d->kept_there, 0, (size_t)d->p.layout.gpus * sizeof *d->kept_there);
}

static void use_gates(moe_dispatch *d, const moe_batch *batch, int layer)
{
    const size_t n = batch->own * (size_t)batch->top_k;
    d->gate = batch->gate != NULL ? batch->gate + (size_t)layer * n : NULL;
}

void moe_dispatch_count(moe_dispatch *d, const moe_batch *batch, int layer)
{
    keep_nothing(d);
    use_gates(d, batch, layer);
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
    const bool shares = d->p.transport->shares;
    use_gates(d, batch, layer);
    memset(d->keep, 0, d->ahead.n_send);
    for (size_t i = 0; i < n; i++) {
        const size_t token = i - i % k;
        size_t j = token;
        while (j < token + k && said[j] != truth[i])
            j++;
        const bool right = j < token + k;
        const bool later = right && (d->ahead.where[j] & MOE_LATER) != 0;
        const bool stays = right && !later && !shares;
        d->missing[i] = stays ? MOE_IN_PLACE : right ? MOE_ASSIGNED : truth[i];
        if (right)
            d->rest.where[i] =
                shares ? d->replica_of[j] : d->ahead.where[j] & ~MOE_LATER;
        if (stays)
            d->keep[d->ahead.where[j]] = 1;
    }
    for (int g = 0; g < d->p.layout.gpus; g++) {
        const uint8_t *keep = d->keep + d->ahead.send_at[g];
        for (int r = 0; r < d->ahead.send_count[g]; r++)
            d->kept_there[g] += keep[r];
    }
    d->direct = true;
    d->keeps = !shares;
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
                       d->comm));
    if (d->gpu == 0) /* Exscan leaves it undefined there */
        memset(d->first, 0, (size_t)d->p.experts * sizeof *d->first);
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, d->total, d->p.experts, MPI_UINT64_T,
                          MPI_SUM, d->comm));
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

size_t moe_dispatch_first_there(const uint32_t *gpu, size_t j)
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
            const size_t i = moe_dispatch_first_there(gpu, j);
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

/* @return the replica of an expert that takes its next pair. */
static uint32_t next_replica(moe_dispatch *d, uint16_t expert)
{
    uint32_t r = d->own[expert];
    while (d->pairs[r] == 0)
        r++;
    d->pairs[r]--;
    d->own[expert] = r;
    return r;
}

static void address_ahead(moe_dispatch *d, const moe_batch *batch,
                          const moe_replicas *replicas)
{
    const size_t n = batch->own * (size_t)batch->top_k;
    uint32_t *where = d->leg->where;
    for (size_t i = 0; i < n; i++) {
        const uint32_t r = next_replica(d, d->experts[i]);
        const int gpu = replicas->replica[r].gpu;
        const bool goes = reaches(d, gpu);
        where[i] = goes ? d->cursor[r]++ : MOE_LATER | r;
        /* `place` is free until rows are kept */
        d->place[i] = goes ? (uint32_t)gpu : MOE_LATER;
        if (d->replica_of != NULL)
            d->replica_of[i] = r;
    }
    share_rows(d, batch, d->place);
}

static void address_rest(moe_dispatch *d, const moe_batch *batch,
                         const moe_replicas *replicas)
{
    const size_t n = batch->own * (size_t)batch->top_k;
    uint32_t *where = d->leg->where;
    const uint16_t *e = d->experts;
    for (size_t i = 0; i < n; i++) {
        if (e[i] == MOE_IN_PLACE) {
            where[i] = d->place[where[i]];
            continue;
        }
        const uint32_t r =
            e[i] == MOE_ASSIGNED ? where[i] : next_replica(d, e[i]);
        where[i] = d->cursor[r]++;
        if (d->gpu_of != NULL)
            d->gpu_of[i] = (uint32_t)replicas->replica[r].gpu;
    }
    if (d->p.transport->shares)
        d->p.transport->number(d, batch);
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
    if (d->keeps)
        place_kept(d);
    /* `own` becomes the replica that takes the next pair of each expert. */
    memcpy(d->own, replicas->first, (size_t)d->p.experts * sizeof *d->own);
    d->leg == &d->ahead ? address_ahead(d, batch, replicas)
                        : address_rest(d, batch, replicas);
}

static void pack_ahead(moe_dispatch *d, const moe_batch *batch, const char *row)
{
    const size_t bytes = d->p.row_bytes, k = (size_t)batch->top_k;
    const uint32_t *gpu = d->place, *where = d->ahead.where;
    for (uint32_t t = 0; t < batch->own; t++, row += bytes, gpu += k)
        for (size_t j = 0; j < k; j++, where++) {
            if (gpu[j] == MOE_LATER || moe_dispatch_first_there(gpu, j) < j)
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
    if (d->p.transport->shares) {
        d->p.transport->pack(d, batch, rows);
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
