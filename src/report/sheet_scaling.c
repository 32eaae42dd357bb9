/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet.h"

#include "cells.h"
#include "moegps/mem.h"
#include "moegps/report.h"

static void print_strategy(const moe_scaling_curve *c, const char *name,
                           moe_table *table)
{
    for (size_t i = 0; i < c->n_points; i++) {
        const moe_scaling_point *p = &c->point[i];
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

static void put_clock(const moe_sheet *to, const moe_analysis *a,
                      moe_clock clock)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},       {"GPUs", NULL, MOE_RIGHT},
        {"nodes", NULL, MOE_RIGHT},         {"tokens", NULL, MOE_RIGHT},
        {"layer", NULL, MOE_RIGHT},         {"95 % interval", NULL, MOE_RIGHT},
        {"tokens/s/GPU", NULL, MOE_RIGHT},  {"efficiency", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"n", NULL, MOE_RIGHT},
    };
    const moe_view *first = a->run[0].view;
    bool moot = false;
    for (size_t i = 0; i < a->n; i++)
        moot =
            moot || (clock == MOE_CLOCK_WALL && a->run[i].view->oversubscribed);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < a->scaling.strategies; s++)
        print_strategy(
            &a->scaling.curve[clock][s],
            moe_name_cell(first->strategy[s].name, moe_sheet_name_len(to)).text,
            table);
    char title[128];
    snprintf(title, sizeof title, "Scaling, %s clock (%s)%s",
             moe_clock_name(clock),
             clock == MOE_CLOCK_GPU ? "modelled, not measured" : "measured",
             moot ? ": not a result, ranks share cores" : "");
    moe_sheet_table(to, title, NULL, table);
}

void moe_sheet_scaling(const moe_sheet *to, const moe_analysis *analysis)
{
    put_clock(to, analysis, MOE_CLOCK_WALL);
    put_clock(to, analysis, MOE_CLOCK_GPU);
}

void moe_report_scaling(const moe_analysis *analysis, FILE *out)
{
    const moe_sheet to = {.out = out};
    if (analysis->scaling.strategies == 0)
        return;
    fprintf(out,
            "%zu runs of %s; efficiency: tokens per second and GPU, over "
            "that of the fewest GPUs\n",
            analysis->n, analysis->run[0].view->model);
    moe_sheet_scaling(&to, analysis);
    fputc('\n', out);
}
