/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* How long an iteration took. */

/* Mean of all; NaN where one is. */
static double mean_all(const double *x, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += x[j];
    return sum / (double)n;
}

/* An iteration counts only when all its layers were measured. */
static void visit_layer_time(const moe_reader *rd, int s, int i,
                             const double *x, void *arg)
{
    double **samples = rd->view->strategy[s].layer_time;
    double sum = 0;
    for (int l = 0; l < rd->view->dims.layers; l++)
        sum += x[l];
    samples[*(const int *)arg][i] = sum / rd->view->dims.layers;
    moe_layer_time_check(sum, *(const int *)arg, rd->err);
}

void moe_view_samples(const moe_view *view, int strategy, moe_clock clock,
                      double *x_out)
{
    memcpy(x_out, view->strategy[strategy].layer_time[clock],
           (size_t)view->dims.iterations * sizeof *x_out);
    moe_reader_merge_periods(view, x_out, mean_all);
}

size_t moe_view_measured(const moe_view *view, int strategy, moe_clock clock,
                         double *x_out)
{
    size_t n = 0;
    moe_view_samples(view, strategy, clock, x_out);
    for (int i = 0; i < view->dims.iterations; i++)
        if (!isnan(x_out[i]))
            x_out[n++] = x_out[i];
    return n;
}

/* All samples in heap memory, which the caller frees. */
static double *layer_samples(moe_reader *rd, int s, moe_clock clock)
{
    size_t n = (size_t)rd->view->dims.iterations;
    double *x = moe_array_new(n, sizeof *x, rd->err);
    if (x != NULL)
        moe_view_samples(rd->view, s, clock, x);
    return x;
}

static void summarise_clock(moe_reader *rd, moe_clock clock)
{
    moe_view *v = rd->view;
    size_t n = (size_t)v->dims.iterations;
    double *reference = layer_samples(rd, v->reference_index, clock);
    for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++) {
        moe_strategy_view *strategy = &v->strategy[s];
        double *x = layer_samples(rd, s, clock);
        if (x == NULL)
            break;
        moe_summarise(x, n, v->passes, &strategy->summary[clock], rd->err);
        moe_paired_ratio(reference, x, n, v->passes, &strategy->speedup[clock],
                         rd->err);
        free(x);
    }
    free(reference);
}

static void read_layer_times(moe_reader *rd)
{
    moe_view *v = rd->view;
    size_t n = (size_t)v->dims.iterations;
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++)
            v->strategy[s].layer_time[c] =
                moe_array_new(n, sizeof(double), rd->err);
        moe_reader_each(rd, MOE_FIELD_LAYER_WALL + (moe_field_id)c,
                        visit_layer_time, &c);
    }
    for (int i = 0; i < v->dims.iterations && !moe_reader_failed(rd); i++) {
        int all = 1;
        for (int s = 0; s < v->dims.strategies; s++)
            all = all && moe_reader_measured(rd, s, i);
        v->measured += all;
    }
    for (int c = 0; c < MOE_N_CLOCKS && !moe_reader_failed(rd); c++)
        summarise_clock(rd, (moe_clock)c);
}

/* a + b where what was not measured adds nothing; NaN if neither was. */
static double add(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : a + b;
}

/* Samples of every phase, means over layers: [strategy][phase][iteration];
 * NaN where no layer had the phase. */
typedef struct phase_samples {
    double *x;
    bool mean; /* over ranks, not the slowest rank */
} phase_samples;

static void visit_phases(const moe_reader *rd, int s, int i, const double *x,
                         void *arg)
{
    const phase_samples *to = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    size_t ranks = (size_t)d->ranks, iterations = (size_t)d->iterations;
    for (size_t p = 0; p < MOE_N_PHASES; p++) {
        double sum = NAN;
        for (size_t l = 0; l < (size_t)d->layers; l++) {
            const double *cell = x + (l * MOE_N_PHASES + p) * ranks;
            sum = add(sum, to->mean ? moe_mean_known(cell, ranks)
                                    : moe_largest_known(cell, ranks));
        }
        to->x[((size_t)s * MOE_N_PHASES + p) * iterations + (size_t)i] =
            sum / d->layers;
    }
}

