/* SPDX-License-Identifier: Apache-2.0 */
#include "weights.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"

moe_status moe_home_weights_init(moe_home_weights *home,
                                 const moe_home_weights_params *p,
                                 moe_error *err)
{
    *home = (moe_home_weights){.layers = p->layers,
                               .gpu = p->gpu,
                               .gpus = p->layout->gpus,
                               .bytes = p->bytes};
    if (p->gpu < 0)
        return MOE_OK;
    const int first = moe_layout_home_first(p->layout, p->experts, p->gpu);
    home->count = moe_layout_home_count(p->layout, p->experts, p->gpu);
    home->data =
        moe_array_new((size_t)p->layers * (size_t)home->count, p->bytes, err);
    if (home->data == NULL)
        return MOE_NOMEM;
    char *at = home->data;
    for (int l = 0; l < p->layers; l++)
        for (int k = 0; k < home->count; k++, at += p->bytes) {
            moe_ffn_tag(at, l, first + k);
            p->ffn->fill_weights(p->ffn_state, l, first + k, at);
        }
    return MOE_OK;
}

void moe_home_weights_fini(moe_home_weights *home)
{
    free(home->data);
    *home = (moe_home_weights){0};
}

static void point_slots(moe_slots *s, const moe_home_weights *home,
                        bool share_home)
{
    char *at = s->data;
    for (int l = 0; l < s->layers; l++)
        for (int k = 0; k < s->slots; k++) {
            char *of_home =
                k < home->count
                    ? home->data + (size_t)(l * home->count + k) * home->bytes
                    : NULL;
            void **slot = &s->weights[l * s->slots + k];
            if (of_home != NULL && share_home) {
                *slot = of_home;
                continue;
            }
            *slot = at;
            if (of_home != NULL)
                memcpy(at, of_home, s->bytes);
            at += s->bytes;
        }
}

/* Slots that send and receive at once need a second place. How many is known
 * only when they do, so there is one for each, not touched and so not backed
 * before it is used. */
static void add_spares(moe_slots *s, size_t n, moe_error *err)
{
    s->spare = moe_array_new(n, sizeof *s->spare, err);
    s->rest = aligned_alloc(MOE_ALIGNMENT, n * s->bytes);
    if (s->rest == NULL)
        moe_fail(err, MOE_NOMEM, "out of memory: needed %.1f MiB",
                 (double)(n * s->bytes) / (1 << 20));
    for (size_t i = 0; i < n && err->status == MOE_OK; i++)
        s->spare[i] = s->rest + i * s->bytes;
}

moe_status moe_slots_init(moe_slots *s, const moe_home_weights *home, int slots,
                          bool share_home, moe_error *err)
{
    *s = (moe_slots){.layers = home->layers,
                     .slots = slots,
                     .gpu = home->gpu,
                     .bytes = home->bytes};
    const size_t all = (size_t)home->layers * (size_t)slots;
    const size_t shared =
        share_home ? (size_t)home->layers * (size_t)home->count : 0;
    moe_error local = {0};
    moe_to_int(home->bytes, "bytes of one expert", &local);
    s->weights = moe_array_new(all, sizeof *s->weights, &local);
    /* One GPU may serve every new replica of all GPUs at once. */
    s->max_requests = all + all * (size_t)home->gpus;
    s->request = moe_array_new(s->max_requests, sizeof *s->request, &local);
    s->serves = moe_array_new(all, sizeof *s->serves, &local);
    if (home->gpu >= 0)
        s->data = moe_array_new(all - shared, home->bytes, &local);
    if (home->gpu >= 0 && !share_home && local.status == MOE_OK)
        add_spares(s, all, &local);
    if (local.status != MOE_OK) {
        moe_slots_fini(s);
        return moe_fail(err, local.status, "expert weights: %s", local.text);
    }
    if (home->gpu >= 0)
        point_slots(s, home, share_home);
    return MOE_OK;
}

void moe_slots_fini(moe_slots *s)
{
    free(s->weights);
    free(s->data);
    free(s->rest);
    free(s->spare);
    free(s->serves);
    free(s->request);
    *s = (moe_slots){0};
}

static size_t post_sends(moe_slots *s, const moe_move *moves, size_t n_moves,
                         MPI_Comm comm, size_t n)
{
    for (size_t m = 0; m < n_moves; m++) {
        if (moves[m].from_gpu != s->gpu)
            continue;
        assert(n < s->max_requests);
        int from = moves[m].layer * s->slots + moves[m].from_slot;
        int to = moves[m].layer * s->slots + moves[m].to_slot;
        MOE_MPI(MPI_Isend(s->weights[from], (int)s->bytes, MPI_BYTE,
                          moves[m].to_gpu, to, comm, &s->request[n++]));
    }
    return n;
}

/* What arrives in a slot that serves goes to a spare place meanwhile. */
static size_t post_receives(moe_slots *s, const moe_move *moves, size_t n_moves,
                            MPI_Comm comm)
{
    size_t n = 0, spares = 0;
    for (size_t m = 0; m < n_moves; m++) {
        if (moves[m].to_gpu != s->gpu)
            continue;
        assert(n < s->max_requests);
        int at = moves[m].layer * s->slots + moves[m].to_slot;
        assert((!s->serves[at] || s->spare != NULL) && "a home slot moves");
        void *to = s->serves[at] ? s->spare[spares++] : s->weights[at];
        MOE_MPI(MPI_Irecv(to, (int)s->bytes, MPI_BYTE, moves[m].from_gpu, at,
                          comm, &s->request[n++]));
    }
    return n;
}

/* The spare places become the slots', and theirs are spare. */
static void take_spares(moe_slots *s, const moe_move *moves, size_t n_moves)
{
    size_t spares = 0;
    for (size_t m = 0; m < n_moves; m++) {
        int at = moves[m].layer * s->slots + moves[m].to_slot;
        if (moves[m].to_gpu != s->gpu || !s->serves[at])
            continue;
        void *old = s->weights[at];
        s->weights[at] = s->spare[spares];
        s->spare[spares++] = old;
    }
}

void moe_slots_begin(moe_slots *s, const moe_move *moves, size_t n_moves,
                     MPI_Comm comm)
{
    memset(s->serves, 0,
           (size_t)s->layers * (size_t)s->slots * sizeof *s->serves);
    for (size_t m = 0; m < n_moves; m++)
        if (moves[m].from_gpu == s->gpu)
            s->serves[moves[m].layer * s->slots + moves[m].from_slot] = true;
    s->received = post_receives(s, moves, n_moves, comm);
    s->posted = post_sends(s, moves, n_moves, comm, s->received);
}

bool moe_slots_test(moe_slots *s, const moe_move *moves, size_t n_moves)
{
    int done = 0;
    MOE_MPI(
        MPI_Testall((int)s->posted, s->request, &done, MPI_STATUSES_IGNORE));
    if (done)
        take_spares(s, moves, n_moves);
    return done != 0;
}

size_t moe_slots_migrate(moe_slots *s, const moe_move *moves, size_t n_moves,
                         MPI_Comm comm)
{
    moe_slots_begin(s, moves, n_moves, comm);
    MOE_MPI(MPI_Waitall((int)s->posted, s->request, MPI_STATUSES_IGNORE));
    take_spares(s, moves, n_moves);
    return s->received * s->bytes;
}
