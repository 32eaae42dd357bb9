/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <string.h>

#include "moegps/ctx.h"

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
                          leg->recv_at, MPI_UINT32_T, d->comm));
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
                          d->comm));
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
                d->rest.recv_slot[i] + (d->keeps ? d->kept_slot[i] : 0);
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
                         d->slots, MPI_INT, d->comm));
    lay_out_recv(d);
    if (leg == &d->ahead) {
        tell_rows(d);
        return;
    }
    if (d->keeps)
        tell_kept(d);
    lay_out_rows(d);
    if (d->p.transport->shares) {
        moe_dispatch_tell_items(d);
        d->p.transport->place(d);
    }
}

moe_dispatch_rows moe_dispatch_get_rows(const moe_dispatch *d)
{
    return (moe_dispatch_rows){.of_slot = d->slot_rows,
                               .all = d->n_rows,
                               .in_place = d->p.transport->shares
                                               ? d->placed
                                               : d->n_rows - d->rest.n_recv,
                               .ahead = d->direct ? d->ahead.row_send : NULL,
                               .ahead_tokens = d->direct ? d->ahead_tokens : 0,
                               .sent = d->sent[MOE_WAY_OUT],
                               .received = d->received[MOE_WAY_OUT],
                               .home = d->sent[MOE_WAY_HOME],
                               .back = d->received[MOE_WAY_HOME]};
}
