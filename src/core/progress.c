/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "moegps/clock.h"

static const double LINE_EVERY_S = 30.0, BAR_EVERY_S = 0.1;
enum { BAR_WIDTH = 30 };

void moe_progress_begin(moe_progress *p, const char *what, int total, bool show)
{
    double now = moe_clock_wall();
    *p = (moe_progress){.what = what,
                        .total = total,
                        .show = show,
                        .terminal = isatty(STDERR_FILENO) == 1,
                        .start_s = now,
                        .said_s = now};
}

void moe_progress_step(moe_progress *p, int done)
{
    if (!p->show)
        return;
    const double now = moe_clock_wall();
    if (done < p->total &&
        now - p->said_s < (p->terminal ? BAR_EVERY_S : LINE_EVERY_S))
        return;
    if (!p->terminal && done == p->total)
        return;
    p->said_s = now;
    const double left =
        done > 0 ? (now - p->start_s) / done * (p->total - done) : 0.0;
    if (!p->terminal) {
        fprintf(stderr, "moegps: %d of %d %s, %.0f s to go\n", done, p->total,
                p->what, left);
        return;
    }
    const int full = p->total > 0 ? done * BAR_WIDTH / p->total : BAR_WIDTH;
    fprintf(stderr, "\r[%.*s%.*s] %d/%d %s, %.0f s to go ", full,
            "##############################", BAR_WIDTH - full,
            "..............................", done, p->total, p->what, left);
    fflush(stderr);
}

void moe_progress_end(moe_progress *p)
{
    if (p->show && p->terminal)
        fputs("\r\033[K", stderr);
}
