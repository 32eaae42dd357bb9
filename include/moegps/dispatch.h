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
 *  The send buffer is ordered by (GPU, slot, token); what arrives from one
 *  rank is ordered by slot; grouped rows by (slot, rank).
 */
#ifndef MOEGPS_DISPATCH_H
#define MOEGPS_DISPATCH_H

#include <mpi.h>
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

typedef struct moe_dispatch {
    moe_dispatch_params p;
    int gpu;
    MPI_Datatype row_type;
    uint32_t *own;    /* [experts] pairs of this rank */
    uint64_t *total;  /* [experts] pairs of all ranks */
    uint64_t *first;  /* [experts] pairs of lower ranks */
    uint32_t *pairs;  /* [replicas] of this rank */
    uint32_t *cursor; /* [replicas] next send position; also scratch */
    uint32_t *where;  /* [own][top_k] row of each pair in `send` */
    int slots;        /* of the plan in force */
    int *send_slot;   /* [gpus][slots] rows sent */
    int *recv_slot;   /* [gpus][slots] rows received */
    int *send_count, *send_at, *recv_count, *recv_at; /* [gpus] rows */
    uint32_t *slot_rows;                              /* [slots] grouped rows */
    uint32_t *slot_at; /* [slots] first grouped row */
    uint64_t n_send, n_recv;
    char *send, *recv, *grouped; /* rows; address space for the worst case,
                                    memory only as far as it is used */
    size_t send_reserved, recv_reserved; /* bytes */
} moe_dispatch;

/** Set up buffers for the largest batch, all of whose pairs may come to one
 *  rank. Collective over p->comm. @return MOE_OK, MOE_NOMEM, MOE_USAGE. */
moe_status moe_dispatch_init(moe_dispatch *d, const moe_dispatch_params *p,
                             moe_error *err);
void moe_dispatch_fini(moe_dispatch *d);

/** Count own pairs per expert. */
void moe_dispatch_count(moe_dispatch *d, const moe_batch *batch, int layer);

/** Learn all ranks' pairs per expert and where the own ones begin.
 *  Collective. */
void moe_dispatch_number(moe_dispatch *d);

/** Give every own pair its replica and its place in the send buffer.
 *  @param slots  of the plan that `replicas` indexes, on every rank alike. */
void moe_dispatch_address(moe_dispatch *d, const moe_batch *batch, int layer,
                          const moe_replicas *replicas, int slots,
                          const moe_split *split, void *split_state);

/** Copy the rows of own tokens into send order.
 *  @param rows  [own][row bytes] */
void moe_dispatch_pack(moe_dispatch *d, const moe_batch *batch,
                       const void *rows);

/** Tell every rank how many rows come to each of its slots. Collective. */
void moe_dispatch_tell(moe_dispatch *d);

/** Send rows. Collective. */
void moe_dispatch_send(moe_dispatch *d);

/** Group received rows by slot. @return grouped rows, borrowed: they may be
 *  changed in place. */
void *moe_dispatch_group(moe_dispatch *d);
void moe_dispatch_ungroup(moe_dispatch *d);

/** Send grouped results home; they land in the send buffer, each at its
 *  pair's place in `where`. Collective. */
void moe_dispatch_send_back(moe_dispatch *d);

#endif
