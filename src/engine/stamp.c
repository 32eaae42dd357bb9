/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

#include "internal.h"

moe_stamp moe_engine_charge(moe_engine *e, moe_phase phase, int first, int end,
                            moe_stamp start)
{
    const moe_stamp now = moe_stamp_now();
    const double part = 1.0 / (end - first);
    for (int l = first; l < end; l++) {
        e->it.times[l].wall[phase] += (now.wall - start.wall) * part;
        e->it.times[l].cpu[phase] += (now.cpu - start.cpu) * part;
    }
    return now;
}

void moe_engine_barrier(moe_engine *e, MPI_Comm comm, moe_phase phase,
                        int first, int end)
{
    if (e->p.experiment->emulation.sync == MOE_SYNC_NONE)
        return;
    const double start = moe_clock_wall();
    MOE_MPI(MPI_Barrier(comm));
    const double waited = moe_clock_wall() - start;
    for (int l = first; l < end; l++)
        e->it.times[l].wait[phase] += waited / (end - first);
}
