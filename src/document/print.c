/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/escape.h"
#include "moegps/mem.h"

enum {
    WIDTH = 100,    /* columns of a terminal that is not narrow */
    NAME_WIDTH = 11 /* least of the names of facts */
};

typedef struct printer {
    const moe_document *doc;
    FILE *out;
    moe_ink ink;
    moe_doc_block last; /* what was printed, or begun, before */
    bool begun, warns;  /* something was printed; items are warnings */
    int names;          /* width of the names of facts */
} printer;

/* @return text on one line without control characters, in heap memory. */
static char *plain(const char *text)
{
    char *copy = moe_strdup(text, NULL), *escaped = NULL;
    size_t size;
    FILE *out = copy != NULL ? open_memstream(&escaped, &size) : NULL;
    for (char *c = copy; c != NULL && *c != '\0'; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    if (out != NULL) {
        moe_terminal_text(copy, out);
        fclose(out);
    }
    free(copy);
    return escaped;
}

static int width_of(const char *text, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

/* Print a label and words, broken before WIDTH columns and aligned behind it.
 */
static void wrap(const printer *p, moe_hue hue, const char *label,
                 const char *text)
{
    const int indent = width_of(label, strlen(label));
    int column = indent;
    char *words = plain(text);
    fprintf(p->out, "%s%s", moe_ink_on(&p->ink, hue), label);
    for (const char *at = words; at != NULL && *at != '\0';) {
        const size_t len = strcspn(at, " ");
        const int width = width_of(at, len);
        if (column > indent && column + 1 + width > WIDTH) {
            fprintf(p->out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', p->out);
            column++;
        }
        fprintf(p->out, "%.*s", (int)len, at);
        column += width;
        at += len + (at[len] != '\0');
    }
    fprintf(p->out, "\n%s", moe_ink_off(&p->ink, hue));
    free(words);
}

/* @return whether a node goes on with what is before, so that no line is left
 * free between them. */
static bool goes_on(const printer *p, const moe_node *x)
{
    switch (x->block) {
    case MOE_DOC_ITEM:
        return p->last == MOE_DOC_ITEM || p->last == MOE_DOC_LIST;
    case MOE_DOC_FACT:
    case MOE_DOC_FOM:
        return p->last == x->block;
    case MOE_DOC_RESULT:
        return p->last == MOE_DOC_FOM;
    default:
        return x->block == MOE_DOC_UNDER;
    }
}

static void measure_names(printer *p, const moe_node *first)
{
    const moe_node *end = p->doc->node + p->doc->n;
    p->names = NAME_WIDTH;
    for (const moe_node *x = first; x < end && x->block == MOE_DOC_FACT; x++) {
        const char *name = p->doc->text + x->name;
        const int width = width_of(name, strlen(name));
        p->names = p->names > width ? p->names : width;
    }
}

static void print_fact(const printer *p, const char *name, const char *text)
{
    char *shown = plain(name), *label = NULL;
    const int width = shown != NULL ? width_of(shown, strlen(shown)) : 0;
    if (shown != NULL &&
        asprintf(&label, "%s%*s ", shown,
                 p->names > width ? p->names - width : 0, "") >= 0)
        wrap(p, MOE_HUE_NONE, label, text);
    free(label);
    free(shown);
}

static void print_code(const printer *p, const char *text)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");
        char *line = moe_strdup(text, NULL);
        if (line != NULL)
            line[len] = '\0';
        fputs("  ", p->out);
        moe_terminal_text(line, p->out);
        fputc('\n', p->out);
        free(line);
        text += len + (text[len] != '\0');
    }
}

static void print_result(const printer *p, const char *result)
{
    const moe_hue hue = strcmp(result, "VALID") == 0     ? MOE_HUE_GOOD
                        : strcmp(result, "INVALID") == 0 ? MOE_HUE_BAD
                                                         : MOE_HUE_NOTE;
    fprintf(p->out, "RESULT: %s", moe_ink_on(&p->ink, hue));
    moe_terminal_text(result, p->out);
    fprintf(p->out, "%s\n", moe_ink_off(&p->ink, hue));
}

static void print_figure(const printer *p, const moe_node *x)
{
    wrap(p, MOE_HUE_NONE, "", p->doc->text + x->name);
    wrap(p, MOE_HUE_NONE, "  ", p->doc->text + x->text);
    fputs("  figures/", p->out);
    moe_terminal_text(x->figure.name, p->out);
    fputs(x->figure.svg != NULL ? ".svg\n" : ".csv\n", p->out);
}

static void print_node(const printer *p, const moe_node *x)
{
    const char *text = p->doc->text + x->text;
    switch (x->block) {
    case MOE_DOC_VERDICT:
    case MOE_DOC_LEAD:
    case MOE_DOC_HEADING:
        wrap(p, MOE_HUE_BOLD, "", text);
        break;
    case MOE_DOC_ITEM:
        wrap(p, p->warns ? MOE_HUE_NOTE : MOE_HUE_NONE,
             p->warns ? "WARNING: " : "  ", text);
        break;
    case MOE_DOC_FACT:
        print_fact(p, p->doc->text + x->name, text);
        break;
    case MOE_DOC_CODE:
        print_code(p, text);
        break;
    case MOE_DOC_TABLE:
        moe_table_print(x->table, &p->ink, p->out);
        break;
    case MOE_DOC_FIGURE:
        print_figure(p, x);
        break;
    case MOE_DOC_FOM:
        moe_terminal_text(text, p->out);
        fputc('\n', p->out);
        break;
    case MOE_DOC_RESULT:
        print_result(p, text);
        break;
    default:
        wrap(p, x->block == MOE_DOC_WARNING ? MOE_HUE_NOTE : MOE_HUE_NONE, "",
             text);
    }
}

/* @return whether a node only says what its next ones are, or is not for this
 * reader. */
static bool begins(printer *p, const moe_node *x)
{
    switch (x->block) {
    case MOE_DOC_FOM:
        return p->ink.terminal && !p->doc->foms;
    case MOE_DOC_FACTS:
        measure_names(p, x + 1);
        return true;
    case MOE_DOC_WARNINGS:
    case MOE_DOC_LIST:
        p->warns = x->block == MOE_DOC_WARNINGS;
        return p->warns;
    default:
        return x->block == MOE_DOC_SECTION || x->block == MOE_DOC_END;
    }
}

moe_status moe_document_print(moe_document *doc, FILE *out, moe_error *err)
{
    printer p = {.doc = doc, .out = out, .ink = moe_ink_of(out)};
    const moe_status status = moe_document_ready(doc, err);
    for (size_t i = 0; status == MOE_OK && i < doc->n; i++) {
        const moe_node *x = &doc->node[i];
        if (!begins(&p, x)) {
            fputs(p.begun && !goes_on(&p, x) ? "\n" : "", out);
            print_node(&p, x);
            p.begun = true;
        } else if (x->block == MOE_DOC_FOM) {
            continue;
        }
        p.last = x->block;
    }
    return status;
}

moe_status moe_document_say(moe_document *doc, FILE *out, moe_error *err)
{
    moe_error local = {0};
    if (doc != NULL && (err == NULL || err->status == MOE_OK))
        moe_document_print(doc, out, &local);
    moe_document_free(doc);
    return moe_pass(err, &local);
}
