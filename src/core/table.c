/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/html.h"
#include "moegps/mem.h"
#include "moegps/plain.h"

enum {
    CELL_LEN = 512, /* bytes of one cell; longer text is cut */
    GAP = 2         /* spaces between columns */
};

static const char NOT_AVAILABLE[] = "n/a";

struct moe_table {
    const moe_column *columns; /* not owned */
    size_t n_columns;
    char **cell; /* [n_cells], row by row, owned */
    size_t n_cells, room;
    bool lost; /* out of memory: a shifted row would be a lie */
};

moe_table *moe_table_new(const moe_column *columns, size_t n_columns)
{
    moe_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->columns = columns;
    table->n_columns = n_columns;
    return table;
}

void moe_table_free(moe_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cell[i]);
    free(table->cell);
    free(table);
}

static void append(moe_table *table, const char *text)
{
    if (table->n_cells == table->room) {
        size_t room = table->room > 0 ? 2 * table->room : 64;
        char **bigger = realloc(table->cell, room * sizeof *bigger);
        table->lost = table->lost || bigger == NULL;
        if (bigger == NULL)
            return;
        table->cell = bigger;
        table->room = room;
    }
    char *copy = moe_strdup(text, NULL);
    table->lost = table->lost || copy == NULL;
    if (copy != NULL)
        table->cell[table->n_cells++] = copy;
}

void moe_table_cell(moe_table *table, const char *fmt, ...)
{
    if (table == NULL)
        return;
    char text[CELL_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    append(table, text);
}

void moe_format_number(double value, int digits, char *text, size_t size)
{
    if (isnan(value)) {
        snprintf(text, size, "%s", NOT_AVAILABLE);
        return;
    }
    double magnitude = value != 0 ? floor(log10(fabs(value))) : 0;
    if (!isfinite(value) || magnitude < -4 || magnitude > 8) {
        snprintf(text, size, "%.*g", digits, value);
        return;
    }
    int decimals = digits - 1 - (int)magnitude;
    snprintf(text, size, "%.*f", decimals > 0 ? decimals : 0, value);
}

void moe_table_number(moe_table *table, double value, int digits)
{
    char text[64];
    moe_format_number(value, digits, text, sizeof text);
    moe_table_cell(table, "%s", text);
}

/* Characters of UTF-8 text: bytes that do not continue one. Colours, "ESC [
 * ... m", have no width. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    while (*text != '\0') {
        if (text[0] == '\033' && text[1] == '[') {
            text += strcspn(text, "m");
            text += *text == 'm';
        } else {
            width += ((unsigned char)*text++ & 0xc0) != 0x80;
        }
    }
    return width;
}

static const char *unit_of(const moe_column *column)
{
    return column->unit != NULL ? column->unit : "";
}

static size_t column_width(const moe_table *table, size_t c)
{
    size_t width = width_of(table->columns[c].heading);
    size_t unit = width_of(unit_of(&table->columns[c]));
    if (unit > width)
        width = unit;
    for (size_t i = c; i < table->n_cells; i += table->n_columns)
        if (width_of(table->cell[i]) > width)
            width = width_of(table->cell[i]);
    return width;
}

/* A line ends with its last visible character. */
static void print_cell(const moe_column *column, const char *text, size_t width,
                       size_t *owed, FILE *out)
{
    size_t pad = width - width_of(text);
    size_t before = *owed + (column->align == MOE_RIGHT ? pad : 0);
    if (*text != '\0') {
        fprintf(out, "%*s%s", (int)before, "", text);
        *owed = column->align == MOE_RIGHT ? 0 : pad;
    } else {
        *owed += width;
    }
    *owed += GAP;
}

static void print_row(const moe_table *table, const size_t *width,
                      const char *const *text, FILE *out)
{
    size_t owed = 0;
    for (size_t c = 0; c < table->n_columns; c++)
        print_cell(&table->columns[c], text[c], width[c], &owed, out);
    fputc('\n', out);
}

static void print_rule(const moe_table *table, const size_t *width, FILE *out)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        for (size_t i = 0; i < width[c]; i++)
            fputc('-', out);
        fputs(c + 1 < table->n_columns ? "  " : "\n", out);
    }
}

