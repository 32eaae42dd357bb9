/* dispatch_internal.h: the state of one dispatch, for its files, transports,
 * test and benchmark.
 *
 *   dispatch.c          memory, and how exchanges are made or posted
 *   dispatch_address.c  what travels, and where to
 *   dispatch_tell.c     what everybody must know of it
 *   dispatch_group.c    rows by slot, and back
 *   dispatch_share.c    rows that pairs of a token share
 *   transport_*.c       ways to travel
 */
#ifndef MOEGPS_ENGINE_DISPATCH_INTERNAL_H
#define MOEGPS_ENGINE_DISPATCH_INTERNAL_H

#include "dispatch.h"
#include "transport.h"

/* One exchange towards experts. Pairs are in the order of (GPU, slot, token). */
typedef struct moe_leg {
    int *send_slot;              /* [gpus][slots] pairs sent */
    int *recv_slot;              /* [gpus][slots] pairs received */
    int *send_count, *send_at;   /* [gpus] pairs, and the first of them */
    int *recv_count, *recv_at;   /* [gpus] pairs, and the first of them */
    int *row_send, *row_send_at; /* [gpus] rows, and where in `send`; of `rest`
                                    those of the pairs */
    int *row_recv, *row_recv_at; /* [gpus] rows, and where in what arrived */
    uint32_t *where;             /* [own][top_k] number of each pair */
    uint64_t n_send, n_recv;
} moe_leg;

/* Shared rows: what a GPU is told of a pair. */
typedef struct moe_item {
    uint32_t row; /* among those that come from its token's GPU; with MOE_AHEAD
                      among those that went ahead */
    uint32_t sum; /* among those that go back there */
    float weight; /* in that sum */
} moe_item;
#define MOE_AHEAD (UINT32_C(1) << 31)

/* In `where` of the leg ahead: the pair cannot ride; the replica that it goes to
 * later is in the other bits. */
#define MOE_LATER (UINT32_C(1) << 31)

/* Address space, backed by memory as far as it is used. */
typedef struct moe_reservation {
    void *data;
    size_t bytes;
} moe_reservation;

struct moe_dispatch {
    moe_dispatch_params p;
    int gpu;
    MPI_Comm comm;                   /* its own */
    MPI_Datatype row_type, out_type; /* a row, and what of it goes out */

    /* The exchange in progress. */
    moe_way way;
    int stage;           /* that begins next */
    bool posted;         /* stages are posted, not waited for */
    MPI_Request request; /* of the stage that was posted last */

    uint32_t *own;      /* [experts] pairs of this rank */
    uint64_t *total;    /* [experts] pairs of all ranks */
    uint64_t *first;    /* [experts] pairs of lower ranks */
    uint32_t *pairs;    /* [replicas] of this rank */
    uint32_t *assigned; /* [replicas] of this rank, chosen before */
    uint32_t *cursor;   /* [replicas] next send position; also scratch */
    int slots;          /* of the plan in force */

    moe_leg rest;            /* the exchange of dispatch; its `where` is where
                                each pair comes home to, those in place too */
    moe_leg ahead;           /* the one before, with direct routing */
    moe_leg *leg;            /* the one being made */
    const uint16_t *experts; /* [own][top_k] that its pairs go to; MOE_IN_PLACE:
                                does not travel; borrowed */

    bool direct;              /* rows went ahead and were compared */
    bool keeps;               /* ... and pairs stay, without shared rows */
    uint64_t ahead_tokens;    /* (own token, other GPU) with a row ahead */
    uint32_t *row_of;         /* [ahead.n_send] of each pair that goes ahead its
                                 row among those to its GPU */
    uint32_t *row_from;       /* [ahead.n_recv] the same of what comes */
    uint64_t rows_ahead;      /* that came ahead */
    const uint16_t *expected; /* [own][top_k] predicted experts; borrowed */
    uint16_t *missing;        /* [own][top_k] as `experts` */
    uint8_t *keep;            /* [ahead.n_send] whether the pair is wanted */
    uint32_t *place;          /* [ahead.n_send] where a kept one comes home */
    uint8_t *kept;            /* [ahead.n_recv] whether the row is wanted */
    int *kept_slot;           /* [gpus][slots] rows kept here */
    int *kept_there;          /* [gpus] own rows kept by each GPU */

    int *home_count, *home_at; /* [gpus] rows that go home from here */
    int *back_count, *back_at; /* [gpus] rows that come back, in `send` */
    void *transport_state;     /* NULL: none */
    const int *sent[MOE_N_WAYS], *received[MOE_N_WAYS]; /* [gpus] rows over a
                                                           link */

