/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/text.h"

moe_clock moe_comparison_clock(const moe_view *a, const moe_view *b)
{
    return a->oversubscribed || b->oversubscribed ? MOE_CLOCK_GPU
                                                  : MOE_CLOCK_WALL;
}

/* ---- what is the same ---- */

/* Iterations of both with the same true loads; all that both measured must
 * agree, or the runs drew different batches. */
static size_t count_pairs(const moe_view *a, const moe_view *b)
{
    const int n = a->dims.iterations < b->dims.iterations ? a->dims.iterations
                                                          : b->dims.iterations;
    size_t pairs = 0;
    if (a->period != b->period || a->dims.layers != b->dims.layers ||
        strcmp(a->trace_sha256, b->trace_sha256) != 0)
        return 0;
    for (int i = 0; i < n; i++) {
        const uint64_t x = a->batch_hash[i], y = b->batch_hash[i];
        if (x != 0 && y != 0 && x != y)
            return 0;
        pairs += x != 0 && x == y;
    }
    return pairs;
}

static void differ(moe_comparison *c, const char *what, const char *a,
                   const char *b)
{
    if (strcmp(a, b) != 0)
        moe_text_add(c->differs, sizeof c->differs, ", ", "%s (%s, %s)", what,
                     a, b);
}

static void differ_number(moe_comparison *c, const char *what, int a, int b)
{
    char x[16], y[16];
    snprintf(x, sizeof x, "%d", a);
    snprintf(y, sizeof y, "%d", b);
    differ(c, what, x, y);
}

/* Settings in one line of YAML each; the first few that differ. */
static void differ_settings(moe_comparison *c)
{
    static const char *const known[] = {"cluster:", "output:", "trace:"};
    const char *a = c->a->config, *b = c->b->config;
    for (int said = 0; *a != '\0' && *b != '\0' && said < 3;) {
        const size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        bool skip = n == m && memcmp(a, b, n) == 0;
        for (size_t k = 0; k < MOE_ARRAY_LEN(known); k++)
            skip = skip || strncmp(a, known[k], strlen(known[k])) == 0;
        char x[64], y[64];
        snprintf(x, sizeof x, "%.*s", (int)n, a + strspn(a, " -"));
        snprintf(y, sizeof y, "%.*s", (int)m, b + strspn(b, " -"));
        x[strcspn(x, "\n")] = y[strcspn(y, "\n")] = '\0';
        if (!skip) {
            differ(c, "setting", x, y);
            said++;
        }
        a += n + (a[n] != '\0');
        b += m + (b[m] != '\0');
    }
}

/* Strategies of x that y lacks: they are not compared. */
static void differ_strategies(moe_comparison *c, const char *where,
                              const moe_view *x, const moe_view *y)
{
    for (int s = 0; s < x->dims.strategies; s++)
        if (moe_view_strategy(y, x->strategy[s].name) < 0)
            moe_text_add(c->differs, sizeof c->differs, ", ",
                         "strategy %s (only in %s)", x->strategy[s].name,
                         where);
}

static void describe(moe_comparison *c)
{
    const moe_view *a = c->a, *b = c->b;
    differ(c, "cluster", a->cluster, b->cluster);
    differ(c, "trace", a->trace, b->trace);
    differ_number(c, "GPUs", a->dims.gpus, b->dims.gpus);
    differ_number(c, "nodes", a->nodes, b->nodes);
    differ(c, "version", a->source, b->source);
    differ_strategies(c, "A", a, b);
    differ_strategies(c, "B", b, a);
    differ_settings(c);
}

/* ---- ratios ---- */

/* Samples of one strategy, of its time or relative to the reference's. */
static void samples_of(const moe_comparison *c, const moe_view *view, int s,
                       double *x, double *scratch)
{
    moe_view_samples(view, s, c->clock, x);
    const int r = moe_view_strategy(view, c->reference);
    if (c->reference[0] == '\0' || r < 0)
        return;
    moe_view_samples(view, r, c->clock, scratch);
    for (int i = 0; i < view->dims.iterations; i++)
        x[i] /= scratch[i];
}

/* A difference that nobody would act on, however sure it is. */
static const double NEGLIGIBLE = 1e-3;

