/* data.h: the data of a figure: CSV of numbers and names.
 *
 * Rows fill from left to right, and end by themselves. What numbers a column
 * spans is kept, as axes must show it.
 */
#ifndef MOEGPS_FIGURES_DATA_H
#define MOEGPS_FIGURES_DATA_H

#include <stddef.h>
#include <stdio.h>

#include "axis.h"

enum { MOE_DATA_COLUMNS = 24 };

typedef struct moe_plot_data {
    FILE *out;
    FILE *tips; /* texts, each with a zero at its end; NULL: none are kept */
    size_t n_tips;
    int n, at; /* columns; the one that comes next */
    moe_axis span[MOE_DATA_COLUMNS];
} moe_plot_data;

/* Name the columns: some, "a,b,c", and one whose name is from a file. */
void moe_data_columns(moe_plot_data *to, const char *names);
void moe_data_column(moe_plot_data *to, const char *name);

/* Write the next field; NaN is empty. */
void moe_data_number(moe_plot_data *to, double x);
void moe_data_numbers(moe_plot_data *to, const double *x, size_t n);

/* Fields are quoted where they must be. gnuplot ends a field at the first
 * quote: those within are single ones. */
void moe_data_text(moe_plot_data *to, const char *text);

/* What a reader who points at a place of the figure is told. Templates draw it as
 * an invisible point, one for each text, in the order of these calls. */
void moe_data_tip(moe_plot_data *to, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* @return what columns from `first` to `last`, as gnuplot counts them, span. */
moe_axis moe_data_span(const moe_plot_data *data, int first, int last);

#endif
