/* beside.h: what coordination does beside the layers of a paced run.
 *
 * Phases from collect to migrate are posted in their order and brought on
 * while the rank waits for something else: for a paced phase to end, for rows,
 * or in the end for themselves. Only that last is time of the layer.
 */
#ifndef MOEGPS_ENGINE_BESIDE_H
#define MOEGPS_ENGINE_BESIDE_H

#include <mpi.h>
#include <stdbool.h>

#include "moegps/phase.h"
#include "moegps/status.h"
#include "stamp.h"

typedef struct moe_beside moe_beside;
typedef struct moe_engine moe_engine;
typedef struct moe_runner moe_runner;

/* Not collective. @return NULL, with MOE_NOMEM. */
moe_beside *moe_beside_new(const moe_engine *e, moe_error *err);

/* Once all ranks have one. Collective over comm, which is duplicated. */
void moe_beside_connect(moe_beside *b, MPI_Comm comm);
void moe_beside_free(moe_beside *b); /* collective if connected; NULL is fine */

/* Queue a phase of layers [first, end), where the iteration in progress has
 * phases run beside its layers. @return whether it does. */
bool moe_beside_takes(moe_engine *e, moe_runner *r, moe_phase phase, int first,
                      int end);

/* Bring on what is queued; does not wait. @return whether anything is left. */
bool moe_beside_advance(moe_engine *e);

/* Wait until the plan of a layer is in force and its weights are here: what
 * that takes is exposed, and charged to the phase waited for. @param at
 * since when. @return when that ended. */
moe_stamp moe_beside_need(moe_engine *e, int layer, moe_stamp at);

/* The same for all that is left, at the end of an iteration. */
void moe_beside_finish(moe_engine *e);

/* @return s of moe_clock_wall() until when this rank planned last; 0: never. */
double moe_beside_planned_s(const moe_engine *e);

#endif
