/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

/* A row per token and GPU that it visits, straight there. The GPU hands it to
 * each of the token's experts that it has, and one sum comes straight back. */

static void number(moe_dispatch *d, const moe_batch *batch)
{
    moe_dispatch_share(d, batch);
    moe_dispatch_expect_sums(d, batch);
}

static void stage(moe_dispatch *d, moe_way way, int i)
{
    (void)i;
    moe_dispatch_exchange_rows(d, way);
}

const moe_transport moe_transport_tokens = {
    .name = "tokens",
    .shares = true,
    .stages = {1, 1},
    .number = number,
    .pack = moe_dispatch_pack_shared,
    .place = moe_dispatch_place_rows,
    .stage = stage,
};
