/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

enum {
    SIDE = 17,    /* rows and columns of a table; of more some are shown */
    NAME_LEN = 24 /* characters of a cluster */
};

/* Cases are of errors that are described. Of a trace the batches themselves were
 * priced, with the errors that forecasts of them have. */
void moe_say_map_shares(moe_document *doc, const moe_map *map)
{
    const bool traced = map->trace[0] != '\0';
    const int first = traced ? MOE_MAP_CASE : 0;
    const int end = traced ? MOE_MAP_CASE + 1 : MOE_ADVISE_CASES;
    static const moe_column columns[] = {
        {"cluster", NULL, MOE_LEFT},
        {"case", NULL, MOE_LEFT},
        {"baseline", NULL, MOE_RIGHT},
        {"distribution-only", NULL, MOE_RIGHT},
        {"token-to-expert", NULL, MOE_RIGHT},
    };
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Share of cells that each strategy wins (modelled)");
    moe_doc_say(doc, MOE_DOC_UNDER,
                traced ? "batches as they came, no error cases; their spread "
                         "is shown by moegps advise"
                       : "cases: errors do nothing, what they do on average to "
                         "the busiest GPU, or the worst");
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int c = 0; c < map->n_cluster; c++)
        for (int e = first; e < end; e++) {
            moe_table_name(t, map->cluster[c].name, NAME_LEN);
            moe_table_cell(t, "%s",
                           traced ? "as they came"
                                  : moe_advise_case_name((moe_advise_case)e));
            for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
                moe_table_put(t, moe_percent_cell(
                                     moe_map_share(map, c, (moe_advise_case)e,
                                                   (moe_advise_strategy)s)));
        }
}

/* Fast links on top, as in the figure. */
static void put_rows(const moe_map_slice *x, moe_table *t)
{
    static const char letters[] = "BDTO";
    for (int i = 0; i < x->n_row; i++) {
        const int j = x->map->own_links ? i : x->n_row - 1 - i;
        if (x->map->own_links)
            moe_table_name(t, x->map->cluster[x->row[j]].name, NAME_LEN);
        else
            moe_table_put(t,
                          moe_value_cell(moe_map_slice_bandwidth(x, j) * 1e-9));
        for (int k = 0; k < x->n_skew; k++) {
            const size_t at = moe_map_slice_at(x, k, j);
            moe_table_cell(t, "%c %.1f", letters[x->map->winner[at]],
                           fmin(100 * x->map->margin[at], 999.9));
        }
    }
}

static void say_slice(moe_document *doc, const moe_map_slice *x)
{
    const bool own = x->map->own_links;
    moe_cell cell[SIDE];
    moe_column column[SIDE + 1] = {
        {own ? "cluster" : "GB/s", NULL, own ? MOE_LEFT : MOE_RIGHT}};
    char name[160];
    for (int k = 0; k < x->n_skew; k++) {
        cell[k] = moe_value_cell(moe_map_slice_skew(x, k));
        column[k + 1] = (moe_column){cell[k].text, NULL, MOE_RIGHT};
    }
    moe_map_slice_name(x, name, sizeof name);
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Winner, and its margin in %%, by skewness%s%s",
                name[0] != '\0' ? ", " : "", name);
    if (x->n_skew < x->all_skew || x->n_row < x->all_row)
        moe_doc_say(doc, MOE_DOC_UNDER, "%d of %d columns and %d of %d rows",
                    x->n_skew, x->all_skew, x->n_row, x->all_row);
    put_rows(x, moe_doc_table(doc, NULL, column, (size_t)x->n_skew + 1));
}

void moe_say_map_tables(moe_document *doc, const moe_map *map,
                        moe_advise_case c, moe_error *err)
{
    const size_t n = moe_map_slices(map);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "B baseline, D distribution-only, T token-to-expert; %s "
                "case.",
                moe_advise_case_name(c));
    for (size_t i = 0; i < n && i < MOE_MAP_TABLES; i++) {
        moe_map_slice x;
        if (moe_map_slice_init(&x, map, c, i, SIDE, err) != MOE_OK)
            return;
        if (i == 1)
            moe_doc_say(doc, MOE_DOC_FOLD, "Other tables");
        say_slice(doc, &x);
        moe_map_slice_fini(&x);
    }
    if (n > 1)
        moe_doc_end(doc);
}

void moe_say_map_flips(moe_document *doc, const moe_map *map, moe_advise_case c,
                       moe_error *err)
{
    const size_t n = moe_map_slices(map);
    moe_doc_say(doc, MOE_DOC_LIST,
                "Where the verdict flips, %s case (modelled):",
                moe_advise_case_name(c));
    for (size_t i = 0; i < n && i < MOE_MAP_TABLES; i++) {
        moe_map_slice x;
        char text[1024] = "";
        if (moe_map_slice_init(&x, map, c, i, 0, err) != MOE_OK)
            return;
        moe_map_slice_say(&x, text, sizeof text);
        moe_doc_say(doc, MOE_DOC_ITEM, "%s", text);
        moe_map_slice_fini(&x);
    }
    if (n > MOE_MAP_TABLES)
        moe_doc_say(doc, MOE_DOC_ITEM, "and %zu more: -o DIR or --csv has them",
                    n - MOE_MAP_TABLES);
}
