/* plot_rows.h: figures with a row per strategy, the fastest on top: its name and a
 * number above what is drawn.
 */
#ifndef MOEGPS_FIGURES_PLOT_ROWS_H
#define MOEGPS_FIGURES_PLOT_ROWS_H

#include <stdio.h>

#include "moegps/analysis.h"
#include "moegps/cells.h"

enum {
    MOE_ROW = 40,      /* pixels of a row */
    MOE_TALL_ROW = 72, /* of one that has an axis of its own */
    MOE_ROW_TICKS = 7  /* labels that fit below rows */
};

/* Write the variables of rows.gp.
 * @param value  number that a strategy is labelled with */
void moe_plot_rows_put(const moe_run_analysis *run, int row_px,
                       moe_cell (*value)(const moe_run_analysis *run, int s),
                       FILE *to);

/* @return pixels of all rows, and of the axis below them. */
int moe_plot_rows_height(const moe_run_analysis *run, int row_px);

/* @return the median time of a layer of a strategy, on the clock that counts. */
moe_cell moe_plot_row_time(const moe_run_analysis *run, int s);

#endif
