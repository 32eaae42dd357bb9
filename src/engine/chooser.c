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

int moe_chooser_decide(moe_chooser *c, int in_use)
{
    const double in_use_s = c->sum_s[in_use] / c->n_added;
    int best = in_use;
    c->saved_s[in_use] = 0;
    for (int k = 0; k < c->n; k++) {
        const double saves = 1 - c->hysteresis - c->sum_s[k] / c->sum_s[in_use];
        if (k == in_use)
            continue;
        c->saved_s[k] =
            fmax(0, c->saved_s[k] + saves * in_use_s * c->stands_for);
        if (c->saved_s[k] > way_s(c, k, in_use) &&
            c->saved_s[k] > c->saved_s[best])
            best = k;
    }
    if (best != in_use)
        memset(c->saved_s, 0, sizeof c->saved_s);
    return best;
}