void moe_table_print(const moe_table *table, FILE *out)
{
    if (table == NULL || table->n_columns == 0)
        return;
    if (table->lost) {
        fputs("(out of memory)\n", out);
        return;
    }
    size_t n = table->n_columns;
    bool units = false;
    size_t *width = moe_array_new(n, sizeof *width, NULL);
    const char **text = moe_array_new(n, sizeof *text, NULL);
    if (width == NULL || text == NULL)
        goto out;
    for (size_t c = 0; c < n; c++) {
        width[c] = column_width(table, c);
        text[c] = table->columns[c].heading;
        units = units || table->columns[c].unit != NULL;
    }
    print_row(table, width, text, out);
    for (size_t c = 0; c < n; c++)
        text[c] = unit_of(&table->columns[c]);
    if (units)
        print_row(table, width, text, out);
    print_rule(table, width, out);
    for (size_t i = 0; i < table->n_cells; i += n) {
        for (size_t c = 0; c < n; c++)
            text[c] = i + c < table->n_cells ? table->cell[i + c] : "";
        print_row(table, width, text, out);
    }
out:
    free(text);
    free(width);
}

static void put_csv(const char *text, FILE *out)
{
    if (strcmp(text, NOT_AVAILABLE) != 0)
        moe_plain_csv(text, out);
}

void moe_table_csv(const moe_table *table, FILE *out)
{
    if (table == NULL || table->lost)
        return;
    for (size_t c = 0; c < table->n_columns; c++) {
        char heading[CELL_LEN];
        const moe_column *column = &table->columns[c];
        snprintf(heading, sizeof heading, "%s%s%s", column->heading,
                 column->unit != NULL ? "_" : "", unit_of(column));
        put_csv(heading, out);
        fputc(c + 1 < table->n_columns ? ',' : '\n', out);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        put_csv(table->cell[i], out);
        fputc((i + 1) % table->n_columns != 0 ? ',' : '\n', out);
    }
}

static const char *html_class(const moe_column *column)
{
    return column->align == MOE_RIGHT ? " class=\"n\"" : "";
}

static void html_head(const moe_table *table, FILE *out)
{
    fputs("<thead><tr>", out);
    for (size_t c = 0; c < table->n_columns; c++) {
        const moe_column *column = &table->columns[c];
        fprintf(out, "<th scope=\"col\"%s>", html_class(column));
        moe_html_text(column->heading, out);
        if (column->unit != NULL) {
            fputs(" <small>", out);
            moe_html_text(column->unit, out);
            fputs("</small>", out);
        }
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n", out);
}

void moe_table_html(const moe_table *table, FILE *out)
{
    if (table == NULL || table->lost)
        return;
    fputs("<table>", out);
    html_head(table, out);
    fputs("<tbody>\n", out);
    for (size_t i = 0; i < table->n_cells; i++) {
        const size_t c = i % table->n_columns;
        const char *tag = c == 0 ? "th" : "td";
        fprintf(out, "%s<%s%s%s>", c == 0 ? "<tr>" : "", tag,
                c == 0 ? " scope=\"row\"" : "", html_class(&table->columns[c]));
        moe_html_text(table->cell[i], out);
        fprintf(out, "</%s>%s", tag,
                c + 1 == table->n_columns || i + 1 == table->n_cells ? "</tr>\n"
                                                                     : "");
    }
    fputs("</tbody></table>\n", out);
}

/* Divide by the step of a scale until the value, rounded to three digits,
 * fits below the next unit. */
void moe_format_time(double s, char *text, size_t size)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    if (isnan(s)) {
        snprintf(text, size, "%s", NOT_AVAILABLE);
        return;
    }
    if (s == 0) {
        snprintf(text, size, "0 s");
        return;
    }
    double value = s * 1e9;
    size_t unit = 0;
    while (fabs(value) >= 999.5 && unit + 1 < MOE_ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    int decimals = fabs(value) < 9.995 ? 2 : fabs(value) < 99.95 ? 1 : 0;
    snprintf(text, size, "%.*f %s", decimals, value, units[unit]);
}

void moe_format_bytes(double bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    if (isnan(bytes)) {
        snprintf(text, size, "%s", NOT_AVAILABLE);
        return;
    }
    double value = bytes;
    size_t unit = 0;
    while (fabs(value) >= 1023.95 && unit + 1 < MOE_ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, "%.*f %s", unit > 0 ? 1 : 0, value, units[unit]);
}
