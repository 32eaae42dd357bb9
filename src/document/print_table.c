/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>

#include "moegps/escape.h"
#include "moegps/mem.h"

enum { GAP = 2 /* spaces between columns */ };

/* A table as it is printed. */
typedef struct grid {
    const moe_table *table;
    const moe_ink *ink;
    FILE *out;
    char **text; /* [n_texts], escaped, owned: headings, units, cells */
    size_t n_texts;
    size_t *width;     /* [n_columns] characters */
    size_t first, end; /* columns of the block that is printed */
} grid;

/* Characters of UTF-8 text: bytes that do not continue one. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* @return what of a cell is printed, in heap memory; NULL: out of it. */
static char *render(const moe_table_entry *cell, const moe_ink *ink)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    if (cell->kind == MOE_CELL_BAR)
        fputs(moe_ink_bar(ink, cell->x[0], cell->most).text, out);
    else if (cell->kind == MOE_CELL_SPARK)
        fputs(moe_ink_spark(ink, cell->x, cell->n, cell->most).text, out);
    else if (cell->most > 0)
        moe_terminal_text(moe_name_cell(cell->text, (size_t)cell->most).text,
                          out);
    else
        moe_terminal_text(cell->text, out);
    fclose(out);
    return text;
}

/* @return whether there was memory for another text of a column. */
static bool take(grid *g, size_t column, const moe_table_entry *cell)
{
    char *text = render(cell, g->ink);
    if (text == NULL)
        return false;
    const size_t width = width_of(text);
    g->text[g->n_texts++] = text;
    if (width > g->width[column])
        g->width[column] = width;
    return true;
}

/* @return whether there was memory for all. */
static bool measure(grid *g)
{
    const moe_table *t = g->table;
    const size_t n = t->n_columns;
    g->width = moe_array_new(n, sizeof *g->width, NULL);
    g->text = moe_array_new(2 * n + t->n_cells, sizeof *g->text, NULL);
    bool whole = g->width != NULL && g->text != NULL;
    for (size_t i = 0; i < 2 * n && whole; i++) {
        const moe_column *column = &t->columns[i % n];
        const char *text = i < n ? column->heading : column->unit;
        const moe_table_entry head = {.text =
                                          (char *)(text != NULL ? text : "")};
        whole = take(g, i % n, &head);
    }
    for (size_t i = 0; i < t->n_cells && whole; i++)
        whole = take(g, i % n, &t->cell[i]);
    return whole;
}

/* Print a cell; a line ends with its last visible character.
 * @param owed  spaces that are due before something visible */
static void print_cell(const grid *g, size_t column, const char *text,
                       moe_hue hue, size_t *owed)
{
    const bool right = g->table->columns[column].align == MOE_RIGHT;
    const size_t pad = g->width[column] - width_of(text);
    if (*text != '\0') {
        fprintf(g->out, "%*s%s%s%s", (int)(*owed + (right ? pad : 0)), "",
                moe_ink_on(g->ink, hue), text, moe_ink_off(g->ink, hue));
        *owed = right ? 0 : pad;
    } else {
        *owed += g->width[column];
    }
    *owed += GAP;
}

/* @return whether a block has a column: its own, and those of every block. */
static bool shows(const grid *g, size_t column)
{
    return column < g->table->fixed || (column >= g->first && column < g->end);
}

static void print_rule(const grid *g)
{
    for (size_t c = 0; c < g->table->n_columns; c++) {
        if (!shows(g, c))
            continue;
        fputs(c > 0 ? "  " : "", g->out);
        for (size_t i = 0; i < g->width[c]; i++)
            fputc('-', g->out);
    }
    fputc('\n', g->out);
}

/* Print a line of texts. @param cell  their hues; NULL: none */
static void print_line(const grid *g, char *const *text,
                       const moe_table_entry *cell, size_t n)
{
    size_t owed = 0;
    for (size_t c = 0; c < n; c++)
        if (shows(g, c))
            print_cell(g, c, text[c], cell != NULL ? cell[c].hue : MOE_HUE_NONE,
                       &owed);
    fputc('\n', g->out);
}

static void print_block(const grid *g)
{
    const moe_table *t = g->table;
    const size_t n = t->n_columns;
    bool units = false;
    for (size_t c = 0; c < n; c++)
        units = units || (shows(g, c) && t->columns[c].unit != NULL);
    print_line(g, g->text, NULL, n);
    if (units)
        print_line(g, g->text + n, NULL, n);
    print_rule(g);
    for (size_t i = 0; i < t->n_cells; i += n)
        print_line(g, g->text + 2 * n + i, t->cell + i,
                   t->n_cells - i < n ? t->n_cells - i : n);
}

static void print_grid(grid *g)
{
    const moe_table *t = g->table;
    const size_t most = t->most > 0 ? t->most : t->n_columns;
    for (g->first = t->fixed; g->first == t->fixed || g->first < t->n_columns;
         g->first += most) {
        fputs(g->first > t->fixed ? "\n" : "", g->out);
        g->end = g->first + most;
        print_block(g);
    }
}

void moe_table_print(const moe_table *table, const moe_ink *ink, FILE *out)
{
    grid g = {.table = table, .ink = ink, .out = out};
    if (table != NULL && !table->lost && measure(&g))
        print_grid(&g);
    else
        fputs("(out of memory)\n", out);
    for (size_t i = 0; i < g.n_texts; i++)
        free(g.text[i]);
    free(g.text);
    free(g.width);
}
