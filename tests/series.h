/** series.h: series of loads, and FlashLB's objective as a planner.
 *
 *  Loads are noise about a mean that jumps now and then, as recorded ones are, or
 *  drift. FlashLB is written anew from its description in vllm-ascend: copies
 *  where mean + .674 standard deviations of a window of samples are largest per
 *  copy, packed so that the risk of a GPU, its own mean + .674 standard
 *  deviations, is least.
 */
#ifndef MOEGPS_TESTS_SERIES_H
#define MOEGPS_TESTS_SERIES_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/planner.h"
#include "moegps/rng.h"
#include "moegps/study.h"

enum { SERIES_EXPERTS = 256, SERIES_WINDOW = 8, SERIES_GPUS = 64 };

typedef struct {
    const char *name;
    int steps, layers, experts, gpus, slots;
    double pairs; /* of a step and layer */
    double drift; /* autoregression of logarithms; 0: fixed shares */
    int regime;   /* steps between jumps; 0: none */
} series;

/* ---- loads ---- */

static double at_noise(moe_rng *rng, double expected)
{
    /* 25 times the variance of counts */
    return fmax(0, floor(expected + 5 * sqrt(expected) * moe_rng_normal(rng)));
}

/* @param load  [steps][layers][experts], of which layer l is filled */
static void series_draw(const series *s, int l, double *load)
{
    double log_share[SERIES_EXPERTS], sum = 0;
    moe_rng rng = moe_rng_at(31, MOE_RNG_TEST, (uint64_t)l, 0, 0);
    for (int e = 0; e < s->experts; e++)
        log_share[e] = moe_rng_normal(&rng);
    for (int t = 0; t < s->steps; t++) {
        const size_t at = (size_t)(t * s->layers + l) * (size_t)s->experts;
        const bool jump = s->regime > 0 && t > 0 && t % s->regime == 0;
        sum = 0;
        for (int e = 0; e < s->experts; e++) {
            if (jump)
                log_share[e] = moe_rng_normal(&rng);
            if (s->drift > 0)
                log_share[e] =
                    s->drift * log_share[e] +
                    sqrt(1 - s->drift * s->drift) * moe_rng_normal(&rng);
            sum += exp(log_share[e]);
        }
        for (int e = 0; e < s->experts; e++)
            load[at + (size_t)e] =
                at_noise(&rng, s->pairs * exp(log_share[e]) / sum);
    }
}

/* ---- FlashLB's objective, as a planner ---- */

typedef struct {
    moe_planner_env env;
} flash_state;

static moe_status flash_init(void *state, const moe_planner_env *env,
                             const void *params, moe_error *err)
{
    (void)params, (void)err;
    ((flash_state *)state)->env = *env;
    return MOE_OK;
}

static double risk(const double *x, int n)
{
    double mean = 0, square = 0;
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean) / n;
    return mean + 0.674 * sqrt(square);
}

static void flash_pack(const moe_planner_task *task, const int *copies,
                       const double *value, int n, moe_plan_layer *next)
{
    static double sum[SERIES_GPUS][SERIES_WINDOW];
    int used[SERIES_GPUS] = {0};
    bool done[SERIES_EXPERTS] = {false};
    memset(sum, 0, sizeof sum);
    for (int i = 0; i < next->experts; i++) {
        int e = -1;
        for (int x = 0; x < next->experts; x++)
            if (!done[x] &&
                (e < 0 || value[x] / copies[x] > value[e] / copies[e]))
                e = x;
        done[e] = true;
        for (int c = 0; c < copies[e]; c++) {
            int best = -1;
            double least = INFINITY, with[SERIES_WINDOW];
            for (int g = 0; g < next->gpus; g++) {
                bool fits = used[g] < next->slots;
                for (int k = 0; k < used[g]; k++)
                    fits = fits && next->expert[g * next->slots + k] != e;
                for (int w = 0; w < n; w++)
                    with[w] = sum[g][w] + task->past[w][e] / copies[e];
                if (fits && risk(with, n) < least) {
                    least = risk(with, n);
                    best = g;
                }
            }
            if (best < 0)
                continue;
            next->expert[best * next->slots + used[best]++] = (int16_t)e;
            for (int w = 0; w < n; w++)
                sum[best][w] += task->past[w][e] / copies[e];
        }
    }
}

static moe_status flash_plan(void *state, const moe_planner_task *task,
                             moe_plan_layer *next, moe_error *err)
{
    (void)state;
    const int n = task->n_past < SERIES_WINDOW ? task->n_past : SERIES_WINDOW;
    const int slots = next->gpus * next->slots;
    double value[SERIES_EXPERTS], column[SERIES_WINDOW],
        share[SERIES_GPUS * SERIES_GPUS];
    int copies[SERIES_EXPERTS];
    for (int e = 0; e < next->experts; e++) {
        for (int w = 0; w < n; w++)
            column[w] = task->past[w][e];
        value[e] = risk(column, n);
        copies[e] = 1;
    }
    for (int spare = slots - next->experts; spare > 0; spare--) {
        int most = 0;
        for (int e = 1; e < next->experts; e++)
            if (copies[e] < next->gpus &&
                value[e] / copies[e] > value[most] / copies[most])
                most = e;
        copies[most]++;
    }
    for (int k = 0; k < slots; k++) {
        next->expert[k] = -1;
        next->quota[k] = 0;
        share[k] = 1;
    }
    flash_pack(task, copies, value, n, next);
    moe_replicas scratch;
    if (moe_replicas_init(&scratch, next->experts, next->gpus, next->slots,
                          err) == MOE_OK)
        moe_plan_layer_set_quota(next, share, &scratch);
    moe_replicas_fini(&scratch);
    return err->status;
}

static const moe_planner series_flashlb = {.name = "flashlb",
                                           .state_size = sizeof(flash_state),
                                           .plans = true,
                                           .copies = true,
                                           .init = flash_init,
                                           .plan = flash_plan};

/* ---- what it is worth ---- */

/* Plan every step of a series from the plan before it, from homes on.
 * @param study  release with moe_study_fini() in any case. */
static moe_status series_study(const series *s, const moe_planner *p,
                               moe_division division, const double *load,
                               moe_study *study, moe_error *err)
{
    const moe_planner_env env = {.layout = {s->gpus, 8},
                                 .experts = s->experts,
                                 .slots = s->slots,
                                 .interval = 1,
                                 .division = division};
    moe_plan home = {0};
    void *params = moe_array_new(1, p->params_size, err);
    if (params != NULL && p->opts != NULL)
        moe_opt_defaults(p->opts, params);
    moe_plan_init(&home, s->layers, s->experts, s->gpus, s->slots, err);
    const moe_study_params how = {.planner = p,
                                  .params = params,
                                  .env = &env,
                                  .previous = &home,
                                  .load = load,
                                  .steps = (size_t)s->steps,
                                  .layers = s->layers,
                                  .repeats = 1};
    *study = (moe_study){0};
    if (err->status == MOE_OK) {
        moe_plan_set_home(&home, &env.layout);
        moe_study_run(study, &how, err);
    }
    moe_plan_fini(&home);
    free(params);
    return err->status;
}

/* Mean / max load on the next step, by a division. */
static double series_next(const series *s, const moe_study *study, int division)
{
    const moe_tally t =
        moe_tally_sum(study->score[MOE_STUDY_NEXT + division], s->layers);
    return moe_tally_balance(&t, MOE_BALANCE_MEAN);
}

/* Slots that changed, of all. */
static double series_moved(const series *s, const moe_study *study)
{
    return (double)study->travelled /
           (s->steps * s->layers * s->gpus * s->slots);
}

#endif
