/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "moegps/synth.h"

uint64_t moe_advise_load_before(const moe_advise_load *load, int gpu,
                                int expert)
{
    if (load->before != NULL)
        return load
            ->before[(size_t)gpu * (size_t)load->experts + (size_t)expert];
    return load->total[expert] * (uint64_t)gpu / (uint64_t)load->gpus;
}

moe_advise_bound moe_advise_bound_of(const moe_advise_load *load, int gpu,
                                     int expert)
{
    const uint64_t gpus = (uint64_t)load->gpus, total = load->total[expert];
    const uint64_t part = total * (uint64_t)gpu;
    const size_t experts = (size_t)load->experts;
    if (load->before == NULL)
        return (moe_advise_bound){.at = part / gpus,
                                  .each = total / gpus,
                                  .rest = total % gpus,
                                  .left = part % gpus,
                                  .gpus = gpus};
    const uint32_t *before =
        load->before + (size_t)gpu * experts + (size_t)expert;
    return (moe_advise_bound){
        .at = *before, .before = before, .experts = experts};
}

moe_status moe_advise_load_init(moe_advise_load *load, int experts, int gpus,
                                bool alike, moe_error *err)
{
    *load = (moe_advise_load){.experts = experts, .gpus = gpus};
    const size_t n = (size_t)experts;
    load->total = moe_array_new(n, sizeof *load->total, err);
    load->own = moe_array_new((size_t)gpus, sizeof *load->own, err);
    const size_t ends = alike ? 0 : (size_t)gpus + 1;
    if (!alike) {
        load->before = moe_array_new(ends * n, sizeof *load->before, err);
        load->first = moe_array_new(ends, sizeof *load->first, err);
    }
    if (load->total != NULL && load->own != NULL &&
        (alike || (load->before != NULL && load->first != NULL)))
        return MOE_OK;
    moe_advise_load_fini(load);
    return MOE_NOMEM;
}

void moe_advise_load_fini(moe_advise_load *load)
{
    free(load->total);
    free(load->before);
    free(load->first);
    free(load->own);
    *load = (moe_advise_load){0};
}

/* Fill with r^-s. @param logs  [n] of r = 1, 2, ... @return the sum. */
static double powers(double s, const double *logs, int n, double *out)
{
    double sum = 0.0;
    for (int r = 0; r < n; r++)
        sum += out[r] = exp(-s * logs[r]);
    return sum;
}

void moe_advise_power_law(double skew, int n, double *share_out)
{
    /* The first share is 1 / sum r^-s, which rises with s. At s = 64 all but
     * one expert are idle. */
    double low = 0.0, high = skew > 1 ? 64.0 : 0.0, logs[MOE_MAX_EXPERTS];
    assert(n <= MOE_MAX_EXPERTS);
    for (int r = 0; r < n; r++)
        logs[r] = log(r + 1);
    for (int step = 0; step < 40 && high > low; step++) {
        const double s = 0.5 * (low + high);
        if (n / powers(s, logs, n, share_out) < skew)
            low = s;
        else
            high = s;
    }
    const double sum = powers(low, logs, n, share_out);
    for (int r = 0; r < n; r++)
        share_out[r] /= sum;
}

/* The first GPU has skew times its part, in equal parts on its experts; the
 * other experts share the rest evenly. */
static void bottleneck(double skew, int n, const moe_layout *layout,
                       double *share)
{
    const int home = moe_layout_home_count(layout, n, 0);
    const double first = n > home ? fmin(skew / layout->gpus, 1.0) : 1.0;
    for (int e = 0; e < n; e++)
        share[e] = e < home ? first / home : (1 - first) / (n - home);
}

static void scatter(double *share, int n, uint64_t seed, int sample)
{
    moe_rng rng =
        moe_rng_at(seed, MOE_RNG_SYNTH, (uint64_t)sample, UINT64_MAX, 0);
    moe_rng_shuffle(&rng, share, (size_t)n, sizeof *share);
}

void moe_advise_shares_by_hand(const moe_advise_params *p, double *share_out)
{
    const moe_layout one = {p->gpus, p->gpus};
    if (p->bottleneck)
        bottleneck(p->skew, p->model->experts, &one, share_out);
    else
        moe_advise_power_law(p->skew, p->model->experts, share_out);
}

