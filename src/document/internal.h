/* internal.h: what is built, for those who write it. */
#ifndef MOEGPS_DOCUMENT_INTERNAL_H
#define MOEGPS_DOCUMENT_INTERNAL_H

#include "ink.h"
#include "moegps/document.h"

typedef enum moe_cell_kind {
    MOE_CELL_TEXT,
    MOE_CELL_BAR,
    MOE_CELL_SPARK
} moe_cell_kind;

typedef struct moe_table_entry {
    moe_cell_kind kind;
    moe_hue hue;
    int most;   /* bytes on a terminal, or characters of strokes; 0: all */
    char *text; /* owned, as is ... */
    double *x;  /* [n] of strokes */
    size_t n;
} moe_table_entry;

struct moe_table {
    moe_column *columns; /* [n_columns], owned, with their texts */
    size_t n_columns;
    moe_table_entry *cell; /* [n_cells], row by row */
    size_t n_cells, room;
    size_t fixed, most; /* moe_table_fold(); 0, 0: not folded */
    bool lost;          /* out of memory */
};

/* @return whether a column is of bars or sparklines. */
bool moe_table_strokes(const moe_table *table, size_t column);

typedef struct moe_node {
    moe_doc_block block;
    size_t name, text; /* where they begin in the document's text; 0: "" */
    moe_table *table;  /* owned; NULL: out of memory */
    moe_figure figure;
} moe_node;

struct moe_document {
    FILE *words; /* all texts, each with a zero at its end */
    char *text;
    size_t size;
    moe_node *node; /* [n], owned */
    size_t n, room;
    bool lost; /* out of memory */
    bool foms; /* FOM lines also on a terminal */
};

/* @return whether a document can be written: nothing of it was lost. */
moe_status moe_document_ready(moe_document *doc, moe_error *err);

/* Print a table aligned; widths count characters, not bytes. */
void moe_table_print(const moe_table *table, const moe_ink *ink, FILE *out);

/* Write an HTML table: units are small print in the headings, the first cell
 * of a row is its heading. */
void moe_table_html(const moe_table *table, FILE *out);

/* Write an SVG of gnuplot as a part of a page: named and described, of the
 * page's colours, and with identifiers of its own. */
void moe_svg_inline(const moe_figure *figure, const char *title,
                    const char *words, FILE *out);

/* Write the style of a page. */
void moe_page_style(FILE *out);

/* Write what a page runs, and the digest by which its policy lets nothing else
 * run: "sha256-..."; "" where it could not be computed. */
void moe_page_script(FILE *out);
void moe_page_script_digest(FILE *out);

#endif
