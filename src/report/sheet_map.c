/* SPDX-License-Identifier: Apache-2.0 */
#include "map_words.h"

#include <math.h>
#include <stdlib.h>

#include "cells.h"
#include "moegps/mem.h"

void moe_sheet_map_shares(const moe_sheet *to, const moe_map *map)
{
    static const moe_column columns[] = {
        {"cluster", NULL, MOE_LEFT},
        {"case", NULL, MOE_LEFT},
        {"baseline", NULL, MOE_RIGHT},
        {"distribution-only", NULL, MOE_RIGHT},
        {"token-to-expert", NULL, MOE_RIGHT},
    };
    const size_t name_len = moe_sheet_name_len(to);
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int c = 0; c < map->n_cluster; c++)
        for (int e = 0; e < MOE_ADVISE_CASES; e++) {
            moe_table_cell(table, "%s",
                           moe_name_cell(map->cluster[c].name, name_len).text);
            moe_table_cell(table, "%s",
                           moe_advise_case_name((moe_advise_case)e));
            for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
                moe_table_cell(
                    table, "%s",
                    moe_percent_cell(moe_map_share(map, c, (moe_advise_case)e,
                                                   (moe_advise_strategy)s))
                        .text);
        }
    moe_sheet_table(
        to, "Share of cells that each strategy wins (modelled)",
        "cases: errors do nothing, what they do on average to the busiest GPU, "
        "or the worst",
        table);
}

static void put_head(const moe_map_slice *x, moe_cell *cell, moe_column *column)
{
    column[0] = (moe_column){x->map->own_links ? "cluster" : "GB/s", NULL,
                             x->map->own_links ? MOE_LEFT : MOE_RIGHT};
    for (int k = 0; k < x->n_skew; k++) {
        snprintf(cell[k].text, sizeof cell[k].text, "%.4g",
                 moe_map_slice_skew(x, k));
        column[k + 1] = (moe_column){cell[k].text, NULL, MOE_RIGHT};
    }
}

/* Fast links on top, as in the figure. */
static void put_rows(const moe_sheet *to, const moe_map_slice *x,
                     moe_table *table)
{
    static const char letters[] = "BDTO";
    for (int i = 0; i < x->n_row; i++) {
        const int j = x->map->own_links ? i : x->n_row - 1 - i;
        if (x->map->own_links)
            moe_table_cell(table, "%s",
                           moe_name_cell(x->map->cluster[x->row[j]].name,
                                         moe_sheet_name_len(to))
                               .text);
        else
            moe_table_cell(table, "%.4g", moe_map_slice_bandwidth(x, j) * 1e-9);
        for (int k = 0; k < x->n_skew; k++) {
            const size_t at = moe_map_slice_at(x, k, j);
            moe_table_cell(table, "%c %.1f", letters[x->map->winner[at]],
                           fmin(100 * x->map->margin[at], 999.9));
        }
    }
}

void moe_sheet_map_slice(const moe_sheet *to, const moe_map_slice *x)
{
    char name[160], title[256], note[160] = "";
    moe_cell *cell = moe_array_new((size_t)x->n_skew, sizeof *cell, NULL);
    moe_column *column =
        moe_array_new((size_t)x->n_skew + 1, sizeof *column, NULL);
    moe_table *table = NULL;
    if (cell == NULL || column == NULL)
        goto out;
    put_head(x, cell, column);
    table = moe_table_new(column, (size_t)x->n_skew + 1);
    put_rows(to, x, table);
    moe_map_slice_name(x, name, sizeof name);
    snprintf(title, sizeof title,
             "Winner, and its margin in %%, by skewness%s%s",
             name[0] != '\0' ? ", " : "", name);
    if (x->n_skew < x->all_skew || x->n_row < x->all_row)
        snprintf(note, sizeof note, "%d of %d columns and %d of %d rows",
                 x->n_skew, x->all_skew, x->n_row, x->all_row);
    moe_sheet_table(to, title, note[0] != '\0' ? note : NULL, table);
out:
    free(column);
    free(cell);
}
