/* flow.h: the bytes of expert weights that travel in a paced run.
 *
 * A paced rank computes nothing, so no slot holds more of an expert than its
 * tag (weights.h), which migrates as ever. What the matrices would add to the
 * wire flows beside it at full size: in chunks, sent from one buffer whose
 * content every rank knows, and received in a few others. Receivers check the
 * length of every chunk and its content, whole or by samples. Nothing waits: who
 * wants weights to arrive calls moe_flow_advance() again and again.
 */
#ifndef MOEGPS_ENGINE_FLOW_H
#define MOEGPS_ENGINE_FLOW_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

#include "moegps/plan.h"
#include "moegps/status.h"

/* Bytes of a chunk: copying one must not take long beside a deadline. */
enum { MOE_FLOW_CHUNK = 256 << 10 };

typedef struct moe_flow moe_flow;

typedef struct moe_flow_params {
    int gpu, layers, slots;
    size_t bytes;     /* of one expert's matrices */
    size_t max_moves; /* between begin and end, of all GPUs */
} moe_flow_params;

/* Not collective. @return MOE_OK, MOE_NOMEM. */
moe_status moe_flow_new(const moe_flow_params *p, moe_flow **out,
                        moe_error *err);

/* Once all GPUs have one. Collective over comm, the GPUs, which is duplicated. */
void moe_flow_connect(moe_flow *f, MPI_Comm comm);

/* Collective if connected, after all flows have ended. NULL is fine. */
void moe_flow_free(moe_flow *f);

/* Add the weights of moves, in the same order on all GPUs; behind what flows
 * already. */
void moe_flow_add(moe_flow *f, const moe_move *moves, size_t n_moves);

/* Bring it on; does not wait. @param whole  check all of every chunk.
 * @return whether all has arrived here and all has been taken from here.
 * MOE_INVALID in err: a chunk came shorter or changed. */
bool moe_flow_advance(moe_flow *f, bool whole, moe_error *err);

/* @return whether weights of a layer are still to arrive here. */
bool moe_flow_expects(const moe_flow *f, int layer);

/* @return s of moe_clock_wall() when the last of a layer's weights was seen to
 * have arrived, since flows began; 0: none has. */
double moe_flow_arrived_s(const moe_flow *f, int layer);

/* The communicator that weights flow on, for tests. */
void moe_flow_comm(const moe_flow *f, MPI_Comm *comm_out);

/* @return bytes of the buffers of a rank. */
size_t moe_flow_memory(void);

#endif
