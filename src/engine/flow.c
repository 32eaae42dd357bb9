/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/clock.h"
#include "moegps/ctx.h"
#include "moegps/hash.h"
#include "moegps/mem.h"

enum {
    WINDOW = 16, /* chunks on their way in, and out */
    EACH = 4,    /* of them, of one expert */
    SAMPLE = 512 /* bytes between those that are compared */
};

/* An expert on its way in or out. */
typedef struct {
    int peer, layer, tag;
    int posted;         /* chunks under way */
    size_t begun, done; /* bytes */
    size_t after;       /* stream of the same tag that has to be under way
                           whole before; the own one: none */
} stream;

/* One direction. Streams are served in the order of moves, which all GPUs
 * share: the first that is not complete anywhere is at the head of both its
 * ends, so that it goes on. */
typedef struct {
    stream *of;
    size_t n, head; /* streams; all before head are complete */
    MPI_Request request[WINDOW];
    size_t by[WINDOW]; /* stream of a request */
    int bytes[WINDOW];
} direction;

struct moe_flow {
    moe_flow_params p;
    MPI_Comm comm;
    direction in, out;
    char *pattern;     /* [MOE_FLOW_CHUNK] what every chunk holds */
    char *buffer;      /* [WINDOW][MOE_FLOW_CHUNK] */
    int *expected;     /* [layers] experts still to arrive */
    double *arrived_s; /* [layers] */
};

static void init_direction(direction *d, size_t room, moe_error *err)
{
    for (int i = 0; i < WINDOW; i++)
        d->request[i] = MPI_REQUEST_NULL;
    d->of = moe_array_new(room, sizeof *d->of, err);
}

static void fill_pattern(char *pattern)
{
    uint64_t h = MOE_HASH_START;
    for (size_t i = 0; i < MOE_FLOW_CHUNK; i += sizeof h) {
        h = moe_hash_add(h, i);
        memcpy(pattern + i, &h, sizeof h);
    }
}

moe_status moe_flow_new(const moe_flow_params *p, moe_flow **out,
                        moe_error *err)
{
    moe_error local = {0};
    moe_flow *f = moe_array_new(1, sizeof *f, &local);
    if (f == NULL)
        return moe_pass(err, &local);
    f->p = *p;
    f->comm = MPI_COMM_NULL;
    init_direction(&f->in, p->max_moves, &local);
    init_direction(&f->out, p->max_moves, &local);
    f->pattern = moe_array_new(MOE_FLOW_CHUNK, 1, &local);
    f->buffer = moe_array_new(WINDOW, MOE_FLOW_CHUNK, &local);
    f->expected = moe_array_new((size_t)p->layers, sizeof(int), &local);
    f->arrived_s = moe_array_new((size_t)p->layers, sizeof(double), &local);
    if (local.status != MOE_OK) {
        moe_flow_free(f);
        return moe_pass(err, &local);
    }
    fill_pattern(f->pattern);
    *out = f;
    return MOE_OK;
}

void moe_flow_connect(moe_flow *f, MPI_Comm comm)
{
    MOE_MPI(MPI_Comm_dup(comm, &f->comm));
}

void moe_flow_free(moe_flow *f)
{
    if (f == NULL)
        return;
    if (f->comm != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&f->comm));
    free(f->in.of);
    free(f->out.of);
    free(f->pattern);
    free(f->buffer);
    free(f->expected);
    free(f->arrived_s);
    free(f);
}

void moe_flow_comm(const moe_flow *f, MPI_Comm *comm_out)
{
    *comm_out = f->comm;
}

size_t moe_flow_memory(void)
{
    return (size_t)(WINDOW + 1) * MOE_FLOW_CHUNK;
}

/* @param first  of the streams that are added together, each to another slot. */
static void append(const moe_flow *f, direction *d, size_t first, int peer,
                   const moe_move *move)
{
    assert(d->n < f->p.max_moves);
    stream s = {.peer = peer,
                .layer = move->layer,
                .tag = move->layer * f->p.slots + move->to_slot,
                .after = d->n};
    for (size_t k = d->head; k < first; k++)
        if (d->of[k].peer == s.peer && d->of[k].tag == s.tag)
            s.after = k;
    d->of[d->n++] = s;
}

void moe_flow_add(moe_flow *f, const moe_move *moves, size_t n_moves)
{
    direction *const both[] = {&f->in, &f->out};
    for (size_t i = 0; i < MOE_ARRAY_LEN(both); i++)
        if (both[i]->head == both[i]->n) /* all gone: begin again */
            both[i]->n = both[i]->head = 0;
    if (f->in.n == 0)
        memset(f->arrived_s, 0, (size_t)f->p.layers * sizeof *f->arrived_s);
    const size_t in = f->in.n, out = f->out.n;
    for (size_t m = 0; m < n_moves && f->p.bytes > 0; m++) {
        if (moves[m].to_gpu == f->p.gpu) {
            append(f, &f->in, in, moves[m].from_gpu, &moves[m]);
            f->expected[moves[m].layer]++;
        }
        if (moves[m].from_gpu == f->p.gpu)
            append(f, &f->out, out, moves[m].to_gpu, &moves[m]);
    }
}

