/** dispatch.h: rows travel to the replicas of their experts, and home again.
 *
 *  One layer, one rank. The steps are separate functions so that the engine
 *  can time them and the benchmarks can compare each with its raw
 *  alternative:
 *
 *      count    own pairs per expert                      local
 *      number   global interval of the own pairs, where
 *               the split needs it                        Exscan, Allreduce
 *      address  replica and send position of every pair   local (split)
 *      pack     rows in send order                        local
 *      tell     rows per (GPU, slot)                      Alltoall
 *      send     rows                                      Alltoallv
 *      group    received rows by slot                     local
 *      ...      the FFN works on the grouped rows in place
 *      ungroup, send                                      local, Alltoallv
 *
 *  In place of `send`, `post` begins the exchange and `test` brings it on
 *  until it is complete; in between the caller may compute. Several dispatches
 *  may be under way at the same time, as each has a communicator of its own.
 *
 *  Direct routing walks to `send` twice. Where tokens were
 *  predicted, their rows go ahead to replicas of the experts predicted:
 *
 *      expect, number, address, pack, tell, send
 *
 *  and once the truth is known only what is not in place yet follows:
 *
 *      compare, number, address, pack, tell, send, group, ...
 *
 *  where a pair (token, e) is in place if e was among the token's predicted
 *  experts and its row went ahead. Rows ride with the reduce-scatter that ends
 *  attention, which reaches the GPUs that share it and no others; a token has
 *  one row to a GPU, for all its experts that are foretold there, and the first
 *  `tell` says which pairs share it. The second says which pairs that went ahead
 *  are to be kept, a byte each; the others are dropped. What comes home is every true
 *  pair, in one exchange.
 *
 *  The send buffer is ordered by (GPU, slot, token); what arrives from one
 *  rank is ordered by slot; grouped rows by (slot, rank, kept before new).
 *  What comes home from one GPU is first the kept rows, then the others.
 */
#ifndef MOEGPS_ENGINE_DISPATCH_H
#define MOEGPS_ENGINE_DISPATCH_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/batch.h"
#include "moegps/ffn.h"
#include "moegps/split.h"
#include "moegps/status.h"
#include "watch.h"

typedef struct moe_dispatch moe_dispatch;
typedef struct moe_transport moe_transport; /* transport.h */

/** To the experts, and home again. */
typedef enum moe_way { MOE_WAY_OUT, MOE_WAY_HOME, MOE_N_WAYS } moe_way;

typedef struct moe_dispatch_params {
    const moe_transport *transport;
    moe_watch *watch; /* of what is posted; borrowed; NULL: exchanges are
                         collectives */
    int gpu;
    moe_layout layout;
    int experts, top_k;
    int group;           /* neighbours that share an attention: direct routing
                            reaches these; GPU g is of group g / group */
    int max_slots;       /* of any plan */
    uint64_t max_tokens; /* of any batch, all ranks */
    uint32_t max_own;    /* of any batch, this rank */
    size_t row_bytes;
    size_t out_bytes; /* of a row that is sent to an expert after attention, at
                         most row_bytes */
} moe_dispatch_params;

/** Set up buffers for the largest batch, all of whose pairs - predicted and
 *  true - may come to one rank. Not collective.
 *  @param d_out  release with moe_dispatch_free().
 *  @return MOE_OK, MOE_NOMEM, MOE_USAGE (more pairs than MPI can count). */
moe_status moe_dispatch_new(const moe_dispatch_params *p, moe_dispatch **d_out,
                            moe_error *err);

/** Connect the dispatches of all GPUs. Collective over comm.
 *  @param comm  rank in it is the GPU; duplicated. */
void moe_dispatch_connect(moe_dispatch *d, MPI_Comm comm);

/** NULL is fine. Collective where it is connected. */
void moe_dispatch_free(moe_dispatch *d);

/** Count own pairs per expert; all of them will travel. */
void moe_dispatch_count(moe_dispatch *d, const moe_batch *batch, int layer);

/** Direct routing: count own pairs per predicted expert; those whose replica
 *  is on a GPU of the own group go ahead.
 *  @param predicted  [own][top_k] experts; one that is named twice for a token is
 *  kept once. Borrowed until ungroup. */
void moe_dispatch_expect(moe_dispatch *d, const moe_batch *batch,
                         const uint16_t *predicted);

/** Direct routing: compare the truth with what went ahead, and count own pairs
 *  per expert that are not in place. */
void moe_dispatch_compare(moe_dispatch *d, const moe_batch *batch, int layer);

/** Learn all ranks' pairs per expert and where the own ones begin.
 *  Collective. */
void moe_dispatch_number(moe_dispatch *d);

/** Leave that out, where the split does without or no expert has several
 *  replicas: the own pairs are numbered as if there were no others. */
void moe_dispatch_number_own(moe_dispatch *d);

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

/** Send rows out, or the ungrouped results home. Collective. */
void moe_dispatch_send(moe_dispatch *d, moe_way way);

/** Begin that. Nothing of the dispatch may be called but test and wait, until
 *  one of them says that it is complete. Collective. */
void moe_dispatch_post(moe_dispatch *d, moe_way way);

/** Bring on what was posted. Does not wait. All ranks have to go on calling this or
 *  moe_dispatch_wait() for it to end. @return whether it is complete. */
bool moe_dispatch_test(moe_dispatch *d);

/** Wait until what was posted is complete. */
void moe_dispatch_wait(moe_dispatch *d);

/** What the exchanges of a layer move. */
typedef struct moe_dispatch_rows {
    const uint32_t *of_slot; /* [slots] that each slot computes */
    uint64_t all;            /* their sum */
    uint64_t in_place;       /* of them, those that went ahead */
    const int *ahead; /* [gpus] sent ahead, one a token; NULL without direct
                              routing */
    uint64_t ahead_tokens;      /* their sum over other GPUs */
    const int *sent, *received; /* [gpus] over the link to each in dispatch,
                                   forwarded ones counted by each who sends */
    const int *home, *back;     /* [gpus] the same in combine */
} moe_dispatch_rows;

/** @return rows of the layer, borrowed until the next count or expect; after
 *  the last `tell`. */
moe_dispatch_rows moe_dispatch_get_rows(const moe_dispatch *d);

/** Group received and kept rows by slot. @return grouped rows, borrowed: they
 *  may be changed in place. */
void *moe_dispatch_group(moe_dispatch *d);

/** Make what goes home of the results in grouped rows.
 *  @param ffn, ffn_state  by whom rows are summed, here and on the way;
 *  borrowed until they are home. */
void moe_dispatch_ungroup(moe_dispatch *d, const moe_ffn *ffn, void *ffn_state);

/** @param sums_out  [own] of the rows that came home, for each token; borrowed as
 *  they are. @return these rows; borrowed until the next pack. */
const void *moe_dispatch_get_home(const moe_dispatch *d, const moe_batch *batch,
                                  moe_ffn_sums *sums_out);

#endif
