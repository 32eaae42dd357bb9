/* SPDX-License-Identifier: Apache-2.0 */
/* What plans are worth on the next step, and what they move, on series of
 * loads. */
#include "bench.h"

#include <string.h>

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

static void print_row(const series *s, size_t i, const double *load)
{
    const moe_planner *p = entrants[i].planner != NULL
                               ? moe_planner_find(entrants[i].planner)
                               : &series_flashlb;
    moe_study study;
    moe_error err = {0};
    must(series_study(s, p, entrants[i].division, load, &study, &err), &err);
    printf("  %-22s %8.3f %8.3f %8.3f %8.1f %% %9.2f\n", entrants[i].name,
           series_next(s, &study, MOE_DIVISION_EQUAL),
           series_next(s, &study, MOE_DIVISION_QUOTA),
           series_next(s, &study, MOE_DIVISION_MINMAX),
           100 * series_moved(s, &study), 1e3 * study.time.median);
    moe_study_fini(&study);
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
