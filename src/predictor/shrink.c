/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Distribution-Only that leans on what was just seen: the training part's
 * shares p0 are a Dirichlet prior worth m iterations' pairs, and
 *
 *     p = (m p0 + n) / (m + N)
 *
 * with n the pairs of past iterations, N their sum, old ones fading by half in
 * `memory` iterations. What p0 is worth depends on how far traffic has drifted
 * from training, and memory on how fast it drifts. Several of both are held,
 * and those whose forecasts have been nearest of late are used: empirical
 * Bayes, validated on the iterations themselves. All layers choose together. */

static const double priors[] = {10, 1, 0};       /* m, iterations */
static const double memories[] = {1, 4, 16, 64}; /* iterations */
static const double LATELY =
    8; /* iterations after which an error counts half */
enum {
    N_PRIORS = sizeof priors / sizeof priors[0],
    N_MEMORIES = sizeof memories / sizeof memories[0],
    TRAINED = N_PRIORS * N_MEMORIES, /* the candidate that is p0 */
    N_CANDIDATES = TRAINED + 1
};

typedef struct {
    moe_shares trained;          /* p0; the first member */
    size_t n;                    /* layers times experts */
    double *seen;                /* [N_MEMORIES][n] pairs, fading */
    double pairs[N_MEMORIES];    /* of a layer, likewise */
    double newest;               /* pairs of a layer in the last iteration */
    double missed[N_CANDIDATES]; /* sums of |p - q|, fading */
    int best;
} shrink_state;

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    shrink_state *s = state;
    moe_error local = {0};
    (void)params;
    s->n = (size_t)env->n_layers * (size_t)env->trace->experts;
    s->best = TRAINED;
    s->seen = moe_array_new(N_MEMORIES * s->n, sizeof *s->seen, &local);
    moe_shares_init(&s->trained, env, 0, &local);
    return moe_pass(err, &local);
}

/* @param i  layer and expert */
static double share_of(const shrink_state *s, int candidate, size_t i)
{
    if (candidate == TRAINED)
        return s->trained.share[i];
    const int memory = candidate / N_PRIORS;
    const double m = priors[candidate % N_PRIORS] * s->newest;
    return (m * s->trained.share[i] + s->seen[(size_t)memory * s->n + i]) /
           (m + s->pairs[memory]);
}

static void load(void *state, const moe_batch *batch, int layer,
                 double *share_out)
{
    const shrink_state *s = state;
    const size_t n_e = (size_t)batch->experts, at = (size_t)layer * n_e;
    double sum = 0; /* 1 but for rounding */
    for (size_t e = 0; e < n_e; e++)
        sum += share_out[e] = share_of(s, s->best, at + e);
    for (size_t e = 0; e < n_e; e++)
        share_out[e] /= sum;
}

/* How far each candidate's forecast was from what came. */
static void judge(shrink_state *s, const moe_batch *batch, double total)
{
    for (int c = 0; c < N_CANDIDATES; c++) {
        double missed = 0;
        for (size_t i = 0; i < s->n; i++)
            missed +=
                fabs(share_of(s, c, i) - (double)batch->true_pairs[i] / total);
        s->missed[c] = s->missed[c] * exp2(-1 / LATELY) + missed;
    }
    for (int c = 0; c < N_CANDIDATES; c++)
        s->best = s->missed[c] < s->missed[s->best] ? c : s->best;
}

static void observe(void *state, const moe_batch *batch)
{
    shrink_state *s = state;
    const double total = (double)batch->tokens * batch->top_k;
    if (s->newest > 0)
        judge(s, batch, total);
    for (int m = 0; m < N_MEMORIES; m++) {
        const double kept = exp2(-1 / memories[m]);
        double *seen = s->seen + (size_t)m * s->n;
        for (size_t i = 0; i < s->n; i++)
            seen[i] = seen[i] * kept + (double)batch->true_pairs[i];
        s->pairs[m] = s->pairs[m] * kept + total;
    }
    s->newest = total;
}

static size_t parameters(const void *state)
{
    return (1 + N_MEMORIES) * moe_shares_parameters(state);
}

static void fini(void *state)
{
    moe_shares_fini(state);
    free(((shrink_state *)state)->seen);
}

const moe_predictor moe_predictor_shrink = {
    .name = "shrink",
    .help = "training shares leaning on what was seen, as far as that paid",
    .sees = MOE_SEES_PAST,
    .state_size = sizeof(shrink_state),
    .forecast = moe_forecast_of_load,
    .init = init,
    .load = load,
    .observe = observe,
    .parameters = parameters,
    .fini = fini,
};
