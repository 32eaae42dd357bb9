/** bench.h: what the benchmark programs share.
 *
 *  A benchmark times our code and the raw alternative in turn, many times in
 *  one process, and prints medians and the median of paired ratios beside a
 *  target. Nothing is asserted: a shared machine would make a liar of it.
 */
#ifndef MOEGPS_TESTS_BENCH_H
#define MOEGPS_TESTS_BENCH_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "moegps/clock.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "moegps/topo.h"

enum { BENCH_MAX = 512 }; /* samples of one figure */

/* One figure: seconds per sample, in the order they were taken. */
typedef struct bench_series {
    double s[BENCH_MAX];
    size_t n;
} bench_series;

static inline double bench_wall(void)
{
    return moe_clock_wall();
}

/* What one process computes costs the same CPU time on a shared core. */
static inline double bench_cpu(void)
{
    return moe_clock_cpu();
}

static inline void bench_add(bench_series *b, double s)
{
    if (b->n < BENCH_MAX)
        b->s[b->n++] = s;
}

/* Add the time of the slowest rank. Collective. */
static inline void bench_add_slowest(bench_series *b, double s, MPI_Comm comm)
{
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &s, 1, MPI_DOUBLE, MPI_MAX, comm));
    bench_add(b, s);
}

static inline moe_summary bench_summary(const bench_series *b)
{
    moe_summary m = {0};
    if (moe_summarise(b->s, b->n, 1, &m, NULL) != MOE_OK)
        abort();
    return m;
}

/* @return the median over pairs of other / own: above 1 we are faster. */
static inline double bench_ratio(const bench_series *own,
                                 const bench_series *other)
{
    moe_ratio r = {0};
    size_t n = own->n < other->n ? own->n : other->n;
    if (moe_paired_ratio(other->s, own->s, n, 1, &r, NULL) != MOE_OK)
        abort();
    return r.ratio;
}

/** Print "median [min max] n" in a unit. @param per_s  unit's amount of a
 *  sample over its seconds (GB/s: bytes * 1e-9), or 0: the time itself. */
static inline void bench_print(const char *name, const bench_series *b,
                               double per_s, const char *unit)
{
    moe_summary m = bench_summary(b);
    if (per_s > 0)
        printf("  %-40s %9.2f [%.2f %.2f] %s, n %zu\n", name, per_s / m.median,
               per_s / m.max, per_s / m.min, unit, m.n);
    else
        printf("  %-40s %9.2f [%.2f %.2f] us, n %zu\n", name, 1e6 * m.median,
               1e6 * m.min, 1e6 * m.max, m.n);
}

/** Print a figure beside the target that it should stay below. */
static inline void bench_limit(const char *name, double value, double target,
                               const char *unit)
{
    printf("  %-40s %9.3f %s  target < %g  %s, x%.2f of it\n", name, value,
           unit, target, value < target ? "ok" : "above", value / target);
}

/** Say what is measured, and on what. Collective over ctx. */
static inline void bench_header(moe_ctx *ctx, const char *title)
{
    moe_topo t = {0};
    if (moe_topo_discover(ctx, &t) != MOE_OK) {
        fprintf(stderr, "%s\n", ctx->err.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    if (ctx->rank == 0)
        printf("\n== %s\n   %s, %ld CPUs, %d rank%s, %s, %s\n", title,
               t.cpu_model[0] != '\0' ? t.cpu_model : "unknown CPU",
               sysconf(_SC_NPROCESSORS_ONLN), ctx->size,
               ctx->size == 1 ? "" : "s",
               t.oversubscribed ? "OVERSUBSCRIBED" : "a core per rank",
               t.bound ? "bound" : "not bound");
}

/** Memory, touched, or the end of the program. */
static inline void *bench_array(size_t n, size_t size)
{
    moe_error err = {0};
    void *p = moe_array_new(n, size, &err);
    if (p == NULL) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return p;
}

#endif
