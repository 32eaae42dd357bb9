/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <string.h>

#include "moegps/ctx.h"

/* All rows go to all GPUs. Every GPU makes a sum for every token, of nothing
 * where it has none of its experts; these are reduce-scattered: each home gets
 * those of its tokens from all and adds them up, in the order of GPUs. */

static size_t send_rows(const moe_dispatch_params *p)
{
    return p->max_own * (size_t)p->layout.gpus;
}

/* A sum for every token to send, a row of each that came. */
static double held_rows(double tokens, double pairs)
{
    return 2 * tokens + pairs;
}

static moe_status init(moe_dispatch *d, moe_error *err)
{
    d->sum_row =
        moe_dispatch_array(d, send_rows(&d->p), sizeof *d->sum_row, err);
    return err->status;
}

static void number(moe_dispatch *d, const moe_batch *batch)
{
    const size_t k = (size_t)batch->top_k;
    const uint32_t gpus = (uint32_t)d->p.layout.gpus, *where = d->rest.where;
    for (uint32_t g = 0; g < gpus; g++) {
        d->rest.row_send[g] = d->back_count[g] = (int)batch->own;
        d->rest.row_send_at[g] = 0; /* the same rows to all */
        d->back_at[g] = (int)(g * batch->own);
    }
    for (uint32_t t = 0; t < batch->own; t++) {
        for (size_t i = t * k; i < (t + 1) * k; i++)
            d->items[where[i]] = (moe_item){t, t, moe_dispatch_weight(d, i)};
        d->sum_of[t] = t * gpus;
        for (uint32_t g = 0; g < gpus; g++)
            d->sum_row[t * gpus + g] = g * batch->own + t;
    }
    d->sum_of[batch->own] = batch->own * gpus;
}

static void pack(moe_dispatch *d, const moe_batch *batch, const char *rows)
{
    memcpy(d->send, rows, batch->own * d->p.row_bytes);
}

static void place(moe_dispatch *d)
{
    const size_t bytes = (size_t)d->p.layout.gpus * sizeof *d->home_count;
    MOE_MPI(MPI_Allgather(d->rest.row_send, 1, MPI_INT, d->rest.row_recv, 1,
                          MPI_INT, d->comm));
    memcpy(d->home_count, d->rest.row_recv, bytes);
    moe_dispatch_place_rows(d);
}

static void stage(moe_dispatch *d, moe_way way, int i)
{
    const moe_parcels all = moe_dispatch_rest_parcels(d);
    (void)i;
    if (way == MOE_WAY_OUT)
        moe_dispatch_gather(d, &all);
    else
        moe_dispatch_exchange_rows(d, way);
}

const moe_transport moe_transport_allgather = {
    .name = "allgather",
    .shares = true,
    .stages = {1, 1},
    .send_rows = send_rows,
    .held_rows = held_rows,
    .init = init,
    .number = number,
    .pack = pack,
    .place = place,
    .stage = stage,
};
