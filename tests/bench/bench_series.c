/* SPDX-License-Identifier: Apache-2.0 */
/* What plans are worth on the next step, and what they move, on series of
 * loads: noise about a mean that jumps now and then, as recorded loads are, and
 * drift. Beside EPLB, with split equal, stands FlashLB's objective, as its
 * description in vllm-ascend has it, written anew: copies where mean + .674
 * standard deviations of a window of samples are largest per copy, packed so
 * that the risk of a GPU, its own mean + .674 standard deviations, is least. */
#include "bench.h"

#include <string.h>

#include "moegps/planner.h"
#include "moegps/rng.h"
#include "moegps/study.h"

enum { MAX_E = 256, WINDOW = 8 };

typedef struct {
    const char *name;
    int steps, layers, experts, gpus, slots;
    double pairs; /* of a step and layer */
    double drift; /* autoregression of logarithms; 0: fixed shares */
    int regime;   /* steps between jumps; 0: none */
} series;

static const series all[] = {
    {"noise, jumps, 60 on 8: 64", 60, 12, 60, 8, 8, 98304, 0, 20},
    {"noise, jumps, 60 on 8: 72", 60, 12, 60, 8, 9, 98304, 0, 20},
    {"noise, jumps, 60 on 8: 88", 60, 12, 60, 8, 11, 98304, 0, 20},
    {"drift, 256 on 32: 288", 40, 12, 256, 32, 9, 1048576, 0.97, 0},
};

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_series: %s\n", err->text);
    exit(1);
}

/* ---- loads ---- */

static double at_noise(moe_rng *rng, double expected)
{
    /* 25 times the variance of counts */
    return fmax(0, floor(expected + 5 * sqrt(expected) * moe_rng_normal(rng)));
}

static void draw_layer(const series *s, int l, double *load)
{
    double log_share[MAX_E], sum = 0;
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
    static double sum[64][WINDOW];
    int used[64] = {0};
    bool done[MAX_E] = {false};
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
            double least = INFINITY, with[WINDOW];
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
    (void)state, (void)err;
    const int n = task->n_past < WINDOW ? task->n_past : WINDOW;
    const int slots = next->gpus * next->slots;
    double value[MAX_E], column[WINDOW], share[64 * 64];
    int copies[MAX_E];
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
    must(moe_replicas_init(&scratch, next->experts, next->gpus, next->slots,
                           err),
         err);
    moe_plan_layer_set_quota(next, share, &scratch);
    moe_replicas_fini(&scratch);
    return MOE_OK;
}

static const moe_planner flash = {.name = "flashlb",
                                  .state_size = sizeof(flash_state),
                                  .plans = true,
                                  .copies = true,
                                  .init = flash_init,
                                  .plan = flash_plan};

/* ---- the table ---- */

static const struct {
    const char *name, *planner;
    moe_division division;
} entrants[] = {{"FlashLB's objective", NULL, MOE_DIVISION_EQUAL},
                {"eplb", "eplb", MOE_DIVISION_EQUAL},
                {"balance, split equal", "balance", MOE_DIVISION_EQUAL},
                {"balance, split quota", "balance", MOE_DIVISION_QUOTA},
                {"relocate", "relocate", MOE_DIVISION_EQUAL}};

static double next_step(const moe_study *study, int layers, int by)
{
    const moe_tally t =
        moe_tally_sum(study->score[MOE_STUDY_NEXT + by], layers);
    return moe_tally_balance(&t, MOE_BALANCE_MEAN);
}

static void print_row(const series *s, size_t i, const double *load)
{
    const moe_planner *p = entrants[i].planner != NULL
                               ? moe_planner_find(entrants[i].planner)
                               : &flash;
    const moe_planner_env env = {.layout = {s->gpus, 8},
                                 .experts = s->experts,
                                 .slots = s->slots,
                                 .interval = 1,
                                 .division = entrants[i].division};
    void *params = bench_array(1, p->params_size);
    moe_plan home;
    moe_study study;
    moe_error err = {0};
    if (p->opts != NULL)
        moe_opt_defaults(p->opts, params);
    must(moe_plan_init(&home, s->layers, s->experts, s->gpus, s->slots, &err),
         &err);
    moe_plan_set_home(&home, &env.layout);
    const moe_study_params study_params = {.planner = p,
                                           .params = params,
                                           .env = &env,
                                           .previous = &home,
                                           .load = load,
                                           .steps = (size_t)s->steps,
                                           .layers = s->layers,
                                           .repeats = 1};
    must(moe_study_run(&study, &study_params, &err), &err);
    printf("  %-22s %8.3f %8.3f %8.3f %8.1f %% %9.2f\n", entrants[i].name,
           next_step(&study, s->layers, MOE_DIVISION_EQUAL),
           next_step(&study, s->layers, MOE_DIVISION_QUOTA),
           next_step(&study, s->layers, MOE_DIVISION_MINMAX),
           100.0 * (double)study.travelled /
               (s->steps * s->layers * s->gpus * s->slots),
           1e3 * study.time.median);
    moe_study_fini(&study);
    moe_plan_fini(&home);
    free(params);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "plans on the next step");
    for (size_t i = 0; i < MOE_ARRAY_LEN(all); i++) {
        const series *s = &all[i];
        double *load = bench_array((size_t)(s->steps * s->layers * s->experts),
                                   sizeof *load);
        for (int l = 0; l < s->layers; l++)
            draw_layer(s, l, load);
        printf(" %s slots: %d steps of %d layers; mean / max\n  %-22s %8s "
               "%8s %8s %10s %9s\n",
               s->name, s->steps, s->layers, "", "equal", "quota", "minmax",
               "moved", "CPU ms");
        for (size_t k = 0; k < MOE_ARRAY_LEN(entrants); k++)
            print_row(s, k, load);
        free(load);
    }
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
