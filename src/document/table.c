/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/plain.h"

enum { CELL_LEN = 512 /* bytes of one cell; longer text is cut */ };

static void copy_columns(moe_table *table, const moe_column *columns)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        moe_column *to = &table->columns[c];
        *to = columns[c];
        to->heading = moe_strdup(columns[c].heading, NULL);
        to->unit = to->unit != NULL ? moe_strdup(to->unit, NULL) : NULL;
        table->lost = table->lost || to->heading == NULL ||
                      (to->unit == NULL && columns[c].unit != NULL);
    }
}

moe_table *moe_table_new(const moe_column *columns, size_t n_columns)
{
    moe_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->columns = moe_array_new(n_columns, sizeof *table->columns, NULL);
    table->lost = table->columns == NULL;
    if (table->lost)
        return table;
    table->n_columns = n_columns;
    copy_columns(table, columns);
    return table;
}

void moe_table_free(moe_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cell[i].text);
        free(table->cell[i].x);
    }
    for (size_t c = 0; c < table->n_columns; c++) {
        free((char *)table->columns[c].heading);
        free((char *)table->columns[c].unit);
    }
    free(table->cell);
    free(table->columns);
    free(table);
}

void moe_table_fold(moe_table *table, size_t n, size_t most)
{
    if (table == NULL)
        return;
    table->fixed = n;
    table->most = most;
}

/* Append a cell, which belongs to the table in any case. */
static void append(moe_table *table, moe_table_entry cell)
{
    const bool whole =
        cell.kind == MOE_CELL_TEXT ? cell.text != NULL : cell.x != NULL;
    if (whole && !table->lost && table->n_cells == table->room) {
        const size_t room = table->room > 0 ? 2 * table->room : 64;
        moe_table_entry *bigger = realloc(table->cell, room * sizeof *bigger);
        table->lost = bigger == NULL;
        if (bigger != NULL) {
            table->cell = bigger;
            table->room = room;
        }
    }
    table->lost = table->lost || !whole;
    if (!table->lost) {
        table->cell[table->n_cells++] = cell;
    } else {
        free(cell.text);
        free(cell.x);
    }
}

static void append_text(moe_table *table, moe_hue hue, int most,
                        const char *text)
{
    if (table != NULL)
        append(table, (moe_table_entry){.hue = hue,
                                        .most = most,
                                        .text = moe_strdup(text, NULL)});
}

void moe_table_cell(moe_table *table, const char *fmt, ...)
{
    char text[CELL_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    append_text(table, MOE_HUE_NONE, 0, text);
}

void moe_table_put(moe_table *table, moe_cell cell)
{
    append_text(table, MOE_HUE_NONE, 0, cell.text);
}

void moe_table_interval(moe_table *table, moe_cell (*cell)(double x),
                        double low, double high)
{
    moe_table_put(table, moe_interval_cell(cell(low), cell(high)));
}

void moe_table_name(moe_table *table, const char *name, int most)
{
    append_text(table, MOE_HUE_NONE, most, name);
}

void moe_table_ratio(moe_table *table, const moe_ratio *ratio)
{
    const moe_hue hue = ratio->ci_low > 1    ? MOE_HUE_GOOD
                        : ratio->ci_high < 1 ? MOE_HUE_BAD
                                             : MOE_HUE_NONE;
    append_text(table, hue, 0, moe_number_cell(ratio->ratio).text);
    moe_table_interval(table, moe_number_cell, ratio->ci_low, ratio->ci_high);
}

static void append_strokes(moe_table *table, moe_cell_kind kind,
                           const double *x, size_t n, int length)
{
    if (table == NULL)
        return;
    double *copy = moe_array_new(n > 0 ? n : 1, sizeof *copy, NULL);
    if (copy != NULL && n > 0)
        memcpy(copy, x, n * sizeof *x);
    append(table,
           (moe_table_entry){.kind = kind, .most = length, .x = copy, .n = n});
}

void moe_table_bar(moe_table *table, double share, int length)
{
    append_strokes(table, MOE_CELL_BAR, &share, 1, length);
}

void moe_table_spark(moe_table *table, const double *x, size_t n, int length)
{
    append_strokes(table, MOE_CELL_SPARK, x, n, length);
}

bool moe_table_strokes(const moe_table *table, size_t column)
{
    return column < table->n_cells && table->cell[column].kind != MOE_CELL_TEXT;
}
