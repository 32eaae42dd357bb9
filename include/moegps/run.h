/** run.h: all iterations of a run, from warm-up to the finished file.
 *
 *  The loop stops in order when it is asked to, flushes what it measured every
 *  few seconds and feeds the watchdog. It knows no file: a sink takes what was
 *  measured.
 */
#ifndef MOEGPS_RUN_H
#define MOEGPS_RUN_H

#include "moegps/ctx.h"
#include "moegps/engine.h"
#include "moegps/ledger.h"
#include "moegps/validation.h"
#include "moegps/watchdog.h"

/** Where measured iterations go. Both hooks are collective and return a merged
 *  status. */
typedef struct moe_run_sink {
    void *to; /* passed to the hooks */
    /** Take iterations [first, end), which are complete in the ledger. */
    moe_status (*write)(void *to, moe_ctx *ctx, const moe_ledger *ledger,
                        int first, int end);
    /** Finish; called once, whatever happened before. */
    moe_status (*close)(void *to, moe_ctx *ctx, const moe_ledger *ledger,
                        moe_run_state state, const moe_validation *validation);
} moe_run_sink;

typedef struct moe_run_params {
    moe_engine *engine; /* borrowed, as all here */
    moe_ledger *ledger; /* sizes are moe_engine_dims() */
    const moe_run_sink *sink;
    moe_watchdog *watchdog;  /* NULL: none */
    int done;                /* iterations that an earlier run measured; rank
                                0's ledger holds what resuming needs */
    double flush_every_s;    /* behind the first iteration, which is flushed at
                                once; rank 0's clock decides for all */
    const char *resume_hint; /* what goes on with a run that was stopped */
} moe_run_params;

/** Warm up, measure all iterations that are left, hand them to the sink and
 *  close it. A failed check ends the run, and the sink is told of it; the
 *  first error stays the one that ctx holds. Collective over ctx.
 *  @return merged status: MOE_OK, MOE_INTERRUPTED (stop.h), MOE_INVALID, or what
 *  the engine or the sink returned. */
moe_status moe_run(moe_ctx *ctx, const moe_run_params *params);

#endif
