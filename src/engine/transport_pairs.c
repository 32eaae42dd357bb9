/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

/* A row per pair, straight to its GPU; its result comes straight back. */
static void stage(moe_dispatch *d, moe_way way, int i)
{
    const moe_leg *leg = &d->rest;
    const moe_parcels out = {.comm = d->p.comm,
                             .from = d->send,
                             .send = leg->row_send,
                             .send_at = leg->row_send_at,
                             .to = moe_dispatch_rest_rows(d),
                             .recv = leg->row_recv,
                             .recv_at = leg->row_recv_at};
    const moe_parcels home = {.comm = d->p.comm,
                              .from = d->recv,
                              .send = d->home_count,
                              .send_at = d->home_at,
                              .to = d->send,
                              .recv = d->back_count,
                              .recv_at = d->back_at};
    (void)i;
    moe_dispatch_exchange(d, way == MOE_WAY_OUT ? &out : &home);
}

const moe_transport moe_transport_pairs = {
    .name = "pairs",
    .stages = {1, 1},
    .stage = stage,
};
