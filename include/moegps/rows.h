/** rows.h: a table of text, row by row, as programs write it.
 *
 *  Reads files of any size in memory of a few lines. Understands commas, tabs
 *  and semicolons between fields, quotes, a byte-order mark, line ends of any
 *  system, blank lines and comments (`#`). Which column means what is not
 *  decided here.
 */
#ifndef MOEGPS_ROWS_H
#define MOEGPS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

typedef struct moe_rows moe_rows;

/** Open a file; its first line that is no comment says what separates fields:
 *  comma, tab or semicolon, whichever it has most of. Not collective.
 *  @param path  borrowed while the table is open.
 *  @param out   close with moe_rows_close().
 *  @return MOE_OK, MOE_USAGE (not readable, or a pipe: tables are read twice),
 *  MOE_FORMAT (empty), MOE_NOMEM. */
moe_status moe_rows_open(const char *path, moe_rows **out, moe_error *err);
void moe_rows_close(moe_rows *rows);

/** Go to the next row. Blank lines and comments are passed over.
 *  @return false at the end of the file, and after an error: MOE_FORMAT (an
 *  open quote, a zero byte), MOE_IO, MOE_NOMEM. */
bool moe_rows_next(moe_rows *rows, moe_error *err);

/** Go back before the first row. */
moe_status moe_rows_rewind(moe_rows *rows, moe_error *err);

/** @return fields of the row. */
size_t moe_rows_width(const moe_rows *rows);

/** @return a field without its quotes and outer blanks; valid until the next
 *  row. */
const char *moe_rows_field(const moe_rows *rows, size_t column);

/** @return the row's line, from 1. */
uint64_t moe_rows_line(const moe_rows *rows);

/** @return ',', '\t' or ';'. */
char moe_rows_separator(const moe_rows *rows);

/** @return the comment right before the row, without `#` and outer blanks; ""
 *  where there is none. Valid until the next row. */
const char *moe_rows_comment(const moe_rows *rows);

enum { MOE_COLUMN_NAME_LEN = 64 };

/** Write a column's name in small letters with `_` for blanks and dashes, cut
 *  to its length. @param out  [MOE_COLUMN_NAME_LEN]. @return it. */
char *moe_column_name(const char *name, char *out);

/** Parse a whole number; 40.0 is one. @return whether it is one of 0..most. */
bool moe_text_whole(const char *text, uint64_t most, uint64_t *out);

/** Parse a finite number >= 0, without sign; a whole one up to 2^53, so that it
 *  is exact. @return whether it is one. */
bool moe_text_load(const char *text, double *out);

#endif
