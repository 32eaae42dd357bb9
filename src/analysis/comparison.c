/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/comparison.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/text.h"
#include "moegps/verdict.h"

static bool shared_cores(const moe_comparison_side *side)
{
    bool shared = false;
    for (int i = 0; i < 2; i++)
        for (size_t r = 0; r < side[i].n; r++)
            shared = shared || !moe_verdict_wall_counts(&side[i].run[r]);
    return shared;
}

moe_clock moe_comparison_clock(const moe_comparison_side *side)
{
    return shared_cores(side) ? MOE_CLOCK_GPU : MOE_CLOCK_WALL;
}

/* Whether all runs have the strategy. */
static bool all_have(const moe_comparison_side *side, const char *name)
{
    bool have = true;
    for (int i = 0; i < 2; i++)
        for (size_t r = 0; r < side[i].n; r++)
            have = have && moe_view_strategy(&side[i].run[r], name) >= 0;
    return have;
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

/* @return length of a line's key, with what is before it. */
static size_t key_of(const char *line)
{
    return strcspn(line, ":\n");
}

/* Is a line with the key of `line` in the text, from one line on? */
static bool has_key(const char *text, const char *line)
{
    const size_t n = key_of(line);
    for (; *text != '\0'; text += text[0] == '\n') {
        if (key_of(text) == n && memcmp(text, line, n) == 0)
            return true;
        text += strcspn(text, "\n");
    }
    return false;
}

static const char *next_line(const char *line)
{
    const size_t n = strcspn(line, "\n");
    return line + n + (line[n] != '\0');
}

/* What a line says, without its indentation; "-": there is none. */
static void get_setting(const char *line, char text[64])
{
    const char *from = line + strspn(line, " -");
    snprintf(text, 64, "%.*s", (int)strcspn(from, "\n"), from);
    if (*line == '\0')
        strcpy(text, "-");
}

/* Settings in one line of YAML each; the first few that differ. A line whose
 * key the other lacks from there on stands alone. */
static void differ_settings(moe_comparison *c)
{
    static const char *const known[] = {"cluster:", "output:", "trace:"};
    const char *a = c->a->config, *b = c->b->config;
    for (int said = 0; (*a != '\0' || *b != '\0') && said < 3;) {
        const bool only_a = *a != '\0' && !has_key(b, a);
        const bool only_b = !only_a && *b != '\0' && !has_key(a, b);
        const char *x = only_b ? "" : a, *y = only_a ? "" : b;
        const char *line = only_b ? b : a;
        char left[64], right[64];
        bool skip = false;
        for (size_t k = 0; k < MOE_ARRAY_LEN(known); k++)
            skip = skip || strncmp(line, known[k], strlen(known[k])) == 0;
        get_setting(x, left);
        get_setting(y, right);
        if (!skip && strcmp(left, right) != 0) {
            differ(c, "setting", left, right);
            said++;
        }
        a = only_b ? a : next_line(a);
        b = only_a ? b : next_line(b);
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

static const char *judge(const moe_comparison *c, const moe_ratio *r)
{
    const bool repeated = c->side[0].n > 1 || c->side[1].n > 1;
    if (isnan(r->ci_low))
        return isnan(r->ratio) ? "unknown"
               : repeated      ? "too few runs"
                               : "too few independent samples";
    if (!c->sure && (r->ci_low > 1 || r->ci_high < 1))
        return r->ci_low > 1 ? "slower in this run" : "faster in this run";
    if (r->ci_low > 1 - NEGLIGIBLE && r->ci_high < 1 + NEGLIGIBLE)
        return "equal to 0.1 %";
    if (r->ci_low > 1)
        return "B is slower";
    return r->ci_high < 1 ? "B is faster" : "within noise";
}

/* One run a side. */
static void compare_runs(const moe_comparison *c, moe_comparison_row *row,
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
}

/* Repetitions: the median of each run is a sample. @return their geometric
 * mean. @param out  [side->n] */
static double medians_of(const moe_comparison *c,
                         const moe_comparison_side *side, const char *name,
                         double *const *x, double *out, moe_error *err)
{
    double sum = 0;
    for (size_t r = 0; r < side->n; r++) {
        moe_summary m = {0};
        const moe_view *v = &side->run[r];
        samples_of(c, v, moe_view_strategy(v, name), x[0], x[2]);
        moe_summarise(x[0], (size_t)v->dims.iterations, v->passes, &m, err);
        out[r] = m.median;
        sum += log(m.median) / (double)side->n;
    }
    return exp(sum);
}

static void compare_repetitions(const moe_comparison *c,
                                moe_comparison_row *row, double *const *x,
                                moe_error *err)
{
    const moe_comparison_side *a = &c->side[0], *b = &c->side[1];
    const char *name = c->a->strategy[row->a].name;
    double *of_a = moe_array_new(a->n, sizeof *of_a, err);
    double *of_b = moe_array_new(b->n, sizeof *of_b, err);
    if (err->status == MOE_OK) {
        row->time_a_s = medians_of(c, a, name, x, of_a, err);
        row->time_b_s = medians_of(c, b, name, x, of_b, err);
        row->ratio = moe_repeated_ratio(of_b, b->n, of_a, a->n);
    }
    free(of_a);
    free(of_b);
}

static size_t most_iterations(const moe_comparison *c)
{
    int most = 0;
    for (int i = 0; i < 2; i++)
        for (size_t r = 0; r < c->side[i].n; r++)
            if (c->side[i].run[r].dims.iterations > most)
                most = c->side[i].run[r].dims.iterations;
    return (size_t)most;
}

static void compare_rows(moe_comparison *c, moe_error *err)
{
    const bool repeated = c->side[0].n > 1 || c->side[1].n > 1;
    double *x[3] = {NULL};
    for (int i = 0; i < 3; i++)
        x[i] = moe_array_new(most_iterations(c), sizeof *x[i], err);
    c->row = moe_array_new((size_t)c->a->dims.strategies, sizeof *c->row, err);
    for (int s = 0; s < c->a->dims.strategies && err->status == MOE_OK; s++) {
        const char *name = c->a->strategy[s].name;
        if (!all_have(c->side, name))
            continue;
        moe_comparison_row *row = &c->row[c->n_rows++];
        *row = (moe_comparison_row){.a = s, .b = moe_view_strategy(c->b, name)};
        if (repeated)
            compare_repetitions(c, row, x, err);
        else
            compare_runs(c, row, x, err);
        row->noise =
            (row->ratio.ci_high - row->ratio.ci_low) / 2 / row->ratio.ratio;
        row->verdict = judge(c, &row->ratio);
    }
    for (int i = 0; i < 3; i++)
        free(x[i]);
    if (err->status == MOE_OK && c->n_rows == 0)
        moe_fail(err, MOE_MISMATCH, "%s and %s have no strategy in common",
                 c->a->path, c->b->path);
}

static moe_status check(const moe_comparison_side *side, const char *reference,
                        moe_error *err)
{
    const moe_view *a = side[0].run;
    for (int i = 0; i < 2; i++)
        for (size_t r = 0; r < side[i].n; r++) {
            const moe_view *v = &side[i].run[r];
            if (strcmp(a->model, v->model) != 0)
                return moe_fail(err, MOE_MISMATCH,
                                "%s is of model %s and %s of %s: their times "
                                "cannot be compared",
                                a->path, a->model, v->path, v->model);
            if (v->dims.gpus != side[i].run[0].dims.gpus)
                return moe_fail(err, MOE_MISMATCH,
                                "%s is of %d GPUs and %s of %d: they are no "
                                "repetitions of each other",
                                side[i].run[0].path, side[i].run[0].dims.gpus,
                                v->path, v->dims.gpus);
            if (reference != NULL && reference[0] != '\0' &&
                moe_view_strategy(v, reference) < 0)
                return moe_fail(err, MOE_USAGE, "%s has no strategy '%s'",
                                v->path, reference);
        }
    return MOE_OK;
}

/* Within a run the machine is the same for all strategies. */
static const char *choose_reference(const moe_comparison *c)
{
    const char *name = c->a->reference;
    return c->clock != MOE_CLOCK_GPU && c->a->dims.strategies > 1 &&
                   all_have(c->side, name)
               ? name
               : "";
}

moe_status moe_compare(const moe_comparison_side *side, moe_clock clock,
                       const char *reference, moe_comparison *out,
                       moe_error *err)
{
    moe_error local = {0};
    moe_comparison c = {.side = {side[0], side[1]},
                        .a = side[0].run,
                        .b = side[1].run,
                        .clock = clock};
    if (check(side, reference, err) != MOE_OK)
        return err->status;
    snprintf(c.reference, sizeof c.reference, "%s",
             reference != NULL ? reference : choose_reference(&c));
    c.n_pairs = side[0].n == 1 && side[1].n == 1 ? count_pairs(c.a, c.b) : 0;
    c.paired = c.n_pairs > 0;
    c.sure = clock == MOE_CLOCK_GPU || (side[0].n >= MOE_STATS_MIN_RUNS &&
                                        side[1].n >= MOE_STATS_MIN_RUNS);
    c.trivial_clock = clock == MOE_CLOCK_WALL && shared_cores(side);
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
    for (int i = 0; i < c->n_rows && c->sure; i++) {
        const double low = c->row[i].ratio.ci_low;
        if (low > 1 + threshold &&
            (worst < 0 || low > c->row[worst].ratio.ci_low))
            worst = i;
    }
    return worst;
}