static const char *judge(const moe_ratio *r)
{
    if (isnan(r->ci_low))
        return r->n < MOE_STATS_MIN_CI ? "too few samples" : "unknown";
    if (r->ci_low > 1 - NEGLIGIBLE && r->ci_high < 1 + NEGLIGIBLE)
        return "equal to 0.1 %";
    if (r->ci_low > 1)
        return "B is slower";
    return r->ci_high < 1 ? "B is faster" : "within noise";
}

static void compare_row(const moe_comparison *c, moe_comparison_row *row,
                        double *const *x, moe_error *err)
{
    size_t n = (size_t)c->a->dims.iterations;
    size_t m = (size_t)c->b->dims.iterations;
    samples_of(c, c->a, row->a, x[0], x[2]);
    samples_of(c, c->b, row->b, x[1], x[2]);
    if (c->paired)
        n = m = n < m ? n : m;
    moe_summary a = {0}, b = {0};
    moe_summarise(x[0], n, c->a->passes, &a, err);
    moe_summarise(x[1], m, c->b->passes, &b, err);
    if (c->paired)
        moe_paired_ratio(x[1], x[0], n, c->a->passes, &row->ratio, err);
    else
        row->ratio = moe_unpaired_ratio(&b, &a);
    row->time_a_s = a.median;
    row->time_b_s = b.median;
    row->noise =
        (row->ratio.ci_high - row->ratio.ci_low) / 2 / row->ratio.ratio;
    row->verdict = judge(&row->ratio);
}

static void compare_rows(moe_comparison *c, moe_error *err)
{
    const int n = c->a->dims.iterations, m = c->b->dims.iterations;
    const size_t room = (size_t)(n > m ? n : m);
    double *x[3] = {NULL};
    for (int i = 0; i < 3; i++)
        x[i] = moe_array_new(room, sizeof *x[i], err);
    c->row = moe_array_new((size_t)c->a->dims.strategies, sizeof *c->row, err);
    for (int s = 0; s < c->a->dims.strategies && err->status == MOE_OK; s++) {
        const int other = moe_view_strategy(c->b, c->a->strategy[s].name);
        if (other < 0)
            continue;
        moe_comparison_row *row = &c->row[c->n_rows++];
        *row = (moe_comparison_row){.a = s, .b = other};
        compare_row(c, row, x, err);
    }
    for (int i = 0; i < 3; i++)
        free(x[i]);
    if (err->status == MOE_OK && c->n_rows == 0)
        moe_fail(err, MOE_MISMATCH, "%s and %s have no strategy in common",
                 c->a->path, c->b->path);
}

static moe_status check(const moe_view *a, const moe_view *b,
                        const char *reference, moe_error *err)
{
    if (strcmp(a->model, b->model) != 0)
        return moe_fail(err, MOE_MISMATCH,
                        "%s is of model %s and %s of %s: their times cannot be "
                        "compared",
                        a->path, a->model, b->path, b->model);
    for (int i = 0; reference != NULL && i < 2; i++)
        if (moe_view_strategy(i == 0 ? a : b, reference) < 0)
            return moe_fail(err, MOE_USAGE, "%s has no strategy '%s'",
                            (i == 0 ? a : b)->path, reference);
    return MOE_OK;
}

moe_status moe_compare(const moe_view *a, const moe_view *b, moe_clock clock,
                       const char *reference, moe_comparison *out,
                       moe_error *err)
{
    moe_error local = {0};
    moe_comparison c = {.a = a, .b = b, .clock = clock};
    if (check(a, b, reference, err) != MOE_OK)
        return err->status;
    if (reference != NULL)
        snprintf(c.reference, sizeof c.reference, "%s", reference);
    c.n_pairs = count_pairs(a, b);
    c.paired = c.n_pairs > 0;
    c.trivial_clock =
        clock == MOE_CLOCK_WALL && (a->oversubscribed || b->oversubscribed);
    describe(&c);
    compare_rows(&c, &local);
    if (local.status != MOE_OK) {
        moe_comparison_fini(&c);
        return moe_pass(err, &local);
    }
    *out = c;
    return MOE_OK;
}

void moe_comparison_fini(moe_comparison *c)
{
    free(c->row);
    c->row = NULL;
    c->n_rows = 0;
}

int moe_comparison_worst(const moe_comparison *c, double threshold)
{
    int worst = -1;
    for (int i = 0; i < c->n_rows; i++) {
        const double low = c->row[i].ratio.ci_low;
        if (low > 1 + threshold &&
            (worst < 0 || low > c->row[worst].ratio.ci_low))
            worst = i;
    }
    return worst;
}
