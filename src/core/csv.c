/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"

/* Cut one field off, ending it with a NUL. @return the rest of the line, or
 * NULL after its last field. */
static char *cut_field(char *text)
{
    bool quoted = false;
    for (; *text != '\0' && (quoted || *text != ','); text++)
        if (*text == '"')
            quoted = !quoted;
    if (*text == '\0')
        return NULL;
    *text = '\0';
    return text + 1;
}

static size_t count_fields(const char *line)
{
    size_t n = 1;
    bool quoted = false;
    for (; *line != '\0'; line++) {
        if (*line == '"')
            quoted = !quoted;
        n += *line == ',' && !quoted;
    }
    return n;
}

static moe_status check_header(const moe_csv *csv, moe_error *err)
{
    for (size_t i = 0; i < csv->n_columns; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(csv->field[i], csv->field[j]) == 0)
                return moe_fail(err, MOE_FORMAT, "%s:%zu: column '%s' twice",
                                csv->path, csv->line[0], csv->field[i]);
    return MOE_OK;
}

/* Take one line in, without its end. */
static moe_status add_line(moe_csv *csv, char *line, size_t number,
                           moe_error *err)
{
    size_t n = count_fields(line);
    bool header = csv->field == NULL;
    if (header)
        csv->n_columns = n;
    if (n != csv->n_columns)
        return moe_fail(err, MOE_FORMAT,
                        "%s:%zu: %zu fields where the header has %zu",
                        csv->path, number, n, csv->n_columns);
    size_t rows = header ? 0 : csv->n_rows + 1; /* with the header */
    if ((rows & (rows - 1)) == 0) {             /* 0, 1, 2, 4, ... */
        size_t room = rows > 0 ? 2 * rows : 1;
        char **field = realloc(csv->field, room * n * sizeof *field);
        if (field != NULL)
            csv->field = field;
        size_t *lines = realloc(csv->line, room * sizeof *lines);
        if (lines != NULL)
            csv->line = lines;
        if (field == NULL || lines == NULL)
            return moe_fail(err, MOE_NOMEM, "%s: out of memory", csv->path);
    }
    csv->line[rows] = number;
    for (size_t i = 0; i < n; i++) {
        csv->field[rows * n + i] = line;
        line = cut_field(line);
    }
    csv->n_rows = rows;
    return header ? check_header(csv, err) : MOE_OK;
}

moe_status moe_csv_read(const char *path, moe_csv *out, moe_error *err)
{
    moe_status status = moe_read_text(path, &out->text, err);
    if (status != MOE_OK)
        return status;
    out->path = moe_strdup(path, err);
    if (out->path == NULL)
        return MOE_NOMEM;
    char *line = out->text;
    for (size_t number = 1; line != NULL && status == MOE_OK; number++) {
        char *end = strchr(line, '\n'), *next = NULL;
        if (end != NULL) {
            next = end + 1;
            *end = '\0';
        }
        size_t len = strlen(line);
        if (len > 0 && line[len - 1] == '\r')
            line[--len] = '\0';
        if (len > 0)
            status = add_line(out, line, number, err);
        line = next;
    }
    if (status == MOE_OK && out->field == NULL)
        status = moe_fail(err, MOE_FORMAT, "%s:1: no header", path);
    return status;
}

void moe_csv_free(moe_csv *csv)
{
    free(csv->path);
    free(csv->text);
    free(csv->field);
    free(csv->line);
    *csv = (moe_csv){0};
}

int moe_csv_find(const moe_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->n_columns; i++)
        if (strcmp(csv->field[i], name) == 0)
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
