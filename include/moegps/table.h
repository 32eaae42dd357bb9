/** table.h: columns with a heading and a unit, then cells row by row; the same
 *  cells feed a terminal and a page.
 *
 *  Bars and sparklines are a terminal's: pages leave their columns out.
 */
#ifndef MOEGPS_TABLE_H
#define MOEGPS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "moegps/cells.h"
#include "moegps/stats.h"

typedef enum moe_align { MOE_LEFT, MOE_RIGHT } moe_align;

typedef struct moe_column {
    const char *heading;
    const char *unit; /* printed under the heading; NULL: none */
    moe_align align;
} moe_column;

/** How a text is told from others: on a terminal by its colour. */
typedef enum moe_hue {
    MOE_HUE_NONE,
    MOE_HUE_BOLD,
    MOE_HUE_GOOD,
    MOE_HUE_BAD,
    MOE_HUE_NOTE
} moe_hue;

typedef struct moe_table moe_table;

/** @param columns  [n_columns], copied. NULL when out of memory; every function
 *  accepts NULL and does nothing. A table that lost a cell to a lack of memory
 *  is not written: a shifted row would be a lie. */
moe_table *moe_table_new(const moe_column *columns, size_t n_columns);
void moe_table_free(moe_table *table);

/** Print the columns behind the first `n` in blocks of at most `most` on a
 *  terminal, below each other, each beside the first `n`. A page has them all
 *  beside each other. */
void moe_table_fold(moe_table *table, size_t n, size_t most);

/** Append one cell; rows fill from left to right. Text is copied, and cut
 *  after 511 bytes. */
void moe_table_cell(moe_table *table, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** The same of a number, as cells.h has them. */
void moe_table_put(moe_table *table, moe_cell cell);

/** "low .. high", as `cell` shows either. */
void moe_table_interval(moe_table *table, moe_cell (*cell)(double x),
                        double low, double high);

/** A name; lines of a terminal end, so that there it is cut to `most` bytes. */
void moe_table_name(moe_table *table, const char *name, int most);

/** A ratio and its interval: two cells, the first good or bad where the
 *  interval excludes 1. */
void moe_table_ratio(moe_table *table, const moe_ratio *ratio);

/** A bar of a share (0 to 1), so many characters where that is 1. */
void moe_table_bar(moe_table *table, double share, int length);

/** How numbers go, each by its place between the least and the largest, in at
 *  most `length` characters. @param x  [n], copied */
void moe_table_spark(moe_table *table, const double *x, size_t n, int length);

#endif
