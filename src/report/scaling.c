/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/scaling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "moegps/mem.h"
#include "moegps/report.h"
#include "sheet.h"

bool moe_scaling_present(const moe_view *views, size_t n)
{
    bool differ = false;
    for (size_t i = 1; i < n; i++) {
        if (strcmp(views[i].model, views[0].model) != 0)
            return false; /* times of other layers */
        differ = differ || views[i].dims.gpus != views[0].dims.gpus;
    }
    return differ;
}

static int find_strategy(const moe_view *view, const char *name)
{
    for (int s = 0; s < view->dims.strategies; s++)
        if (strcmp(view->strategy[s].name, name) == 0)
            return s;
    return -1;
}

/* The point of a number of GPUs, made where it is new, in rising order. */
static moe_scaling_point *point_of(moe_scaling *s, const moe_view *view)
{
    size_t at = 0;
    while (at < s->n_points && s->point[at].gpus < view->dims.gpus)
        at++;
    if (at < s->n_points && s->point[at].gpus == view->dims.gpus)
        return &s->point[at];
    memmove(&s->point[at + 1], &s->point[at],
            (s->n_points - at) * sizeof *s->point);
    s->n_points++;
    s->point[at] = (moe_scaling_point){.gpus = view->dims.gpus};
    return &s->point[at];
}

static void add_run(moe_scaling_point *p, const moe_view *view, int strategy,
                    moe_clock clock, moe_error *err)
{
    const size_t m = (size_t)view->dims.iterations;
    double *samples = realloc(p->samples, (p->n + m) * sizeof *samples);
    if (samples == NULL) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return;
    }
    p->samples = samples;
    moe_view_samples(view, strategy, clock, samples + p->n);
    p->n += m;
    p->tokens = (p->tokens * p->runs + view->tokens) / (p->runs + 1);
    p->nodes = view->nodes > p->nodes ? view->nodes : p->nodes;
    p->runs++;
}

/* Tokens per second and GPU serve strong and weak scaling alike. */
static void finish(moe_scaling *s, moe_error *err)
{
    const moe_scaling_point *first = &s->point[0];
    for (size_t i = 0; i < s->n_points && err->status == MOE_OK; i++) {
        moe_scaling_point *p = &s->point[i];
        const double share = p->tokens / first->tokens * first->gpus / p->gpus;
        moe_summarise(p->samples, p->n, &p->time, err);
        moe_unpaired_ratio(first->samples, first->n, p->samples, p->n,
                           &p->efficiency, err);
        p->efficiency.ratio *= share;
        p->efficiency.ci_low *= share;
        p->efficiency.ci_high *= share;
    }
    s->point[0].efficiency.ci_low = s->point[0].efficiency.ci_high = NAN;
}

moe_status moe_scaling_init(moe_scaling *s, const moe_view *views, size_t n,
                            const char *strategy, moe_clock clock,
                            moe_error *err)
{
    moe_error local = {0};
    *s = (moe_scaling){.n_points = 0};
    s->point = moe_array_new(n, sizeof *s->point, &local);
    for (size_t i = 0; i < n && local.status == MOE_OK; i++) {
        const int at = find_strategy(&views[i], strategy);
        if (at >= 0)
            add_run(point_of(s, &views[i]), &views[i], at, clock, &local);
    }
    if (local.status == MOE_OK && s->n_points > 0)
        finish(s, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_scaling_fini(s);
    return moe_pass(err, &local);
}

void moe_scaling_fini(moe_scaling *s)
{
    for (size_t i = 0; i < s->n_points; i++)
        free(s->point[i].samples);
    free(s->point);
    *s = (moe_scaling){.n_points = 0};
}

static void print_strategy(const moe_scaling *s, const char *name,
                           moe_table *table)
{
    for (size_t i = 0; i < s->n_points; i++) {
        const moe_scaling_point *p = &s->point[i];
        const double rate =
            p->tokens / p->time.median / p->gpus; /* per second and GPU */
        moe_table_cell(table, "%s", i == 0 ? name : "");
        moe_table_cell(table, "%d", p->gpus);
        moe_table_cell(table, "%d", p->nodes);
        moe_table_cell(table, "%s", moe_number_cell(p->tokens).text);
        moe_table_cell(table, "%s", moe_time_cell(p->time.median).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_time_cell(p->time.ci_low),
                                         moe_time_cell(p->time.ci_high))
                           .text);
        moe_table_cell(table, "%s", moe_number_cell(rate).text);
        moe_table_cell(table, "%s", moe_percent_cell(p->efficiency.ratio).text);
        moe_table_cell(
            table, "%s",
            moe_interval_cell(moe_percent_cell(p->efficiency.ci_low),
                              moe_percent_cell(p->efficiency.ci_high))
                .text);
        moe_table_cell(table, "%zu", p->time.n);
    }
}

static void put_clock(const moe_sheet *to, const moe_view *views, size_t n,
                      moe_clock clock, moe_error *err)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},       {"GPUs", NULL, MOE_RIGHT},
        {"nodes", NULL, MOE_RIGHT},         {"tokens", NULL, MOE_RIGHT},
        {"layer", NULL, MOE_RIGHT},         {"95 % interval", NULL, MOE_RIGHT},
        {"tokens/s/GPU", NULL, MOE_RIGHT},  {"efficiency", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"n", NULL, MOE_RIGHT},
    };
    bool moot = false;
    for (size_t i = 0; i < n; i++)
        moot = moot || (clock == MOE_CLOCK_WALL && views[i].oversubscribed);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < views[0].dims.strategies; s++) {
        moe_scaling scaling;
        const char *name = views[0].strategy[s].name;
        if (moe_scaling_init(&scaling, views, n, name, clock, err) != MOE_OK)
            break;
        print_strategy(&scaling,
                       moe_name_cell(name, moe_sheet_name_len(to)).text, table);
        moe_scaling_fini(&scaling);
    }
    char title[128];
    snprintf(title, sizeof title, "Scaling, %s clock (%s)%s",
             moe_clock_name(clock),
             clock == MOE_CLOCK_GPU ? "modelled, not measured" : "measured",
             moot ? ": not a result, ranks share cores" : "");
    moe_sheet_table(to, title, NULL, table);
}

void moe_sheet_scaling(const moe_sheet *to, const moe_view *views, size_t n,
                       moe_error *err)
{
    put_clock(to, views, n, MOE_CLOCK_WALL, err);
    put_clock(to, views, n, MOE_CLOCK_GPU, err);
}

moe_status moe_report_scaling(const moe_view *views, size_t n, FILE *out,
                              moe_error *err)
{
    if (!moe_scaling_present(views, n))
        return MOE_OK;
    fprintf(out,
            "%zu runs of %s; efficiency: tokens per second and GPU, over "
            "that of the fewest GPUs\n",
            n, views[0].model);
    const moe_sheet to = {.out = out};
    moe_sheet_scaling(&to, views, n, err);
    fputc('\n', out);
    return err->status;
}
