/* SPDX-License-Identifier: Apache-2.0 */
#include "legend.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "moegps/mem.h"
#include "moegps/plots.h"
#include "script.h"

enum {
    MARGIN = 10,      /* pixels around a figure */
    LINE_HEIGHT = 19, /* of the legend */
    GLYPH = 24,       /* of what stands before a text of it */
    GAP = 16,         /* behind the text */
    SOLID_SERIES = 10 /* further ones are dashed */
};

/* Of a character, pixels; names are rather of narrow letters. */
static const double CHARACTER = 7.2;

void moe_legend_add(moe_legend *legend, const char *name, moe_legend_look look,
                    int colour, int kind)
{
    assert(legend->n < MOE_LEGEND_ENTRIES);
    legend->entry[legend->n++] = (moe_legend_entry){name, look, colour, kind};
}

static int width_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return (int)ceil(n * CHARACTER);
}

/* Where entries stand: pixels from the left, and the line. @return lines. */
static int flow(const moe_legend *legend, int *x, int *line)
{
    int at = MARGIN, lines = 0;
    for (int k = 0; k < legend->n; k++) {
        const char *name = legend->entry[k].name;
        const int width = name[0] != '\0' ? GLYPH + width_of(name) + GAP : 0;
        if (k > 0 && width > 0 && at + width - GAP > MOE_PLOT_WIDTH - MARGIN) {
            at = MARGIN;
            lines++;
        }
        x[k] = at;
        line[k] = lines;
        at += width;
    }
    return legend->n > 0 ? lines + 1 : 0;
}

void moe_legend_put(const moe_legend *legend, const char *y_title, int below,
                    FILE *to)
{
    static const char *const looks[] = {"box", "line", "point"};
    int x[MOE_LEGEND_ENTRIES], line[MOE_LEGEND_ENTRIES];
    int colour[MOE_LEGEND_ENTRIES], kind[MOE_LEGEND_ENTRIES];
    const char *look[MOE_LEGEND_ENTRIES], *name[MOE_LEGEND_ENTRIES];
    const int n = legend->n, lines = flow(legend, x, line);
    const int all_lines = lines + (y_title[0] != '\0');
    const int top =
        MARGIN + (all_lines > 0 ? LINE_HEIGHT * all_lines + MARGIN : 0);
    for (int k = 0; k < n; k++) {
        const moe_legend_entry *e = &legend->entry[k];
        look[k] = e->name[0] != '\0' ? looks[e->look] : "";
        colour[k] = e->colour;
        kind[k] = e->kind;
        name[k] = e->name;
    }
    moe_script_number(to, "width", MOE_PLOT_WIDTH);
    moe_script_number(to, "height", top + below);
    moe_script_number(to, "top", top);
    moe_script_text(to, "y_title", "%s", y_title);
    moe_script_number(to, "n_legend", n);
    moe_script_number(to, "legend_lines", lines);
    moe_script_texts(to, "legend_look", look, n);
    moe_script_integers(to, "legend_colour", colour, n);
    moe_script_integers(to, "legend_kind", kind, n);
    moe_script_integers(to, "legend_x", x, n);
    moe_script_integers(to, "legend_line", line, n);
    moe_script_texts(to, "legend_name", name, n);
}

/* ---- curves and points ---- */

int moe_plot_series(const moe_view *view)
{
    const int n = view->dims.strategies;
    return n < MOE_PLOT_SERIES ? n : MOE_PLOT_SERIES;
}

enum { REFERENCE = 1, FORECAST, TOKENS, ORACLE, OTHERS };

static int role_of(const moe_view *view, int s)
{
    const moe_strategy_facts *facts = &view->strategy[s].facts;
    return s == view->reference_index ? REFERENCE
           : facts->knows_future      ? ORACLE
           : facts->foretells_tokens  ? TOKENS
                                      : FORECAST;
}

void moe_strategy_colours(const moe_view *view, int *colour_out)
{
    bool taken[OTHERS] = {false};
    const int n = view->dims.strategies;
    int next = OTHERS;
    for (int s = 0; s < n; s++) {
        const int role = role_of(view, s);
        colour_out[s] = taken[role] ? 0 : role;
        taken[role] = true;
    }
    for (int s = 0; s < n; s++) {
        if (colour_out[s] != 0)
            continue;
        colour_out[s] = next++;
        if (next > MOE_PLOT_COLOURS)
            next = OTHERS;
    }
}

int moe_series_dash(int series)
{
    return series < SOLID_SERIES ? 1 : 4;
}

int moe_point_type(int i)
{
    static const int types[] = {7, 9, 5, 11, 13, 6, 8, 4, 10, 12};
    return types[i % (int)MOE_ARRAY_LEN(types)];
}

void moe_legend_series(moe_legend *legend, const moe_view *view)
{
    int colour[MOE_MAX_STRATEGIES];
    moe_strategy_colours(view, colour);
    for (int s = 0; s < moe_plot_series(view); s++)
        moe_legend_add(legend, view->strategy[s].name, MOE_LEGEND_LINE,
                       colour[s], moe_series_dash(s));
}