enum { AT_ONCE = 64 }; /* experts, in vectors */

/* Add some experts' pairs to every GPU's. Running remainders carry what does not
 * go up: n (g + 1) / gpus - n g / gpus. */
static void count_some(moe_advise_load *load, int first, int end)
{
    const int gpus = load->gpus;
    int rest[AT_ONCE] = {0}, sum[AT_ONCE] = {0};
    uint64_t each = 0;
    for (int e = first; e < end; e++) {
        each += load->total[e] / (uint64_t)gpus;
        rest[e - first] = (int)(load->total[e] % (uint64_t)gpus);
    }
    for (int g = 0; g < gpus; g++) {
        int more = 0;
        for (int i = 0; i < AT_ONCE; i++) {
            const int next = sum[i] + rest[i];
            more += next >= gpus;
            sum[i] = next >= gpus ? next - gpus : next;
        }
        load->own[g] += each + (uint64_t)more;
    }
}

/* As moe_advise_load_before() divides them. */
static void count_own(moe_advise_load *load)
{
    memset(load->own, 0, (size_t)load->gpus * sizeof *load->own);
    for (int e = 0; e < load->experts; e += AT_ONCE)
        count_some(load, e,
                   e + AT_ONCE < load->experts ? e + AT_ONCE : load->experts);
}

void moe_advise_load_alike(moe_advise_load *load, const double *pairs)
{
    for (int e = 0; e < load->experts; e++)
        load->total[e] = (uint64_t)pairs[e];
    count_own(load);
}

/* Whole pairs of experts that are chosen with these probabilities. */
static void fill_pairs(const moe_advise_params *p, const double *inclusion,
                       const moe_advise_load *load, int sample, uint32_t *out)
{
    const int n = load->experts, k = p->model->top_k;
    const uint32_t tokens = (uint32_t)load->tokens;
    moe_rng rng =
        moe_rng_at(p->seed, MOE_RNG_SYNTH, (uint64_t)sample, UINT64_MAX, 1);
    if (p->dials.paper)
        moe_synth_apportion(inclusion, n, k, tokens, out);
    else
        moe_synth_draw_counts(inclusion, n, k, tokens, &rng, out);
}

moe_status moe_advise_load_by_hand(moe_advise_load *load,
                                   const moe_advise_params *p,
                                   const double *shares, int sample,
                                   double *expected_out, moe_error *err)
{
    const int n = load->experts, k = p->model->top_k;
    double *share = moe_array_new(2 * (size_t)n, sizeof *share, err);
    uint32_t *pairs = moe_array_new((size_t)n, sizeof *pairs, err);
    if (share != NULL && pairs != NULL) {
        load->tokens = p->tokens > 0 ? p->tokens : (double)p->batch * p->seq;
        load->sequences = load->tokens / p->seq;
        memcpy(share, shares, (size_t)n * sizeof *share);
        if (!p->bottleneck)
            scatter(share, n, p->seed, sample);
        moe_synth_inclusion(share, n, k, share + n);
        fill_pairs(p, share + n, load, sample, pairs);
        for (int e = 0; e < n; e++) {
            load->total[e] = pairs[e];
            expected_out[e] = share[n + e] * load->tokens;
        }
        count_own(load);
    }
    free(share);
    free(pairs);
    return err->status;
}

void moe_advise_load_of_tokens(moe_advise_load *load,
                               const uint16_t *experts_of, int top_k)
{
    const size_t n = (size_t)load->experts, gpus = (size_t)load->gpus;
    const uint64_t k = (uint64_t)top_k;
    memset(load->before, 0, (gpus + 1) * n * sizeof *load->before);
    for (size_t g = 0; g < gpus; g++) {
        uint32_t *row = load->before + (g + 1) * n;
        memcpy(row, row - n, n * sizeof *row);
        const uint64_t from = load->first[g], to = load->first[g + 1];
        load->own[g] = (to - from) * k;
        for (uint64_t i = from * k; i < to * k; i++)
            row[experts_of[i]]++;
    }
    for (size_t e = 0; e < n; e++)
        load->total[e] = load->before[gpus * n + e];
    load->tokens = (double)load->first[gpus];
    load->experts_of = experts_of;
    load->top_k = top_k;
}
