/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "moegps/mem.h"

moe_document *moe_document_new(moe_error *err)
{
    moe_document *doc = moe_array_new(1, sizeof *doc, err);
    if (doc == NULL)
        return NULL;
    doc->words = open_memstream(&doc->text, &doc->size);
    if (doc->words != NULL)
        return doc;
    free(doc);
    moe_fail(err, MOE_NOMEM, "out of memory");
    return NULL;
}

void moe_document_free(moe_document *doc)
{
    if (doc == NULL)
        return;
    fclose(doc->words);
    for (size_t i = 0; i < doc->n; i++)
        moe_table_free(doc->node[i].table);
    free(doc->node);
    free(doc->text);
    free(doc);
}

moe_status moe_document_ready(moe_document *doc, moe_error *err)
{
    bool lost = doc->lost;
    for (size_t i = 0; i < doc->n; i++)
        lost = lost || (doc->node[i].table != NULL && doc->node[i].table->lost);
    fputc('\0', doc->words);
    if (fflush(doc->words) != 0 || ferror(doc->words) || lost)
        return moe_fail(err, MOE_NOMEM, "out of memory");
    return MOE_OK;
}

FILE *moe_doc_words(moe_document *doc)
{
    return doc->words;
}

/* End the text before, and begin one. */
static size_t begin(moe_document *doc)
{
    fputc('\0', doc->words);
    return (size_t)ftell(doc->words);
}

/* @return where a copy of the text begins. */
static size_t keep(moe_document *doc, const char *text)
{
    const size_t at = begin(doc);
    fputs(text, doc->words);
    return at;
}

static void add(moe_document *doc, moe_node node)
{
    if (doc->n == doc->room) {
        const size_t room = doc->room > 0 ? 2 * doc->room : 64;
        moe_node *bigger = realloc(doc->node, room * sizeof *bigger);
        if (bigger == NULL) {
            doc->lost = true;
            moe_table_free(node.table);
            return;
        }
        doc->node = bigger;
        doc->room = room;
    }
    doc->node[doc->n++] = node;
}

/* Add a block of a name and a text, formatted. */
static void add_text(moe_document *doc, moe_doc_block block, const char *name,
                     const char *fmt, va_list ap)
{
    moe_node node = {.block = block, .name = keep(doc, name)};
    node.text = begin(doc);
    vfprintf(doc->words, fmt, ap);
    add(doc, node);
}

void moe_doc_say(moe_document *doc, moe_doc_block block, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_text(doc, block, "", fmt, ap);
    va_end(ap);
}

void moe_doc_begin(moe_document *doc, moe_doc_block block)
{
    moe_doc_say(doc, block, "%s", "");
}

void moe_doc_end(moe_document *doc)
{
    size_t i = doc->n, depth = 1; /* ends that are still to be begun */
    while (i > 0 && depth > 0) {
        const moe_doc_block block = doc->node[--i].block;
        if (block == MOE_DOC_END)
            depth++;
        else if (block == MOE_DOC_SECTION || block == MOE_DOC_FOLD)
            depth--;
    }
    add(doc, (moe_node){.block = MOE_DOC_END, .name = i});
}

void moe_doc_fact(moe_document *doc, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_text(doc, MOE_DOC_FACT, name, fmt, ap);
    va_end(ap);
}

void moe_doc_verdict(moe_document *doc, const char *result, const char *fmt,
                     ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_text(doc, MOE_DOC_VERDICT, result, fmt, ap);
    va_end(ap);
}

moe_table *moe_doc_table(moe_document *doc, const char *caption,
                         const moe_column *columns, size_t n_columns)
{
    moe_table *table = moe_table_new(columns, n_columns);
    if (caption != NULL)
        moe_doc_say(doc, MOE_DOC_CAPTION, "%s", caption);
    doc->lost = doc->lost || table == NULL;
    add(doc, (moe_node){.block = MOE_DOC_TABLE, .table = table});
    return doc->lost ? NULL : table;
}

void moe_doc_figure(moe_document *doc, const moe_figure *figure,
                    const char *title)
{
    const size_t name = keep(doc, title);
    add(doc, (moe_node){.block = MOE_DOC_FIGURE,
                        .name = name,
                        .text = begin(doc),
                        .figure = *figure});
}

void moe_doc_fom(moe_document *doc, const char *metric, const char *of,
                 double value, const char *unit)
{
    if (isfinite(value))
        moe_doc_say(doc, MOE_DOC_FOM, "FOM %s %s = %.9g %s", metric, of, value,
                    unit);
}

void moe_doc_show_foms(moe_document *doc, bool show)
{
    if (doc != NULL)
        doc->foms = show;
}

void moe_doc_result(moe_document *doc, const char *result)
{
    moe_doc_say(doc, MOE_DOC_RESULT, "%s", result);
}
