/* legend.h: what stands above a figure: a legend, and the name of its y axis,
 * which would be longer than a low figure is high.
 *
 * gnuplot would give a legend room by guess; here its entries flow like words,
 * in pixels of the SVG, of which the PDF is a copy.
 */
#ifndef MOEGPS_FIGURES_LEGEND_H
#define MOEGPS_FIGURES_LEGEND_H

#include <stdio.h>

#include "moegps/ledger.h"
#include "moegps/view.h"

enum {
    MOE_PLOT_WIDTH = 408, /* pixels: its letters are legible on a telephone */
    MOE_LEGEND_ENTRIES = MOE_MAX_STRATEGIES + 2,
    MOE_PLOT_GREY = 0, /* instead of a colour */
    MOE_PLOT_COLOURS = 10
};

typedef enum moe_legend_look {
    MOE_LEGEND_BOX,
    MOE_LEGEND_LINE,
    MOE_LEGEND_POINT
} moe_legend_look;

typedef struct moe_legend_entry {
    const char *name; /* borrowed */
    moe_legend_look look;
    int colour; /* 1 ..: of palette.h; or MOE_PLOT_GREY */
    int kind;   /* a line's dashtype, a point's pointtype, a box's number */
} moe_legend_entry;

/* What a figure draws, and how: templates draw by it, too. */
typedef struct moe_legend {
    moe_legend_entry entry[MOE_LEGEND_ENTRIES];
    int n;
} moe_legend;

/* @param name  outlives the legend; "": it is drawn, but not named. */
void moe_legend_add(moe_legend *legend, const char *name, moe_legend_look look,
                    int colour, int kind);

/* Add a line for each strategy that has a curve. */
void moe_legend_series(moe_legend *legend, const moe_view *view);

/* Write the legend's variables, and the size of the figure.
 * @param y_title  "": none
 * @param below    pixels of what is below the legend */
void moe_legend_put(const moe_legend *legend, const char *y_title, int below,
                    FILE *to);

/* ---- curves and points that are told apart ---- */

/* A strategy has one colour in all figures of a run, and in maps: the reference
 * the first, then what forecasts loads, what foretells tokens, and oracles; the
 * first of each. Others follow in their order.
 * @param colour_out  [dims.strategies] 1 .. MOE_PLOT_COLOURS */
void moe_strategy_colours(const moe_view *view, int *colour_out);

/* Of a strategy's curve: where there are more of them than colours. */
int moe_series_dash(int series);

/* A pointtype for each of a few. */
int moe_point_type(int i);

#endif
