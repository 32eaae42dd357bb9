/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet.h"

#include <math.h>
#include <stdio.h>

#include "cells.h"
#include "moegps/mem.h"

/* "67.4 us (4.3 %)" of a layer. */
static moe_cell won_cell(double won_s, double layer_s)
{
    const moe_cell time = moe_time_cell(fabs(won_s));
    moe_cell cell;
    if (isnan(won_s))
        return time;
    snprintf(cell.text, sizeof cell.text, "%s%.24s (%.1f %%)",
             won_s < 0 ? "-" : "", time.text, 100 * won_s / layer_s);
    return cell;
}

void moe_sheet_stages(const moe_sheet *to, const moe_view *view,
                      const moe_outlook *outlook)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"split", "minmax", MOE_RIGHT},
        {"prediction", "truth", MOE_RIGHT},
        {"planner", "best known", MOE_RIGHT},
        {"room", "bound", MOE_RIGHT},
        {"exchange", "in place", MOE_RIGHT},
    };
    const size_t name_len = moe_sheet_name_len(to);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    bool any = false;
    for (int s = 0; s < view->dims.strategies && outlook->known; s++) {
        const double *t = outlook->stage_s + s * MOE_N_PERFECTS;
        any = any || !isnan(t[MOE_PERFECT_ROOM]);
        moe_table_cell(table, "%s",
                       moe_name_cell(view->strategy[s].name, name_len).text);
        for (int k = 1; k < MOE_N_PERFECTS; k++)
            moe_table_cell(table, "%s", won_cell(t[k - 1] - t[k], t[0]).text);
    }
    if (any)
        moe_sheet_table(to,
                        "What perfecting a stage would still win of a layer, "
                        "one upon the other, gpu clock\n(modelled)",
                        NULL, table);
    else
        moe_table_free(table);
}
