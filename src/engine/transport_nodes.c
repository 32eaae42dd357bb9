/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch_internal.h"

#include <string.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"

/* A row per token and node that it visits, to a forwarder there: the GPU with
 * the sender's place in its node. The forwarder sends it to each GPU of the node
 * that the token visits, with the rows of its own tokens. Home the same way: a
 * forwarder adds up what its node has for a token and sends one sum back.
 *
 *      send   rows for forwarders, by node; sums that come home
 *      near   behind it: rows between GPUs of a node. Those to or from one GPU
 *             are the own ones, then those of each source, in order
 *      via    rows that come to this forwarder, and sums that leave it
 *
 * What a forwarder is told (an entry) is, for each row that it sends on, which
 * one of the source's it is; entries are in the order of (GPU, token).
 * Source: the forwarding of DeepEP's internode kernels. */

typedef struct nodes_state {
    int each, node, first, here; /* GPUs of a node; the own one, its first GPU,
                                    its GPUs */
    MPI_Comm comm;               /* of the node; rank 0 is GPU `first` */
    char *near, *via;
    size_t near_row;  /* number of near's first row in `send` */
    uint32_t *via_of; /* [own][top_k] row of a pair to its node's forwarder */
    uint32_t *node_rows; /* [nodes] */
    int *told, *heard;   /* [gpus][each + 1] entries for every GPU of a
                            forwarder's node, and rows */
    uint32_t *entries, *entries_in;
    int *entry_send, *entry_send_at, *entry_recv, *entry_recv_at; /* [gpus] */
    int *via_send, *via_send_at, *via_recv, *via_recv_at;  /* [gpus] out: to
                           forwarders, from sources */
    int *near_send[MOE_N_WAYS], *near_send_at[MOE_N_WAYS]; /* [here] */
    int *near_recv[MOE_N_WAYS], *near_recv_at[MOE_N_WAYS]; /* [here] */
    int *sent[MOE_N_WAYS], *received[MOE_N_WAYS];          /* [gpus] */
} nodes_state;

static size_t send_rows(const moe_dispatch_params *p)
{
    return (p->max_own + p->max_tokens) * (size_t)p->top_k;
}

/* Rows for forwarders, between GPUs of the node, and those that it forwards. */
static double held_rows(double tokens, double pairs)
{
    (void)tokens;
    return 5 * pairs;
}

static int *ints(moe_dispatch *d, moe_error *err)
{
    return moe_dispatch_array(d, (size_t)d->p.layout.gpus, sizeof(int), err);
}

static void allocate(moe_dispatch *d, nodes_state *s, moe_error *err)
{
    const size_t k = (size_t)d->p.top_k, own = d->p.max_own * k;
    const size_t all = d->p.max_tokens * k, each = (size_t)s->each;
    const size_t gpus = (size_t)d->p.layout.gpus;
    int **per_gpu[] = {&s->entry_send,    &s->entry_send_at, &s->entry_recv,
                       &s->entry_recv_at, &s->via_send,      &s->via_send_at,
                       &s->via_recv,      &s->via_recv_at};
    for (size_t i = 0; i < MOE_ARRAY_LEN(per_gpu); i++)
        *per_gpu[i] = ints(d, err);
    for (int way = 0; way < MOE_N_WAYS; way++) {
        s->near_send[way] = ints(d, err);
        s->near_send_at[way] = ints(d, err);
        s->near_recv[way] = ints(d, err);
        s->near_recv_at[way] = ints(d, err);
        s->sent[way] = ints(d, err);
        s->received[way] = ints(d, err);
        d->sent[way] = s->sent[way];
        d->received[way] = s->received[way];
    }
    s->told = moe_dispatch_array(d, gpus * (each + 1), sizeof(int), err);
    s->heard = moe_dispatch_array(d, gpus * (each + 1), sizeof(int), err);
    s->via_of = moe_dispatch_array(d, own, sizeof *s->via_of, err);
    s->entries = moe_dispatch_array(d, own, sizeof *s->entries, err);
    s->node_rows = moe_dispatch_array(d, (size_t)moe_layout_nodes(&d->p.layout),
                                      sizeof *s->node_rows, err);
    s->entries_in = moe_dispatch_reserve(d, all, sizeof *s->entries_in, err);
    s->via = moe_dispatch_reserve(d, d->p.max_tokens, d->p.row_bytes, err);
    s->near_row = own;
    if (err->status == MOE_OK)
        s->near = d->send + own * d->p.row_bytes;
}

