/* plot_rows.h: figures with a row per strategy, the first on top, named in one or
 * two lines. */
#ifndef MOEGPS_FIGURES_PLOT_ROWS_H
#define MOEGPS_FIGURES_PLOT_ROWS_H

#include <stdio.h>

#include "moegps/view.h"

/* Write row[n_rows] and left. */
void moe_plot_rows_put(const moe_view *view, FILE *to);

/* @return pixels of all rows, and of the axis below them. */
int moe_plot_rows_height(const moe_view *view);

/* @return how many tick labels fit below rows. */
int moe_plot_rows_ticks(const moe_view *view);

#endif
