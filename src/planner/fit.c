/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "hedge_internal.h"

/* Shares of replicas that lower the mean over samples of max / mean: from
 * equal shares, by exponentiated gradient (Kivinen & Warmuth 1997,
 * doi 10.1006/inco.1996.2612), keeping the best. The gradient of a sample is
 * at its busiest GPU. */

enum { ROUNDS = 60 };
static const double FIRST_STEP = 0.5; /* of a round; falls as 1 / sqrt */

static void add_share(moe_hedge *h, int slot, double more)
{
    const moe_samples *s = h->samples;
    const float *load = moe_hedge_load(h, h->at->expert[slot]);
    double *sum = h->load + (size_t)(slot / h->p.slots) * (size_t)s->stride;
    for (int i = 0; i < s->n; i++)
        sum[i] += more * (double)load[i];
}

static void sum_shares(moe_hedge *h)
{
    const size_t n = (size_t)h->p.gpus * (size_t)h->samples->stride;
    memset(h->load, 0, n * sizeof *h->load);
    for (int t = 0; t < h->p.gpus * h->p.slots; t++)
        if (h->at->expert[t] >= 0)
            add_share(h, t, h->share[t]);
    h->steps += n + (uint64_t)(h->p.gpus * h->p.slots * h->samples->n);
}

/* Replicas on the busiest GPU of a sample get less, by how much load they
 * bring it; shares of an expert sum to 1 again. */
static void step_from(moe_hedge *h, int gpu, int sample, double rate)
{
    const moe_share *x = h->at;
    for (int t = gpu * x->slots; t < (gpu + 1) * x->slots; t++) {
        const int e = x->expert[t];
        if (e < 0 || x->copies[e] < 2)
            continue;
        const double load = (double)moe_hedge_load(h, e)[sample];
        const double factor = exp(-rate * load);
        const double sum = 1 + h->share[t] * (factor - 1);
        for (int v = x->head[e]; v >= 0; v = x->next[v]) {
            const double share = h->share[v] * (v == t ? factor : 1) / sum;
            add_share(h, v, share - h->share[v]);
            h->share[v] = share;
        }
        h->steps += (uint64_t)(x->copies[e] * h->samples->n);
    }
}

static double score(moe_hedge *h, int *busiest_out)
{
    const moe_samples *s = h->samples;
    double sum = 0, most[MOE_SAMPLES] = {0};
    memset(busiest_out, 0, (size_t)s->stride * sizeof *busiest_out);
    for (int g = 0; g < h->p.gpus; g++) {
        const double *load = h->load + g * s->stride;
        for (int i = 0; i < s->stride; i++) {
            busiest_out[i] = load[i] > most[i] ? g : busiest_out[i];
            most[i] = load[i] > most[i] ? load[i] : most[i];
        }
    }
    for (int i = 0; i < s->n; i++)
        sum += (double)s->weight[i] * most[i];
    h->steps += (uint64_t)(h->p.gpus * s->n);
    return sum;
}

double moe_hedge_fit(moe_hedge *h)
{
    const moe_share *x = h->at;
    const int n = h->p.gpus * h->p.slots;
    int gpu[MOE_SAMPLES];
    for (int t = 0; t < n; t++)
        h->share[t] = x->expert[t] >= 0 ? 1.0 / x->copies[x->expert[t]] : 0.0;
    sum_shares(h);
    double best = score(h, gpu);
    memcpy(h->fitted, h->share, (size_t)n * sizeof *h->fitted);
    for (int round = 0; round < ROUNDS; round++) {
        const double rate = FIRST_STEP / sqrt(round + 1.0);
        for (int i = 0; i < h->samples->n; i++)
            step_from(h, gpu[i], i, rate * (double)h->samples->weight[i]);
        const double now = score(h, gpu);
        if (now < best) {
            best = now;
            memcpy(h->fitted, h->share, (size_t)n * sizeof *h->fitted);
        }
    }
    memcpy(h->share, h->fitted, (size_t)n * sizeof *h->share);
    return best;
}