static int node_size(const moe_dispatch *d, int node)
{
    const int each = d->p.layout.gpus_per_node;
    const int left = d->p.layout.gpus - node * each;
    return left < each ? left : each;
}

static moe_status init(moe_dispatch *d, moe_error *err)
{
    nodes_state *s = moe_dispatch_array(d, 1, sizeof *s, err);
    if (s == NULL)
        return err->status;
    const int each = d->p.layout.gpus_per_node, gpus = d->p.layout.gpus;
    s->each = each < gpus ? each : gpus;
    s->node = moe_layout_node(&d->p.layout, d->gpu);
    s->first = s->node * each;
    s->here = node_size(d, s->node);
    s->comm = MPI_COMM_NULL;
    d->transport_state = s;
    allocate(d, s, err);
    return err->status;
}

static void connect(moe_dispatch *d)
{
    nodes_state *s = d->transport_state;
    MOE_MPI(MPI_Comm_split(d->comm, s->node, d->gpu, &s->comm));
}

static void fini(moe_dispatch *d)
{
    nodes_state *s = d->transport_state;
    if (s->comm != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&s->comm));
}

/* @return the GPU of a node that forwards what `gpu` sends there. */
static int forwarder(const moe_dispatch *d, int gpu, int node)
{
    const int each = d->p.layout.gpus_per_node;
    return node * each + gpu % each % node_size(d, node);
}

/* ---- at home ---- */

/* @return the first pair of a token whose GPU is on the same node as that of
 * its pair j. */
static size_t first_on_node(const uint32_t *gpu, size_t j, uint32_t each)
{
    size_t i = 0;
    while (gpu[i] / each != gpu[j] / each)
        i++;
    return i;
}

static void number_via(moe_dispatch *d, nodes_state *s, size_t own)
{
    const size_t k = (size_t)d->p.top_k;
    const uint32_t each = (uint32_t)d->p.layout.gpus_per_node;
    for (size_t first = 0; first < own * k; first += k) {
        const uint32_t *gpu = d->gpu_of + first;
        uint32_t *via = s->via_of + first;
        for (size_t j = 0; j < k; j++) {
            const size_t i = first_on_node(gpu, j, each);
            if ((int)(gpu[j] / each) == s->node)
                continue;
            via[j] = i < j ? via[i] : s->node_rows[gpu[j] / each]++;
            s->entries[(uint32_t)d->rest.row_send_at[gpu[j]] +
                       d->items[d->rest.where[first + j]].row] = via[j];
        }
    }
}

/* What forwarders of other nodes get: rows, and entries for their GPUs. */
static void address_forwarders(moe_dispatch *d, nodes_state *s)
{
    const int nodes = moe_layout_nodes(&d->p.layout), gpus = d->p.layout.gpus;
    const size_t all = (size_t)gpus * ((size_t)s->each + 1);
    int at = 0;
    memset(s->told, 0, all * sizeof *s->told);
    memset(s->via_send, 0, (size_t)gpus * sizeof *s->via_send);
    memset(s->entry_send, 0, (size_t)gpus * sizeof *s->entry_send);
    for (int n = 0; n < nodes; n++) {
        const int f = forwarder(d, d->gpu, n);
        const int first = n * d->p.layout.gpus_per_node;
        int *told = s->told + f * (s->each + 1);
        if (n == s->node)
            continue;
        s->entry_send_at[f] = d->rest.row_send_at[first];
        for (int c = 0; c < node_size(d, n); c++) {
            told[c] = d->rest.row_send[first + c];
            s->entry_send[f] += told[c];
        }
        told[s->each] = s->via_send[f] = (int)s->node_rows[n];
        s->via_send_at[f] = at;
        at += s->via_send[f];
    }
}