/* ---- chunks ---- */

/* @return whether a chunk is as it was sent. */
static bool is_whole(const moe_flow *f, const char *chunk, int bytes, bool all)
{
    if (all)
        return memcmp(chunk, f->pattern, (size_t)bytes) == 0;
    for (int i = 0; i < bytes; i += SAMPLE)
        if (chunk[i] != f->pattern[i])
            return false;
    return chunk[bytes - 1] == f->pattern[bytes - 1];
}

/* What was looked at is spoilt: a place that still holds what came there before
 * would prove nothing. */
static void spoil(char *chunk, int bytes, bool all)
{
    if (all)
        memset(chunk, 0, (size_t)bytes);
    for (int i = 0; i < bytes; i += SAMPLE)
        chunk[i] = (char)~chunk[i];
    chunk[bytes - 1] = (char)~chunk[bytes - 1];
}

static void check_chunk(moe_flow *f, int i, const MPI_Status *status, bool all,
                        moe_error *err)
{
    const stream *s = &f->in.of[f->in.by[i]];
    char *chunk = f->buffer + (size_t)i * MOE_FLOW_CHUNK;
    int came = 0;
    MOE_MPI(MPI_Get_count(status, MPI_BYTE, &came));
    if (came != f->in.bytes[i])
        moe_fail(err, MOE_INVALID,
                 "weights of layer %d from GPU %d: %d bytes came, %d were due",
                 s->layer, s->peer, came, f->in.bytes[i]);
    else if (!is_whole(f, chunk, came, all))
        moe_fail(err, MOE_INVALID,
                 "weights of layer %d from GPU %d arrived changed", s->layer,
                 s->peer);
    if (came > 0)
        spoil(chunk, came, all);
}

static void end_chunk(moe_flow *f, direction *d, int i)
{
    stream *s = &d->of[d->by[i]];
    s->posted--;
    s->done += (size_t)d->bytes[i];
    if (d == &f->in && s->done == f->p.bytes) {
        f->expected[s->layer]--;
        f->arrived_s[s->layer] = moe_clock_wall();
    }
    while (d->head < d->n && d->of[d->head].done == f->p.bytes)
        d->head++;
}

static bool may_go_on(const moe_flow *f, const direction *d, size_t k)
{
    const stream *s = &d->of[k];
    return s->begun < f->p.bytes && s->posted < EACH &&
           (s->after == k || d->of[s->after].begun == f->p.bytes);
}

/* @return the first stream that may have another chunk under way; d->n: none. */
static size_t next_stream(const moe_flow *f, const direction *d)
{
    size_t k = d->head;
    while (k < d->n && !may_go_on(f, d, k))
        k++;
    return k;
}

static void post_chunk(moe_flow *f, direction *d, int i, size_t k)
{
    stream *s = &d->of[k];
    const size_t left = f->p.bytes - s->begun;
    const int bytes = (int)(left < MOE_FLOW_CHUNK ? left : MOE_FLOW_CHUNK);
    d->by[i] = k;
    d->bytes[i] = bytes;
    s->begun += (size_t)bytes;
    s->posted++;
    if (d == &f->in)
        MOE_MPI(MPI_Irecv(f->buffer + (size_t)i * MOE_FLOW_CHUNK, bytes,
                          MPI_BYTE, s->peer, s->tag, f->comm, &d->request[i]));
    else
        MOE_MPI(MPI_Isend(f->pattern, bytes, MPI_BYTE, s->peer, s->tag, f->comm,
                          &d->request[i]));
}

static void fill_window(moe_flow *f, direction *d)
{
    for (int i = 0; i < WINDOW; i++) {
        const size_t k = next_stream(f, d);
        if (k == d->n)
            return;
        if (d->request[i] == MPI_REQUEST_NULL)
            post_chunk(f, d, i, k);
    }
}

static void complete(moe_flow *f, direction *d, bool all, moe_error *err)
{
    int n = 0, which[WINDOW];
    MPI_Status status[WINDOW];
    MOE_MPI(MPI_Testsome(WINDOW, d->request, &n, which, status));
    for (int i = 0; n != MPI_UNDEFINED && i < n; i++) {
        if (d == &f->in)
            check_chunk(f, which[i], &status[i], all, err);
        end_chunk(f, d, which[i]);
    }
}

bool moe_flow_advance(moe_flow *f, bool whole, moe_error *err)
{
    direction *const both[] = {&f->in, &f->out};
    bool done = true;
    for (size_t i = 0; i < MOE_ARRAY_LEN(both); i++) {
        direction *d = both[i];
        if (d->head == d->n)
            continue;
        complete(f, d, whole, err);
        fill_window(f, d);
        done = done && d->head == d->n;
    }
    return done;
}

bool moe_flow_expects(const moe_flow *f, int layer)
{
    return f->expected[layer] > 0;
}

double moe_flow_arrived_s(const moe_flow *f, int layer)
{
    return f->arrived_s[layer];
}
