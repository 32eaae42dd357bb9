/** planner_loads.h: what planners are measured on: models and loads. */
#ifndef MOEGPS_BENCH_PLANNER_LOADS_H
#define MOEGPS_BENCH_PLANNER_LOADS_H

#include <math.h>
#include <stdbool.h>

#include "moegps/planner.h"
#include "moegps/rng.h"
#include "pricing.h"

enum { MAX_LAYERS = 61, MAX_EXPERTS = 256, WINDOW = 8 /* past loads */ };

static const double PAIRS = 32768; /* of a layer */

typedef struct {
    const char *name, *brief;                   /* as printed */
    const char *model;                          /* in jobs/models, for prices */
    int layers, experts, gpus, per_node, slots; /* slots of all GPUs */
    const char *groups;
    /* all layers; 0: none; a window takes ten times as long */
    double eplb_limit_s, own_limit_s, timed_limit_s;
} setup;

static const setup setups[] = {
    {"DeepSeek-V3, 32 GPUs", "on 32", "deepseek-v3", 58, 256, 32, 8, 288, "8",
     5e-3, 2e-3, 20e-3},
    {"DeepSeek-V3, 144 GPUs", "on 144", "deepseek-v3", 61, 256, 144, 8, 432,
     "8", 0, 10e-3, 0},
    {"Mixtral", "Mixtral", "mixtral-8x7b", 32, 8, 4, 4, 16, "1", 0, 0.1e-3, 0},
};

typedef struct {
    const char *name;
    bool zipf;
    double x; /* sigma, or exponent */
} kind;

static const kind kinds[] = {{"lognormal 0.5", false, 0.5},
                             {"lognormal 1.0", false, 1.0},
                             {"zipf 0.8", true, 0.8},
                             {"zipf 1.2", true, 1.2}};

static inline void draw(const kind *k, int seed, int layer, int n, double *load)
{
    moe_rng rng =
        moe_rng_at((uint64_t)seed, MOE_RNG_TEST, 0, (uint64_t)layer, 0);
    double sum = 0;
    for (int e = 0; e < n; e++)
        load[e] =
            k->zipf ? pow(e + 1, -k->x) : exp(k->x * moe_rng_normal(&rng));
    if (k->zipf)
        moe_rng_shuffle(&rng, load, (size_t)n, sizeof *load);
    for (int e = 0; e < n; e++)
        sum += load[e];
    for (int e = 0; e < n; e++)
        load[e] = floor(PAIRS * load[e] / sum);
}

static inline void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench: %s\n", err->text);
    exit(1);
}

/** Past loads of a layer: its load with noise, so that all of them count. */
typedef struct {
    double sample[WINDOW][MAX_EXPERTS];
    const double *row[WINDOW];
} past_loads;

static inline void draw_past(const setup *s, int seed, int layer,
                             past_loads *out)
{
    double load[MAX_EXPERTS];
    draw(&kinds[1], seed, layer, s->experts, load);
    for (int i = 0; i < WINDOW; i++) {
        moe_rng rng = moe_rng_at((uint64_t)seed, MOE_RNG_TEST, 2 + (uint64_t)i,
                                 (uint64_t)layer, 0);
        out->row[i] = out->sample[i];
        for (int e = 0; e < s->experts; e++)
            out->sample[i][e] = fmax(
                0, floor(load[e] + 2 * sqrt(load[e]) * moe_rng_normal(&rng)));
    }
}

/** @return prices of the setup's model on H100s, for planners that weigh time;
 *  until the next call. */
static inline const moe_pricer *price(const setup *s, const moe_layout *layout)
{
    static pricing gpu;
    static moe_pricer pricer;
    moe_error err = {0};
    pricing_close(&gpu);
    pricing_read(&gpu, s->model, "h100-nvlink");
    must(pricing_open(&gpu, NULL, &err), &err);
    pricer = pricing_on(&gpu, layout->gpus, layout->gpus_per_node);
    return &pricer;
}

#endif
