/** launched.h: what the launcher says of this process, before MPI is started, or
 *  where it is not. Local. */
#ifndef MOEGPS_LAUNCHED_H
#define MOEGPS_LAUNCHED_H

/** @return the rank by Open MPI, MPICH or Slurm; 0 without a launcher. */
int moe_launched_rank(void);

/** @return processes that were started together; 1 without a launcher. */
int moe_launched_ranks(void);

#endif
