/* SPDX-License-Identifier: Apache-2.0 */

/* Whether stated errors mean what they say: of the rows that were left out,
 * two of three have to be within the one, nine of ten within the other. Rows of
 * a fold (a shape, a GPU) are judged by what the other folds say. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/stats.h"
#include "validate.h"

enum { FOLDS = 32 };

static const double SHARES[2] = {2.0 / 3, 0.9};

typedef struct {
    double ratio, factor[2]; /* error over guess; stated over guess */
    int fold;
} sample;

typedef struct {
    char name[160];
    sample *x;
    size_t n, room;
    bool by_kernel;
} group;

static group groups[192];
static size_t n_groups;

static void add_to(const char *name, bool by_kernel, const sample *x)
{
    size_t i = 0;
    while (i < n_groups && strcmp(groups[i].name, name) != 0)
        i++;
    if (i == MOE_ARRAY_LEN(groups))
        give_up("too many groups");
    group *g = &groups[i];
    if (i == n_groups) {
        snprintf(g->name, sizeof g->name, "%s", name);
        g->by_kernel = by_kernel;
        n_groups++;
    }
    if (g->n == g->room) {
        g->room = g->room > 0 ? 2 * g->room : 256;
        g->x = realloc(g->x, g->room * sizeof *g->x);
        if (g->x == NULL)
            give_up("out of memory");
    }
    g->x[g->n++] = *x;
}

void cover(const char *what, const char *kernel, moe_price stated, double guess,
           double error, int fold)
{
    const sample x = {error / guess,
                      {stated.relative_error / guess, stated.error_p90 / guess},
                      fold};
    char name[160];
    snprintf(name, sizeof name, "%s, %s", what,
             moe_price_source_name(stated.source));
    add_to(name, false, &x);
    if (kernel == NULL)
        return;
    snprintf(name, sizeof name, "%s: %s", kernel,
             moe_price_source_name(stated.source));
    add_to(name, true, &x);
}

static int by_ratio(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    return (x->ratio > y->ratio) - (x->ratio < y->ratio);
}

/* @param g  sorted
 * @return quantile of the ratios without those of a fold; -1: of all */
static double counted(const group *g, int which, int without)
{
    moe_error err = {0};
    double *x = moe_array_new(g->n, sizeof *x, &err);
    size_t n = 0;
    for (size_t i = 0; i < g->n && x != NULL; i++)
        if (g->x[i].fold != without)
            x[n++] = g->x[i].ratio;
    if (x == NULL)
        give_up(err.text);
    const double q = n > 0 ? moe_quantile_sorted(x, n, SHARES[which]) : NAN;
    free(x);
    return q;
}

/* @return share of the rows within what the other folds say. */
static double held_out(const group *g, int which)
{
    double factor[FOLDS];
    size_t in = 0;
    for (int f = 0; f < FOLDS; f++)
        factor[f] = counted(g, which, f);
    for (size_t i = 0; i < g->n; i++)
        in += g->x[i].ratio <= factor[g->x[i].fold];
    return (double)in / (double)g->n;
}

/* @return share of the rows within what is stated. */
static double within(const group *g, int which)
{
    size_t in = 0;
    for (size_t i = 0; i < g->n; i++)
        in += g->x[i].ratio <= g->x[i].factor[which];
    return (double)in / (double)g->n;
}

static void print_group(group *g)
{
    static const char *const share_names[] = {"two thirds", "nine tenths"};
    qsort(g->x, g->n, sizeof *g->x, by_ratio);
    printf("| %s | %zu |", g->name, g->n);
    for (int k = 0; k < 2; k++)
        printf(" %.2f | %.2f |", counted(g, k, -1), g->x[0].factor[k]);
    for (int k = 0; k < 2; k++) {
        const double share = held_out(g, k), stated = within(g, k);
        char what[200];
        printf(" %.1f | %.1f |", 100 * stated, 100 * share);
        snprintf(what, sizeof what, "%s: rows within, off %s", g->name,
                 share_names[k]);
        /* Three standard deviations of a count, and 3 points. */
        require(what, fmax(fabs(share - SHARES[k]), fabs(stated - SHARES[k])),
                0.03 + 3 * sqrt(SHARES[k] * (1 - SHARES[k]) / (double)g->n));
    }
    putchar('\n');
}

void print_coverage(void)
{
    printf(
        "\n## Stated errors\n\n"
        "With a price go two errors: two prices of three are off by no more "
        "than the first, nine of ten than the second. Both are a guess, made "
        "where the price is, times a factor; the guess of an analytic price is "
        "1. `counted` are the quantiles of error over guess in all left-out "
        "rows, `stated` the factors in use, `within` the share of rows that "
        "keeps to these, in percent, `held out` the share that keeps to what "
        "other folds say: other shapes for the FFN, other GPUs for GEMM and "
        "attention, other GPUs or operations for collectives, other rows for "
        "analytic prices. Rows of slow kernels are among the truths. "
        "Tabulated: rows whose neighbours lie so near that they bound how well "
        "a measurement repeats.\n\n"
        "| | n | 2/3 counted | stated | 9/10 counted | stated | 2/3 within | "
        "held out | 9/10 within | held out |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < n_groups; i++)
        if (!groups[i].by_kernel)
            print_group(&groups[i]);
    printf("\n## Stated errors by kernel\n\n"
           "Share of the left-out rows of a GPU, stack and type that is within "
           "what was stated, in percent; factors are of all kernels "
           "together.\n\n"
           "| | n | 2/3 | 9/10 |\n|---|---:|---:|---:|\n");
    for (size_t i = 0; i < n_groups; i++)
        if (groups[i].by_kernel)
            printf("| %s | %zu | %.1f | %.1f |\n", groups[i].name, groups[i].n,
                   100 * within(&groups[i], 0), 100 * within(&groups[i], 1));
    for (size_t i = 0; i < n_groups; i++)
        free(groups[i].x);
}
