/** watchdog.h: end a run in which a rank hangs.
 *
 *  A rank that is stuck leaves the others waiting in a collective for ever,
 *  and a batch job burns its time. Every rank feeds its watchdog; when one
 *  has not been fed for too long, its thread names the rank of its node that
 *  does not run or is behind the others, and ends the process; then the
 *  launcher ends the others.
 */
#ifndef MOEGPS_WATCHDOG_H
#define MOEGPS_WATCHDOG_H

#include "moegps/ctx.h"

typedef struct moe_watchdog moe_watchdog;

/** Start watching; what comes before the first step is set-up. Collective over ctx.
 *  @param limit_s  <= 0: no watchdog, and the others do nothing.
 *  @param out      NULL without one; end with moe_watchdog_free().
 *  @return merged status: MOE_NOMEM, MOE_LIBRARY. */
moe_status moe_watchdog_new(moe_ctx *ctx, double limit_s, moe_watchdog **out);

/** Tell that iteration `step` >= 0, warm-up included, begins. Not collective. NULL is fine. */
void moe_watchdog_feed(moe_watchdog *w, int step);

/** Collective. NULL is fine. */
void moe_watchdog_free(moe_watchdog *w);

/** Where no watchdog can watch, before MPI has begun and while it ends, end this
 *  process when it does not come on: by SIGALRM, with one line on stderr of the
 *  lowest rank that still runs, by the launcher's number of it.
 *  @param limit_s  <= 0: for ever, as after moe_watchdog_uncover().
 *  @param where    a literal: what does not come to an end. */
void moe_watchdog_cover(double limit_s, const char *where);
void moe_watchdog_uncover(void);

#endif