    /* With shared rows: */
    uint32_t tokens;      /* own ones of the batch */
    const float *gate;    /* [own][top_k] of the layer; NULL: even; borrowed */
    uint32_t *gpu_of;     /* [own][top_k] */
    uint32_t *replica_of; /* [own][top_k] of predicted pairs */
    moe_item *items;      /* [rest.n_send] */
    moe_item *items_in;   /* [rest.n_recv] */
    uint64_t placed;      /* of them, those whose row came ahead */
    uint32_t *sum_of;     /* [own + 1] first of each token in sum_row */
    uint32_t *sum_row;    /* rows in `send` that make a token's output */
    uint32_t *part_of;    /* first of each sum that goes back, in part_row */
    uint32_t *part_row;   /* [rest.n_recv] grouped rows that make it */
    float *part_weight;   /* [rest.n_recv] */
    MPI_Datatype item_type;
    const moe_ffn *ffn; /* whose rows travel; borrowed */
    void *ffn_state;

    uint32_t *slot_rows;         /* [slots] grouped rows */
    uint32_t *slot_at;           /* [slots] first grouped row */
    uint64_t n_rows;             /* grouped rows, kept and new */
    char *send, *recv, *grouped; /* rows; address space for the worst case,
                                    memory only as far as it is used */

    void **array;                 /* [n_arrays] all that is to be freed */
    moe_reservation reserved[16]; /* likewise; a fixed number of calls */
    size_t n_arrays, n_reserved;
};

/* A pair that need not travel. No expert has this number. */
#define MOE_IN_PLACE UINT16_MAX
/* A pair whose replica was chosen when rows went ahead, but that could not. */
#define MOE_ASSIGNED (UINT16_MAX - 1)

/* What one exchange sends; rows and GPUs of `comm`. Counts and places stay as
 * they are until it is complete. */
typedef struct moe_parcels {
    MPI_Comm comm;
    int first; /* GPU that is its rank 0; the others follow */
    const void *from;
    const int *send, *send_at;
    void *to;
    const int *recv, *recv_at;
} moe_parcels;

/* dispatch.c: memory that lives as long as the dispatch: zeroed arrays; address
 * space. @return NULL where err says why. */
void *moe_dispatch_array(moe_dispatch *d, size_t n, size_t size,
                         moe_error *err);
void *moe_dispatch_reserve(moe_dispatch *d, size_t n, size_t size,
                           moe_error *err);

/* dispatch.c: make the exchange of a stage, or post it. Collective. */
void moe_dispatch_exchange(moe_dispatch *d, const moe_parcels *parcels);

/* dispatch.c: send all rows of `from` to all GPUs, or post that. Collective.
 * @param parcels  send_at: zeros. */
void moe_dispatch_gather(moe_dispatch *d, const moe_parcels *parcels);

/* dispatch.c: the rows of `rest` on their way out. Buffers are of the dispatch. */
moe_parcels moe_dispatch_rest_parcels(moe_dispatch *d);

/* dispatch.c: the exchange of a way of `rest` that goes straight there. */
void moe_dispatch_exchange_rows(moe_dispatch *d, moe_way way);

/* dispatch_address.c: @return the first pair of a token that goes to the same
 * GPU as its pair j. */
size_t moe_dispatch_first_there(const uint32_t *gpu, size_t j);

/* dispatch_share.c: hooks of transports, whole or in parts. */

/* A row to every GPU that a token visits, unless one went ahead, and a sum back
 * from it. */
void moe_dispatch_share(moe_dispatch *d, const moe_batch *batch);

/* A token's output is of the sums of every GPU. */
void moe_dispatch_expect_sums(moe_dispatch *d, const moe_batch *batch);

void moe_dispatch_pack_shared(moe_dispatch *d, const moe_batch *batch,
                              const char *rows);

/* Tell items; count the rows that come and the sums that go back. Collective. */
void moe_dispatch_tell_items(moe_dispatch *d);

/* Places of them, in the order of GPUs. */
void moe_dispatch_place_rows(moe_dispatch *d);

void moe_dispatch_group_shared(moe_dispatch *d);
void moe_dispatch_ungroup_shared(moe_dispatch *d);

/* Running sums: at[i] = count[0] + ... + count[i - 1]. */
static inline void moe_dispatch_add_up(const int *count, size_t n, int *at)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        at[i] = sum;
        sum += count[i];
    }
}

/* @return the weight of own pair i in its token's output. */
static inline float moe_dispatch_weight(const moe_dispatch *d, size_t i)
{
    return d->gate != NULL ? d->gate[i] : 1.0f / (float)d->p.top_k;
}

/* @return where rows of `rest` arrive: behind those that came ahead. */
char *moe_dispatch_rest_rows(moe_dispatch *d);

#endif
