/** launched.h: what the launcher says of this process, before MPI is started, or
 *  where it is not. Local. */
#ifndef MOEGPS_LAUNCHED_H
#define MOEGPS_LAUNCHED_H

#include <stdbool.h>

/** @return the rank by Open MPI, MPICH or Slurm; 0 without a launcher. */
int moe_launched_rank(void);

/** @return processes that were started together; 1 without a launcher. */
int moe_launched_ranks(void);

/** @param fd  of this process; one that mpirun has, too: STDOUT_FILENO or
 *  STDERR_FILENO
 *  @return whether what is written there comes to a terminal. Open MPI gives
 *  ranks a terminal for stdout and a pipe for stderr, wherever its output goes:
 *  of its ranks, that of mpirun on the same node is looked at, in /proc. */
bool moe_launched_on_terminal(int fd);

#endif
