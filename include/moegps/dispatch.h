/** dispatch.h: rows travel to the replicas of their experts, and home again.
 *
 *  One layer, one rank. The steps are separate functions so that the engine
 *  can time them and the benchmarks can compare each with its raw
 *  alternative:
 *
 *      count    own pairs per expert                      local
 *      number   global interval of the own pairs          Exscan, Allreduce
 *      address  replica and send position of every pair   local (split)
 *      pack     rows in send order                        local
 *      tell     rows per (GPU, slot)                      Alltoall
 *      send     rows                                      Alltoallv
 *      group    received rows by slot                     local
 *      ...      the FFN works on the grouped rows in place
 *      ungroup, send_back                                 local, Alltoallv
 *
 *  Direct routing (DESIGN section 2) walks to `send` twice. Where tokens were
 *  predicted, their rows go ahead to replicas of the experts predicted:
 *
 *      expect, number, address, pack, tell, send
 *
 *  and once the truth is known only what is not in place yet follows:
 *
 *      compare, number, address, pack, tell, send, group, ...
 *
 *  where a pair (token, e) is in place if e was among the token's predicted
 *  experts. The second `tell` also says which rows that went ahead are to be
 *  kept, a byte each; the others are dropped. What comes home is every true
 *  pair, in one exchange.
 *
 *  The send buffer is ordered by (GPU, slot, token); what arrives from one
 *  rank is ordered by slot; grouped rows by (slot, rank, kept before new).
 *  What comes home from one GPU is first the kept rows, then the others.
 */
#ifndef MOEGPS_DISPATCH_H
#define MOEGPS_DISPATCH_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/split.h"
#include "moegps/status.h"

typedef struct moe_dispatch_params {
    MPI_Comm comm; /* the GPUs; rank in it is the GPU; borrowed */
    moe_layout layout;
    int experts, top_k;
    int max_slots;       /* of any plan */
    uint64_t max_tokens; /* of any batch, all ranks */
    uint32_t max_own;    /* of any batch, this rank */
    size_t row_bytes;
} moe_dispatch_params;

/** One exchange of rows towards their experts. */
typedef struct moe_leg {
    int *send_slot;            /* [gpus][slots] rows sent */
    int *recv_slot;            /* [gpus][slots] rows received */
    int *send_count, *send_at; /* [gpus] rows, and where in `send` */
    int *recv_count, *recv_at; /* [gpus] rows, and where in what arrived */
    uint32_t *where;           /* [own][top_k] row of each pair in `send` */
    uint64_t n_send, n_recv;
} moe_leg;

typedef struct moe_dispatch {
    moe_dispatch_params p;
    int gpu;
    MPI_Datatype row_type;
    uint32_t *own;    /* [experts] pairs of this rank */
    uint64_t *total;  /* [experts] pairs of all ranks */
    uint64_t *first;  /* [experts] pairs of lower ranks */
    uint32_t *pairs;  /* [replicas] of this rank */
    uint32_t *cursor; /* [replicas] next send position; also scratch */
    int slots;        /* of the plan in force */

    moe_leg rest;            /* the exchange of dispatch; its `where` is where
                                each pair comes home to, those in place too */
    moe_leg ahead;           /* the one before, with direct routing */
    moe_leg *leg;            /* the one being made */
    const uint16_t *experts; /* [own][top_k] that its pairs go to; MOE_IN_PLACE:
                                does not travel; borrowed */

    bool direct;              /* rows went ahead and were compared */
    const uint16_t *expected; /* [own][top_k] predicted experts; borrowed */
    uint16_t *missing;        /* [own][top_k] as `experts` */
    uint8_t *keep;            /* [ahead.n_send] whether the row is wanted */
    uint32_t *place;          /* [ahead.n_send] where a kept one comes home */
    uint8_t *kept;            /* [ahead.n_recv] whether the row is wanted */
    int *kept_slot;           /* [gpus][slots] rows kept here */
    int *kept_there;          /* [gpus] own rows kept by each GPU */

    int *home_count, *home_at;   /* [gpus] rows that go home from here */
    int *back_count, *back_at;   /* [gpus] rows that come back, in `send` */
    uint32_t *slot_rows;         /* [slots] grouped rows */
    uint32_t *slot_at;           /* [slots] first grouped row */
    uint64_t n_rows;             /* grouped rows, kept and new */
    char *send, *recv, *grouped; /* rows; address space for the worst case,
                                    memory only as far as it is used */
    size_t send_reserved, recv_reserved, grouped_reserved, kept_reserved;
} moe_dispatch;

/* A pair that need not travel. No expert has this number. */
#define MOE_IN_PLACE UINT16_MAX

/** Set up buffers for the largest batch, all of whose pairs - predicted and
 *  true - may come to one rank. Collective over p->comm. @return MOE_OK, MOE_NOMEM, MOE_USAGE. */
moe_status moe_dispatch_init(moe_dispatch *d, const moe_dispatch_params *p,
                             moe_error *err);
void moe_dispatch_fini(moe_dispatch *d);

/** Count own pairs per expert; all of them will travel. */
void moe_dispatch_count(moe_dispatch *d, const moe_batch *batch, int layer);

/** Direct routing: count own pairs per predicted expert; they go ahead.
 *  @param predicted  [own][top_k] experts; one that is named twice for a token
 *  gets its row twice, and drops one. Borrowed until ungroup. */
void moe_dispatch_expect(moe_dispatch *d, const moe_batch *batch,
                         const uint16_t *predicted);

/** Direct routing: compare the truth with what went ahead, and count own pairs
 *  per expert that are not in place. */
void moe_dispatch_compare(moe_dispatch *d, const moe_batch *batch, int layer);

/** Learn all ranks' pairs per expert and where the own ones begin.
 *  Collective. */
void moe_dispatch_number(moe_dispatch *d);

/** Give every own pair that travels its replica and its place in the send
 *  buffer.
 *  @param slots  of the plan that `replicas` indexes, on every rank and in both
 *  exchanges of direct routing alike. */
void moe_dispatch_address(moe_dispatch *d, const moe_batch *batch,
                          const moe_replicas *replicas, int slots,
                          const moe_split *split, void *split_state);

/** Copy the rows of own tokens into send order.
 *  @param rows  [own][row bytes] */
void moe_dispatch_pack(moe_dispatch *d, const moe_batch *batch,
                       const void *rows);

/** Tell every rank how many rows come to each of its slots, and which of those
 *  that went ahead it is to keep. Collective. */
void moe_dispatch_tell(moe_dispatch *d);

/** Send rows. Collective. */
void moe_dispatch_send(moe_dispatch *d);

/** Group received and kept rows by slot. @return grouped rows, borrowed: they may be
 *  changed in place. */
void *moe_dispatch_group(moe_dispatch *d);
void moe_dispatch_ungroup(moe_dispatch *d);

/** Send grouped results home; they land in the send buffer, each at its
 *  pair's place in `rest.where`. Collective. */
void moe_dispatch_send_back(moe_dispatch *d);

#endif
