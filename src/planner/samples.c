/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* From "the last one alone" to "all alike". */
static const float decays[] = {0.0F, 0.5F, 0.8F, 0.9F, 1.0F};
enum {
    N_DECAYS = sizeof decays / sizeof *decays,
    USUAL = 2,       /* of them, where nothing speaks for another */
    PROOFS = 8,      /* newest samples that decays are tried on */
    BEFORE_JUMP = 3, /* steps that a jump is one of, at least */
    PROVEN = 3       /* samples that say something of a decay */
};
/* Another decay has to foretell better by this share. */
static const double CLEARLY = 0.02;
/* A step this many times as large as the median one is a jump. */
static const double JUMP = 2.0;
/* Samples of less weight than this share of the newest are left out. */
static const double FORGOTTEN = 0.05;

moe_status moe_samples_init(moe_samples *s, int experts, int gpus,
                            moe_error *err)
{
    const size_t e = (size_t)experts;
    moe_error local = {0};
    *s = (moe_samples){.experts = experts, .gpus = gpus};
    s->load = moe_array_new(e * MOE_SAMPLES, sizeof *s->load, &local);
    s->share = moe_array_new(e * MOE_SAMPLES, sizeof *s->share, &local);
    s->mean = moe_array_new(e * N_DECAYS, sizeof *s->mean, &local);
    return moe_pass(err, &local);
}

void moe_samples_fini(moe_samples *s)
{
    free(s->load);
    free(s->share);
    free(s->mean);
    *s = (moe_samples){0};
}

/* Samples without load say nothing. @return samples in s->share. */
static int normalise(moe_samples *s, const moe_planner_task *task)
{
    int n = 0;
    const int n_past = task->past != NULL ? task->n_past : 0;
    for (int i = 0; i < (n_past > 0 ? n_past : 1) && n < MOE_SAMPLES; i++) {
        const double *load = n_past > 0 ? task->past[i] : task->load;
        double sum = 0;
        for (int e = 0; e < s->experts; e++)
            sum += load[e];
        if (!(sum > 0))
            continue;
        float *share = s->share + (size_t)n++ * (size_t)s->experts;
        for (int e = 0; e < s->experts; e++)
            share[e] = (float)(load[e] / sum * s->gpus);
    }
    s->steps += (uint64_t)n * (uint64_t)s->experts;
    return n;
}

static double distance(const moe_samples *s, const float *a, const float *b)
{
    double sum = 0;
    for (int e = 0; e < s->experts; e++)
        sum += fabsf(a[e] - b[e]);
    return sum;
}

/* @return the middle of n numbers, the lower one of two; sorts them. */
static double middle(double *x, int n)
{
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && x[j - 1] > x[j]; j--) {
            const double swap = x[j];
            x[j] = x[j - 1];
            x[j - 1] = swap;
        }
    return x[(n - 1) / 2];
}

/* A step to the next sample that is much larger than the usual one is a jump.
 * @return samples since the last one. */
static int find_jumps(moe_samples *s, int n, bool *jump_out)
{
    double step[MOE_SAMPLES], sorted[MOE_SAMPLES];
    const size_t e = (size_t)s->experts;
    int since = n;
    for (int i = 0; i + 1 < n; i++)
        sorted[i] = step[i] = distance(s, s->share + (size_t)i * e,
                                       s->share + (size_t)(i + 1) * e);
    const double usual = n > 1 ? middle(sorted, n - 1) : 0;
    for (int i = n - 2; i >= 0; i--) {
        jump_out[i] = n > BEFORE_JUMP && step[i] > JUMP * usual;
        since = jump_out[i] ? i + 1 : since;
    }
    s->steps += (uint64_t)n * e;
    return since;
}

/* How far weighted means of older samples, back to a jump, are from each of the
 * newest ones, for every decay; from the oldest sample on. */
static void try_decays(moe_samples *s, int n, const bool *jump,
                       double *error_out)
{
    const size_t e = (size_t)s->experts;
    double total[N_DECAYS] = {0};
    for (int d = 0; d < N_DECAYS; d++)
        error_out[d] = 0;
    for (int i = n - 1; i > 0; i--) {
        const float *older = s->share + (size_t)i * e, *newer = older - e;
        for (int d = 0; d < N_DECAYS; d++) {
            float *mean = s->mean + (size_t)d * e;
            total[d] = 1 + decays[d] * total[d];
            const float part = (float)(1 / total[d]);
            for (size_t x = 0; x < e; x++)
                mean[x] = total[d] > 1 ? mean[x] + part * (older[x] - mean[x])
                                       : older[x];
            if (i <= PROOFS && !jump[i - 1])
                error_out[d] += distance(s, mean, newer);
            if (jump[i - 1])
                total[d] = 0;
        }
    }
    s->steps += 2 * N_DECAYS * (uint64_t)n * e;
}

/* With too few samples nothing is proven, and the newest counts. */
static double choose_decay(moe_samples *s, int n, const bool *jump)
{
    double error[N_DECAYS];
    int best = USUAL;
    if (n < PROVEN)
        return 0;
    try_decays(s, n, jump, error);
    for (int d = 0; d < N_DECAYS; d++)
        if (error[d] < error[best] && error[d] < error[USUAL] * (1 - CLEARLY))
            best = d;
    return (double)decays[best];
}

/* Weights, and samples turned round so that those of an expert are together. */
static void arrange(moe_samples *s, int n)
{
    double weight = 1, sum = 0;
    s->n = 0;
    memset(s->weight, 0, sizeof s->weight);
    for (; s->n < n && weight >= FORGOTTEN; weight *= s->decay) {
        s->weight[s->n++] = (float)weight;
        sum += weight;
    }
    for (int i = 0; i < s->n; i++)
        s->weight[i] = (float)(s->weight[i] / sum);
    s->stride =
        (s->n + MOE_SAMPLE_LANES - 1) / MOE_SAMPLE_LANES * MOE_SAMPLE_LANES;
    for (int e = 0; e < s->experts; e++)
        for (int i = 0; i < s->stride; i++)
            s->load[e * s->stride + i] =
                i < s->n ? s->share[i * s->experts + e] : 0;
    s->steps += (uint64_t)s->stride * (uint64_t)s->experts;
}

bool moe_samples_choose(moe_samples *s, const moe_planner_task *task)
{
    bool jump[MOE_SAMPLES] = {false};
    s->steps = 0;
    const int n = normalise(s, task);
    if (n == 0)
        return false;
    const int since = find_jumps(s, n, jump);
    s->decay = choose_decay(s, n, jump);
    arrange(s, since);
    return true;
}
