/* SPDX-License-Identifier: Apache-2.0 */
#include "hedge_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Standard deviations above the mean that placements are made for: the mean,
 * its upper quartile, and the one in fifteen. */
static const double margins[] = {0, 0.674, 1.5};

/* A step has to lower the score by so much, over the number of GPUs, and at
 * most by so much. Smaller ones follow the samples more than what comes: on the
 * series of tests/bench/bench_series.c they move more and gain nothing. */
static const double WORTH = 0.02, FINEST = 3e-4, MOST = 1.5e-3;

moe_hedge *moe_hedge_new(const moe_hedge_params *params, moe_error *err)
{
    const size_t e = (size_t)params->experts, g = (size_t)params->gpus;
    const size_t slots = (size_t)params->slots, n = g * slots;
    const size_t row =
        (g + MOE_HEDGE_LANES - 1) / MOE_HEDGE_LANES * MOE_HEDGE_LANES;
    moe_error local = {0};
    moe_hedge *h = moe_array_new(1, sizeof *h, &local);
    if (h == NULL) {
        moe_pass(err, &local);
        return NULL;
    }
    *h = (moe_hedge){.p = *params};
    h->price = (float)(params->price / params->gpus);
    h->least =
        (float)fmin((params->thorough ? FINEST : WORTH) / params->gpus, MOST);
    h->row = (int)row;
    h->at = moe_share_new(params->experts, params->gpus, params->slots, &local);
    h->sum = moe_array_new(g * MOE_SAMPLES, sizeof *h->sum, &local);
    h->mean = moe_array_new(e, sizeof *h->mean, &local);
    h->spread = moe_array_new(e, sizeof *h->spread, &local);
    h->critical = moe_array_new(g, sizeof *h->critical, &local);
    h->rest = moe_array_new(MOE_SAMPLES, sizeof *h->rest, &local);
    h->line = moe_array_new(3 * MOE_SAMPLES, sizeof *h->line, &local);
    h->held = moe_array_new(g * e, sizeof *h->held, &local);
    h->worth = moe_array_new(e + 1, sizeof *h->worth, &local);
    h->level = moe_array_new(row, sizeof *h->level, &local);
    h->piece = moe_array_new(slots * row, sizeof *h->piece, &local);
    h->swaps = moe_array_new(slots * row, sizeof *h->swaps, &local);
    h->replaces = moe_array_new(slots * row, sizeof *h->replaces, &local);
    h->entry = moe_array_new(row, sizeof *h->entry, &local);
    h->bound = moe_array_new(row, sizeof *h->bound, &local);
    h->turn = moe_array_new(slots, sizeof *h->turn, &local);
    h->fee = moe_array_new(e + 1, sizeof *h->fee, &local);
    h->last = moe_array_new(e + 1, sizeof *h->last, &local);
    h->part = moe_array_new(e, sizeof *h->part, &local);
    h->expert = moe_array_new(slots * row, sizeof *h->expert, &local);
    h->back = moe_array_new(slots * row, sizeof *h->back, &local);
    h->best = moe_array_new(n, sizeof *h->best, &local);
    h->packed = moe_array_new(n, sizeof *h->packed, &local);
    h->anew = moe_array_new(n, sizeof *h->anew, &local);
    h->value = moe_array_new(e, sizeof *h->value, &local);
    h->copies = moe_array_new(e, sizeof *h->copies, &local);
    h->order = moe_array_new(e, sizeof *h->order, &local);
    h->heap = moe_array_new(g, sizeof *h->heap, &local);
    h->out = moe_array_new(g, sizeof *h->out, &local);
    h->room = moe_array_new(g, sizeof *h->room, &local);
    moe_rename_init(&h->rename, params->gpus, params->slots, &local);
    moe_replicas_init(&h->in_force, params->experts, params->gpus,
                      params->slots, &local);
    h->share = moe_array_new(n, sizeof *h->share, &local);
    h->fitted = moe_array_new(n, sizeof *h->fitted, &local);
    h->load = moe_array_new(g * MOE_SAMPLES, sizeof *h->load, &local);
    if (moe_pass(err, &local) == MOE_OK)
        return h;
    moe_hedge_free(h);
    return NULL;
}

