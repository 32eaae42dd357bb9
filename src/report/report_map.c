/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include "map_words.h"
#include "words.h"

static void put_fact(const char *name, const char *text, void *arg)
{
    char label[16];
    snprintf(label, sizeof label, "%-11s ", name);
    moe_print_wrapped(label, text, arg);
}

/* A line per slice; as many as are figures of one map and more would be. */
static void print_flips(const moe_map *map, FILE *out, moe_error *err)
{
    enum { LINES = 12 };
    const size_t n = moe_map_slices(map);
    for (size_t i = 0; i < n && i < LINES && err->status == MOE_OK; i++) {
        moe_map_slice x;
        char text[1024] = "";
        if (moe_map_slice_init(&x, map, MOE_MAP_CASE, i, 0, err) != MOE_OK)
            return;
        moe_map_slice_say(&x, text, sizeof text);
        moe_print_wrapped("  ", text, out);
        moe_map_slice_fini(&x);
    }
    if (n > LINES)
        fprintf(out, "  and %zu more: -o DIR or --csv has them\n", n - LINES);
}

static void print_foms(const moe_map *map, FILE *out)
{
    for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
        for (int c = 0; c < map->n_cluster; c++)
            fprintf(
                out, "FOM map_share_%s %s = %.9g 1\n",
                moe_advise_strategy_name((moe_advise_strategy)s),
                map->cluster[c].name,
                moe_map_share(map, c, MOE_MAP_CASE, (moe_advise_strategy)s));
}

moe_status moe_report_map(const moe_map *map, FILE *out, moe_error *err)
{
    const moe_sheet to = {.out = out};
    moe_error local = {0};
    char text[2048];
    moe_map_title(map, text, sizeof text);
    fprintf(out, "%s\n\n", text);
    moe_map_facts(map, put_fact, out);
    fputc('\n', out);
    moe_report_map_cells(map, MOE_MAP_CASE, out);
    moe_sheet_map_shares(&to, map);
    fputs("\nWhere the verdict flips, typical case (modelled):\n", out);
    print_flips(map, out, &local);
    fputc('\n', out);
    print_foms(map, out);
    fputs("RESULT: VALID\n", out);
    return moe_pass(err, &local);
}
