/* stamp.h: measured time of phases, on both clocks. */
#ifndef MOEGPS_ENGINE_STAMP_H
#define MOEGPS_ENGINE_STAMP_H

#include <mpi.h>

#include "moegps/clock.h"
#include "moegps/phase.h"

typedef struct moe_engine moe_engine;

/* One reading of both clocks, in s. */
typedef struct moe_stamp {
    double wall, cpu;
} moe_stamp;

static inline moe_stamp moe_stamp_now(void)
{
    return (moe_stamp){moe_clock_wall(), moe_clock_cpu()};
}

/* Add the time since `start` to a phase of layers [first, end), shared out
 * evenly: what one call does for all layers is each layer's part. @return when it
 * ended: what follows begins then, as reading clocks takes a microsecond. */
moe_stamp moe_engine_charge(moe_engine *e, moe_phase phase, int first, int end,
                            moe_stamp start);

/* Wait for all ranks of `comm`, unless sync is none, and record how long, for
 * the phase that follows. */
void moe_engine_barrier(moe_engine *e, MPI_Comm comm, moe_phase phase,
                        int first, int end);

#endif
