/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet.h"

#include <stdlib.h>

#include "cells.h"
#include "moegps/mem.h"

enum {
    LINE_LEN = 48,  /* characters of a sparkline */
    MIN_SAMPLES = 4 /* fewer go nowhere */
};

void moe_sheet_samples(const moe_sheet *to, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"least", NULL, MOE_RIGHT},
        {"largest", NULL, MOE_RIGHT},
        {"from the first to the last sample", NULL, MOE_LEFT},
    };
    const moe_clock clock = run->verdict.clock;
    double *x = moe_array_new((size_t)view->dims.iterations, sizeof *x, NULL);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    size_t most = 0;
    for (int s = 0; x != NULL && s < view->dims.strategies; s++) {
        const moe_strategy_view *y = &view->strategy[s];
        const size_t n = moe_view_measured(view, s, clock, x);
        most = n > most ? n : most;
        moe_table_cell(table, "%s",
                       moe_name_cell(y->name, moe_sheet_name_len(to)).text);
        moe_table_cell(table, "%s", moe_time_cell(y->summary[clock].min).text);
        moe_table_cell(table, "%s", moe_time_cell(y->summary[clock].max).text);
        moe_table_cell(table, "%s",
                       moe_ink_spark(&to->ink, x, n, LINE_LEN).text);
    }
    char title[128];
    snprintf(title, sizeof title,
             "Samples, %s clock (%s), each line from its least to its largest",
             moe_clock_name(clock), moe_clock_origin(clock));
    if (most >= MIN_SAMPLES)
        moe_sheet_table(to, title, NULL, table);
    else
        moe_table_free(table);
    free(x);
}