static void number(moe_dispatch *d, const moe_batch *batch)
{
    nodes_state *s = d->transport_state;
    moe_dispatch_share(d, batch);
    memset(s->node_rows, 0,
           (size_t)moe_layout_nodes(&d->p.layout) * sizeof *s->node_rows);
    number_via(d, s, batch->own);
    address_forwarders(d, s);
}

static void pack(moe_dispatch *d, const moe_batch *batch, const char *rows)
{
    const nodes_state *s = d->transport_state;
    const size_t bytes = d->p.row_bytes, k = (size_t)batch->top_k;
    const uint32_t each = (uint32_t)d->p.layout.gpus_per_node;
    for (size_t first = 0; first < batch->own * k; first += k, rows += bytes) {
        const uint32_t *gpu = d->gpu_of + first;
        for (size_t j = 0; j < k; j++) {
            const int node = (int)(gpu[j] / each);
            const uint32_t row = d->items[d->rest.where[first + j]].row;
            char *to = NULL;
            if (node != s->node && first_on_node(gpu, j, each) == j)
                to = d->send +
                     ((size_t)s->via_send_at[forwarder(d, d->gpu, node)] +
                      s->via_of[first + j]) *
                         bytes;
            else if (node == s->node && (row & MOE_AHEAD) == 0 &&
                     moe_dispatch_first_there(gpu, j) == j)
                to = s->near +
                     ((size_t)
                          s->near_send_at[MOE_WAY_OUT][(int)gpu[j] - s->first] +
                      row) *
                         bytes;
            if (to != NULL)
                memcpy(to, rows, bytes);
        }
    }
}

/* ---- what is forwarded ---- */

static int entries_for(const nodes_state *s, int source, int gpu)
{
    return s->heard[source * (s->each + 1) + gpu];
}

/* What comes to this forwarder, and what it passes between it and the GPUs of
 * its node, on both ways. */
static void place_forwarded(moe_dispatch *d, nodes_state *s)
{
    const size_t gpus = (size_t)d->p.layout.gpus, here = (size_t)s->here;
    MOE_MPI(MPI_Alltoall(s->told, s->each + 1, MPI_INT, s->heard, s->each + 1,
                         MPI_INT, d->comm));
    memcpy(s->near_send[MOE_WAY_OUT], d->rest.row_send + s->first,
           here * sizeof(int));
    memcpy(s->near_recv[MOE_WAY_HOME], d->back_count + s->first,
           here * sizeof(int));
    for (int g = 0; g < (int)gpus; g++) {
        s->via_recv[g] = entries_for(s, g, s->each);
        s->entry_recv[g] = 0;
        for (int c = 0; c < s->here; c++) {
            const int n = entries_for(s, g, c);
            s->entry_recv[g] += n;
            s->near_send[MOE_WAY_OUT][c] += n;
            s->near_recv[MOE_WAY_HOME][c] += n;
        }
    }
    moe_dispatch_add_up(s->via_recv, gpus, s->via_recv_at);
    moe_dispatch_add_up(s->entry_recv, gpus, s->entry_recv_at);
    moe_dispatch_add_up(s->near_send[MOE_WAY_OUT], here,
                        s->near_send_at[MOE_WAY_OUT]);
    moe_dispatch_add_up(s->near_recv[MOE_WAY_HOME], here,
                        s->near_recv_at[MOE_WAY_HOME]);
    MOE_MPI(MPI_Alltoallv(s->entries, s->entry_send, s->entry_send_at,
                          MPI_UINT32_T, s->entries_in, s->entry_recv,
                          s->entry_recv_at, MPI_UINT32_T, d->comm));
}

/* Rows of each source in what comes from the GPUs of the node: of each GPU its
 * own, then those that it forwards. Sums go back in the same order. */
