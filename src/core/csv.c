/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/csv.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/rows.h"

static moe_status check_header(const moe_csv *csv, moe_error *err)
{
    for (size_t i = 0; i < csv->n_columns; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(csv->field[i], csv->field[j]) == 0)
                return moe_fail(err, MOE_FORMAT, "%s:%zu: column '%s' twice",
                                csv->path, csv->line[0], csv->field[i]);
    return MOE_OK;
}

static moe_status make_room(moe_csv *csv, size_t rows, moe_error *err)
{
    if ((rows & (rows - 1)) != 0) /* 0, 1, 2, 4, ... */
        return MOE_OK;
    const size_t room = rows > 0 ? 2 * rows : 1;
    char **field =
        realloc(csv->field, room * csv->n_columns * sizeof *csv->field);
    if (field != NULL)
        csv->field = field;
    size_t *lines = realloc(csv->line, room * sizeof *lines);
    if (lines != NULL)
        csv->line = lines;
    return field != NULL && lines != NULL
               ? MOE_OK
               : moe_fail(err, MOE_NOMEM, "%s: out of memory", csv->path);
}

/* Take a row's fields over, as one text; the first field owns it. */
static moe_status add_row(moe_csv *csv, size_t row, const moe_rows *from,
                          moe_error *err)
{
    const size_t n = moe_rows_width(from);
    size_t bytes = 0;
    if (row == 0)
        csv->n_columns = n;
    if (n != csv->n_columns)
        return moe_fail(err, MOE_FORMAT,
                        "%s:%" PRIu64 ": %zu fields where the header has %zu",
                        csv->path, moe_rows_line(from), n, csv->n_columns);
    for (size_t i = 0; i < n; i++)
        bytes += strlen(moe_rows_field(from, i)) + 1;
    if (make_room(csv, row, err) != MOE_OK)
        return err->status;
    char *text = moe_array_new(bytes, 1, err);
    if (text == NULL)
        return err->status;
    csv->line[row] = (size_t)moe_rows_line(from);
    for (size_t i = 0; i < n; i++) {
        csv->field[row * n + i] = text;
        text = stpcpy(text, moe_rows_field(from, i)) + 1;
    }
    csv->n_rows = row;
    return row == 0 ? check_header(csv, err) : MOE_OK;
}

moe_status moe_csv_read(const char *path, moe_csv *out, moe_error *err)
{
    moe_error local = {0};
    moe_rows *rows = NULL;
    out->path = moe_strdup(path, &local);
    if (out->path != NULL && moe_rows_open(path, &rows, &local) == MOE_OK)
        for (size_t row = 0; moe_rows_next(rows, &local); row++)
            if (add_row(out, row, rows, &local) != MOE_OK)
                break;
    moe_rows_close(rows);
    return moe_pass(err, &local);
}

void moe_csv_free(moe_csv *csv)
{
    free(csv->path);
    for (size_t i = 0; csv->field != NULL && i <= csv->n_rows; i++)
        free(csv->field[i * csv->n_columns]);
    free(csv->field);
    free(csv->line);
    *csv = (moe_csv){0};
}

int moe_csv_find(const moe_csv *csv, const char *name)
{
    char wanted[MOE_COLUMN_NAME_LEN], has[MOE_COLUMN_NAME_LEN];
    moe_column_name(name, wanted);
    for (size_t i = 0; i < csv->n_columns; i++)
        if (strcmp(moe_column_name(csv->field[i], has), wanted) == 0)
            return (int)i;
    return -1;
}

int moe_csv_column(const moe_csv *csv, const char *name, moe_error *err)
{
    int column = moe_csv_find(csv, name);
    if (column < 0)
        moe_fail(err, MOE_USAGE, "%s:%zu: no column '%s'", csv->path,
                 csv->line[0], name);
    return column;
}

const char *moe_csv_text(const moe_csv *csv, size_t row, int column)
{
    return csv->field[(row + 1) * csv->n_columns + (size_t)column];
}

double moe_csv_number(const moe_csv *csv, size_t row, int column, double min,
                      double max, moe_error *err)
{
    if (err->status != MOE_OK)
        return 0;
    const char *text = moe_csv_text(csv, row, column);
    char *end;
    const double value = strtod(text, &end);
    const char *first = text + (*text == '-');
    if (strspn(first, "0123456789") + (*first == '.') > 0 &&
        strspn(first, "0123456789+-.eE") == strlen(first) && *end == '\0' &&
        value >= min && value <= max)
        return value;
    moe_fail(err, MOE_USAGE,
             "%s:%zu: %s: '%.40s' is not a number in %.12g..%.12g", csv->path,
             csv->line[row + 1], csv->field[column], text, min, max);
    return 0;
}

int moe_csv_int(const moe_csv *csv, size_t row, int column, int min, int max,
                moe_error *err)
{
    const double value = moe_csv_number(csv, row, column, min, max, err);
    if (value < floor(value) || value > floor(value)) {
        moe_fail(err, MOE_USAGE, "%s:%zu: %s: '%.40s' is not whole", csv->path,
                 csv->line[row + 1], csv->field[column],
                 moe_csv_text(csv, row, column));
        return 0;
    }
    return (int)value;
}

void moe_csv_blame(const moe_csv *csv, size_t row, moe_error *err)
{
    moe_error_prefix(err, "%s:%zu", csv->path, csv->line[row + 1]);
}
