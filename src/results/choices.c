/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/choices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "reader.h"

/* A run's /choice while it is read: of one strategy. */
typedef struct choice_reader {
    const moe_view *view;
    moe_choices *to;
    bool is[MOE_MAX_STRATEGIES]; /* a candidate, tried or not */
    int *used;                   /* [iterations] strategy; -1: not measured */
    double *estimate; /* [iterations][candidates] s, NaN: not priced */
} choice_reader;

static void note_used(const moe_reader *rd, int s, int i, const double *x,
                      void *arg)
{
    choice_reader *r = arg;
    (void)s;
    for (int c = 0; c < rd->view->dims.candidates; c++) {
        r->is[c] = r->is[c] || x[c] >= 0; /* -1: it is none */
        if (x[c] > 0)
            r->used[i] = c;
    }
}

static void note_estimate(const moe_reader *rd, int s, int i, const double *x,
                          void *arg)
{
    const size_t n = (size_t)rd->view->dims.candidates;
    (void)s;
    memcpy(((choice_reader *)arg)->estimate + (size_t)i * n, x, n * sizeof *x);
}

static const double *estimates(const choice_reader *r, int i)
{
    return r->estimate + (size_t)i * (size_t)r->view->dims.candidates;
}

static bool is_measured(const choice_reader *r, int i)
{
    return r->used[i] >= 0 &&
           !isnan(
               r->view->strategy[r->to->strategy].layer_time[MOE_CLOCK_GPU][i]);
}

/* Mean time of a layer over what the choosing strategy measured. */
static double mean_s(const choice_reader *r, int strategy)
{
    const double *x = r->view->strategy[strategy].layer_time[MOE_CLOCK_GPU];
    double sum = 0;
    for (int i = 0; i < r->view->dims.iterations; i++)
        sum += is_measured(r, i) ? x[i] : 0;
    return sum / r->to->iterations;
}

/* The round of the last try before iteration i. */
static void explain(const choice_reader *r, int i, moe_switch *at)
{
    const int layers = r->view->dims.layers;
    int n = 0;
    while (--i >= 0 && n < r->view->period) {
        const double *x = estimates(r, i);
        if (isnan(x[at->from]) || isnan(x[at->to]))
            continue;
        at->from_s += x[at->from] / layers;
        at->to_s += x[at->to] / layers;
        n++;
    }
    at->from_s /= n;
    at->to_s /= n;
}

static void find_switches(choice_reader *r, moe_error *err)
{
    moe_choices *to = r->to;
    to->at = moe_array_new((size_t)to->iterations, sizeof *to->at, err);
    for (int i = 1; to->at != NULL && i < r->view->dims.iterations; i++)
        if (is_measured(r, i - 1) && is_measured(r, i) &&
            r->used[i] != r->used[i - 1]) {
            moe_switch *at = &to->at[to->n_switches++];
            *at = (moe_switch){
                .iteration = i, .from = r->used[i - 1], .to = r->used[i]};
            explain(r, i, at);
        }
}

static void find_candidates(choice_reader *r, moe_error *err)
{
    moe_choices *to = r->to;
    const int n = r->view->dims.candidates;
    to->candidate = moe_array_new((size_t)n, sizeof *to->candidate, err);
    for (int c = 0; to->candidate != NULL && c < n; c++) {
        int used = 0;
        for (int i = 0; i < r->view->dims.iterations; i++)
            used += is_measured(r, i) && r->used[i] == c;
        if (r->is[c])
            to->candidate[to->n++] =
                (moe_candidate){c, (double)used / to->iterations, mean_s(r, c)};
    }
    for (int k = 0; k < to->n; k++)
        if (to->best < 0 ||
            to->candidate[k].layer_s < to->candidate[to->best].layer_s)
            to->best = k;
    to->regret = to->best < 0
                     ? (double)NAN
                     : to->layer_s / to->candidate[to->best].layer_s - 1;
}

/* An iteration with a try took so much more than what was in use would have. */
static void find_tries(choice_reader *r)
{
    moe_choices *to = r->to;
    const double *x = r->view->strategy[to->strategy].layer_time[MOE_CLOCK_GPU];
    for (int i = 0; i < r->view->dims.iterations; i++) {
        if (!is_measured(r, i) || isnan(estimates(r, i)[r->used[i]]))
            continue;
        to->tried += 1.0 / to->iterations;
        to->tries_s +=
            fmax(0, x[i] - estimates(r, i)[r->used[i]] / r->view->dims.layers) /
            to->iterations;
    }
}

static void read_one(moe_reader *rd, choice_reader *r)
{
    moe_choices *to = r->to;
    memset(r->is, 0, sizeof r->is);
    for (int i = 0; i < r->view->dims.iterations; i++)
        r->used[i] = -1;
    moe_reader_one(rd, MOE_FIELD_USED, to->strategy, note_used, r);
    if (!moe_reader_failed(rd))
        moe_reader_one(rd, MOE_FIELD_ESTIMATE, to->strategy, note_estimate, r);
    if (moe_reader_failed(rd))
        return;
    for (int i = 0; i < r->view->dims.iterations; i++)
        to->iterations += is_measured(r, i);
    if (to->iterations == 0)
        return;
    to->layer_s = mean_s(r, to->strategy);
    find_tries(r);
    find_candidates(r, rd->err);
    find_switches(r, rd->err);
}

static void read_all(moe_reader *rd, choice_reader *r, moe_choices *out,
                     int *n_out)
{
    for (int s = 0; s < r->view->dims.strategies && !moe_reader_failed(rd);
         s++) {
        r->to = &out[*n_out];
        *r->to = (moe_choices){.strategy = s, .best = -1};
        read_one(rd, r);
        if (r->to->iterations > 0)
            (*n_out)++;
    }
}

moe_status moe_choices_read(const moe_view *view, moe_choices **out, int *n_out,
                            moe_error *err)
{
    moe_view shape = *view; /* borrowed */
    moe_error local = {0};
    moe_reader rd = {.view = &shape, .err = &local};
    choice_reader r = {.view = view};
    const size_t n = (size_t)view->dims.iterations;
    moe_choices *all = NULL;
    *out = NULL;
    *n_out = 0;
    if (view->dims.candidates == 0)
        return MOE_OK;
    all = moe_array_new((size_t)view->dims.strategies, sizeof *all, &local);
    r.used = moe_array_new(n, sizeof *r.used, &local);
    r.estimate = moe_array_new(n * (size_t)view->dims.candidates,
                               sizeof *r.estimate, &local);
    rd.file = local.status == MOE_OK ? moe_h5_open(view->path, false, &local)
                                     : H5I_INVALID_HID;
    const bool named = local.status != MOE_OK; /* the file, by the sentence */
    if (!moe_reader_failed(&rd))
        moe_reader_check_run(&rd);
    if (!moe_reader_failed(&rd))
        read_all(&rd, &r, all, n_out);
    if (rd.file >= 0)
        H5Fclose(rd.file);
    free(rd.buffer);
    free(r.estimate);
    free(r.used);
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_choices_free(all, *n_out);
    *n_out = 0;
    return named
               ? moe_pass(err, &local)
               : moe_fail(err, local.status, "%s: %s", view->path, local.text);
}

void moe_choices_free(moe_choices *choices, int n)
{
    for (int k = 0; choices != NULL && k < n; k++) {
        free(choices[k].candidate);
        free(choices[k].at);
    }
    free(choices);
}
