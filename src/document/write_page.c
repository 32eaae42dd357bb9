/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/escape.h"
#include "moegps/mem.h"

/* Figures share this much of a page that is to stay below 2 MiB. */
static const size_t FIGURE_BYTES = (size_t)5 << 18;

/* ---- tables ---- */

static const char *class_of(const moe_column *column)
{
    return column->align == MOE_RIGHT ? " class=\"n\"" : "";
}

static void put_heading(const moe_column *column, FILE *out)
{
    fprintf(out, "<th scope=\"col\"%s>", class_of(column));
    moe_html_text(column->heading, out);
    if (column->unit != NULL) {
        fputs(" <small>", out);
        moe_html_text(column->unit, out);
        fputs("</small>", out);
    }
    fputs("</th>", out);
}

static void put_cell(const moe_table *table, size_t i, FILE *out)
{
    const size_t c = i % table->n_columns;
    const char *tag = c == 0 ? "th" : "td";
    fputs(c == 0 ? "<tr>" : "", out);
    if (!moe_table_strokes(table, c)) {
        fprintf(out, "<%s%s%s>", tag, c == 0 ? " scope=\"row\"" : "",
                class_of(&table->columns[c]));
        moe_html_text(table->cell[i].text, out);
        fprintf(out, "</%s>", tag);
    }
    fputs(c + 1 == table->n_columns || i + 1 == table->n_cells ? "</tr>\n" : "",
          out);
}

void moe_table_html(const moe_table *table, FILE *out)
{
    if (table == NULL || table->lost)
        return;
    fputs("<table><thead><tr>", out);
    for (size_t c = 0; c < table->n_columns; c++)
        if (!moe_table_strokes(table, c))
            put_heading(&table->columns[c], out);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < table->n_cells; i++)
        put_cell(table, i, out);
    fputs("</tbody></table>\n", out);
}

/* ---- nodes ---- */

typedef struct writer {
    const moe_document *doc;
    FILE *out;
    size_t budget;    /* bytes that figures may still take */
    const char *open; /* what ends the group of nodes that is open */
    bool warns;       /* items are of warnings */
} writer;

static const char end_list[] = "</ul>\n", end_figures[] = "</div>\n",
                  end_facts[] = "</tbody></table></div>\n";

/* Close the group that is open, and open another. */
static void regroup(writer *w, const char *begin, const char *end)
{
    fprintf(w->out, "%s%s", w->open, begin);
    w->open = end;
}

/* Many words are folded, where there is something else to see. */
static void put_words(const char *words, bool seen, FILE *out)
{
    enum { FEW = 280 };
    const bool fold = seen && strlen(words) > FEW;
    fputs(fold ? "<details><summary>In words</summary>" : "", out);
    moe_html_text(words, out);
    fputs(fold ? "</details>" : "", out);
}

static void put_figure(writer *w, const moe_node *x)
{
    const moe_figure *figure = &x->figure;
    const char *title = w->doc->text + x->name;
    const char *words = w->doc->text + x->text;
    const size_t bytes = figure->svg != NULL ? strlen(figure->svg) : 0;
    const bool fits = bytes > 0 && bytes <= w->budget;
    fputs("<figure id=\"", w->out);
    moe_html_text(figure->name, w->out);
    fputs("\">\n", w->out);
    moe_html_in(w->out, "h3", title);
    if (fits) {
        moe_svg_inline(figure, title, words, w->out);
        w->budget -= bytes;
    }
    fputs("<figcaption>", w->out);
    put_words(words, fits, w->out);
    fputs(" <span class=\"soft\">figures/", w->out);
    moe_html_text(figure->name, w->out);
    fprintf(w->out, ".%s%s</span></figcaption>\n</figure>\n",
            figure->svg != NULL ? "svg, .pdf, .gp, .csv" : "csv, .gp",
            bytes > 0 && !fits ? ": too large for this page" : "");
}

static void put_fact(const char *name, const char *text, FILE *out)
{
    fputs("<tr>", out);
    moe_html_in(out, "th scope=\"row\"", name);
    moe_html_in(out, "td", text);
    fputs("</tr>\n", out);
}

static void put_verdict(const char *result, const char *text, FILE *out)
{
    fputs("<p class=\"verdict\">", out);
    moe_html_text(text, out);
    fputs("</p>\n<p class=\"aside\">Checks: <span class=\"badge ", out);
    moe_html_text(result, out);
    fputs("\">", out);
    moe_html_text(result, out);
    fputs("</span></p>\n", out);
}

/* Items, facts and figures that follow each other share an element. */
static void group(writer *w, const moe_node *x)
{
    const char *lead = w->doc->text + x->text;
    switch (x->block) {
    case MOE_DOC_ITEM:
    case MOE_DOC_FACT:
        return; /* of what began before */
    case MOE_DOC_LIST:
        w->warns = false;
        regroup(w, "", "");
        moe_html_in(w->out, "p", lead);
        regroup(w, "<ul>\n", end_list);
        return;
    case MOE_DOC_WARNINGS:
        w->warns = true;
        regroup(w, "<ul class=\"warnings\">\n", end_list);
        return;
    case MOE_DOC_FACTS:
        regroup(w,
                "<div class=\"wide\" tabindex=\"0\"><table class=\"facts\">"
                "<tbody>\n",
                end_facts);
        return;
    case MOE_DOC_FIGURE:
        if (w->open != end_figures)
            regroup(w, "<div class=\"figures\">\n", end_figures);
        return;
    default:
        regroup(w, "", "");
    }
}

