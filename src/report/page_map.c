/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <stdlib.h>

#include "map_words.h"
#include "moegps/html.h"

enum {
    TABLES = 12, /* of one map */
    SIDE = 17    /* rows and columns of a table; of more some are shown */
};

static void put_item(FILE *out, const char *text)
{
    moe_html_in(out, "li", text);
}

void moe_page_map_top(const moe_map *map, FILE *out)
{
    char text[2048] = "";
    moe_map_say(map, text, sizeof text);
    fputs("<p class=\"verdict\"><span class=\"badge VALID\">VALID</span> ",
          out);
    moe_html_text(text, out);
    fputs("</p>\n<ul class=\"warnings\">\n", out);
    put_item(out, "Everything here is modelled, nothing was measured. VALID "
                  "says that the file was read whole and agrees with itself.");
    if (map->paper)
        put_item(out, "Copies are as MoE-GPS assumes: they neither travel nor "
                      "cost the reading of their weights.");
    if (!map->own_links)
        put_item(out, "Links other than a cluster's own are its prices scaled, "
                      "not links that somebody measured.");
    fputs("</ul>\n", out);
}

/* Tables of the typical case, the first open. */
static void put_tables(const moe_map *map, FILE *out, moe_error *err)
{
    const moe_sheet to = {.out = out, .html = true};
    const size_t n = moe_map_slices(map);
    fputs("<p>B baseline, D distribution-only, T token-to-expert; typical case."
          "</p>\n",
          out);
    for (size_t i = 0; i < n && i < TABLES && err->status == MOE_OK; i++) {
        moe_map_slice x;
        if (moe_map_slice_init(&x, map, MOE_MAP_CASE, i, SIDE, err) != MOE_OK)
            return;
        if (i == 1)
            fputs("<details><summary>Other tables</summary>\n", out);
        moe_sheet_map_slice(&to, &x);
        moe_map_slice_fini(&x);
    }
    fputs(n > 1 ? "</details>\n" : "", out);
}

/* What the page leaves out, and where it is. */
static void put_left_out(const moe_map *map, FILE *out)
{
    const size_t n = moe_map_slices(map);
    fputs("<p class=\"soft\">", out);
    if (n > MOE_PLOT_SLICES)
        fprintf(out, "Figures: %d of %zu. ", MOE_PLOT_SLICES, n);
    if (n > TABLES)
        fprintf(out, "Tables: %d of %zu. ", TABLES, n);
    fputs("Every cell of every case: maps.csv, report.json.</p>\n", out);
}

static void put_row(const char *name, const char *text, void *arg)
{
    fputs("<tr>", arg);
    moe_html_in(arg, "th scope=\"row\"", name);
    moe_html_in(arg, "td", text);
    fputs("</tr>\n", arg);
}

void moe_page_map_rest(const moe_map *map, FILE *out, moe_error *err)
{
    const moe_sheet to = {.out = out, .html = true};
    fputs("<h2>Who wins how much</h2>\n", out);
    moe_sheet_map_shares(&to, map);
    put_tables(map, out, err);
    put_left_out(map, out);
    fputs("<h2>Provenance</h2>\n<div class=\"wide\" tabindex=\"0\">"
          "<table class=\"facts\"><tbody>\n",
          out);
    moe_map_facts(map, put_row, out);
    fputs("</tbody></table></div>\n<h2>How to reproduce</h2>\n", out);
    if (map->command_line == NULL) {
        moe_html_in(out, "p", "The file does not say how it was made.");
        return;
    }
    fputs("<p>Build ", out);
    moe_html_text(map->version, out);
    fputs(" and sweep again; the numbers repeat.</p>\n", out);
    moe_html_in(out, "pre", map->command_line);
}
