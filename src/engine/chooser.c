/* SPDX-License-Identifier: Apache-2.0 */
#include "chooser.h"

#include <math.h>
#include <string.h>

void moe_chooser_init(moe_chooser *c, int n, double hysteresis,
                      double stands_for)
{
    *c = (moe_chooser){
        .n = n, .hysteresis = hysteresis, .stands_for = stands_for};
}

int moe_chooser_start(const moe_chooser *c, const double *time_s)
{
    int best = 0;
    for (int k = 1; k < c->n; k++)
        if (time_s[k] < time_s[best])
            best = k;
    return best;
}

void moe_chooser_notice(moe_chooser *c, double in_use_s)
{
    if (!(c->before_s > 0) ||
        fabs(in_use_s / c->before_s - 1) <= MOE_CHOOSER_OTHER)
        return;
    memset(c->waits, 0, sizeof c->waits);
    memset(c->losses, 0, sizeof c->losses);
}

bool moe_chooser_tries(const moe_chooser *c, int candidate)
{
    return c->waits[candidate] == 0;
}

void moe_chooser_begin(moe_chooser *c, const double *time_s)
{
    memcpy(c->first_s, time_s, (size_t)c->n * sizeof *time_s);
    memset(c->sum_s, 0, sizeof c->sum_s);
    c->n_added = 0;
}

void moe_chooser_add(moe_chooser *c, const double *time_s)
{
    for (int k = 0; k < c->n; k++)
        c->sum_s[k] += time_s[k];
    c->n_added++;
}

/* What the way to a candidate costs: by how much its first iteration was
 * longer than its others, each over the one in use on the same batch. */
static double way_s(const moe_chooser *c, int k, int in_use)
{
    const double stays = c->sum_s[k] / c->sum_s[in_use];
    return fmax(0, c->first_s[k] - c->first_s[in_use] * stays);
}

/* How those did that took part, beside the one that is used from here on. */
static void note_outcomes(moe_chooser *c, int chosen)
{
    for (int k = 0; k < c->n; k++) {
        if (c->waits[k] > 0) {
            c->waits[k]--;
            continue;
        }
        if (c->sum_s[k] <= (1 + MOE_CHOOSER_CLOSE) * c->sum_s[chosen]) {
            c->losses[k] = 0;
            continue;
        }
        c->losses[k]++;
        c->waits[k] = (1 << (c->losses[k] < 3 ? c->losses[k] : 3)) - 1;
    }
    c->before_s = c->sum_s[chosen] / c->n_added;
}

int moe_chooser_decide(moe_chooser *c, int in_use)
{
    const double in_use_s = c->sum_s[in_use] / c->n_added;
    int best = in_use;
    c->saved_s[in_use] = 0;
    for (int k = 0; k < c->n; k++) {
        const double saves = 1 - c->hysteresis - c->sum_s[k] / c->sum_s[in_use];
        if (k == in_use || !moe_chooser_tries(c, k))
            continue;
        c->saved_s[k] =
            fmax(0, c->saved_s[k] + saves * in_use_s * c->stands_for);
        if (c->saved_s[k] > way_s(c, k, in_use) &&
            c->saved_s[k] > c->saved_s[best])
            best = k;
    }
    note_outcomes(c, best);
    if (best != in_use) {
        memset(c->saved_s, 0, sizeof c->saved_s);
        c->waits[in_use] = c->losses[in_use] = 0;
    }
    return best;
}
