/* SPDX-License-Identifier: Apache-2.0 */
#include "running.h"

#include <assert.h>
#include <stdlib.h>

#include "moegps/mem.h"

/* One sequence in its slot. */
typedef struct {
    uint32_t seq;
    int64_t zero; /* iteration of its token 0; before the first, negative */
} stay;

struct moe_running {
    int slots, iterations;
    stay *stay;    /* by slot, then in time */
    size_t *first; /* [slots + 1] of each slot */
    uint64_t begun, fresh;
};

/* Who walks through all stays. */
typedef struct {
    const uint64_t *start;
    uint32_t n_seqs;
    uint64_t next;  /* sequence to begin */
    int64_t *ends;  /* [slots] iteration at which the slot is free */
    size_t *filled; /* [slots] */
} walk;

/* Let the next sequence into a slot. @return its stay. */
static stay begin(walk *w, int slot, int slots, int64_t iteration)
{
    const uint32_t seq = (uint32_t)(w->next++ % w->n_seqs);
    const uint64_t n = w->start[seq + 1] - w->start[seq];
    const uint64_t in =
        iteration > 0 ? 0 : n * (uint64_t)slot / (uint64_t)slots;
    const stay s = {seq, iteration - (int64_t)in};
    w->ends[slot] = s.zero + (int64_t)n;
    w->filled[slot]++;
    return s;
}

/* @param r  its stays are written where there is room for them. */
static void simulate(moe_running *r, walk *w)
{
    r->fresh = (uint64_t)r->iterations;
    w->next = 0;
    for (int b = 0; b < r->slots; b++)
        w->ends[b] = 0;
    for (int64_t i = 0; i < r->iterations; i++)
        for (int b = 0; b < r->slots; b++) {
            if (w->ends[b] > i)
                continue;
            if (w->next == w->n_seqs && r->fresh > (uint64_t)i)
                r->fresh = (uint64_t)i;
            const size_t at = r->stay != NULL ? r->first[b] + w->filled[b] : 0;
            const stay s = begin(w, b, r->slots, i);
            if (r->stay != NULL)
                r->stay[at] = s;
        }
    r->begun = w->next;
}

static moe_status fill(moe_running *r, walk *w, moe_error *err)
{
    w->ends = moe_array_new((size_t)r->slots, sizeof *w->ends, err);
    w->filled = moe_array_new((size_t)r->slots, sizeof *w->filled, err);
    r->first = moe_array_new((size_t)r->slots + 1, sizeof *r->first, err);
    if (err->status != MOE_OK)
        return err->status;
    simulate(r, w); /* how many stays there are */
    for (int b = 0; b < r->slots; b++) {
        r->first[b + 1] = r->first[b] + w->filled[b];
        w->filled[b] = 0;
    }
    r->stay = moe_array_new(r->first[r->slots], sizeof *r->stay, err);
    if (r->stay != NULL)
        simulate(r, w);
    return err->status;
}

moe_status moe_running_new(const uint64_t *start, uint32_t n_seqs, int slots,
                           int iterations, moe_running **out, moe_error *err)
{
    moe_error local = {0};
    walk w = {.start = start, .n_seqs = n_seqs};
    moe_running *r = moe_array_new(1, sizeof *r, &local);
    if (r != NULL) {
        *r = (moe_running){.slots = slots, .iterations = iterations};
        fill(r, &w, &local);
    }
    free(w.ends);
    free(w.filled);
    if (local.status == MOE_OK)
        *out = r;
    else
        moe_running_free(r);
    return moe_pass(err, &local);
}

void moe_running_free(moe_running *r)
{
    if (r == NULL)
        return;
    free(r->stay);
    free(r->first);
    free(r);
}

uint64_t moe_running_token(const moe_running *r, uint64_t iteration, int slot,
                           uint32_t *seq_out)
{
    assert(iteration < (uint64_t)r->iterations && slot < r->slots);
    size_t low = r->first[slot], high = r->first[slot + 1];
    while (high - low > 1) { /* the last that began by then */
        const size_t mid = low + (high - low) / 2;
        if (r->stay[mid].zero <= (int64_t)iteration)
            low = mid;
        else
            high = mid;
    }
    *seq_out = r->stay[low].seq;
    return (uint64_t)((int64_t)iteration - r->stay[low].zero);
}

uint64_t moe_running_begun(const moe_running *r)
{
    return r->begun;
}

uint64_t moe_running_fresh(const moe_running *r)
{
    return r->fresh;
}