/* Medians over the iterations of strategy s, by turning samples in x[] into
 * what a measured iteration spent: a phase that it did not have took 0. */
static double median_spent(const moe_reader *rd, size_t s, double *x)
{
    moe_summary summary = {.median = NAN};
    size_t n = (size_t)rd->view->dims.iterations;
    if (isnan(moe_largest_known(x, n)))
        return NAN; /* no iteration had it: unknown, not 0 s */
    for (size_t i = 0; i < n; i++)
        if (!moe_reader_measured(rd, (int)s, (int)i))
            x[i] = NAN;
        else if (isnan(x[i]))
            x[i] = 0;
    moe_reader_merge_periods(rd->view, x, mean_all);
    moe_summarise(x, n, rd->view->passes, &summary, rd->err);
    return summary.median;
}

/* The same of all phases together, added up in those of the first. */
static double median_total(const moe_reader *rd, size_t s, double *x)
{
    size_t n = (size_t)rd->view->dims.iterations;
    for (size_t p = 1; p < MOE_N_PHASES; p++)
        for (size_t i = 0; i < n; i++)
            x[i] = add(x[i], x[p * n + i]);
    return median_spent(rd, s, x);
}

/* Hidden is what the gpu clock spends beyond what is exposed. */
static void read_hidden(moe_reader *rd, double *gpu, const double *exposed)
{
    moe_view *v = rd->view;
    size_t block = MOE_N_PHASES * (size_t)v->dims.iterations;
    size_t strategies = (size_t)v->dims.strategies;
    phase_samples all = {.x = gpu};
    moe_reader_each(rd, MOE_FIELD_GPU, visit_phases, &all);
    for (size_t j = 0; j < strategies * block; j++)
        gpu[j] -= exposed[j];
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++)
        v->strategy[s].hidden = median_total(rd, s, gpu + s * block);
}

static void read_wait(moe_reader *rd, double *wait)
{
    moe_view *v = rd->view;
    size_t block = MOE_N_PHASES * (size_t)v->dims.iterations;
    phase_samples all = {.x = wait, .mean = true};
    moe_reader_each(rd, MOE_FIELD_WAIT, visit_phases, &all);
    for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++)
        v->strategy[s].wait =
            median_total(rd, (size_t)s, wait + (size_t)s * block);
}

static void read_phases(moe_reader *rd)
{
    static const moe_field_id clocks[MOE_N_CLOCKS] = {
        [MOE_CLOCK_WALL] = MOE_FIELD_WALL,
        [MOE_CLOCK_CPU] = MOE_FIELD_CPU,
        [MOE_CLOCK_GPU] = MOE_FIELD_EXPOSED,
    };
    moe_view *v = rd->view;
    size_t n = (size_t)v->dims.iterations, block = MOE_N_PHASES * n;
    size_t all = (size_t)v->dims.strategies * block;
    phase_samples a = {.x = moe_array_new(all, sizeof(double), rd->err)};
    double *b = moe_array_new(all, sizeof *b, rd->err);
    if (!moe_reader_failed(rd)) { /* first, while a[] is as read */
        moe_reader_each(rd, MOE_FIELD_EXPOSED, visit_phases, &a);
        read_hidden(rd, b, a.x);
        read_wait(rd, b);
    }
    for (int c = 0; c < MOE_N_CLOCKS && !moe_reader_failed(rd); c++) {
        moe_reader_each(rd, clocks[c], visit_phases, &a);
        for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++)
            for (size_t p = 0; p < MOE_N_PHASES; p++)
                v->strategy[s].phase[c][p] = median_spent(
                    rd, (size_t)s, a.x + (size_t)s * block + p * n);
    }
    free(b);
    free(a.x);
}

void moe_reader_reduce(moe_reader *rd)
{
    if (!moe_reader_failed(rd))
        read_layer_times(rd);
    if (!moe_reader_failed(rd))
        read_phases(rd);
    if (!moe_reader_failed(rd))
        moe_reader_reduce_loads(rd);
}
