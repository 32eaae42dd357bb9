/** stop.h: ending a long run early, in order: by a signal or a time limit.
 *
 *  Slurm warns a job with a signal before its time ends (`--signal`); a user
 *  may have a limit of his own. The run asks between iterations and then
 *  finishes its file.
 */
#ifndef MOEGPS_STOP_H
#define MOEGPS_STOP_H

#include "moegps/ctx.h"

/** Take SIGUSR1, SIGTERM and SIGINT as a wish to stop from now on, and remember when
 *  the run began. Not collective; once per process, as signals are.
 *  @param max_time_s  > 0: also stop after this long; else no limit. */
void moe_stop_arm(double max_time_s);

/** Whether any rank was asked to stop: signals may reach one alone.
 *  Collective over ctx.
 *  @param ahead_s  how long the next step takes; the time limit counts it.
 *  @param hurry_out  whether the process may be killed soon: launchers that are
 *                    interrupted give ranks a second (Open MPI's
 *                    odls_base_sigkill_timeout) to end.
 *  @return why, static storage, equal on all ranks; NULL: go on. */
const char *moe_stop_asked(const moe_ctx *ctx, double ahead_s, bool *hurry_out);

#endif