static void place_received(moe_dispatch *d, nodes_state *s)
{
    int *in = s->near_recv[MOE_WAY_OUT], *back = s->near_send[MOE_WAY_HOME];
    int at = 0, home_at = 0;
    for (int f = 0; f < s->here; f++) {
        s->near_recv_at[MOE_WAY_OUT][f] = at;
        s->near_send_at[MOE_WAY_HOME][f] = home_at;
        for (int i = -1; i < d->p.layout.gpus; i++) {
            const int source = i < 0 ? s->first + f : i;
            if (i >= 0 && (moe_layout_node(&d->p.layout, i) == s->node ||
                           forwarder(d, i, s->node) != s->first + f))
                continue;
            d->rest.row_recv_at[source] = at;
            d->home_at[source] = home_at;
            at += d->rest.row_recv[source];
            home_at += d->home_count[source];
        }
        in[f] = at - s->near_recv_at[MOE_WAY_OUT][f];
        back[f] = home_at - s->near_send_at[MOE_WAY_HOME][f];
    }
}

static void count_traffic(moe_dispatch *d, const nodes_state *s)
{
    const size_t bytes = (size_t)d->p.layout.gpus * sizeof(int);
    memcpy(s->sent[MOE_WAY_OUT], s->via_send, bytes);
    memcpy(s->received[MOE_WAY_OUT], s->via_recv, bytes);
    memcpy(s->sent[MOE_WAY_HOME], s->via_recv, bytes);
    memcpy(s->received[MOE_WAY_HOME], s->via_send, bytes);
    for (int way = 0; way < MOE_N_WAYS; way++)
        for (int c = 0; c < s->here; c++) {
            s->sent[way][s->first + c] = s->near_send[way][c];
            s->received[way][s->first + c] = s->near_recv[way][c];
        }
}

/* A token's output is of sums of GPUs of the own node and of other nodes. */
static void expect_sums(moe_dispatch *d, const nodes_state *s)
{
    const size_t k = (size_t)d->p.top_k;
    const uint32_t each = (uint32_t)d->p.layout.gpus_per_node;
    uint32_t n = 0;
    for (uint32_t t = 0; t < d->tokens; t++) {
        const uint32_t *gpu = d->gpu_of + t * k;
        d->sum_of[t] = n;
        for (size_t j = 0; j < k; j++) {
            const int node = (int)(gpu[j] / each);
            if (node != s->node && first_on_node(gpu, j, each) == j)
                d->sum_row[n++] =
                    (uint32_t)s->via_send_at[forwarder(d, d->gpu, node)] +
                    s->via_of[t * k + j];
            else if (node == s->node && moe_dispatch_first_there(gpu, j) == j)
                d->sum_row[n++] =
                    (uint32_t)s->near_row +
                    (uint32_t)
                        s->near_recv_at[MOE_WAY_HOME][(int)gpu[j] - s->first] +
                    d->items[d->rest.where[t * k + j]].sum;
        }
    }
    d->sum_of[d->tokens] = n;
}

static void place(moe_dispatch *d)
{
    nodes_state *s = d->transport_state;
    place_forwarded(d, s);
    place_received(d, s);
    count_traffic(d, s);
    expect_sums(d, s);
}

/* ---- travelling ---- */

/* Visit every row that is forwarded. @param at  [here] of near, where the rows
 * of others than the own begin; moved on. @param do_row  what to do with row
 * `via` and its image `near`. */
static void each_forwarded(const moe_dispatch *d, const nodes_state *s, int *at,
                           void (*do_row)(void *, size_t, size_t), void *arg)
{
    const uint32_t *entry = s->entries_in;
    for (int g = 0; g < d->p.layout.gpus; g++)
        for (int c = 0; c < s->here; c++)
            for (int i = entries_for(s, g, c); i > 0; i--)
                do_row(arg, (size_t)s->via_recv_at[g] + *entry++,
                       (size_t)at[c]++);
}

typedef struct {
    const char *via;
    char *near;
    size_t bytes;
} copier;

static void copy_row(void *arg, size_t via, size_t near)
{
    const copier *c = arg;
    memcpy(c->near + near * c->bytes, c->via + via * c->bytes, c->bytes);
}