/* Blocks that are one element around their text. */
static const char *const elements[] = {
    [MOE_DOC_HEADING] = "h2",
    [MOE_DOC_CAPTION] = "h3",
    [MOE_DOC_LEAD] = "p class=\"verdict\"",
    [MOE_DOC_PARAGRAPH] = "p",
    [MOE_DOC_UNDER] = "p",
    [MOE_DOC_ASIDE] = "p class=\"soft\"",
    [MOE_DOC_WARNING] = "p class=\"warnings\"",
    [MOE_DOC_CODE] = "pre",
    [MOE_DOC_END] = NULL,
};

/* @return bytes of what a warning says first: up to the end of a clause. */
static size_t clause_of(const char *text)
{
    enum { LEAST = 24 }; /* bytes: fewer, or one word, say too little */
    const char *blank = strchr(text, ' ');
    for (size_t n = LEAST; n < strlen(text); n++)
        if (strchr(":;.", text[n]) != NULL && text[n + 1] == ' ' &&
            blank < text + n)
            return n;
    return strlen(text);
}

/* An item; of a warning only the first clause stands open. */
static void put_item(const writer *w, const char *text, FILE *out)
{
    const size_t n = w->warns ? clause_of(text) : strlen(text);
    if (text[n] == '\0') {
        moe_html_in(out, "li", text);
        return;
    }
    char *first = moe_strdup(text, NULL);
    if (first != NULL)
        first[n] = '\0';
    fputs("<li><details>", out);
    moe_html_in(out, "summary", first);
    moe_html_text(text + n, out);
    fputs("</details></li>\n", out);
    free(first);
}

static void put_table(const moe_table *table, FILE *out)
{
    fputs("<div class=\"wide\" tabindex=\"0\">", out);
    moe_table_html(table, out);
    fputs("</div>\n", out);
}

static void put_node(writer *w, const moe_node *x)
{
    const char *name = w->doc->text + x->name, *text = w->doc->text + x->text;
    group(w, x);
    if (elements[x->block] != NULL)
        moe_html_in(w->out, elements[x->block], text);
    switch (x->block) {
    case MOE_DOC_ITEM:
        put_item(w, text, w->out);
        break;
    case MOE_DOC_SECTION:
        fputs("<section>\n", w->out);
        break;
    case MOE_DOC_FOLD:
        fputs("<details>", w->out);
        moe_html_in(w->out, "summary", text);
        break;
    case MOE_DOC_END:
        fputs(w->doc->node[x->name].block == MOE_DOC_FOLD ? "</details>\n"
                                                          : "</section>\n",
              w->out);
        break;
    case MOE_DOC_VERDICT:
        put_verdict(name, text, w->out);
        break;
    case MOE_DOC_FACT:
        put_fact(name, text, w->out);
        break;
    case MOE_DOC_TABLE:
        put_table(x->table, w->out);
        break;
    case MOE_DOC_FIGURE:
        put_figure(w, x);
        break;
    default: /* groups; the title; what only terminals show */
        break;
    }
}

/* ---- the page ---- */

static const char *title_of(const moe_document *doc)
{
    for (size_t i = 0; i < doc->n; i++)
        if (doc->node[i].block == MOE_DOC_TITLE)
            return doc->text + doc->node[i].text;
    return "";
}

static void put_head(const char *name, const char *title, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
          "<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
          "'none'; style-src 'unsafe-inline'; img-src data:; script-src '",
          out);
    moe_page_script_digest(out);
    fputs("'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, "
          "initial-scale=1\">\n<title>",
          out);
    moe_html_text(name, out);
    fputs(": ", out);
    moe_html_text(title, out);
    fputs("</title>\n<style>\n", out);
    moe_page_style(out);
    fputs("</style>\n</head>\n<body>\n<header>\n", out);
    moe_html_in(out, "h1", title);
    fputs("</header>\n<main>\n", out);
}

moe_status moe_document_page(moe_document *doc, const char *name,
                             const char *foot, FILE *out, moe_error *err)
{
    writer w = {.doc = doc, .out = out, .budget = FIGURE_BYTES, .open = ""};
    if (moe_document_ready(doc, err) != MOE_OK)
        return MOE_NOMEM;
    put_head(name, title_of(doc), out);
    for (size_t i = 0; i < doc->n; i++)
        put_node(&w, &doc->node[i]);
    fprintf(out, "%s</main>\n<footer class=\"soft\"><p>", w.open);
    moe_html_text(foot, out);
    fputs("</p></footer>\n<script>", out);
    moe_page_script(out);
    fputs("</script>\n</body>\n</html>\n", out);
    return ferror(out) ? moe_fail(err, MOE_IO, "cannot write HTML") : MOE_OK;
}