void moe_hedge_free(moe_hedge *h)
{
    if (h == NULL)
        return;
    moe_share_free(h->at);
    moe_rename_fini(&h->rename);
    moe_replicas_fini(&h->in_force);
    void *arrays[] = {h->sum,    h->mean,  h->spread, h->critical, h->rest,
                      h->line,   h->held,  h->best,   h->anew,     h->value,
                      h->copies, h->order, h->heap,   h->out,      h->room,
                      h->share,  h->load,  h->packed, h->fitted,   h->worth,
                      h->level,  h->piece, h->swaps,  h->replaces, h->entry,
                      h->bound,  h->fee,   h->last,   h->part,     h->back,
                      h->expert, h->turn,  h};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
}

static void note_current(moe_hedge *h, const moe_plan_layer *current)
{
    const size_t n = (size_t)h->p.experts;
    memset(h->held, 0, (size_t)h->p.gpus * n * sizeof *h->held);
    for (int t = 0; t < h->p.gpus * h->p.slots; t++)
        if (current->expert[t] >= 0)
            h->held[(size_t)(t / h->p.slots) * n + (size_t)current->expert[t]] =
                true;
}

static void note_moments(moe_hedge *h)
{
    const moe_samples *s = h->samples;
    for (int e = 0; e < h->p.experts; e++) {
        const float *load = moe_hedge_load(h, e);
        double mean = 0, square = 0;
        for (int i = 0; i < s->n; i++)
            mean += (double)s->weight[i] * (double)load[i];
        for (int i = 0; i < s->n; i++)
            square += (double)s->weight[i] * ((double)load[i] - mean) *
                      ((double)load[i] - mean);
        h->mean[e] = (float)mean;
        h->spread[e] = (float)sqrt(square);
    }
}

/* Climb from a placement, and keep the result if it is better. */
static void try_from(moe_hedge *h, const int16_t *expert, double *best)
{
    const size_t n = (size_t)h->p.gpus * (size_t)h->p.slots;
    moe_hedge_begin(h, expert);
    const double score = moe_hedge_climb(h);
    if (score >= *best)
        return;
    *best = score;
    memcpy(h->best, h->at->expert, n * sizeof *h->best);
}

/* Shares for the placement that was chosen. */
static void divide(moe_hedge *h, double *share_out)
{
    const size_t n = (size_t)h->p.gpus * (size_t)h->p.slots;
    if (h->p.fit) {
        moe_hedge_begin(h, h->best);
        moe_hedge_fit(h);
        memcpy(share_out, h->share, n * sizeof *share_out);
        return;
    }
    for (size_t t = 0; t < n; t++)
        share_out[t] = h->best[t] >= 0 ? 1.0 : 0.0;
}

uint64_t moe_hedge_plan(moe_hedge *h, const moe_samples *samples,
                        const moe_plan_layer *current, int16_t *expert_out,
                        double *share_out)
{
    const size_t n = (size_t)h->p.gpus * (size_t)h->p.slots;
    double best = INFINITY;
    h->samples = samples;
    h->steps = (uint64_t)h->p.experts * (uint64_t)samples->stride + n;
    note_current(h, current);
    moe_replicas_index(&h->in_force, current);
    note_moments(h);
    try_from(h, current->expert, &best);
    for (size_t i = 0; i < MOE_ARRAY_LEN(margins); i++) {
        if (i > 0 && samples->n < 2)
            break; /* all the same */
        moe_hedge_build(h, margins[i]);
        try_from(h, h->anew, &best);
    }
    memcpy(expert_out, h->best, n * sizeof *expert_out);
    divide(h, share_out);
    h->samples = NULL;
    /* Most are looked at several at once; bench_planner.c fits by how much. */
    return h->steps * 2 / 3;
}