/* Where forwarded rows begin for each GPU of the node: behind the own ones. */
static int *behind_own(const nodes_state *s, const int *at, const int *own)
{
    int *behind = s->told; /* borrowed: it has been told */
    for (int c = 0; c < s->here; c++)
        behind[c] = at[c] + own[s->first + c];
    return behind;
}

static void send_on(moe_dispatch *d, nodes_state *s)
{
    copier c = {s->via, s->near, d->p.row_bytes};
    int *at = behind_own(s, s->near_send_at[MOE_WAY_OUT], d->rest.row_send);
    each_forwarded(d, s, at, copy_row, &c);
}

static void count_part(void *arg, size_t via, size_t near)
{
    uint32_t *first = arg;
    (void)near;
    first[via + 2]++;
}

static void add_part(void *arg, size_t via, size_t near)
{
    const moe_dispatch *d = arg;
    d->part_row[d->part_of[via + 1]++] = (uint32_t)near;
}

/* One sum per row that came for a token, of those of the node's GPUs. */
static void add_up(moe_dispatch *d, nodes_state *s)
{
    const int *start = s->near_recv_at[MOE_WAY_HOME];
    const int last = d->p.layout.gpus - 1;
    const size_t n = (size_t)s->via_recv_at[last] + (size_t)s->via_recv[last];
    memset(d->part_of, 0, (n + 2) * sizeof *d->part_of);
    each_forwarded(d, s, behind_own(s, start, d->back_count), count_part,
                   d->part_of);
    for (size_t i = 2; i < n + 2; i++)
        d->part_of[i] += d->part_of[i - 1];
    each_forwarded(d, s, behind_own(s, start, d->back_count), add_part, d);
    const moe_ffn_sums sums = {
        .n = n, .first = d->part_of, .row = d->part_row, .even = 1};
    if (d->ffn != NULL) /* else nothing was computed: rows travel alone */
        d->ffn->reduce(d->ffn_state, &sums, s->near, s->via);
}

static void exchange_via(moe_dispatch *d, const nodes_state *s, moe_way way)
{
    const moe_parcels out = {.comm = d->comm,
                             .from = d->send,
                             .send = s->via_send,
                             .send_at = s->via_send_at,
                             .to = s->via,
                             .recv = s->via_recv,
                             .recv_at = s->via_recv_at};
    const moe_parcels home = {.comm = d->comm,
                              .from = s->via,
                              .send = s->via_recv,
                              .send_at = s->via_recv_at,
                              .to = d->send,
                              .recv = s->via_send,
                              .recv_at = s->via_send_at};
    moe_dispatch_exchange(d, way == MOE_WAY_OUT ? &out : &home);
}

static void exchange_near(moe_dispatch *d, const nodes_state *s, moe_way way)
{
    const bool out = way == MOE_WAY_OUT;
    const moe_parcels p = {.comm = s->comm,
                           .first = s->first,
                           .from = out ? s->near : d->recv,
                           .send = s->near_send[way],
                           .send_at = s->near_send_at[way],
                           .to = out ? moe_dispatch_rest_rows(d) : s->near,
                           .recv = s->near_recv[way],
                           .recv_at = s->near_recv_at[way]};
    moe_dispatch_exchange(d, &p);
}

static void stage(moe_dispatch *d, moe_way way, int i)
{
    nodes_state *s = d->transport_state;
    const bool near = (way == MOE_WAY_OUT) == (i == 1);
    if (i == 1 && way == MOE_WAY_OUT)
        send_on(d, s);
    else if (i == 1)
        add_up(d, s);
    near ? exchange_near(d, s, way) : exchange_via(d, s, way);
}

const moe_transport moe_transport_nodes = {
    .name = "nodes",
    .shares = true,
    .stages = {2, 2},
    .send_rows = send_rows,
    .held_rows = held_rows,
    .init = init,
    .connect = connect,
    .fini = fini,
    .number = number,
    .pack = pack,
    .place = place,
    .stage = stage,
};
