/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <string.h>

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

static void group_pairs(moe_dispatch *d)
{
    const size_t bytes = d->p.row_bytes;
    uint32_t *next = d->cursor; /* borrowed: next grouped row of each slot */
    memcpy(next, d->slot_at, (size_t)d->slots * sizeof *next);
    const char *rest = moe_dispatch_rest_rows(d);
    const uint8_t *kept = d->kept;
    const uint32_t *row = d->row_from;
    for (int g = 0; g < d->p.layout.gpus; g++)
        for (int s = 0; s < d->slots; s++) {
            const int i = g * d->slots + s, n = d->rest.recv_slot[i];
            char *to = d->grouped + next[s] * bytes;
            next[s] += (uint32_t)n;
            if (d->keeps) {
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
}

static void ungroup_pairs(moe_dispatch *d)
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
            if (d->keeps) {
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

void *moe_dispatch_group(moe_dispatch *d)
{
    d->p.transport->shares ? moe_dispatch_group_shared(d) : group_pairs(d);
    return d->grouped;
}

void moe_dispatch_ungroup(moe_dispatch *d, const moe_ffn *ffn, void *ffn_state)
{
    d->ffn = ffn;
    d->ffn_state = ffn_state;
    d->p.transport->shares ? moe_dispatch_ungroup_shared(d) : ungroup_pairs(d);
}
