/** csv.h: a table of text with a header, in memory.
 *
 *  Read by rows.h, so in any form that it understands. Every complaint names
 *  file and line.
 */
#ifndef MOEGPS_CSV_H
#define MOEGPS_CSV_H

#include <stddef.h>

#include "moegps/status.h"

typedef struct moe_csv {
    char *path;   /* for messages */
    char **field; /* [1 + n_rows][n_columns]; the header comes first. A row is
                     one text, which its first field owns */
    size_t *line; /* [1 + n_rows] 1-based */
    size_t n_columns, n_rows;
} moe_csv;

/** Read a file. Not collective.
 *  @param out  zero-initialised; release with moe_csv_free() in any case.
 *  @return MOE_OK, MOE_USAGE (not readable), MOE_FORMAT (empty, a column
 *  twice, a row with more or fewer fields), MOE_NOMEM. */
moe_status moe_csv_read(const char *path, moe_csv *out, moe_error *err);
void moe_csv_free(moe_csv *csv);

/** @return the column of this name in any case, `_` standing for blanks and
 *  dashes, or -1. */
int moe_csv_find(const moe_csv *csv, const char *name);

/** As moe_csv_find(), but a missing column is an error. */
int moe_csv_column(const moe_csv *csv, const char *name, moe_error *err);

/** @return a field of data row `row`, 0-based. */
const char *moe_csv_text(const moe_csv *csv, size_t row, int column);

/** Read a field as a decimal number of [min, max]; no blanks, no sign but '-',
 *  no 0x10. MOE_USAGE with path:line, column,
 *  text and what is allowed.
 *  @return the number; 0 after an error, and when `err` holds one already. */
double moe_csv_number(const moe_csv *csv, size_t row, int column, double min,
                      double max, moe_error *err);

/** As moe_csv_number(), whole numbers only. */
int moe_csv_int(const moe_csv *csv, size_t row, int column, int min, int max,
                moe_error *err);

/** Put path:line in front of an error about a data row. */
void moe_csv_blame(const moe_csv *csv, size_t row, moe_error *err);

#endif
