/** table.h: aligned text tables for the terminal.
 *
 *  A table is columns with a heading and a unit, then cells row by row. It is
 *  printed to a FILE as text, CSV or HTML; the same cells feed all. */
#ifndef MOEGPS_TABLE_H
#define MOEGPS_TABLE_H

#include <stdio.h>

#include "moegps/status.h"

typedef enum moe_align { MOE_LEFT, MOE_RIGHT } moe_align;

typedef struct moe_column {
    const char *heading;
    const char *unit; /* printed under the heading; NULL: none */
    moe_align align;
} moe_column;

typedef struct moe_table moe_table;

/** @param columns  [n_columns], borrowed until free. NULL when out of memory;
 *  every function accepts NULL and does nothing. */
moe_table *moe_table_new(const moe_column *columns, size_t n_columns);
void moe_table_free(moe_table *table);

/** Append one cell; rows fill from left to right. Text is copied. */
void moe_table_cell(moe_table *table, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Append a number with `digits` significant digits; NaN prints as "n/a". */
void moe_table_number(moe_table *table, double value, int digits);

/** Print aligned; widths count characters, not bytes (UTF-8), nor colours
 *  ("ESC [ ... m"). */
void moe_table_print(const moe_table *table, FILE *out);

/** Print as CSV (quoting of RFC 4180, lines end with LF): heading_unit row,
 *  then rows; "n/a" becomes empty. */
void moe_table_csv(const moe_table *table, FILE *out);

/** Print as an HTML table: units are small print in the headings, the first
 *  cell of a row is its heading, text is escaped. */
void moe_table_html(const moe_table *table, FILE *out);

/** Write a number as moe_table_number() prints it: "12.3", "0.00120", fixed
 *  point from 1e-4 to 1e9. */
void moe_format_number(double value, int digits, char *text, size_t size);

/** Write a time with a fitting unit: "12.3 us", "1.20 ms"; NaN is "n/a". */
void moe_format_time(double s, char *text, size_t size);

/** Write a size: "1.5 MiB". */
void moe_format_bytes(double bytes, char *text, size_t size);

#endif
