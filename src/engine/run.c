/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/run.h"

#include <math.h>
#include <stdio.h>

#include "moegps/progress.h"
#include "moegps/stop.h"

typedef struct {
    moe_ctx *ctx;
    bool hurry; /* the stop may become a kill at any moment */
    const moe_run_params *p;
    moe_progress progress;
    double flushed_s; /* MPI_Wtime() of the last flush; -inf: none yet */
} run;

/* Whether to flush now: rank 0's clock decides for all. */
static bool flush_due(run *r, bool at_end)
{
    const double now = MPI_Wtime();
    int due = at_end ||
              (r->ctx->rank == 0 && now - r->flushed_s >= r->p->flush_every_s);
    MOE_MPI(MPI_Bcast(&due, 1, MPI_INT, 0, r->ctx->comm));
    if (due)
        r->flushed_s = now;
    return due != 0;
}

/* Stop in order? The longest step so far says whether another one fits. */
static bool stop_asked(run *r, int done, double longest_s)
{
    const char *why = moe_stop_asked(r->ctx, longest_s, &r->hurry);
    if (why == NULL)
        return false;
    moe_fail(&r->ctx->err, MOE_INTERRUPTED,
             "stopped by %s after %d of %d iterations; %s", why, done,
             r->p->ledger->dims.iterations, r->p->resume_hint);
    return true;
}

static moe_status warm_up(run *r)
{
    const moe_run_params *p = r->p;
    double longest_s = 0;
    moe_status s = MOE_OK;
    for (int w = 0; w < p->ledger->dims.warmup && s == MOE_OK; w++) {
        const double start = MPI_Wtime();
        moe_watchdog_feed(p->watchdog, w);
        s = moe_engine_warm_up(p->engine, w, p->ledger);
        moe_progress_step(&r->progress, w + 1);
        longest_s = fmax(longest_s, MPI_Wtime() - start);
        if (s == MOE_OK && stop_asked(r, p->done, longest_s))
            s = MOE_INTERRUPTED;
    }
    if (s == MOE_OK && p->done > 0)
        s = moe_engine_resume(p->engine, p->done, p->ledger);
    return s;
}

/* Write also after a wish to stop, which stays the error that is reported. */
static moe_status write_until(run *r, int first, int end)
{
    const moe_error why = r->ctx->err;
    r->ctx->err = (moe_error){0};
    if (r->p->sink->write(r->p->sink->to, r->ctx, r->p->ledger, first, end) !=
        MOE_OK)
        return r->ctx->err.status;
    r->ctx->err = why;
    return MOE_OK;
}

/* What is on the disk can be gone on with; what is left to do may never end. */
static void tell_now(const run *r)
{
    if (!r->hurry)
        return;
    r->ctx->told = true;
    if (r->ctx->rank == 0)
        fprintf(stderr, "moegps: %s\n", r->ctx->err.text);
}

static moe_status iterate(run *r)
{
    const moe_run_params *p = r->p;
    const moe_ledger_dims *d = &p->ledger->dims;
    double longest_s = 0;
    int written = p->done;
    r->flushed_s = -INFINITY;
    for (int i = p->done; i < d->iterations; i++) {
        const double start = MPI_Wtime();
        moe_watchdog_feed(p->watchdog, d->warmup + i);
        if (moe_engine_measure(p->engine, i, p->ledger) != MOE_OK)
            return r->ctx->err.status;
        moe_progress_step(&r->progress, d->warmup + i + 1);
        longest_s = fmax(longest_s, MPI_Wtime() - start);
        const bool last = i + 1 == d->iterations;
        const bool stop = !last && stop_asked(r, i + 1, longest_s);
        if (!flush_due(r, last || stop))
            continue;
        if (write_until(r, written, i + 1) != MOE_OK)
            return r->ctx->err.status;
        if (stop) {
            tell_now(r);
            return r->ctx->err.status;
        }
        written = i + 1;
    }
    return MOE_OK;
}

static moe_status measure(run *r)
{
    const moe_ledger_dims *d = &r->p->ledger->dims;
    moe_progress_begin(&r->progress, "iterations", d->warmup + d->iterations,
                       r->ctx->rank == 0 && !r->ctx->quiet);
    moe_status s = warm_up(r);
    if (s == MOE_OK)
        s = iterate(r);
    moe_progress_end(&r->progress);
    return s;
}

/* Close the sink also after a failed check, so that it says so; the first
 * error stays the one that is reported. */
static moe_status finish(const run *r, moe_status measured)
{
    moe_ctx *ctx = r->ctx;
    const moe_error first = ctx->err;
    const moe_run_state state =
        measured == MOE_OK || measured == MOE_INVALID ? MOE_RUN_COMPLETE
        : measured == MOE_INTERRUPTED                 ? MOE_RUN_INTERRUPTED
                                                      : MOE_RUN_FAILED;
    ctx->err = (moe_error){0};
    moe_validation validation = *moe_engine_validation(r->p->engine);
    if (measured == MOE_INVALID) {
        validation.run = true;
        validation.passed = false;
        snprintf(validation.text, sizeof validation.text, "%.255s", first.text);
    }
    const moe_status s = r->p->sink->close(r->p->sink->to, ctx, r->p->ledger,
                                           state, &validation);
    if (measured == MOE_OK || (measured == MOE_INTERRUPTED && s != MOE_OK))
        return s;
    ctx->err = first;
    return measured;
}

moe_status moe_run(moe_ctx *ctx, const moe_run_params *params)
{
    run r = {.ctx = ctx, .p = params};
    return finish(&r, measure(&r));
}
