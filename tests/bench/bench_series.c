/* SPDX-License-Identifier: Apache-2.0 */
/* What plans are worth on the next step, and what they move, on series of
 * loads. */
#include "bench.h"

#include <string.h>

#include "moegps/study.h"
#include "series.h"

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
                               : &series_flashlb;
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
            series_draw(s, l, load);
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
