/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet.h"

#include <math.h>
#include <stdio.h>

#include "cells.h"
#include "moegps/mem.h"

static moe_cell won_cell(double won_s)
{
    /* Less than the shortest tick of any clock is what floating point loses. */
    const moe_cell time = moe_time_cell(fabs(won_s) < 1e-12 ? 0 : fabs(won_s));
    moe_cell cell;
    snprintf(cell.text, sizeof cell.text, "%s%.32s", won_s <= -1e-12 ? "-" : "",
             time.text);
    return cell;
}

void moe_sheet_stages(const moe_sheet *to, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    const moe_sensitivity *sensitivity = &run->sensitivity;
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"split", "minmax", MOE_RIGHT},
        {"prediction", "truth", MOE_RIGHT},
        {"planner", "best", MOE_RIGHT},
        {"room", "bound", MOE_RIGHT},
        {"exchange", "none", MOE_RIGHT},
        {"together", "of a layer", MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT},
    };
    const size_t name_len = moe_sheet_name_len(to);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    bool any = false;
    size_t n = 0; /* samples */
    for (int s = 0; s < view->dims.strategies && sensitivity->known; s++) {
        const double *t = sensitivity->stage_s + s * MOE_N_PERFECTS;
        any = any || !isnan(t[MOE_PERFECT_EXCHANGE]);
        moe_table_cell(table, "%s",
                       moe_name_cell(view->strategy[s].name, name_len).text);
        for (int k = 1; k < MOE_N_PERFECTS; k++)
            moe_table_cell(table, "%s", won_cell(t[k - 1] - t[k]).text);
        const moe_summary *all = &sensitivity->joint_share[s];
        moe_table_cell(table, "%s", moe_percent_cell(all->median).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_percent_cell(all->ci_low),
                                         moe_percent_cell(all->ci_high))
                           .text);
        n = all->n > n ? all->n : n;
    }
    char title[256];
    snprintf(title, sizeof title,
             "What perfecting a stage would still win of a layer, each upon "
             "those before it,\ngpu clock (modelled); means over %zu samples, "
             "together: median",
             n);
    if (any)
        moe_sheet_table(to, title, NULL, table);
    else
        moe_table_free(table);
}
